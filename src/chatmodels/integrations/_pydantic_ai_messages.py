"""pydantic-ai's messages -> ours, and our answers -> its responses.

What its parts cannot say goes along in `provider_details["chatmodels"]`, so that an answer goes back as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any

import msgspec

from chatmodels._errors import UsageError
from chatmodels._inputs import plain, tool_call
from chatmodels._json import is_object, mapping
from chatmodels._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from chatmodels._parts import (
    Audio,
    File,
    Image,
    InvalidToolCall,
    Part,
    Reasoning,
    ServerTool,
    Text,
    ToolCall,
    Video,
)
from chatmodels._usage import Usage
from chatmodels.dialects._media_types import media_type

from ._parts_data import OURS, data_of, part_of_data

_pa: Any = import_module("pydantic_ai.messages")
_usage: Any = import_module("pydantic_ai.usage")

#: Our name for what models of pydantic-ai say.
NAME = "pydantic-ai"

# ---- requests


def messages_of_request(request: Any) -> list[Message]:
    """The messages that one `ModelRequest` holds, in order."""
    out: list[Message] = []
    for part in request.parts:
        read = _REQUEST.get(part.part_kind)
        if read is None:
            if part.part_kind not in _SILENT:
                raise UsageError(f"a {type(part).__name__} cannot be sent to a model", argument="messages")
            continue
        out += read(part)
    return out


def _user(part: Any) -> list[Message]:
    return [HumanMessage(part.content if isinstance(part.content, str) else plain(list(_contents(part.content))))]


def _contents(items: Iterable[Any]) -> Iterable[Part]:
    """User content as parts; a cache point is put on the part before it."""
    parts: list[Part] = []
    for item in items:
        if getattr(item, "kind", None) == "cache-point":
            if parts:
                parts[-1] = msgspec.structs.replace(parts[-1], cache=item.ttl)
        else:
            parts.append(_content(item))
    return parts


def _content(item: Any) -> Part:
    if isinstance(item, str):
        return Text(item)
    read = _CONTENT.get(item.kind)
    if read is None:
        raise UsageError(f"a {type(item).__name__} cannot be sent to a model", argument="messages")
    return read(item)


def _url(kind: type[Any]) -> Callable[[Any], Part]:
    def read(item: Any) -> Part:
        fields: dict[str, Any] = {"url": item.url, "media_type": item.media_type}
        if kind is Image:
            fields = {"url": item.url, "detail": mapping(item.vendor_metadata).get("detail")}
        made: Part = kind(**fields)
        return made

    return read


def _binary(item: Any) -> Part:
    fields: dict[str, Any] = {"data": item.data, "media_type": item.media_type}
    if item.is_image:
        return Image(**fields, detail=mapping(item.vendor_metadata).get("detail"))
    if item.is_audio:
        return Audio(**fields)
    return Video(**fields) if item.is_video else File(**fields)


_CONTENT: dict[str, Callable[[Any], Part]] = {
    "text-content": lambda item: Text(item.content),
    "structured-content": lambda item: Text(item.content),
    "image-url": _url(Image),
    "audio-url": _url(Audio),
    "video-url": _url(Video),
    "document-url": _url(File),
    "binary": _binary,
    "uploaded-file": lambda item: File(file_id=item.file_id, media_type=item.media_type),
}


def _tool_return(part: Any) -> list[Message]:
    text, files = part.model_response_str_and_user_content(wrap_if_error=False)
    failed = getattr(part, "outcome", "success") in ("failed", "retried")
    result = ToolMessage(text, tool_call_id=part.tool_call_id, is_error=failed, name=part.tool_name)
    return [result, HumanMessage(plain(list(_contents(files))))] if files else [result]


def _retry(part: Any) -> list[Message]:
    said = part.model_response()
    if getattr(part, "tool_name", None) is None:
        return [HumanMessage(said)]
    return [ToolMessage(said, tool_call_id=part.tool_call_id, is_error=True, name=part.tool_name)]


_REQUEST: dict[str, Callable[[Any], list[Message]]] = {
    "system-prompt": lambda part: [SystemMessage(part.content)],
    "instruction": lambda part: [SystemMessage(part.content)],
    "user-prompt": _user,
    "tool-return": _tool_return,
    "retry-prompt": _retry,
    "retry-feedback": _retry,
}
#: Notes of pydantic-ai to itself.
_SILENT = (
    "tool-availability-delta",
    "capability-load-delta",
    "model-settings-delta",
    "instruction-digest",
    "instruction-baseline",
)

# ---- answers of before


def message_of_response(response: Any) -> AIMessage:
    """An earlier answer as ours."""
    details = mapping(mapping(response.provider_details).get(OURS))
    parts = [p for part in response.parts if (p := answer_part(part)) is not None]
    return AIMessage(
        plain(_with_placeless(parts, details.get("content"))),
        id=response.provider_response_id,
        model=response.model_name,
        provider=response.provider_name,
        provider_data=details.get("provider_data"),
    )


def _with_placeless(parts: list[Part], kept: Any) -> list[Part]:
    """The parts with those among them that pydantic-ai has no place for, unless somebody has edited the others since."""
    whole = [part_of_data(d) for d in kept or ()]
    seen = [core(p) for p in whole if _has_place(p)]
    return whole if whole and seen == [core(p) for p in parts] else parts


def _has_place(part: Part) -> bool:
    write = _WRITE.get(type(part))
    return write is not None and write(part) is not None


def answer_part(part: Any) -> Part | None:
    """One part of an answer as ours; None for what we have no part for."""
    kept = mapping(part.provider_details).get(OURS) if hasattr(part, "provider_details") else None
    read = _ANSWER.get(part.part_kind)
    made = None if read is None else read(part)
    if kept is None:
        return made
    whole = part_of_data(kept)
    return whole if made is None or core(whole) == core(made) else made


def core(part: Part) -> Any:
    """What an editor of the history would have changed."""
    if isinstance(part, ServerTool):
        return part.phase
    if isinstance(part, (Text, Reasoning)):
        return part.text
    if isinstance(part, (Image, Audio, Video, File)):
        return part.data  # the kind is ours to know: pydantic-ai has one part for all
    return getattr(part, "args", type(part)) or ""  # no arguments, in any of their forms


def _call(part: Any) -> Part:
    args = part.args
    return tool_call(part.tool_call_id, part.tool_name, "" if args is None else args)


def _ran_call(part: Any) -> Part:
    return ServerTool(
        phase="call", kind=part.tool_name, id=part.tool_call_id, name=part.tool_name, args=part.args_as_dict()
    )


def _ran_result(part: Any) -> Part:
    return ServerTool(phase="result", kind=part.tool_name, id=part.tool_call_id, result=part.content)


_ANSWER: dict[str, Callable[[Any], Part | None]] = {
    "builtin-tool-call": _ran_call,
    "builtin-tool-return": _ran_result,
    "text": lambda part: Text(part.content),
    "thinking": lambda part: Reasoning(part.content, signature=part.signature),
    "tool-call": _call,
    "file": lambda part: _binary(part.content),
}

# ---- answers


def response_of(message: AIMessage, parts: Sequence[Part]) -> Any:
    """Our answer as a `ModelResponse`; `parts` are those of its content that shall be in it."""
    return _pa.ModelResponse(
        parts=[made for p in parts if (made := part_of(p, message.provider)) is not None],
        **state_of(message),
        usage=usage_of(message.usage),
        model_name=message.model,
        provider_name=message.provider,
        provider_response_id=message.id,
        provider_details=details_of(message),
        finish_reason=reason_of(message),
    )


def details_of(message: AIMessage) -> dict[str, Any] | None:
    """`provider_details` of an answer."""
    details: dict[str, Any] = {}
    if message.raw_finish_reason:
        details["finish_reason"] = message.raw_finish_reason
    if message.refusal is not None:
        details["refusal"] = message.refusal
    if message.logprobs is not None:
        details["logprobs"] = message.logprobs
    if message.warnings:
        details["warnings"] = list(message.warnings)
    kept: dict[str, Any] = {"provider_data": message.provider_data} if message.provider_data else {}
    if not all(_has_place(p) for p in message.parts):
        kept["content"] = [data_of(p) for p in message.parts]
    if kept:
        details[OURS] = kept
    return details or None


def state_of(message: AIMessage) -> dict[str, Any]:
    """An answer in which the provider paused is to be gone on with: pydantic-ai sends it back by itself."""
    return {"state": "suspended"} if message.finish_reason == "pause" else {}


_REASONS = {"stop": "stop", "length": "length", "tool_calls": "tool_call", "content_filter": "content_filter",
            "refusal": "content_filter", "error": "error"}  # fmt: skip


def reason_of(message: AIMessage) -> str | None:
    """The finish reason in pydantic-ai's words; a refusal is one of its filters."""
    if message.refusal:
        return "content_filter"
    return _REASONS.get(message.finish_reason or "")


def part_of(part: Part, provider: str | None) -> Any:
    """One part of an answer; None for what pydantic-ai has no place for."""
    write = _WRITE.get(type(part))
    if write is None:
        return None
    made = write(part)
    if made is None:
        return None
    if answer_part(made) != part and hasattr(made, "provider_details"):
        made.provider_details = {OURS: data_of(part)}
        made.provider_name = provider
    return made


def _write_call(part: ToolCall | InvalidToolCall) -> Any:
    args = part.args if isinstance(part, ToolCall) and part.text is None else part.args_text or None
    return _pa.ToolCallPart(tool_name=part.name, args=args, tool_call_id=part.id or _new_id())


def _new_id() -> str:
    return str(_pa.ToolCallPart(tool_name="-").tool_call_id)


def _write_ran(part: ServerTool) -> Any:
    name = part.kind or part.name or "tool"
    ident = part.id or _new_id()
    if part.phase == "result":
        return _pa.NativeToolReturnPart(tool_name=name, content=part.result, tool_call_id=ident)
    said = part.args is None or isinstance(part.args, str) or is_object(part.args)
    return _pa.NativeToolCallPart(tool_name=name, args=part.args if said else {"input": part.args}, tool_call_id=ident)


def _write_media(part: Any) -> Any:
    if part.data is None:
        return None
    kind = part.media_type or media_type(part.data, None) or "application/octet-stream"
    return _pa.FilePart(content=_pa.BinaryContent(data=part.data, media_type=kind))


_WRITE: dict[type[Any], Callable[[Any], Any]] = {
    Text: lambda part: _pa.TextPart(content=part.text),
    Reasoning: lambda part: _pa.ThinkingPart(content=part.text, signature=part.signature),
    ToolCall: _write_call,
    InvalidToolCall: _write_call,
    Image: _write_media,
    Audio: _write_media,
    ServerTool: _write_ran,
}


def usage_of(usage: Usage | None) -> Any:
    """Token counts as a `RequestUsage`."""
    if usage is None:
        return _usage.RequestUsage()
    details = {"reasoning_tokens": usage.reasoning_tokens} if usage.reasoning_tokens else {}
    return _usage.RequestUsage(
        input_tokens=usage.input_tokens or 0,
        output_tokens=usage.output_tokens or 0,
        cache_read_tokens=usage.cache_read_tokens or 0,
        cache_write_tokens=usage.cache_write_tokens or 0,
        input_audio_tokens=usage.input_audio_tokens or 0,
        output_audio_tokens=usage.output_audio_tokens or 0,
        details=details,
    )
