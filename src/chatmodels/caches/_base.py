"""What every cache shares: its way of saying which calls are under way, and what it needs to survive a fork.

`Cache` is also the base for a cache of one's own: bytes by key, nothing about messages.
"""

from __future__ import annotations

import contextvars
import os
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

from .._async import in_thread, in_trio, within
from .._checks import MOST_SECONDS
from .._errors import UsageError

if TYPE_CHECKING:
    from concurrent.futures import Executor

T = TypeVar("T")


class Cache:
    """Where answers are kept. Subclass it with `get` and `set`; both may be called from any thread.

    They may wait: async calls run them in a thread, or await `aget` and `aset` where the class has them. An error that they
    raise does not fail the call, which goes on without the cache and says so in the answer's `warnings`; a `UsageError` from
    `get` does (the cache itself is wrong).
    """

    #: True where `get` and `set` never wait: then async calls need no thread.
    instant: ClassVar[bool] = False
    semantic: ClassVar[bool] = False

    def get(self, key: str) -> bytes | str | None:
        """What was kept under the key (64 hex digits), if it has not expired; else None."""
        raise NotImplementedError

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Keep the value (JSON in UTF-8) under the key; for `ttl` seconds, or as long as this cache keeps things."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget all answers."""
        raise NotImplementedError

    def pickled(self) -> Self | None:
        """What takes this cache's place in a pickle of a model; None leaves it out."""
        return None

    async def beside(self, function: Callable[..., T], *args: Any) -> T:
        """Run a function of this cache beside the event loop, in threads that nothing else can fill up."""
        if in_trio():
            return await in_thread(function, *args)
        import asyncio

        within_context = partial(contextvars.copy_context().run, function, *args)
        return await asyncio.get_running_loop().run_in_executor(_threads.pool(), within_context)

    @property
    def flights(self) -> Flights:
        """The calls that are under way for this cache, in this process."""
        have = self.__dict__
        if "_flights" not in have:
            place = self.place()
            have.setdefault("_flights", Flights() if place is None else _places.setdefault(place, Flights()))
        found: Flights = have["_flights"]
        return found

    def place(self) -> tuple[str, ...] | None:
        """Where the answers are, for other caches that keep theirs there too; None where nobody else can."""
        return None

    def vectors(self, setting: str) -> list[tuple[str, bytes]]:
        """(key, vector as float32 bytes) of the answers in this setting, the newest last; for `SemanticCache`."""
        raise UsageError(f"{type(self).__name__} keeps no vectors, which a SemanticCache needs", argument="store")

    def add_vector(self, setting: str, key: str, vector: bytes, most: int, ttl: float | None) -> None:
        """Keep a vector beside an answer; no more than `most` in a setting."""
        raise UsageError(f"{type(self).__name__} keeps no vectors, which a SemanticCache needs", argument="store")


def seconds(ttl: Any, argument: str = "ttl") -> float | None:
    """A time to live: a number of seconds above 0, or None for as long as the cache keeps things."""
    if ttl is None:
        return None
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float)) or not 0 < ttl <= MOST_SECONDS:
        raise UsageError(
            f"{argument} is a number of seconds above 0, or None for no end; got {ttl!r}", argument=argument
        )
    return float(ttl)


class Flight:
    """A call that is under way. Threads and tasks of any event loop wait for it."""

    __slots__ = ("_home", "_lock", "_wakers", "ended", "held", "moves", "record", "streamed")

    def __init__(self, streamed: bool = False) -> None:
        self._home = threading.get_ident()
        self.streamed = streamed
        self.held = False
        self.moves = 0
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], object]] = []
        self.ended = False
        self.record: bytes | None = None

    def land(self, record: bytes | None) -> None:
        """It has ended."""
        with self._lock:
            self.record, self.ended = record, True
        self.abort()

    def abort(self) -> None:
        """Wake those who wait, to look for themselves."""
        with self._lock:
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def wait(self, seconds: float | None) -> bool:
        """Until it has ended, or that long, in this thread. False, at once, where the leader runs in this thread too: in its
        event loop, or as a stream that is read here."""
        if self._home == threading.get_ident():
            return False
        event = threading.Event()
        if self._wakes(event.set):
            event.wait(None if seconds is None else max(0.0, seconds))
            self._forget(event.set)
        return True

    async def awaited(self, seconds: float | None) -> bool:
        """Until it has ended, or that long, in this task."""
        event, wake = _alarm()
        if not self._wakes(wake):
            return True
        try:
            with suppress(TimeoutError):
                await within(None if seconds is None else monotonic() + seconds, event.wait)
        finally:
            self._forget(wake)
        return True

    def _wakes(self, wake: Callable[[], object]) -> bool:
        with self._lock:
            if not self.ended:
                self._wakers.append(wake)
            return not self.ended

    def _forget(self, wake: Callable[[], object]) -> None:
        with self._lock, suppress(ValueError):
            self._wakers.remove(wake)


class _Event(Protocol):
    def set(self) -> object: ...

    def wait(self) -> Awaitable[object]: ...


def _alarm() -> tuple[_Event, Callable[[], None]]:
    """An event of the running loop, and what sets it from any thread. A loop that is over needs no waking."""
    event: Any
    if in_trio():
        trio = sys.modules["trio"]
        event, soon = trio.Event(), trio.lowlevel.current_trio_token().run_sync_soon
        over: type[Exception] = trio.RunFinishedError
    else:
        import asyncio

        event, soon, over = asyncio.Event(), asyncio.get_running_loop().call_soon_threadsafe, RuntimeError

    def wake() -> None:
        with suppress(over):
            soon(event.set)

    return event, wake


class Flights:
    """The calls that are under way, by key."""

    def __init__(self) -> None:
        self.forked()
        after_fork(self)

    def forked(self) -> None:
        """In the child of a fork: those that led are not here."""
        self._lock = threading.Lock()
        self._open: dict[str, Flight] = {}

    def join(self, key: str, streamed: bool) -> tuple[Flight, bool]:
        """(the flight, does the caller lead it)."""
        with self._lock:
            flight = self._open.get(key)
            if flight is not None:
                return flight, False
            flight = self._open[key] = Flight(streamed)
            return flight, True

    def drop(self, key: str, flight: Any) -> None:
        """Nobody else waits for this one."""
        with self._lock:
            if self._open.get(key) is flight:
                del self._open[key]

    def land(self, key: str, flight: Any, record: bytes | None) -> None:
        """It has ended, with an answer or without."""
        self.drop(key, flight)
        flight.land(record)


#: The flights of each place that several caches of this process may use.
_places: weakref.WeakValueDictionary[tuple[str, ...], Flights] = weakref.WeakValueDictionary()


class _Threads:
    """The threads in which async calls ask a cache that waits. The event loop's own may all be taken: by sync calls that wait
    for the very answer that is being looked up."""

    def __init__(self) -> None:
        self.forked()

    def forked(self) -> None:
        self._lock = threading.Lock()
        self._pool: Executor | None = None

    def pool(self) -> Executor:
        with self._lock:
            if self._pool is None:
                from concurrent.futures import ThreadPoolExecutor

                self._pool = ThreadPoolExecutor(16, thread_name_prefix="chatmodels-cache")
            return self._pool


class _Forks(Protocol):
    def forked(self) -> None: ...


_to_tell: weakref.WeakSet[Any] = weakref.WeakSet()


def after_fork(one: _Forks) -> None:
    """Call `one.forked()` in every child of a fork, while `one` lives."""
    _to_tell.add(one)


def _tell() -> None:
    for one in list(_to_tell):
        one.forked()


_threads = _Threads()
after_fork(_threads)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tell)
