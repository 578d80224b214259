"""The practice server's Cohere and Ollama. Pure.

Source: https://docs.cohere.com/reference/chat and https://docs.ollama.com/api/chat (2026-11).
"""

from __future__ import annotations

import re
from typing import Any

from ..._json import dumps_text, is_object, mapping
from ._format import Format, halves, sse
from ._words import THOUGHT, Asked, Body, Said, asked_of, functions, told_schema

# -- Cohere


def _cohere_asked(body: Body) -> Asked:
    return asked_of(
        body["messages"],
        tools=functions(body.get("tools")),
        must_call=body.get("tool_choice") == "REQUIRED",
        schema=mapping(body.get("response_format")).get("json_schema"),
        thinks=mapping(body.get("thinking")).get("type") == "enabled",
    )


def _cohere_usage(said: Said) -> Body:
    tokens = {"input_tokens": said.given, "output_tokens": said.made}
    return {"billed_units": {**tokens, "input_tokens": 5}, "tokens": tokens}


def _cohere_message(body: Body, said: Said) -> Body:
    content: list[Body] = [{"type": "thinking", "thinking": THOUGHT}] if said.thought else []
    message: Body = {"role": "assistant"}
    if said.calls:
        message["tool_calls"] = _calls(said)
    else:
        content.append({"type": "text", "text": said.text})
    if content:
        message["content"] = content
    if cited := _citation(body, said, len(content) - 1):
        message["citations"] = [cited]
    return message


def _calls(said: Said) -> list[Body]:
    return [
        {"id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": dumps_text(args)}}
        for i, (name, args) in enumerate(said.calls, 1)
    ]


def _citation(body: Body, said: Said, at: int) -> Body | None:
    """The first document is where the first word comes from."""
    first = (body.get("documents") or [None])[0]
    if not is_object(first) or not said.text:
        return None
    word = re.split(r"\W", said.text)[0]
    document = {"id": first.get("id", "doc-1"), **mapping(first.get("data"))}
    source = {"type": "document", "id": document["id"], "document": document}
    return {"start": 0, "end": len(word), "text": word, "sources": [source], "type": "TEXT_CONTENT",
            "content_index": at}  # fmt: skip


def _cohere_whole(body: Body, said: Said) -> Body:
    reason = "TOOL_CALL" if said.calls else "COMPLETE"
    return {"id": "c1", "finish_reason": reason, "message": _cohere_message(body, said), "usage": _cohere_usage(said)}


def _cohere_stream(body: Body, said: Said) -> list[bytes]:
    message = _cohere_message(body, said)
    empty: Body = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    events: list[Body] = [{"type": "message-start", "id": "c1", "delta": {"message": empty}}]
    for index, block in enumerate(message.get("content", ())):
        key = block["type"]
        pieces = said.pieces if key == "text" else [THOUGHT]
        begun: Body = {"content": {"type": key, key: ""}}
        events.append({"type": "content-start", "index": index, "delta": {"message": begun}})
        events += [
            {"type": "content-delta", "index": index, "delta": {"message": {"content": {key: piece}}}}
            for piece in pieces
        ]
        events.append({"type": "content-end", "index": index})
    for cited in message.get("citations", ()):
        events.append({"type": "citation-start", "index": 0, "delta": {"message": {"citations": cited}}})
        events.append({"type": "citation-end", "index": 0})
    for index, call in enumerate(message.get("tool_calls", ())):
        events += _called(index, call)
    delta = {"finish_reason": "TOOL_CALL" if said.calls else "COMPLETE", "usage": _cohere_usage(said)}
    return sse([*events, {"type": "message-end", "delta": delta}], named=True)


def _called(index: int, call: Body) -> list[Body]:
    def event(kind: str, inner: Any) -> Body:
        return {"type": f"tool-call-{kind}", "index": index, "delta": {"message": {"tool_calls": inner}}}

    function = call["function"]
    pieces = [event("delta", {"function": {"arguments": piece}}) for piece in halves(function["arguments"])]
    begun = event("start", {**call, "function": {**function, "arguments": ""}})
    return [begun, *pieces, {"type": "tool-call-end", "index": index}]


COHERE = Format(re.compile(r"/v2/chat$"), _cohere_asked, _cohere_whole, _cohere_stream)


# -- Ollama


def _ollama_asked(body: Body) -> Asked:
    wanted = body.get("format")
    return asked_of(
        body["messages"],
        tools=functions(body.get("tools")),
        schema=wanted if is_object(wanted) else told_schema(body["messages"]) if wanted else None,
        thinks=bool(body.get("think")),
    )


def _ollama_line(body: Body, message: Body, said: Said | None) -> Body:
    """A line; the last one has the counts."""
    line: Body = {"model": body["model"], "created_at": "2026-11-22T00:00:00Z",
                  "message": {"role": "assistant", "content": "", **message}, "done": said is not None}  # fmt: skip
    if said is not None:
        line |= {"done_reason": "stop", "prompt_eval_count": said.given, "eval_count": said.made}
    return line


def _ollama_streams(path: str, body: Body) -> bool:
    return body.get("stream") is not False


def _ollama_calls(said: Said) -> list[Body]:
    return [{"function": {"name": name, "arguments": args}} for name, args in said.calls]


def _ollama_whole(body: Body, said: Said) -> Body:
    message: Body = {"content": said.text}
    if said.thought:
        message["thinking"] = THOUGHT
    if said.calls:
        message["tool_calls"] = _ollama_calls(said)
    return _ollama_line(body, message, said)


def _ollama_stream(body: Body, said: Said) -> list[bytes]:
    messages: list[Body] = [{"thinking": THOUGHT}] if said.thought else []
    if said.calls:
        messages.append({"tool_calls": _ollama_calls(said)})
    else:
        messages += [{"content": piece} for piece in said.pieces]
    lines = [*(_ollama_line(body, message, None) for message in messages), _ollama_line(body, {}, said)]
    return [dumps_text(line).encode() + b"\n" for line in lines]


OLLAMA = Format(
    re.compile(r"/api/chat$"),
    _ollama_asked, _ollama_whole, _ollama_stream, _ollama_streams,
    "application/x-ndjson",
)  # fmt: skip
