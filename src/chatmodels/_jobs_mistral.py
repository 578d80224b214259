"""The batch API of Mistral; docs and recorded traffic, checked 2026-11. Pure flows over `_jobs.exchange`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from ._flow import Flow
from ._jobs import Item, JobInfo, JobStatus, Limits, Line, State, asked, pages
from ._jobs_openai import openai_line
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
    post,
)
from ._json import loads, mapping, objects, string
from ._plan import Plan


class MistralJobs:
    """`/batch/jobs` with the calls in the request; the answers stand in the job, or in its files."""

    limits = Limits(10_000, 100_000_000)
    window, labelled, apart = DAY, True, False
    states: ClassVar[dict[str, State]] = {
        "QUEUED": "pending", "RUNNING": "running", "SUCCESS": "done", "FAILED": "failed", "TIMEOUT_EXCEEDED": "expired",
        "CANCELLATION_REQUESTED": "cancelling", "CANCELLED": "cancelled",
    }  # fmt: skip

    def submit(self, plan: Plan, items: Sequence[Item], label: str | None) -> Flow[str]:
        """Make the job."""
        calls = encoded(plan, items)
        requests: list[dict[str, Any]] = []
        for item, data in zip(items, calls.bodies, strict=True):
            body = {k: v for k, v in loads(data).items() if k not in ("model", "stream")}
            requests.append({"custom_id": item.id, "body": body})
        made: dict[str, Any] = {
            "endpoint": "/v1" + calls.path.removeprefix("/v1"),
            "model": items[0].call.model,
            "requests": requests,
        }
        if label is not None:
            made["metadata"] = {"label": label}
        request = post(self._base(plan) + "/batch/jobs", made, calls.headers)
        check_fits(request.body, self.limits)
        return str((yield from asked(plan, request, once=True)).get("id"))

    def _base(self, plan: Plan) -> str:
        """What stands before a path: the rows differ in whether the address has the version in it."""
        return "" if "/v1" in urlsplit(plan.target.base_url).path else "/v1"

    def status(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """How far it is."""
        return self._status((yield from asked(plan, get(f"{self._base(plan)}/batch/jobs/{quote(job, safe='')}"))))

    def _status(self, job: dict[str, Any]) -> JobStatus:
        names = ("total_requests", "succeeded_requests", "failed_requests")
        state = self.states.get(str(job.get("status")), "running")
        return counted(job, state, job, names, messages_in(job.get("errors")))

    def results(self, plan: Plan, job: str, status: JobStatus) -> Flow[list[Line]]:
        """The answers in the job, or in its files."""
        outputs = objects(status.raw.get("outputs"))
        if outputs:
            return [openai_line(line) for line in outputs]
        files = [string(status.raw.get(kind)) for kind in ("output_file", "error_file")]
        paths = [f"{self._base(plan)}/files/{quote(file, safe='')}/content" for file in files if file]
        return (yield from lines_of(plan, paths, openai_line))

    def cancel(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """Stop it."""
        path = f"{self._base(plan)}/batch/jobs/{quote(job, safe='')}/cancel"
        return self._status((yield from asked(plan, post(path))))

    def listed(self, plan: Plan, since: float | None, most: int) -> Flow[tuple[JobInfo, ...]]:
        """The provider's list."""

        def page(at: int | None) -> Flow[tuple[Sequence[JobInfo], int | None]]:
            number = at or 0
            said = yield from asked(plan, get(f"{self._base(plan)}/batch/jobs?page={number}&page_size={PAGE}"))
            jobs = [self._info(job) for job in objects(said.get("data"))]
            return jobs, number + 1 if len(jobs) == PAGE else None

        return pages(page, since, most)

    def _info(self, job: dict[str, Any]) -> JobInfo:
        return info_of(
            self._status(job), job.get("id"), mapping(job.get("metadata")).get("label"), job.get("created_at")
        )
