"""What a batch will take, before it is run: a sample of its items is asked, and tokens, cost and time are reckoned from it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, TypeVar

import msgspec

from .._call import Call
from .._checks import whole
from .._errors import UsageError
from .._flow import NOW, WALL_CLOCK, Flow
from .._json import encode
from .._layers import TryLayer
from .._limits import Limits
from .._limits_headers import Kind, quotas, says_quota
from .._limits_window import MINUTE
from .._messages import AIMessage
from .._plan import Ledger, Plan
from ._filled import prompt_of
from ._forecast import Range, total, wall
from ._items import item_of, items_in
from ._prices import price_of
from ._record import BatchRecord
from ._run import _asked, run_batch
from ._via import via_of
from ._words import counted, dollars

__all__ = ["Estimate", "Range", "estimate_batch"]
T = TypeVar("T")

#: Options of `run_batch` that are of no use for a sample.
_OF_THE_WHOLE = (
    "out",
    "journal",
    "report",
    "metrics",
    "progress",
    "retry_failed",
    "engine",
    "max_cost",
    "max_tokens",
    "ordered",
)


#: Tokens that the provider does not count.
_UNKNOWN = Range(0.0, 0.0, math.inf)


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What `items` items will take, from `sample` of them, which were asked and paid for (`failed` of these had errors).

    Tokens and `cost` (US dollars) are for all items. `cost` is None where no price is known: `cost_unknown` says why; it is a lower
    bound where `cost_omits` names what has no price. `via` is "provider" where the items would go through the provider's batch
    API: then the cost is at its prices, and `seconds` is None, as the provider takes its time (`window`, in seconds, for a job).
    Else `seconds` is the time that they take with the given number of calls in flight and within the limits that are known, of
    the model (`with_limits`) and from the provider's headers, if the provider keeps its pace.
    """

    items: int
    sample: int
    failed: int
    input_tokens: Range
    output_tokens: Range
    seconds: Range | None = None
    cost: Range | None = None
    cost_unknown: str | None = None
    cost_omits: tuple[str, ...] = ()
    via: str | None = None
    window: float | None = None

    def __str__(self) -> str:
        if self.cost is None:
            cost = f"cost unknown ({self.cost_unknown})"
        else:
            cost = f"{'at least ' if self.cost_omits else ''}{_money(self.cost)}"
        if self.seconds is None:
            time = f"through the provider's batch API: up to {(self.window or 0) / 3600:g} hours a job"
        else:
            time = _spoken(self.seconds)
        return (
            f"{counted(self.items, 'item')} (from {self.sample}, {self.failed} failed): {self.input_tokens} tokens in, "
            f"{self.output_tokens} out, {cost}, {time}"
        )


def _money(cost: Range) -> str:
    return f"{dollars(cost.mean)} ({dollars(cost.low)} to {dollars(cost.high)})"


def _spoken(seconds: Range) -> str:
    """In a unit that fits."""
    unit, name = next((u, n) for u, n in ((3600, "h"), (60, "min"), (1, "s")) if seconds.mean >= 2 * u or u == 1)
    return f"{Range(seconds.mean / unit, seconds.low / unit, seconds.high / unit)} {name}"


def estimate_batch(model: Any, items: Any, *, sample: int = 20, **options: Any) -> Estimate:
    """Ask `sample` items, spread over all, and reckon from them. `items`: a list, or the path of a file (it is read twice).

    Takes the options of `run_batch` that say how to call (`max_concurrency`, `system`, `prices`, `format`, `via`, ...); those about
    its output, journal and caps are left aside. The sample's calls are real ones, in real time, also with `via`. A range is where
    the truth lies in 95 of 100 cases if the items are as different as those of the sample; it knows nothing of trends. What happens
    once in a thousand items is not in a sample of twenty: where lengths are very skewed, take 50 or more.

    A `UsageError` where the sample could not be asked: a wrong key, an unknown model, nothing but failures.

    >>> print(estimate_batch("openai:gpt-4o-mini", "in.jsonl"))  # doctest: +SKIP
    """
    whole("sample", sample, least=2)
    if items == "-" or not (hasattr(items, "__len__") or hasattr(items, "__fspath__")):
        raise UsageError("an estimate reads the items twice: give a list, or the path of a file", argument="items")
    options = {name: value for name, value in options.items() if name not in _OF_THE_WHOLE}
    given, jobs = (
        (options.pop("format", None), prompt_of(options.pop("prompt", None))),
        {n: options.pop(n, None) for n in ("within", "job_size", "max_jobs", "poll", "s3", "role_arn")},
    )
    prices, way = options.get("prices"), options.pop("via", None)
    chat = _asked(model)[0]
    made = via_of(chat, way, under_way=False, prices=prices, **jobs)
    picked = _picked(lambda: items_in(items, *given), sample)
    told = Told()
    records: list[BatchRecord] = []
    asked = chat if isinstance(model, str) else model
    summary = run_batch(asked.with_layer(told), picked.items, **{**options, "out": records.append, "journal": False})
    if summary.stopped is not None or not summary.done:
        first = next((r.error for r in records if r.error is not None), None)
        why = summary.reason or (f"{first.type}: {first.message}" if first is not None else "no item has an answer")
        raise UsageError(
            f"the sample of {counted(len(picked.items), 'item')} could not be asked: {why}", argument="model"
        )
    records.sort(key=lambda r: r.index)
    tokens = _tokens(records, picked)
    shared: dict[str, Any] = {
        "items": picked.all, "sample": len(records), "failed": summary.failed,
        "input_tokens": tokens[0], "output_tokens": tokens[1],
        **_cost(chat, prices, records, picked, batch=made is not None),
    }  # fmt: skip
    if made is not None:
        return Estimate(via="provider", window=made.api.window, **shared)
    limits = [layer.limiter for layer in chat._plan().tries if isinstance(layer, Limits)]
    found = _seconds(records, picked, limits, options.get("max_concurrency", 50))
    calls = float(picked.all) * sum([r.seconds is not None for r in records]) / len(records)
    return Estimate(seconds=_limited(found, Range(calls, calls, calls), _sum(*tokens), limits, told), **shared)


class Picked(NamedTuple):
    """The sample, the size of each in it, the number of all items, and their mean size."""

    items: list[Any]
    sizes: list[float]
    all: int
    mean_size: float

    def total(self, values: list[float]) -> Range:
        """The total over all items, of which these are the sample's values."""
        return total(values, self.all, self.sizes, self.mean_size)


def _picked(read: Callable[[], Iterable[Any]], sample: int) -> Picked:
    """One item of each stretch of the input, by lot: what comes in turns there does not come in step with the sample."""
    count, size = 0, 0.0
    for item in read():
        count += 1
        size += _size(item)
    if not count:
        raise UsageError("there are no items", argument="items")
    luck = random.Random(count)
    edges = [i * count // sample for i in range(sample + 1)]
    wanted = {luck.randrange(low, high) for low, high in pairwise(edges) if high > low}
    items = [item for at, item in enumerate(read()) if at in wanted]
    return Picked(items, [_size(item) for item in items], count, size / count)


def _size(given: Any) -> float:
    """How long it is, in bytes or so."""
    found = item_of(given).input
    if isinstance(found, str):
        return float(len(found))
    try:
        return float(len(encode(found)))
    except TypeError:
        return float(len(repr(found)))


def _called(record: BatchRecord) -> AIMessage | None:
    """The answer of a call; None of an item that failed, or shares another's call: it costs nothing."""
    return None if record.same_as is not None else record.message


def _tokens(records: list[BatchRecord], picked: Picked) -> tuple[Range, Range]:
    messages = [_called(record) for record in records]
    if any(m is not None and m.usage is None for m in messages):
        return _UNKNOWN, _UNKNOWN
    usages = [record.usage for record in records]
    given = [float(u.input_tokens or 0) if u is not None else 0.0 for u in usages]
    made = [float(u.output_tokens or 0) if u is not None else 0.0 for u in usages]
    return picked.total(given), picked.total(made)


def _cost(chat: Any, prices: Any, records: list[BatchRecord], picked: Picked, *, batch: bool) -> dict[str, Any]:
    price = price_of(chat, prices, needed=False, batch=batch)
    if price is None:
        return {"cost_unknown": f"no price is known for {chat.provider}:{chat.model}"}
    messages = [_called(record) for record in records]
    costs = [0.0 if m is None else price(_in_a_job(m) if batch else m) for m in messages]
    known = [c for c in costs if c is not None]
    if len(known) < len(costs):
        return {"cost_unknown": f"{len(costs) - len(known)} of {len(costs)} answers have no price"}
    return {"cost": picked.total(known), "cost_omits": tuple(getattr(price, "omitted", ()))}


def _in_a_job(message: AIMessage) -> AIMessage:
    """The answer as if it had come through the provider's batch API."""
    usage = message.usage
    if usage is None:
        return message
    marked = msgspec.structs.replace(usage, raw={**(usage.raw or {}), "service_tier": "batch"})
    return msgspec.structs.replace(message, usage=marked, attempts=())


# ---- time


class Told(TryLayer):
    """What the provider's headers say of its limits: for each kind, what was left at the end, and how much comes back a second."""

    rank: ClassVar[int] = 19

    def __init__(self) -> None:
        self.left: dict[Kind, float] = {}
        self.rates: dict[Kind, float] = {}

    def attempt(self, plan: Plan, call: Call, ledger: Ledger, inner: Callable[[], Flow[T]]) -> Flow[T]:
        """One try."""
        result = yield from inner()
        if says_quota(ledger.headers):
            now: float = yield NOW
            for kind, quota in quotas(ledger.headers, now, (yield WALL_CLOCK)).items():
                self.left[kind] = quota.left
                if quota.limit is not None and quota.whole_at > now:
                    # As if it filled evenly, and at least its limit in a minute: it may come back all at once.
                    even = (quota.limit - quota.left) / (quota.whole_at - now)
                    self.rates[kind] = max(even, quota.limit / MINUTE)
        return result


def _seconds(records: list[BatchRecord], picked: Picked, limits: list[Any], lanes: int) -> Range:
    lanes = min([lanes, *(most for one in limits if (most := getattr(one, "max_concurrency", None)))])
    seconds = [r.seconds for r in records if r.seconds is not None]
    return wall(seconds, picked.total([r.seconds or 0.0 for r in records]), picked.all, lanes)


def _limited(found: Range, calls: Range, tokens: Range, limits: list[Any], told: Told) -> Range:
    """No sooner than the limits of the model and of the provider let all through."""
    for kind, need in (("requests", calls), ("tokens", tokens)):
        for one in limits:
            if (limit := getattr(one, f"{kind}_per_minute", None)) is not None:
                found = _later(found, need, _minutes, 0.0, limit)
        if kind in told.rates:
            found = _later(found, need, _even, told.left[kind], told.rates[kind])
    return found


def _minutes(need: float, left: float, limit: float) -> float:
    return MINUTE * math.floor(max(0.0, need - left - 1) / limit)


def _even(need: float, left: float, rate: float) -> float:
    return max(0.0, need - left) / rate


def _sum(one: Range, other: Range) -> Range:
    return Range(one.mean + other.mean, one.low + other.low, one.high + other.high)


def _later(found: Range, need: Range, after: Callable[[float, float, float], float], left: float, rate: float) -> Range:
    mean, low, high = [after(n, left, rate) for n in (need.mean, need.low, need.high)]
    return Range(max(found.mean, mean), max(found.low, low), max(found.high, high))
