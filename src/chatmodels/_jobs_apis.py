"""The batch APIs of OpenAI (and hosts that copied it), Anthropic, Google and Mistral; docs and recorded traffic, checked 2026-11.

Pure flows over `_jobs.exchange`; one class each, one small function per step.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import msgspec

from ._call import HTTPRequest
from ._calls import Plan
from ._errors import UsageError
from ._flow import Flow
from ._jobs import (
    Item,
    JobInfo,
    JobsAPI,
    JobStatus,
    Limits,
    Line,
    State,
    asked,
    exchange,
    pages,
    parsed,
    refusal,
)
from ._json import is_object, loads, mapping, objects, string

_JSONL = re.compile(rb"[^\r\n]+")


def api_of(provider: str) -> JobsAPI:
    """The batch API of a provider; a UsageError names those that have one."""
    found = APIS.get(provider)
    if found is None:
        raise UsageError(
            f"{provider} has no batch API that is known here; {', '.join(APIS)} have one",
            argument="model",
            provider=provider,
        )
    return found


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


def _get(path: str) -> HTTPRequest:
    return HTTPRequest(method="GET", path=path)


def _post(path: str, body: Any = None, headers: dict[str, str] | None = None) -> HTTPRequest:
    return HTTPRequest(path=path, body=b"{}" if body is None else msgspec.json.encode(body), headers=headers or {})


def _lines(data: bytes) -> Iterable[dict[str, Any]]:
    return (parsed(line, "a line of the results") for line in _JSONL.findall(data) if line.strip())


def _number(value: Any) -> int | None:
    """A count, which some APIs write as text."""
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None


#: Every provider here answers within a day.
DAY = 86_400.0
#: Jobs on a page of a list.
PAGE = 100


def _time(value: Any) -> float | None:
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


class OpenAIJobs:
    """`/files` and `/batches`: a JSONL file goes up, a batch is made of it, its output and error files come down."""

    limits = Limits(50_000, 200_000_000)
    window, labelled = DAY, True
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
        _fits(data, self.limits)
        uploaded = yield from asked(plan, upload("/files", data, {"purpose": "batch"}))
        made: dict[str, Any] = {
            "input_file_id": uploaded.get("id"),
            "endpoint": prefix + path,
            "completion_window": "24h",
        }
        if label is not None:
            made["metadata"] = {"label": label}
        batch = yield from asked(plan, _post("/batches", made), once=True)
        return str(batch.get("id"))

    def status(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """How far it is."""
        return self._status((yield from asked(plan, _get(f"/batches/{quote(job, safe='')}"))))

    def _status(self, batch: dict[str, Any]) -> JobStatus:
        counts = mapping(batch.get("request_counts"))
        wrong = [string(e.get("message")) or "" for e in objects(mapping(batch.get("errors")).get("data"))]
        return JobStatus(
            state=self.states.get(str(batch.get("status")), "running"),
            total=_number(counts.get("total")),
            succeeded=_number(counts.get("completed")),
            failed=_number(counts.get("failed")),
            error="; ".join(wrong) or None,
            raw=batch,
        )

    def results(self, plan: Plan, job: str, status: JobStatus) -> Flow[list[Line]]:
        """The lines of the output file and of the error file."""
        found: list[Line] = []
        for kind in ("output_file_id", "error_file_id"):
            file = string(status.raw.get(kind))
            if file:
                response = yield from exchange(plan, _get(f"/files/{quote(file, safe='')}/content"))
                found += [openai_line(line) for line in _lines(response.body)]
        return found

    def cancel(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """Stop it."""
        return self._status((yield from asked(plan, _post(f"/batches/{quote(job, safe='')}/cancel"))))

    def listed(self, plan: Plan, since: float | None, most: int) -> Flow[tuple[JobInfo, ...]]:
        """The provider's list."""

        def page(at: str | None) -> Flow[tuple[Sequence[JobInfo], str | None]]:
            after = "" if at is None else f"&after={quote(at, safe='')}"
            said = yield from asked(plan, _get(f"/batches?limit={PAGE}{after}"))
            jobs = [self._info(job) for job in objects(said.get("data"))]
            return jobs, jobs[-1].id if jobs and said.get("has_more") else None

        return pages(page, since, most)

    def _info(self, batch: dict[str, Any]) -> JobInfo:
        status = self._status(batch)
        label = string(mapping(batch.get("metadata")).get("label"))
        return JobInfo(
            id=str(batch.get("id")),
            state=status.state,
            label=label,
            count=status.total or None,
            made=_time(batch.get("created_at")),
        )


def openai_line(line: dict[str, Any]) -> Line:
    """One line of an output or error file, which Mistral writes as well."""
    response, error = mapping(line.get("response")), line.get("error")
    made = str(line.get("custom_id"))
    if not response or (is_object(error) and error and "body" not in response):
        return Line(id=made, response=refusal(_STATUS.get(str(mapping(error).get("code")), 500), {"error": error}))
    body = response.get("body")
    status = _number(response.get("status_code")) or 200
    return Line(id=made, response=refusal(status, body), request_id=string(response.get("request_id")))


#: What an error code of a batch means as an HTTP status.
_STATUS = {"batch_expired": 504, "batch_cancelled": 499}


class AnthropicJobs:
    """`/v1/messages/batches`: the calls go up in the request, the results come down as JSONL."""

    limits = Limits(100_000, 256_000_000)
    window, labelled = DAY, False
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
        _fits(data, self.limits)
        batch = yield from asked(plan, HTTPRequest(path=self.path, body=data, headers=calls.headers), once=True)
        return str(batch.get("id"))

    def status(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """How far it is."""
        return _anthropic_status((yield from asked(plan, _get(f"{self.path}/{quote(job, safe='')}"))))

    def results(self, plan: Plan, job: str, status: JobStatus) -> Flow[list[Line]]:
        """The lines of the results."""
        response = yield from exchange(plan, _get(f"{self.path}/{quote(job, safe='')}/results"))
        return [_anthropic_line(line) for line in _lines(response.body)]

    def cancel(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """Stop it."""
        return _anthropic_status((yield from asked(plan, _post(f"{self.path}/{quote(job, safe='')}/cancel"))))

    def listed(self, plan: Plan, since: float | None, most: int) -> Flow[tuple[JobInfo, ...]]:
        """The provider's list."""

        def page(at: str | None) -> Flow[tuple[Sequence[JobInfo], str | None]]:
            after = "" if at is None else f"&after_id={quote(at, safe='')}"
            said = yield from asked(plan, _get(f"{self.path}?limit={PAGE}{after}"))
            jobs: list[JobInfo] = []
            for job in objects(said.get("data")):
                status = _anthropic_status(job)
                made = _time(job.get("created_at"))
                jobs.append(JobInfo(id=str(job.get("id")), state=status.state, count=status.total, made=made))
            return jobs, jobs[-1].id if jobs and said.get("has_more") else None

        return pages(page, since, most)


def _anthropic_status(batch: dict[str, Any]) -> JobStatus:
    counts = {k: _number(v) for k, v in mapping(batch.get("request_counts")).items()}
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


def _anthropic_line(line: dict[str, Any]) -> Line:
    result = mapping(line.get("result"))
    made, kind = str(line.get("custom_id")), str(result.get("type"))
    if kind == "succeeded":
        return Line(id=made, response=refusal(200, result.get("message")))
    if kind == "errored":
        error = mapping(result.get("error"))
        inner = mapping(error.get("error")) or error
        status = _ANTHROPIC_STATUS.get(str(inner.get("type")), 500)
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


_ANTHROPIC_STATUS = {
    "invalid_request_error": 400, "authentication_error": 401, "permission_error": 403, "not_found_error": 404,
    "request_too_large": 413, "rate_limit_error": 429, "api_error": 500, "overloaded_error": 529,
}  # fmt: skip


class GoogleJobs:
    """`models/X:batchGenerateContent` with the calls in the request; the answers stand in the finished operation."""

    limits = Limits(1_000_000, 20_000_000)  # of items no limit is written down
    window, labelled = DAY, True
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
        _fits(data, self.limits)
        path = calls.path.partition(":")[0] + ":batchGenerateContent"
        batch = yield from asked(plan, HTTPRequest(path=path, body=data, headers=calls.headers), once=True)
        return str(batch.get("name"))

    def status(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """How far it is."""
        return self._status((yield from asked(plan, _get(f"/v1beta/{quote(job)}"))))

    def _status(self, operation: dict[str, Any]) -> JobStatus:
        about = mapping(operation.get("metadata"))
        counts = mapping(about.get("batchStats"))
        word = str(about.get("state") or operation.get("state") or "").rpartition("STATE_")[2]
        return JobStatus(
            state=self.states.get(word, "running"),
            total=_number(counts.get("requestCount")),
            succeeded=_number(counts.get("successfulRequestCount")),
            failed=_number(counts.get("failedRequestCount")),
            error=string(mapping(operation.get("error")).get("message")),
            raw=operation,
        )

    def results(self, plan: Plan, job: str, status: JobStatus) -> Flow[list[Line]]:
        """The answers in the operation, or in the file that it names."""
        output = mapping(status.raw.get("response")) or mapping(mapping(status.raw.get("metadata")).get("output"))
        file = string(output.get("responsesFile"))
        if file:
            response = yield from exchange(plan, _get(f"/download/v1beta/{quote(file)}:download?alt=media"))
            return [_google_line(n, line) for n, line in enumerate(_lines(response.body))]
        inlined = output.get("inlinedResponses")
        listed = objects(mapping(inlined).get("inlinedResponses") if is_object(inlined) else inlined)
        return [_google_line(n, line) for n, line in enumerate(listed)]

    def cancel(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """Stop it."""
        yield from exchange(plan, _post(f"/v1beta/{quote(job)}:cancel"))
        return (yield from self.status(plan, job))

    def listed(self, plan: Plan, since: float | None, most: int) -> Flow[tuple[JobInfo, ...]]:
        """The provider's list."""

        def page(at: str | None) -> Flow[tuple[Sequence[JobInfo], str | None]]:
            after = "" if at is None else f"&pageToken={quote(at, safe='')}"
            said = yield from asked(plan, _get(f"/v1beta/batches?pageSize={PAGE}{after}"))
            jobs = [self._info(job) for job in objects(said.get("operations"))]
            return jobs, string(said.get("nextPageToken")) or None

        return pages(page, since, most)

    def _info(self, operation: dict[str, Any]) -> JobInfo:
        status, about = self._status(operation), mapping(operation.get("metadata"))
        return JobInfo(
            id=str(operation.get("name")),
            state=status.state,
            label=string(about.get("displayName")),
            count=status.total,
            made=_time(about.get("createTime")),
        )


def _google_line(number: int, line: dict[str, Any]) -> Line:
    made = string(mapping(line.get("metadata")).get("key")) or string(line.get("key")) or str(number)
    error = line.get("error")
    if is_object(error) and error:
        code = _number(error.get("code")) or 500
        return Line(id=made, response=refusal(_GRPC.get(code, code if code >= 400 else 500), {"error": error}))
    return Line(id=made, response=refusal(200, line.get("response")))


#: Status codes of gRPC that Google writes in place of HTTP's.
_GRPC = {1: 499, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 13: 500, 14: 503, 16: 401}


class MistralJobs:
    """`/batch/jobs` with the calls in the request; the answers stand in the job, or in its files."""

    limits = Limits(10_000, 100_000_000)
    window, labelled = DAY, True
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
        request = _post(self._base(plan) + "/batch/jobs", made, calls.headers)
        _fits(request.body, self.limits)
        return str((yield from asked(plan, request, once=True)).get("id"))

    def _base(self, plan: Plan) -> str:
        """What stands before a path: the rows differ in whether the address has the version in it."""
        return "" if "/v1" in urlsplit(plan.target.base_url).path else "/v1"

    def status(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """How far it is."""
        return self._status((yield from asked(plan, _get(f"{self._base(plan)}/batch/jobs/{quote(job, safe='')}"))))

    def _status(self, job: dict[str, Any]) -> JobStatus:
        wrong = [string(e.get("message")) or "" for e in objects(job.get("errors"))]
        return JobStatus(
            state=self.states.get(str(job.get("status")), "running"),
            total=_number(job.get("total_requests")),
            succeeded=_number(job.get("succeeded_requests")),
            failed=_number(job.get("failed_requests")),
            error="; ".join(wrong) or None,
            raw=job,
        )

    def results(self, plan: Plan, job: str, status: JobStatus) -> Flow[list[Line]]:
        """The answers in the job, or in its files."""
        outputs = objects(status.raw.get("outputs"))
        if outputs:
            return [openai_line(line) for line in outputs]
        found: list[Line] = []
        for kind in ("output_file", "error_file"):
            file = string(status.raw.get(kind))
            if file:
                response = yield from exchange(plan, _get(f"{self._base(plan)}/files/{quote(file, safe='')}/content"))
                found += [openai_line(line) for line in _lines(response.body)]
        return found

    def cancel(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """Stop it."""
        path = f"{self._base(plan)}/batch/jobs/{quote(job, safe='')}/cancel"
        return self._status((yield from asked(plan, _post(path))))

    def listed(self, plan: Plan, since: float | None, most: int) -> Flow[tuple[JobInfo, ...]]:
        """The provider's list."""

        def page(at: int | None) -> Flow[tuple[Sequence[JobInfo], int | None]]:
            number = at or 0
            said = yield from asked(plan, _get(f"{self._base(plan)}/batch/jobs?page={number}&page_size={PAGE}"))
            jobs = [self._info(job) for job in objects(said.get("data"))]
            return jobs, number + 1 if len(jobs) == PAGE else None

        return pages(page, since, most)

    def _info(self, job: dict[str, Any]) -> JobInfo:
        status = self._status(job)
        return JobInfo(
            id=str(job.get("id")),
            state=status.state,
            label=string(mapping(job.get("metadata")).get("label")),
            count=status.total or None,
            made=_time(job.get("created_at")),
        )


def _fits(data: bytes, limits: Limits) -> None:
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


_OPENAI = OpenAIJobs()
APIS: dict[str, JobsAPI] = {
    "openai": _OPENAI,
    "openai-responses": _OPENAI,
    "groq": _OPENAI,
    "anthropic": AnthropicJobs(),
    "google": GoogleJobs(),
    "mistral": MistralJobs(),
}
