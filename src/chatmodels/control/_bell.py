"""A bell for one who waits, whichever world that is: a thread, a task of asyncio, a task of trio. Any thread may ring it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from .._async import in_trio


class ThreadBell:
    """Rings are not lost: one that comes before the wait ends it at once."""

    __slots__ = ("_lock", "_rung", "_wake")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rung = False
        self._wake: Callable[[], object] | None = None

    def ring(self) -> None:
        """Call whoever waits, or who comes to wait next."""
        with self._lock:
            self._rung = True
            wake = self._wake
            if wake is not None:
                wake()

    def _hear(self, wake: Callable[[], object]) -> bool:
        """From now on a ring calls `wake`; False when it has rung already."""
        with self._lock:
            if self._rung:
                self._rung = False
                return False
            self._wake = wake
            return True

    def _done(self) -> None:
        with self._lock:
            self._rung, self._wake = False, None

    def wait(self, seconds: float | None) -> None:
        """Wait in this thread for a ring, at most so many seconds."""
        event = threading.Event()
        if self._hear(event.set):
            event.wait(seconds)
            self._done()

    async def await_(self, seconds: float | None) -> None:
        """Wait in this task."""
        await (self._in_trio(seconds) if in_trio() else self._in_asyncio(seconds))

    async def _in_asyncio(self, seconds: float | None) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        event = asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended, and with it whoever waited
                loop.call_soon_threadsafe(event.set)

        if self._hear(wake):
            try:
                async with asyncio.timeout(seconds):
                    await event.wait()
            except TimeoutError:
                return
            finally:
                self._done()

    async def _in_trio(self, seconds: float | None) -> None:
        trio = sys.modules["trio"]
        token, event = trio.lowlevel.current_trio_token(), trio.Event()

        def wake() -> None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(event.set)

        if self._hear(wake):
            try:
                with trio.move_on_after(float("inf") if seconds is None else seconds):
                    await event.wait()
            finally:
                self._done()
