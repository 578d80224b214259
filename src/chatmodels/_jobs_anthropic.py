"""The batch API of Anthropic; docs and recorded traffic, checked 2026-11. Pure flows over `_jobs.exchange`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ._call import HTTPRequest
from ._errors import UsageError
from ._flow import Flow
from ._jobs import Item, JobInfo, JobStatus, Limits, Line, State, asked, exchange, pages, refusal
from ._jobs_wire import DAY, PAGE, check_fits, encoded, get, lines_in, number_of, post, time_of
from ._json import mapping, objects, string
from ._plan import Plan


class AnthropicJobs:
    """`/v1/messages/batches`: the calls go up in the request, the results come down as JSONL."""

    limits = Limits(100_000, 256_000_000)
    window, labelled, apart = DAY, False, False
    path = "/v1/messages/batches"

    def submit(self, plan: Plan, items: Sequence[Item], label: str | None) -> Flow[str]:
        """Make the batch."""
        calls = encoded(plan, items)
        parts: list[bytes] = []
        for item, body in zip(items, calls.bodies, strict=True):
            if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", item.id):
                raise UsageError(
                    f"the id {item.id!r} is not taken by Anthropic: letters, digits, - and _, at most 64",
                    argument="ids",
                )
            parts.append(b'{"custom_id":"' + item.id.encode() + b'","params":' + body + b"}")
        data = b'{"requests":[' + b",".join(parts) + b"]}"
        check_fits(data, self.limits)
        batch = yield from asked(plan, HTTPRequest(path=self.path, body=data, headers=calls.headers), once=True)
        return str(batch.get("id"))

    def status(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """How far it is."""
        return status_of((yield from asked(plan, get(f"{self.path}/{quote(job, safe='')}"))))

    def results(self, plan: Plan, job: str, status: JobStatus) -> Flow[list[Line]]:
        """The lines of the results."""
        response = yield from exchange(plan, get(f"{self.path}/{quote(job, safe='')}/results"))
        return [line_of(line) for line in lines_in(response.body)]

    def cancel(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """Stop it."""
        return status_of((yield from asked(plan, post(f"{self.path}/{quote(job, safe='')}/cancel"))))

    def listed(self, plan: Plan, since: float | None, most: int) -> Flow[tuple[JobInfo, ...]]:
        """The provider's list."""

        def page(at: str | None) -> Flow[tuple[Sequence[JobInfo], str | None]]:
            after = "" if at is None else f"&after_id={quote(at, safe='')}"
            said = yield from asked(plan, get(f"{self.path}?limit={PAGE}{after}"))
            jobs: list[JobInfo] = []
            for job in objects(said.get("data")):
                status = status_of(job)
                made = time_of(job.get("created_at"))
                jobs.append(JobInfo(id=str(job.get("id")), state=status.state, count=status.total, made=made))
            return jobs, jobs[-1].id if jobs and said.get("has_more") else None

        return pages(page, since, most)


def status_of(batch: dict[str, Any]) -> JobStatus:
    counts = {k: number_of(v) for k, v in mapping(batch.get("request_counts")).items()}
    word = str(batch.get("processing_status"))
    state: State = {"in_progress": "running", "canceling": "cancelling"}.get(word, "running")  # type: ignore[assignment]
    if word == "ended":
        state = "done"
        if not counts.get("succeeded") and counts.get("expired"):
            state = "expired"
        elif not counts.get("succeeded") and counts.get("canceled"):
            state = "cancelled"
    known = [n for n in counts.values() if n is not None]
    return JobStatus(
        state=state,
        total=sum(known) if known else None,
        succeeded=counts.get("succeeded"),
        failed=sum(counts.get(k) or 0 for k in ("errored", "canceled", "expired")) if known else None,
        raw=batch,
    )


def line_of(line: dict[str, Any]) -> Line:
    result = mapping(line.get("result"))
    made, kind = str(line.get("custom_id")), str(result.get("type"))
    if kind == "succeeded":
        return Line(id=made, response=refusal(200, result.get("message")))
    if kind == "errored":
        error = mapping(result.get("error"))
        inner = mapping(error.get("error")) or error
        status = _STATUS.get(str(inner.get("type")), 500)
        return Line(
            id=made,
            response=refusal(status, {"type": "error", "error": inner}),
            request_id=string(error.get("request_id")),
        )
    said = {
        "type": "error",
        "error": {"type": f"batch_{kind}", "message": f"the batch's item was {kind} before it was answered"},
    }
    return Line(id=made, response=refusal(504 if kind == "expired" else 499, said))


_STATUS = {
    "invalid_request_error": 400, "authentication_error": 401, "permission_error": 403, "not_found_error": 404,
    "request_too_large": 413, "rate_limit_error": 429, "api_error": 500, "overloaded_error": 529,
}  # fmt: skip
