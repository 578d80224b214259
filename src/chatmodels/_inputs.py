"""What users may pass to a model -> a list of messages; and messages to and from plain data.

Taken: a str, a message, a prompt value (anything with `to_messages()`), and a list of messages,
`(role, text)` pairs, OpenAI dicts, our own dicts and strings. Data only: nothing is imported or run from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, cast

import msgspec

from ._content import content_of
from ._errors import UsageError
from ._json import loads
from ._messages import (
    MESSAGE_TYPES,
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    Message,
    SystemMessage,
    ToolMessage,
)
from ._parts import Audio, InvalidToolCall, Part, Reasoning, Refusal, Text, ToolCall

Input: TypeAlias = "str | Message | Sequence[Any] | Any"

_ROLES: dict[str, Callable[..., Message]] = {
    "system": SystemMessage,
    "human": HumanMessage,
    "user": HumanMessage,
    "ai": AIMessage,
    "assistant": AIMessage,
}


def messages_of(given: Input, argument: str = "messages") -> list[Message]:
    """The messages that the input means; a UsageError names what cannot be read."""
    if given.__class__ is list and given and all(isinstance(m, MESSAGE_TYPES) for m in given):
        return list(given)
    if isinstance(given, str):
        return [HumanMessage(given)]
    if isinstance(given, MESSAGE_TYPES):
        return [given]
    if hasattr(given, "to_messages"):
        return messages_of(given.to_messages(), argument)
    if isinstance(given, Iterable) and not isinstance(given, (bytes, bytearray, dict)):
        found = [message_of(item, f"{argument}[{i}]") for i, item in enumerate(given)]
        if found:
            return found
        raise UsageError(f"{argument} is empty: give at least one message", argument=argument)
    raise UsageError(
        f"{argument} is a str, a message, a list of messages, (role, text) pairs or dicts, or a prompt value; "
        f"got {type(given).__name__}",
        argument=argument,
    )


def message_of(item: Any, argument: str = "message") -> Message:
    """One message from any of the forms that a list may hold."""
    if isinstance(item, MESSAGE_TYPES):
        return cast(Message, item)
    if isinstance(item, str):
        return HumanMessage(item)
    if isinstance(item, (tuple, list)) and len(item) == 2 and isinstance(item[0], str):
        return _from_pair(item[0], item[1], argument)
    if isinstance(item, dict):
        return _from_any_dict(item, argument)
    raise UsageError(
        f"{argument} is a message, a (role, text) pair, a dict with a 'role' or a str; got {type(item).__name__}",
        argument=argument,
    )


def _from_pair(role: str, content: Any, argument: str) -> Message:
    make = _ROLES.get(role)
    if make is not None:
        return make(content)
    if role in ("tool", "function"):
        raise UsageError(f"{argument}: a {role} message needs its call: use ToolMessage(...)", argument=argument)
    return ChatMessage(content, role=role)


def _from_any_dict(item: dict[str, Any], argument: str) -> Message:
    try:
        if isinstance(item.get("data"), dict) and "type" in item:
            return _from_2023(item)
        if "role" in item and item.get("type") not in _TAGS:
            return from_openai(item)
        return from_dict(item)
    except UsageError as error:
        raise UsageError(f"{argument}: {error.text}", argument=argument) from error


def from_openai(item: dict[str, Any]) -> Message:
    """A message from an OpenAI chat dict: `{"role": ..., "content": ..., "tool_calls": ..., "tool_call_id": ...}`."""
    role, content, name = item.get("role"), item.get("content"), item.get("name")
    if role in ("assistant", "ai"):
        return _assistant(item)
    if role == "tool":
        return ToolMessage(content_of(content), tool_call_id=str(item.get("tool_call_id") or ""), name=name)
    if role == "function":
        return FunctionMessage(content_of(content), name=str(name or ""))
    if role in ("system",):
        return SystemMessage(content_of(content), name=name)
    if role in ("user", "human"):
        return HumanMessage(content_of(content), name=name)
    if not isinstance(role, str) or not role:
        raise UsageError("a message dict needs a 'role'", argument="role")
    return ChatMessage(content_of(content), role=role, name=name)


def _assistant(item: dict[str, Any]) -> AIMessage:
    parts: list[Part] = []
    reasoning = item.get("reasoning_content") or item.get("reasoning")
    if isinstance(reasoning, str) and reasoning:
        parts.append(Reasoning(reasoning))
    content = content_of(item.get("content"))
    parts += [Text(content)] if isinstance(content, str) and content else []
    parts += content if isinstance(content, list) else []
    if isinstance(item.get("refusal"), str) and item["refusal"]:
        parts.append(Refusal(item["refusal"]))
    audio = item.get("audio")
    if isinstance(audio, dict) and audio.get("id"):
        parts.append(Audio(file_id=audio["id"], transcript=audio.get("transcript")))
    parts += [_openai_call(call) for call in item.get("tool_calls") or ()]
    legacy = item.get("function_call")
    if isinstance(legacy, dict):
        parts.append(tool_call("", str(legacy.get("name") or ""), legacy.get("arguments")))
    return AIMessage(plain(parts), name=item.get("name"))


def _openai_call(call: Any) -> ToolCall | InvalidToolCall:
    if not isinstance(call, dict):
        raise UsageError("tool_calls holds dicts", argument="tool_calls")
    if "args" in call:  # LangChain's form
        return ToolCall(str(call.get("id") or ""), str(call.get("name") or ""), call["args"])
    if isinstance(call.get("custom"), dict):
        custom = call["custom"]
        return ToolCall(str(call.get("id") or ""), str(custom.get("name") or ""), custom.get("input"), custom=True)
    function = call.get("function") or {}
    return tool_call(str(call.get("id") or ""), str(function.get("name") or ""), function.get("arguments"))


def tool_call(
    id: str, name: str, arguments: Any, *, provider_data: dict[str, Any] | None = None
) -> ToolCall | InvalidToolCall:
    """A call from the arguments as they came: JSON text, an object, or nothing (then `{}`).

    Text that is not a JSON object gives an `InvalidToolCall` with the raw text, never an exception.
    """
    if arguments is None or arguments == "":
        return ToolCall(id, name, {}, text="" if arguments == "" else None, provider_data=provider_data)
    if not isinstance(arguments, str):
        return ToolCall(id, name, arguments, provider_data=provider_data)
    try:
        args = loads(arguments)
    except ValueError as error:
        return InvalidToolCall(id, name, arguments, f"the arguments are not JSON: {error}", provider_data=provider_data)
    if args is None:
        args = {}
    if not isinstance(args, dict):
        reason = f"the arguments are not a JSON object but {type(args).__name__}"
        return InvalidToolCall(id, name, arguments, reason, provider_data=provider_data)
    return ToolCall(id, name, args, text=arguments, provider_data=provider_data)


def plain(parts: list[Part]) -> str | list[Part]:
    """Content in its simplest form: a str where the parts are nothing but one bare text."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].__class__ is Text:
        only = parts[0]
        if not (only.citations or only.cache or only.provider_data):
            return only.text
    return parts


_TAGS: dict[str, Any] = {cls.__struct_config__.tag: cls for cls in MESSAGE_TYPES}


def from_dict(data: dict[str, Any]) -> Message:
    """The message of `to_dict()`; data only, nothing is looked up or run."""
    version = data.get("v", 1)
    if version != 1:
        raise UsageError(f"message data of version {version!r}: this release reads version 1", argument="v")
    kind = data.get("type")
    cls = _TAGS.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise UsageError(f"message data needs a 'type' of {', '.join(_TAGS)}; got {kind!r}", argument="type")
    try:
        return cast(Message, msgspec.convert(data, cls))
    except msgspec.ValidationError as error:
        raise UsageError(f"message data of type {kind!r}: {error}", argument="data") from error


def from_json(text: str | bytes) -> Message:
    """The message of `to_json()`."""
    data = loads(text)
    if not isinstance(data, dict):
        raise UsageError("message data is a JSON object", argument="text")
    return from_dict(data)


def messages_to_dict(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The 2023 form: `{"type": "human", "data": {"content": ..., "additional_kwargs": ...}}`."""
    out: list[dict[str, Any]] = []
    for message in messages:
        data = message.to_dict()
        del data["v"]
        kind = data.pop("type")
        data.setdefault("content", "")
        data.setdefault("additional_kwargs", {})
        out.append({"type": kind, "data": data})
    return out


def messages_from_dict(data: Sequence[dict[str, Any]]) -> list[Message]:
    """The messages of `messages_to_dict`."""
    return [_from_2023(item) for item in data]


def _from_2023(item: dict[str, Any]) -> Message:
    data = item.get("data")
    if not isinstance(data, dict):
        raise UsageError("the 2023 form is {'type': ..., 'data': {...}}", argument="data")
    known = {k: v for k, v in data.items() if k != "type"}
    return from_dict({**known, "type": item.get("type")})


def buffer_string(messages: Sequence[Message], human_prefix: str = "Human", ai_prefix: str = "AI") -> str:
    """The conversation as text: `Human: ...\\nAI: ...`."""
    names = {"user": human_prefix, "assistant": ai_prefix, "system": "System", "tool": "Tool", "function": "Function"}
    return "\n".join(f"{names.get(m.role, m.role)}: {m.text}" for m in messages)
