"""A recorded Chat Completions request -> the `Call` that it means, for gateways and migration. Pure.

Each message, part and tool is read into our form and written again; what the writing leaves out (a host's own field, an
unknown part) is kept beside it in `provider_data` under this provider's name, so that encoding the call again means the
same, and another provider gets only what our form says. Fields of the body without a neutral place go into `extra_body`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from .._call import Call, Settings
from .._content import opaque, part_of
from .._errors import UsageError
from .._inputs import plain, tool_call
from .._json import is_array, is_object, mapping, objects, string
from .._messages import AIMessage, ChatMessage, FunctionMessage, HumanMessage, Message, SystemMessage, ToolMessage
from .._parts import Audio, InvalidToolCall, Part, Reasoning, Refusal, ToolCall
from .._tools import Tool, as_tool
from ._openai_chat_parts import Profile
from ._openai_chat_request import Encoder
from ._openai_chat_wire import Delta, call_data, reasoning_text

_SAME = frozenset(Settings.__struct_fields__) - {
    "stop",
    "modalities",
    "reasoning_summary",
    "extra_body",
    "extra_headers",
}
_CALL = ("model", "messages", "tools", "stream")


class RequestReader:
    """Reads the requests of one provider row."""

    def __init__(self, provider: str, profile: Profile) -> None:
        self.provider = provider
        self.profile = profile

    def call(self, body: dict[str, Any], path: str = "") -> Call:
        """The call; a UsageError names what is not a Chat Completions request. Azure names the model in the path."""
        messages = body.get("messages")
        if not is_array(messages):
            raise UsageError("a Chat Completions request has a list 'messages'", argument="body")
        settings: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for key, value in body.items():
            if key not in _CALL and value is not None:
                _READERS.get(key, RequestReader._setting)(self, settings, extra, key, value)
        if extra:
            settings["extra_body"] = extra
        tools = body.get("tools")
        return Call(
            model=string(body.get("model")) or _deployment(path),
            messages=tuple(self.message(m) for m in messages),
            settings=Settings(**settings),
            tools=tuple(self.tool(t) for t in (tools if is_array(tools) else ())),
            stream=bool(body.get("stream")),
        )

    # -- messages

    def message(self, wire: Any) -> Message:
        """One message."""
        if not is_object(wire) or not isinstance(wire.get("role"), str) or not wire["role"]:
            raise UsageError("each of 'messages' is an object with a 'role'", argument="messages")
        read = _ROLES.get(wire["role"], RequestReader._chat)
        message = read(self, wire, string(wire.get("name")))
        written = self._written(message)
        kept = {k: v for k, v in wire.items() if v is not None and k not in written and k not in _MADE}
        if not kept:
            return message
        data = dict(message.provider_data or {})
        own = mapping(data.get(self.provider))
        data[self.provider] = {**own, "message": {**mapping(own.get("message")), **kept}}
        return replace(message, provider_data=data)

    def _written(self, message: Message) -> dict[str, Any]:
        out: list[dict[str, Any]] = []
        self._encoder().message(message, out, [])
        return out[0] if out else {}

    def _encoder(self) -> Encoder:
        encoder = Encoder(self.provider, self.profile)
        encoder._own_ids.add("")
        return encoder

    def _content(self, content: Any) -> str | list[Part]:
        if isinstance(content, str) or content is None:
            return content or ""
        return [self.part(item) for item in (content if is_array(content) else [content])]

    def part(self, item: Any) -> Part:
        """One content part; what is unknown stays opaque."""
        if not is_object(item):
            return part_of(item) if isinstance(item, str) else opaque(self.provider, item)
        try:
            part = part_of(item)
            written = self._encoder().part(part, 0)
        except UsageError:
            return opaque(self.provider, item)
        if written is None or written.get("type") != item.get("type"):
            return opaque(self.provider, item)
        kept = {k: v for k, v in item.items() if v is not None and _differs(written.get(k), v)}
        return replace(part, provider_data={self.provider: {"extra": kept}}) if kept else part

    def _system(self, wire: dict[str, Any], name: str | None) -> Message:
        return SystemMessage(self._content(wire.get("content")), name=name)

    def _user(self, wire: dict[str, Any], name: str | None) -> Message:
        return HumanMessage(self._content(wire.get("content")), name=name)

    def _tool_message(self, wire: dict[str, Any], name: str | None) -> Message:
        ident = str(wire.get("tool_call_id") or "")
        return ToolMessage(self._content(wire.get("content")), tool_call_id=ident, name=name)

    def _function(self, wire: dict[str, Any], name: str | None) -> Message:
        return FunctionMessage(self._content(wire.get("content")), name=name or "")

    def _chat(self, wire: dict[str, Any], name: str | None) -> Message:
        return ChatMessage(self._content(wire.get("content")), role=wire["role"], name=name)

    def _assistant(self, wire: dict[str, Any], name: str | None) -> Message:
        parts: list[Part] = [*self._reasoning(wire)]
        content = self._content(wire.get("content"))
        parts += AIMessage(content).parts
        if isinstance(wire.get("refusal"), str) and wire["refusal"]:
            parts.append(Refusal(wire["refusal"]))
        audio = mapping(wire.get("audio"))
        if isinstance(audio.get("id"), str):
            parts.append(Audio(file_id=audio["id"], transcript=string(audio.get("transcript"))))
        parts += [self._tool_call(c) for c in objects(wire.get("tool_calls"))]
        legacy = mapping(wire.get("function_call"))
        if legacy.get("name"):
            data = {self.provider: {"legacy": True}}
            parts.append(tool_call("", str(legacy["name"]), legacy.get("arguments"), provider_data=data))
        return AIMessage(plain(parts), name=name, provider=self.provider)

    def _reasoning(self, wire: dict[str, Any]) -> Iterable[Reasoning]:
        """The model's working, if all fields that hold it say the same; what does not fit stays beside the message."""
        given = {k: wire[k] for k in ("reasoning_content", "reasoning") if isinstance(wire.get(k), str) and wire[k]}
        details = wire.get("reasoning_details")
        details = details if is_array(details) and details and len(objects(details)) == len(details) else None
        if len(set(given.values())) > 1 or not (given or details):
            return []
        said = next(iter(given.values()), "") or reasoning_text(Delta(reasoning_details=details))
        data: dict[str, Any] = {"fields": list(given)} if given or details else {}
        if details:
            data["reasoning_details"] = details
        return [Reasoning(said, provider_data={self.provider: data})]

    def _tool_call(self, wire: dict[str, Any]) -> ToolCall | InvalidToolCall:
        ident, custom = str(wire.get("id") or ""), mapping(wire.get("custom"))
        kept = call_data(wire)
        data = {self.provider: kept} if kept else None
        if custom:
            said = custom.get("input")
            return ToolCall(ident, str(custom.get("name") or ""), said, custom=True, provider_data=data)
        function = mapping(wire.get("function"))
        return tool_call(ident, str(function.get("name") or ""), function.get("arguments"), provider_data=data)

    # -- tools and settings

    def tool(self, wire: Any) -> Tool:
        """A tool in our form where that says all of it; else as it is."""
        if not is_object(wire):
            raise UsageError("each of 'tools' is an object", argument="tools")
        function = wire.get("function")
        if wire.get("type") == "function" and is_object(function) and function.keys() <= _FUNCTION:
            try:
                made = as_tool({"type": "function", "function": function})
            except UsageError:
                return _raw(wire)
            beside = {k: v for k, v in wire.items() if k not in ("type", "function") and v is not None}
            return replace(made, provider_data={self.provider: beside} if beside else None)
        return _raw(wire)

    def _setting(self, settings: dict[str, Any], extra: dict[str, Any], key: str, value: Any) -> None:
        if key not in _SAME or (key in ("top_k", "min_p") and key not in self.profile.sampling):
            extra[key] = value
        else:
            settings[key] = value

    def _max_tokens(self, settings: dict[str, Any], extra: dict[str, Any], key: str, value: Any) -> None:
        if settings.get("max_tokens", value) != value:
            extra[key] = value  # both spellings, with different limits
        settings.setdefault("max_tokens", value)

    def _stop(self, settings: dict[str, Any], extra: dict[str, Any], key: str, value: Any) -> None:
        settings["stop"] = (value,) if isinstance(value, str) else tuple(value)

    def _modalities(self, settings: dict[str, Any], extra: dict[str, Any], key: str, value: Any) -> None:
        settings["modalities"] = tuple(value)

    def _tool_choice(self, settings: dict[str, Any], extra: dict[str, Any], key: str, value: Any) -> None:
        named = mapping(mapping(value).get("function")).get("name")
        settings["tool_choice"] = named if named and value.get("type") == "function" else value

    def _effort(self, settings: dict[str, Any], extra: dict[str, Any], key: str, value: Any) -> None:
        """OpenRouter's `reasoning` object, where the host has it and nothing else stands in it."""
        known = {"effort": "reasoning_effort", "max_tokens": "reasoning_budget"}
        if self.profile.reasoning_style == "object" and is_object(value) and value and value.keys() <= known.keys():
            settings.update({known[k]: v for k, v in value.items()})
        else:
            extra[key] = value

    def _own_effort(self, settings: dict[str, Any], extra: dict[str, Any], key: str, value: Any) -> None:
        if self.profile.reasoning_style == "object":
            extra[key] = value
        else:
            settings[key] = value

    def _stream_options(self, settings: dict[str, Any], extra: dict[str, Any], key: str, value: Any) -> None:
        """Usage is asked for by default; the rest is kept."""
        if value != {"include_usage": True}:
            extra[key] = value


#: Fields of a message that are read into parts (what of them is not sent back is not kept twice).
_MADE = ("role", "content", "refusal", "audio", "tool_calls", "function_call")
_FUNCTION = frozenset({"name", "description", "parameters", "strict"})


def _differs(written: Any, given: Any) -> bool:
    """Does the written value leave out something of the given one?"""
    if is_object(written) and is_object(given):
        return any(v is not None and _differs(written.get(k), v) for k, v in given.items())
    return bool(written != given)


def _deployment(path: str) -> str:
    """`/openai/deployments/NAME/chat/completions` -> NAME."""
    _, found, rest = path.partition("/deployments/")
    return rest.partition("/")[0] if found else ""


def _raw(wire: dict[str, Any]) -> Tool:
    name = mapping(wire.get("function")).get("name") or mapping(wire.get("custom")).get("name") or wire.get("type")
    return Tool(name=str(name or "tool"), kind="provider", raw=wire)


_ROLES: dict[str, Callable[[RequestReader, dict[str, Any], str | None], Message]] = {
    "system": RequestReader._system,
    "user": RequestReader._user,
    "assistant": RequestReader._assistant,
    "tool": RequestReader._tool_message,
    "function": RequestReader._function,
}

_READERS: dict[str, Callable[[RequestReader, dict[str, Any], dict[str, Any], str, Any], None]] = {
    "max_tokens": RequestReader._max_tokens,
    "max_completion_tokens": RequestReader._max_tokens,
    "stop": RequestReader._stop,
    "modalities": RequestReader._modalities,
    "tool_choice": RequestReader._tool_choice,
    "reasoning": RequestReader._effort,
    "reasoning_effort": RequestReader._own_effort,
    "stream_options": RequestReader._stream_options,
}
