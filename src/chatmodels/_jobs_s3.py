"""Files in S3, as far as batch jobs need them: one file is put, one is fetched. Flows over `_jobs.exchange`; pure.

Source: the S3 API reference (PutObject, GetObject, "Authenticating Requests: Signature Version 4"), checked 2026-11. Knows no
batch API, no environment.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from ._auth import Signature
from ._call import HTTPRequest, HTTPResponse
from ._errors import ProviderError, UsageError
from ._flow import Flow, Target
from ._jobs import exchange
from ._plan import Plan
from .dialects._errors import make_error

#: What Bedrock takes as an address in S3 (botocore's service model of bedrock, 2026-11).
_URI = re.compile(r"s3://([a-z0-9][-.a-z0-9]{1,61}[a-z0-9])((?:/[-!_*'().a-z0-9A-Z]+)*)/?")
_FIELD = re.compile(rb"<(Code|Message|RequestId)>([^<]*)</")
#: The most that one PUT takes, in bytes.
PUT_LIMIT = 5 * 1024**3


class Location(NamedTuple):
    """A file or a folder in S3."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}".rstrip("/")

    def __truediv__(self, name: str) -> Location:
        return Location(self.bucket, f"{self.key}/{name}".lstrip("/"))


def location(text: str, argument: str) -> Location:
    """The place that "s3://bucket/folder", or a bucket's name alone, means; a UsageError where Bedrock takes none such."""
    found = _URI.fullmatch(text if text.startswith("s3://") else f"s3://{text}")
    if found is None:
        raise UsageError(
            f"{argument} is a bucket and a folder in it, such as 's3://my-bucket/batches' (letters, digits and -!_*'(). in the "
            f"folder's name); got {text!r}",
            argument=argument,
        )
    return Location(found[1], found[2].lstrip("/"))


class S3Signature(Signature):
    """Signature V4 as S3 wants it: with the hash of the body in a header of its own."""

    __slots__ = ()

    def __call__(self, request: HTTPRequest) -> Flow[dict[str, str]]:
        hashed = {"x-amz-content-sha256": sha256(request.body).hexdigest()}
        with_hash = msgspec.structs.replace(request, headers={**request.headers, **hashed})
        signed = yield from super().__call__(with_hash)
        return {**hashed, **signed}


class S3:
    """Puts and gets files. `at` gives the target for a bucket, and what stands before the keys in a path."""

    def __init__(self, at: Callable[[str], tuple[Target, str]]) -> None:
        self._at = at

    def put(self, plan: Plan, where: Location, data: bytes) -> Flow[None]:
        """Write a file; one that is there is replaced."""
        if len(data) > PUT_LIMIT:
            raise UsageError(
                f"S3 takes at most {PUT_LIMIT:,} bytes in one piece, not {len(data):,}: submit several jobs",
                argument="inputs",
            )
        headers = {"content-type": "application/jsonl"}
        yield from self._sent(plan, where, HTTPRequest(method="PUT", path="", body=data, headers=headers))

    def get(self, plan: Plan, where: Location) -> Flow[bytes]:
        """A file's content."""
        response = yield from self._sent(plan, where, HTTPRequest(method="GET", path=""))
        return response.body

    def _sent(self, plan: Plan, where: Location, request: HTTPRequest) -> Flow[HTTPResponse]:
        target, before = self._at(where.bucket)
        request = msgspec.structs.replace(request, path=f"{before}/{quote(where.key, safe='/-_.~')}")
        found: HTTPResponse = yield from exchange(
            msgspec.structs.replace(plan, target=target), request, refused=lambda response: s3_error(where, response)
        )
        return found


def s3_error(where: Location, response: HTTPResponse) -> ProviderError:
    """S3's XML, read. The request's file is named, since the error may come hours after the call that it belongs to."""
    told = {name.decode(): value.decode("utf-8", "replace") for name, value in _FIELD.findall(response.body)}
    code = told.get("Code")
    return make_error(
        "bedrock",
        f"S3, {where}: {told.get('Message') or 'no message'}" + (f" ({code})" if code else ""),
        status=max(400, response.status),  # a bucket in another region is answered with 301: the request was wrong
        code=code,
        body=response.body.decode("utf-8", "replace"),
        headers={"x-request-id": told["RequestId"], **response.headers} if "RequestId" in told else response.headers,
    )
