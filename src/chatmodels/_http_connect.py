"""Connections for the sync transport: urllib3 makes them (TCP, TLS, proxies, tunnels), and the idle ones wait here.

Knows deadlines and addresses; nothing of requests, providers or policy.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections import deque
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection, ProxyConfig
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from ._errors import ChatModelError, ConnectError, DeadlineError, UsageError
from ._http import HTTPConfig, brief, passed, without_user
from ._http_tls import tls_context
from ._proxy import basic_auth

#: Idle connections are given up after so many seconds: many servers, and the gateways between, drop them soon after.
IDLE_SECONDS = 60.0
IDLE_MOST = 256

_OPTIONS: list[tuple[int, int, int]] = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),  # a gateway must not forget a connection that waits for a long answer
]
for _name, _value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 5)):
    if hasattr(socket, _name):
        _OPTIONS.append((socket.IPPROTO_TCP, getattr(socket, _name), _value))


class _Timed:
    """What both kinds of connection share: all addresses of a host are tried within one deadline."""

    until: float | None = None

    def _new_conn(self: Any) -> socket.socket:
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        for place, (family, kind, protocol, _, address) in enumerate(found):
            self.sock = sock = socket.socket(family, kind, protocol)
            try:
                for option in _OPTIONS:
                    sock.setsockopt(*option)
                left = _left(self.until)
                # An address that does not answer must leave time for those after it.
                sock.settimeout(None if left is None else left / (len(found) - place))
                sock.connect(address)
                sock.settimeout(_left(self.until))
            except BaseException as error:
                sock.close()
                self.sock = None
                if not isinstance(error, OSError) or place == len(found) - 1:
                    raise
            else:
                return sock
        raise OSError(f"{self.host} has no address")


class PlainConnection(_Timed, HTTPConnection):
    """A connection to a server or to a proxy that passes requests on."""


class TLSConnection(_Timed, HTTPSConnection):
    """A TLS connection, perhaps through a proxy's tunnel."""


Connection = PlainConnection | TLSConnection


class Origin:
    """One server, reached in one way: makes connections to it and keeps the idle ones."""

    def __init__(self, base_url: str, proxy: str, config: HTTPConfig) -> None:
        parts = urlsplit(base_url)
        self.secure = parts.scheme == "https"
        self.name = parts.netloc.rpartition("@")[2]
        try:
            self._host = (parts.hostname or "").encode("idna").decode()
            self._port = parts.port or (443 if self.secure else 80)
        except ValueError as error:
            raise UsageError(f"base_url: {self.name!r} is no address: {error}", argument="base_url") from error
        self.host = self.name if self.name.isascii() else f"{self._host}:{self._port}"
        self._proxy = _Proxy(proxy) if proxy else None
        #: True when requests name the whole URL, to a proxy that passes them on.
        self.forwarded = self._proxy is not None and not self.secure
        #: Headers that go to a proxy which passes requests on.
        self.headers = self._proxy.headers if self._proxy is not None and self.forwarded else {}
        self._tls = tls_context(config) if self.secure or (self._proxy and self._proxy.secure) else None
        self._idle: deque[tuple[Connection, float]] = deque()
        self._lock = threading.Lock()

    def idle(self) -> Connection | None:
        """An open connection that waits, if there is one."""
        now = monotonic()
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:
                return None
            if now - since < IDLE_SECONDS and not _readable(connection.sock):
                return connection
            connection.close()
        return None

    def keep(self, connection: Connection) -> None:
        """Take back a connection whose response has been read to the end."""
        self._idle.append((connection, monotonic()))
        if len(self._idle) > IDLE_MOST or self._idle[0][1] < monotonic() - IDLE_SECONDS:
            self._drop_old()

    def _drop_old(self) -> None:
        with self._lock:
            before = monotonic() - IDLE_SECONDS
            while self._idle and (len(self._idle) > IDLE_MOST or self._idle[0][1] < before):
                try:
                    self._idle.popleft()[0].close()
                except IndexError:
                    return

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            try:
                self._idle.pop()[0].close()
            except IndexError:
                return

    def new(self) -> Connection:
        """A connection that does not stand yet."""
        proxy = self._proxy
        if proxy is None:
            if self.secure:
                return TLSConnection(self._host, self._port, ssl_context=self._tls)
            return PlainConnection(self._host, self._port)
        if self.secure or proxy.secure:
            policy = ProxyConfig(self._tls if proxy.secure else None, False, None, None)
            through = TLSConnection(proxy.host, proxy.port, ssl_context=self._tls, proxy=proxy.url, proxy_config=policy)
            if self.secure:
                through.set_tunnel(self._host, self._port, proxy.headers, "https" if proxy.secure else "http")
            return through
        return PlainConnection(proxy.host, proxy.port, proxy=proxy.url)

    def connect(self, connection: Connection, until: float | None, phase: str, seconds: float | None) -> None:
        """Make the connection stand by `until`, the end of the deadline `phase`."""
        connection.until = until
        try:
            connection.connect()
        except TimeoutError as error:
            text = f"no connection to {self._way()}: {passed(phase)}"
            raise DeadlineError(text, phase=phase, seconds=seconds) from error
        except (OSError, HTTPError, UnicodeError) as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> ChatModelError:
        failed = ConnectError(f"no connection to {self._way()}: {brief(_reason(error))}", phase="connect")
        if isinstance(_reason(error), ssl.SSLCertVerificationError):
            failed.retryable = False
        return failed

    def _way(self) -> str:
        return self.name if self._proxy is None else f"{self.name} through the proxy {self._proxy.name}"


class _Proxy:
    """A proxy's address, and its credentials as a header."""

    def __init__(self, url: str) -> None:
        bare = without_user(url)
        parts = urlsplit(bare)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"a proxy is an http:// or https:// address; got {bare!r}", argument="proxy")
        self.name = parts.netloc
        self.secure = parts.scheme == "https"
        self.host = parts.hostname
        self.port = parts.port or (443 if self.secure else 80)
        self.url = parse_url(bare)
        basic = basic_auth(url)
        self.headers = {} if basic is None else {"proxy-authorization": basic}


def _readable(sock: Any) -> bool:
    """Has the peer closed, or said something unasked?"""
    if sock is None:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _left(until: float | None) -> float | None:
    if until is None:
        return None
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError("the time is over")
    return left


def _reason(error: BaseException) -> BaseException:
    """The error at the root, under urllib3's wrappers."""
    inner = error.args[0] if error.args and isinstance(error, HTTPError) else None
    return inner if isinstance(inner, BaseException) else error
