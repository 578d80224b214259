"""A loopback server for Chat Completions that does as it is told, right or wrong, on raw sockets.

`server.route(script, ...)` gives a `Route`: an address of its own whose first request is answered by the first script,
the second by the second, and all further ones by the last. A script is a function of an `Exchange`. What a route has seen
(requests, connections, when the client left) is on it. No third-party code, so it judges independently.
"""

from __future__ import annotations

import gzip
import json
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

Script = Callable[["Exchange"], None]

TEXT = "J'aime programmer."
USAGE = {"prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 13}


class Left(Exception):
    """The client has closed the connection in the middle of a script."""


class Request:
    """What the client sent. Header names are lower case."""

    def __init__(self, line: str, headers: dict[str, str], body: bytes, connection: int) -> None:
        self.method, self.target, _ = line.split(" ", 2)
        self.headers = headers
        self.body = body
        self.connection = connection
        self.time = time.monotonic()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Route:
    """One address with its scripts, and what was seen at it."""

    def __init__(self, url: str, scripts: tuple[Script, ...]) -> None:
        self.url = url
        self.scripts = scripts
        self.requests: list[Request] = []
        self.left: list[float] = []
        self._changed = threading.Condition()

    def script(self, request: Request) -> Script:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            return self.scripts[min(len(self.requests), len(self.scripts)) - 1]

    def note_left(self) -> None:
        with self._changed:
            self.left.append(time.monotonic())
            self._changed.notify_all()

    @property
    def connections(self) -> int:
        """How many connections the requests came over."""
        return len({r.connection for r in self.requests})

    def wait_for_requests(self, count: int, seconds: float = 5) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, seconds), f"no {count} requests came"

    def wait_left(self, count: int = 1, seconds: float = 5) -> float:
        """When the client left, on the monotonic clock."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.left) >= count, seconds), "the client did not leave"
            return self.left[count - 1]


class Exchange:
    """One request and the connection to answer it on."""

    def __init__(self, sock: Any, request: Request) -> None:
        self.sock = sock
        self.request = request
        self.closed = False

    def send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise Left from error

    def send_last(self, data: bytes) -> None:
        """Send what the end of the connection follows, in one piece with it where the system can: a client that has read all
        then sees the end too, and does not take the connection for one that stays."""
        more = getattr(socket, "MSG_MORE", 0)
        if not more or isinstance(self.sock, ssl.SSLSocket):
            self.send(data)
            return
        try:
            self.sock.sendall(data, more)
        except OSError as error:
            raise Left from error

    def wait(self, seconds: float) -> None:
        """Be silent; raises Left as soon as the client closes."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            ready, _, _ = select.select([self.sock], [], [], min(left, 0.5))
            if not ready:
                continue
            try:
                look = () if isinstance(self.sock, ssl.SSLSocket) else (socket.MSG_PEEK,)
                if self.sock.recv(1, *look) == b"":
                    raise Left
            except OSError as error:
                raise Left from error
            time.sleep(0.005)

    def head(self, status: int = 200, headers: dict[str, str] | None = None, version: str = "1.1") -> None:
        lines = "".join(f"{k}: {v}\r\n" for k, v in (headers or {}).items())
        self.send(f"HTTP/{version} {status} Said\r\n{lines}\r\n".encode("latin-1"))

    def chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def fin(self) -> None:
        """End the connection in the ordinary way."""
        self.closed = True
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            self.sock.close()

    def rst(self) -> None:
        """Break the connection."""
        self.closed = True
        with suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()


class Server:
    """The listener. Each connection has a thread."""

    def __init__(self, wrap: Callable[[socket.socket], Any] | None = None) -> None:
        self._wrap = wrap
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self.scheme = "http" if wrap is None else "https"
        self._routes: dict[str, Route] = {}
        self._lock = threading.Lock()
        self.accepted = 0
        self.open = 0
        self.targets: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def route(self, *scripts: Script, host: str = "127.0.0.1") -> Route:
        """A new address. Its `url` is a base URL."""
        with self._lock:
            key = f"r{len(self._routes)}"
            made = self._routes[key] = Route(f"{self.scheme}://{host}:{self.port}/{key}/v1", scripts or (plain(),))
        return made

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.accepted += 1
                number = self.accepted
                self.open += 1
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock: Any, number: int) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        route: Route | None = None
        try:
            if self._wrap is not None:
                sock = self._wrap(sock)
            while True:
                request = self._read(sock, number)
                self.targets.append(request.target)
                route = self._routes.get(request.target.split("/v1/")[0].rpartition("/")[2])
                if route is None:  # meant for a port where nobody listened when a test in another process looked
                    raise Left
                exchange = Exchange(sock, request)
                route.script(request)(exchange)
                if exchange.closed:
                    return
        except (Left, OSError):
            if route is not None:
                route.note_left()
        finally:
            with suppress(OSError):
                sock.close()
            with self._lock:
                self.open -= 1

    def _read(self, sock: Any, number: int) -> Request:
        data = b""
        while b"\r\n\r\n" not in data:
            data += _some(sock)
            if data.startswith(b"\x16"):
                sock.sendall(b"HTTP/1.1 400 There is no TLS here\r\n\r\n")
                raise Left
        head, _, body = data.partition(b"\r\n\r\n")
        line, *rest = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (h.partition(":") for h in rest)}
        if headers.get("transfer-encoding") == "chunked":
            raise AssertionError("the client sent a chunked body")
        length = int(headers.get("content-length", 0))
        while len(body) < length:
            body += _some(sock)
        return Request(line, headers, body, number)


def _some(sock: Any) -> bytes:
    piece: bytes = sock.recv(65536)
    if not piece:
        raise Left
    return piece


@contextmanager
def serving(wrap: Callable[[socket.socket], Any] | None = None) -> Iterator[Server]:
    server = Server(wrap)
    try:
        yield server
    finally:
        server.close()


class Proxy:
    """An HTTP proxy: passes requests on, and makes tunnels. `asked` lists (method, target, credentials)."""

    def __init__(self, wrap: Callable[[socket.socket], Any] | None = None, password: str | None = None) -> None:
        self._wrap = wrap
        self._password = password
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.asked: list[tuple[str, str, str | None]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, user: str = "") -> str:
        scheme = "http" if self._wrap is None else "https"
        return f"{scheme}://{user}{'@' if user else ''}127.0.0.1:{self.port}"

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: Any) -> None:
        with suppress(Left, OSError):
            if self._wrap is not None:
                sock = self._wrap(sock)
            data = b""
            while b"\r\n\r\n" not in data:
                data += _some(sock)
            head = data.partition(b"\r\n\r\n")[0].decode("latin-1")
            method, target, _ = head.split("\r\n")[0].split(" ")
            headers = {k.lower(): v.strip() for k, _, v in (h.partition(":") for h in head.split("\r\n")[1:])}
            given = headers.get("proxy-authorization")
            self.asked.append((method, target, given))
            if self._password is not None and given != f"Basic {self._password}":
                sock.sendall(b"HTTP/1.1 407 Credentials\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            elif method == "CONNECT":
                host, _, port = target.rpartition(":")
                with socket.create_connection(("127.0.0.1", int(port))) as other:
                    sock.sendall(b"HTTP/1.1 200 Established\r\n\r\n")
                    _carry(sock, other)
            else:
                host, _, path = target.removeprefix("http://").partition("/")
                port = host.rpartition(":")[2]
                with socket.create_connection(("127.0.0.1", int(port))) as other:
                    other.sendall(data.replace(target.encode(), b"/" + path.encode(), 1))
                    _carry(sock, other)
        with suppress(OSError):
            sock.close()


def _carry(one: Any, other: socket.socket) -> None:
    """Bytes in both directions until one side ends."""

    def there() -> None:
        with suppress(OSError, Left):
            while True:
                other.sendall(_some(one))
        with suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    threading.Thread(target=there, daemon=True).start()
    with suppress(Left):
        while True:
            one.sendall(_some(other))


# ---- what Chat Completions says


def answer(text: str = TEXT, **more: Any) -> dict[str, Any]:
    """A plain answer's body."""
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini", "choices": choices,
            "usage": USAGE, **more}  # fmt: skip


def event(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """One server-sent event of a stream."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o-mini", "choices": choices, **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def events(*texts: str) -> list[bytes]:
    """All events of a stream with these pieces of text."""
    found = [event({"role": "assistant", "content": ""})]
    found += [event({"content": text}) for text in texts]
    return [*found, event({}, "stop"), event(None, usage=USAGE), DONE]


# ---- scripts


def plain(body: Any = None, status: int = 200, headers: dict[str, str] | None = None, after: float = 0) -> Script:
    """A whole answer: the body is JSON, or bytes."""
    data = body if isinstance(body, bytes) else json.dumps(answer() if body is None else body).encode()

    def script(exchange: Exchange) -> None:
        exchange.wait(after)
        sizes = {"content-type": "application/json", "content-length": str(len(data))}
        exchange.head(status, {**sizes, **(headers or {})})
        exchange.send(data)

    return script


def either(*texts: str) -> Script:
    """A stream where one was asked for, else a plain answer."""

    def script(exchange: Exchange) -> None:
        if exchange.request.json.get("stream"):
            sse(events(*texts))(exchange)
        else:
            plain(answer("".join(texts)))(exchange)

    return script


def error(status: int, message: str = "no", headers: dict[str, str] | None = None, **fields: Any) -> Script:
    """An error as OpenAI words it."""
    return plain({"error": {"message": message, **fields}}, status, headers)


def sse(pieces: list[bytes], *, gap: float = 0, end: bool = True, headers: dict[str, str] | None = None) -> Script:
    """A stream; each piece is an HTTP chunk, with a pause before it. Without `end` the last chunk never comes."""

    def script(exchange: Exchange) -> None:
        kind = {"content-type": "text/event-stream", "transfer-encoding": "chunked", "x-request-id": "req_1"}
        exchange.head(200, {**kind, **(headers or {})})
        for piece in pieces:
            if gap:
                exchange.wait(gap)
            exchange.chunk(piece)
        if end:
            exchange.send(b"0\r\n\r\n")
        else:
            exchange.wait(30)

    return script


def raw(data: bytes, how: str = "fin", hold: float = 0) -> Script:
    """These very bytes; then the end of the connection (fin, rst), or nothing (keep)."""

    def script(exchange: Exchange) -> None:
        if data and how == "fin" and not hold:
            exchange.send_last(data)
        elif data:
            exchange.send(data)
        exchange.wait(hold)
        if how == "rst":
            # What was sent must be on its way to the reader, or the break would overtake it.
            time.sleep(0.01)
            exchange.rst()
        elif how == "fin":
            exchange.fin()

    return script


def silent(seconds: float = 30) -> Script:
    """Takes the request and says nothing."""
    return lambda exchange: exchange.wait(seconds)


def drip(data: bytes, seconds: float, step: int = 1) -> Script:
    """These bytes, a few at a time, with a pause after each."""

    def script(exchange: Exchange) -> None:
        for at in range(0, len(data), step):
            exchange.send(data[at : at + step])
            exchange.wait(seconds)

    return script


def response(body: bytes, kind: str = "application/json", **headers: str) -> bytes:
    """The bytes of a response with its length."""
    lines = {
        "content-type": kind,
        "content-length": str(len(body)),
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    return b"HTTP/1.1 200 OK\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()).encode() + b"\r\n" + body


def chunked(pieces: list[bytes], end: bytes = b"0\r\n\r\n") -> bytes:
    """The bytes of a chunked stream."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + end


def gzipped(body: bytes) -> bytes:
    """The bytes of a compressed response."""
    return response(gzip.compress(body), content_encoding="gzip")


@contextmanager
def unanswering_port() -> Iterator[int]:
    """A port on which connections are never made: a listener whose queue is full."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = []
    try:
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
            waiting.append(sock)
        yield listener.getsockname()[1]
    finally:
        for sock in waiting:
            sock.close()
        listener.close()
