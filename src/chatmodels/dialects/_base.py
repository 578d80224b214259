"""What a dialect is: four pure functions and one decoder with state. Knows values and framing, no provider.

    encode(call)          Call -> HTTPRequest        deterministic bytes, no key, no clock
    decode(response)      HTTPResponse -> AIMessage  (with `.alternatives` when n > 1)
    decode_error(resp)    HTTPResponse -> ProviderError
    stream_decoder()      a fresh StreamDecoder for one stream: bytes -> events

A writer of a dialect subclasses `Decoder` (or `SSEDecoder`) and implements `frame` and `finish`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from .._call import Call, HTTPRequest, HTTPResponse
from .._errors import (
    ChatModelError,
    IncompleteStream,
    ProviderError,
)
from .._events import (
    ChoiceFinish,
    End,
    Event,
    LogprobsDelta,
    MessageInfo,
    PartDone,
    ReasoningDelta,
    Start,
    TextDelta,
    ToolCallDelta,
    Warned,
)
from .._framing import SSE
from .._inputs import tool_call
from .._json import loads
from .._messages import AIMessage
from .._parts import Part, Reasoning, Text, ToolCall
from ._errors import error_told

#: A small named change of a request's JSON that one host or model wants; it may add warnings to the list.
Quirk: TypeAlias = Callable[[dict[str, Any], list[str]], None]


class StreamDecoder(Protocol):
    """Bytes in, events out, for one stream."""

    failed: ChatModelError | None

    def feed(self, data: bytes) -> list[Event]:
        """The events that are complete with these bytes.

        When an event is an error of the provider or cannot be read, the events before it are returned, and `failed`
        holds the error, which the next `feed` or `close` raises (at once where no event came before it).
        """
        ...

    def close(self) -> list[Event]:
        """The end of the bytes: the last events. Raises IncompleteStream unless the answer is complete."""
        ...


class Dialect(Protocol):
    """One wire format, for one provider row."""

    provider: str

    def encode(self, call: Call) -> HTTPRequest: ...

    def decode(self, response: HTTPResponse) -> AIMessage: ...

    def decode_error(self, response: HTTPResponse) -> ProviderError: ...

    def stream_decoder(self) -> StreamDecoder: ...


class Decoder:
    """The frame around every stream decoder: deferred errors, the end, plain JSON in place of a stream.

    Subclasses implement `frames(data)` and `last_frames()` (framing), `frame(out, frame)` (append the events of one
    frame) and `finish(out)` (append the last events; return False when the answer is not complete).
    """

    #: First byte of a plain JSON answer that came instead of a stream; None where the stream itself begins with it.
    plain_start: bytes | None = b"{"

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.failed: ChatModelError | None = None
        self.ended = False
        self._head = b""
        self._plain: list[bytes] | None = None
        self._sniffed = self.plain_start is None

    # -- for subclasses

    def frames(self, data: bytes) -> Any:
        raise NotImplementedError

    def last_frames(self) -> Any:
        raise NotImplementedError

    def frame(self, out: list[Event], frame: Any) -> None:
        raise NotImplementedError

    def finish(self, out: list[Event]) -> bool:
        raise NotImplementedError

    # -- the protocol

    def feed(self, data: bytes) -> list[Event]:
        if self.failed is not None:
            raise self.failed
        if not self._sniffed and not self._sniff(data):
            return []
        if self._head:
            data, self._head = self._head, b""
        out: list[Event] = []
        try:
            frame = self.frame
            for item in self.frames(data):
                frame(out, item)
        except ChatModelError as error:
            self.failed = error
            if not out:
                raise
        return out

    def close(self) -> list[Event]:
        if self.failed is not None:
            raise self.failed
        if self._plain is not None:
            return self._close_plain()
        out: list[Event] = []
        if self.ended:
            return out
        for item in self.last_frames():
            self.frame(out, item)
        if not self.ended:
            if not self.finish(out):
                self.failed = self.incomplete()
                if out:
                    return out
                raise self.failed
            self.ended = True
        return out

    #: What came in the stream and is no part of it, where the framing keeps that.
    strays: bytes = b""

    def incomplete(self) -> ChatModelError:
        """The error of a stream that ended too early: the provider's own, where a bare one stands at its end."""
        provider = self.dialect.provider
        told = error_told(provider, self.strays)
        if told is not None:
            return told
        beside = f"; beside it stood {self.strays[:200]!r}" if self.strays else ""
        return IncompleteStream(
            f"the stream ended before the answer was complete; the error's .message has what came{beside}",
            provider=provider,
        )

    def _sniff(self, data: bytes) -> bool:
        """Is it a stream at all? False while that is open, or when a plain JSON answer is being collected."""
        if self._plain is not None:
            self._plain.append(data)
            return False
        self._head += data
        start = self._head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not start:
            return False
        if start[:1] == self.plain_start:
            self._plain = [self._head]
            self._head = b""
            return False
        self._sniffed = True
        return True

    def _close_plain(self) -> list[Event]:
        body = b"".join(self._plain or ())
        try:
            loads(body)
        except ValueError as error:
            raise self.incomplete() from error
        self.ended = True
        return events_of(self.dialect.decode(HTTPResponse(status=200, body=body)))


class SSEDecoder(Decoder):
    """A decoder over server-sent events; `frame` gets `(event name, data)` as bytes."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._sse = SSE()
        self.frames = self._sse.feed  # type: ignore[method-assign]

    @property
    def strays(self) -> bytes:  # type: ignore[override]
        return self._sse.strays

    def last_frames(self) -> list[tuple[bytes, bytes]]:
        """An event that the end of the bytes cut off counts when it is whole JSON; else it is dropped."""
        last = self._sse.close()
        if self._sse.unterminated and last and not _is_json(last[-1][1]):
            return last[:-1]
        return last


def _is_json(payload: bytes) -> bool:
    if payload.strip() == b"[DONE]":
        return True
    try:
        loads(payload)
    except ValueError:
        return False
    return True


def events_of(message: AIMessage) -> list[Event]:
    """The events whose fold is this message: a plain answer, or one from a cache, given as a stream."""
    out: list[Event] = [Start(id=message.id, model=message.model)]
    out += [Warned(text) for text in message.warnings]
    for number, choice in enumerate((message, *message.alternatives)):
        for index, part in enumerate(choice.parts):
            out.append(_part_event(part, index, number))
        if choice.logprobs:
            out.append(LogprobsDelta(choice.logprobs, number))
        if choice.provider_data:
            out.append(MessageInfo(choice.provider_data, number))
    out.append(_end_of(message))
    return out


def _end_of(message: AIMessage) -> End:
    others = {
        n + 1: ChoiceFinish(a.finish_reason or "unknown", a.raw_finish_reason)
        for n, a in enumerate(message.alternatives)
    }
    return End(
        finish_reason=message.finish_reason or "unknown",
        raw_finish_reason=message.raw_finish_reason,
        usage=message.usage,
        others=others,
    )


def _part_event(part: Part, index: int, choice: int) -> Event:
    if isinstance(part, Text) and part == Text(part.text):
        return TextDelta(part.text, index, choice)
    if isinstance(part, Reasoning) and part == Reasoning(part.text):
        return ReasoningDelta(part.text, index, choice)
    if isinstance(part, ToolCall) and part.text is not None and part == tool_call(part.id, part.name, part.text):
        return ToolCallDelta(index, part.id, part.name, part.text, choice)
    return PartDone(part, index, choice)
