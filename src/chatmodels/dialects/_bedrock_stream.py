"""A Converse stream as events. One small function per kind of event and delta; a text delta goes straight
through.

The answer is complete when `messageStop` has come; the last frame, `metadata`, has the usage. A text block
does not announce itself, it begins with its first delta. Source: the service model of bedrock-runtime in
botocore 1.44, 2026-11.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
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
    TextDelta,
    ToolCallDelta,
)
from .._framing import AWSEventStream
from .._json import dumps_text, loads
from .._schema_walk import is_array
from .._usage import Usage
from ._base import Decoder, Dialect
from ._bedrock_blocks import call_extra, citation_of, finish_of, message_data, read_block, usage_of
from ._errors import event_object, make_error, read_error
from ._kept import count, keep, mapping, text, text_or_none


class _Delta(msgspec.Struct):
    text: str | None = None


class _TextEvent(msgspec.Struct):
    """What the usual event, a delta of text, has; everything else is read a second time as plain JSON."""

    index: int = msgspec.field(name="contentBlockIndex")
    delta: _Delta


class _Block:
    """One content block while it grows. `kind` is "text", "reasoning", "tool", or "whole" for what is given
    out at its end.
    """

    __slots__ = ("data", "index", "json", "kind")

    def __init__(self, kind: str, index: int) -> None:
        self.kind = kind
        self.index = index
        self.data: dict[str, Any] = {}
        self.json: list[str] = []


class BedrockStream(Decoder):
    """The decoder of one ConverseStream answer."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._provider = dialect.provider
        self._framing = AWSEventStream()
        self.frames = self._framing.feed  # type: ignore[method-assign]
        self._decode = msgspec.json.Decoder(_TextEvent).decode
        #: By index and kind: an index whose block ended can begin again.
        self._blocks: dict[tuple[Any, str], _Block] = {}
        self._next = 0
        self._usage: Usage | None = None
        self._data: dict[str, Any] = {}
        self._raw_finish: str | None = None
        self._stopped = False
        self._calls = False

    def last_frames(self) -> list[Any]:
        return self._framing.close()

    def frame(self, out: list[Event], frame: tuple[dict[str, Any], bytes]) -> None:
        headers, payload = frame
        kind = headers.get(":event-type")
        if kind == "contentBlockDelta":
            try:
                event = self._decode(payload)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                self._rare(out, headers, payload)
                return
            said = event.delta.text
            if said is None:
                self._rare(out, headers, payload)
            elif said:
                out.append(TextDelta(said, self._block(event.index, "text").index))
        else:
            self._rare(out, headers, payload)

    def _rare(self, out: list[Event], headers: dict[str, Any], payload: bytes) -> None:
        if headers.get(":message-type") in ("exception", "error"):
            self._fail(headers, payload)
        kind = text(headers.get(":event-type"))
        event = event_object(self._provider, payload) if payload.strip() else {}
        if kind.endswith("Exception"):
            self._fail({**headers, ":exception-type": kind}, payload)
        handle = _EVENTS.get(kind)
        if handle is not None and not self.ended:
            handle(self, out, event)

    def _fail(self, headers: dict[str, Any], payload: bytes) -> None:
        try:
            body: Any = loads(payload) if payload.strip() else {}
        except ValueError:
            body = payload.decode("utf-8", "replace")
        message, code, kind = read_error(body)
        raise make_error(
            self._provider,
            message or text(headers.get(":error-message")) or "the stream broke off with an error",
            status=count(mapping(body).get("originalStatusCode")),
            code=text_or_none(headers.get(":exception-type")) or text_or_none(headers.get(":error-code")) or code,
            kind=kind,
            body=body,
        )

    # -- events

    def _block(self, index: Any, kind: str) -> _Block:
        found = self._blocks.get((index, kind))
        if found is None:
            found = self._blocks[index, kind] = _Block(kind, self._next)
            self._next += 1
        return found

    def _start(self, out: list[Event], event: dict[str, Any]) -> None:
        index, start = count(event.get("contentBlockIndex")), mapping(event.get("start"))
        tool = mapping(start.get("toolUse"))
        if tool and tool.get("type") != "server_tool_use":
            self._calls = True
            block = self._block(index, "tool")
            out.append(ToolCallDelta(block.index, text_or_none(tool.get("toolUseId")), text_or_none(tool.get("name"))))
            extra = keep(self._provider, "extra", call_extra(tool))
            if extra:
                out.append(PartInfo(index=block.index, provider_data=extra))
            return
        for key, value in start.items():
            if key in _DELTAS and not tool:
                _DELTAS[key](self, out, index, value)
            else:
                self._block(index, "whole").data[key] = dict(mapping(value))

    def _delta(self, out: list[Event], event: dict[str, Any]) -> None:
        index, delta = count(event.get("contentBlockIndex")), mapping(event.get("delta"))
        for key, value in delta.items():
            handle = _DELTAS.get(key)
            if handle is None or (key == "toolUse" and (index, "whole") in self._blocks):
                _grow(self._block(index, "whole"), key, value)
            else:
                handle(self, out, index, value)

    def _text_delta(self, out: list[Event], index: Any, value: Any) -> None:
        if text(value):
            out.append(TextDelta(value, self._block(index, "text").index))

    def _tool_delta(self, out: list[Event], index: Any, value: Any) -> None:
        if (index, "tool") not in self._blocks:
            raise ProtocolError(
                f"{self._provider}: arguments of a tool call that did not begin",
                data=dumps_text(value),
                provider=self._provider,
            )
        given = mapping(value).get("input")
        piece = given if isinstance(given, str) else dumps_text(given) if given is not None else ""
        if piece:
            out.append(ToolCallDelta(self._block(index, "tool").index, args=piece))

    def _citation_delta(self, out: list[Event], index: Any, value: Any) -> None:
        block = self._block(index, "text")
        out.append(PartInfo(index=block.index, citations=(citation_of(value, self._provider),)))

    def _reasoning_delta(self, out: list[Event], index: Any, value: Any) -> None:
        begins = (index, "reasoning") not in self._blocks
        place = self._block(index, "reasoning").index
        inner = mapping(value)
        said = text(inner.get("text"))
        if said or begins:
            out.append(ReasoningDelta(said, place))
        for name, wire in (("signature", "signature"), ("encrypted", "redactedContent")):
            if isinstance(inner.get(wire), str):
                known: dict[str, Any] = {name: inner[wire]}
                out.append(PartInfo(index=place, **known))

    def _stop(self, out: list[Event], event: dict[str, Any]) -> None:
        index = count(event.get("contentBlockIndex"))
        for key in [k for k in self._blocks if k[0] == index]:
            self._close_block(out, self._blocks.pop(key))

    def _close_block(self, out: list[Event], block: _Block) -> None:
        if block.kind != "whole":
            return
        if block.json:
            block.data.setdefault("toolUse", {})["input"] = _input("".join(block.json))
        part = read_block(_joined(block.data), self._provider)
        if part is not None:
            out.append(PartDone(part, block.index))

    def _message_stop(self, out: list[Event], event: dict[str, Any]) -> None:
        self._stopped = True
        self._raw_finish = text_or_none(event.get("stopReason")) or self._raw_finish
        self._data.update(message_data(event))

    def _metadata(self, out: list[Event], event: dict[str, Any]) -> None:
        self._usage = usage_of(event.get("usage")) or self._usage
        self._data.update(message_data(event))
        if self._stopped:
            self.ended = True
            self._end(out)

    # -- the end

    def finish(self, out: list[Event]) -> bool:
        if not self._stopped or self._framing.pending:
            return False
        self._end(out)
        return True

    def _end(self, out: list[Event]) -> None:
        for block in self._blocks.values():
            self._close_block(out, block)
        self._blocks.clear()
        if self._data:
            out.append(MessageInfo({self._provider: self._data}))
        reason = finish_of(self._raw_finish)
        out.append(
            End(
                finish_reason="tool_calls" if reason == "stop" and self._calls else reason,
                raw_finish_reason=self._raw_finish,
                usage=self._usage,
            )
        )


def _grow(block: _Block, key: str, value: Any) -> None:
    """A delta of a block that is kept whole: lists are collected, pieces of JSON and of media joined at the
    end.
    """
    if key == "toolUse":
        given = mapping(value).get("input")
        block.json.append(given if isinstance(given, str) else dumps_text(given))
    elif key == "toolResult" and is_array(value):
        block.data.setdefault(key, {}).setdefault("content", []).extend(value)
    elif key == "image":
        block.data.setdefault(key, {}).setdefault("pieces", []).append(mapping(value))
    else:
        block.data[key] = value


def _joined(data: dict[str, Any]) -> dict[str, Any]:
    """The block with the pieces of its image put together."""
    image = mapping(data.get("image"))
    if "pieces" not in image:
        return data
    pieces = [text(mapping(p.get("source")).get("bytes")) for p in image["pieces"]]
    whole = {k: v for k, v in image.items() if k != "pieces"}
    for piece in image["pieces"]:
        whole.update({k: v for k, v in piece.items() if k != "source"})
    whole["source"] = {"bytes": b64encode(b"".join([b64decode(p) for p in pieces])).decode()}
    return {**data, "image": whole}


def _input(written: str) -> Any:
    try:
        return loads(written) if written else {}
    except ValueError:
        return written


_EVENTS: dict[str, Callable[[BedrockStream, list[Event], dict[str, Any]], None]] = {
    "contentBlockStart": BedrockStream._start,
    "contentBlockDelta": BedrockStream._delta,
    "contentBlockStop": BedrockStream._stop,
    "messageStop": BedrockStream._message_stop,
    "metadata": BedrockStream._metadata,
}

_DELTAS: dict[str, Callable[[BedrockStream, list[Event], Any, Any], None]] = {
    "text": BedrockStream._text_delta,
    "toolUse": BedrockStream._tool_delta,
    "citation": BedrockStream._citation_delta,
    "reasoningContent": BedrockStream._reasoning_delta,
}
