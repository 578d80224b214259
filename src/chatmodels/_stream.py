"""What a stream looks like from outside: `AIMessageChunk`, and the stream objects that give them.

A stream is an iterator of chunks and a context manager. Leaving it early closes the connection at once; `.message` is the
answer so far, and the whole answer once the stream has ended.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, Self

import msgspec

from ._errors import IncompleteStream, UsageError
from ._events import End, Event, ReasoningDelta, Restarted, TextDelta, ToolCallDelta
from ._fold import fold
from ._messages import AIMessage
from ._usage import Usage

if TYPE_CHECKING:
    from ._plan import Streaming


class AIMessageChunk(msgspec.Struct, repr_omit_defaults=True, omit_defaults=True):
    """A piece of an answer: `event` says what it is, `text`, `reasoning` and `tool_call_chunks` what it holds.

    Chunks add up: `a + b` holds both, and `to_message()` folds them. Adding is linear over a whole stream.
    """

    event: Event | None = None
    joined: list[Event] | None = None
    count: int = 0

    @property
    def events(self) -> list[Event]:
        """The events that this chunk holds, in order (one, unless chunks were added)."""
        if self.joined is None:
            return [] if self.event is None else [self.event]
        return self.joined[: self.count]

    @property
    def text(self) -> str:
        """The text in this chunk; empty when it holds something else."""
        event = self.event
        if isinstance(event, TextDelta):
            return event.text
        if self.joined is None:
            return ""
        return "".join([e.text for e in self._current() if isinstance(e, TextDelta)])

    @property
    def content(self) -> str:
        """The same as `text`."""
        return self.text

    @property
    def reasoning(self) -> str:
        """The model's working in this chunk."""
        return "".join([e.text for e in self._current() if isinstance(e, ReasoningDelta)])

    @property
    def tool_call_chunks(self) -> list[ToolCallDelta]:
        """Pieces of tool calls: `index`, and of `id`, `name` and `args` (JSON text) what came."""
        return [e for e in self._current() if isinstance(e, ToolCallDelta)]

    def _current(self) -> list[Event]:
        """The events of the answer as it stands: those since it was begun anew on another model, if it was."""
        events = self.events
        began = max((i for i, e in enumerate(events) if isinstance(e, Restarted)), default=-1)
        return events[began + 1 :] if began >= 0 else events

    @property
    def finish_reason(self) -> str | None:
        """The unified finish reason, on the last chunk."""
        last = self.events[-1:]
        return last[0].finish_reason if last and isinstance(last[0], End) else None

    @property
    def usage(self) -> Usage | None:
        """Token counts, on the last chunk."""
        last = self.events[-1:]
        return last[0].usage if last and isinstance(last[0], End) else None

    def __add__(self, other: AIMessageChunk) -> AIMessageChunk:
        if not isinstance(other, AIMessageChunk):
            return NotImplemented
        mine = self.joined
        if mine is None or len(mine) != self.count:  # somebody else has added to the shared list: take a copy
            mine = self.events
        mine.extend(other.events)
        return AIMessageChunk(None, mine, len(mine))

    def to_message(self) -> AIMessage:
        """The message that these pieces make; its `finish_reason` is None unless the end is among them."""
        return fold(self.events)


def whole(message: AIMessage) -> AIMessage:
    """The answer of a stream that has been read; an IncompleteStream when it was closed before its end."""
    if message.finish_reason is None:
        raise IncompleteStream(
            "the stream was closed before the answer was complete; the error's .message has what came",
            provider=message.provider,
            model=message.model,
            partial=message,
        )
    return message


class _Stream:
    """What the sync and the async stream share."""

    __slots__ = ("__weakref__", "_state", "on_message")

    def __init__(self, state: Streaming) -> None:
        self._state = state
        self.on_message: Callable[[AIMessage], Any] | None = None

    @property
    def message(self) -> AIMessage:
        """The answer so far. While `finish_reason` is None it is not complete."""
        return self._state.message()

    @property
    def usage(self) -> Usage | None:
        """Token counts, as far as they are known."""
        return self._state.fold.usage

    @property
    def text(self) -> str:
        """The text so far."""
        return self.message.text


class ChatStream(_Stream):
    """The chunks of an answer as they come."""

    __slots__ = ("_chunks",)

    def __init__(self, chunks: Generator[AIMessageChunk, None, None], state: Streaming) -> None:
        super().__init__(state)
        self._chunks = chunks

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> AIMessageChunk:
        return next(self._chunks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop: the connection is closed at once, `.message` keeps what came.

        May be called from any thread: a loop that waits for the next chunk in another one ends.
        """
        try:
            self._chunks.close()
        except ValueError:  # another thread is waiting in it
            self._state.leave()

    def until_done(self) -> AIMessage:
        """Read to the end and give the whole answer; `IncompleteStream` when the stream was closed before its end."""
        for _ in self._chunks:
            pass
        return whole(self.message)

    def __aiter__(self) -> Any:
        raise UsageError("this is a sync stream: use `for`, or `async for` over .astream(...)", argument="stream")


class AsyncChatStream(_Stream):
    """The chunks of an answer as they come, in the async world."""

    __slots__ = ("_chunks",)

    def __init__(self, chunks: AsyncGenerator[AIMessageChunk, None], state: Streaming) -> None:
        super().__init__(state)
        self._chunks = chunks

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[AIMessageChunk]:
        return self._chunks.__anext__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop: the connection is closed at once, `.message` keeps what came.

        May be called from another task: a loop that waits for the next chunk there ends.
        """
        try:
            await self._chunks.aclose()
        except RuntimeError:
            if not self._chunks.ag_running:  # type: ignore[attr-defined]
                raise
            self._state.leave()

    close = aclose

    async def until_done(self) -> AIMessage:
        """Read to the end and give the whole answer; `IncompleteStream` when the stream was closed before its end."""
        async for _ in self._chunks:
            pass
        return whole(self.message)

    def __iter__(self) -> Any:
        raise UsageError("this is an async stream: use `async for`, or `for` over .stream(...)", argument="stream")
