"""Limits around each try: a place in line before it, what it took in truth after it, and what its headers say. Pure flow.

Who keeps the book (this process, or Redis for several) is the limiter's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, Self, TypeVar

from ._call import Call
from ._errors import ChatModelError, ConnectError, ProviderError, RateLimitError
from ._flow import NOW, WALL_CLOCK, Flow
from ._layers import TryLayer
from ._limits_book import LimitError
from ._limits_estimate import Need, input_tokens, output_tokens
from ._limits_headers import Kind, quotas, says_quota
from ._limits_window import Quota
from ._plan import Ledger, Plan
from ._retry import retry_after

T = TypeVar("T")

__all__ = ["LimitError", "Limits"]


class AnyTicket(Protocol):
    """A place inside. `at` is when it was got, `waited` how long that took, in seconds."""

    at: float
    waited: float


class AnyLimiter(Protocol):
    """Keeps a book of what is under way and what the last minute took."""

    tokens_per_minute: int | None
    expected: float

    def enter(self, need: int, now: float, deadline: float | None) -> Flow[Any]:
        """Wait for a place; raises `LimitError` when there cannot be one before the deadline."""
        ...

    def settle(self, ticket: Any, used: int | None, *, sent: bool) -> Flow[None]:
        """Give the place back, with the tokens that it took (None: as estimated)."""
        ...

    def abandon(self, ticket: Any, used: int | None) -> None:
        """`settle` where nothing can be waited for; after `settle` it does nothing."""
        ...

    def learn(self, found: Mapping[Kind, Quota], closed_until: float, now: float) -> Flow[None]:
        """What the provider has said."""
        ...


class Limits(TryLayer):
    """Each try waits for its place."""

    rank: ClassVar[int] = 10

    def __init__(self, limiter: Any) -> None:
        self.limiter: AnyLimiter = limiter

    def attempt(self, plan: Plan, call: Call, ledger: Ledger, inner: Callable[[], Flow[T]]) -> Flow[T]:
        """One try, in its turn; the wait is booked as the try's."""
        limiter = self.limiter
        given = input_tokens(call, plan.dialect.provider)
        ticket = yield from limiter.enter(self._need(call, given), ledger.began, ledger.deadline)
        if ticket.waited:
            ledger.waited += ticket.waited
            ledger.began = ticket.at
        ledger.headers, ledger.usage = {}, None
        try:
            try:
                result = yield from inner()
            except ChatModelError as error:
                yield from self._learn(ledger, error)
                yield from limiter.settle(ticket, _used(ledger, error), sent=not isinstance(error, ConnectError))
                raise
            self._expect(ledger, call, given)
            if says_quota(ledger.headers):
                yield from self._learn(ledger, None)
            yield from limiter.settle(ticket, _used(ledger, None), sent=True)
            return result
        finally:
            limiter.abandon(ticket, None)

    def pickled(self) -> Self | None:
        """The same numbers with a book of their own, or the same Redis."""
        return self

    def _need(self, call: Call, given: int) -> int:
        need, limit = given + output_tokens(call, self.limiter.expected), self.limiter.tokens_per_minute
        if limit is not None and call.settings.max_tokens is None:  # a guess of ours must not make a call impossible
            need = max(given, min(need, limit))
        return Need.of(max(1, need), given, max(1, int(self.limiter.expected) * (call.settings.n or 1)))

    def _expect(self, ledger: Ledger, call: Call, given: int) -> None:
        """How long answers are here: the mean of those so far, the newer ones counting more."""
        total = ledger.usage.total_tokens if ledger.usage is not None else None
        if total is not None:
            took = max(0, total - given) / (call.settings.n or 1)
            before = self.limiter.expected
            self.limiter.expected = took if not before else 0.9 * before + 0.1 * took

    def _learn(self, ledger: Ledger, error: ChatModelError | None) -> Flow[None]:
        headers = ledger.headers
        asks = isinstance(error, RateLimitError) and ("retry-after" in headers or "retry-after-ms" in headers)
        if not (asks or says_quota(headers)):
            return
        now: float = yield NOW
        wall_clock: float = yield WALL_CLOCK
        wait = (retry_after(headers, wall_clock) or 0.0) if asks else 0.0
        yield from self.limiter.learn(quotas(headers, now, wall_clock), now + wait if wait else 0.0, now)


def _used(ledger: Ledger, error: ChatModelError | None) -> int | None:
    """The tokens that a try took; None where only the estimate is known."""
    total = ledger.usage.total_tokens if ledger.usage is not None else None
    if total is None and isinstance(error, (ProviderError, ConnectError)):
        return 0  # it was refused, or never arrived
    return total
