"""Connections of the sync transport: TCP, TLS, and tunnels through proxies, all within one deadline.

Knows addresses and certificates; nothing of requests, providers or policy.
"""

from __future__ import annotations

import select
import socket
import ssl
from time import monotonic
from typing import Any

from ._http_origin import QUICK, SOCKET_OPTIONS, Origin, Proxy
from ._http_wire import request_head, response_head

PIECE = 65536


class Connection:
    """A connection to an origin. `close` and the shutting down of `sock` may come from any thread."""

    __slots__ = ("origin", "sock")

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.sock: Any = None  # there as soon as it connects, so that who gives up finds it

    def connect(self, until: float | None, phase: str, seconds: float | None) -> None:
        """Make it stand by `until`, the end of the deadline `phase`."""
        try:
            self._stand(until)
        except (OSError, UnicodeError) as error:
            self.close()
            raise self.origin.failed(error, phase, seconds) from error
        except BaseException:
            self.close()
            raise

    @property
    def usable(self) -> bool:
        """Is it open, and has nothing come unasked?"""
        return self.sock is not None and not _readable(self.sock)

    def close(self) -> None:
        """Close at once."""
        sock, self.sock = self.sock, None
        if sock is not None:
            sock.close()

    def _stand(self, until: float | None) -> None:
        origin, proxy = self.origin, self.origin.proxy
        self._reach(until)
        if proxy is not None and proxy.secure and origin.tls is not None:
            self._speak_tls(origin.tls, proxy.host, until)
        if origin.secure and origin.tls is not None:
            if proxy is not None:
                self._tunnel(proxy, until)
            self._speak_tls(origin.tls, origin.hostname, until)

    def _reach(self, until: float | None) -> None:
        """A TCP connection to one of the addresses of the first stop."""
        host, port = self.origin.first_stop
        addresses = self.origin.sorted(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        silent: list[Any] = []
        failed: OSError = OSError(f"{host} has no address")
        for address in addresses:
            limit = left(until)
            try:
                self._reach_one(address, limit if len(addresses) == 1 else min(QUICK, limit or QUICK))
                return
            except TimeoutError as error:
                failed = error
                silent.append(address)
            except OSError as error:
                failed = error
        for place, address in enumerate(silent if len(addresses) > 1 else ()):
            limit = left(until)
            try:
                self._reach_one(address, None if limit is None else limit / (len(silent) - place))
                return
            except OSError as error:
                failed = error
        raise failed

    def _reach_one(self, address: Any, seconds: float | None) -> None:
        family, kind, protocol, _, name = address
        self.sock = sock = socket.socket(family, kind, protocol)
        try:
            for option in SOCKET_OPTIONS:
                sock.setsockopt(*option)
            sock.settimeout(seconds)
            sock.connect(name)
        except BaseException:
            self.close()
            raise
        self.origin.was_good(address)

    def _speak_tls(self, context: ssl.SSLContext, name: str, until: float | None) -> None:
        self.sock.settimeout(left(until))
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock = _TLSInTLS(self.sock, context, name)
        else:
            # The handshake is a step of its own, so that meanwhile `sock` is the one to shut down.
            self.sock = context.wrap_socket(self.sock, server_hostname=name, do_handshake_on_connect=False)
        self.sock.do_handshake()

    def _tunnel(self, proxy: Proxy, until: float | None) -> None:
        """Have the proxy put us through."""
        there = f"{self.origin.hostname}:{self.origin.port}"
        self.sock.settimeout(left(until))
        self.sock.sendall(request_head("CONNECT", there, there, proxy.headers, 0))
        data = b""
        while (found := response_head(data)) is None:
            self.sock.settimeout(left(until))
            piece = self.sock.recv(PIECE)
            if not piece:
                raise ConnectionResetError("the proxy closed the connection")
            data += piece
        if found[0].status != 200:
            raise OSError(f"the proxy answered {found[0].status}")


class _TLSInTLS:
    """TLS with a server through a tunnel that is itself TLS: as much of a socket as the transport uses."""

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, name: str) -> None:
        self.socket = outer
        self._came, self._to_go = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._to_go, server_hostname=name)
        self.settimeout, self.close, self.fileno = outer.settimeout, outer.close, outer.fileno

    def do_handshake(self) -> None:
        self._carry(self._tls.do_handshake)

    def recv(self, size: int) -> bytes:
        try:
            return self._carry(self._tls.read, size)  # type: ignore[no-any-return]
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._carry(self._tls.write, rest) :]

    def _carry(self, function: Any, *args: Any) -> Any:
        """Do a step of the inner TLS, with as much going to and fro as it needs."""
        while True:
            try:
                done = function(*args)
            except ssl.SSLWantReadError:
                self._send()
                piece = self.socket.recv(PIECE)
                if piece:
                    self._came.write(piece)
                else:
                    self._came.write_eof()
            else:
                self._send()
                return done

    def _send(self) -> None:
        if waiting := self._to_go.read():
            self.socket.sendall(waiting)


def left(until: float | None) -> float | None:
    """Seconds until then; a TimeoutError when there are none."""
    if until is None:
        return None
    seconds = until - monotonic()
    if seconds <= 0:
        raise TimeoutError("the time is over")
    return seconds


def _readable(sock: Any) -> bool:
    """Has the peer closed, or said something unasked?"""
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
