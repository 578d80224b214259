"""One answer in every wire format, plain and streamed: some text with characters of several bytes, and a tool call."""

from __future__ import annotations

import json
from typing import Any

from chatmodels._messages import AIMessage
from chatmodels._parts import Text, ToolCall
from chatmodels._usage import Usage
from chatmodels.testing.conformance import Sample

from ..dialects.test_bedrock import START, begin, delta, ending, stop

ARGS = '{"city":"Oslo","à":[1]}'
USAGE = Usage(input_tokens=5, output_tokens=7)


def meant(call_id: str, args: str = ARGS, text: str = "Grüße 👋") -> AIMessage:
    """The message; its usage is compared without the provider's own numbers."""
    return AIMessage(
        [Text(text), ToolCall(call_id, "weather", json.loads(args), text=args)], finish_reason="tool_calls"
    )


def sse(*payloads: Any, named: bool = False, done: bool = False) -> bytes:
    """Server-sent events."""
    out = b""
    for payload in payloads:
        head = f"event: {payload['type']}\n" if named else ""
        out += (head + "data: " + json.dumps(payload, ensure_ascii=False) + "\n\n").encode()
    return out + (b"data: [DONE]\n\n" if done else b"")


# ---- Chat Completions, and Mistral

_USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
_CALL = {"id": "aB3dE6gH9", "type": "function", "function": {"name": "weather", "arguments": ARGS}}
_CHAT = {
    "id": "c1", "object": "chat.completion", "model": "m-1", "usage": _USAGE,
    "choices": [{"index": 0, "finish_reason": "tool_calls",
                 "message": {"role": "assistant", "content": "Grüße 👋", "tool_calls": [_CALL]}}],
}  # fmt: skip


def _chunk(change: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choices = [{"index": 0, "delta": change, "finish_reason": finish}]
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m-1", "choices": choices, **more}


_PART = {"index": 0, "id": "aB3dE6gH9", "type": "function", "function": {"name": "weather", "arguments": ARGS[:9]}}
_CHAT_STREAM = sse(
    _chunk({"role": "assistant", "content": ""}),
    _chunk({"content": "Grü"}),
    _chunk({"content": "ße 👋"}),
    _chunk({"tool_calls": [_PART]}),
    _chunk({"tool_calls": [{"index": 0, "function": {"arguments": ARGS[9:]}}]}),
    _chunk({}, "tool_calls", usage=_USAGE),
    done=True,
)
CHAT = [Sample("text and a call", _CHAT, _CHAT_STREAM, meant("aB3dE6gH9"))]

# ---- Responses

_SAID = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": "Grüße 👋", "annotations": []}]}  # fmt: skip
_ASKED = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "weather",
    "arguments": ARGS,
    "status": "completed",
}
_RESPONSE = {
    "id": "resp_1", "object": "response", "model": "m-1", "status": "completed", "output": [_SAID, _ASKED],
    "usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12},
}  # fmt: skip
_RESPONSE_STREAM = sse(
    {"type": "response.created", "response": {**_RESPONSE, "status": "in_progress", "output": [], "usage": None}},
    {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {**_SAID, "content": [], "status": "in_progress"},
    },
    {
        "type": "response.output_text.delta",
        "output_index": 0,
        "content_index": 0,
        "item_id": "msg_1",
        "delta": "Grüße ",
    },
    {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "msg_1", "delta": "👋"},
    {"type": "response.output_item.done", "output_index": 0, "item": _SAID},
    {
        "type": "response.output_item.added",
        "output_index": 1,
        "item": {**_ASKED, "arguments": "", "status": "in_progress"},
    },
    {"type": "response.function_call_arguments.delta", "output_index": 1, "item_id": "fc_1", "delta": ARGS[:5]},
    {"type": "response.function_call_arguments.delta", "output_index": 1, "item_id": "fc_1", "delta": ARGS[5:]},
    {"type": "response.output_item.done", "output_index": 1, "item": _ASKED},
    {"type": "response.completed", "response": _RESPONSE},
    named=True,
)
RESPONSES = [Sample("text and a call", _RESPONSE, _RESPONSE_STREAM)]

# ---- Anthropic Messages

_BLOCK = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": json.loads(ARGS)}
_CLAUDE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m-1", "stop_reason": "tool_use", "stop_sequence": None,
    "content": [{"type": "text", "text": "Grüße 👋"}, _BLOCK], "usage": {"input_tokens": 5, "output_tokens": 7},
}  # fmt: skip
_CLAUDE_STREAM = sse(
    {
        "type": "message_start",
        "message": {**_CLAUDE, "content": [], "stop_reason": None, "usage": {"input_tokens": 5, "output_tokens": 1}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüße "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "👋"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {**_BLOCK, "input": {}}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ARGS[:7]}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ARGS[7:]}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 7},
    },
    {"type": "message_stop"},
    named=True,
)
CLAUDE = [Sample("text and a call", _CLAUDE, _CLAUDE_STREAM, meant("toolu_1"))]

# ---- Google generateContent


def _candidate(*parts: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "m-1", "responseId": "r1", **more}


_COUNTS = {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12}
_FUNCTION = {"functionCall": {"id": "f1", "name": "weather", "args": json.loads(ARGS)}}
GEMINI = [
    Sample(
        "text and a call",
        _candidate({"text": "Grüße 👋"}, _FUNCTION, finish="STOP", usageMetadata=_COUNTS),
        sse(
            _candidate({"text": "Grüße "}),
            _candidate({"text": "👋"}),
            _candidate(_FUNCTION, finish="STOP", usageMetadata=_COUNTS),
        ),
        meant("f1"),
    )
]

# ---- Bedrock Converse

_TOOL = {"toolUseId": "t1", "name": "weather", "input": json.loads(ARGS)}
_TOKENS = {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}
BEDROCK = [
    Sample(
        "text and a call",
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "Grüße 👋"}, {"toolUse": _TOOL}]}},
            "stopReason": "tool_use",
            "usage": _TOKENS,
        },
        START
        + delta(0, text="Grüße ")
        + delta(0, text="👋")
        + stop(0)
        + begin(1, toolUse={"toolUseId": "t1", "name": "weather"})
        + delta(1, toolUse={"input": ARGS[:4]})
        + delta(1, toolUse={"input": ARGS[4:]})
        + stop(1)
        + ending("tool_use", _TOKENS),
        meant("t1"),
    )
]

# ---- Cohere v2

_COHERE_USAGE = {
    "billed_units": {"input_tokens": 5, "output_tokens": 7},
    "tokens": {"input_tokens": 5, "output_tokens": 7},
}
_COHERE_CALL = {"id": "w1", "type": "function", "function": {"name": "weather", "arguments": ARGS}}


def _tool_call(kind: str, function: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": kind, "index": 0, "delta": {"message": {"tool_calls": {**more, "function": function}}}}


COHERE = [
    Sample(
        "a call",
        {"id": "c1", "message": {"role": "assistant", "tool_calls": [_COHERE_CALL]}, "finish_reason": "TOOL_CALL",
         "usage": _COHERE_USAGE},
        sse(
            {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
            _tool_call("tool-call-start", {"name": "weather", "arguments": ""}, id="w1", type="function"),
            _tool_call("tool-call-delta", {"arguments": ARGS[:6]}),
            _tool_call("tool-call-delta", {"arguments": ARGS[6:]}),
            {"type": "tool-call-end", "index": 0},
            {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": _COHERE_USAGE}},
            named=True,
        ),
        AIMessage([ToolCall("w1", "weather", json.loads(ARGS), text=ARGS)], finish_reason="tool_calls"),
    ),
    Sample(
        "text",
        {"id": "c2", "message": {"role": "assistant", "content": [{"type": "text", "text": "Grüße 👋"}]},
         "finish_reason": "COMPLETE", "usage": _COHERE_USAGE},
        sse(
            {"type": "message-start", "id": "c2", "delta": {"message": {"role": "assistant"}}},
            {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Grüße "}}}},
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "👋"}}}},
            {"type": "content-end", "index": 0},
            {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": _COHERE_USAGE}},
            named=True,
        ),
        AIMessage("Grüße 👋", finish_reason="stop"),
    ),
]  # fmt: skip

# ---- Ollama


def _line(content: str, *, done: bool = False, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **more.pop("message", {})}
    return {"model": "m-1", "created_at": "2026-11-01T00:00:00Z", "message": message, "done": done, **more}


_OLLAMA_CALL = {"message": {"tool_calls": [{"function": {"name": "weather", "arguments": json.loads(ARGS)}}]}}
_ENDING = {"done": True, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 7}
OLLAMA = [
    Sample(
        "text and a call",
        _line("Grüße 👋", **_OLLAMA_CALL, **_ENDING),
        b"".join(
            json.dumps(line, ensure_ascii=False).encode() + b"\n"
            for line in (_line("Grüße "), _line("👋"), _line("", **_OLLAMA_CALL), _line("", **_ENDING))
        ),
    )
]
