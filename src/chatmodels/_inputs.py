"""What users may pass to a model -> a list of messages; and messages to and from plain data.

Taken: a str, a message, a prompt value (anything with `to_messages()`), and a list of messages,
`(role, text)` pairs, OpenAI dicts, our own dicts and strings. Data only: nothing is imported or run from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeGuard, cast

import msgspec

from ._content import is_standard
from ._errors import UsageError
from ._inputs_openai import calls_of, from_openai, plain, tool_call
from ._json import is_array, is_object, loads
from ._messages import (
    MESSAGE_TYPES,
    AIMessage,
    ChatMessage,
    HumanMessage,
    Message,
    SystemMessage,
    ToolMessage,
)
from ._parts import PART_TYPES

__all__ = [
    "Input",
    "buffer_string",
    "from_dict",
    "from_json",
    "from_openai",
    "is_message",
    "message_of",
    "messages_from_dict",
    "messages_of",
    "messages_to_dict",
    "plain",
    "tool_call",
]

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
    if role in ("tool", "function"):
        raise UsageError(f"{argument}: a {role} message needs its call: use ToolMessage(...)", argument=argument)
    make = _ROLES.get(role)
    try:
        return ChatMessage(content, role=role) if make is None else make(content)
    except UsageError as error:
        raise UsageError(f"{argument}: {error.text}", argument=argument) from error


def _from_any_dict(item: dict[str, Any], argument: str) -> Message:
    try:
        if is_object(item.get("data")) and "type" in item:
            return _from_2023(item)
        if "role" in item and item.get("type") not in _TAGS:
            return from_openai(item)
        return from_dict(item)
    except UsageError as error:
        raise UsageError(f"{argument}: {error.text}", argument=argument) from error


_TAGS: dict[str, Any] = {cls.__struct_config__.tag: cls for cls in MESSAGE_TYPES}
_PART_TAGS = frozenset(cls.__struct_config__.tag for cls in PART_TYPES)


def from_dict(data: dict[str, Any]) -> Message:
    """The message of `to_dict()`; data only, nothing is looked up or run."""
    version = data.get("v", 1)
    if version != 1:
        raise UsageError(f"message data of version {version!r}: this release reads version 1", argument="v")
    kind = data.get("type")
    cls = _TAGS.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise UsageError(f"message data needs a 'type' of {', '.join(_TAGS)}; got {kind!r}", argument="type")
    content = data.get("content")
    foreign = is_array(content) and any(
        is_object(part) and (part.get("type") not in _PART_TAGS or is_standard(part)) for part in content
    )
    try:
        message = cast(Message, msgspec.convert({**data, "content": ""} if foreign else data, cls))
    except msgspec.ValidationError as error:
        raise UsageError(f"message data of type {kind!r}: {error}", argument="data") from error
    if foreign:  # parts in OpenAI's form, as others keep them
        message = msgspec.structs.replace(message, content=content)
    return _with_langchains(message, data)


def _with_langchains(message: Message, data: dict[str, Any]) -> Message:
    """What LangChain's dicts say in fields of their own: the calls of an answer, the failure of a tool."""
    if isinstance(message, ToolMessage) and data.get("status") == "error":
        return msgspec.structs.replace(message, is_error=True)
    if isinstance(message, AIMessage) and not message.tool_calls:
        calls = [*calls_of(data.get("tool_calls")), *calls_of(data.get("invalid_tool_calls"))]
        if calls:
            return msgspec.structs.replace(message, content=[*message.parts, *calls])
    return message


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
    kind = item.get("type")
    if isinstance(kind, str) and kind.endswith("MessageChunk"):  # an answer that was kept as it streamed
        kind = kind.removesuffix("MessageChunk").lower()
    return from_dict({**known, "type": kind})


def buffer_string(messages: Sequence[Message], human_prefix: str = "Human", ai_prefix: str = "AI") -> str:
    """The conversation as text: `Human: ...\\nAI: ...`. A call in the manner of 2023 stands behind its answer's text."""
    return "\n".join(_line(m, human_prefix, ai_prefix) for m in messages)


def _line(message: Message, human: str, ai: str) -> str:
    if isinstance(message, ChatMessage):
        return f"{message.role}: {message.text}"
    names = {"user": human, "assistant": ai, "system": "System", "tool": "Tool", "function": "Function"}
    asked = message.additional_kwargs.get("function_call", "") if isinstance(message, AIMessage) else ""
    return f"{names[message.role]}: {message.text}{asked}"
