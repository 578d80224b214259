"""What users may pass to a model -> a list of messages; and messages to and from plain data.

Taken: a str, a message, a prompt value (anything with `to_messages()`), and a list of messages,
`(role, text)` pairs, OpenAI dicts, our own dicts and strings. Data only: nothing is imported or run from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeGuard, cast

import msgspec

from ._content import content_of
from ._errors import UsageError
from ._json import is_array, is_object, loads
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

#: What a model takes: a str, a message, a list of messages, pairs or dicts, or a prompt value.
Input: TypeAlias = Any

_ROLES: dict[str, Callable[..., Message]] = {
    "system": SystemMessage,
    "human": HumanMessage,
    "user": HumanMessage,
    "ai": AIMessage,
    "assistant": AIMessage,
}


def messages_of(given: Input, argument: str = "messages") -> list[Message]:
    """The messages that the input means; a UsageError names what cannot be read."""
    if is_array(given) and given and all(is_message(m) for m in given):
        return list(given)
    if isinstance(given, str):
        return [HumanMessage(given)]
    if is_message(given):
        return [given]
    to_messages: Callable[[], Any] | None = getattr(cast(object, given), "to_messages", None)
    if to_messages is not None:
        return messages_of(to_messages(), argument)
    if isinstance(given, Iterable) and not isinstance(given, (bytes, bytearray, dict)):
        items = cast("Iterable[Any]", given)
        found = [message_of(item, f"{argument}[{i}]") for i, item in enumerate(items)]
        if found:
            return found
        raise UsageError(f"{argument} is empty: give at least one message", argument=argument)
    raise UsageError(
        f"{argument} is a str, a message, a list of messages, (role, text) pairs or dicts, or a prompt value; "
        f"got {type(cast(object, given)).__name__}",
        argument=argument,
    )


def is_message(value: object) -> TypeGuard[Message]:
    """Whether a value is one of our messages."""
    return isinstance(value, MESSAGE_TYPES)


def message_of(item: Any, argument: str = "message") -> Message:
    """One message from any of the forms that a list may hold."""
    if is_message(item):
        return item
    if isinstance(item, str):
        return HumanMessage(item)
    if is_object(item):
        return _from_any_dict(item, argument)
    if isinstance(item, (tuple, list)):
        pair = cast("Sequence[Any]", item)
        if len(pair) == 2 and isinstance(pair[0], str):
            return _from_pair(pair[0], pair[1], argument)
    raise UsageError(
        f"{argument} is a message, a (role, text) pair, a dict with a 'role' or a str; got {type(cast(object, item)).__name__}",
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
        if is_object(item.get("data")) and "type" in item:
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
    if is_object(audio) and audio.get("id"):
        parts.append(Audio(file_id=audio["id"], transcript=audio.get("transcript")))
    parts += [_openai_call(call) for call in item.get("tool_calls") or ()]
    legacy = item.get("function_call")
    if is_object(legacy):
        parts.append(tool_call("", str(legacy.get("name") or ""), legacy.get("arguments")))
    return AIMessage(plain(parts), name=item.get("name"))


def _openai_call(call: Any) -> ToolCall | InvalidToolCall:
    if not is_object(call):
        raise UsageError("tool_calls holds dicts", argument="tool_calls")
    ident = str(call.get("id") or "")
    if "args" in call:  # LangChain's form
        return ToolCall(ident, str(call.get("name") or ""), call["args"])
    custom = call.get("custom")
    if is_object(custom):
        return ToolCall(ident, str(custom.get("name") or ""), custom.get("input"), custom=True)
    function = call.get("function")
    wire = function if is_object(function) else {}
    return tool_call(ident, str(wire.get("name") or ""), wire.get("arguments"))


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
        args: object = loads(arguments)
    except ValueError as error:
        return InvalidToolCall(id, name, arguments, f"the arguments are not JSON: {error}", provider_data=provider_data)
    if args is None:
        args = {}
    if not is_object(args):
        reason = f"the arguments are not a JSON object but {type(args).__name__}"
        return InvalidToolCall(id, name, arguments, reason, provider_data=provider_data)
    return ToolCall(id, name, args, text=arguments, provider_data=provider_data)


def plain(parts: list[Part]) -> str | list[Part]:
    """Content in its simplest form: a str where the parts are nothing but one bare text."""
    if not parts:
        return ""
    only = parts[0]
    if len(parts) == 1 and isinstance(only, Text) and not (only.citations or only.cache or only.provider_data):
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
    if not is_object(data):
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
    if not is_object(data):
        raise UsageError("the 2023 form is {'type': ..., 'data': {...}}", argument="data")
    known = {k: v for k, v in data.items() if k != "type"}
    return from_dict({**known, "type": item.get("type")})


def buffer_string(messages: Sequence[Message], human_prefix: str = "Human", ai_prefix: str = "AI") -> str:
    """The conversation as text: `Human: ...\\nAI: ...`."""
    names = {"user": human_prefix, "assistant": ai_prefix, "system": "System", "tool": "Tool", "function": "Function"}
    return "\n".join(f"{names.get(m.role, m.role)}: {m.text}" for m in messages)
