"""The floor: sockets and an asyncio protocol by hand, right for this server's answers only: not for use."""

from __future__ import annotations

import asyncio
import socket
import time
from urllib.parse import urlsplit

from wire import HEADERS, Events, decode_completion, request_body

HEAD = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())


def split_head(data: bytes) -> tuple[bytes, bytes] | None:
    end = data.find(b"\r\n\r\n")
    return None if end < 0 else (data[:end].lower(), data[end + 4 :])


class Chunked:
    """Takes the pieces out of a chunked body."""

    def __init__(self) -> None:
        self.rest = b""
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        data = self.rest + data if self.rest else data
        at, pieces = 0, []
        while (line := data.find(b"\r\n", at)) >= 0:
            size = int(data[at:line], 16)
            stop = line + 2 + size
            if len(data) < stop + 2:
                break
            if size == 0:
                self.ended = True
                break
            pieces.append(data[line + 2 : stop])
            at = stop + 2
        self.rest = data[at:]
        return b"".join(pieces)


class Answer:
    """Reads one response from the bytes fed to it."""

    def __init__(self, stream: bool) -> None:
        self.data = b""
        self.body: Chunked | None = None
        self.events = Events() if stream else None
        self.length = 0
        self.text: str | None = None
        self.ended = False

    def feed(self, data: bytes) -> None:
        if self.body is not None and self.events is not None:
            self.length += self.events.feed(self.body.feed(data))
            self.ended = self.body.ended
            return
        self.data += data
        parts = split_head(self.data)
        if parts is None:
            return
        head, rest = parts
        if self.events is not None:
            self.body = Chunked()
            self.feed(rest)
        elif len(rest) == int(head.split(b"content-length:")[1].split(b"\r\n")[0]):
            self.text = decode_completion(rest).choices[0].message.content
            self.ended = True


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.waiter: asyncio.Future[None] | None = None
        self.enough = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        answer = self.answer
        assert answer is not None
        answer.feed(data)
        events = answer.events
        enough = bool(self.enough and events and events.chunks >= self.enough)
        if (answer.ended or enough) and self.waiter and not self.waiter.done():
            self.waiter.set_result(None)


class Client:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.address = (str(parts.hostname), parts.port or 80)
        self.line = f"POST {parts.path}/chat/completions HTTP/1.1\r\nHost: {parts.netloc}\r\n{HEAD}"
        self.socket: socket.socket | None = None
        self.idle: list[Connection] = []

    def request(self, stream: bool) -> bytes:
        body = request_body(stream)
        return f"{self.line}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def ask(self, stream: bool, enough: int = 0) -> Answer:
        if self.socket is None:
            self.socket = socket.create_connection(self.address)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(self.request(stream))
        answer = Answer(stream)
        while not answer.ended and not (enough and answer.events and answer.events.chunks >= enough):
            answer.feed(self.socket.recv(262144))
        return answer

    def call(self) -> str | None:
        return self.ask(stream=False).text

    def read_stream(self) -> int:
        return self.ask(stream=True).length

    def leave_stream(self, chunks: int) -> float:
        self.ask(stream=True, enough=chunks)
        left = time.monotonic()
        assert self.socket is not None
        self.socket.close()
        self.socket = None
        return left

    async def aask(self, stream: bool, enough: int = 0) -> tuple[Connection, Answer]:
        loop = asyncio.get_running_loop()
        if self.idle:
            connection = self.idle.pop()
        else:
            _, connection = await loop.create_connection(Connection, *self.address)
        connection.answer = answer = Answer(stream)
        connection.waiter, connection.enough = loop.create_future(), enough
        connection.transport.write(self.request(stream))
        try:
            await connection.waiter
        except asyncio.CancelledError:
            connection.transport.close()
            raise
        if not enough:
            self.idle.append(connection)
        return connection, answer

    async def acall(self) -> str | None:
        return (await self.aask(stream=False))[1].text

    async def aread_stream(self) -> int:
        return (await self.aask(stream=True))[1].length

    async def aleave_stream(self, chunks: int) -> float:
        connection, _ = await self.aask(stream=True, enough=chunks)
        left = time.monotonic()
        connection.transport.close()
        return left
