"""AWS Signature Version 4 as a pure function: a request, keys and a time in, headers out. No clock, no
environment.

Source: docs.aws.amazon.com/IAM "Create a signed AWS API request", checked 2026-11.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from .._call import HTTPRequest
from .._errors import UsageError

_ALGORITHM = "AWS4-HMAC-SHA256"
#: Headers that intermediaries change, or that the client sets later: never signed.
_UNSIGNED = frozenset({"authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"})
_PORTS = {"http": 80, "https": 443}


def sign(
    request: HTTPRequest,
    *,
    url: str,
    region: str,
    service: str,
    access_key: str,
    secret_key: str,
    session_token: str | None,
    now: datetime,
) -> dict[str, str]:
    """The headers to add: `authorization`, `x-amz-date`, and `x-amz-security-token` with a session token.

    `url` is the whole URL to which the request goes; its path is signed as it stands there.
    `request.headers` are signed too, so they must be sent as they are. `now` must know its time zone.
    """
    if now.tzinfo is None:
        raise UsageError("now must know its time zone, e.g. datetime.now(UTC)", argument="now")
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    added = {"x-amz-date": stamp}
    if session_token:
        added["x-amz-security-token"] = session_token
    headers = {**_signable(request.headers), "host": _host(url), **added}
    names = ";".join(sorted(headers))
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    canonical = _canonical_request(request, url, headers, names, twice=service != "s3")
    to_sign = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    signature = hmac.new(_key(secret_key, stamp[:8], region, service), to_sign.encode(), hashlib.sha256).hexdigest()
    credential = f"{_ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**added, "authorization": credential}


def _signable(headers: dict[str, str]) -> dict[str, str]:
    lower = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    return {name: value for name, value in lower.items() if name not in _UNSIGNED}


def _host(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, _PORTS.get(parts.scheme)) else f"{host}:{parts.port}"


def _canonical_request(request: HTTPRequest, url: str, headers: dict[str, str], names: str, *, twice: bool) -> str:
    parts = urlsplit(url)
    # Every service but S3 wants the path encoded a second time: %3A in the URL is signed as %253A. A key in S3 may have dots.
    path = (quote(_without_dots(parts.path), safe="/-_.~") if twice else parts.path) or "/"
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    body = hashlib.sha256(request.body).hexdigest()
    return "\n".join((request.method, path, _query(parts.query), lines, names, body))


def _without_dots(path: str) -> str:
    """The path without `.`, `..` and empty segments."""
    out: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del out[-1:]
        elif segment not in ("", "."):
            out.append(segment)
    end = "/" if path.endswith("/") and out else ""
    return "/" + "/".join(out) + end


def _query(query: str) -> str:
    """The parameters in order, encoded as they stand in the URL."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return "&".join(f"{name}={value}" for name, _, value in sorted(pairs))


def _key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for word in (day, region, service, "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return key
