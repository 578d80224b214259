"""A Responses stream as events. One small function per kind of event; the usual text delta goes straight
through.

Deltas are given out as they come. When an item is done, what its deltas left out (citations, ids, encrypted
content, text that never came as a delta) is added, so that the fold is what the plain answer says. Only
`response.completed` and `response.incomplete` complete the answer; `response.failed` and `error` are errors.
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
    RefusalDelta,
    Start,
    TextDelta,
    ToolCallDelta,
)
from .._json import decode_as, mend
from .._parts import Image, InvalidToolCall, Part, Reasoning, Refusal, ServerTool, Text, ToolCall
from .._schema_walk import is_object
from ._base import Dialect, SSEDecoder
from ._errors import error_told
from ._kept import items, mapping, text, text_or_none
from ._openai_responses_items import SECTION, in_message, read_citation, read_item
from ._openai_responses_wire import ending, failure, is_error, message_data, usage_of


class _Event(msgspec.Struct):
    """The fields of all kinds of events that are read."""

    type: Any = None
    delta: Any = None
    output_index: Any = None
    content_index: Any = None
    logprobs: Any = None
    item_id: Any = None
    item: Any = None
    response: Any = None
    annotation: Any = None
    summary_index: Any = None
    partial_image_b64: Any = None
    error: Any = None
    code: Any = None
    message: Any = None


_decoder = msgspec.json.Decoder(_Event)


class _Slot:
    """What the events given out so far say of one part."""

    __slots__ = ("citations", "custom", "index", "kind", "logprobs", "section", "summary", "texts")

    def __init__(self, index: int, kind: str) -> None:
        self.index = index
        self.kind = kind
        self.texts: list[str] = []
        self.citations: list[Any] = []
        self.logprobs: list[dict[str, Any]] = []
        self.section: Any = None
        self.summary = False
        self.custom = False


class _Item:
    """One output item: its place and the slots of its parts."""

    __slots__ = ("base", "done", "slots", "wire")

    def __init__(self, base: int) -> None:
        self.base = base
        self.slots: dict[int, _Slot] = {}
        self.done = False
        self.wire: Any = None


class ResponsesStream(SSEDecoder):
    """The decoder of one Responses stream."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._items: dict[int, _Item] = {}
        self._ids: dict[str, int] = {}
        self._used: set[int] = set()
        self._extra = 0
        self._parts: dict[int, Part] = {}
        self._first_message: _Item | None = None
        self._started = False
        self._last_key: tuple[Any, Any] | None = None
        self._last: _Slot | None = None

    # -- frames

    def frame(self, out: list[Event], frame: tuple[bytes, bytes]) -> None:
        name, payload = frame
        if self.ended or (payload[:1] != b"{" and payload.strip() in (b"", b"[DONE]")):
            return
        try:
            event = _decoder.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            event = decode_as(_decoder, payload, f"{self.dialect.provider}: a stream event")
        kind = event.type
        if kind == "response.output_text.delta" and (event.output_index, event.content_index) == self._last_key:
            self._more_text(out, event)
            return
        if not isinstance(kind, str):
            kind = "error" if event.error is not None else name.decode("utf-8", "replace")
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, out, event)
        elif event.type is None and (told := error_told(self.dialect.provider, payload)) is not None:
            raise told

    def finish(self, out: list[Event]) -> bool:
        return False

    def _more_text(self, out: list[Event], event: _Event) -> None:
        slot = self._last
        delta = event.delta
        if slot is None or delta.__class__ is not str:
            return
        slot.texts.append(delta)
        out.append(TextDelta(delta, slot.index))
        if event.logprobs:
            slot.logprobs += [t for t in items(event.logprobs) if is_object(t)]

    # -- places

    def _item(self, event: _Event) -> _Item:
        number = event.output_index
        if not isinstance(number, int) or number < 0:
            ident = text(event.item_id) or text(mapping(event.item).get("id"))
            number = self._ids.setdefault(ident, len(self._items)) if ident else max(self._items, default=0)
        found = self._items.get(number)
        if found is None:
            found = self._items[number] = _Item(number + self._extra)
        return found

    def _slot(self, item: _Item, content: Any, kind: str) -> _Slot:
        number = max(content, 0) if isinstance(content, int) else 0
        slot = item.slots.get(number)
        if slot is None:
            index = item.base + number
            while index in self._used:
                index += 1
            self._used.add(index)
            self._extra += number > 0
            slot = item.slots[number] = _Slot(index, kind)
        elif not slot.texts and slot.kind != kind:
            slot.kind = kind
        return slot

    def _place(self, item: _Item, number: int, count: int) -> _Slot:
        """The slot of a finished item's part; where the deltas counted otherwise, slots go in order."""
        known = sorted(item.slots)
        if not all(n < count for n in known):
            if number < len(known):
                return item.slots[known[number]]
            number = known[-1] + 1
        return item.slots[number] if number in item.slots else self._slot(item, number, "")

    # -- the answer as a whole

    def _created(self, out: list[Event], event: _Event) -> None:
        response = event.response
        if is_object(response) and not self._started:
            self._started = True
            out.append(Start(id=text_or_none(response.get("id")), model=text_or_none(response.get("model"))))

    def _final(self, out: list[Event], event: _Event) -> None:
        response = mapping(event.response)
        if event.type == "response.failed" or is_error(response):
            raise failure(self.dialect.provider, response.get("error"), response)
        ident, model = text_or_none(response.get("id")), text_or_none(response.get("model"))
        if ident or model:
            out.append(Start(id=ident, model=model))
        self._left_over(out, items(response.get("output")))
        data = message_data(response)
        if data:
            out.append(MessageInfo({self.dialect.provider: data}))
        reason, raw = ending(response, self._known())
        out.append(End(finish_reason=reason, raw_finish_reason=raw, usage=usage_of(response.get("usage"))))
        self.ended = True

    def _known(self) -> list[Part]:
        """The parts so far; a call that no event has ended is a call all the same."""
        slots = [s for i in self._items.values() if not i.done for s in i.slots.values()]
        return [*self._parts.values(), *(ToolCall() for s in slots if s.kind == "call")]

    def _left_over(self, out: list[Event], output: list[Any]) -> None:
        """Items that only the last event tells; a list shorter than what came before is not believed."""
        if len(output) < sum(1 for i in self._items.values() if i.done):
            return
        for number, item in enumerate(output):
            known = self._items.get(number)
            if known is None or not known.done:
                self._done(out, _Event(output_index=number, item=item))
            elif known.wire != item:
                self._retold(out, known, item)

    def _retold(self, out: list[Event], known: _Item, item: Any) -> None:
        """The last event may tell an item anew, e.g. its reasoning encrypted afresh, as the plain answer."""
        reading = read_item(item, self.dialect.provider)
        slot = known.slots.get(0)
        if reading.message is not None or slot is None:
            return
        part, before = reading.parts[0], self._parts.get(slot.index)
        if type(part) is type(before) and part != before:
            self._settle_part(out, slot, part)

    def _error(self, out: list[Event], event: _Event) -> None:
        error = event.error
        if error is None:
            error = {"code": event.code, "message": event.message}
        raise failure(self.dialect.provider, error, {"error": error})

    # -- items

    def _added(self, out: list[Event], event: _Event) -> None:
        item = self._item(event)
        wire = event.item
        if not is_object(wire):
            return
        kind = wire.get("type")
        if kind == "message":
            self._first_message = self._first_message or item
        elif kind in ("function_call", "custom_tool_call"):
            self._call(out, item, wire, kind == "custom_tool_call")
        elif kind not in ("reasoning", None):
            part = read_item(wire, self.dialect.provider).parts[0]
            if isinstance(part, ServerTool):
                out.append(PartDone(part, self._slot(item, 0, "part").index))

    def _call(self, out: list[Event], item: _Item, wire: dict[str, Any], custom: bool) -> None:
        slot = self._slot(item, 0, "call")
        slot.custom = custom
        ident = text(wire.get("call_id")) or text(wire.get("id"))
        out.append(ToolCallDelta(slot.index, ident or None, text(wire.get("name")) or None, custom=custom))

    def _done(self, out: list[Event], event: _Event) -> None:
        item = self._item(event)
        if item.done:
            return
        item.done, item.wire = True, event.item
        provider = self.dialect.provider
        reading = read_item(event.item, provider)
        parts = reading.parts
        if reading.message is not None:
            parts = self._message(out, item, reading.message, parts)
        for number, part in enumerate(parts):
            slot = self._place(item, number, len(parts))
            self._parts[slot.index] = part
            _SETTLE.get(type(part), ResponsesStream._settle_part)(self, out, slot, part)
        logprobs = reading.logprobs or [t for s in item.slots.values() for t in s.logprobs]
        if logprobs:
            out.append(LogprobsDelta(logprobs))

    def _message(self, out: list[Event], item: _Item, message: dict[str, Any], parts: list[Part]) -> list[Part]:
        """A message item's parts. The first item's fields are kept on the message, others' on the parts."""
        provider = self.dialect.provider
        self._first_message = self._first_message or item
        if self._first_message is not item:
            return [in_message(p, message, provider) for p in parts]
        if message:
            out.append(MessageInfo({provider: {"message": message}}))
        return parts

    # -- what an item's end adds to its deltas

    def _rest(self, slot: _Slot, kind: str, text: str) -> str | None:
        """What of the text has not been given out; None when what was given out is not its beginning."""
        said = "".join(slot.texts)
        if slot.texts and slot.kind != kind:
            return None
        if text.startswith(said):
            return text[len(said) :]
        return "" if mend(said) == text else None

    def _settle_text(self, out: list[Event], slot: _Slot, part: Text) -> None:
        rest = self._rest(slot, "text", part.text)
        known = len(slot.citations)
        if rest is None or list(part.citations[:known]) != slot.citations:
            self._settle_part(out, slot, part)
            return
        if rest or not slot.texts:
            out.append(TextDelta(rest, slot.index))
        if part.citations[known:] or part.provider_data:
            out.append(PartInfo(index=slot.index, citations=part.citations[known:], provider_data=part.provider_data))

    def _settle_refusal(self, out: list[Event], slot: _Slot, part: Refusal) -> None:
        rest = self._rest(slot, "refusal", part.text)
        if rest is None:
            self._settle_part(out, slot, part)
            return
        if rest or not slot.texts:
            out.append(RefusalDelta(rest, slot.index))
        if part.provider_data:
            out.append(PartInfo(index=slot.index, provider_data=part.provider_data))

    def _settle_reasoning(self, out: list[Event], slot: _Slot, part: Reasoning) -> None:
        rest = self._rest(slot, "reasoning", part.text)
        if rest is None or (slot.texts and slot.summary != part.summary):
            self._settle_part(out, slot, part)
            return
        if rest or not slot.texts:
            out.append(ReasoningDelta(rest, slot.index, summary=part.summary))
        if part.encrypted is not None or part.provider_data:
            out.append(PartInfo(index=slot.index, encrypted=part.encrypted, provider_data=part.provider_data))

    def _settle_call(self, out: list[Event], slot: _Slot, part: ToolCall | InvalidToolCall) -> None:
        custom = isinstance(part, ToolCall) and part.custom
        as_object = isinstance(part, ToolCall) and not custom and part.text is None
        if slot.kind != "call" or slot.custom != custom or as_object:
            self._settle_part(out, slot, part)
            return
        said = part.args_text
        rest = self._rest(slot, "call", said)
        out.append(
            ToolCallDelta(
                slot.index,
                part.id or None,
                part.name or None,
                said if rest is None else rest,
                custom=custom,
                whole=rest is None,
            )
        )
        if part.provider_data:
            out.append(PartInfo(index=slot.index, provider_data=part.provider_data))

    def _settle_part(self, out: list[Event], slot: _Slot, part: Part) -> None:
        out.append(PartDone(part, slot.index))

    # -- deltas

    def _text(self, out: list[Event], event: _Event) -> None:
        item = self._item(event)
        self._first_message = self._first_message or item
        slot = self._slot(item, event.content_index, "text")
        if slot.kind == "text":
            self._last = slot
            self._more_text(out, event)
            by_place = isinstance(event.output_index, int)
            self._last_key = (event.output_index, event.content_index) if by_place else None

    def _refusal(self, out: list[Event], event: _Event) -> None:
        slot = self._slot(self._item(event), event.content_index, "refusal")
        if isinstance(event.delta, str) and slot.kind == "refusal":
            slot.texts.append(event.delta)
            out.append(RefusalDelta(event.delta, slot.index))

    def _summary(self, out: list[Event], event: _Event) -> None:
        self._reason(out, event, event.summary_index, True)

    def _reasoning(self, out: list[Event], event: _Event) -> None:
        self._reason(out, event, event.content_index, False)

    def _reason(self, out: list[Event], event: _Event, section: Any, summary: bool) -> None:
        """Only the first kind that comes is given out; the end of the item says which one holds."""
        slot = self._slot(self._item(event), 0, "reasoning")
        if not isinstance(event.delta, str) or (slot.texts and slot.summary != summary):
            return
        text = event.delta
        if slot.texts and section != slot.section:
            text = SECTION + text
        slot.summary, slot.section = summary, section
        slot.texts.append(text)
        out.append(ReasoningDelta(text, slot.index, summary=summary))

    def _arguments(self, out: list[Event], event: _Event) -> None:
        slot = self._slot(self._item(event), 0, "call")
        if isinstance(event.delta, str) and event.delta:
            slot.texts.append(event.delta)
            out.append(ToolCallDelta(slot.index, args=event.delta, custom=slot.custom))

    def _input(self, out: list[Event], event: _Event) -> None:
        slot = self._slot(self._item(event), 0, "call")
        slot.custom = True
        self._arguments(out, event)

    def _annotation(self, out: list[Event], event: _Event) -> None:
        if is_object(event.annotation):
            slot = self._slot(self._item(event), event.content_index, "text")
            citation = read_citation(event.annotation, self.dialect.provider)
            slot.citations.append(citation)
            out.append(PartInfo(index=slot.index, citations=(citation,)))

    def _partial_image(self, out: list[Event], event: _Event) -> None:
        wire = {"type": "image_generation_call", "id": event.item_id, "result": event.partial_image_b64}
        part = read_item(wire, self.dialect.provider).parts[0]
        if isinstance(part, Image):
            out.append(PartDone(part, self._slot(self._item(event), 0, "part").index))


_Handler = Callable[[ResponsesStream, list[Event], _Event], None]

_HANDLERS: dict[str, _Handler] = {
    "response.created": ResponsesStream._created,
    "response.queued": ResponsesStream._created,
    "response.in_progress": ResponsesStream._created,
    "response.completed": ResponsesStream._final,
    "response.incomplete": ResponsesStream._final,
    "response.cancelled": ResponsesStream._final,
    "response.failed": ResponsesStream._final,
    "error": ResponsesStream._error,
    "response.output_item.added": ResponsesStream._added,
    "response.output_item.done": ResponsesStream._done,
    "response.output_text.delta": ResponsesStream._text,
    "response.refusal.delta": ResponsesStream._refusal,
    "response.reasoning_summary_text.delta": ResponsesStream._summary,
    "response.reasoning_text.delta": ResponsesStream._reasoning,
    "response.function_call_arguments.delta": ResponsesStream._arguments,
    "response.custom_tool_call_input.delta": ResponsesStream._input,
    "response.output_text.annotation.added": ResponsesStream._annotation,
    "response.image_generation_call.partial_image": ResponsesStream._partial_image,
}

_SETTLE: dict[type[Any], Callable[[ResponsesStream, list[Event], _Slot, Any], None]] = {
    Text: ResponsesStream._settle_text,
    Refusal: ResponsesStream._settle_refusal,
    Reasoning: ResponsesStream._settle_reasoning,
    ToolCall: ResponsesStream._settle_call,
    InvalidToolCall: ResponsesStream._settle_call,
}
