"""A recorded Chat Completions request -> the `Call` that it means, for gateways and migration. Pure.

What has no neutral place (a host's own field, a spelling that ours would change) goes into `settings.extra_body` or the
message's `additional_kwargs`, so that encoding the call again means the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._call import Call, Settings
from .._content import content_of
from .._errors import UsageError
from .._json import is_array, is_object
from .._inputs import from_openai
from .._messages import AIMessage, ChatMessage, FunctionMessage, HumanMessage, Message, SystemMessage, ToolMessage

_SAME = frozenset(Settings.__struct_fields__) - {
    "max_tokens",
    "stop",
    "reasoning_budget",
    "reasoning_summary",
    "tool_choice",
    "modalities",
    "extra_body",
    "extra_headers",
}
_MESSAGE_KEYS = {
    "assistant": {"role", "content", "tool_calls", "refusal", "audio", "function_call", "name"},
    "tool": {"role", "content", "tool_call_id", "name"},
    "function": {"role", "content", "name"},
}


def parse_request(body: dict[str, Any]) -> Call:
    """The call; a UsageError names what is not a Chat Completions request."""
    from .._tools import as_tool

    messages = body.get("messages")
    if not is_array(messages):
        raise UsageError("a Chat Completions request has a list 'messages'", argument="body")
    settings: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in body.items():
        if key in ("model", "messages", "tools", "stream", "stream_options"):
            continue
        reader = _READERS.get(key)
        if reader is not None:
            reader(settings, extra, value)
        elif key in _SAME and value is not None:
            settings[key] = value
        else:
            extra[key] = value
    if extra:
        settings["extra_body"] = extra
    return Call(
        model=str(body.get("model") or ""),
        messages=tuple(_message(m) for m in messages),
        settings=Settings(**settings),
        tools=tuple(as_tool(t) for t in body.get("tools") or ()),
        stream=bool(body.get("stream")),
    )


def _message(wire: Any) -> Message:
    if not is_object(wire):
        raise UsageError("each of 'messages' is an object", argument="body")
    role = str(wire.get("role") or "")
    message = from_openai(wire)
    known = _MESSAGE_KEYS.get(role, {"role", "content", "name"})
    extra = {k: v for k, v in wire.items() if k not in known}
    return _with_extra(message, extra, wire) if extra or role == "developer" else message


def _with_extra(message: Message, extra: dict[str, Any], wire: dict[str, Any]) -> Message:
    content, name = message.content, message.name
    if isinstance(message, AIMessage):
        if extra.keys() & {"reasoning", "reasoning_content"}:  # kept below as they are, not as a part
            kept = {k: v for k, v in wire.items() if k not in ("reasoning", "reasoning_content")}
            content = from_openai(kept).content
        return AIMessage(content, extra, name=name)
    if isinstance(message, ToolMessage):
        return ToolMessage(content, extra, tool_call_id=message.tool_call_id, name=name)
    if isinstance(message, FunctionMessage):
        return FunctionMessage(content, extra, name=message.name)
    if isinstance(message, ChatMessage):
        return ChatMessage(content_of(content), extra, role=message.role, name=name)
    make = SystemMessage if isinstance(message, SystemMessage) else HumanMessage
    return make(content, extra, name=name)


def _max_tokens(settings: dict[str, Any], extra: dict[str, Any], value: Any) -> None:
    if value is not None:
        settings["max_tokens"] = value


def _stop(settings: dict[str, Any], extra: dict[str, Any], value: Any) -> None:
    if isinstance(value, str):
        settings["stop"] = (value,)
    elif value:
        settings["stop"] = tuple(value)


def _tool_choice(settings: dict[str, Any], extra: dict[str, Any], value: Any) -> None:
    named = value.get("function", {}).get("name") if is_object(value) else None
    settings["tool_choice"] = named if named and value.get("type") == "function" else value


def _modalities(settings: dict[str, Any], extra: dict[str, Any], value: Any) -> None:
    if value is not None:
        settings["modalities"] = tuple(value)


_READERS: dict[str, Callable[[dict[str, Any], dict[str, Any], Any], None]] = {
    "max_tokens": _max_tokens,
    "max_completion_tokens": _max_tokens,
    "stop": _stop,
    "tool_choice": _tool_choice,
    "modalities": _modalities,
}
