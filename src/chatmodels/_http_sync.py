"""The sync transport: a request written, and its response read piece by piece, with deadlines that nothing defeats.

The bytes are those of `_http_wire`, the connections those of `_http_connect`. Every wait is bounded by a point in time,
not by a length between two bytes, so a slow drip cannot stretch it. No policy lives here.
"""

from __future__ import annotations

import socket
import threading
from time import monotonic
from typing import Any

from ._call import HTTPResponse
from ._errors import ChatModelError, DeadlineError, TransportError
from ._flow import Open, Send
from ._http_common import DRAIN_SECONDS, HTTPConfig, brief, head_limit, headers_of, passed
from ._http_connect import Connection, left
from ._http_origin import Idle, Origin, Ways
from ._http_wire import BODY_LIMIT, Body, Head, request_head, response_head, too_large

PIECE = 65536


class SyncPool:
    """The connections of one configuration."""

    def __init__(self, config: HTTPConfig) -> None:
        self._ways = Ways(config)
        self._idle: dict[Origin, Idle[Connection]] = {}

    def close(self) -> None:
        """Close the idle connections."""
        for idle in list(self._idle.values()):
            idle.close()

    def opened(self, effect: Open | Send) -> SyncOpened:
        """The response of a request that is not sent yet: `start()` sends it, `abort()` may be called before."""
        origin, prefix = self._ways.of(effect.target.base_url)
        idle = self._idle.get(origin) or self._idle.setdefault(origin, Idle())
        return SyncOpened(origin, prefix, idle, effect)

    def open(self, effect: Open | Send) -> SyncOpened:
        """Send, and wait for the head of the response."""
        opened = self.opened(effect)
        if isinstance(effect, Open):
            effect.hold.append(opened)
        opened.start()
        return opened

    def send(self, effect: Send) -> HTTPResponse:
        """Send, and read the whole response."""
        return self.open(effect).whole(effect.deadline)


class SyncOpened:
    """A response, from before its request is sent. `abort` may be called at any time, from any thread."""

    __slots__ = (
        "_aborted", "_body", "_effect", "_first", "_held", "_idle", "_origin", "_prefix", "_reader", "_sock",
        "headers", "status",
    )  # fmt: skip

    def __init__(self, origin: Origin, prefix: str, idle: Idle[Connection], effect: Open | Send) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._origin = origin
        self._idle = idle
        self._prefix = prefix
        self._effect = effect
        # The connection while it is ours. Taking it out is atomic, so it is given back or closed once, by one thread.
        self._held: list[Connection] = []
        self._sock: Any = None
        self._reader = 0  # the thread that may be waiting on the socket
        self._aborted = False
        self._first = b""  # what came of the body along with the head
        self._body: Body | None = None

    def start(self) -> None:
        """Send, and wait for the head of the response."""
        effect = self._effect
        until, phase, seconds = head_limit(effect, monotonic())
        self._reader = threading.get_ident()
        try:
            connection = self._connection(until, phase, seconds)
            self._sock = connection.sock
            self._write(until)
            head = self._head(until)
        except TimeoutError as error:
            self._close()
            if isinstance(error, DeadlineError):
                raise
            raise DeadlineError(f"{self._origin.name}: {passed(phase)}", phase=phase, seconds=seconds) from error
        except OSError as error:
            self._close()
            raise TransportError(
                f"the connection to {self._origin.name} broke: {brief(error)}", phase="send"
            ) from error
        except BaseException:
            self._close()
            raise
        finally:
            self._reader = 0
        self.status, self.headers = head.status, head.headers

    def _connection(self, until: float | None, phase: str, seconds: float | None) -> Connection:
        connection = self._idle.take()
        if connection is not None:
            self._held.append(connection)
            self._check()
            return connection
        connection = Connection(self._origin)
        self._held.append(connection)
        limit = self._effect.target.timeouts.connect
        if limit is not None and (until is None or monotonic() + limit < until):
            until, phase, seconds = monotonic() + limit, "connect", limit
        connection.connect(until, phase, seconds)
        self._check()
        return connection

    def _write(self, until: float | None) -> None:
        self._sock.settimeout(left(until))
        try:
            self._sock.sendall(self._bytes())  # in no variable: they hold the key, and tracebacks can show variables
        except (BrokenPipeError, ConnectionResetError):
            return  # a server may answer (413, 401) and close before it has read all: its answer is read next

    def _bytes(self) -> bytes:
        request, origin = self._effect.request, self._origin
        headers = headers_of(self._effect)
        if origin.headers:
            headers = {**headers, **origin.headers}
        target = self._prefix + request.path
        return request_head(request.method, target, origin.host, headers, len(request.body)) + request.body

    def _head(self, until: float | None) -> Head:
        data = b""
        while True:
            piece = self._receive(until)
            if not piece:
                raise ConnectionResetError("it was closed before an answer came")
            data = data + piece if data else piece
            found = response_head(data)
            if found is not None:
                head, self._first = found
                self._body = Body(head)
                return head

    def _receive(self, until: float | None) -> bytes:
        sock = self._sock
        sock.settimeout(left(until))
        piece: bytes = sock.recv(PIECE)
        if not piece:
            self._check()
        return piece

    def _check(self) -> None:
        if self._aborted:
            raise ConnectionAbortedError("the call was given up")

    def whole(self, deadline: float | None) -> HTTPResponse:
        """Read the whole body."""
        pieces: list[bytes] = []
        size = 0
        while piece := self.read(None, deadline, "total"):
            pieces.append(piece)
            size += len(piece)
            if size > BODY_LIMIT:
                self._close()
                raise too_large(BODY_LIMIT)
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return HTTPResponse(status=self.status, headers=self.headers, body=body)

    def read(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        """The next bytes; empty at the end of the body, when the connection is kept for the next call."""
        body = self._body
        if body is None or not self._held:
            if body is not None and body.done:
                return b""
            raise TransportError("the connection is closed", phase="read")
        until = deadline
        if idle is not None and (deadline is None or monotonic() + idle < deadline):
            until, phase = monotonic() + idle, "idle"
        self._reader = threading.get_ident()
        try:
            data = self._payload(body, until)
        except TimeoutError as error:
            self._close()
            raise DeadlineError(passed(phase), phase=phase) from error
        except OSError as error:
            self._close()
            text = f"the connection broke while the answer was read: {brief(error)}"
            raise TransportError(text, phase="read") from error
        except BaseException:
            self._close()
            raise
        finally:
            self._reader = 0
        if not data:
            self._keep(body)
        return data

    def _payload(self, body: Body, until: float | None) -> bytes:
        raw, self._first = self._first, b""
        while not body.done:
            if not raw:
                raw = self._receive(until)
                if not raw:
                    body.end()
                    return b""
            data = body.feed(raw)
            if data:
                return data
            raw = b""
        if raw:
            body.reusable = False
        return b""

    def finish(self) -> None:
        """Read the rest of a body that has said all, so that the connection can serve again; else close it."""
        ends = monotonic() + DRAIN_SECONDS
        try:
            for _ in range(64):
                if not self.read(None, ends, "idle"):
                    return
        except ChatModelError:
            return  # the answer is complete; the connection is closed and not used again
        self.abort()

    def _keep(self, body: Body) -> None:
        if not body.reusable or self._aborted:
            self._close()
        elif self._held:
            self._idle.keep(self._held.pop())

    def _close(self) -> None:
        if self._held:
            self._held.pop().close()

    def abort(self) -> None:
        """Close the connection at once; one that is not there yet is given up as soon as it is."""
        self._aborted = True
        if not self._held:
            return
        if self._reader in (0, threading.get_ident()):
            self._close()
            return
        # Another thread waits on the socket: it is woken, and closes. A number that is closed under a waiting thread
        # could be given to another socket at once.
        sock = self._held[0].sock
        if sock is not None:
            _wake(sock)


def _wake(sock: Any) -> None:
    try:
        socket.socket.shutdown(getattr(sock, "socket", sock), socket.SHUT_RDWR)
    except OSError:
        return  # it is not connected any more: nobody waits on it
