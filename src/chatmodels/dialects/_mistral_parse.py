"""A recorded Mistral chat request -> the `Call` that it means, for gateways and migration. Pure.

What has no neutral place (`safe_prompt`, `prompt_mode`, `prefix`) goes into `settings.extra_body` or the message's
`additional_kwargs`, so that encoding the call again means the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._call import Call, Settings
from .._errors import UsageError
from .._inputs import plain, tool_call
from .._messages import AIMessage, ChatMessage, HumanMessage, Message, SystemMessage, ToolMessage
from .._parts import InvalidToolCall, Part, Text, ToolCall
from .._schema_walk import is_array, is_object
from ._kept import beside, items, keep, mapping, text, text_or_none
from ._mistral_content import read_chunks
from ._recorded_tools import chat_tool

_SAME = frozenset(
    {"temperature", "top_p", "top_k", "max_tokens", "n", "presence_penalty", "frequency_penalty", "logprobs"}
    | {"top_logprobs", "parallel_tool_calls", "reasoning_effort", "response_format", "service_tier", "metadata"}
)


def parse_request(body: dict[str, Any], provider: str) -> Call:
    """The call; a UsageError names what is not a Mistral chat request."""
    messages = body.get("messages")
    if not is_array(messages):
        raise UsageError("a Mistral chat request has a list 'messages'", argument="body")
    settings: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in body.items():
        if key in ("model", "messages", "tools", "stream") or value is None:
            continue
        reader = _READERS.get(key)
        if reader is not None:
            reader(settings, value)
        elif key in _SAME:
            settings[key] = value
        else:
            extra[key] = value
    if extra:
        settings["extra_body"] = extra
    return Call(
        model=text(body.get("model")),
        messages=tuple(_message(m, provider) for m in messages),
        settings=Settings(**settings),
        tools=tuple(chat_tool(t) for t in items(body.get("tools"))),
        stream=bool(body.get("stream")),
    )


def _message(wire: Any, provider: str) -> Message:
    if not is_object(wire):
        raise UsageError("each of 'messages' is an object", argument="body")
    role = text(wire.get("role"))
    content = _content(wire.get("content"), provider, join=role == "assistant")
    if role == "assistant":
        return _assistant(wire, content, provider)
    if role == "tool":
        ident = text(wire.get("tool_call_id"))
        return ToolMessage(content, tool_call_id=ident, name=text_or_none(wire.get("name")))
    if role == "system":
        return SystemMessage(content)
    return HumanMessage(content) if role == "user" else ChatMessage(content, role=role or "user")


def _content(content: Any, provider: str, *, join: bool) -> str | list[Part]:
    return read_chunks(content, provider, join=join) if is_array(content) else text(content)


def _assistant(wire: dict[str, Any], content: str | list[Part], provider: str) -> AIMessage:
    parts: list[Part] = [Text(content)] if isinstance(content, str) and content else []
    parts += content if not isinstance(content, str) else []
    parts += [_call(c, provider) for c in items(wire.get("tool_calls")) if is_object(c)]
    kept = {"prefix": True} if wire.get("prefix") is True else {}
    return AIMessage(plain(parts), kept, provider=provider)


def _call(wire: dict[str, Any], provider: str) -> ToolCall | InvalidToolCall:
    function = mapping(wire.get("function"))
    data = keep(provider, "extra", beside(wire, "id", "type", "function"))
    return tool_call(text(wire.get("id")), text(function.get("name")), function.get("arguments"), provider_data=data)


def _stop(settings: dict[str, Any], value: Any) -> None:
    settings["stop"] = tuple(value) if is_array(value) else (value,)


def _seed(settings: dict[str, Any], value: Any) -> None:
    settings["seed"] = value


def _tool_choice(settings: dict[str, Any], value: Any) -> None:
    named = text(mapping(mapping(value).get("function")).get("name"))
    settings["tool_choice"] = named or ("required" if value == "any" else value)


_READERS: dict[str, Callable[[dict[str, Any], Any], None]] = {
    "stop": _stop,
    "random_seed": _seed,
    "tool_choice": _tool_choice,
}
