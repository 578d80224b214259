"""What the page's server answers in the other wire formats: the same words, and one speciality of each.

`answer(path, body)` gives (content type, bytes), or None where the path is of no format here. Shapes: the providers' own pages.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Body = dict[str, Any]
WORDS = {"artificial intelligence": "J'aime l'intelligence artificielle.", "programming": "J'aime programmer."}
THOUGHT = "The user wants French."
CITY = {"city": "Paris"}


def said(body: Body) -> str:
    """The text that answers this request, whatever its format."""
    asked = json.dumps(body.get("messages") or body.get("contents") or body.get("input"))
    if "22 degrees" in asked:
        return "It is 22 degrees in Paris."
    return next((text for key, text in WORDS.items() if key in asked), "Bonjour.")


def calls_weather(body: Body) -> bool:
    """Whether to call the tool `weather`: it is offered, asked about, and has not answered yet."""
    text = json.dumps(body)
    return '"weather"' in text and "weather in Paris" in text and "22 degrees" not in text


def anthropic(body: Body) -> Body:
    content: list[Body] = []
    if body.get("thinking"):
        content.append({"type": "thinking", "thinking": THOUGHT, "signature": "EqoBCkgIARAB"})
    if calls_weather(body):
        content.append({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": CITY})
    else:
        content.append({"type": "text", "text": said(body)})
    usage = {"input_tokens": 28, "output_tokens": 6}
    if "cache_control" in json.dumps(body):
        usage |= {"input_tokens": 8, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 0}
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": content,
            "stop_reason": "tool_use" if calls_weather(body) else "end_turn", "stop_sequence": None, "usage": usage}  # fmt: skip


def anthropic_stream(body: Body) -> bytes:
    whole = anthropic(body)
    block = whole["content"][-1]
    events: list[Body] = [
        {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
            for piece in block["text"].partition(" ")
            if piece
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 6}},
        {"type": "message_stop"},
    ]
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)


def google(body: Body) -> Body:
    parts: list[Body] = []
    usage: Body = {"promptTokenCount": 28, "candidatesTokenCount": 6, "totalTokenCount": 34}
    if (body.get("generationConfig") or {}).get("thinkingConfig"):
        parts.append({"text": THOUGHT, "thought": True})
        usage |= {"thoughtsTokenCount": 5, "totalTokenCount": 39}
    if calls_weather(body):
        parts.append({"functionCall": {"name": "weather", "args": CITY}, "thoughtSignature": "c2ln"})
    else:
        parts.append({"text": said(body)})
    candidate: Body = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    if "google_search" in json.dumps(body):
        source = {"web": {"uri": "https://example.org/translate", "title": "example.org"}}
        support = {"segment": {"startIndex": 0, "endIndex": 7, "text": "Bonjour"}, "groundingChunkIndices": [0]}
        candidate["groundingMetadata"] = {"groundingChunks": [source], "groundingSupports": [support]}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-3.5-flash", "responseId": "r1"}


def bedrock(body: Body) -> Body:
    thinks = (body.get("additionalModelRequestFields") or {}).get("thinking")
    thought = {"reasoningContent": {"reasoningText": {"text": THOUGHT, "signature": "c2ln"}}}
    content = [*([thought] if thinks else []), {"text": said(body)}]
    return {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn",
            "usage": {"inputTokens": 28, "outputTokens": 6, "totalTokens": 34}, "metrics": {"latencyMs": 5}}  # fmt: skip


def cohere(body: Body) -> Body:
    message: Body = {"role": "assistant", "content": [{"type": "text", "text": said(body)}]}
    if body.get("documents"):
        source = {"type": "document", "id": "doc-1", "document": {"id": "doc-1", "title": "Greetings"}}
        message["citations"] = [{"start": 0, "end": 7, "text": "Bonjour", "sources": [source], "type": "TEXT_CONTENT"}]
    usage = {
        "billed_units": {"input_tokens": 5, "output_tokens": 6},
        "tokens": {"input_tokens": 28, "output_tokens": 6},
    }
    return {"id": "c1", "finish_reason": "COMPLETE", "message": message, "usage": usage}


def ollama(body: Body) -> Body:
    message: Body = {"role": "assistant", "content": said(body)}
    if body.get("think"):
        message["thinking"] = THOUGHT
    return {"model": body["model"], "created_at": "2026-11-22T00:00:00Z", "message": message, "done": True,
            "done_reason": "stop", "prompt_eval_count": 28, "eval_count": 6}  # fmt: skip


def responses(body: Body) -> Body:
    output: list[Body] = []
    usage: Body = {"input_tokens": 28, "output_tokens": 6, "total_tokens": 34}
    if body.get("reasoning"):
        summary = [{"type": "summary_text", "text": THOUGHT}]
        output.append({"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "gAAA"})
        usage |= {"output_tokens": 26, "total_tokens": 54, "output_tokens_details": {"reasoning_tokens": 20}}
    if "web_search" in json.dumps(body.get("tools") or ""):
        action = {"type": "search", "query": "hello in French"}
        output.append({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": action})
    text = {"type": "output_text", "text": said(body), "annotations": []}
    output.append({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]})
    return {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": body["model"],
            "output": output, "usage": usage}  # fmt: skip


#: A piece of the path -> who answers it.
FORMATS: dict[str, Callable[[Body], Body]] = {
    "/v1/messages": anthropic,
    ":generateContent": google,
    "/converse": bedrock,
    "/v2/chat": cohere,
    "/api/chat": ollama,
    "/responses": responses,
}


def answer(path: str, body: Body) -> tuple[str, bytes] | None:
    for piece, make in FORMATS.items():
        if piece in path:
            if make is anthropic and body.get("stream"):
                return "text/event-stream", anthropic_stream(body)
            return "application/json", json.dumps(make(body)).encode()
    return None
