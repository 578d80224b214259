"""A recorded Ollama chat request -> the `Call` that it means, for gateways and migration. Pure.

What has no neutral place goes into `settings.extra_body`, or a message's `additional_kwargs`.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Any

from .._call import Call, Settings
from .._errors import UsageError
from .._inputs import plain
from .._messages import AIMessage, ChatMessage, HumanMessage, Message, SystemMessage, ToolMessage
from .._parts import Image, Part, Reasoning, Text
from .._schema_walk import is_array, is_object
from .._tools import Tool
from ._ollama_wire import call_part
from ._open_calls import OpenCalls

_KNOWN = frozenset({"role", "content", "images", "thinking", "tool_calls", "tool_name", "tool_call_id"})
_FROM_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "num_predict": "max_tokens",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}


def parse_request(provider: str, body: dict[str, Any]) -> Call:
    """The call; a UsageError names what is not an Ollama chat request."""
    messages = body.get("messages")
    if not is_array(messages):
        raise UsageError("an Ollama chat request has a list 'messages'", argument="body")
    settings: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in body.items():
        if key in ("model", "messages", "tools", "stream") or value is None:
            continue
        _READERS.get(key, _other)(settings, extra, key, value)
    if extra:
        settings["extra_body"] = extra
    reader = _Reader(provider)
    return Call(
        model=str(body.get("model") or ""),
        messages=tuple(reader.message(m) for m in messages),
        settings=Settings(**settings),
        tools=tuple(_tool(t) for t in body.get("tools") or () if is_object(t)),
        stream=body.get("stream") is not False,
    )


class _Reader:
    """Reads messages in order; knows the open calls, because results need not name theirs."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._calls = OpenCalls()

    def message(self, wire: Any) -> Message:
        if not is_object(wire):
            raise UsageError("each of 'messages' is an object", argument="body")
        role = str(wire.get("role") or "").lower()
        extra = {k: v for k, v in wire.items() if k not in _KNOWN and v is not None}
        if role == "assistant":
            return self._answer(wire, extra)
        content = plain(_parts(wire))
        if role == "tool":
            _, ident, name = self._calls.answer(str(wire.get("tool_call_id") or ""), wire.get("tool_name"))
            return ToolMessage(content, extra, tool_call_id=ident, name=name or None)
        if role == "system":
            return SystemMessage(content, extra)
        if role == "user":
            return HumanMessage(content, extra)
        return ChatMessage(content, extra, role=str(wire.get("role") or "user"))

    def _answer(self, wire: dict[str, Any], extra: dict[str, Any]) -> AIMessage:
        thinking = wire.get("thinking")
        parts: list[Part] = [Reasoning(thinking)] if isinstance(thinking, str) and thinking else []
        parts += _parts(wire)
        calls = [call_part(c, n) for n, c in enumerate(wire.get("tool_calls") or ()) if is_object(c)]
        self._calls = OpenCalls()
        for call in calls:
            self._calls.add(call.id, call.name)
        return AIMessage(plain([*parts, *calls]), extra, provider=self._provider)


def _parts(wire: dict[str, Any]) -> list[Part]:
    content = wire.get("content")
    parts: list[Part] = [Text(content)] if isinstance(content, str) and content else []
    for image in wire.get("images") or ():
        try:
            parts.append(Image(data=b64decode(image, validate=True)))
        except (Base64Error, ValueError, TypeError) as error:
            raise UsageError(f"'images' holds base64 text: {error}", argument="body") from error
    return parts


def _tool(wire: dict[str, Any]) -> Tool:
    function = wire.get("function")
    if not is_object(function):
        return Tool(name=str(wire.get("name") or wire.get("type") or ""), kind="provider", raw=wire)
    parameters = function.get("parameters")
    return Tool(
        name=str(function.get("name") or ""),
        description=function.get("description"),
        parameters=parameters if is_object(parameters) else {"type": "object", "properties": {}},
    )


# -- settings


def _other(settings: dict[str, Any], extra: dict[str, Any], key: str, value: Any) -> None:
    extra[key] = value


def _options(settings: dict[str, Any], extra: dict[str, Any], key: str, value: Any) -> None:
    if not is_object(value):
        extra[key] = value
        return
    rest: dict[str, Any] = {}
    for option, given in value.items():
        name = _FROM_OPTIONS.get(option)
        if option == "stop" and given:
            settings["stop"] = (given,) if isinstance(given, str) else tuple(given)
        elif name and given is not None:
            settings[name] = given
        elif given is not None and option != "stop":
            rest[option] = given
    if rest:
        extra[key] = rest


def _format(settings: dict[str, Any], extra: dict[str, Any], key: str, value: Any) -> None:
    if value == "json":
        settings["response_format"] = {"type": "json_object"}
    elif is_object(value) and value:
        settings["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": value},
        }
    elif value:
        extra[key] = value


def _think(settings: dict[str, Any], extra: dict[str, Any], key: str, value: Any) -> None:
    if value is False:
        settings["reasoning_budget"] = 0
    elif isinstance(value, str):
        settings["reasoning_effort"] = value
    else:
        extra[key] = value


def _same(settings: dict[str, Any], extra: dict[str, Any], key: str, value: Any) -> None:
    settings[key] = value


_READERS: dict[str, Callable[[dict[str, Any], dict[str, Any], str, Any], None]] = {
    "options": _options,
    "format": _format,
    "think": _think,
    "logprobs": _same,
    "top_logprobs": _same,
}
