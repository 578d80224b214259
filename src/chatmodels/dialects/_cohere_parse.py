"""A recorded Cohere v2 chat request -> the `Call` that it means, for gateways and migration. Pure.

What has no neutral place (documents, citation options, safety mode) goes into `settings.extra_body` or the part's
`provider_data`, so that encoding the call again means the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from .._call import Call, Settings
from .._errors import UsageError
from .._inputs import plain
from .._json import dumps_text
from .._messages import AIMessage, ChatMessage, HumanMessage, Message, SystemMessage, ToolMessage
from .._parts import Image, Opaque, Part, Text
from .._schema_walk import is_array, is_object
from .._tools import Tool
from ._cohere_wire import read_message
from ._kept import items, mapping, text, text_or_none
from ._recorded_tools import chat_tool, is_schema

_NAMES = {
    "temperature": "temperature",
    "p": "top_p",
    "k": "top_k",
    "max_tokens": "max_tokens",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "logprobs": "logprobs",
}


def parse_request(body: dict[str, Any], provider: str) -> Call:
    """The call; a UsageError names what is not a Cohere v2 chat request."""
    messages = body.get("messages")
    if not is_array(messages):
        raise UsageError("a Cohere v2 chat request has a list 'messages'", argument="body")
    settings: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in body.items():
        if key in ("model", "messages", "tools", "stream", "strict_tools") or value is None:
            continue
        reader = _READERS.get(key)
        if reader is not None:
            reader(settings, extra, value)
        elif key in _NAMES:
            settings[_NAMES[key]] = value
        else:
            extra[key] = value
    strict = body.get("strict_tools")
    tools = [_tool(t, strict) for t in items(body.get("tools"))]
    if strict is not None and not (strict and any(t.strict for t in tools)):
        extra["strict_tools"] = strict
    if extra:
        settings["extra_body"] = extra
    return Call(
        model=text(body.get("model")),
        messages=tuple(_message(m, provider) for m in messages),
        settings=Settings(**settings),
        tools=tuple(tools),
        stream=bool(body.get("stream")),
    )


def _tool(wire: Any, strict: Any) -> Tool:
    """`strict_tools` holds for all tools."""
    tool = chat_tool(wire)
    return msgspec.structs.replace(tool, strict=True) if strict and tool.raw is None else tool


def _message(wire: Any, provider: str) -> Message:
    if not is_object(wire):
        raise UsageError("each of 'messages' is an object", argument="body")
    role, content = text(wire.get("role")), wire.get("content")
    if role == "assistant":
        parts, data = read_message(wire, provider)
        return AIMessage(plain(parts), provider=provider, provider_data=data)
    if role == "tool":
        return ToolMessage(_content(content, provider), tool_call_id=text(wire.get("tool_call_id")))
    if role == "system":
        return SystemMessage(_content(content, provider))
    if role == "user":
        return HumanMessage(_content(content, provider))
    return ChatMessage(_content(content, provider), role=role or "user")


def _content(content: Any, provider: str) -> str | list[Part]:
    return [_part(item, provider) for item in content] if is_array(content) else text(content)


def _part(wire: Any, provider: str) -> Part:
    kind = text(mapping(wire).get("type"))
    if kind == "text":
        return Text(text(wire.get("text")))
    if kind == "image_url":
        return _image(wire, provider)
    if kind == "document" and is_object(wire.get("document")):
        document: dict[str, Any] = wire["document"]
        return Text(_document_text(document), provider_data={provider: {"document": document}})
    return Opaque(provider=provider, kind=kind, data=wire)


def _image(wire: dict[str, Any], provider: str) -> Part:
    given = wire.get("image_url")
    image = mapping(given) or {"url": given}
    try:
        return Image(url=text_or_none(image.get("url")), detail=text_or_none(image.get("detail")))
    except UsageError:  # not a URL, or a data: URL that holds no base64: it stays as it is
        return Opaque(provider=provider, kind="image_url", data=wire)


def _document_text(document: dict[str, Any]) -> str:
    """What a document says, for providers that have none: its only text, or its data as JSON."""
    data = document.get("data")
    if is_object(data) and len(data) == 1:
        data = next(iter(data.values()))
    return data if isinstance(data, str) else dumps_text(data)


def _stop(settings: dict[str, Any], extra: dict[str, Any], value: Any) -> None:
    settings["stop"] = tuple(value) if is_array(value) else (value,)


def _thinking(settings: dict[str, Any], extra: dict[str, Any], value: Any) -> None:
    if value == {"type": "disabled"}:
        settings["reasoning_budget"] = 0
    elif is_object(value) and isinstance(value.get("token_budget"), int) and value.get("type") == "enabled":
        settings["reasoning_budget"] = value["token_budget"]
    else:
        extra["thinking"] = value


def _response_format(settings: dict[str, Any], extra: dict[str, Any], value: Any) -> None:
    schema = value.get("json_schema") if is_object(value) else None
    if is_schema(schema):
        value = {"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}
    if is_object(value) and (schema is None or is_schema(schema)):
        settings["response_format"] = value
    else:
        extra["response_format"] = value


def _tool_choice(settings: dict[str, Any], extra: dict[str, Any], value: Any) -> None:
    settings["tool_choice"] = value.lower() if isinstance(value, str) else value


_READERS: dict[str, Callable[[dict[str, Any], dict[str, Any], Any], None]] = {
    "stop_sequences": _stop,
    "thinking": _thinking,
    "response_format": _response_format,
    "tool_choice": _tool_choice,
}
