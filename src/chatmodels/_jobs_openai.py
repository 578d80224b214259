"""The batch API of OpenAI and of hosts that copied it; docs and recorded traffic, checked 2026-11.

Pure flows over `_jobs.exchange`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import msgspec

from ._flow import Flow
from ._jobs import Item, JobInfo, JobStatus, Limits, Line, State, asked, pages, refusal
from ._jobs_wire import (
    DAY,
    PAGE,
    check_fits,
    counted,
    encoded,
    get,
    info_of,
    lines_of,
    messages_in,
    number_of,
    post,
    upload,
)
from ._json import is_object, mapping, objects, string
from ._plan import Plan


class OpenAIJobs:
    """`/files` and `/batches`: a JSONL file goes up, a batch is made of it, its output and error files come down."""

    limits = Limits(50_000, 200_000_000)
    window, labelled, apart = DAY, True, False
    states: ClassVar[dict[str, State]] = {
        "validating": "pending", "in_progress": "running", "finalizing": "running", "completed": "done", "failed": "failed",
        "expired": "expired", "cancelling": "cancelling", "cancelled": "cancelled",
    }  # fmt: skip

    def submit(self, plan: Plan, items: Sequence[Item], label: str | None) -> Flow[str]:
        """Upload the calls, and make the batch."""
        prefix = urlsplit(plan.target.base_url).path.rstrip("/")
        prefix = prefix[prefix.index("/v1") :] if "/v1" in prefix else prefix
        calls = encoded(plan, items)
        path = calls.path
        lines: list[bytes] = []
        for item, body in zip(items, calls.bodies, strict=True):
            head = msgspec.json.encode({"custom_id": item.id, "method": "POST", "url": prefix + path})
            lines.append(head[:-1] + b',"body":' + body + b"}\n")
        data = b"".join(lines)
        check_fits(data, self.limits)
        uploaded = yield from asked(plan, upload("/files", data, {"purpose": "batch"}))
        made: dict[str, Any] = {
            "input_file_id": uploaded.get("id"),
            "endpoint": prefix + path,
            "completion_window": "24h",
        }
        if label is not None:
            made["metadata"] = {"label": label}
        batch = yield from asked(plan, post("/batches", made), once=True)
        return str(batch.get("id"))

    def status(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """How far it is."""
        return self._status((yield from asked(plan, get(f"/batches/{quote(job, safe='')}"))))

    def _status(self, batch: dict[str, Any]) -> JobStatus:
        state = self.states.get(str(batch.get("status")), "running")
        counts, error = mapping(batch.get("request_counts")), messages_in(mapping(batch.get("errors")).get("data"))
        return counted(batch, state, counts, ("total", "completed", "failed"), error)

    def results(self, plan: Plan, job: str, status: JobStatus) -> Flow[list[Line]]:
        """The lines of the output file and of the error file."""
        files = [string(status.raw.get(kind)) for kind in ("output_file_id", "error_file_id")]
        return lines_of(plan, [f"/files/{quote(file, safe='')}/content" for file in files if file], openai_line)

    def cancel(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """Stop it."""
        return self._status((yield from asked(plan, post(f"/batches/{quote(job, safe='')}/cancel"))))

    def listed(self, plan: Plan, since: float | None, most: int) -> Flow[tuple[JobInfo, ...]]:
        """The provider's list."""

        def page(at: str | None) -> Flow[tuple[Sequence[JobInfo], str | None]]:
            after = "" if at is None else f"&after={quote(at, safe='')}"
            said = yield from asked(plan, get(f"/batches?limit={PAGE}{after}"))
            jobs = [self._info(job) for job in objects(said.get("data"))]
            return jobs, jobs[-1].id if jobs and said.get("has_more") else None

        return pages(page, since, most)

    def _info(self, batch: dict[str, Any]) -> JobInfo:
        label = mapping(batch.get("metadata")).get("label")
        return info_of(self._status(batch), batch.get("id"), label, batch.get("created_at"))


def openai_line(line: dict[str, Any]) -> Line:
    """One line of an output or error file, which Mistral writes as well."""
    response, error = mapping(line.get("response")), line.get("error")
    made = str(line.get("custom_id"))
    if not response or (is_object(error) and error and "body" not in response):
        return Line(id=made, response=refusal(_STATUS.get(str(mapping(error).get("code")), 500), {"error": error}))
    body = response.get("body")
    status = number_of(response.get("status_code")) or 200
    return Line(id=made, response=refusal(status, body), request_id=string(response.get("request_id")))


#: What an error code of a batch means as an HTTP status.
_STATUS = {"batch_expired": 504, "batch_cancelled": 499}
