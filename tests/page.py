"""A loopback server that answers as the seed page shows: Chat Completions, the page's words, the page's token counts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .page_formats import answer as answer_of
from .page_formats import calls_weather

ANSWERS = {
    "artificial intelligence": ("J'aime l'intelligence artificielle.", 29, 14),
    "programming": ("J'aime programmer.", 28, 6),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Page

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["content-length"]))
        if self.path.endswith("/files"):
            self.server.uploaded = data.split(b"\r\n\r\n")[2].split(b"\r\n--")[0]
            return self._send({"id": "file-1"})
        if self.path.endswith("/batches"):
            return self._send({"id": "batch_1", "status": "validating"})
        return self._chat(json.loads(data))

    def do_GET(self) -> None:
        """The batch API: a batch ends at once."""
        if "/batches/" in self.path:
            return self._send({"id": "batch_1", "status": "completed", "output_file_id": "file-2"})
        lines = [json.loads(line) for line in self.server.uploaded.splitlines()]
        done = [
            {"custom_id": line["custom_id"], "response": {"status_code": 200, "body": _answer(*_words(line["body"]))}}
            for line in lines
        ]
        return self._send(b"\n".join(json.dumps(line).encode() for line in done))

    def _chat(self, body: dict[str, Any]) -> None:
        self.server.seen.append({"path": self.path, "headers": dict(self.headers.items()), "body": body})
        if (other := answer_of(self.path, body)) is not None:
            self._write(*other)
            return
        text, usage = _words(body)
        if body.get("stream"):
            self._stream(text, usage)
        else:
            self._send(_calling(usage) if calls_weather(body) else _answer(text, usage, body.get("n") or 1))

    def _send(self, body: Any) -> None:
        self._write("application/json", body if isinstance(body, bytes) else json.dumps(body).encode())

    def _write(self, kind: str, data: bytes) -> None:
        self._head(kind, len(data))
        self.wfile.write(data)

    def _stream(self, text: str, usage: dict[str, int]) -> None:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-3.5-turbo"}
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": piece} for piece in _pieces(text)]
        events = [{**head, "choices": [{"index": 0, "delta": d, "finish_reason": None}]} for d in deltas]
        events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        events.append({**head, "choices": [], "usage": usage})
        data = b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in events) + b"data: [DONE]\n\n"
        self._head("text/event-stream", len(data))
        self.wfile.write(data)

    def _head(self, kind: str, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.send_header("x-request-id", "req_1")
        self.end_headers()


def _words(body: dict[str, Any]) -> tuple[str, dict[str, int]]:
    asked = json.dumps(body["messages"][-1]["content"])
    if body["messages"][-1]["role"] == "tool" and "22 degrees" in asked:
        return "It is 22 degrees in Paris.", {"prompt_tokens": 60, "completion_tokens": 9, "total_tokens": 69}
    text, given, made = next((v for k, v in ANSWERS.items() if k in asked), ("Bonjour.", 10, 3))
    return text, {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}


def _answer(text: str, usage: dict[str, int], n: int = 1) -> dict[str, Any]:
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} for i in range(n)
    ]
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-3.5-turbo",
            "choices": choices, "usage": usage}  # fmt: skip


def _calling(usage: dict[str, int]) -> dict[str, Any]:
    whole = _answer("", usage)
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    whole["choices"][0] |= {"message": {"role": "assistant", "content": None, "tool_calls": [call]}}
    whole["choices"][0]["finish_reason"] = "tool_calls"
    return whole


def _pieces(text: str) -> list[str]:
    words = text.split(" ")
    return [w if i == len(words) - 1 else w + " " for i, w in enumerate(words)]


class Page(ThreadingHTTPServer):
    """`url` is the base URL; `seen` lists the requests that came."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[dict[str, Any]] = []
        self.uploaded = b""
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"


@contextmanager
def serve_page() -> Iterator[Page]:
    """The server, until the block ends."""
    server = Page()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
