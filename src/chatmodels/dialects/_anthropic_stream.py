"""An Anthropic Messages stream as events. One small function per kind of event and delta; a text delta goes
straight through.

The answer is complete when a stop reason or `message_stop` has come. Usage comes with `message_start` and
again with `message_delta`: what comes later replaces, class by class. Source: the page "Streaming
messages", checked 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from .._errors import ProtocolError
from .._events import (
    End,
    Event,
    MessageInfo,
    PartDone,
    PartInfo,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolCallDelta,
    UsageSoFar,
)
from .._json import dumps_text, loads
from ._anthropic_blocks import (
    citation_of,
    finish_of,
    message_data,
    read_block,
    refusal_of,
    signature_of,
    usage_of,
)
from ._base import Dialect, SSEDecoder
from ._errors import event_object, is_error, make_error, read_error
from ._kept import beside, count, items, keep, mapping, text, text_or_none


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""


class _Event(msgspec.Struct):
    """What the usual event, a delta of text, has; everything else is read a second time as plain JSON."""

    type: str = ""
    index: int = 0
    delta: _Delta | None = None


class _Block:
    """One content block while it grows: its place among our parts, and the JSON of its input."""

    __slots__ = ("data", "index", "json", "kind", "unread")

    def __init__(self, kind: str, index: int, data: dict[str, Any]) -> None:
        self.kind = kind
        self.index = index
        self.data = data
        self.json: list[str] = []
        #: Deltas of kinds that are not known here: told to the user, never sent back.
        self.unread: list[dict[str, Any]] = []


class AnthropicStream(SSEDecoder):
    """The decoder of one Messages stream."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._provider = dialect.provider
        self._decode = msgspec.json.Decoder(_Event).decode
        self._blocks: dict[Any, _Block] = {}
        self._next = 0
        self._usage: dict[str, Any] = {}
        self._data: dict[str, Any] = {}
        self._raw_finish: str | None = None
        self._stopped = False
        self._calls = False

    def frame(self, out: list[Event], frame: tuple[bytes, bytes]) -> None:
        name, payload = frame
        if self.ended:
            return
        try:
            event = self._decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._rare(out, name, payload)
            return
        delta = event.delta
        if delta is None or event.type != "content_block_delta":
            self._rare(out, name, payload)
            return
        kind, block = delta.type, self._blocks.get(event.index)
        if kind == "text_delta" and block is not None and block.kind == "text":
            if delta.text:
                out.append(TextDelta(delta.text, block.index))
        elif kind == "thinking_delta" and block is not None and block.kind == "thinking":
            if delta.thinking:
                out.append(ReasoningDelta(delta.thinking, block.index))
        elif kind == "input_json_delta" and block is not None and block.kind == "tool_use":
            self._arguments(out, block, delta.partial_json)
        else:
            self._rare(out, name, payload)

    def _rare(self, out: list[Event], name: bytes, payload: bytes) -> None:
        stripped = payload.strip()
        if not stripped or stripped == b"[DONE]":  # some gateways end their streams in OpenAI's way
            return
        event = event_object(self._provider, payload)
        kind = event.get("type") or name.decode("utf-8", "replace")
        handle = _EVENTS.get(kind if isinstance(kind, str) else "")
        if handle is None and (event.get("error") or ("type" not in event and is_error(event))):
            handle = AnthropicStream._error
        if handle is not None:
            handle(self, out, event)

    # -- events

    def _message_start(self, out: list[Event], event: dict[str, Any]) -> None:
        message = mapping(event.get("message"))
        out.append(Start(id=text_or_none(message.get("id")), model=text_or_none(message.get("model"))))
        self._take_end(message)
        self._take_usage(message.get("usage"))
        usage = usage_of(self._usage)
        if usage is not None:
            out.append(UsageSoFar(usage))
        for block in items(message.get("content")):
            self._close_block(out, self._open_block(out, mapping(block)))

    def _block_start(self, out: list[Event], event: dict[str, Any]) -> None:
        data = mapping(event.get("content_block"))
        index = count(event.get("index"))
        open_one = self._blocks.pop(index, None)
        if open_one is not None:
            self._close_block(out, open_one)
        self._blocks[index] = self._open_block(out, data)

    def _open_block(self, out: list[Event], data: dict[str, Any]) -> _Block:
        block = _Block(text(data.get("type")), self._next, dict(data))
        self._next += 1
        begin = _STARTS.get(block.kind)
        if begin is not None:
            begin(self, out, block)
        return block

    def _block_delta(self, out: list[Event], event: dict[str, Any]) -> None:
        delta = mapping(event.get("delta"))
        kind = text(delta.get("type"))
        block = self._blocks.get(count(event.get("index")))
        if block is None:
            if kind not in _WITHOUT_START:
                raise ProtocolError(
                    f"{self._provider}: a {kind or 'delta'} of a block that did not begin",
                    data=dumps_text(event),
                    provider=self._provider,
                )
            block = self._blocks[count(event.get("index"))] = self._open_block(out, {"type": _WITHOUT_START[kind]})
        handle = _DELTAS.get((block.kind, kind))
        if handle is not None:
            handle(self, out, block, delta)
        elif block.kind not in _STARTS:
            _grow(block, delta)
        else:
            block.unread.append(delta)

    def _block_stop(self, out: list[Event], event: dict[str, Any]) -> None:
        block = self._blocks.pop(count(event.get("index")), None)
        if block is not None:
            self._close_block(out, block)

    def _close_block(self, out: list[Event], block: _Block) -> None:
        if block.unread:
            out.append(PartInfo(index=block.index, provider_data=keep(self._provider, "deltas", block.unread)))
        if block.kind == "tool_use":
            given = block.data.get("input")
            if given and not block.json:
                out.append(ToolCallDelta(block.index, args=dumps_text(given), whole=True))
        elif block.kind not in _STARTS:
            if block.json:
                block.data["input"] = _input("".join(block.json))
            part = read_block(block.data, self._provider)
            if part is not None:
                out.append(PartDone(part, block.index))
            if block.kind == "fallback":  # from here on another model answers; a plain answer names only that one
                out.append(Start(model=text_or_none(mapping(block.data.get("to")).get("model"))))

    def _message_delta(self, out: list[Event], event: dict[str, Any]) -> None:
        self._take_end(mapping(event.get("delta")))
        self._take_end(event)
        self._take_usage(event.get("usage"))

    def _message_stop(self, out: list[Event], event: dict[str, Any]) -> None:
        self._stopped = True
        self.ended = self.finish(out)

    def _error(self, out: list[Event], event: dict[str, Any]) -> None:
        message, code, kind = read_error(event)
        error = make_error(
            self._provider, message or "the stream broke off with an error", code=code, kind=kind, body=event
        )
        error.request_id = error.request_id or text_or_none(event.get("request_id"))
        raise error

    def _take_end(self, found: dict[str, Any]) -> None:
        reason = text_or_none(found.get("stop_reason"))
        self._raw_finish = reason or self._raw_finish
        self._data.update(message_data(found))

    def _take_usage(self, found: Any) -> None:
        self._usage.update({k: v for k, v in mapping(found).items() if v is not None})

    # -- how blocks begin

    def _text_start(self, out: list[Event], block: _Block) -> None:
        said = text(block.data.get("text"))
        if said:
            out.append(TextDelta(said, block.index))
        found = tuple(citation_of(c, self._provider) for c in items(block.data.get("citations")))
        self._inform(out, block, beside(block.data, "type", "text", "citations"), citations=found)

    def _thinking_start(self, out: list[Event], block: _Block) -> None:
        out.append(ReasoningDelta(text(block.data.get("thinking")), block.index))
        extra = beside(block.data, "type", "thinking", "signature")
        self._inform(out, block, extra, signature=signature_of(block.data))

    def _redacted_start(self, out: list[Event], block: _Block) -> None:
        out.append(ReasoningDelta("", block.index))
        extra = beside(block.data, "type", "data")
        self._inform(out, block, extra, encrypted=text_or_none(block.data.get("data")))

    def _tool_start(self, out: list[Event], block: _Block) -> None:
        self._calls = True
        out.append(ToolCallDelta(block.index, text_or_none(block.data.get("id")), text_or_none(block.data.get("name"))))
        self._inform(out, block, beside(block.data, "type", "id", "name", "input"))

    def _inform(self, out: list[Event], block: _Block, extra: dict[str, Any], **beyond: Any) -> None:
        if extra or any(v is not None and v != () for v in beyond.values()):
            data = keep(self._provider, "extra", extra)
            out.append(PartInfo(index=block.index, provider_data=data, **beyond))

    # -- deltas that are not usual

    def _text_delta(self, out: list[Event], block: _Block, delta: dict[str, Any]) -> None:
        said = text(delta.get("text"))
        if said:
            out.append(TextDelta(said, block.index))

    def _thinking_delta(self, out: list[Event], block: _Block, delta: dict[str, Any]) -> None:
        said = text(delta.get("thinking"))
        if said:
            out.append(ReasoningDelta(said, block.index))

    def _signature_delta(self, out: list[Event], block: _Block, delta: dict[str, Any]) -> None:
        signature = text_or_none(delta.get("signature"))
        if signature:
            out.append(PartInfo(index=block.index, signature=signature))

    def _citations_delta(self, out: list[Event], block: _Block, delta: dict[str, Any]) -> None:
        out.append(PartInfo(index=block.index, citations=(citation_of(delta.get("citation"), self._provider),)))

    def _json_delta(self, out: list[Event], block: _Block, delta: dict[str, Any]) -> None:
        self._arguments(out, block, text(delta.get("partial_json")))

    def _arguments(self, out: list[Event], block: _Block, piece: str) -> None:
        if piece:
            block.json.append(piece)
            out.append(ToolCallDelta(block.index, args=piece))

    # -- the end

    def finish(self, out: list[Event]) -> bool:
        if self._raw_finish is None and not self._stopped:
            return False
        for block in self._blocks.values():
            self._close_block(out, block)
        self._blocks.clear()
        reason = finish_of(self._raw_finish)
        refusal = refusal_of(self._data.get("stop_details"), self._provider)
        if refusal is not None:
            out.append(RefusalDelta(refusal.text, self._next))
            out.append(PartInfo(index=self._next, provider_data=refusal.provider_data))
        if self._data:
            out.append(MessageInfo({self._provider: self._data}))
        out.append(
            End(
                finish_reason="tool_calls" if reason == "stop" and self._calls else reason,
                raw_finish_reason=self._raw_finish,
                usage=usage_of(self._usage),
            )
        )
        return True


def _grow(block: _Block, delta: dict[str, Any]) -> None:
    """A delta of a block that is kept whole: texts are joined, everything else replaces."""
    for key, value in delta.items():
        if key == "partial_json":
            block.json.append(text(value))
        elif key != "type" and value is not None:
            have = block.data.get(key)
            block.data[key] = have + value if isinstance(have, str) and isinstance(value, str) else value


def _input(written: str) -> Any:
    try:
        return loads(written)
    except ValueError:
        return written


_EVENTS: dict[str, Callable[[AnthropicStream, list[Event], dict[str, Any]], None]] = {
    "message_start": AnthropicStream._message_start,
    "content_block_start": AnthropicStream._block_start,
    "content_block_delta": AnthropicStream._block_delta,
    "content_block_stop": AnthropicStream._block_stop,
    "message_delta": AnthropicStream._message_delta,
    "message_stop": AnthropicStream._message_stop,
    "error": AnthropicStream._error,
}

#: Blocks that are given out as they grow; all others are given out whole, when they end.
_STARTS: dict[str, Callable[[AnthropicStream, list[Event], _Block], None]] = {
    "text": AnthropicStream._text_start,
    "thinking": AnthropicStream._thinking_start,
    "redacted_thinking": AnthropicStream._redacted_start,
    "tool_use": AnthropicStream._tool_start,
}

_DELTAS: dict[tuple[str, str], Callable[[AnthropicStream, list[Event], _Block, dict[str, Any]], None]] = {
    ("text", "text_delta"): AnthropicStream._text_delta,
    ("text", "citations_delta"): AnthropicStream._citations_delta,
    ("thinking", "thinking_delta"): AnthropicStream._thinking_delta,
    ("thinking", "signature_delta"): AnthropicStream._signature_delta,
    ("tool_use", "input_json_delta"): AnthropicStream._json_delta,
}

#: Some gateways leave out `content_block_start`: the kind of block that a delta then begins.
_WITHOUT_START = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "thinking"}
