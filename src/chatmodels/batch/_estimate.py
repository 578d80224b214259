"""What a batch will take, before it is run: a sample of its items is asked, and tokens, cost and time are reckoned from it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from .._checks import whole
from .._errors import UsageError
from ._items import items_in
from ._record import BatchRecord
from ._run import run_batch


class Range(msgspec.Struct, frozen=True):
    """A number that is not known: the best guess, and from where to where it lies in 95 of 100 cases."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:,.4g} ({self.low:,.4g} to {self.high:,.4g})"


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What `items` items will take, from `sample` of them, which were asked and paid for (`failed` of these had errors).

    Tokens and `cost` (US dollars, None where no price is known) are for all items; `seconds` is the time that they take with
    the given number of calls in flight, if the provider keeps its pace.
    """

    items: int
    sample: int
    failed: int
    input_tokens: Range
    output_tokens: Range
    seconds: Range
    cost: Range | None = None

    def __str__(self) -> str:
        cost = "" if self.cost is None else f", US$ {self.cost}"
        return (
            f"{self.items:,} items (from {self.sample}, {self.failed} failed): {self.input_tokens} tokens in, "
            f"{self.output_tokens} out{cost}, {self.seconds} s"
        )


def estimate_batch(model: Any, items: Any, *, sample: int = 20, **options: Any) -> Estimate:
    """Ask `sample` items, evenly spread over all, and reckon from them. `items`: a list, or the path of a file (it is read twice).

    Takes the options of `run_batch` that say how to call (`max_concurrency`, `system`, `prices`, `format`, ...). The sample's calls
    are real ones. The uncertainty is that of the mean of a random sample (Student's t); it knows nothing of trends.

    >>> print(estimate_batch("openai:gpt-4o-mini", "in.jsonl"))  # doctest: +SKIP
    """
    whole("sample", sample, least=2)
    if items == "-" or not (hasattr(items, "__len__") or hasattr(items, "__fspath__")):
        raise UsageError("an estimate reads the items twice: give a list, or the path of a file", argument="items")
    given = options.pop("format", None)
    count = sum(1 for _ in items_in(items, given))
    if not count:
        raise UsageError("there are no items", argument="items")
    records: list[BatchRecord] = []
    picked = _spread(items_in(items, given), count, sample)
    run_batch(model, picked, **{**options, "out": records.append, "journal": False})
    return _reckoned(records, count, options.get("max_concurrency", 50))


def _spread(items: Iterable[Any], count: int, sample: int) -> list[Any]:
    wanted = {(2 * i + 1) * count // (2 * sample) for i in range(sample)} if count > sample else set(range(count))
    return [item for at, item in enumerate(items) if at in wanted]


def _reckoned(records: list[BatchRecord], count: int, limit: int) -> Estimate:
    usages = [r.usage for r in records if r.same_as is None and r.message is not None]
    costs = [r.cost for r in records if r.cost is not None]
    seconds = [r.seconds for r in records if r.seconds is not None]
    share = min(limit, count)
    return Estimate(
        items=count,
        sample=len(records),
        failed=sum(1 for r in records if not r.ok),
        input_tokens=_range([(u.input_tokens or 0) if u else 0 for u in usages], count),
        output_tokens=_range([(u.output_tokens or 0) if u else 0 for u in usages], count),
        seconds=_range([s / share for s in seconds], count),
        cost=_range(costs, count) if costs else None,
    )


def _range(values: list[Any], count: int) -> Range:
    """The total of `whole` values of which these are a sample."""
    if not values:
        return Range(0.0, 0.0, math.inf)
    n = len(values)
    mean = sum(values) / n
    if n >= count:
        return Range(mean * count, mean * count, mean * count)
    if n == 1:
        return Range(mean * count, 0.0, math.inf)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1))
    # Of a finite number of items n are known already.
    half = _student(n - 1) * deviation / math.sqrt(n) * math.sqrt(1 - n / count)
    return Range(mean * count, max(0.0, mean - half) * count, (mean + half) * count)


def _student(freedom: int) -> float:
    """The 97.5% quantile of Student's t, by the expansion of Cornish and Fisher (for 1 to 3 from the table)."""
    exact = {1: 12.706, 2: 4.303, 3: 3.182}
    if freedom in exact:
        return exact[freedom]
    z = 1.959964
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
