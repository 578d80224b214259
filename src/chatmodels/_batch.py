"""Many calls at once, each ending as a result or an error, in memory O(concurrency).

Workers take the next input when they are free; so an endless iterable is fine, and order is kept by index. Sync callers run
the same code in the portal's loop.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from ._call import Call
from ._calls import Plan, call_flow
from ._drive import arun
from ._errors import BatchError, ChatModelError, UsageError
from ._messages import AIMessage
from ._portal import portal

if TYPE_CHECKING:
    from ._model import ChatModel

Result = AIMessage | Exception
Many = tuple[Plan, Callable[[Any], Call]]


def finished(results: list[Result], errors: Literal["raise", "return"]) -> list[Any]:
    """The results, or a BatchError when some failed and errors are to be raised (the error itself, of a single item)."""
    if errors == "return":
        return results
    if errors != "raise":
        raise UsageError(f"errors is 'raise' or 'return', not {errors!r}", argument="errors")
    failed = [r for r in results if isinstance(r, Exception)]
    if not failed:
        return results
    if len(results) == 1:
        raise failed[0]
    first = failed[0]
    raise BatchError(
        f"{len(failed)} of {len(results)} items failed; every result is in .results. The first error: {first}",
        results=results,
    ) from first


def gather(model: ChatModel, inputs: Iterable[Any], many: Many, max_concurrency: int) -> list[Result]:
    """All results in order, from sync code."""
    limit = _limit(max_concurrency)
    items = _iterable(inputs)
    if isinstance(items, (list, tuple)) and len(items) == 1:
        return [_one(items[0], many)]
    return portal().run(agather(model, items, many, limit))


def _one(item: Any, many: Many) -> Result:
    """A single item needs no second thread."""
    from ._drive import run

    plan, make = many
    try:
        return run(call_flow(plan, make(item)))
    except ChatModelError as error:
        return error


async def agather(model: ChatModel, inputs: Any, many: Many, max_concurrency: int) -> list[Result]:
    """All results in order."""
    results: dict[int, Result] = {}
    async for index, result in aas_completed(model, inputs, many, max_concurrency):
        results[index] = result
    return [results[i] for i in range(len(results))]


async def aas_completed(
    model: ChatModel, inputs: Any, many: Many, max_concurrency: int
) -> AsyncIterator[tuple[int, Result]]:
    """(index, result) as the items end."""
    limit = _limit(max_concurrency)
    source = _Source(inputs)
    done: asyncio.Queue[tuple[int, Result] | BaseException | None] = asyncio.Queue(maxsize=2 * limit)
    workers: set[asyncio.Task[None]] = set()
    running = 0

    async def work() -> None:
        nonlocal running
        try:
            while (item := await source.next()) is not None:
                await done.put((item[0], await _call_one(item[1], many)))
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            await done.put(error)
        finally:
            running -= 1
            if not running:
                done.put_nowait(None) if not done.full() else workers.add(asyncio.ensure_future(done.put(None)))

    size = source.size()
    for _ in range(limit if size is None else min(limit, size)):
        running += 1
        workers.add(asyncio.ensure_future(work()))
    if not workers:
        return
    try:
        while (got := await done.get()) is not None:
            if isinstance(got, BaseException):
                raise got
            yield got
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def _call_one(item: Any, many: Many) -> Result:
    plan, make = many
    try:
        return await arun(call_flow(plan, make(item)))
    except Exception as error:
        return error


class _Source:
    """Gives out (index, input), from a sync or an async iterable, to one taker at a time."""

    def __init__(self, inputs: Any) -> None:
        self._given = inputs
        self._sync: Iterator[Any] | None = None
        self._async: AsyncIterator[Any] | None = None
        self._index = 0
        self._lock = asyncio.Lock()
        if isinstance(inputs, AsyncIterable):
            self._async = aiter(inputs)
        else:
            self._sync = iter(_iterable(inputs))

    def size(self) -> int | None:
        """How many there are, where that is known."""
        return len(self._given) if hasattr(self._given, "__len__") else None

    async def next(self) -> tuple[int, Any] | None:
        if self._sync is not None:
            try:
                item = next(self._sync)
            except StopIteration:
                return None
            self._index += 1
            return self._index - 1, item
        async with self._lock:
            try:
                item = await anext(self._async)  # type: ignore[arg-type]
            except StopAsyncIteration:
                return None
            self._index += 1
            return self._index - 1, item


def as_completed(
    model: ChatModel, inputs: Iterable[Any], many: Many, max_concurrency: int
) -> Iterator[tuple[int, Result]]:
    """(index, result) as the items end, for sync code. Leaving the loop early cancels what is still running."""
    limit = _limit(max_concurrency)
    items = _iterable(inputs)
    out: queue.SimpleQueue[tuple[int, Result] | BaseException | None] = queue.SimpleQueue()
    room: list[asyncio.Semaphore] = []

    async def pump() -> None:
        room.append(asyncio.Semaphore(2 * limit))
        try:
            async for pair in aas_completed(model, items, many, limit):
                await room[0].acquire()  # a slow reader holds the workers back
                out.put(pair)
        except BaseException as error:
            out.put(error)
            raise
        out.put(None)

    home = portal()
    future = home.start(pump())
    try:
        while (got := out.get()) is not None:
            if isinstance(got, BaseException):
                raise got
            home.loop.call_soon_threadsafe(room[0].release)
            yield got
    finally:
        future.cancel()


def _limit(max_concurrency: Any) -> int:
    if not isinstance(max_concurrency, int) or isinstance(max_concurrency, bool) or max_concurrency < 1:
        raise UsageError(f"max_concurrency is a whole number, 1 or more; got {max_concurrency!r}", argument="max_concurrency")
    return max_concurrency


def _iterable(inputs: Any) -> Iterable[Any]:
    if isinstance(inputs, (str, bytes, dict)) or not isinstance(inputs, Iterable):
        raise UsageError(
            f"a batch takes a list (or any iterable) of inputs, not {type(inputs).__name__}", argument="inputs"
        )
    return inputs
