"""One set of limits for a whole cluster: a named actor keeps the book, every worker asks it for its place.

A place has a lease, so that those of a worker that was lost come back.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from .._drive import arun
from .._errors import ChatModelError, UsageError
from .._flow import NOW, Ask, Flow
from .._limits import Limits
from .._limits_book import Book, Ticket
from .._limits_headers import Kind
from .._limits_window import Quota
from ..control._bell import ThreadBell
from ._library import library

NAMESPACE = "chatmodels"
#: How long a place is kept for a call that has no deadline, in seconds.
LEASE = 3600.0


class Keeper:
    """The actor's side: the book, and who is in."""

    def __init__(self, requests: int | None, tokens: int | None, concurrency: int | None) -> None:
        self._book = Book(requests, tokens, concurrency, threading.Lock(), ThreadBell)
        self._inside: dict[str, Ticket] = {}
        self._waiting: dict[str, asyncio.Task[Ticket]] = {}

    async def enter(self, name: str, need: int, left: float | None) -> float | ChatModelError:
        """Wait for a place -> how long that took in seconds, or why there is none."""
        now = time.monotonic()
        task = asyncio.ensure_future(arun(self._book.enter(need, now, None if left is None else now + left)))
        self._waiting[name] = task
        try:
            ticket = await task
        except ChatModelError as error:
            return error
        finally:
            self._waiting.pop(name, None)
        self._inside[name] = ticket
        lease = LEASE if left is None else left + 1.0
        asyncio.get_running_loop().call_later(lease, self._settle, name, None, True)
        return ticket.waited

    async def settle(self, name: str, used: int | None, sent: bool) -> None:
        """The try has ended, or is not wanted any more."""
        task = self._waiting.get(name)
        if task is not None:
            task.cancel()
        self._settle(name, used, sent)

    def _settle(self, name: str, used: int | None, sent: bool) -> None:
        ticket = self._inside.pop(name, None)
        if ticket is not None:
            self._book.settle(ticket, used, sent=sent)

    async def close(self, seconds: float) -> None:
        """The provider wants no more for so long."""
        self._book.learn({}, time.monotonic() + seconds)

    async def state(self) -> dict[str, int]:
        """How many are in, and how many wait."""
        return {"running": self._book.running, "waiting": self._book.waiting}


class RayLimiter:
    """Limits of all workers of a Ray cluster that give this name. Ray must be running; the first to come starts the actor.

    >>> limiter = RayLimiter("openai", requests_per_minute=5000, max_concurrency=400)
    """

    def __init__(
        self,
        name: str,
        *,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        max_concurrency: int | None = None,
    ) -> None:
        self.name = name
        self.requests_per_minute = requests_per_minute
        self.tokens_per_minute = tokens_per_minute
        self.max_concurrency = max_concurrency
        for limit in ("requests_per_minute", "tokens_per_minute", "max_concurrency"):
            value = getattr(self, limit)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise UsageError(f"{limit} is a whole number, 1 or more; got {value!r}", argument=limit)
        self.expected = 0.0
        self._actor: Any = None

    def __repr__(self) -> str:
        return f"RayLimiter({self.name!r})"

    def __reduce__(self) -> Any:
        return _made, (self.name, self.requests_per_minute, self.tokens_per_minute, self.max_concurrency)

    def layer(self) -> Limits:
        """What goes around a model's tries: `model.with_layer(limiter.layer())`."""
        return Limits(self)

    def start(self) -> Any:
        """The actor; the process that started it keeps it alive."""
        if self._actor is None:
            ray = library()
            numbers = (self.requests_per_minute, self.tokens_per_minute, self.max_concurrency)
            options = {"name": f"limiter-{self.name}", "namespace": NAMESPACE, "get_if_exists": True}
            made = ray.remote(Keeper).options(num_cpus=0, max_concurrency=10_000, **options).remote(*numbers)
            self._actor = _kept.setdefault((self.name, ray.get_runtime_context().get_job_id()), made)
        return self._actor

    def state(self) -> dict[str, int]:
        """How many calls of the cluster are under way (`running`) and in line (`waiting`)."""
        found: dict[str, int] = library().get(self.start().state.remote())
        return found

    # -- as a limiter

    def enter(self, need: int, now: float, deadline: float | None) -> Flow[Ticket]:
        """Wait in the line of the cluster."""
        ticket = Ticket(need)
        ticket.name = uuid.uuid4().hex
        ticket.in_line = True
        left = None if deadline is None else deadline - now
        try:
            waited = yield Ask(self._enter, (ticket, left), self._aenter)
            if isinstance(waited, ChatModelError):
                ticket.in_line = False
                raise waited
        except BaseException:
            self.abandon(ticket, None)
            raise
        ticket.inside, ticket.in_line = True, False
        ticket.at, ticket.waited = (yield NOW), waited
        return ticket

    def settle(self, ticket: Ticket, used: int | None, *, sent: bool) -> Flow[None]:
        """Give the place back; nobody waits for the actor."""
        self._leave(ticket, used, sent)
        return
        yield

    def abandon(self, ticket: Ticket, used: int | None) -> None:
        """Give the place back."""
        self._leave(ticket, used, True)

    def learn(self, found: Mapping[Kind, Quota], closed_until: float, now: float) -> Flow[None]:
        """Tell all workers how long to wait, where nothing is left or the provider said to come back later."""
        wait = max(closed_until - now, *(quota.ready_in(1, now) for quota in found.values()), 0.0)
        if wait > 0:
            self.start().close.remote(wait)
        return
        yield

    def _enter(self, ticket: Ticket, left: float | None) -> Any:
        return library().get(self.start().enter.remote(ticket.name, ticket.need, left))

    async def _aenter(self, ticket: Ticket, left: float | None) -> Any:
        return await self.start().enter.remote(ticket.name, ticket.need, left)

    def _leave(self, ticket: Ticket, used: int | None, sent: bool) -> None:
        if ticket.inside or ticket.in_line:
            ticket.inside = ticket.in_line = False
            self.start().settle.remote(ticket.name, used, sent)


#: Handles by which this process keeps its actors alive, by name and Ray job.
_kept: dict[tuple[str, str], Any] = {}


def _made(name: str, requests: int | None, tokens: int | None, concurrency: int | None) -> RayLimiter:
    return RayLimiter(name, requests_per_minute=requests, tokens_per_minute=tokens, max_concurrency=concurrency)
