"""The batch API of Google; docs and recorded traffic, checked 2026-11. Pure flows over `_jobs.exchange`."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from ._call import HTTPRequest
from ._flow import Flow
from ._jobs import Item, JobInfo, JobStatus, Limits, Line, State, asked, exchange, pages, refusal
from ._jobs_wire import (
    DAY,
    PAGE,
    check_fits,
    counted,
    encoded,
    get,
    info_of,
    lines_in,
    number_of,
    post,
)
from ._json import is_object, mapping, objects, string
from ._plan import Plan


class GoogleJobs:
    """`models/X:batchGenerateContent` with the calls in the request; the answers stand in the finished operation."""

    limits = Limits(1_000_000, 20_000_000)  # of items no limit is written down
    window, labelled, apart = DAY, True, False
    states: ClassVar[dict[str, State]] = {
        "PENDING": "pending", "RUNNING": "running", "SUCCEEDED": "done", "FAILED": "failed", "CANCELLED": "cancelled",
        "EXPIRED": "expired", "UNSPECIFIED": "pending",
    }  # fmt: skip

    def submit(self, plan: Plan, items: Sequence[Item], label: str | None) -> Flow[str]:
        """Make the batch."""
        calls = encoded(plan, items)
        parts: list[bytes] = []
        for item, body in zip(items, calls.bodies, strict=True):
            parts.append(b'{"request":' + body + b',"metadata":' + msgspec.json.encode({"key": item.id}) + b"}")
        name = msgspec.json.encode(label or "chatmodels-" + sha256(b"".join(parts)).hexdigest()[:16])
        data = (
            b'{"batch":{"displayName":'
            + name
            + b',"inputConfig":{"requests":{"requests":['
            + b",".join(parts)
            + b"]}}}}"
        )
        check_fits(data, self.limits)
        path = calls.path.partition(":")[0] + ":batchGenerateContent"
        batch = yield from asked(plan, HTTPRequest(path=path, body=data, headers=calls.headers), once=True)
        return str(batch.get("name"))

    def status(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """How far it is."""
        return self._status((yield from asked(plan, get(f"/v1beta/{quote(job)}"))))

    def _status(self, operation: dict[str, Any]) -> JobStatus:
        about = mapping(operation.get("metadata"))
        counts = mapping(about.get("batchStats"))
        word = str(about.get("state") or operation.get("state") or "").rpartition("STATE_")[2]
        names = ("requestCount", "successfulRequestCount", "failedRequestCount")
        error = string(mapping(operation.get("error")).get("message"))
        return counted(operation, self.states.get(word, "running"), counts, names, error)

    def results(self, plan: Plan, job: str, status: JobStatus) -> Flow[list[Line]]:
        """The answers in the operation, or in the file that it names."""
        output = mapping(status.raw.get("response")) or mapping(mapping(status.raw.get("metadata")).get("output"))
        file = string(output.get("responsesFile"))
        if file:
            response = yield from exchange(plan, get(f"/download/v1beta/{quote(file)}:download?alt=media"))
            return [line_of(n, line) for n, line in enumerate(lines_in(response.body))]
        inlined = output.get("inlinedResponses")
        listed = objects(mapping(inlined).get("inlinedResponses") if is_object(inlined) else inlined)
        return [line_of(n, line) for n, line in enumerate(listed)]

    def cancel(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """Stop it."""
        yield from exchange(plan, post(f"/v1beta/{quote(job)}:cancel"))
        return (yield from self.status(plan, job))

    def listed(self, plan: Plan, since: float | None, most: int) -> Flow[tuple[JobInfo, ...]]:
        """The provider's list."""

        def page(at: str | None) -> Flow[tuple[Sequence[JobInfo], str | None]]:
            after = "" if at is None else f"&pageToken={quote(at, safe='')}"
            said = yield from asked(plan, get(f"/v1beta/batches?pageSize={PAGE}{after}"))
            jobs = [self._info(job) for job in objects(said.get("operations"))]
            return jobs, string(said.get("nextPageToken")) or None

        return pages(page, since, most)

    def _info(self, operation: dict[str, Any]) -> JobInfo:
        about = mapping(operation.get("metadata"))
        return info_of(
            self._status(operation), operation.get("name"), about.get("displayName"), about.get("createTime")
        )


def line_of(number: int, line: dict[str, Any]) -> Line:
    made = string(mapping(line.get("metadata")).get("key")) or string(line.get("key")) or str(number)
    error = line.get("error")
    if is_object(error) and error:
        code = number_of(error.get("code")) or 500
        return Line(id=made, response=refusal(_GRPC.get(code, code if code >= 400 else 500), {"error": error}))
    return Line(id=made, response=refusal(200, line.get("response")))


#: Status codes of gRPC that Google writes in place of HTTP's.
_GRPC = {1: 499, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 13: 500, 14: 503, 16: 401}
