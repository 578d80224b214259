"""The HTTP transport: one object for both worlds, that makes its pools at the first call.

HTTP/1.1 itself is pure (`_http_wire`). Sockets carry it in the sync world, asyncio's connections in the async one; under
trio the sync half runs in threads. Pools belong to a process and, in the async world, to an event loop: a fork or a new
loop gets fresh ones. Knows no provider and no policy.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING, Any, Protocol

from ._async import in_thread, in_trio
from ._call import HTTPResponse
from ._flow import Open, Send
from ._http_common import HTTPConfig

if TYPE_CHECKING:
    from ._http_async import AsyncOpened, AsyncPool
    from ._http_sync import SyncOpened, SyncPool


class HTTPTransport:
    """Performs `Send` and `Open`."""

    def __init__(self, config: HTTPConfig) -> None:
        self.config = config
        self._lock = threading.Lock()
        self._sync: SyncPool | None = None
        self._async: AsyncPool | None = None

    def sync_pool(self) -> SyncPool:
        """The connections of this process for the sync world."""
        found = self._sync
        if found is None:
            from ._http_sync import SyncPool

            with self._lock:
                found = self._sync = self._sync or SyncPool(self.config)
        return found

    def async_pool(self) -> AsyncPool:
        """The connections of this process for the async world, by event loop."""
        found = self._async
        if found is None:
            from ._http_async import AsyncPool

            with self._lock:
                found = self._async = self._async or AsyncPool(self.config)
        return found

    def send(self, effect: Send) -> HTTPResponse:
        """Send and read the whole answer."""
        return self.sync_pool().send(effect)

    def open(self, effect: Open) -> SyncOpened:
        """Send and give the open response."""
        return self.sync_pool().open(effect)

    async def asend(self, effect: Send) -> HTTPResponse:
        """`send` in the async world."""
        if not in_trio():
            return await self.async_pool().send(effect)
        opened = self.sync_pool().opened(effect)
        return await in_thread(_sent, opened, effect.deadline, cancel=opened.abort)

    async def aopen(self, effect: Open) -> AsyncOpened | ThreadedOpened:
        """`open` in the async world."""
        if not in_trio():
            return await self.async_pool().open(effect)
        opened = self.sync_pool().opened(effect)
        await in_thread(opened.start, cancel=opened.abort)
        return ThreadedOpened(opened)

    def close(self) -> None:
        """Close the idle connections of the sync world; those of the async one close with their loops."""
        with self._lock:
            sync, self._sync = self._sync, None
        if sync is not None:
            sync.close()

    def forked(self) -> None:
        """In the child of a fork: leave the parent's connections alone, and begin anew."""
        self._lock = threading.Lock()  # the parent's may be held by a thread that is not here
        _abandoned.append((self._sync, self._async))
        self._sync = self._async = None


def _sent(opened: SyncOpened, deadline: float | None) -> HTTPResponse:
    opened.start()
    return opened.whole(deadline)


class Blocking(Protocol):
    """An open response that is read in the sync way. `abort` may be called from any thread."""

    status: int
    headers: dict[str, str]

    def read(self, idle: float | None, deadline: float | None, phase: str) -> bytes: ...

    def finish(self) -> None: ...

    def abort(self) -> None: ...


class ThreadedOpened:
    """An open sync response, read in threads: the async world of trio."""

    def __init__(self, opened: Blocking) -> None:
        self._opened = opened
        self.status = opened.status
        self.headers = opened.headers

    async def aread(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        return await in_thread(self._opened.read, idle, deadline, phase, cancel=self._opened.abort)

    async def afinish(self) -> None:
        await in_thread(self._opened.finish, cancel=self._opened.abort)

    def abort(self) -> None:
        self._opened.abort()


_SHARED: dict[HTTPConfig, HTTPTransport] = {}


def transport(config: HTTPConfig) -> HTTPTransport:
    """The transport that all models with this configuration share."""
    found = _SHARED.get(config)
    if found is None:
        found = _SHARED.setdefault(config, HTTPTransport(config))
    return found


# The parent's pools, in a child: never used, and never let go, since that would close what the parent still uses.
_abandoned: list[Any] = []


def _at_exit() -> None:
    """Close what is idle: an interpreter that ends warns of open sockets."""
    for one in _SHARED.values():
        one.close()


atexit.register(_at_exit)


def _forked() -> None:
    for one in _SHARED.values():
        one.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
