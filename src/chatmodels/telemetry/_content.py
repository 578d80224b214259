"""Messages in the JSON form of OpenTelemetry's GenAI conventions (checked 2026-11). Pure; one small function per part kind."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any

from .._messages import AIMessage, Message, SystemMessage, ToolMessage
from .._parts import (
    Audio,
    File,
    Image,
    InvalidToolCall,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    ServerTool,
    Text,
    ToolCall,
    ToolResult,
    Video,
)

#: The words of the conventions for why an answer ended, where they differ from ours.
FINISH = {"tool_calls": "tool_call", "refusal": "content_filter"}


def system_of(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The system's instructions."""
    return [part for m in messages if isinstance(m, SystemMessage) for part in _parts(m)]


def input_of(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The conversation but for the system's instructions."""
    return [{"role": m.role, "parts": _parts(m)} for m in messages if not isinstance(m, SystemMessage)]


def output_of(message: AIMessage) -> list[dict[str, Any]]:
    """The answer, all its choices."""
    return [
        {"role": "assistant", "parts": _parts(one), "finish_reason": finish(one.finish_reason)}
        for one in (message, *message.alternatives)
    ]


def result_of(content: Any) -> Any:
    """What a tool gave: text, or parts."""
    return _result(ToolResult(tool_call_id="", content=content))["response"]


def finish(reason: str | None) -> str:
    """Why an answer ended, in the words of the conventions; "error" where it did not."""
    return "error" if reason is None else FINISH.get(reason, reason)


def _parts(message: Message) -> list[dict[str, Any]]:
    if isinstance(message, ToolMessage):
        return [_part(message.result)]
    return [_part(part) for part in message.parts]


def _part(part: Part) -> dict[str, Any]:
    return _PARTS[type(part)](part)


def _text(part: Any) -> dict[str, Any]:
    return {"type": "text", "content": part.text}


def _reasoning(part: Any) -> dict[str, Any]:
    return {"type": "reasoning", "content": part.text}


def _call(part: Any) -> dict[str, Any]:
    return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": part.args}


def _result(part: ToolResult) -> dict[str, Any]:
    content = part.content if isinstance(part.content, str) else [_part(p) for p in part.content]
    return {"type": "tool_call_response", "id": part.tool_call_id, "response": content}


def _media(part: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"modality": type(part).__name__.lower(), "mime_type": part.media_type}
    if part.data is not None:
        return {"type": "blob", **about, "content": b64encode(part.data).decode()}
    if part.url is not None:
        return {"type": "uri", **about, "uri": part.url}
    return {"type": "file", **about, "file_id": part.file_id}


def _server_tool(part: ServerTool) -> dict[str, Any]:
    if part.phase == "call":
        return {
            "type": "server_tool_call",
            "id": part.id,
            "name": part.name or part.kind,
            "arguments": part.args,
        }
    return {"type": "server_tool_call_response", "id": part.id, "response": part.result}


def _opaque(part: Opaque) -> dict[str, Any]:
    return {"type": part.kind or "opaque"}


_PARTS: dict[type[Any], Callable[[Any], dict[str, Any]]] = {
    Text: _text,
    Refusal: _text,
    Reasoning: _reasoning,
    ToolCall: _call,
    InvalidToolCall: _call,
    ToolResult: _result,
    Image: _media,
    Audio: _media,
    Video: _media,
    File: _media,
    ServerTool: _server_tool,
    Opaque: _opaque,
}
