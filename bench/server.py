"""A loopback server that answers as OpenAI's chat completions do, from bytes built beforehand.

It knows no client. The path of a request says what it gets, whatever follows (so that any `base_url` works):

    /json/<delay ms>/...          a plain answer, after the delay
    /sse/<chunks>/<delay ms>/...  a stream of that many text chunks in one burst, after the delay
    /hang/<chunks>/...            a stream that sends that many chunks, then keeps silent

Run by hand: `python bench/server.py [--cpu N]`; it prints its port, then answers each line `stats` on its
standard input with a line of JSON, and ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
import socket
import sys
import time
from dataclasses import dataclass, field

WORDS = ("The", " quick", " brown", " fox", " jumps", " over", " the", " lazy", " dog", " and", " runs", ".")
ANSWER = "J'aime programmer."
PIECE = 1 << 18
BACKLOG = 4096
CREATED = 1_763_800_000

# What the service sends beside the body (platform.openai.com/docs/api-reference/debugging-requests, 2026-11).
HEADERS = (
    "Date: Sun, 22 Nov 2026 12:00:00 GMT\r\n"
    "Connection: keep-alive\r\n"
    "access-control-expose-headers: X-Request-ID\r\n"
    "openai-organization: bench\r\n"
    "openai-processing-ms: 231\r\n"
    "openai-version: 2020-10-01\r\n"
    "x-ratelimit-limit-requests: 10000\r\n"
    "x-ratelimit-limit-tokens: 2000000\r\n"
    "x-ratelimit-remaining-requests: 9999\r\n"
    "x-ratelimit-remaining-tokens: 1999990\r\n"
    "x-ratelimit-reset-requests: 6ms\r\n"
    "x-ratelimit-reset-tokens: 0s\r\n"
    "x-request-id: req_0123456789abcdef0123456789abcdef\r\n"
    "Server: bench\r\n"
)


def usage(output_tokens: int) -> dict[str, object]:
    return {
        "prompt_tokens": 8,
        "completion_tokens": output_tokens,
        "total_tokens": 8 + output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def text_of(chunks: int) -> str:
    """The text that a stream of so many chunks carries: what a client must have read at its end."""
    whole, rest = divmod(chunks, len(WORDS))
    return "".join(WORDS) * whole + "".join(WORDS[:rest])


@functools.cache
def plain_response() -> bytes:
    message: dict[str, object] = {"role": "assistant", "content": ANSWER, "refusal": None, "annotations": []}
    body = {
        "id": "chatcmpl-BenchBenchBenchBenchBenchBench",
        "object": "chat.completion",
        "created": CREATED,
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": usage(5),
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }
    data = json.dumps(body, indent=2).encode()  # the service indents plain answers
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n{HEADERS}\r\n"
    return head.encode() + data


def http_chunk(event: str) -> bytes:
    data = f"data: {event}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def chat_chunk(choices: list[object], **more: object) -> bytes:
    body = {
        "id": "chatcmpl-BenchBenchBenchBenchBenchBench",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": "gpt-4o-2024-08-06",
        "system_fingerprint": "fp_0123456789",
        "choices": choices,
        **more,
    }
    return http_chunk(json.dumps(body, separators=(",", ":")))


def choice(delta: dict[str, object], finish_reason: str | None = None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


@functools.cache
def stream_opening(chunks: int) -> bytes:
    """The head of a stream, its first (role) chunk and `chunks` chunks of text."""
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
        f"Transfer-Encoding: chunked\r\n{HEADERS}\r\n"
    )
    first = chat_chunk([choice({"role": "assistant", "content": "", "refusal": None})])
    words = [chat_chunk([choice({"content": word})]) for word in WORDS]
    whole, rest = divmod(chunks, len(words))
    return head.encode() + first + b"".join(words) * whole + b"".join(words[:rest])


@functools.cache
def stream_response(chunks: int, with_usage: bool) -> bytes:
    """A whole stream; the chunk with the usage comes only if it was asked for, as at the service."""
    end = chat_chunk([choice({}, "stop")])
    last = chat_chunk([], usage=usage(chunks)) if with_usage else b""
    return stream_opening(chunks) + end + last + http_chunk("[DONE]") + b"0\r\n\r\n"


@dataclass
class Stats:
    """What the server saw since it started; `closings`: number of a hanging stream, time of its end."""

    accepted: int = 0
    open: int = 0
    most_open: int = 0
    requests: int = 0
    hangs: int = 0
    closings: list[tuple[int, float]] = field(default_factory=list)

    def line(self) -> str:
        record = {**self.__dict__, "cpu": time.process_time(), "now": time.monotonic()}
        self.closings = []
        return json.dumps(record)


class Connection(asyncio.Protocol):
    """One client's connection: requests in, prepared bytes out."""

    def __init__(self, stats: Stats) -> None:
        self.stats = stats
        self.received = b""
        self.hanging = 0
        self.paused = False
        self.unsent: memoryview | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=PIECE)
        stats = self.stats
        stats.accepted += 1
        stats.open += 1
        stats.most_open = max(stats.most_open, stats.open)

    def connection_lost(self, exc: Exception | None) -> None:
        self.stats.open -= 1
        self.unsent = None
        self.note_closing()

    def eof_received(self) -> None:
        self.note_closing()

    def note_closing(self) -> None:
        if self.hanging:
            self.stats.closings.append((self.hanging, time.monotonic()))
            self.hanging = 0

    def data_received(self, data: bytes) -> None:
        self.received = data = self.received + data if self.received else data
        while data:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                return
            total = end + 4 + content_length(data[:end])
            if len(data) < total:
                return
            request, data = data[:total], data[total:]
            self.received = data
            self.answer(request)

    def answer(self, request: bytes) -> None:
        self.stats.requests += 1
        kind, *arguments = request[: request.index(b"\r\n")].split(b" ")[1].split(b"/")[1:]
        if kind == b"json":
            self.send(plain_response(), int(arguments[0]))
        elif kind == b"sse":
            wanted = b'"include_usage"' in request
            self.send(stream_response(int(arguments[0]), wanted), int(arguments[1]))
        elif kind == b"hang":
            self.stats.hangs += 1
            self.hanging = self.stats.hangs
            self.transport.write(stream_opening(int(arguments[0])))
        else:
            self.transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    def send(self, response: bytes, delay_ms: int) -> None:
        if delay_ms:
            asyncio.get_running_loop().call_later(delay_ms / 1000, self.write, response)
        else:
            self.write(response)

    def write(self, response: bytes) -> None:
        if self.transport.is_closing():
            return
        self.unsent = memoryview(response)
        self.send_more()

    def send_more(self) -> None:
        while self.unsent and not self.paused:
            piece, self.unsent = self.unsent[:PIECE], self.unsent[PIECE:]
            self.transport.write(piece)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.send_more()


def content_length(head: bytes) -> int:
    lower = head.lower()
    start = lower.find(b"\r\ncontent-length:")
    if start < 0:
        return 0
    stop = lower.find(b"\r\n", start + 2)
    return int(lower[start + 17 : stop if stop >= 0 else None])


def answer_commands(stats: Stats, stopped: asyncio.Event) -> None:
    line = sys.stdin.readline()
    if not line:
        stopped.set()
    elif line.strip() == "stats":
        print(stats.line(), flush=True)


async def serve(port: int) -> None:
    stats, stopped = Stats(), asyncio.Event()
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
    server = await loop.create_server(lambda: Connection(stats), sock=listener, backlog=BACKLOG)
    loop.add_reader(sys.stdin, answer_commands, stats, stopped)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    async with server:
        await stopped.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cpu", type=int, default=None, help="pin the server to this processor")
    options = parser.parse_args()
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    asyncio.run(serve(options.port))


if __name__ == "__main__":
    main()
