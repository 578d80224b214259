"""One set of limits for a whole cluster: a named actor keeps the book, every worker asks it for its place.

A place has a lease, so that those of a worker that was lost come back.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .._checks import whole_or_none
from .._drive import arun
from .._errors import ChatModelError
from .._flow import NOW, Ask, Flow
from .._limits import Limits
from .._limits_book import Book, Ticket
from .._limits_headers import Kind
from .._limits_window import Quota
from ..control._bell import ThreadBell
from ._library import library
from ._limiter_client import Client, Wish

NAMESPACE = "chatmodels"
#: How long a place is kept for a call that has no deadline, in seconds.
LEASE = 3600.0
#: How long a client's question for places may stay open, in seconds.
HEAR = 5.0


class Keeper:
    """The actor's side: the book, who is in, and what is still to be said to whom."""

    def __init__(self, requests: int | None, tokens: int | None, concurrency: int | None) -> None:
        self._book = Book(requests, tokens, concurrency, threading.Lock(), ThreadBell)
        self._inside: dict[str, tuple[Ticket, float]] = {}
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._ready: dict[str, list[tuple[str, float | ChatModelError]]] = {}
        self._bells: dict[str, asyncio.Event] = {}
        self._swept = time.monotonic()

    async def tell(
        self, client: str, wishes: list[Wish], ends: list[tuple[str, int | None, bool]]
    ) -> list[tuple[str, float | ChatModelError]]:
        """Places that are free again, and places that are wanted -> those of this client that have been got, or cannot be."""
        for name, used, sent in ends:
            task = self._waiting.get(name)
            if task is not None:
                task.cancel()
            self._settle(name, used, sent)
        for wish in wishes:
            if wish.name in self._inside:  # asked again by one that has not heard the answer
                self._say(client, wish.name, 0.0)
            elif wish.name not in self._waiting:
                self._waiting[wish.name] = asyncio.ensure_future(self._enter(client, wish))
        self._sweep()
        await asyncio.sleep(0)
        return self._ready.pop(client, [])

    async def hear(self, client: str) -> list[tuple[str, float | ChatModelError]]:
        """What the client waits for, as soon as there is some; nothing after some seconds."""
        if client not in self._ready:
            bell = self._bells[client] = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), HEAR)
            self._bells.pop(client, None)
        return self._ready.pop(client, [])

    async def _enter(self, client: str, wish: Wish) -> None:
        now = time.monotonic()
        try:
            ticket = await arun(self._book.enter(wish.need, now, None if wish.left is None else now + wish.left))
        except ChatModelError as error:
            self._say(client, wish.name, error)
        else:
            expires = time.monotonic() + (LEASE if wish.left is None else wish.left + 1.0)
            self._inside[wish.name] = (ticket, expires)
            self._say(client, wish.name, ticket.waited)
        finally:
            self._waiting.pop(wish.name, None)

    def _say(self, client: str, name: str, found: float | ChatModelError) -> None:
        self._ready.setdefault(client, []).append((name, found))
        if (bell := self._bells.get(client)) is not None:
            bell.set()

    def _settle(self, name: str, used: int | None, sent: bool) -> None:
        ticket, _ = self._inside.pop(name, (None, 0.0))
        if ticket is not None:
            self._book.settle(ticket, used, sent=sent)

    def _sweep(self) -> None:
        """Places of clients that are lost come back when their calls' time is over."""
        now = time.monotonic()
        if now - self._swept >= 1.0:
            self._swept = now
            for name in [name for name, (_, expires) in self._inside.items() if expires <= now]:
                self._settle(name, None, True)

    async def close(self, seconds: float) -> None:
        """The provider wants no more for so long."""
        self._book.learn({}, time.monotonic() + seconds)

    async def state(self) -> dict[str, int]:
        """How many are in, and how many wait."""
        self._sweep()
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
        self.requests_per_minute = whole_or_none("requests_per_minute", requests_per_minute)
        self.tokens_per_minute = whole_or_none("tokens_per_minute", tokens_per_minute)
        self.max_concurrency = whole_or_none("max_concurrency", max_concurrency)
        self.expected = 0.0
        self._actor: Any = None
        self._client: Client | None = None

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
            actor = ray.remote(Keeper).options(num_cpus=0, max_concurrency=10_000, max_restarts=-1, **options)
            made = actor.remote(*numbers)
            _kept.append(made)
            self._actor = made
        return self._actor

    def state(self) -> dict[str, int]:
        """How many calls of the cluster are under way (`running`) and in line (`waiting`)."""
        found: dict[str, int] = library().get(self.start().state.remote())
        return found

    def end(self) -> None:
        """End the actor: nobody in the cluster needs these limits any more."""
        actor = self.start()
        self._lost()
        _kept.remove(actor)
        library().kill(actor)

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
        return self._line().enter(Wish(ticket.name, ticket.need, left)).result()

    async def _aenter(self, ticket: Ticket, left: float | None) -> Any:
        return await asyncio.wrap_future(self._line().enter(Wish(ticket.name, ticket.need, left)))

    def _leave(self, ticket: Ticket, used: int | None, sent: bool) -> None:
        if ticket.inside or ticket.in_line:
            ticket.inside = ticket.in_line = False
            self._line().leave(ticket.name, used, sent)

    def _line(self) -> Client:
        if self._client is None:
            with _lock:
                if self._client is None:
                    self._client = Client(self.start(), self._lost)
        return self._client

    def _lost(self) -> None:
        self._actor = self._client = None


#: Handles by which this process keeps its actors alive.
_kept: list[Any] = []
_lock = threading.Lock()


def _made(name: str, requests: int | None, tokens: int | None, concurrency: int | None) -> RayLimiter:
    return RayLimiter(name, requests_per_minute=requests, tokens_per_minute=tokens, max_concurrency=concurrency)
