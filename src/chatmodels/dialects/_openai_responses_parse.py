"""A recorded Responses request -> the `Call` that it means, for gateways and migration. Pure.

The items of the model's side that follow each other are one `AIMessage`. What has no neutral place goes into
`settings.extra_body` or the part's `provider_data`, so that encoding the call again means the same.
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
from .._parts import Audio, File, Image, Opaque, Part, Text
from .._schema_walk import is_array, is_object
from .._tools import Tool
from ._kept import beside, items, mapping, text
from ._openai_responses_items import in_message, read_item, whole
from ._recorded_tools import as_it_is, is_schema

_ENCRYPTED = "reasoning.encrypted_content"
_LOGPROBS = "message.output_text.logprobs"
_SAME = frozenset(
    {
        "temperature",
        "top_p",
        "top_logprobs",
        "parallel_tool_calls",
        "service_tier",
        "user",
        "metadata",
        "store",
    }
)
_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}


def parse_request(body: dict[str, Any], provider: str) -> Call:
    """The call; a UsageError names what is not a Responses request."""
    settings: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in body.items():
        if key in ("model", "input", "instructions", "tools", "stream") or value is None:
            continue
        reader = _READERS.get(key)
        if reader is not None:
            reader(settings, extra, value)
        elif key in _SAME:
            settings[key] = value
        else:
            extra[key] = value
    if settings.get("store") is False and "include" not in extra:
        extra["include"] = []
    if extra:
        settings["extra_body"] = extra
    messages = _Conversation(provider).read(body.get("input"))
    said = body.get("instructions")
    if isinstance(said, str) and said:
        messages.insert(0, SystemMessage(said, provider_data={provider: {"instructions": True}}))
    return Call(
        model=str(body.get("model") or ""),
        messages=tuple(messages),
        settings=Settings(**settings),
        tools=tuple(_tool(t, provider) for t in items(body.get("tools"))),
        stream=bool(body.get("stream")),
    )


def _tool(wire: Any, provider: str) -> Tool:
    """A function tool in our form; a tool of the provider's own, or of an odd shape, as it is."""
    if not is_object(wire):
        raise UsageError("each of 'tools' is an object", argument="body")
    name, schema = wire.get("name"), wire.get("parameters")
    plain_function = wire.get("type") == "function" and isinstance(name, str) and "function" not in wire
    if not plain_function or not (schema is None or is_schema(schema)):
        return as_it_is(wire)
    extra = beside(wire, "type", "name", "description", "parameters", "strict")
    strict = wire.get("strict")
    if strict is None:
        extra["strict"] = None
    return Tool(
        name=text(name),
        description=wire["description"] if isinstance(wire.get("description"), str) else None,
        parameters=schema or {},
        strict=strict,
        provider_data={provider: extra} if extra else None,
    )


class _Conversation:
    """Groups the flat list of items into messages."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.messages: list[Message] = []
        self._parts: list[Part] = []
        self._message: dict[str, Any] | None = None
        self._logprobs: list[dict[str, Any]] = []
        self._open: dict[str, str] = {}

    def read(self, given: Any) -> list[Message]:
        if isinstance(given, str):
            return [HumanMessage(given)]
        for number, item in enumerate(items(given)):
            if not is_object(item):
                raise UsageError(f"input[{number}] is an object", argument="body")
            self._item(item)
        self._close()
        return self.messages

    def _item(self, item: dict[str, Any]) -> None:
        kind = item.get("type") or "message"
        if kind == "message" and item.get("role") != "assistant":
            self._add(self._speech(item))
        elif isinstance(item.get("role"), str) and kind != "message":
            self._add(self._with_role(item["role"], [whole(item, self.provider)]))
        elif kind in ("function_call_output", "custom_tool_call_output"):
            self._add(self._result(item, kind))
        elif self._answers(item, kind):
            self._add(self._client_result(item))
        else:
            self._answer(item)

    def _add(self, message: Message) -> None:
        self._close()
        self.messages.append(message)

    def _close(self) -> None:
        if self._parts or self._message is not None:
            data = {self.provider: {"message": self._message}} if self._message else None
            self.messages.append(
                AIMessage(
                    plain(self._parts),
                    provider=self.provider,
                    logprobs=self._logprobs or None,
                    provider_data=data,
                )
            )
        self._parts, self._message, self._logprobs = [], None, []

    # -- the caller's side

    def _speech(self, item: dict[str, Any]) -> Message:
        content = item.get("content")
        parts = [_content(c, self.provider) for c in content] if is_array(content) else []
        return self._with_role(text(item.get("role")) or "user", parts if is_array(content) else text(content))

    def _with_role(self, role: str, content: str | list[Part]) -> Message:
        if role == "user":
            return HumanMessage(content)
        if role == "system":
            return SystemMessage(content)
        return ChatMessage(content, role=role)

    def _result(self, item: dict[str, Any], kind: str) -> Message:
        output = item.get("output")
        content: str | list[Part] = text(output)
        if is_array(output):
            content = [_content(c, self.provider) for c in output]
        extra = beside(item, "type", "call_id", "output")
        data: dict[str, Any] = {"extra": extra} if extra else {}
        if kind == "custom_tool_call_output":
            data["kind"] = kind
        return ToolMessage(
            content,
            tool_call_id=text(item.get("call_id")),
            name=text(item.get("name")) or None,
            provider_data={self.provider: data} if data else None,
        )

    def _answers(self, item: dict[str, Any], kind: str) -> bool:
        """Is it the caller's result for one of OpenAI's own tools?"""
        if kind in (
            "local_shell_call_output",
            "apply_patch_call_output",
            "computer_call_output",
            "mcp_approval_response",
        ):
            return True
        if kind == "tool_search_output":
            return item.get("execution") == "client"
        return kind == "shell_call_output" and text(item.get("call_id")) in self._open

    def _client_result(self, item: dict[str, Any]) -> Message:
        ident = text(item.get("call_id")) or text(item.get("approval_request_id")) or text(item.get("id"))
        output = item.get("output")
        content: str | list[Part] = text(output) or text(item.get("reason"))
        if is_object(output) and output.get("type") == "computer_screenshot":
            content = [_content({**output, "type": "input_image"}, self.provider)]
        return ToolMessage(
            content,
            tool_call_id=ident,
            is_error=item.get("status") == "failed" or item.get("approve") is False,
            provider_data={self.provider: {"item": item}},
        )

    # -- the model's side

    def _answer(self, item: dict[str, Any]) -> None:
        reading = read_item(item, self.provider)
        parts = reading.parts
        if reading.message is not None:
            if self._message is not None and not reading.message.get("id"):
                self._close()
            if self._message is None:
                self._message = reading.message
            else:
                parts = [in_message(p, reading.message, self.provider) for p in parts]
        elif item.get("type") == "message" or "role" in item:
            self._close()
        if item.get("type") == "shell_call":
            self._open[text(item.get("call_id"))] = "shell_call"
        self._parts += parts
        self._logprobs += reading.logprobs or []


def _content(wire: Any, provider: str) -> Part:
    """One content part of the caller's side."""
    if isinstance(wire, str):
        return Text(wire)
    kind = text(mapping(wire).get("type"))
    reader = _CONTENT.get(kind)
    part = reader(wire) if reader is not None else None
    return part or Opaque(provider=provider, kind=kind, data=wire)


def _cache(wire: dict[str, Any]) -> bool | str:
    point = wire.get("prompt_cache_breakpoint")
    return (text(point.get("ttl")) or True) if is_object(point) else False


def _text(wire: dict[str, Any]) -> Part:
    return Text(text(wire.get("text")), cache=_cache(wire))


def _image(wire: dict[str, Any]) -> Part | None:
    url, ident = wire.get("image_url"), wire.get("file_id")
    detail = wire.get("detail")
    detail = detail if isinstance(detail, str) and detail != "auto" else None
    try:
        if isinstance(url, str):
            return Image(url=url, detail=detail, cache=_cache(wire))
        return Image(file_id=ident, detail=detail, cache=_cache(wire)) if isinstance(ident, str) else None
    except UsageError:  # a data: URL that holds no base64 stays as it is
        return None


def _file(wire: dict[str, Any]) -> Part | None:
    name = text(wire.get("filename")) or None
    cache = _cache(wire)
    if wire.get("detail") is not None:
        return None
    if isinstance(wire.get("file_id"), str):
        return File(file_id=wire["file_id"], name=name, cache=cache)
    if isinstance(wire.get("file_url"), str):
        return File(url=wire["file_url"], name=name, cache=cache)
    data = wire.get("file_data")
    if not isinstance(data, str):
        return None
    try:
        if data.startswith("data:"):
            return File(url=data, name=name, cache=cache)
        raw = b64decode(data, validate=True)
    except (UsageError, Base64Error, ValueError):
        return None
    return File(data=raw, name=name, media_type="application/pdf", cache=cache) if raw.startswith(b"%PDF") else None


def _audio(wire: dict[str, Any]) -> Part | None:
    audio = wire.get("input_audio")
    if not is_object(audio):
        return None
    kind = text(audio.get("format")) or "wav"
    try:
        return Audio(data=b64decode(text(audio.get("data"))), media_type=_AUDIO_TYPES.get(kind, f"audio/{kind}"))
    except (Base64Error, ValueError):
        return None


_CONTENT: dict[str, Callable[[dict[str, Any]], Part | None]] = {
    "input_text": _text,
    "text": _text,
    "output_text": _text,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}


def _rest(extra: dict[str, Any], key: str, value: dict[str, Any], *said: str) -> None:
    left = {k: v for k, v in value.items() if k not in said and v is not None}
    if left:
        extra[key] = left


def _reasoning(settings: dict[str, Any], extra: dict[str, Any], value: Any) -> None:
    if not is_object(value):
        extra["reasoning"] = value
        return
    settings["reasoning_effort"] = value.get("effort")
    settings["reasoning_summary"] = value.get("summary")
    _rest(extra, "reasoning", value, "effort", "summary")


def _text_options(settings: dict[str, Any], extra: dict[str, Any], value: Any) -> None:
    wanted = value.get("format") if is_object(value) else None
    if not is_object(value) or not (wanted is None or is_object(wanted)):
        extra["text"] = value
        return
    settings["verbosity"] = value.get("verbosity")
    if is_object(wanted) and wanted.get("type") == "json_schema":
        wanted = {"type": "json_schema", "json_schema": {k: v for k, v in wanted.items() if k != "type"}}
    settings["response_format"] = wanted
    _rest(extra, "text", value, "verbosity", "format")


def _max_tokens(settings: dict[str, Any], extra: dict[str, Any], value: Any) -> None:
    settings["max_tokens"] = value


def _tool_choice(settings: dict[str, Any], extra: dict[str, Any], value: Any) -> None:
    named = is_object(value) and value.get("type") == "function" and set(value) == {"type", "name"}
    settings["tool_choice"] = value["name"] if named else value


def _include(settings: dict[str, Any], extra: dict[str, Any], value: Any) -> None:
    if not is_array(value):
        extra["include"] = value
        return
    if _LOGPROBS in value:
        settings["logprobs"] = True
    rest = [v for v in value if v != _LOGPROBS]
    if rest or not value:
        extra["include"] = rest


_READERS: dict[str, Callable[[dict[str, Any], dict[str, Any], Any], None]] = {
    "reasoning": _reasoning,
    "text": _text_options,
    "max_output_tokens": _max_tokens,
    "tool_choice": _tool_choice,
    "include": _include,
}
