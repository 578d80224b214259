"""What a batch has come to so far, in constant memory; and the summary at its end. Values only."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from .._usage import Usage
from ._record import BatchRecord
from ._words import counted, dollars

if TYPE_CHECKING:
    from ._metrics import Metrics

#: How many of the slowest and of the failed items are kept for the report.
KEPT = 25
#: How an answer ends that is whole; "unknown" is of hosts that do not say.
_WHOLE = ("stop", "tool_calls", "unknown")

Stopped = Literal["interrupted", "max_tokens", "max_cost", "budget", "failures", "outage", "fatal", "error"]


class BatchSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How a batch went, over all its runs.

    `total` items were read, of which `done` have an answer and `failed` an error; of those done, `cut` have an answer that is not
    whole (a limit of tokens, a filter: see its `finish_reason`); `reused` had ended in an earlier run,
    `coalesced` share the call of an identical item, `called` were called for in this run. `again`: indexes that an earlier run
    may have sent before it was killed, without their answers reaching the journal: none but these can have been paid twice, and at
    most `again_most` of them: those in flight. The others had only been noted, ahead of their calls.
    Tokens and `cost` (US dollars, None where no price is known) count each call once; `cost_omits` names what this run's cost
    leaves out because it has no price (searches and other tools of the provider): then it is a lower bound. `stopped` says why the
    batch ended before its items did, else None; `reason` says it in words. Through a provider's batch API, `jobs` were made in this
    run, `adopted` were left by an earlier one, and `resubmitted` items had to go into a further job.
    `errors` counts error classes. `seconds` is this run's.
    """

    total: int = 0
    done: int = 0
    failed: int = 0
    cut: int = 0
    reused: int = 0
    coalesced: int = 0
    called: int = 0
    again: tuple[int, ...] = ()
    again_most: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    cost_omits: tuple[str, ...] = ()
    seconds: float = 0.0
    errors: dict[str, int] = {}
    jobs: int = 0
    adopted: int = 0
    resubmitted: int = 0
    stopped: str | None = None
    reason: str | None = None

    @property
    def ok(self) -> bool:
        """Has every item an answer?"""
        return self.stopped is None and not self.failed

    def __str__(self) -> str:
        cut = f" ({self.cut:,} of them not whole: see finish_reason)" if self.cut else ""
        parts = [f"{self.done:,} done{cut}", f"{self.failed:,} failed"]
        parts += [
            f"{n:,} {word}" for n, word in ((self.reused, "from an earlier run"), (self.coalesced, "coalesced")) if n
        ]
        if self.input_tokens or self.output_tokens:
            parts.append(f"{self.input_tokens:,} tokens in, {self.output_tokens:,} out")
        if self.cost is not None:
            parts.append(f"{'at least ' if self.cost_omits else ''}{dollars(self.cost)}")
        if self.jobs or self.adopted:
            left = f" and {self.adopted:,} of an earlier run" if self.adopted else ""
            parts.append(f"{counted(self.jobs, 'job')}{left}")
        if self.resubmitted:
            parts.append(f"{self.resubmitted:,} submitted again")
        if self.again:
            of = "" if self.again_most == len(self.again) else f" of {len(self.again):,} noted as begun"
            parts.append(f"at most {self.again_most:,}{of} may have been paid twice, since a run was killed")
        text = f"{counted(self.total, 'item')}: " + ", ".join(parts)
        return text if self.stopped is None else f"{text}; stopped ({self.stopped}): {self.reason}"


class Histogram:
    """Counts in bins that grow by a fifth, from `least` on: constant memory, and shares to a tenth."""

    GROWTH = 1.2

    def __init__(self, least: float) -> None:
        self.least = least
        self.bins: dict[int, int] = {}
        self.count = 0
        self.total = 0.0
        self.largest = 0.0

    def add(self, value: float) -> None:
        at = 0 if value <= self.least else 1 + int(math.log(value / self.least, self.GROWTH))
        self.bins[at] = self.bins.get(at, 0) + 1
        self.count += 1
        self.total += value
        self.largest = max(self.largest, value)

    def edge(self, at: int) -> float:
        """Where the bin ends."""
        return self.least * self.GROWTH**at

    def place(self, value: float) -> float:
        """Where a value stands, counted in bins."""
        return math.log(max(value, self.least) / self.least, self.GROWTH)

    def quantile(self, share: float) -> float:
        """About the value below which this share of the values lies."""
        left = share * self.count
        for at in sorted(self.bins):
            if left <= self.bins[at]:
                return min(self.largest, self.least * math.pow(self.GROWTH, at + left / self.bins[at] - 1))
            left -= self.bins[at]
        return self.largest


class Tally:
    """Counts as items end. `in_flight` is set by who knows."""

    def __init__(self, total: int | None = None) -> None:
        self.expected = total
        self.done = self.failed = self.cut = self.reused = self.coalesced = self.called = self.in_flight = 0
        self.input_tokens = self.output_tokens = 0
        self.new_tokens = 0
        self.cost: float | None = None
        self.errors: dict[str, int] = {}
        self.seconds, self.tokens, self.costs = Histogram(0.001), Histogram(1), Histogram(1e-6)
        self.slowest: list[tuple[float, int, BatchRecord]] = []
        self.failures: list[BatchRecord] = []
        self.metrics: Metrics | None = None

    @property
    def ended(self) -> int:
        return self.done + self.failed

    def add(self, record: BatchRecord, reused: bool, *, sent: bool = True) -> None:
        """One item has ended. `sent`: with a call."""
        if self.metrics is not None:
            self.metrics.add(record, reused)
        if record.error is None:
            self.done += 1
            self.cut += record.message is not None and record.message.finish_reason not in _WHOLE
        else:
            self._failed(record)
        if record.same_as is not None:
            self.coalesced += 1
            return
        if reused:
            self.reused += 1
        else:
            self.called += sent
        if (usage := record.usage) is not None and record.message is not None and not record.message.from_cache:
            self._spent(usage, reused)
        if record.cost is not None:
            self.cost = (self.cost or 0.0) + record.cost
            self.costs.add(record.cost)
        if record.seconds is not None:
            self._took(record, record.seconds)

    def _failed(self, record: BatchRecord) -> None:
        self.failed += 1
        kind = "" if record.error is None else record.error.type
        self.errors[kind] = self.errors.get(kind, 0) + 1
        if len(self.failures) < KEPT or self.errors[kind] == 1:  # one of each class at least
            self.failures.append(record)

    def _spent(self, usage: Usage, reused: bool) -> None:
        given, made = usage.input_tokens or 0, usage.output_tokens or 0
        self.input_tokens += given
        self.output_tokens += made
        self.tokens.add(given + made)
        if not reused:
            self.new_tokens += given + made

    def _took(self, record: BatchRecord, seconds: float) -> None:
        self.seconds.add(seconds)
        one = (seconds, -record.index, record)
        if len(self.slowest) < KEPT:
            heapq.heappush(self.slowest, one)
        elif seconds > self.slowest[0][0]:
            heapq.heapreplace(self.slowest, one)

    def summary(self, total: int, **more: Any) -> BatchSummary:
        """The end of it."""
        return BatchSummary(
            total=total, done=self.done, failed=self.failed, cut=self.cut, reused=self.reused,
            coalesced=self.coalesced, called=self.called,
            input_tokens=self.input_tokens, output_tokens=self.output_tokens, cost=self.cost, errors=dict(self.errors), **more,
        )  # fmt: skip
