"""The batch API of Amazon Bedrock: the calls go to a file in S3, a job reads it and writes another. Pure flows.

Source: docs.aws.amazon.com/bedrock "Process multiple prompts with batch inference" and botocore's service model of bedrock, checked
2026-11. Where S3 is and who signs is said by who makes it (`_config_jobs.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from ._call import Call
from ._errors import (
    ConnectError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProtocolError,
    TransportError,
    UsageError,
)
from ._flow import RANDOM, Flow, Target
from ._jobs import Item, JobInfo, JobStatus, Limits, Line, State, asked, exchange, pages, refusal
from ._jobs_s3 import S3, Location, location
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
from ._json import loads, mapping, objects, string
from ._plan import Plan
from .dialects._claude import is_claude
from .dialects.anthropic import Anthropic

#: Claude's own format, as InvokeModel takes it: jobs of Converse take no tools.
CLAUDE = Anthropic(path="/model/{model}/invoke", version_in_body="bedrock-2023-05-31", inner_system=False)
#: What a job's name and its token may consist of.
_NAME = re.compile(r"[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,62}")
_INPUT = "input.jsonl"


class Place(msgspec.Struct, frozen=True):
    """Where the files of all jobs go, and the role in whose name Bedrock reads and writes them."""

    folder: Location
    role_arn: str


class BedrockJobs:
    """`/model-invocation-job` at the control plane; the requests and the answers are files in S3.

    A job has as many records as the service's quotas say: 100 at least, 50,000 at most. Of the gigabyte that a file may have a
    quarter is used, as the output repeats the input and is read as a whole.
    """

    limits = Limits(50_000, 256_000_000, 100)
    window, labelled, apart = DAY, True, True
    states: ClassVar[dict[str, State]] = {
        "Submitted": "pending", "Validating": "pending", "Scheduled": "pending", "InProgress": "running",
        "Completed": "done", "PartiallyCompleted": "expired", "Expired": "expired", "Failed": "failed",
        "Stopping": "cancelling", "Stopped": "cancelled",
    }  # fmt: skip

    def __init__(self, place: Callable[[], Place | None], control: Target, s3: S3) -> None:
        """`place` says what is missing where it has none."""
        self._place, self._control, self._s3 = place, control, s3

    def submit(self, plan: Plan, items: Sequence[Item], label: str | None) -> Flow[str]:
        """Put the calls into S3, and make the job. Its token makes it safe to ask for it again."""
        place = self._place()
        if place is None:
            raise UsageError("a job of Bedrock needs s3= and role_arn=", argument="s3")
        name = _checked(label or "chatmodels")
        kind, headers, bodies = _bodies(plan, items)
        data = b"".join(
            b'{"recordId":' + msgspec.json.encode(item.id) + b',"modelInput":' + body + b"}\n"
            for item, body in zip(items, bodies, strict=True)
        )
        check_fits(data, self.limits)
        first: float = yield RANDOM
        second: float = yield RANDOM
        token = f"{name}-{int(first * 2**48):012x}{int(second * 2**48):012x}"
        folder = place.folder / token
        try:
            yield from self._s3.put(plan, folder / _INPUT, data)
        except (TransportError, OverloadedError) as error:  # of the job itself nothing has been sent
            raise ConnectError(f"the calls could not be put into S3: {error}") from error
        made = {
            "jobName": label or token,
            "clientRequestToken": token,
            "roleArn": place.role_arn,
            "modelId": items[0].call.model,
            "modelInvocationType": kind,
            "inputDataConfig": {"s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": str(folder / _INPUT)}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"{folder / 'output'}/"}},
            "timeoutDurationInHours": int(self.window // 3600),
        }
        job = yield from asked(self._plan(plan), post("/model-invocation-job", made, headers))
        if not string(job.get("jobArn")):
            raise ProtocolError("bedrock: the answer to CreateModelInvocationJob has no jobArn")
        return str(job["jobArn"])

    def _plan(self, plan: Plan) -> Plan:
        return msgspec.structs.replace(plan, target=self._control)

    def status(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """How far it is."""
        return self._status((yield from asked(self._plan(plan), get(_path(job)))))

    def _status(self, job: dict[str, Any]) -> JobStatus:
        names = ("totalRecordCount", "successRecordCount", "errorRecordCount")
        state = self.states.get(str(job.get("status")), "running")
        return counted(job, state, job, names, string(job.get("message")) or None)

    def results(self, plan: Plan, job: str, status: JobStatus) -> Flow[list[Line]]:
        """The lines of the output file. One that was stopped, has expired or failed may have none."""
        said = status.raw
        source = string(mapping(mapping(said.get("inputDataConfig")).get("s3InputDataConfig")).get("s3Uri")) or ""
        folder = string(mapping(mapping(said.get("outputDataConfig")).get("s3OutputDataConfig")).get("s3Uri")) or ""
        if not source.endswith(".jsonl"):
            raise UsageError(
                f"the input of job {job} is not one file but the folder {source}: read its output in {folder}",
                argument="job",
            )
        where = location(folder, "s3") / _id(job) / f"{source.rpartition('/')[2]}.out"
        try:
            data = yield from self._s3.get(plan, where)
        except (NotFoundError, PermissionDeniedError):  # S3 says 403 of a file that is not there, to who may not list
            if status.state == "done":
                raise
            return []
        dialect = CLAUDE if said.get("modelInvocationType") == "InvokeModel" else None
        return [line_of(line, dialect) for line in lines_in(data)]

    def cancel(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """Stop it."""
        yield from exchange(self._plan(plan), post(f"{_path(job)}/stop"))
        return (yield from self.status(plan, job))

    def listed(self, plan: Plan, since: float | None, most: int) -> Flow[tuple[JobInfo, ...]]:
        """The provider's list."""
        after = "" if since is None else f"&submitTimeAfter={_stamp(since)}"

        def page(at: str | None) -> Flow[tuple[Sequence[JobInfo], str | None]]:
            then = "" if at is None else f"&nextToken={quote(at, safe='')}"
            path = f"/model-invocation-jobs?maxResults={PAGE}&sortBy=CreationTime&sortOrder=Descending{after}{then}"
            said = yield from asked(self._plan(plan), get(path))
            jobs = [self._info(job) for job in objects(said.get("invocationJobSummaries"))]
            return jobs, string(said.get("nextToken")) or None

        return pages(page, since, most)

    def _info(self, job: dict[str, Any]) -> JobInfo:
        return info_of(self._status(job), job.get("jobArn"), job.get("jobName"), job.get("submitTime"))


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None or len(name) > 63:
        raise UsageError(
            f"the label {name!r} is not taken by Bedrock: letters, digits and - between them, at most 63",
            argument="label",
        )
    return name


def _id(job: str) -> str:
    """The last part of an ARN, which is all that a path needs."""
    return job.rpartition("/")[2]


def _path(job: str) -> str:
    return f"/model-invocation-job/{quote(_id(job), safe='')}"


def _stamp(seconds: float) -> str:
    return quote(datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), safe="")


# ---- the requests


def has_tools(body: bytes) -> bool:
    """Does a body of Converse have tools? Looking for the name first spares the parsing of most."""
    return b'"toolConfig"' in body and "toolConfig" in loads(body)


def takes_tools(model: str) -> bool:
    """Is there a way to hand tools to this model in a job?"""
    return is_claude(model)


def no_tools() -> UsageError:
    return UsageError(
        "Bedrock's batches take tools (and output types that need one) of Claude only: ask in real time, without via=",
        argument="tools",
    )


def _bodies(plan: Plan, items: Sequence[Item]) -> tuple[str, dict[str, str], list[bytes]]:
    """(the job's type, the headers of its making, each item's `modelInput`). A job of Converse takes no tools (its records fail
    with 400): with them Claude is asked in its own format, and no other model can be."""
    calls = encoded(plan, items)
    if any(b'"s3Location"' in body for body in calls.bodies):
        raise UsageError(
            "an item has media at an s3:// address, which a job reads from its own folder only: give the bytes, or ask in real "
            "time",
            argument="inputs",
        )
    if not any(map(has_tools, calls.bodies)):
        return "Converse", calls.headers, calls.bodies
    if not takes_tools(items[0].call.model):
        raise no_tools()
    return "InvokeModel", {}, [_claude_body(item.call) for item in items]


def _claude_body(call: Call) -> bytes:
    """A body of InvokeModel: what is a header elsewhere stands in it."""
    request = CLAUDE.encode(msgspec.structs.replace(call, stream=False))
    betas = request.headers.get("anthropic-beta")
    if not betas:
        return request.body
    return msgspec.json.encode({**loads(request.body), "anthropic_beta": betas.split(",")})


# ---- the results


def line_of(line: dict[str, Any], dialect: Anthropic | None) -> Line:
    """One line of an output file: an answer, or an error with a status as its code."""
    made, answer = str(line.get("recordId")), line.get("modelOutput")
    if answer is not None:
        return Line(id=made, response=refusal(200, answer), dialect=dialect)
    error = mapping(line.get("error"))
    status = number_of(error.get("errorCode")) or 500
    said: dict[str, Any] = {"message": string(error.get("errorMessage")) or "no message"}
    if error.get("expired") is True:
        said["code"] = "batch_expired"
    return Line(id=made, response=refusal(status if 400 <= status < 600 else 500, said))
