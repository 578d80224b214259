"""The book of one set of limits: who is in, who waits in line, what the windows and the provider's word leave. Pure flow.

The lock is given to it, and so are the bells with which those who wait are called. First come, first served: only the one at
the head of the line may go in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ._errors import RateLimitError
from ._flow import NOW, Ask, Flow
from ._limits_headers import Kind
from ._limits_window import Entry, Quota, Window


class LimitError(RateLimitError):
    """A limit of this program's own (`with_limits`) leaves no room before the deadline; nothing was sent.

    `limit` names it: "requests_per_minute", "tokens_per_minute", "max_concurrency", or "retry-after" and
    "x-ratelimit" for what the provider has said. `retry_after` is in seconds, None where nobody can know.
    """

    retryable = False

    def __init__(self, text: str, *, limit: str = "", **kw: Any) -> None:
        super().__init__(text, retryable=False, **kw)
        self.limit = limit


class Bell(Protocol):
    """Calls one who waits; a ring before the wait is not lost."""

    def ring(self) -> None: ...

    def wait(self, seconds: float | None) -> None: ...

    async def await_(self, seconds: float | None) -> None: ...


class _NoBell:
    """Of one who does not wait."""

    def ring(self) -> None: ...

    def wait(self, seconds: float | None) -> None: ...

    async def await_(self, seconds: float | None) -> None: ...


NO_BELL = _NoBell()


class Ticket:
    """One try: what it takes, since when it is in (`at`), and how long it waited, in seconds."""

    __slots__ = ("at", "bell", "in_line", "inside", "name", "need", "request", "slot", "tokens", "waited")

    def __init__(self, need: int) -> None:
        self.need = need
        self.at = 0.0
        self.waited = 0.0
        self.bell: Bell = NO_BELL
        self.in_line = False
        self.inside = False
        self.request: Entry | None = None
        self.tokens: Entry | None = None
        self.name = ""  # and the slot: where the book is not in this process
        self.slot = -1


class Book:
    """The state behind `Limiter`. All that is not a flow returns at once, and may be called from any thread."""

    def __init__(
        self,
        requests: int | None,
        tokens: int | None,
        concurrency: int | None,
        lock: AbstractContextManager[Any],
        bell: Callable[[], Bell],
    ) -> None:
        self._lock = lock
        self._bell = bell
        self._requests = None if requests is None else Window(requests)
        self._tokens = None if tokens is None else Window(tokens)
        self._concurrency = concurrency
        self._line: deque[Ticket] = deque()
        self._needs = 0
        self._quotas: dict[Kind, Quota] = {}
        self._closed_until = 0.0
        self.running = 0

    @property
    def waiting(self) -> int:
        """How many wait in line."""
        return len(self._line)

    def enter(self, need: int, now: float, deadline: float | None) -> Flow[Ticket]:
        """Wait in line until the try may go out. Raises `LimitError` as soon as that cannot be before the deadline."""
        if self._tokens is not None and need > self._tokens.limit:
            raise LimitError(
                f"this call may take about {need} tokens, and tokens_per_minute={self._tokens.limit} never lets so many "
                "through: ask for fewer (max_tokens=), or raise the limit",
                limit="tokens_per_minute",
            )
        ticket, began = Ticket(need), now
        wait, limit = self._look(ticket, now)
        try:
            while limit is not None:
                left = None if deadline is None else deadline - now
                if left is not None and wait >= left:
                    raise self._no_room(limit, wait, left)
                seconds = wait if wait and ticket is self._line[0] else left
                yield Ask(ticket.bell.wait, (seconds,), ticket.bell.await_)
                now = yield NOW
                wait, limit = self._look(ticket, now)
        finally:
            if not ticket.inside:
                self._quit(ticket)
        ticket.at, ticket.waited = now, now - began
        return ticket

    def settle(self, ticket: Ticket, used: int | None = None, *, sent: bool = True) -> None:
        """The try has ended: `used` tokens (None: as estimated); not `sent`: it never reached the provider."""
        with self._lock:
            if not ticket.inside:
                return
            ticket.inside = False
            self.running = max(0, self.running - 1)
            if used is not None and self._tokens is not None and ticket.tokens is not None:
                self._tokens.change(ticket.tokens, used - ticket.need)
            if not sent and self._requests is not None and ticket.request is not None:
                self._requests.change(ticket.request, -1)
            self._ring()

    def learn(self, quotas: Mapping[Kind, Quota], closed_until: float = 0.0) -> None:
        """What the provider has said: what is left, and until when it wants no request at all."""
        with self._lock:
            self._quotas.update(quotas)
            self._closed_until = max(self._closed_until, closed_until)
            self._ring()

    # -- under the lock

    def _look(self, ticket: Ticket, now: float) -> tuple[float, str | None]:
        """Go in if it is this one's turn: (0, None). Else (seconds until it may be at the soonest, the limit that holds it)."""
        with self._lock:
            line = self._line
            if not line or line[0] is ticket:
                wait, limit = self._wait(1, ticket.need, now)
                if limit is None and self._concurrency is not None and self.running >= self._concurrency:
                    limit = "max_concurrency"
                if limit is None:
                    self._let_in(ticket, now)
                    return 0.0, None
            else:
                before = len(line) - ticket.in_line
                wait, limit = self._wait(before + 1, self._needs - ticket.in_line * ticket.need + ticket.need, now)
                limit = limit or "max_concurrency"
            if not ticket.in_line:
                ticket.in_line, ticket.bell = True, self._bell()
                line.append(ticket)
                self._needs += ticket.need
            return wait, limit

    def _let_in(self, ticket: Ticket, now: float) -> None:
        if ticket.in_line:
            self._line.popleft()
            self._needs -= ticket.need
            self._ring()
        ticket.inside = True
        self.running += 1
        if self._requests is not None:
            ticket.request = self._requests.take(1, now)
        if self._tokens is not None:
            ticket.tokens = self._tokens.take(ticket.need, now)
        for kind, quota in self._quotas.items():
            quota.take(_of_kind(kind, 1, ticket.need) or 0, now)

    def _wait(self, requests: int, tokens: int, now: float) -> tuple[float, str | None]:
        """(seconds, the limit that asks for the longest wait) for so many requests and tokens; (0, None): none does."""
        found: list[tuple[float, str]] = [(self._closed_until - now, "retry-after")]
        if self._requests is not None:
            found.append((self._requests.ready_in(requests, now), "requests_per_minute"))
        if self._tokens is not None:
            found.append((self._tokens.ready_in(tokens, now), "tokens_per_minute"))
        for kind, quota in self._quotas.items():
            amount = _of_kind(kind, requests, tokens)
            if amount is not None:
                found.append((quota.ready_in(amount, now), f"x-ratelimit {kind}"))
        wait, limit = max(found)
        return (wait, limit) if wait > 0 else (0.0, None)

    def _quit(self, ticket: Ticket) -> None:
        with self._lock:
            if ticket.in_line:
                self._line.remove(ticket)
                self._needs -= ticket.need
                self._ring()

    def _ring(self) -> None:
        if self._line:
            self._line[0].bell.ring()

    def _no_room(self, limit: str, wait: float, left: float) -> LimitError:
        numbers = {
            "requests_per_minute": self._requests and self._requests.limit,
            "tokens_per_minute": self._tokens and self._tokens.limit,
            "max_concurrency": self._concurrency,
        }
        shown = f"{limit}={numbers[limit]}" if numbers.get(limit) is not None else limit
        when = f"the next is free in {wait:.3g} s" if wait else f"{self.running} calls are under way"
        return LimitError(
            f"the limit {shown} leaves no room before the deadline: {when}, {max(0.0, left):.3g} s are left. Nothing was sent.",
            limit=limit,
            retry_after=wait or None,
        )


def _of_kind(kind: Kind, requests: int, tokens: int) -> int | None:
    """How much of this kind; None where it is not known: those in a line are counted together."""
    if kind == "requests":
        return requests
    if kind == "tokens":
        return tokens
    return getattr(tokens, "given" if kind == "input_tokens" else "made", None)
