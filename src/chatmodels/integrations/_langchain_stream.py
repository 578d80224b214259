"""Streams between LangChain's chunks and our events, both ways. Pure, but for the class of the chunks."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from chatmodels._errors import IncompleteStream
from chatmodels._events import (
    AudioDelta,
    End,
    Event,
    PartDone,
    PartInfo,
    ReasoningDelta,
    RefusalDelta,
    Restarted,
    TextDelta,
    ToolCallDelta,
)
from chatmodels._json import dumps_text
from chatmodels._messages import AIMessage
from chatmodels._parts import Audio, InvalidToolCall, Text, ToolCall

from ._langchain_blocks import block_of
from ._langchain_messages import call_args, metadata_of, usage_metadata

_lc: Any = import_module("langchain_core.messages")


class ChunkWriter:
    """Our events -> LangChain's chunks, for one stream. The last chunk carries usage and `response_metadata`.

    Chunks have no id: LangChain gives each run's its own, and an agent takes two messages of one id for the same.
    """

    def __init__(self) -> None:
        self._given = False
        self._args: dict[int, str] = {}
        self._custom: set[int] = set()
        self._heard = False

    def chunk(self, event: Event, message: Callable[[], AIMessage]) -> Any:
        """The chunk of an event, or None; `message()` is the answer so far, asked for at the end."""
        if getattr(event, "choice", 0):
            return None  # LangChain's streams hold one answer
        write = _WRITE.get(event.__class__)
        fields = None if write is None else write(self, event)
        if isinstance(event, End):
            fields = self._last(message())
        if fields is None:
            return None
        self._given = True
        return _lc.AIMessageChunk(**{"content": "", **fields})

    def _text(self, event: TextDelta) -> dict[str, Any] | None:
        return {"content": event.text} if event.text else None

    def _reasoning(self, event: ReasoningDelta) -> dict[str, Any]:
        return {"content": [{"type": "reasoning", "reasoning": event.text, "index": event.index}]}

    def _refusal(self, event: RefusalDelta) -> dict[str, Any]:
        return {"additional_kwargs": {"refusal": event.text}}

    def _call(self, event: ToolCallDelta) -> dict[str, Any] | None:
        before = self._args.get(event.index)
        if event.custom:
            self._custom.add(event.index)
        args = event.args
        if event.whole and before:
            args = args.removeprefix(before) if args.startswith(before) else ""
        self._args[event.index] = (before or "") + args
        if event.index in self._custom:  # free text is no JSON: it comes whole, at the end
            args = ""
        return _call_chunk(event.index, event.id, event.name, args)

    def _part(self, event: PartDone) -> dict[str, Any] | None:
        part = event.part
        if isinstance(part, (ToolCall, InvalidToolCall)):
            if event.index in self._args:
                return None
            args = part.args if isinstance(part, InvalidToolCall) else dumps_text(call_args(part))
            return _call_chunk(event.index, part.id, part.name, args)
        if isinstance(part, Text) and part == Text(part.text):
            return {"content": part.text}
        return {"content": [{**block_of(part), "index": event.index}]}

    def _info(self, event: PartInfo) -> dict[str, Any] | None:
        if not event.citations:
            return None  # it is in the last chunk's metadata
        return {"content": [block_of(Text("", event.citations))]}

    def _sound(self, event: AudioDelta) -> None:
        self._heard = True  # it comes whole, at the end

    def _restarted(self, event: Restarted) -> None:
        if self._given:
            raise IncompleteStream(
                f"the answer began anew on another model ({event.reason}), which a stream of LangChain cannot say"
            )

    def _last(self, message: AIMessage) -> dict[str, Any]:
        audio = [block_of(p) for p in message.parts if self._heard and isinstance(p, Audio)]
        custom = [
            _call_chunk(i, None, None, dumps_text({"input": self._args[i]}))["tool_call_chunks"][0]
            for i in sorted(self._custom)
        ]
        return {
            "content": audio or "",
            "tool_call_chunks": custom,
            "usage_metadata": usage_metadata(message.usage),
            "response_metadata": metadata_of(message),
            "chunk_position": "last",
        }


def _call_chunk(index: int, id: str | None, name: str | None, args: str) -> dict[str, Any]:
    return {
        "tool_call_chunks": [
            {"type": "tool_call_chunk", "index": index, "id": id or None, "name": name or None, "args": args}
        ]
    }


_WRITE: dict[type[Any], Callable[[ChunkWriter, Any], dict[str, Any] | None]] = {
    TextDelta: ChunkWriter._text,
    ReasoningDelta: ChunkWriter._reasoning,
    RefusalDelta: ChunkWriter._refusal,
    ToolCallDelta: ChunkWriter._call,
    PartDone: ChunkWriter._part,
    PartInfo: ChunkWriter._info,
    Restarted: ChunkWriter._restarted,
    AudioDelta: ChunkWriter._sound,
}
