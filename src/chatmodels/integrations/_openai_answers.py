"""Our answers in the wire form of Chat Completions: whole ones, and streams chunk by chunk. Pure.

Source: the API reference of Chat Completions, checked 2026-11. Reasoning goes into `reasoning_content`, as the hosts that show
it spell it; what that form has no place for (a provider's own tools, media in answers) is left out.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from chatmodels._events import (
    AudioDelta,
    ChoiceFinish,
    End,
    Event,
    LogprobsDelta,
    PartDone,
    PartInfo,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolCallDelta,
)
from chatmodels._messages import AIMessage
from chatmodels._parts import Audio, Citation, InvalidToolCall, Part, Reasoning, Refusal, Text, ToolCall
from chatmodels._usage import Usage

Wire = dict[str, Any]

#: The words that the reference allows.
_REASONS = ("stop", "length", "tool_calls", "content_filter", "error")


def reason_of(reason: str | None) -> str:
    """Our finish reason as the reference's; what it has no word for is an ordinary end."""
    return reason if reason in _REASONS else "stop"


def answer_of(message: AIMessage, *, model: str, created: int, output: str | None = None) -> Wire:
    """A whole answer. `created` is in seconds since 1970; calls of `output` (by which some providers give a typed answer)
    are its text."""
    return {
        "id": message.id or "chatcmpl-0",
        "object": "chat.completion",
        "created": created,
        "model": message.model or model,
        "choices": [_choice(i, m, output) for i, m in enumerate((message, *message.alternatives))],
        "usage": usage_of(message.usage),
    }


def _choice(index: int, message: AIMessage, output: str | None) -> Wire:
    wire: Wire = {"role": "assistant", "content": None, "refusal": None}
    for part in message.parts:
        _WRITERS.get(type(part), _nothing)(wire, part, output)
    if wire["content"] is None and not any(wire.get(k) for k in ("tool_calls", "refusal", "audio")):
        wire["content"] = ""
    reason = "tool_calls" if wire.get("tool_calls") else reason_of(_without_calls(message.finish_reason))
    if message.finish_reason in ("length", "content_filter"):
        reason = message.finish_reason
    logprobs = None if message.logprobs is None else {"content": message.logprobs, "refusal": None}
    return {"index": index, "message": wire, "finish_reason": reason, "logprobs": logprobs}


def _without_calls(reason: str | None) -> str | None:
    return "stop" if reason == "tool_calls" else reason


def _nothing(wire: Wire, part: Part, output: str | None) -> None:
    """There is no place for it."""


def _text(wire: Wire, part: Text, output: str | None) -> None:
    start = len(wire["content"] or "")
    wire["content"] = (wire["content"] or "") + part.text
    if part.citations:
        wire.setdefault("annotations", []).extend(_note(c, start) for c in part.citations if c.url)


def _note(citation: Citation, start: int) -> Wire:
    said = {
        "url": citation.url,
        "title": citation.title or "",
        "start_index": start + (citation.start or 0),
        "end_index": start + (citation.end or 0),
    }
    return {"type": "url_citation", "url_citation": said}


def _reasoning(wire: Wire, part: Reasoning, output: str | None) -> None:
    wire["reasoning_content"] = wire.get("reasoning_content", "") + part.text


def _refusal(wire: Wire, part: Refusal, output: str | None) -> None:
    wire["refusal"] = (wire["refusal"] or "") + part.text


def _call(wire: Wire, part: ToolCall | InvalidToolCall, output: str | None) -> None:
    if output is not None and part.name == output:
        wire["content"] = (wire["content"] or "") + part.args_text
    else:
        wire.setdefault("tool_calls", []).append(call_of(part))


def call_of(part: ToolCall | InvalidToolCall) -> Wire:
    """One call."""
    if isinstance(part, ToolCall) and part.custom:
        return {"id": part.id, "type": "custom", "custom": {"name": part.name, "input": part.args_text}}
    return {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": part.args_text or "{}"}}


def _audio(wire: Wire, part: Audio, output: str | None) -> None:
    wire["audio"] = {
        "id": part.file_id or "audio_0",
        "data": part.base64 or "",
        "expires_at": 0,
        "transcript": part.transcript or "",
    }


_WRITERS: dict[type[Any], Callable[[Wire, Any, str | None], None]] = {
    Text: _text,
    Reasoning: _reasoning,
    Refusal: _refusal,
    ToolCall: _call,
    InvalidToolCall: _call,
    Audio: _audio,
}


def usage_of(usage: Usage | None) -> Wire | None:
    """Token counts, the provider's own where they have this form."""
    if usage is None:
        return None
    if usage.raw is not None and "prompt_tokens" in usage.raw:
        return usage.raw
    return {
        "prompt_tokens": usage.input_tokens or 0,
        "completion_tokens": usage.output_tokens or 0,
        "total_tokens": usage.total_tokens or 0,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens or 0,
            "audio_tokens": usage.input_audio_tokens or 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens or 0,
            "audio_tokens": usage.output_audio_tokens or 0,
        },
    }


# ---- streams


class ChunkWriter:
    """Our events -> chunks, for one stream."""

    def __init__(self, *, model: str, created: int, with_usage: bool = False, output: str | None = None) -> None:
        self._head: Wire = {
            "id": "chatcmpl-0",
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
        }
        self._with_usage = with_usage
        self._output = output
        self._begun: set[int] = set()
        #: (choice, part) -> the number of the call, and its arguments so far; None for a call that is the typed answer.
        self._calls: dict[tuple[int, int], tuple[int, str] | None] = {}

    def chunks(self, event: Event) -> list[Wire]:
        """The chunks of one event, in order."""
        if isinstance(event, Start):
            self._head |= {k: v for k, v in (("id", event.id), ("model", event.model)) if v}
            return []
        if isinstance(event, End):
            return self._end(event)
        write = _DELTAS.get(event.__class__)
        delta = None if write is None else write(self, event)
        return [] if delta is None else self._said(getattr(event, "choice", 0), delta)

    def _said(self, choice: int, delta: Wire) -> list[Wire]:
        """The delta's chunk, after the first one of its choice, which names the role."""
        if choice in self._begun:
            return [self._chunk(choice, delta)]
        self._begun.add(choice)
        first: Wire = {"role": "assistant", "content": ""} if "content" in delta else {"role": "assistant"}
        return [self._chunk(choice, first), self._chunk(choice, delta)]

    def _chunk(self, choice: int, delta: Wire, reason: str | None = None) -> Wire:
        logprobs = delta.pop("logprobs", None)
        one = {"index": choice, "delta": delta, "finish_reason": reason, "logprobs": logprobs}
        return {**self._head, "choices": [one]}

    def _text(self, event: TextDelta) -> Wire | None:
        return {"content": event.text} if event.text else None

    def _call(self, event: ToolCallDelta) -> Wire | None:
        key = (event.choice, event.index)
        if key not in self._calls:
            return self._new_call(key, event)
        have = self._calls[key]
        if have is None:
            return {"content": event.args} if not event.whole else None
        number, before = have
        args = event.args
        if event.whole:
            args = args.removeprefix(before) if args.startswith(before) else ""
        self._calls[key] = number, before + args
        return {"tool_calls": [{"index": number, "function": {"arguments": args}}]} if args else None

    def _new_call(self, key: tuple[int, int], event: ToolCallDelta) -> Wire | None:
        if self._output is not None and event.name == self._output:
            self._calls[key] = None
            return {"content": event.args}
        number = sum(1 for (choice, _), have in self._calls.items() if choice == key[0] and have is not None)
        self._calls[key] = number, event.args
        function = {"name": event.name or "", "arguments": event.args}
        return {"tool_calls": [{"index": number, "id": event.id or "", "type": "function", "function": function}]}

    def _part(self, event: PartDone) -> Wire | None:
        part = event.part
        if isinstance(part, Text):
            return {"content": part.text}
        if isinstance(part, Reasoning):
            return {"reasoning_content": part.text}
        if isinstance(part, Refusal):
            return {"refusal": part.text}
        if isinstance(part, (ToolCall, InvalidToolCall)):
            said = ToolCallDelta(event.index, part.id, part.name, part.args_text, event.choice, whole=True)
            return self._call(said)
        return None

    def _sound(self, event: AudioDelta) -> Wire:
        said: Wire = {"id": event.id} if event.id else {}
        if event.data:
            said["data"] = base64.b64encode(event.data).decode()
        if event.transcript:
            said["transcript"] = event.transcript
        return {"audio": said}

    def _info(self, event: PartInfo) -> Wire | None:
        notes = [_note(c, 0) for c in event.citations if c.url]
        return {"annotations": notes} if notes else None

    def _end(self, event: End) -> list[Wire]:
        endings = {0: ChoiceFinish(event.finish_reason, event.raw_finish_reason), **event.others}
        out = [self._chunk(choice, {}, self._reason(choice, e.reason)) for choice, e in sorted(endings.items())]
        if self._with_usage:
            out.append({**self._head, "choices": [], "usage": usage_of(event.usage)})
        return out

    def _reason(self, choice: int, reason: str) -> str:
        called = any(have is not None for (number, _), have in self._calls.items() if number == choice)
        if reason == "tool_calls" and not called:
            return "stop"
        return reason_of(reason)


_DELTAS: dict[type[Any], Callable[[ChunkWriter, Any], Wire | None]] = {
    TextDelta: ChunkWriter._text,
    ReasoningDelta: lambda self, event: {"reasoning_content": event.text},
    RefusalDelta: lambda self, event: {"refusal": event.text},
    ToolCallDelta: ChunkWriter._call,
    AudioDelta: ChunkWriter._sound,
    PartDone: ChunkWriter._part,
    PartInfo: ChunkWriter._info,
    LogprobsDelta: lambda self, event: {"logprobs": {"content": event.content, "refusal": None}},
}
