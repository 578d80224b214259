"""What the batch APIs share on the wire: requests of a job's items, paths, lines of results, counts and times. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from ._call import HTTPRequest
from ._errors import UsageError
from ._flow import Flow
from ._jobs import Item, JobInfo, JobStatus, Limits, Line, State, exchange, parsed
from ._json import objects, string
from ._plan import Plan

_JSONL = re.compile(rb"[^\r\n]+")


class Encoded(msgspec.Struct, frozen=True):
    """The requests of a job's items as plain calls would send them: one path, one set of headers, a body each."""

    path: str
    headers: dict[str, str]
    bodies: list[bytes]


def encoded(plan: Plan, items: Sequence[Item]) -> Encoded:
    """The items' requests; a UsageError where they differ in what a job has only once."""
    requests = [plan.dialect.encode(msgspec.structs.replace(item.call, stream=False)) for item in items]
    first = requests[0]
    if any(r.headers != first.headers or r.path != first.path for r in requests):
        raise UsageError(
            "the inputs of a job need other headers or addresses: submit them in several jobs", argument="inputs"
        )
    return Encoded(first.path, first.headers, [r.body for r in requests])


def get(path: str) -> HTTPRequest:
    return HTTPRequest(method="GET", path=path)


def post(path: str, body: Any = None, headers: dict[str, str] | None = None) -> HTTPRequest:
    return HTTPRequest(path=path, body=b"{}" if body is None else msgspec.json.encode(body), headers=headers or {})


def lines_in(data: bytes) -> Iterable[dict[str, Any]]:
    return (parsed(line, "a line of the results") for line in _JSONL.findall(data) if line.strip())


def lines_of(plan: Plan, paths: Iterable[str], read: Callable[[dict[str, Any]], Line]) -> Flow[list[Line]]:
    """The lines of some files at the provider."""
    found: list[Line] = []
    for path in paths:
        response = yield from exchange(plan, get(path))
        found += map(read, lines_in(response.body))
    return found


def counted(
    job: dict[str, Any], state: State, counts: dict[str, Any], names: tuple[str, str, str], error: str | None
) -> JobStatus:
    """A job's status, of the counts with these names: of all items, of those that went well, and of those that failed."""
    total, succeeded, failed = (number_of(counts.get(name)) for name in names)
    return JobStatus(state=state, total=total, succeeded=succeeded, failed=failed, error=error, raw=job)


def messages_in(errors: Any) -> str | None:
    """What a list of errors says; None where there is nothing in it."""
    return "; ".join(string(error.get("message")) or "" for error in objects(errors)) or None


def info_of(status: JobStatus, id: Any, label: Any, made: Any) -> JobInfo:
    """A line of a provider's list. Some give a count of 0 until they have looked at the input."""
    return JobInfo(id=str(id), state=status.state, label=string(label), count=status.total or None, made=time_of(made))


def number_of(value: Any) -> int | None:
    """A count, which some APIs write as text."""
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None


#: Every provider here answers within a day.
DAY = 86_400.0
#: Jobs on a page of a list.
PAGE = 100


def time_of(value: Any) -> float | None:
    """Seconds since 1970, of a number or an ISO text (whose fractions some write with nine digits)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return None
    text = re.sub(r"(\.\d{6})\d+", r"\1", value)
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def check_fits(data: bytes, limits: Limits) -> None:
    if len(data) > limits.size:
        raise UsageError(
            f"a job holds at most {limits.size:,} bytes of requests here, not {len(data):,}: submit them in several jobs",
            argument="inputs",
        )


def upload(path: str, data: bytes, fields: dict[str, str]) -> HTTPRequest:
    """A file as a form, its boundary made of its content."""
    boundary = "chatmodels-" + sha256(data).hexdigest()
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="batch.jsonl"\r\n'
    parts.append(head.encode() + b"Content-Type: application/jsonl\r\n\r\n" + data + f"\r\n--{boundary}--\r\n".encode())
    return HTTPRequest(
        path=path, body=b"".join(parts), headers={"content-type": f"multipart/form-data; boundary={boundary}"}
    )
