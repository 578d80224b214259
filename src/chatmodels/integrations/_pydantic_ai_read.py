"""Streams of a model of pydantic-ai, as lines of JSON with an event each -> our events.

The last line holds the whole answer: its ending, its usage, and the parts that deltas could not say.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from chatmodels._errors import IncompleteStream
from chatmodels._events import (
    End,
    Event,
    MessageInfo,
    PartDone,
    PartInfo,
    ReasoningDelta,
    Start,
    TextDelta,
    ToolCallDelta,
)
from chatmodels._json import dumps_text, is_object, loads, mapping, string
from chatmodels._messages import AIMessage
from chatmodels._parts import Reasoning, Text
from chatmodels.dialects._base import Decoder, Dialect

_pa: Any = import_module("pydantic_ai.messages")


class PydanticAIStream(Decoder):
    """Lines with an event each -> events; a last line with the answer."""

    plain_start = None

    def __init__(self, dialect: Dialect, read: Callable[[Any], AIMessage]) -> None:
        super().__init__(dialect)
        self._read = read
        self._rest = b""
        self._kinds: dict[int, str] = {}

    def frames(self, data: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line for line in lines if line]

    def last_frames(self) -> list[bytes]:
        return []

    def finish(self, out: list[Event]) -> bool:
        return False

    def frame(self, out: list[Event], frame: bytes) -> None:
        line = mapping(loads(frame))
        if is_object(line.get("answer")):
            self._end(out, line)
        elif is_object(line.get("part")):
            self._start(out, line["index"], line["part"])
        else:
            self._delta(out, line["index"], mapping(line.get("delta")))

    def _start(self, out: list[Event], index: int, part: dict[str, Any]) -> None:
        kind = part["part_kind"]
        again = index in self._kinds
        self._kinds[index] = kind
        if again:  # the part is told anew: the answer at the end has it
            return
        if kind == "text" and part["content"]:
            out.append(TextDelta(part["content"], index))
        elif kind == "thinking":
            self._thought(out, index, part.get("content"), part.get("signature"))
        elif kind == "tool-call":
            out.append(ToolCallDelta(index, part.get("tool_call_id"), part["tool_name"], _args(part.get("args"))))

    def _delta(self, out: list[Event], index: int, delta: dict[str, Any]) -> None:
        kind = self._kinds.get(index)
        if kind == "text" and delta.get("content_delta"):
            out.append(TextDelta(delta["content_delta"], index))
        elif kind == "thinking":
            self._thought(out, index, delta.get("content_delta"), delta.get("signature_delta"))
        elif kind == "tool-call" and isinstance(delta.get("args_delta"), str):
            out.append(ToolCallDelta(index, None, delta.get("tool_name_delta"), delta["args_delta"]))

    def _thought(self, out: list[Event], index: int, said: Any, signature: Any) -> None:
        if string(said):
            out.append(ReasoningDelta(said, index))
        if string(signature):
            out.append(PartInfo(index=index, signature=signature))

    def _end(self, out: list[Event], line: dict[str, Any]) -> None:
        message = self._read(_pa.ModelMessagesTypeAdapter.validate_python([line["answer"]])[0])
        if not line["ended"]:
            raise IncompleteStream(
                "the stream of pydantic-ai's model ended without a finish reason: the answer was cut"
            )
        out.append(Start(id=message.id, model=message.model))
        if message.provider_data:
            out.append(MessageInfo(message.provider_data))
        parts = message.parts
        if len(parts) == len(self._kinds):
            out += [PartDone(p, i) for i, p in enumerate(parts) if not _said_by_deltas(p)]
        reason = message.finish_reason or "unknown"
        out.append(End(finish_reason=reason, raw_finish_reason=message.raw_finish_reason, usage=message.usage))
        self.ended = True


def _said_by_deltas(part: Any) -> bool:
    return isinstance(part, (Text, Reasoning)) and part.provider_data is None


def _args(args: Any) -> str:
    return args if isinstance(args, str) else "" if args is None else dumps_text(args)
