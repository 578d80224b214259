"""How many calls may be in flight: additive increase, multiplicative decrease, what rate-limit headers leave, and pauses that the
provider asks for. Pure.

The clock is an argument. `GateLayer` tells it of each single try, also of those that the model's own retries hide.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, TypeVar

from .._call import Call
from .._errors import ChatModelError, OverloadedError, RateLimitError
from .._flow import NOW, WALL_CLOCK, Flow, Sleep
from .._layers import TryLayer
from .._limits_estimate import input_tokens
from .._limits_headers import quotas, says_quota
from .._plan import Ledger, Plan
from .._retry import retry_after
from ._pace import Pace

T = TypeVar("T")

#: After a refusal this share of the limit is left.
LESS = 0.7
#: Answers that take this many times as long as in the best of times are a sign that too many are asked for at once.
SLOW = 4.0
#: The longest pause of our own, in seconds.
LONGEST = 60.0
#: Before the first answer has told how things stand, so many calls go at once, and the others over so many seconds.
FIRST, START = 16, 2.0
#: A call that waits to be tried again looks so often whether it may, in seconds.
LOOK = 0.25


class Gate:
    """`limit` moves between 1 and `most`. Nothing is to be sent before `closed_until`."""

    def __init__(self, most: int, *, adaptive: bool = True) -> None:
        self.most, self.adaptive = most, adaptive
        self.limit = float(most)
        self.closed_until = 0.0
        self.refusals = 0
        self.flying = 0
        self.pace = Pace()
        self._began: float | None = None
        self._told = not adaptive  # has any call ended?
        self._decreased = -1.0
        self._in_a_row = 0
        self._best: float | None = None
        self._recent = 0.0

    def allowed(self, now: float) -> int:
        """How many may be in flight now."""
        if now < self.closed_until:
            return 0
        if self._told or self.limit <= FIRST:
            return int(self.limit)
        share = 0.0 if self._began is None else min(1.0, (now - self._began) / START)
        return int(FIRST + share * (self.limit - FIRST))

    def wait(self, now: float) -> float:
        """Seconds until one more may be sent; infinite: not before a call ends."""
        if now < self.closed_until:
            return self.closed_until - now
        if self.flying >= self.allowed(now):
            return math.inf if self._told or self.flying >= int(self.limit) else START / 100
        return self.pace.wait(now)

    def rest(self, now: float) -> float:
        """Seconds until a call that was refused may be tried again."""
        return max(self.closed_until - now, self.pace.wait(now)) if self.adaptive else 0.0

    def sent(self, now: float) -> None:
        """A call is sent."""
        if self._began is None:
            self._began = now
        self.flying += 1
        self.pace.sent(now)

    def ended(self) -> None:
        """A call has ended, well or not."""
        self.flying = max(0, self.flying - 1)

    def refused(self, now: float, began: float, wait: float | None) -> None:
        """A try that began then was refused for overload; the provider asks to wait so many seconds, or does not say."""
        self.refusals += 1
        self._told = True
        if not self.adaptive:
            return
        if began >= self._decreased:  # one decrease for all that was under way: they say the same
            self.limit = max(1.0, self.limit * LESS)
            self._decreased = now
            self._in_a_row += 1
        if wait:
            self.closed_until = max(self.closed_until, now + wait)

    def unreachable(self, now: float, longest: float = LONGEST) -> None:
        """An item was refused to the last try: a pause, twice as long each time in a row, where the provider says nothing."""
        if now >= self.closed_until and not self.pace.wait(now):
            self._in_a_row += 1
            self.closed_until = now + min(LONGEST, longest, 0.25 * 2.0**self._in_a_row)

    def answered(self, now: float, seconds: float) -> None:
        """A try went well, and took so long."""
        self._in_a_row = 0
        self._told = True
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
        gate = self._gate
        began: float = yield NOW
        if ledger.attempts:  # the first try was let go, and counted, by who called
            began = yield from self._again(ledger, began)
        elif not gate.pace.tokens:
            gate.pace.took(input_tokens(call, plan.dialect.provider))
        ledger.headers = {}
        try:
            result = yield from inner()
        except (RateLimitError, OverloadedError) as error:
            now: float = yield NOW
            wall: float = yield WALL_CLOCK
            gate.refused(now, began, _wait(error, ledger, wall))
            self._learn(ledger, began, now, wall, refused=True)
            raise
        now = yield NOW
        if ledger.usage is not None and ledger.usage.total_tokens:
            gate.pace.took(ledger.usage.total_tokens, ledger.usage.input_tokens, ledger.usage.output_tokens)
        if says_quota(ledger.headers):
            self._learn(ledger, began, now, (yield WALL_CLOCK), refused=False)
        gate.answered(now, now - began)
        return result

    def _again(self, ledger: Ledger, now: float) -> Flow[float]:
        """Wait until the provider will take it; as long as the call's deadline lets it."""
        began = now
        while (rest := self._gate.rest(now)) > 0 and (ledger.deadline is None or now + rest < ledger.deadline):
            yield Sleep(min(rest, LOOK))
            now = yield NOW
        if now > began:
            ledger.waited += now - began
            ledger.began = now
        self._gate.pace.sent(now)
        return now

    def _learn(self, ledger: Ledger, began: float, now: float, wall: float, *, refused: bool) -> None:
        if self._gate.adaptive and says_quota(ledger.headers):
            others = max(0, self._gate.flying - 1)
            self._gate.pace.learn(quotas(ledger.headers, now, wall), began, now, others, refused=refused)


def _wait(error: ChatModelError, ledger: Ledger, wall: float) -> float | None:
    said: float | None = getattr(error, "retry_after", None)
    return retry_after(ledger.headers, wall) if said is None else said
