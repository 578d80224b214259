"""A Cohere v2 chat stream as events. One small function per kind of event; text deltas go straight through.

The answer is complete with `message-end`. A part of the content, the plan and each call get the next place when they
begin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from .._events import (
    End,
    Event,
    LogprobsDelta,
    MessageInfo,
    PartDone,
    PartInfo,
    ReasoningDelta,
    Start,
    TextDelta,
    ToolCallDelta,
)
from .._json import decode_as, loads
from .._parts import Opaque
from .._schema_walk import is_object
from ._base import Dialect, SSEDecoder
from ._cohere_wire import cited_place, ending, failure, plan_part, read_call, read_citation, usage_of
from ._errors import error_told, make_error, read_error
from ._kept import items, mapping, text, text_or_none


class _Content(msgspec.Struct):
    type: Any = None
    text: Any = None
    thinking: Any = None


class _Message(msgspec.Struct):
    content: _Content | list[Any] | str | None = None
    tool_plan: Any = None
    tool_calls: Any = None
    citations: Any = None


class _Delta(msgspec.Struct):
    message: _Message | None = None
    finish_reason: Any = None
    usage: Any = None
    error: Any = None


class _Event(msgspec.Struct):
    type: Any = None
    index: Any = None
    delta: _Delta | None = None
    id: Any = None
    message: Any = None
    logprobs: Any = None


_decoder = msgspec.json.Decoder(_Event)


class CohereStream(SSEDecoder):
    """The decoder of one Cohere stream."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._next = 0
        self._places: dict[int, int] = {}
        self._kinds: dict[int, str] = {}
        self._calls: dict[int, int] = {}
        self._plan: int | None = None
        self._citations: list[Any] = []

    def frame(self, out: list[Event], frame: tuple[bytes, bytes]) -> None:
        name, payload = frame
        if self.ended or (payload[:1] != b"{" and payload.strip() in (b"", b"[DONE]")):
            return
        try:
            event = _decoder.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            event = decode_as(_decoder, payload, f"{self.dialect.provider}: a stream event")
        kind = event.type if isinstance(event.type, str) else name.decode("utf-8", "replace")
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, out, event)
        elif kind == "error":
            self._fail(payload)
        elif event.type is None and (told := error_told(self.dialect.provider, payload)) is not None:
            raise told

    def finish(self, out: list[Event]) -> bool:
        return False

    def _fail(self, payload: bytes) -> None:
        body = loads(payload)
        message, code, kind = read_error(body)
        provider = self.dialect.provider
        raise make_error(provider, message or "the stream failed", code=code, kind=kind, body=body)

    # -- places

    def _new(self) -> int:
        index = self._next
        self._next += 1
        return index

    def _place(self, number: int, kind: str) -> int:
        """The part of a content index; another kind under the same index is another part."""
        index = self._places.get(number)
        if index is None or self._kinds[index] != kind:
            index = self._places[number] = self._new()
            self._kinds[index] = kind
        return index

    # -- events

    def _start(self, out: list[Event], event: _Event) -> None:
        out.append(Start(id=text_or_none(event.id)))
        message = event.delta.message if event.delta else None
        if message is not None and text(message.tool_plan):
            self._plan_delta(out, event)

    def _content(self, out: list[Event], event: _Event) -> None:
        message = event.delta.message if event.delta else None
        content = message.content if message else None
        if isinstance(content, _Content):
            self._more(out, event, content)
        if event.logprobs is not None:
            self._logprobs(out, event.logprobs)

    def _more(self, out: list[Event], event: _Event, content: _Content) -> None:
        if content.text.__class__ is str:
            index = self._place(_number(event), "text")
            if content.text:
                out.append(TextDelta(content.text, index))
        elif isinstance(content.thinking, str):
            index = self._place(_number(event), "thinking")
            if content.thinking:
                out.append(ReasoningDelta(content.thinking, index))
        elif isinstance(content.type, str) and content.type not in ("text", "thinking"):
            self._unknown(out, event, content.type)

    def _unknown(self, out: list[Event], event: _Event, kind: str) -> None:
        part = Opaque(provider=self.dialect.provider, kind=kind, data={"type": kind})
        out.append(PartDone(part, self._place(_number(event), kind)))

    def _logprobs(self, out: list[Event], given: Any) -> None:
        found = [t for t in (items(given) or [given]) if is_object(t)]
        if found:
            out.append(LogprobsDelta(found))

    def _plan_delta(self, out: list[Event], event: _Event) -> None:
        message = event.delta.message if event.delta else None
        said = text(message.tool_plan) if message else ""
        if not said:
            return
        if self._plan is None:
            self._plan = self._new()
            mark = plan_part("", self.dialect.provider).provider_data
            out.append(ReasoningDelta(said, self._plan))
            out.append(PartInfo(index=self._plan, provider_data=mark))
        else:
            out.append(ReasoningDelta(said, self._plan))

    def _call(self, out: list[Event], event: _Event) -> None:
        wire = self._wire_call(event)
        if wire is None:
            return
        call = read_call(wire, self.dialect.provider)
        index = self._calls[_number(event)] = self._new()
        out.append(ToolCallDelta(index, call.id or None, call.name or None, self._arguments(wire)))
        if call.provider_data:
            out.append(PartInfo(index=index, provider_data=call.provider_data))

    def _call_delta(self, out: list[Event], event: _Event) -> None:
        wire = self._wire_call(event)
        if wire is None:
            return
        index = self._calls.get(_number(event))
        if index is None:
            self._call(out, event)
        elif arguments := self._arguments(wire):
            out.append(ToolCallDelta(index, args=arguments))

    def _wire_call(self, event: _Event) -> dict[str, Any] | None:
        message = event.delta.message if event.delta else None
        given = message.tool_calls if message else None
        first = next(iter(items(given)), given)
        return first if is_object(first) else None

    def _arguments(self, wire: dict[str, Any]) -> str:
        return text(mapping(wire.get("function")).get("arguments"))

    def _citation(self, out: list[Event], event: _Event) -> None:
        message = event.delta.message if event.delta else None
        given = message.citations if message else None
        for wire in items(given) or [given]:
            if is_object(wire):
                self._cite(out, wire)

    def _cite(self, out: list[Event], wire: dict[str, Any]) -> None:
        provider = self.dialect.provider
        place = cited_place(wire, self._places, {i for i, k in self._kinds.items() if k == "text"})
        if place is not None:
            out.append(PartInfo(index=place, citations=tuple(read_citation(wire, provider))))
            return
        self._citations.append(wire)
        out.append(MessageInfo({provider: {"citations": list(self._citations)}}))

    def _end(self, out: list[Event], event: _Event) -> None:
        delta = event.delta or _Delta()
        if delta.error:
            body = msgspec.to_builtins(delta)
            raise failure(self.dialect.provider, delta.error, body)
        reason, raw = ending(delta.finish_reason, bool(self._calls))
        out.append(End(finish_reason=reason, raw_finish_reason=raw, usage=usage_of(delta.usage)))
        self.ended = True


def _number(event: _Event) -> int:
    """The event's index; 0 where there is none."""
    return event.index if isinstance(event.index, int) else 0


_HANDLERS: dict[str, Callable[[CohereStream, list[Event], _Event], None]] = {
    "message-start": CohereStream._start,
    "content-start": CohereStream._content,
    "content-delta": CohereStream._content,
    "tool-plan-delta": CohereStream._plan_delta,
    "tool-call-start": CohereStream._call,
    "tool-call-delta": CohereStream._call_delta,
    "citation-start": CohereStream._citation,
    "message-end": CohereStream._end,
}
