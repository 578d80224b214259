"""Whole messages between LangChain's classes and ours, both ways without loss.

What LangChain's fields cannot say goes along in `response_metadata["chatmodels"]`; it is believed on the way back only
while the visible fields still say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, cast

import msgspec

from chatmodels._errors import UsageError
from chatmodels._inputs import plain
from chatmodels._json import is_array, is_object, mapping, string
from chatmodels._messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    Message,
    SystemMessage,
    ToolMessage,
)
from chatmodels._parts import InvalidToolCall, Part, Reasoning, Refusal, Text, ToolCall
from chatmodels._usage import Usage, make_usage

from ._langchain_blocks import as_list, blocks_of, content_blocks, is_call, parts_of
from ._parts_data import OURS, data_of, part_of_data

_lc: Any = import_module("langchain_core.messages")

# ---- ours -> LangChain's


def to_langchain(message: Message) -> Any:
    """A message as LangChain's."""
    return _WRITE[type(message)](message)


def _beside(message: Message) -> dict[str, Any]:
    """What LangChain has no field for, under our name."""
    kept: dict[str, Any] = {}
    if message.provider_data:
        kept["provider_data"] = message.provider_data
    if message.additional_kwargs:
        kept["additional_kwargs"] = message.additional_kwargs
    if getattr(message, "example", False):
        kept["example"] = True
    return kept


def _common(message: Message) -> dict[str, Any]:
    kept = _beside(message)
    metadata = {OURS: kept} if kept else {}
    return {"content": content_blocks(message.content), "id": message.id, "name": message.name or None,
            "response_metadata": metadata, "additional_kwargs": dict(message.additional_kwargs)}  # fmt: skip


def _system(message: SystemMessage) -> Any:
    return _lc.SystemMessage(**_common(message))


def _human(message: HumanMessage) -> Any:
    return _lc.HumanMessage(**_common(message))


def _tool(message: ToolMessage) -> Any:
    status = "error" if message.is_error else "success"
    return _lc.ToolMessage(**_common(message), tool_call_id=message.tool_call_id, status=status)


def _chat(message: ChatMessage) -> Any:
    return _lc.ChatMessage(**_common(message), role=message.role)


def _function(message: FunctionMessage) -> Any:
    return _lc.FunctionMessage(**_common(message))


def _ai(message: AIMessage) -> Any:
    return _lc.AIMessage(
        **visible(message.content),
        name=message.name,
        id=message.id,
        usage_metadata=usage_metadata(message.usage),
        response_metadata=metadata_of(message),
    )


def visible(content: str | list[Part]) -> dict[str, Any]:
    """An answer's content in LangChain's fields: text or blocks, the calls beside them, a refusal among the kwargs."""
    if isinstance(content, str):
        return {"content": content}
    calls = [p for p in content if isinstance(p, ToolCall)]
    said: list[Part] = [p for p in content if not is_call(p) and not isinstance(p, Refusal)]
    refusals = [p.text for p in content if isinstance(p, Refusal)]
    inner = plain(said)
    return {
        "content": inner if isinstance(inner, str) else blocks_of(inner),
        "tool_calls": [_call(c) for c in calls],
        "invalid_tool_calls": [_invalid(p) for p in content if isinstance(p, InvalidToolCall)],
        "additional_kwargs": {"refusal": "".join(refusals)} if refusals else {},
    }


def call_args(call: ToolCall) -> dict[str, Any]:
    """LangChain's arguments are an object; the text of a custom tool is its `input`."""
    return cast("dict[str, Any]", call.args) if isinstance(call.args, dict) else {"input": call.args}


def _call(call: ToolCall) -> dict[str, Any]:
    return {"type": "tool_call", "id": call.id or None, "name": call.name, "args": call_args(call)}


def _invalid(call: InvalidToolCall) -> dict[str, Any]:
    return {"type": "invalid_tool_call", "id": call.id or None, "name": call.name, "args": call.args,
            "error": call.error or None}  # fmt: skip


def usage_metadata(usage: Usage | None) -> dict[str, Any] | None:
    """Token counts in LangChain's form."""
    if usage is None or usage.total_tokens is None:
        return None
    given = {
        "audio": usage.input_audio_tokens,
        "cache_creation": usage.cache_write_tokens,
        "cache_read": usage.cache_read_tokens,
    }
    made = {"audio": usage.output_audio_tokens, "reasoning": usage.reasoning_tokens}
    out: dict[str, Any] = {
        "input_tokens": usage.input_tokens or 0,
        "output_tokens": usage.output_tokens or 0,
        "total_tokens": usage.total_tokens,
    }
    for name, details in (("input_token_details", given), ("output_token_details", made)):
        known = {k: v for k, v in details.items() if v is not None}
        if known:
            out[name] = known
    return out


def metadata_of(message: AIMessage) -> dict[str, Any]:
    """`response_metadata` of an answer: what LangChain's own models put there, and under our name what else there is."""
    fields = {
        "id": message.id,
        "model_name": message.model,
        "provider": message.provider,
        "finish_reason": message.finish_reason,
        "raw_finish_reason": message.raw_finish_reason,
        "request_id": message.request_id,
        "token_usage": message.usage.raw if message.usage else None,
        "logprobs": {"content": message.logprobs} if message.logprobs is not None else None,
        "warnings": list(message.warnings) or None,
        "from_cache": message.from_cache or None,
    }
    metadata = {k: v for k, v in fields.items() if v is not None}
    kept = {**_beside(message), **_kept_of_answer(message)}
    return {**metadata, OURS: kept} if kept else metadata


def _kept_of_answer(message: AIMessage) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    if is_array(message.content) and _answer_parts(_Seen(visible(message.content))) != message.content:
        kept["content"] = [data_of(p) for p in message.content]
    usage = message.usage
    if usage is not None and _usage(usage_metadata(usage), usage.raw) != usage:
        kept["usage"] = msgspec.to_builtins(usage)
    if len(message.attempts) > 1:
        kept["attempts"] = msgspec.to_builtins(message.attempts)
    if message.provider is None and (message.finish_reason or message.raw_finish_reason):
        kept["raw_finish_reason"] = message.raw_finish_reason
    if message.alternatives:
        kept["alternatives"] = [a.to_dict() for a in message.alternatives]
    return kept


_WRITE: dict[type[Any], Callable[[Any], Any]] = {
    SystemMessage: _system,
    HumanMessage: _human,
    AIMessage: _ai,
    ToolMessage: _tool,
    ChatMessage: _chat,
    FunctionMessage: _function,
}

# ---- LangChain's -> ours


def messages_from_langchain(messages: Sequence[Any]) -> list[Message]:
    """LangChain's messages as ours."""
    return [from_langchain(m) for m in messages]


def from_langchain(message: Any) -> Message:
    """One message as ours; a UsageError for what is no message to a model (`RemoveMessage`)."""
    read = _READ.get(message.type.removesuffix("MessageChunk").lower())
    if read is None:
        raise UsageError(f"a {type(message).__name__} is no message that a model takes", argument="messages")
    return read(message)


def _kept(message: Any) -> dict[str, Any]:
    return mapping(mapping(message.response_metadata).get(OURS))


def _ident(message: Any) -> str | None:
    """The provider's id of an answer, where LangChain has put the id of its own run in the message's."""
    ident: str | None = message.id
    if ident is not None and not ident.startswith("lc_"):
        return ident
    return string(mapping(message.response_metadata).get("id")) or ident


def _fields(message: Any) -> dict[str, Any]:
    kept = _kept(message)
    return {
        "content": plain(parts_of(message.content)),
        "additional_kwargs": mapping(kept.get("additional_kwargs")),
        "name": message.name,
        "id": _ident(message),
        "provider_data": kept.get("provider_data"),
    }


def _read_system(message: Any) -> Message:
    role = message.additional_kwargs.get("__openai_role__")
    if role == "developer":
        return ChatMessage(role="developer", **_fields(message))
    return SystemMessage(**_fields(message))


def _read_tool(message: Any) -> Message:
    failed = message.status == "error"
    return ToolMessage(**_fields(message), tool_call_id=message.tool_call_id, is_error=failed)


def _read_function(message: Any) -> Message:
    fields = _fields(message)
    fields["name"] = message.name or ""
    return FunctionMessage(**fields)


def _read_ai(message: Any) -> Message:
    metadata, kept = mapping(message.response_metadata), _kept(message)
    usage = kept.get("usage")
    read = usage_of(message.usage_metadata, metadata) if usage is None else msgspec.convert(usage, Usage)
    data = {
        "v": 1,
        "type": "ai",
        "alternatives": kept.get("alternatives", []),
        "attempts": kept.get("attempts", []),
        "example": bool(kept.get("example")),
    }
    base = msgspec.convert(data, AIMessage)
    return msgspec.structs.replace(
        base,
        **{**_fields(message), "content": plain(_content(message, kept))},
        model=string(metadata.get("model_name")) or string(metadata.get("model")),
        provider=string(metadata.get("provider")),
        finish_reason=finish_reason(metadata),
        raw_finish_reason=_raw_finish(metadata),
        request_id=string(metadata.get("request_id")),
        logprobs=mapping(metadata.get("logprobs")).get("content"),
        warnings=tuple(metadata.get("warnings") or ()),
        from_cache=bool(metadata.get("from_cache")),
        usage=read,
    )


def _content(message: Any, kept: dict[str, Any]) -> list[Part]:
    """The parts of an answer: as they were kept, if LangChain's fields still say the same; else what these say."""
    seen = _answer_parts(message)
    if "content" in kept:
        parts = [part_of_data(d) for d in kept["content"]]
        if _substance(parts) == _substance(seen):
            return parts
    return seen


def _substance(parts: Sequence[Part]) -> tuple[Any, ...]:
    """What an editor of a conversation would change: texts, calls, and how many parts of other kinds there are."""
    text = "".join(p.text for p in parts if isinstance(p, Text))
    calls = [(p.id, p.name, call_args(p)) for p in parts if isinstance(p, ToolCall)]
    bad = [(p.id, p.name, p.args) for p in parts if isinstance(p, InvalidToolCall)]
    refused = "".join(p.text for p in parts if isinstance(p, Refusal))
    media = sorted(type(p).__name__ for p in parts if not is_call(p) and not isinstance(p, (Text, Reasoning, Refusal)))
    return text, refused, calls, bad, media


class _Seen:
    """The fields of an answer that is not a message of LangChain yet."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.content = fields["content"]
        self.tool_calls = fields.get("tool_calls", [])
        self.invalid_tool_calls = fields.get("invalid_tool_calls", [])
        self.additional_kwargs = fields.get("additional_kwargs", {})


def _answer_parts(message: Any) -> list[Part]:
    """Content, with each call where it stands there; the field `tool_calls` is what counts."""
    calls: list[Part] = [_read_call(c) for c in message.tool_calls]
    bad = [_read_invalid(c) for c in message.invalid_tool_calls]
    anything = bool(calls or bad)
    out: list[Part] = []
    for part in parts_of(as_list(message.content)):
        if not isinstance(part, (ToolCall, InvalidToolCall)):
            out.append(part)
        elif (place := _place(calls, part.id)) is not None:
            out.append(calls.pop(place))
        elif not anything:
            out.append(part)
    kwargs = message.additional_kwargs
    if not any(isinstance(p, Reasoning) for p in out) and string(kwargs.get("reasoning_content")):
        out.insert(0, Reasoning(kwargs["reasoning_content"]))
    if string(kwargs.get("refusal")):
        out.append(Refusal(kwargs["refusal"]))
    return [*out, *calls, *bad]


def _place(calls: list[Part], ident: str) -> int | None:
    return next((i for i, c in enumerate(calls) if isinstance(c, ToolCall) and c.id == ident), None)


def _read_call(call: dict[str, Any]) -> ToolCall:
    return ToolCall(call.get("id") or "", call["name"], call["args"])


def _read_invalid(call: dict[str, Any]) -> InvalidToolCall:
    return InvalidToolCall(
        call.get("id") or "", call.get("name") or "", call.get("args") or "", call.get("error") or ""
    )


def usage_of(usage: Any, metadata: dict[str, Any]) -> Usage | None:
    """Token counts of LangChain as ours."""
    raw = metadata.get("token_usage")
    return _usage(usage, raw if is_object(raw) else None)


def _usage(usage: Any, raw: dict[str, Any] | None) -> Usage | None:
    if not usage:
        return None
    given, made = mapping(usage.get("input_token_details")), mapping(usage.get("output_token_details"))
    return make_usage(
        usage["input_tokens"],
        usage["output_tokens"],
        raw=raw,
        cache_read_tokens=given.get("cache_read"),
        cache_write_tokens=given.get("cache_creation"),
        input_audio_tokens=given.get("audio"),
        output_audio_tokens=made.get("audio"),
        reasoning_tokens=made.get("reasoning"),
    )


_FINISH = {
    "stop": ("stop", "end_turn", "stop_sequence", "complete", "completed", "eos_token", "eos"),
    "length": ("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"),
    "tool_calls": ("tool_calls", "tool_call", "tool_use", "function_call"),
    "content_filter": ("content_filter", "safety", "guardrail_intervened", "content_filtered", "recitation"),
    "refusal": ("refusal",),
    "pause": ("pause", "pause_turn"),
    "error": ("error",),
    "other": ("other",),
    "unknown": ("unknown",),
}
_REASONS = {word: reason for reason, words in _FINISH.items() for word in words}


def finish_reason(metadata: dict[str, Any]) -> str | None:
    """The unified reason; None where LangChain's message names none."""
    raw = _first_reason(metadata)
    return None if raw is None else _REASONS.get(raw.lower(), "other")


def _first_reason(metadata: dict[str, Any]) -> str | None:
    words = (metadata.get(k) for k in ("finish_reason", "stop_reason", "done_reason", "stopReason"))
    return next((w for w in words if isinstance(w, str) and w), None)


def _raw_finish(metadata: dict[str, Any]) -> str | None:
    kept = mapping(metadata.get(OURS))
    if "raw_finish_reason" in kept:
        return string(kept["raw_finish_reason"])
    if "provider" in metadata:  # ours
        return string(metadata.get("raw_finish_reason"))
    return _first_reason(metadata)


_READ: dict[str, Callable[[Any], Message]] = {
    "system": _read_system,
    "human": lambda m: HumanMessage(**_fields(m), example=bool(_kept(m).get("example"))),
    "ai": _read_ai,
    "tool": _read_tool,
    "chat": lambda m: ChatMessage(role=m.role, **_fields(m)),
    "function": _read_function,
}
