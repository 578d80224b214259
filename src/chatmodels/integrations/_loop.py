"""Another library's async models, in one event loop in the background that all their calls share.

Such a model keeps its connections in the loop that it was first used in; used again from another one it fails with "Event loop is
closed". Knows no library.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future
from time import monotonic
from typing import Any

from chatmodels._async import in_thread, in_trio
from chatmodels._errors import DeadlineError
from chatmodels._http_common import passed
from chatmodels._portal import in_portal, portal

from ._needs import caused

#: Begins a coroutine in the loop.
Start = Callable[[Coroutine[Any, Any, Any]], "Future[Any]"]


def starter() -> Start:
    """How to begin a coroutine in the loop from an async caller, who may be in it already."""
    return _start_here if in_portal() else portal().start


def _start_here(coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
    return asyncio.run_coroutine_threadsafe(coroutine, asyncio.get_running_loop())


async def in_the_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine gives, run in the loop, from any other, or from trio."""
    if in_portal():
        return await coroutine
    future = portal().start(coroutine)
    if in_trio():
        return await in_thread(future.result, cancel=future.cancel)
    return await asyncio.wrap_future(future)


async def within(
    waited: Coroutine[Any, Any, Any],
    deadline: float | None,
    idle: float | None,
    phase: str,
    told: Callable[[Exception], Exception],
) -> Any:
    """What comes of it before the deadline (a point of the monotonic clock) and within `idle` seconds; else a DeadlineError.

    `told` makes the other library's errors ours.
    """
    left = None if deadline is None else max(0.0, deadline - monotonic())
    wait, late = (idle, "idle") if left is None or (idle is not None and idle < left) else (left, phase)
    limit = asyncio.timeout(wait)
    try:
        async with limit:
            return await waited
    except Exception as error:
        raised = error
    if limit.expired():
        raise DeadlineError(passed(late), phase=late) from raised
    raise caused(told(raised), raised)


class PumpedStream:
    """A stream of lines, as an open response. A task in the loop reads it into a queue, which is read from anywhere."""

    def __init__(self, lines: AsyncIterator[bytes], start: Start, told: Callable[[Exception], Exception]) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self._start = start
        self._told = told
        self._queue: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self._over = False
        self._pump = start(self._read(lines))

    async def _read(self, lines: AsyncIterator[bytes]) -> None:
        try:
            async for line in lines:
                self._queue.put_nowait(line)
            self._queue.put_nowait(b"")
        except Exception as error:
            self._queue.put_nowait(error)
        except BaseException:  # cancelled: whoever waits shall not wait for ever
            self._queue.put_nowait(b"")
            raise

    async def _next(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        found = await within(self._queue.get(), deadline, idle, phase, self._told)
        if isinstance(found, Exception):
            self._over = True
            raise caused(self._told(found), found)
        line: bytes = found
        self._over = not line
        return line

    def read(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        """The next line; empty at the end."""
        if self._over:
            return b""
        waiting = self._start(self._next(idle, deadline, phase))
        try:
            line: bytes = waiting.result()
        except BaseException:  # Ctrl-C among them
            waiting.cancel()
            raise
        return line

    async def aread(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        """`read` in the async world."""
        if self._over:
            return b""
        line: bytes = await asyncio.wrap_future(self._start(self._next(idle, deadline, phase)))
        return line

    def finish(self) -> None:
        """All has been said."""
        self._over = True

    async def afinish(self) -> None:
        """`finish` in the async world."""
        self._over = True

    def abort(self) -> None:
        """Leave the stream: its task is cancelled, which closes the connection."""
        self._over = True
        self._pump.cancel()
