"""Our messages, settings and tools -> what a model of pydantic-ai takes. The other way is `_pydantic_ai_messages.py`.

An answer goes back to pydantic-ai with the parts that it made, ids and signatures included, as long as nobody has edited them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any

from chatmodels._errors import UsageError
from chatmodels._json import is_object, is_sequence, mapping
from chatmodels._messages import AIMessage, Message, SystemMessage, ToolMessage
from chatmodels._parts import (
    Audio,
    File,
    Image,
    InvalidToolCall,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
)

from ._pydantic_ai_messages import NAME, answer_part, core, part_of

_pa: Any = import_module("pydantic_ai.messages")
_tools: Any = import_module("pydantic_ai.tools")
_native: Any = import_module("pydantic_ai.native_tools")


def requests_of(messages: Sequence[Message], system: str) -> list[Any]:
    """The conversation as `ModelRequest`s and `ModelResponse`s. `system` is the provider's name at pydantic-ai."""
    out: list[Any] = []
    names: dict[str, str] = {}
    for message in messages:
        if isinstance(message, AIMessage):
            names.update({c.id: c.name for c in message.parts if isinstance(c, (ToolCall, InvalidToolCall))})
            out.append(_response(message))
            continue
        if not out or out[-1].kind == "response":
            out.append(_pa.ModelRequest(parts=[]))
        out[-1].parts += _request_parts(message, names, system)
    return out


def _request_parts(message: Message, names: dict[str, str], system: str) -> list[Any]:
    if isinstance(message, SystemMessage):
        return [_pa.SystemPromptPart(message.text)]
    if isinstance(message, ToolMessage):
        ident, failed = message.tool_call_id, message.is_error
        return [_result(ident, message.name or names.get(ident), message.parts, failed, system)]
    if getattr(message, "role", "") in ("system", "developer"):
        return [_pa.SystemPromptPart(message.text)]
    return _user(message, names, system)


def _user(message: Message, names: dict[str, str], system: str) -> list[Any]:
    """Results that stand in a user's message come first, as the providers want them."""
    results = [p for p in message.parts if isinstance(p, ToolResult)]
    rest = [p for p in message.parts if not isinstance(p, ToolResult)]
    out = [_result(p.tool_call_id, names.get(p.tool_call_id), _inner(p), p.is_error, system) for p in results]
    if rest or not results:
        out.append(_pa.UserPromptPart(_contents(rest, system)))
    return out


def _inner(part: ToolResult) -> list[Part]:
    return [Text(part.content)] if isinstance(part.content, str) else list(part.content)


def _result(ident: str, name: str | None, parts: Iterable[Part], failed: bool, system: str) -> Any:
    if name is None:
        raise UsageError(
            f"the result of the call {ident!r} names no tool, and no answer before it makes that call: give name=",
            argument="messages",
        )
    made = _pa.ToolReturnPart(tool_name=name, content=_contents(list(parts), system), tool_call_id=ident)
    if failed:
        made.outcome = "failed"
    return made


def _contents(parts: Sequence[Part], system: str) -> Any:
    if all(isinstance(p, Text) and not p.cache for p in parts):
        return "".join(p.text for p in parts if isinstance(p, Text))
    out: list[Any] = []
    for part in parts:
        out.append(_content(part, system))
        if part.cache:
            out.append(_pa.CachePoint() if part.cache is True else _pa.CachePoint(ttl=part.cache))
    return out


def _content(part: Part, system: str) -> Any:
    if isinstance(part, Text):
        return part.text
    url = _URLS.get(type(part))
    if url is None:
        raise UsageError(f"a {type(part).__name__} cannot be sent to a model of pydantic-ai", argument="messages")
    about = {"detail": part.detail} if isinstance(part, Image) and part.detail else None
    kind: Any = part
    if kind.data is not None:
        media = kind.media_type or _DEFAULT_TYPES.get(type(part), "application/octet-stream")
        return _pa.BinaryContent(data=kind.data, media_type=media, vendor_metadata=about)
    if kind.file_id is not None:
        return _pa.UploadedFile(kind.file_id, provider_name=system, media_type=kind.media_type)
    return url(kind.url, media_type=kind.media_type, vendor_metadata=about)


_URLS: dict[type[Any], Any] = {Image: _pa.ImageUrl, Audio: _pa.AudioUrl, Video: _pa.VideoUrl, File: _pa.DocumentUrl}
_DEFAULT_TYPES: dict[type[Any], str] = {Image: "image/png", Audio: "audio/wav", Video: "video/mp4"}


# ---- earlier answers


def _response(message: AIMessage) -> Any:
    kept = mapping((message.provider_data or {}).get(NAME))
    parts = [made for p in message.parts if (made := _answer(p)) is not None]
    return _pa.ModelResponse(
        parts=parts,
        model_name=message.model,
        provider_name=kept.get("provider_name"),
        provider_details=kept.get("provider_details"),
        provider_response_id=message.id,
    )


def _answer(part: Part) -> Any:
    """One part; what another provider alone understands is left out, its text is not."""
    kept = part.data if isinstance(part, Opaque) and part.provider == NAME else (part.provider_data or {}).get(NAME)
    if is_object(kept):
        made = answer_of_data(kept)
        if isinstance(part, Opaque) or core(answer_part(made) or part) == core(part):
            return made
    if isinstance(part, Refusal):
        return _pa.TextPart(part.text)
    if isinstance(part, Reasoning):
        return _pa.ThinkingPart(part.text) if part.text else None
    return None if isinstance(part, Opaque) else part_of(part, None)


def answer_of_data(data: dict[str, Any]) -> Any:
    """A part of an answer from its JSON data."""
    return _pa.ModelMessagesTypeAdapter.validate_python([{"kind": "response", "parts": [data]}])[0].parts[0]


# ---- tools and settings


def tool_of(data: dict[str, Any], kind: str = "function") -> Any:
    """A tool's definition."""
    return _tools.ToolDefinition(
        name=data["name"],
        description=data.get("description"),
        parameters_json_schema=data["parameters"],
        strict=data.get("strict"),
        kind=kind,
    )


def native_of(data: dict[str, Any]) -> Any:
    """A tool that the provider runs, from `{"type": "web_search", ...}`: the fields are those of pydantic-ai's class."""
    kind = data.get("type")
    cls = _native.NATIVE_TOOL_TYPES.get(kind)
    if cls is None:
        kinds = ", ".join(sorted(_native.NATIVE_TOOL_TYPES))
        raise UsageError(f"pydantic-ai has no native tool of type {kind!r}: it has {kinds}", argument="tools")
    try:
        return cls(**{k: v for k, v in data.items() if k != "type"})
    except TypeError as error:
        raise UsageError(f"the native tool {kind!r} of pydantic-ai: {error}", argument="tools") from error


#: Ours -> pydantic-ai's settings, those that mean the same.
SETTINGS = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "logit_bias": "logit_bias",
    "stop": "stop_sequences",
    "parallel_tool_calls": "parallel_tool_calls",
    "service_tier": "service_tier",
    "extra_headers": "extra_headers",
    "extra_body": "extra_body",
}


def settings_of(settings: Any) -> tuple[dict[str, Any], list[str]]:
    """(pydantic-ai's settings, what of ours it has no word for)."""
    out: dict[str, Any] = {}
    warnings: list[str] = []
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if value is None:
            continue
        write = _WRITERS.get(name)
        if name in SETTINGS:
            out[SETTINGS[name]] = list(value) if is_sequence(value) else value
        elif write is None or not write(out, value):
            warnings.append(f"{name} is not sent: pydantic-ai has no such setting")
    return out, warnings


def _choice(out: dict[str, Any], value: Any) -> bool:
    out["tool_choice"] = value if value in ("auto", "none", "required") else [value]
    return isinstance(value, str)


def _effort(out: dict[str, Any], value: Any) -> bool:
    out["thinking"] = value if value != "none" else False
    return True


def _budget(out: dict[str, Any], value: Any) -> bool:
    """A number of tokens has no word there; "none at all" has."""
    if value == 0:
        out["thinking"] = False
    return bool(value == 0)


_WRITERS: dict[str, Callable[[dict[str, Any], Any], bool]] = {
    "tool_choice": _choice,
    "reasoning_effort": _effort,
    "reasoning_budget": _budget,
}
