"""Providers' own batch APIs as flows: submit many calls at once, at half price, and fetch the answers hours later.

What a provider's API looks like stands in `_jobs_openai.py` and its like. A request that could start a second, paid job is never
sent twice unless it is sure that the first did not arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Literal, Protocol

import msgspec
from msgspec.structs import force_setattr

from ._auth import authorised
from ._call import Call, HTTPRequest, HTTPResponse
from ._errors import ChatModelError, ConnectError, ProtocolError, ProviderError, RateLimitError, UsageError
from ._flow import Flow, Send
from ._json import is_object, loads
from ._layers import CACHE, FALLBACK, TELEMETRY, TRACKING, through
from ._mask import mask
from ._messages import AIMessage, HumanMessage
from ._plan import Ledger, Plan
from ._tries import begin, failed
from ._usage import Attempt
from .dialects._base import Dialect
from .dialects._errors import request_id

State = Literal["pending", "running", "cancelling", "done", "cancelled", "expired", "failed"]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that a provider has taken. Keep `id` (or the whole as JSON): that is all it takes to fetch the answers later."""

    id: str
    provider: str
    model: str
    count: int
    label: str | None = None


class JobStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is. `state` is "pending", "running", "cancelling", "done", "cancelled", "expired" or "failed"; the counts are
    of items, None where the provider does not say. `raw` is the provider's word. A cancelled or expired job can have answers."""

    state: State
    total: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    error: str | None = None
    raw: dict[str, Any] = {}

    @property
    def ended(self) -> bool:
        """Nothing more will come."""
        return self.state not in ("pending", "running", "cancelling")


class JobInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A job as the provider's list has it. `label` is None where the provider keeps none; `count` is of its inputs, `made` the time
    at which it was made, in seconds since 1970, both None where the provider does not say."""

    id: str
    state: State
    label: str | None = None
    count: int | None = None
    made: float | None = None


class Item(msgspec.Struct, frozen=True):
    """One call of a job: its id, which comes back with its answer, and the call."""

    id: str
    call: Call


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One result as a provider's API gives it: the item's id, and a whole HTTP answer in its dialect (None: the model's own)."""

    id: str
    response: HTTPResponse
    request_id: str | None = None
    dialect: Dialect | None = None


class Limits(msgspec.Struct, frozen=True):
    """What one job may hold: at most so many items, so many bytes of all requests together, and at least so many items."""

    items: int
    size: int
    least: int = 1


class JobsAPI(Protocol):
    """One provider's batch API. The flows give and take plain values; sending is `exchange`'s.

    `window` is the time within which the provider answers, in seconds. `labelled`: its list of jobs has their labels. `apart`: the
    calls go up before the job is made, so that a refusal of the job is about none of them.
    """

    limits: Limits
    window: float
    labelled: bool
    apart: bool

    def submit(self, plan: Plan, items: Sequence[Item], label: str | None) -> Flow[str]:
        """Hand the calls over -> the job's id."""
        ...

    def status(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """How far it is."""
        ...

    def results(self, plan: Plan, job: str, status: JobStatus) -> Flow[list[Line]]:
        """The results of a job that has ended with this status, in any order."""
        ...

    def cancel(self, plan: Plan, job: str) -> Flow[JobStatus]:
        """Stop it."""
        ...

    def listed(self, plan: Plan, since: float | None, most: int) -> Flow[tuple[JobInfo, ...]]:
        """At most so many of the jobs that were made since then, the newest first."""
        ...


def pages(
    one: Callable[[Any], Flow[tuple[Sequence[JobInfo], Any]]], since: float | None, most: int
) -> Flow[tuple[JobInfo, ...]]:
    """The provider's list, page by page: `one` gives a page's jobs and where the next one begins, None at the end."""
    found: list[JobInfo] = []
    at: Any = None
    while True:
        some, at = yield from one(at)
        kept = [job for job in some if since is None or job.made is None or job.made >= since]
        found += kept
        if at is None or len(found) >= most or (some and not kept):
            return tuple(found[:most])


def submit_flow(api: JobsAPI, plan: Plan, items: Sequence[Item], label: str | None) -> Flow[Job]:
    """Hand the calls over as one job."""
    _check(items, api.limits)
    model = items[0].call.model
    job = yield from api.submit(plan, items, label)
    return Job(id=job, provider=plan.dialect.provider, model=model, count=len(items), label=label)


def _check(items: Sequence[Item], limits: Limits) -> None:
    if not items:
        raise UsageError("a job needs at least one input", argument="inputs")
    if len(items) > limits.items:
        raise UsageError(
            f"a job holds at most {limits.items:,} inputs here, not {len(items):,}: submit them in several jobs (`chunks`)",
            argument="inputs",
        )
    if len(items) < limits.least:
        raise UsageError(
            f"a job holds at least {limits.least:,} inputs here, not {len(items):,}: ask so few in real time",
            argument="inputs",
        )
    ids = [item.id for item in items]
    if len(set(ids)) != len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise UsageError(f"two inputs have the id {twice!r}: results are told apart by it", argument="ids")
    models = {item.call.model for item in items}
    if len(models) > 1:
        raise UsageError(f"the inputs of a job go to one model, not to {sorted(models)}", argument="inputs")


def seen(plan: Plan, call: Call, found: AIMessage | ChatModelError) -> Flow[None]:
    """Show an answer out of a job to those who watch calls (usage tracking, telemetry, the log), as a call that has ended."""
    with suppress(ChatModelError):
        yield from _through(plan, call, found, (TELEMETRY, TRACKING))


def falls_back(plan: Plan) -> bool:
    """Is another model asked when this one fails?"""
    return any(layer.rank == FALLBACK for layer in plan.layers)


def fallen_back(plan: Plan, call: Call, error: ChatModelError) -> Flow[AIMessage]:
    """What the model's fallbacks say to a call that ended in a job with this error, which is raised where they are not for it. Who
    watches calls sees it."""
    return _through(plan, call, error, (TELEMETRY, TRACKING, FALLBACK))


def _through(plan: Plan, call: Call, found: AIMessage | ChatModelError, ranks: tuple[int, ...]) -> Flow[AIMessage]:
    """Through the layers of these ranks, as a call that ends so."""

    def answer(plan: Plan, call: Call) -> Flow[AIMessage]:
        yield from ()
        if isinstance(found, ChatModelError):
            raise found
        return found

    layers = tuple(layer for layer in plan.layers if layer.rank in ranks)
    return through(msgspec.structs.replace(plan, layers=layers), call, answer)


class _Missed(ChatModelError):
    """No cache has it."""


def caches(plan: Plan) -> bool:
    """Is there a cache around this model's calls?"""
    return any(layer.rank == CACHE for layer in plan.layers)


def cached(plan: Plan, call: Call) -> Flow[AIMessage | None]:
    """The answer that a cache around this model's calls has; None where there is none."""
    try:
        return (yield from _through(plan, call, _Missed("no cache has it"), (CACHE,)))
    except _Missed:
        return None


def kept(plan: Plan, call: Call, answer: AIMessage) -> Flow[None]:
    """Put an answer out of a job into the caches around this model's calls."""
    yield from _through(plan, call, answer, (CACHE,))


def results_flow(api: JobsAPI, plan: Plan, job: Job) -> Flow[dict[str, AIMessage | ChatModelError]]:
    """The answers of a job that has ended, by item id: a message, or the error of that item."""
    status = yield from api.status(plan, job.id)
    if not status.ended:
        raise UsageError(f"job {job.id} has not ended, it is {status.state}: wait for it first", argument="job")
    lines: list[Line] = yield from api.results(plan, job.id, status)
    return {line.id: read(plan, job, line) for line in lines}


def read(plan: Plan, job: Job, line: Line) -> AIMessage | ChatModelError:
    """One result through the dialect that a plain answer goes through."""
    response = line.response
    found: AIMessage | ChatModelError
    try:
        dialect = line.dialect or plan.dialect
        found = dialect.decode(response) if response.status < 300 else dialect.decode_error(response)
    except ChatModelError as error:
        found = error
    usage = None
    if isinstance(found, AIMessage) and found.usage is not None:
        # The bodies are those of plain answers, and say nothing of the batch; the price depends on it.
        usage = msgspec.structs.replace(found.usage, raw={**(found.usage.raw or {}), "service_tier": "batch"})
    attempt = Attempt(
        number=1,
        provider=job.provider,
        model=job.model,
        status=response.status,
        request_id=line.request_id,
        outcome="ok" if isinstance(found, AIMessage) else type(found).__name__,
        usage=usage,
    )
    if isinstance(found, AIMessage):
        force_setattr(found, "usage", usage)
        force_setattr(found, "provider", job.provider)
        force_setattr(found, "request_id", line.request_id)
        force_setattr(found, "attempts", (attempt,))
        return found
    found.provider, found.model, found.attempts = job.provider, job.model, (attempt,)
    found.request_id = found.request_id or line.request_id
    return found


# ---- sending

#: A call whose headers are those of every request of a dialect (a version, for instance).
_ANY = Call(model="any", messages=(HumanMessage("any"),))


def exchange(
    plan: Plan,
    request: HTTPRequest,
    *,
    once: bool = False,
    refused: Callable[[HTTPResponse], ProviderError] | None = None,
) -> Flow[HTTPResponse]:
    """Send a request of the API and give its answer, tried again as calls are; with `once` only where it surely did not arrive.
    `refused` reads an error, where that is not in the model's dialect."""
    headers = {**plan.dialect.encode(_ANY).headers, **request.headers}
    request = msgspec.structs.replace(request, headers=headers)
    ledger = Ledger(plan, Call(model=request.path, messages=()), ())
    yield from begin(plan, ledger)
    while True:
        try:
            signed = request if plan.target.authorise is None else (yield from authorised(plan.target, request))
            response: HTTPResponse = yield Send(plan.target, signed, ledger.deadline)
            ledger.request_id = request_id(response.headers)
            if response.status >= 300:
                raise (refused or plan.dialect.decode_error)(response)
            return response
        except ChatModelError as error:
            if once and not isinstance(error, (ConnectError, RateLimitError)):
                mask(error, plan.target.headers, plan.target.authorise)
                raise ledger.blame(error) from None
            yield from failed(plan, ledger, error, None)


def asked(plan: Plan, request: HTTPRequest, *, once: bool = False) -> Flow[dict[str, Any]]:
    """`exchange` where the answer is a JSON object."""
    response = yield from exchange(plan, request, once=once)
    return parsed(response.body, f"{plan.dialect.provider}: the batch")


def parsed(body: bytes, what: str) -> dict[str, Any]:
    """The JSON object in these bytes."""
    try:
        found = loads(body)
    except ValueError as error:
        raise ProtocolError(f"{what} is not JSON") from error
    if not is_object(found):
        raise ProtocolError(f"{what} is no JSON object")
    return found


def refusal(status: int, body: Any) -> HTTPResponse:
    """An error of one item, as the answer that the dialect reads."""
    return HTTPResponse(status=status, body=msgspec.json.encode(body))
