"""A tool loop as it happens: the chunks of each answer and the results that are fed back, in order, in both worlds.

The loop itself is `_tool_loop.py`; here its steps are driven, and given out.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from typing import Self

import msgspec

from ._calls import stream_flow
from ._drive import achunks, arun, chunks, run
from ._errors import UsageError
from ._flow import Flow
from ._messages import AIMessage, Message
from ._plan import Plan, Streaming
from ._run_tools_watch import RunSeen
from ._stream import AIMessageChunk
from ._tool_loop import ToolLoop, ToolRun

#: What a tool stream gives: a piece of an answer, or a tool's result (a `ToolMessage`).
Item = AIMessageChunk | Message


class _ToolStream:
    """What the sync and the async one share."""

    def __init__(self, plan: Plan, loop: ToolLoop) -> None:
        self._plan = plan
        self._loop = loop
        self._state = Streaming()
        self._seen = RunSeen(plan, loop, streamed=True)

    @property
    def message(self) -> AIMessage:
        """The newest answer, as far as it has come."""
        return self._state.message()

    @property
    def run(self) -> ToolRun:
        """The whole run, once the stream has ended."""
        if self._loop.ended is None:
            raise UsageError("the run has not ended: read the stream to its end first", argument="run")
        return self._loop.ended

    def _next(self) -> Flow[None]:
        self._state = Streaming()
        return stream_flow(self._plan, msgspec.structs.replace(self._loop.call, stream=True), self._state)

    def _answered(self) -> bool:
        """Take the answer that has come; True when there is something to run. A stream that was left ends the loop."""
        message = self._state.message()
        if message.finish_reason is None:
            return False
        self._loop.take(message)
        return self._loop.ended is None


class ToolStream(_ToolStream):
    """An iterator of chunks and tool messages, and a context manager; `.run` at the end."""

    def __init__(self, plan: Plan, loop: ToolLoop) -> None:
        super().__init__(plan, loop)
        self._items = self._walk()

    def _walk(self) -> Generator[Item]:
        if self._loop.calls:
            yield from run(self._loop.results())
        while True:
            with closing(chunks(self._next(), self._state)) as answer:
                yield from answer
            if not self._answered():
                return
            yield from run(self._loop.results())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        with self._seen:
            return next(self._items)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop: the connection is closed at once, and no further tool is run."""
        self._items.close()
        self._seen.end()

    def until_done(self) -> ToolRun:
        """Read to the end and give the run."""
        for _ in self:
            pass
        return self.run


class AsyncToolStream(_ToolStream):
    """`ToolStream` in the async world."""

    def __init__(self, plan: Plan, loop: ToolLoop) -> None:
        super().__init__(plan, loop)
        self._items = self._walk()

    async def _walk(self) -> AsyncGenerator[Item]:
        if self._loop.calls:
            for result in await arun(self._loop.results()):
                yield result
        while True:
            async with aclosing(achunks(self._next(), self._state)) as answer:
                async for chunk in answer:
                    yield chunk
            if not self._answered():
                return
            for result in await arun(self._loop.results()):
                yield result

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        with self._seen:
            return await anext(self._items)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop: the connection is closed at once, and no further tool is run."""
        await self._items.aclose()
        self._seen.end()

    async def until_done(self) -> ToolRun:
        """Read to the end and give the run."""
        async for _ in self:
            pass
        return self.run
