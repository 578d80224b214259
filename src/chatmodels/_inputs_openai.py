"""Messages from OpenAI chat dicts, and tool calls from the arguments as they came. Data only: nothing is run.

What stands in a dict beside what our messages say is kept: a host's opaque data in `provider_data` under `SHAPE`, which
every host of Chat Completions gets back and nobody else; anything else in `additional_kwargs`.
"""

from __future__ import annotations

from typing import Any

from ._content import content_of
from ._errors import UsageError
from ._json import dumps_text, is_array, is_object, loads, mend_all
from ._messages import AIMessage, ChatMessage, FunctionMessage, HumanMessage, Message, SystemMessage, ToolMessage
from ._parts import Audio, InvalidToolCall, Part, Reasoning, Refusal, Text, ToolCall

#: The provider's name in `provider_data` for OpenAI-shaped data of unknown origin.
SHAPE = "openai-chat"

_READ = {"role", "content", "name", "tool_call_id"}
_READ_OF_ANSWERS = {
    "role",
    "content",
    "name",
    "tool_calls",
    "function_call",
    "refusal",
    "audio",
    "reasoning",
    "reasoning_content",
}
_OPAQUE = ("reasoning_details", "reasoning_opaque", "extra_content", "annotations")


def from_openai(item: dict[str, Any]) -> Message:
    """A message from an OpenAI chat dict: `{"role": ..., "content": ..., "tool_calls": ..., "tool_call_id": ...}`."""
    role, name = item.get("role"), item.get("name")
    if role in ("assistant", "ai"):
        return _assistant(item)
    content = content_of(item.get("content"))
    beside = {k: v for k, v in item.items() if k not in _READ and v is not None and v != []}
    if role == "tool":
        return ToolMessage(content, beside, tool_call_id=str(item.get("tool_call_id") or ""), name=name)
    if role == "function":
        return FunctionMessage(content, beside, name=str(name or ""))
    if role == "system":
        return SystemMessage(content, beside, name=name)
    if role in ("user", "human"):
        return HumanMessage(content, beside, name=name)
    if not isinstance(role, str) or not role:
        raise UsageError("a message dict needs a 'role'", argument="role")
    return ChatMessage(content, beside, role=role, name=name)


def _assistant(item: dict[str, Any]) -> AIMessage:
    parts: list[Part] = [*_reasoning(item)]
    content = content_of(item.get("content"))
    parts += [Text(content)] if isinstance(content, str) and content else []
    parts += content if isinstance(content, list) else []
    if isinstance(item.get("refusal"), str) and item["refusal"]:
        parts.append(Refusal(item["refusal"]))
    audio = item.get("audio")
    if is_object(audio) and audio.get("id"):
        parts.append(Audio(file_id=audio["id"], transcript=audio.get("transcript")))
    parts += calls_of(item.get("tool_calls"))
    legacy = item.get("function_call")
    if is_object(legacy):
        said = {SHAPE: {"legacy": True}}
        parts.append(tool_call("", str(legacy.get("name") or ""), legacy.get("arguments"), provider_data=said))
    opaque = {k: item[k] for k in _OPAQUE if item.get(k)}
    beside = {
        k: v for k, v in item.items() if k not in _READ_OF_ANSWERS and k not in _OPAQUE and v is not None and v != []
    }
    return AIMessage(
        plain(parts), beside, name=item.get("name"), provider_data={SHAPE: {"message": opaque}} if opaque else None
    )


def _reasoning(item: dict[str, Any]) -> list[Part]:
    """The working, with the fields in which it stood: there it goes back."""
    given = {k: item[k] for k in ("reasoning_content", "reasoning") if isinstance(item.get(k), str) and item[k]}
    if not given:
        return []
    return [Reasoning(next(iter(given.values())), provider_data={SHAPE: {"fields": list(given)}})]


def calls_of(calls: Any) -> list[ToolCall | InvalidToolCall]:
    """The calls in a list of dicts, in OpenAI's form (`function`, `custom`) or LangChain's (`name`, `args`, `id`)."""
    if calls is None:
        return []
    if not is_array(calls):
        raise UsageError(f"tool_calls is a list of dicts, not {type(calls).__name__}", argument="tool_calls")
    return [_call(call) for call in calls]


def _call(call: Any) -> ToolCall | InvalidToolCall:
    if isinstance(call, (ToolCall, InvalidToolCall)):
        return call
    if not is_object(call):
        raise UsageError(f"tool_calls holds dicts, not {type(call).__name__}", argument="tool_calls")
    ident = str(call.get("id") or "")
    if "args" in call:  # LangChain's form
        return tool_call(ident, str(call.get("name") or ""), call["args"])
    extra = {k: v for k, v in call.items() if k not in ("id", "type", "index", "function", "custom") and v}
    data = {SHAPE: {"extra": extra}} if extra else None
    custom = call.get("custom")
    if is_object(custom):
        return ToolCall(ident, str(custom.get("name") or ""), custom.get("input"), custom=True, provider_data=data)
    function = call.get("function")
    wire = function if is_object(function) else {}
    return tool_call(ident, str(wire.get("name") or ""), wire.get("arguments"), provider_data=data)


def tool_call(
    id: str, name: str, arguments: Any, *, provider_data: dict[str, Any] | None = None
) -> ToolCall | InvalidToolCall:
    """A call from the arguments as they came: JSON text, an object, or nothing (then `{}`).

    Text that is not a JSON object gives an `InvalidToolCall` with the raw text, never an exception; so does a call without
    a name, which nobody could run.
    """
    if not name:
        written = arguments if isinstance(arguments, str) else dumps_text(arguments) if arguments is not None else ""
        return InvalidToolCall(id, name, written, "the call has no name", provider_data=provider_data)
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
    if "\\u" in arguments:  # an escape may be half an emoji, which is no text
        args = mend_all(args)
    return ToolCall(id, name, args, text=arguments, provider_data=provider_data)


def plain(parts: list[Part]) -> str | list[Part]:
    """Content in its simplest form: a str where the parts are nothing but one bare text."""
    if not parts:
        return ""
    only = parts[0]
    if len(parts) == 1 and isinstance(only, Text) and not (only.citations or only.cache or only.provider_data):
        return only.text
    return parts
