"""A loopback server that answers sensibly, in Chat Completions (`/v1/chat/completions`) and in Anthropic's Messages
(`/v1/messages`), plain and streamed: it calls the tool it is told to, fills in schemas, and stops at stop sequences.

Written against the wire formats alone: no code of ours, so that it judges independently.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TEXT = "Hello! I am glad that you ask; here is a small answer."


def think(asked: dict[str, Any]) -> dict[str, Any]:
    """What is answered to `{"said": last text, "last": role, "tools": {name: schema}, "choice", "schema", "stop"}`:
    `{"text": ..., "calls": [(name, args)]}`."""
    tools, choice, said = asked["tools"], asked["choice"], asked["said"]
    if tools and choice != "none" and asked["last"] != "tool":
        name = choice if choice in tools else next((t for t in tools if _wants(t, said)), None)
        if name is None and choice == "required":
            name = next(iter(tools))
        if name is not None:
            return {"text": "", "calls": [(name, fill(tools[name], tools[name], said))]}
    if asked["schema"] is not None:
        return {"text": json.dumps(fill(asked["schema"], asked["schema"], said)), "calls": []}
    if asked["json"]:
        return {"text": '{"setup": "Why did the cat sit?", "punchline": "It was on the mat."}', "calls": []}
    text = TEXT
    for word in asked["stop"]:
        text = text.partition(word)[0]
    return {"text": text, "calls": [], "stopped": text != TEXT}


def _wants(name: str, said: str) -> bool:
    """Does the question speak of the tool?"""
    return any(len(word) > 3 and word in said.lower() for word in (name.lower(), *name.lower().split("_")))


def fill(schema: dict[str, Any], root: dict[str, Any], said: str) -> Any:
    """A value that fits the schema, with what the question names in it."""
    if "$ref" in schema:
        found: Any = root
        for step in schema["$ref"].lstrip("#/").split("/"):
            found = found[step]
        return fill(found, root, said)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return fill(schema[word][0], root, said)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        return {k: fill(v, root, said) for k, v in schema.get("properties", {}).items()}
    if kind == "array":
        return [fill(schema.get("items", {}), root, said)]
    if kind in ("integer", "number"):
        number = re.search(r"-?\d+", said)
        return int(number[0]) if number else 1
    if kind == "boolean":
        return True
    quoted = re.search(r"'([^']*)'", said)
    return quoted[1] if quoted else "a thing" if kind == "string" else None


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(p.get("text", "") for p in content or () if isinstance(p, dict))


def _pieces(text: str, size: int = 7) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)] or []


def _tokens(body: dict[str, Any]) -> int:
    return 9 + sum(len(_text_of(m.get("content"))) for m in body["messages"]) // 4


# ---- Chat Completions


def _ask_openai(body: dict[str, Any]) -> dict[str, Any]:
    last = body["messages"][-1]
    choice = body.get("tool_choice")
    wanted = body.get("response_format") or {}
    stop = body.get("stop") or []
    return {
        "said": _text_of(last.get("content")),
        "last": last["role"],
        "tools": {t["function"]["name"]: t["function"].get("parameters", {}) for t in body.get("tools", ())},
        "choice": choice["function"]["name"] if isinstance(choice, dict) else choice,
        "schema": wanted.get("json_schema", {}).get("schema"),
        "json": wanted.get("type") == "json_object",
        "stop": [stop] if isinstance(stop, str) else stop,
    }


def _openai_usage(body: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    given, made = _tokens(body), max(1, len(json.dumps(said)) // 4)
    return {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": given + made,
        "prompt_tokens_details": {"cached_tokens": given // 2, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 1, "audio_tokens": 0},
    }


def openai_answer(body: dict[str, Any]) -> dict[str, Any]:
    said = think(_ask_openai(body))
    message: dict[str, Any] = {"role": "assistant", "content": said["text"] or None, "refusal": None}
    if said["calls"]:
        message["tool_calls"] = [_openai_call(i, n, a) for i, (n, a) in enumerate(said["calls"])]
    choices = [
        {
            "index": i,
            "message": message,
            "finish_reason": "tool_calls" if said["calls"] else "stop",
            "logprobs": None,
        }
        for i in range(body.get("n") or 1)
    ]
    return {
        "id": "chatcmpl-brain",
        "object": "chat.completion",
        "created": 1700000000,
        "model": body["model"],
        "choices": choices,
        "usage": _openai_usage(body, said),
    }


def _openai_call(index: int, name: str, args: Any) -> dict[str, Any]:
    text = json.dumps(args, ensure_ascii=False)
    return {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": text}}


def openai_events(body: dict[str, Any]) -> Iterator[bytes]:
    said = think(_ask_openai(body))
    head = {
        "id": "chatcmpl-brain",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": body["model"],
    }
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None if said["calls"] else ""}]
    deltas += [{"content": piece} for piece in _pieces(said["text"])]
    for i, (name, args) in enumerate(said["calls"]):
        call = _openai_call(i, name, args)
        text = call["function"]["arguments"]
        call["function"]["arguments"] = ""
        deltas.append({"tool_calls": [{"index": i, **call}]})
        deltas += [{"tool_calls": [{"index": i, "function": {"arguments": p}}]} for p in _pieces(text)]
    for delta in deltas:
        yield _sse({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None, "logprobs": None}]})
    reason = "tool_calls" if said["calls"] else "stop"
    yield _sse({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason, "logprobs": None}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _sse({**head, "choices": [], "usage": _openai_usage(body, said)})
    yield b"data: [DONE]\n\n"


def _sse(data: dict[str, Any], event: str | None = None) -> bytes:
    named = f"event: {event}\n".encode() if event else b""
    return named + b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


# ---- Anthropic's Messages


def _ask_anthropic(body: dict[str, Any]) -> dict[str, Any]:
    last = body["messages"][-1]
    content = last["content"]
    results = isinstance(content, list) and any(p["type"] == "tool_result" for p in content)
    choice = body.get("tool_choice") or {}
    schema = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    tools = {t["name"]: t.get("input_schema", {}) for t in body.get("tools", ())}
    return {
        "said": _text_of(content),
        "last": "tool" if results else last["role"],
        "tools": tools,
        "choice": choice.get("name") or {"any": "required"}.get(choice.get("type"), choice.get("type")),
        "schema": schema.get("schema"),
        "json": "json" in json.dumps(body.get("system", "")).lower() and not tools,
        "stop": body.get("stop_sequences") or [],
    }


def _anthropic_blocks(said: dict[str, Any]) -> list[dict[str, Any]]:
    blocks = [{"type": "text", "text": said["text"]}] if said["text"] else []
    for i, (name, args) in enumerate(said["calls"]):
        blocks.append({"type": "tool_use", "id": f"toolu_{i}", "name": name, "input": args})
    return blocks


def _anthropic_message(body: dict[str, Any], said: dict[str, Any], blocks: list[Any]) -> dict[str, Any]:
    usage = {
        "input_tokens": _tokens(body),
        "output_tokens": max(1, len(json.dumps(said)) // 4),
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 2,
    }
    return {
        "id": "msg_brain",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": blocks,
        "stop_reason": "tool_use" if said["calls"] else "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


def anthropic_answer(body: dict[str, Any]) -> dict[str, Any]:
    said = think(_ask_anthropic(body))
    return _anthropic_message(body, said, _anthropic_blocks(said))


def anthropic_events(body: dict[str, Any]) -> Iterator[bytes]:
    said = think(_ask_anthropic(body))
    message = _anthropic_message(body, said, [])
    start = {**message, "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    yield _sse({"type": "message_start", "message": start}, "message_start")
    for i, block in enumerate(_anthropic_blocks(said)):
        if block["type"] == "text":
            first = {**block, "text": ""}
            deltas = [{"type": "text_delta", "text": p} for p in _pieces(block["text"])]
        else:
            first = {**block, "input": {}}
            text = json.dumps(block["input"], ensure_ascii=False)
            deltas = [{"type": "input_json_delta", "partial_json": p} for p in _pieces(text)]
        yield _sse({"type": "content_block_start", "index": i, "content_block": first}, "content_block_start")
        for delta in deltas:
            yield _sse({"type": "content_block_delta", "index": i, "delta": delta}, "content_block_delta")
        yield _sse({"type": "content_block_stop", "index": i}, "content_block_stop")
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": message["usage"]["output_tokens"]}
    yield _sse({"type": "message_delta", "delta": end, "usage": usage}, "message_delta")
    yield _sse({"type": "message_stop"}, "message_stop")


# ---- the server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    server: Brain

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append(body)
        if body["model"] == "broken":
            said = {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}
            self._send(429, "application/json", json.dumps({"error": said}).encode())
            return
        anthropic = self.path.endswith("/messages")
        if body.get("stream"):
            events = anthropic_events(body) if anthropic else openai_events(body)
            self._send(200, "text/event-stream", b"".join(events))
        else:
            answer = anthropic_answer(body) if anthropic else openai_answer(body)
            self._send(200, "application/json", json.dumps(answer).encode())

    def do_GET(self) -> None:
        models = [{"id": "brain-1", "object": "model", "created": 1700000000, "owned_by": "tests"}]
        self._send(200, "application/json", json.dumps({"object": "list", "data": models}).encode())

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("x-request-id", "req_brain")
        self.end_headers()
        self.wfile.write(data)


class Brain(ThreadingHTTPServer):
    """`url` is the base URL; `seen` lists the bodies of the requests that came."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[dict[str, Any]] = []
        self.root = f"http://127.0.0.1:{self.server_address[1]}"
        self.url = f"{self.root}/v1"


@contextmanager
def serve_brain() -> Iterator[Brain]:
    """The server, until the block ends."""
    server = Brain()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
