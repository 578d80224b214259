"""How many calls may be in flight: additive increase, multiplicative decrease, and pauses that the provider asks for. Pure.

The clock is an argument. `GateLayer` tells it of each single try, also of those that the model's own retries hide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

from .._call import Call
from .._calls import Ledger, Plan
from .._errors import ChatModelError, OverloadedError, RateLimitError
from .._flow import NOW, WALL_CLOCK, Flow
from .._layers import TryLayer
from .._retry import retry_after

T = TypeVar("T")

#: After a refusal this share of the limit is left.
LESS = 0.7
#: Answers that take this many times as long as in the best of times are a sign that too many are asked for at once.
SLOW = 4.0
#: The longest pause of our own, in seconds.
LONGEST = 60.0


class Gate:
    """`limit` moves between 1 and `most`. Nothing is to be sent before `closed_until`."""

    def __init__(self, most: int, *, adaptive: bool = True) -> None:
        self.most, self.adaptive = most, adaptive
        self.limit = float(most)
        self.closed_until = 0.0
        self.refusals = 0
        self._decreased = -1.0
        self._in_a_row = 0
        self._best: float | None = None
        self._recent = 0.0

    def allowed(self, now: float) -> int:
        """How many may be in flight now."""
        return 0 if now < self.closed_until else int(self.limit)

    def refused(self, now: float, began: float, wait: float | None) -> None:
        """A try that began then was refused for overload; the provider asks to wait so many seconds, or does not say."""
        self.refusals += 1
        if not self.adaptive:
            return
        if began >= self._decreased:  # one decrease for all that was under way: they say the same
            self.limit = max(1.0, self.limit * LESS)
            self._decreased = now
            self._in_a_row += 1
        if wait:
            self.closed_until = max(self.closed_until, now + wait)

    def unreachable(self, now: float) -> None:
        """An item was refused to the last try: a pause, twice as long each time in a row."""
        if now >= self.closed_until:
            self._in_a_row += 1
            self.closed_until = now + min(LONGEST, 0.25 * 2.0**self._in_a_row)

    def answered(self, now: float, seconds: float) -> None:
        """A try went well, and took so long."""
        self._in_a_row = 0
        if not self.adaptive:
            return
        self._recent = seconds if self._best is None else 0.95 * self._recent + 0.05 * seconds
        self._best = self._recent if self._best is None else min(self._best, self._recent)
        if self._recent > SLOW * self._best and now - self._decreased > 10 * self._recent:
            self.limit = max(1.0, self.limit * 0.9)
            self._decreased = now
            self._best = self._recent / SLOW * 2  # what is slow may be how it is now
        elif self.limit < self.most:
            self.limit = min(float(self.most), self.limit + 1.0 / self.limit)


class GateLayer(TryLayer):
    """Tells the gate how each try went."""

    rank: ClassVar[int] = 20  # inside the limits: waiting in their line is no sign of a slow provider

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def attempt(self, plan: Plan, call: Call, ledger: Ledger, inner: Callable[[], Flow[T]]) -> Flow[T]:
        """One try."""
        began: float = yield NOW
        try:
            result = yield from inner()
        except (RateLimitError, OverloadedError) as error:
            now: float = yield NOW
            wall: float = yield WALL_CLOCK
            self._gate.refused(now, began, _wait(error, ledger, wall))
            raise
        now = yield NOW
        self._gate.answered(now, now - began)
        return result


def _wait(error: ChatModelError, ledger: Ledger, wall: float) -> float | None:
    said: float | None = getattr(error, "retry_after", None)
    return retry_after(ledger.headers, wall) if said is None else said
