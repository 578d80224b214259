"""The HTTP transport: one object for both worlds, that makes its pools at the first call.

urllib3 serves the sync world and aiohttp the async one (asyncio; under trio the sync pool runs in threads). Pools belong to
a process and, for aiohttp, to an event loop: a fork or a new loop gets fresh ones. Knows no provider and no policy.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from ._async import in_thread, in_trio
from ._call import HTTPResponse
from ._flow import Open, Send

if TYPE_CHECKING:
    from ._http_sync import SyncOpened, SyncPool


class HTTPConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How connections are made. `proxy`: a URL, "" for none; None: from the environment. `verify`: True (the system's
    trust store), False (no check; for tests only) or a path to CA certificates. `cert`: a client certificate, or
    (certificate, key)."""

    proxy: str | None = None
    verify: bool | str = True
    cert: str | tuple[str, str] | None = None


class HTTPTransport:
    """Performs `Send` and `Open`."""

    def __init__(self, config: HTTPConfig) -> None:
        self.config = config
        self._lock = threading.Lock()
        self._sync: SyncPool | None = None
        self._async: Any = None
        self._pid = 0

    def _pools(self) -> None:
        with self._lock:
            if self._pid != os.getpid():
                self._sync = self._async = None
                self._pid = os.getpid()

    def sync_pool(self) -> SyncPool:
        """The urllib3 pools of this process."""
        if self._sync is None or self._pid != os.getpid():
            self._pools()
            from ._http_sync import SyncPool

            with self._lock:
                if self._sync is None:
                    self._sync = SyncPool(self.config)
        return self._sync

    def async_pool(self) -> Any:
        """The aiohttp sessions of this process, by event loop."""
        if self._async is None or self._pid != os.getpid():
            self._pools()
            from ._http_async import AsyncPool

            with self._lock:
                if self._async is None:
                    self._async = AsyncPool(self.config)
        return self._async

    def send(self, effect: Send) -> HTTPResponse:
        """Send and read the whole answer."""
        return self.sync_pool().send(effect)

    def open(self, effect: Open) -> SyncOpened:
        """Send and give the open response."""
        return self.sync_pool().open(effect)

    async def asend(self, effect: Send) -> HTTPResponse:
        """`send` in the async world."""
        if in_trio():
            return await self._threaded_send(effect)
        return await self.async_pool().send(effect)  # type: ignore[no-any-return]

    async def aopen(self, effect: Open) -> Any:
        """`open` in the async world."""
        if not in_trio():
            return await self.async_pool().open(effect)
        opened = await in_thread(self.open, effect)
        return ThreadedOpened(opened)

    async def _threaded_send(self, effect: Send) -> HTTPResponse:
        opened = await in_thread(self.open, Open(effect.target, effect.request, effect.deadline))
        return await in_thread(opened.whole, effect.deadline, cancel=opened.abort)

    def close(self) -> None:
        """Close the connections of the sync pools; those of the async ones close with their loops."""
        with self._lock:
            sync, self._sync = self._sync, None
        if sync is not None:
            sync.close()


class ThreadedOpened:
    """An open sync response, read in threads: the async world of trio."""

    def __init__(self, opened: SyncOpened) -> None:
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


def _forked() -> None:
    for one in _SHARED.values():
        one._lock = threading.Lock()  # the parent's may be held by a thread that is not here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
