"""Many calls at once, each ending as a result or an error, in memory O(concurrency).

Workers take the next input when they are free; so an endless iterable is fine, and order is kept by index. Sync callers
have the calls made in the portal's loop, while their own thread iterates over their inputs.
"""

from __future__ import annotations

import asyncio
import math
import queue
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable, Iterator
from typing import Any, Literal, Protocol, cast

from ._async import Task, lock, mailbox, semaphore, spawn
from ._checks import whole
from ._drive import arun, run
from ._errors import BatchError, UsageError
from ._flow import Flow
from ._portal import portal

Result = Any
#: Makes the flow of one item; a wrong item is that item's error.
Many = Callable[[Any], Flow[Any]]


def finished(results: list[Result], errors: Literal["raise", "return"]) -> list[Any]:
    """The results; or a BatchError when some failed and errors are to be raised (of a single item, its own error)."""
    failed = [r for r in results if isinstance(r, Exception)]
    if not failed or errors == "return":
        return results
    first = failed[0]
    if len(results) == 1:
        raise first
    raise BatchError(
        f"{len(failed)} of {len(results)} items failed; every result is in .results. The first error: {first}",
        results=results,
    ) from first


def checked(max_concurrency: Any, errors: Any = "raise") -> int:
    """The limit, when both arguments are good."""
    if errors not in ("raise", "return"):
        raise UsageError(f"errors is 'raise' or 'return', not {errors!r}", argument="errors")
    return whole("max_concurrency", max_concurrency)


def _iterable(inputs: Any) -> Iterable[Any]:
    kind = type(cast(object, inputs))
    if isinstance(inputs, (str, bytes, dict)) or not hasattr(kind, "__iter__"):
        hint = "; an async iterable goes to abatch" if hasattr(kind, "__aiter__") else ""
        text = f"a batch takes a list (or any iterable) of inputs, not {kind.__name__}{hint}"
        raise UsageError(text, argument="inputs")
    items: Iterable[Any] = inputs
    return items


# ---- where inputs come from


class _Source(Protocol):
    """Gives out (index, input), to several takers."""

    async def next(self) -> tuple[int, Any] | None: ...


class _Direct:
    """From an iterable, in the takers' own thread."""

    def __init__(self, inputs: Iterable[Any]) -> None:
        self._items = enumerate(inputs)

    async def next(self) -> tuple[int, Any] | None:
        return next(self._items, None)


class _Async:
    """From an async iterable, one taker at a time."""

    def __init__(self, inputs: AsyncIterable[Any]) -> None:
        self._items = aiter(inputs)
        self._index = -1
        self._lock = lock()

    async def next(self) -> tuple[int, Any] | None:
        async with self._lock:
            try:
                item = await anext(self._items)
            except StopAsyncIteration:
                return None
            self._index += 1
            return self._index, item


class _Fed:
    """From another thread, which is asked when there is nothing left."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._asked = self._over = False
        self._items: deque[tuple[int, Any]] = deque()
        self._came = asyncio.Event()

    async def next(self) -> tuple[int, Any] | None:
        while not self._items:
            if self._over:
                return None
            if not self._asked:
                self._asked = True
                self._ask()
            await self._came.wait()
        return self._items.popleft()

    def feed(self, items: list[tuple[int, Any]]) -> None:
        """More inputs."""
        self._items.extend(items)
        self._wake()

    def fed(self, over: bool) -> None:
        """That is all for now, or for ever."""
        self._over, self._asked = over, False
        self._wake()

    def _wake(self) -> None:
        self._came.set()
        self._came.clear()


# ---- the work


def _start(source: _Source, many: Many, workers: int, put: Callable[[Any], None], room: Any) -> list[Task]:
    """Workers that put (index, result) pairs, None at the end, or the error of the inputs.

    `room`, where given, is a semaphore of results that may be made before somebody has taken those before them.
    """
    running = workers

    async def work() -> None:
        nonlocal running
        try:
            while True:
                if room is not None:
                    await room.acquire()
                item = await source.next()
                if item is None:
                    break
                put((item[0], await _call_one(item[1], many)))
        except Exception as error:
            put(error)
        except BaseException:
            put(RuntimeError("the event loop ended before the batch"))  # seen only by a caller that is still waiting
            raise
        finally:
            running -= 1
            if not running:
                put(None)

    return [spawn(work) for _ in range(workers)]


async def _call_one(item: Any, many: Many) -> Result:
    try:
        return await arun(many(item))
    except Exception as error:
        return error


async def _results(source: _Source, many: Many, workers: int, room: Any) -> AsyncGenerator[tuple[int, Result], None]:
    put, get = mailbox()
    tasks = _start(source, many, workers, put, room)
    try:
        while (got := await get()) is not None:
            if isinstance(got, Exception):
                raise got
            yield got
            if room is not None:
                room.release()
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            await task.ended()


def _workers(inputs: Any, limit: int) -> int:
    return min(limit, max(1, len(inputs))) if hasattr(inputs, "__len__") else limit


async def agather(inputs: Any, many: Many, limit: int) -> list[Result]:
    """All results in order."""
    ending = _results(_source(inputs), many, _workers(inputs, limit), None)
    results = {index: result async for index, result in ending}
    return [results[i] for i in range(len(results))]


def aas_completed(inputs: Any, many: Many, limit: int) -> AsyncGenerator[tuple[int, Result], None]:
    """(index, result) as the items end. A wrong argument is an error now, not at the first step."""
    return _results(_source(inputs), many, _workers(inputs, limit), semaphore(2 * limit))


def _source(inputs: Any) -> _Source:
    return _Async(inputs) if hasattr(type(cast(object, inputs)), "__aiter__") else _Direct(_iterable(inputs))


# ---- from sync code

_MORE = object()


def gather(inputs: Iterable[Any], many: Many, limit: int) -> list[Result]:
    """All results in order, from sync code."""
    items = _iterable(inputs)
    if isinstance(items, (list, tuple)):
        if len(items) == 1:
            return [_one(items[0], many)]
        return portal().run(agather(items, many, limit))
    results = dict(_as_completed(items, many, limit))
    return [results[i] for i in range(len(results))]


def _one(item: Any, many: Many) -> Result:
    """A single item needs no second thread."""
    try:
        return run(many(item))
    except Exception as error:
        return error


def as_completed(inputs: Iterable[Any], many: Many, limit: int) -> Iterator[tuple[int, Result]]:
    """(index, result) as the items end, for sync code. Leaving the loop early cancels what is still running."""
    return _as_completed(_iterable(inputs), many, limit)


def _as_completed(inputs: Iterable[Any], many: Many, limit: int) -> Generator[tuple[int, Result], None, None]:
    out: queue.SimpleQueue[Any] = queue.SimpleQueue()
    home = portal()
    source, room = _Fed(lambda: out.put(_MORE)), asyncio.Semaphore(2 * limit)
    workers = _workers(inputs, limit)

    async def work() -> None:
        tasks = _start(source, many, workers, out.put, room)
        try:
            for task in tasks:
                await task.ended()
        finally:
            for task in tasks:
                task.cancel()

    future = home.start(work())
    items = enumerate(inputs)
    seconds = math.inf if isinstance(inputs, (list, tuple)) else _READING  # what is there already keeps nobody waiting
    try:
        while (got := out.get()) is not None:
            if got is _MORE:
                _give_some(items, 2 * limit, source, home.loop.call_soon_threadsafe, seconds)
                continue
            if isinstance(got, Exception):
                raise got
            yield got
            home.loop.call_soon_threadsafe(room.release)
    finally:
        future.cancel()


#: So long inputs are read before results are given out again, in seconds.
_READING = 0.005


def _give_some(
    items: Iterator[tuple[int, Any]], most: int, source: _Fed, soon: Callable[..., object], seconds: float = _READING
) -> None:
    """Hand inputs over, each at once, since the next one may be slow to come; and not for long, since results wait."""
    ends = time.monotonic() + seconds
    for _ in range(most):
        item = next(items, None)
        if item is None:
            soon(source.fed, True)
            return
        soon(source.feed, [item])
        if time.monotonic() > ends:
            break
    soon(source.fed, False)
