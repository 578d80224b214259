"""urllib3: sending a request, and reading the response piece by piece with deadlines.

The body is read from the response's file straight away and unchunked here, many chunks at a time: a burst of a thousand
server-sent events costs a few reads instead of a thousand. A body that is compressed goes through urllib3's decoders.
"""

from __future__ import annotations

import ssl
import time
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from ._call import HTTPResponse
from ._errors import ChatModelError, ConnectError, DeadlineError, ProtocolError, TransportError
from ._flow import Open, Send
from ._http import HTTPConfig
from ._proxy import proxy_for

PIECE = 65536
DRAIN_SECONDS = 0.25


def tls_context(config: HTTPConfig) -> ssl.SSLContext:
    """TLS with the system's trust store, or as configured."""
    context = ssl.create_default_context(cafile=config.verify if isinstance(config.verify, str) else None)
    if config.verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.cert is not None:
        cert, key = (config.cert, None) if isinstance(config.cert, str) else config.cert
        context.load_cert_chain(cert, key)
    return context


class SyncPool:
    """The connection pools of one configuration."""

    def __init__(self, config: HTTPConfig) -> None:
        self._config = config
        self._managers: dict[str, urllib3.PoolManager] = {}
        self._hosts: dict[str, tuple[Any, str]] = {}

    def close(self) -> None:
        for manager in self._managers.values():
            manager.clear()
        self._hosts.clear()

    def _host(self, base_url: str) -> tuple[Any, str]:
        found = self._hosts.get(base_url)
        if found is None:
            found = self._hosts[base_url] = self._connect(base_url)
        return found

    def _connect(self, base_url: str) -> tuple[Any, str]:
        """The pool for a base URL, and what stands before the path in the request line."""
        parts = urlsplit(base_url)
        proxy = proxy_for(base_url, self._config)
        manager = self._managers.get(proxy)
        if manager is None:
            manager = self._managers[proxy] = self._manager(proxy)
        if proxy and parts.scheme == "http":  # a plain proxy is told the whole URL
            return manager, base_url.rstrip("/")
        return manager.connection_from_url(base_url), parts.path.rstrip("/")

    def _manager(self, proxy: str) -> urllib3.PoolManager:
        shared: dict[str, Any] = {
            "num_pools": 64,
            "maxsize": 256,
            "block": False,
            "retries": False,
            "ssl_context": tls_context(self._config),
        }
        if proxy:
            try:
                return urllib3.ProxyManager(proxy, **shared)
            except Exception as error:
                raise ConnectError(f"the proxy {_without_user(proxy)} cannot be used: {error}", phase="connect") from None
        return urllib3.PoolManager(**shared)

    def open(self, effect: Open | Send) -> SyncOpened:
        """Send, and wait for the head of the response."""
        target, request = effect.target, effect.request
        pool, prefix = self._host(target.base_url)
        limits, left = target.timeouts, None
        if effect.deadline is not None:
            left = effect.deadline - time.monotonic()
            if left <= 0:
                raise DeadlineError("the total deadline passed", phase="total", seconds=limits.total)
        wait = left
        if request.stream and limits.first_token is not None:
            wait = limits.first_token if left is None else min(left, limits.first_token)
        connect = limits.connect if left is None else left if limits.connect is None else min(limits.connect, left)
        headers = {**target.headers, **request.headers} if request.headers else target.headers
        try:
            response = pool.urlopen(
                request.method,
                prefix + request.path,
                body=request.body,
                headers=headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=connect, read=wait),
            )
        except (HTTPError, OSError, ValueError) as error:
            raise _send_error(error, target.base_url, request.stream and wait != left) from error
        return SyncOpened(response, wait)

    def send(self, effect: Send) -> HTTPResponse:
        """Send, and read the whole response."""
        return self.open(effect).whole(effect.deadline)


class SyncOpened:
    """An open response. `abort` may be called from any thread."""

    __slots__ = ("_body", "_response", "_sock", "_wait", "headers", "status")

    def __init__(self, response: Any, wait: float | None) -> None:
        self.status: int = response.status
        self.headers = {k.lower(): v for k, v in response.headers.items()}
        self._response = response
        self._body = _body_of(response, self.headers)
        self._sock: Any = None
        self._wait = wait

    def whole(self, deadline: float | None) -> HTTPResponse:
        """Read the whole body."""
        pieces: list[bytes] = []
        done = False
        try:
            while piece := self.read(None, deadline, "total"):
                pieces.append(piece)
            done = True
        finally:
            if not done:
                self.abort()
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return HTTPResponse(status=self.status, headers=self.headers, body=body)

    def read(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        """The next bytes; empty at the end of the body, when the connection goes back to its pool."""
        wait = idle
        if deadline is not None:
            left = deadline - time.monotonic()
            if wait is None or left < wait:
                wait = left
                if left <= 0:
                    self.abort()
                    raise DeadlineError(_passed(phase), phase=phase)
            else:
                phase = "idle"
        else:
            phase = "idle"
        try:
            self._limit(wait)
            data = self._body.read()
        except TimeoutError as error:
            self.abort()
            raise DeadlineError(_passed(phase), phase=phase, seconds=wait) from error
        except ReadTimeoutError as error:
            self.abort()
            raise DeadlineError(_passed(phase), phase=phase, seconds=wait) from error
        except (HTTPError, OSError, ValueError, AttributeError) as error:
            self.abort()
            raise _read_error(error) from error
        except BaseException:
            self.abort()
            raise
        if not data:
            self._release()
        return data

    def _limit(self, wait: float | None) -> None:
        """Set the socket's timeout, when it is not near enough already."""
        have = self._wait
        if wait is have or (wait is not None and have is not None and 0 <= have - wait < 0.01):
            return
        if self._sock is None:
            self._sock = self._body.socket()
        if self._sock is not None:
            self._sock.settimeout(wait)
        self._wait = wait

    def finish(self) -> None:
        """Read the rest of a body that has said all, so that the connection can serve again; else close it."""
        try:
            ends = time.monotonic() + DRAIN_SECONDS
            for _ in range(64):
                if not self.read(DRAIN_SECONDS, ends, "idle"):
                    return
        except ChatModelError:
            return  # the answer is complete; the connection is closed and not used again
        self.abort()

    def _release(self) -> None:
        self._body.close()
        self._response.release_conn()

    def abort(self) -> None:
        """Close the connection at once."""
        response, connection = self._response, self._response.connection
        sock = self._body.socket()
        if sock is not None:
            _shut_down(sock)
        if connection is not None:
            connection.close()
        response.close()


def _shut_down(sock: Any) -> None:
    """Wake a thread that waits in recv; a socket that is closed already needs none."""
    import socket

    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


class _PlainBody:
    """A body through urllib3's own reader: compressed, or not backed by http.client."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def read(self) -> bytes:
        return self._response.read1(PIECE, decode_content=True) or b""

    def socket(self) -> Any:
        connection = self._response.connection
        return getattr(connection, "sock", None)

    def close(self) -> None:
        """Nothing of ours to close."""


class _RawBody:
    """A body read from http.client's buffered file: chunked, of known length, or up to the end of the connection."""

    def __init__(self, original: Any, sock: Any, chunked: bool, length: int | None) -> None:
        self._original = original
        self._fp = original.fp
        self._sock = sock
        self._chunked = chunked
        self._left = length
        self._chunks = Chunked() if chunked else None
        self._done = self._fp is None or length == 0

    def socket(self) -> Any:
        return self._sock

    def read(self) -> bytes:
        if self._done:
            return b""
        while True:
            raw = self._fp.read1(PIECE if self._left is None else min(PIECE, self._left))
            if not raw:
                return self._at_end()
            if self._chunks is None:
                if self._left is not None:
                    self._left -= len(raw)
                    self._done = self._left == 0
                return raw  # type: ignore[no-any-return]
            data = self._chunks.feed(raw)
            self._done = self._chunks.done
            if data or self._done:
                return data

    def _at_end(self) -> bytes:
        self._done = True
        if self._chunked or self._left:
            raise ConnectionResetError("the connection was closed in the middle of the body")
        return b""

    def close(self) -> None:
        self._original.close()


def _body_of(response: Any, headers: dict[str, str]) -> _PlainBody | _RawBody:
    original = getattr(response, "_original_response", None)
    encoded = headers.get("content-encoding", "identity") not in ("identity", "")
    if encoded or original is None or getattr(original, "fp", None) is None:
        return _PlainBody(response)
    sock = getattr(response.connection, "sock", None) or getattr(getattr(original.fp, "raw", None), "_sock", None)
    return _RawBody(original, sock, bool(original.chunked), original.length)


class Chunked:
    """Takes the chunk framing of HTTP/1.1 off (RFC 9112, section 7.1); trailers are dropped."""

    __slots__ = ("_buffer", "_left", "_trailer", "done")

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0  # bytes of the current chunk that are still to come, with its line end
        self._trailer = False
        self.done = False

    def feed(self, raw: bytes) -> bytes:
        """The payload in these bytes; `done` after the last chunk."""
        data = self._buffer + raw if self._buffer else raw
        out: list[bytes] = []
        position, size = 0, len(data)
        while not self._trailer:
            if self._left:
                take = min(self._left, size - position)
                keep = min(take, max(0, self._left - 2))
                if keep:
                    out.append(data[position : position + keep])
                position += take
                self._left -= take
                if self._left:
                    break
            line_end = data.find(b"\n", position)
            if line_end < 0:
                break
            length = _chunk_size(data[position:line_end])
            position = line_end + 1
            if length == 0:
                self._trailer = True
            else:
                self._left = length + 2
        self._buffer = data[position:]
        if self._trailer:
            self._read_trailer()
        if len(self._buffer) > PIECE and not self._left:
            raise ProtocolError("the chunk framing of the response is broken", data=self._buffer)
        return out[0] if len(out) == 1 else b"".join(out)

    def _read_trailer(self) -> None:
        while True:
            line, found, rest = self._buffer.partition(b"\n")
            if not found:
                return
            self._buffer = rest
            if line in (b"", b"\r"):
                self.done = True
                return


def _chunk_size(line: bytes) -> int:
    try:
        size = int(line.split(b";", 1)[0], 16)
    except ValueError:
        size = -1
    if size < 0:
        raise ProtocolError("the chunk framing of the response is broken", data=line)
    return size


def _passed(phase: str) -> str:
    return {
        "idle": "nothing came for too long (the idle deadline)",
        "first_token": "no answer began in time (the first_token deadline)",
    }.get(phase, f"the {phase} deadline passed")


def _send_error(error: Exception, base_url: str, first_token: bool) -> ChatModelError:
    cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    where = urlsplit(base_url).netloc.rpartition("@")[2]
    if isinstance(cause, ConnectTimeoutError) and not isinstance(cause, NewConnectionError):
        return DeadlineError(f"no connection to {where} in time (the connect deadline)", phase="connect")
    if isinstance(cause, ReadTimeoutError):
        phase = "first_token" if first_token else "total"
        return DeadlineError(f"{where}: {_passed(phase)}", phase=phase)
    if isinstance(cause, (NewConnectionError, NameResolutionError, SSLError, ProxyError)):
        return ConnectError(f"no connection to {where}: {_brief(cause)}", phase="connect")
    if isinstance(cause, ValueError) and not isinstance(cause, HTTPError):
        return ConnectError(f"the request to {where} cannot be sent: {cause}", phase="connect")
    return TransportError(f"the connection to {where} broke: {_brief(cause)}", phase="send")


def _read_error(error: Exception) -> ChatModelError:
    return TransportError(f"the connection broke while the answer was read: {_brief(error)}", phase="read")


def _brief(error: BaseException) -> str:
    text = str(error)
    return text.partition(": ")[2] or text if text.startswith("HTTP") else text or type(error).__name__


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
