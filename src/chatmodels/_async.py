"""The few things that the async side needs from its event library: asyncio, or trio where the caller runs under it.

Knows both libraries and imports neither before it is needed; trio never, unless the program runs under it.
"""

from __future__ import annotations

import contextvars
import math
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from time import monotonic
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

#: Blocking calls that may wait in threads at once, under trio.
THREADS = 256


def in_trio() -> bool:
    """Is the calling coroutine run by trio?"""
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


async def sleep(seconds: float) -> None:
    """Wait."""
    if in_trio():
        await sys.modules["trio"].sleep(seconds)
        return
    import asyncio

    await asyncio.sleep(seconds)


async def within(until: float | None, function: Callable[..., Awaitable[T]], *args: Any, **options: Any) -> T:
    """What the coroutine function gives; a TimeoutError when that point of the monotonic clock comes first."""
    if until is None:
        return await function(*args, **options)
    left = max(0.0, until - monotonic())
    if not in_trio():
        import asyncio

        async with asyncio.timeout(left):
            return await function(*args, **options)
    with sys.modules["trio"].move_on_after(left):
        return await function(*args, **options)
    raise TimeoutError("the time is over")


async def in_thread(function: Callable[..., T], *args: Any, cancel: Callable[[], object] | None = None) -> T:
    """Run a blocking function beside the event loop; `cancel` is called to end it soon when the caller is cancelled."""
    if in_trio():
        return await _in_trio_thread(function, args, cancel)
    import asyncio

    within = partial(contextvars.copy_context().run, function, *args)
    try:
        return await asyncio.get_running_loop().run_in_executor(None, within)
    except asyncio.CancelledError:
        if cancel is not None:
            cancel()
        raise


async def _in_trio_thread(function: Callable[..., T], args: tuple[Any, ...], cancel: Callable[[], object] | None) -> T:
    trio = sys.modules["trio"]
    try:
        return await trio.to_thread.run_sync(  # type: ignore[no-any-return]
            function, *args, abandon_on_cancel=True, limiter=_limiter(trio)
        )
    except trio.Cancelled:
        if cancel is not None:
            cancel()
        raise


_run_vars: dict[str, Any] = {}


def _limiter(trio: Any) -> Any:
    """Our own, one per run: streams that wait in threads must not hold up the program's other threads, nor it them."""
    of_this_run = _run_vars.get("threads")
    if of_this_run is None:
        of_this_run = _run_vars.setdefault("threads", trio.lowlevel.RunVar("chatmodels threads"))
    try:
        return of_this_run.get()
    except LookupError:
        made = trio.CapacityLimiter(THREADS)
        of_this_run.set(made)
        return made


class Task(Protocol):
    """A coroutine that runs beside the caller."""

    def cancel(self) -> object: ...

    async def ended(self) -> None:
        """Wait until it has ended, also where the caller itself is cancelled."""
        ...


def spawn(function: Callable[[], Coroutine[Any, Any, None]]) -> Task:
    """Run the coroutine function beside the caller. It must not raise."""
    return _TrioTask(function) if in_trio() else _AsyncioTask(function)


class _AsyncioTask:
    def __init__(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        import asyncio

        self._wait = asyncio.wait
        self._task = asyncio.ensure_future(function())

    def cancel(self) -> None:
        self._task.cancel()

    async def ended(self) -> None:
        await self._wait([self._task])


class _TrioTask:
    def __init__(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        trio = sys.modules["trio"]
        self._trio = trio
        self._scope = trio.CancelScope()
        self._end = trio.Event()
        trio.lowlevel.spawn_system_task(self._run, function, context=contextvars.copy_context())

    async def _run(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            with self._scope:
                await function()
        finally:
            self._end.set()

    def cancel(self) -> None:
        self._scope.cancel()

    async def ended(self) -> None:
        with self._trio.CancelScope(shield=True):
            await self._end.wait()


def mailbox() -> tuple[Callable[[Any], None], Callable[[], Awaitable[Any]]]:
    """An unbounded queue: (put without waiting, wait for the next)."""
    if in_trio():
        send, receive = sys.modules["trio"].open_memory_channel(math.inf)
        return send.send_nowait, receive.receive
    import asyncio

    queue: asyncio.Queue[Any] = asyncio.Queue()
    return queue.put_nowait, queue.get


def semaphore(count: int) -> Any:
    """`await s.acquire()`, `s.release()`."""
    if in_trio():
        return sys.modules["trio"].Semaphore(count)
    import asyncio

    return asyncio.Semaphore(count)


def lock() -> Any:
    """`async with lock`."""
    if in_trio():
        return sys.modules["trio"].Lock()
    import asyncio

    return asyncio.Lock()


def soon(function: Callable[[Any], object]) -> Callable[[Any], None]:
    """The function, to be called from another thread: it runs in this loop."""
    if in_trio():
        token = sys.modules["trio"].lowlevel.current_trio_token()
        return lambda value: token.run_sync_soon(function, value)
    import asyncio

    loop = asyncio.get_running_loop()

    def later(value: Any) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(function, value)

    return later
