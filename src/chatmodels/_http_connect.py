"""Connections of the sync transport. urllib3 makes them: TCP, TLS, proxies and their tunnels.

Knows deadlines and addresses; nothing of requests, providers or policy.
"""

from __future__ import annotations

import select
import socket
from time import monotonic
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection, ProxyConfig
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from ._http_origin import QUICK, SOCKET_OPTIONS, Origin


class _Timed:
    """What both kinds of connection share: all addresses of a host are tried within one deadline."""

    origin: Origin
    until: float | None = None

    def _new_conn(self: Any) -> Any:
        host, port = self.origin.first_stop
        addresses = self.origin.sorted(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        silent: list[Any] = []
        failed: OSError = OSError(f"{host} has no address")
        for address in addresses:
            limit = left(self.until)
            try:
                return self._reach(address, limit if len(addresses) == 1 else min(QUICK, limit or QUICK))
            except TimeoutError as error:
                failed = error
                silent.append(address)
            except OSError as error:
                failed = error
        for place, address in enumerate(silent if len(addresses) > 1 else ()):
            limit = left(self.until)
            try:
                return self._reach(address, None if limit is None else limit / (len(silent) - place))
            except OSError as error:
                failed = error
        raise failed

    def _reach(self: Any, address: Any, seconds: float | None) -> Any:
        family, kind, protocol, _, name = address
        self.sock = sock = socket.socket(family, kind, protocol)  # kept, so that `abort` finds it while it connects
        try:
            for option in SOCKET_OPTIONS:
                sock.setsockopt(*option)
            sock.settimeout(seconds)
            sock.connect(name)
            sock.settimeout(left(self.until))
        except BaseException:
            sock.close()
            self.sock = None
            raise
        self.origin.was_good(address)
        return sock

    @property
    def usable(self: Any) -> bool:
        """Is it open, and has nothing come unasked?"""
        return self.sock is not None and not _readable(self.sock)


class PlainConnection(_Timed, HTTPConnection):
    """A connection to a server, or to a proxy that passes requests on."""


class TLSConnection(_Timed, HTTPSConnection):
    """A TLS connection, perhaps through a proxy's tunnel."""


Connection = PlainConnection | TLSConnection


def new(origin: Origin) -> Connection:
    """A connection that does not stand yet."""
    connection = _made(origin)
    connection.origin = origin
    return connection


def _made(origin: Origin) -> Connection:
    proxy, tls = origin.proxy, origin.tls
    if proxy is None:
        if origin.secure:
            return TLSConnection(origin.hostname, origin.port, ssl_context=tls)
        return PlainConnection(origin.hostname, origin.port)
    if not origin.secure and not proxy.secure:
        return PlainConnection(proxy.host, proxy.port, proxy=parse_url(proxy.url))
    policy = ProxyConfig(tls if proxy.secure else None, False, None, None)
    made = TLSConnection(proxy.host, proxy.port, ssl_context=tls, proxy=parse_url(proxy.url), proxy_config=policy)
    if origin.secure:
        made.set_tunnel(origin.hostname, origin.port, proxy.headers, "https" if proxy.secure else "http")
    return made


def connect(connection: Connection, until: float | None, phase: str, seconds: float | None) -> None:
    """Make the connection stand by `until`, the end of the deadline `phase`."""
    connection.until = until
    try:
        connection.connect()
    except (OSError, HTTPError, UnicodeError) as error:
        raise connection.origin.failed(_root(error), phase, seconds) from error


def _root(error: BaseException) -> BaseException:
    """The error under urllib3's wrapper."""
    inner = error.args[0] if error.args and isinstance(error, HTTPError) else None
    return inner if isinstance(inner, BaseException) else error


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
