"""Limits that several processes share, kept by a Redis server (extra: redis). The steps are Lua, in `_redis_script.py`.

A place has a lease: those of a process that was killed come back when their calls' deadlines would have passed.
"""

from __future__ import annotations

import atexit
import logging
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from .._errors import ConnectError, UsageError
from .._flow import NOW, Ask, Flow, Sleep
from .._http_common import without_user
from .._limits_book import LimitError, Ticket
from .._limits_headers import Kind
from .._limits_window import Quota
from .._secret import Hidden
from ._redis_script import CLOSE, ENTER, LEAVE

log = logging.getLogger("chatmodels")

#: One who waits asks again at least so often, in seconds, and drops out of the line when he has not for `ALIVE`.
BEAT, ALIVE = 2.0, 10.0
#: How long a place is kept for a call that has no deadline, in seconds.
LEASE = 3600.0
#: How long a server may be silent, in seconds: a call's deadline says which of these.
PATIENCE = (0.25, 1.0, 5.0)
#: How much longer than its call's deadline, in seconds: a call ends a little after it.
MARGIN = 0.5


class RedisLimiter:
    """The limits of all processes that give this server and this name. Raises `ConnectError` where the server is not there."""

    def __init__(
        self,
        url: str,
        name: str,
        *,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        max_concurrency: int | None = None,
    ) -> None:
        if urlsplit(url).scheme not in ("redis", "rediss", "unix"):
            raise UsageError("shared is an address such as 'redis://localhost:6379/0', or a Limiter", argument="shared")
        self._url = Hidden(url)
        self._name = name
        self.requests_per_minute = requests_per_minute
        self.tokens_per_minute = tokens_per_minute
        self.max_concurrency = max_concurrency
        self.expected = 0.0
        kinds = ("used", "inside", "line", "alive", "closed", "counter")
        self._keys = [f"chatmodels:limits:{{{name}}}:{kind}" for kind in kinds]
        _library()

    def __repr__(self) -> str:
        return f"RedisLimiter({without_user(str(self._url))!r}, {self._name!r})"

    def __reduce__(self) -> Any:
        """Without a password: in another process the address must do without one, or the model be made there."""
        numbers = (self.requests_per_minute, self.tokens_per_minute, self.max_concurrency)
        return _made, (without_user(str(self._url)), self._name, *numbers)

    def enter(self, need: int, now: float, deadline: float | None) -> Flow[Ticket]:
        """Wait in the line of all processes."""
        if self.tokens_per_minute is not None and need > self.tokens_per_minute:
            raise LimitError(
                f"this call may take about {need} tokens, and tokens_per_minute={self.tokens_per_minute} never lets so many "
                "through: ask for fewer (max_tokens=), or raise the limit",
                limit="tokens_per_minute",
            )
        ticket, began = Ticket(need), now
        ticket.name = uuid.uuid4().hex
        ticket.in_line = True
        try:
            while not ticket.inside:
                left = None if deadline is None else deadline - now
                state, wait_ms, slot, limit = yield Ask(self._enter, (ticket, left))
                if state < 0:
                    ticket.in_line = False
                    raise self._no_room(limit.decode(), wait_ms / 1000, left or 0.0)
                if state:
                    ticket.inside, ticket.in_line, ticket.slot = True, False, slot
                else:
                    yield Sleep(min(BEAT, wait_ms / 1000))
                now = yield NOW
        except BaseException:
            self.abandon(ticket, None)
            raise
        ticket.at, ticket.waited = now, now - began
        return ticket

    def settle(self, ticket: Ticket, used: int | None, *, sent: bool) -> Flow[None]:
        """Give the place back. A server that is not there any more takes no answer away: the place's lease ends by itself."""
        if ticket.inside:
            yield Ask(self._settle, (ticket, used, sent))

    def abandon(self, ticket: Ticket, used: int | None) -> None:
        """Give the place back without waiting for the server, in a thread."""
        if ticket.inside or ticket.in_line:
            threading.Thread(target=self._leave_quietly, args=(ticket, used), daemon=True).start()

    def learn(self, found: Mapping[Kind, Quota], closed_until: float, now: float) -> Flow[None]:
        """Tell all processes how long to wait, where the provider has said that nothing is left or to come back later."""
        empty = [q.ready_in(1, now) for q in found.values()]
        wait = max(closed_until - now, *empty, 0.0)
        if wait > 0:
            yield Ask(self._close_quietly, (wait,))

    # -- with the server

    def _enter(self, ticket: Ticket, left: float | None) -> Any:
        numbers = (self.requests_per_minute, self.tokens_per_minute, self.max_concurrency)
        limits = [-1 if n is None else n for n in numbers]
        lease = LEASE if left is None else max(left, 0.0) + MARGIN
        ends = -1 if left is None else max(0, int(left * 1000))
        arguments = [ticket.name, ticket.need, *limits, int(lease * 1000), int(ALIVE * 1000), ends]
        return self._run(ENTER, arguments, PATIENCE[-1] if left is None else left)

    def _leave(self, ticket: Ticket, used: int | None, sent: bool, most: float = PATIENCE[1]) -> None:
        by = 0 if used is None else used - ticket.need
        self._run(LEAVE, [ticket.name, ticket.slot, by, 0 if sent else -1], most)
        ticket.inside = ticket.in_line = False

    def _settle(self, ticket: Ticket, used: int | None, sent: bool) -> None:
        with suppress(ConnectError):  # `abandon` follows, and tries it once more beside the caller
            self._leave(ticket, used, sent)

    def _leave_quietly(self, ticket: Ticket, used: int | None) -> None:
        try:
            self._leave(ticket, used, True, PATIENCE[-1])
        except ConnectError as error:
            log.warning("a place in the limits was not given back (its lease ends by itself): %s", error)

    def _close_quietly(self, wait: float) -> None:
        try:
            self._run(CLOSE, [int(wait * 1000) + 1])
        except ConnectError as error:
            log.warning("other processes were not told to wait %.3g s: %s", wait, error)

    def _run(self, script: str, arguments: list[Any], most: float = PATIENCE[1]) -> Any:
        try:
            return _client(self._url, most).eval(script, len(self._keys), *self._keys, *arguments)
        except _library().exceptions.RedisError as error:
            raise ConnectError(
                f"the limits' Redis server {without_user(str(self._url))} did not answer: {type(error).__name__}",
                phase="connect",
            ) from error

    def _no_room(self, limit: str, wait: float, left: float) -> LimitError:
        number = getattr(self, limit, None)
        shown = limit if number is None else f"{limit}={number}"
        when = f"the next is free in {wait:.3g} s" if wait else "all places are taken"
        return LimitError(
            f"the limit {shown} of all processes leaves no room before the deadline: {when}, {max(0.0, left):.3g} s are left. "
            "Nothing was sent.",
            limit=limit,
            retry_after=wait or None,
        )


def _made(url: str, name: str, requests: int | None, tokens: int | None, concurrency: int | None) -> RedisLimiter:
    return RedisLimiter(url, name, requests_per_minute=requests, tokens_per_minute=tokens, max_concurrency=concurrency)


def _library() -> Any:
    try:
        return import_module("redis")
    except ImportError as error:
        raise UsageError(
            "limits over several processes need the redis package: pip install 'chatmodels[redis]'", argument="shared"
        ) from error


_clients: dict[tuple[str, float], Any] = {}


def _client(url: str, most: float) -> Any:
    """The connections to a server that wait for it about so long: shared by threads, and made anew by the library after a fork."""
    patience = max((one for one in PATIENCE if one <= most), default=PATIENCE[0])
    found = _clients.get((url, patience))
    if found is None:
        made = _library().Redis.from_url(str(url), socket_timeout=patience, socket_connect_timeout=patience)
        found = _clients.setdefault((url, patience), made)
    return found


def _close() -> None:
    for one in list(_clients.values()):
        one.close()


atexit.register(_close)

__all__ = ["RedisLimiter"]
