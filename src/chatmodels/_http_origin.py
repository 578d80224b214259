"""Where requests go: a server, the way to it (through a proxy, with TLS), and the connections to it that wait.

Shared by the sync and the async transport. Opens no connection itself; knows no provider and no policy.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from ._errors import ChatModelError, ConnectError, DeadlineError, UsageError
from ._http_common import HTTPConfig, brief, passed, without_user
from ._proxy import basic_auth, proxy_for

#: Idle connections are given up after so many seconds: many servers, and the gateways between, drop them soon after.
IDLE_SECONDS = 60.0
IDLE_MOST = 256
#: Where a host has several addresses, each gets so many seconds before the next is tried; the silent ones are then tried
#: again with patience. So an address that leads nowhere (IPv6, often) costs little.
QUICK = 0.5

SOCKET_OPTIONS: list[tuple[int, int, int]] = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),  # a gateway must not forget a connection that waits for a long answer
]
for _name, _value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 5)):
    if hasattr(socket, _name):
        SOCKET_OPTIONS.append((socket.IPPROTO_TCP, getattr(socket, _name), _value))


class Origin:
    """One server, reached in one way."""

    def __init__(self, base_url: str, config: HTTPConfig) -> None:
        parts = urlsplit(base_url)
        self.secure = parts.scheme == "https"
        self.name = parts.netloc.rpartition("@")[2]
        try:
            self.hostname = (parts.hostname or "").encode("idna").decode()
            self.port = parts.port or (443 if self.secure else 80)
        except ValueError as error:
            raise UsageError(f"base_url: {self.name!r} is no address: {error}", argument="base_url") from error
        self.host = self.name if self.name.isascii() else f"{self.hostname}:{self.port}"
        proxy = proxy_for(base_url, config)
        self.proxy = Proxy(proxy) if proxy else None
        #: True when requests name the whole URL, to a proxy that passes them on; it gets `headers` too.
        self.forwarded = self.proxy is not None and not self.secure
        self.headers = self.proxy.headers if self.proxy is not None and self.forwarded else {}
        self.tls = tls_context(config) if self.secure or (self.proxy is not None and self.proxy.secure) else None
        self._good: Any = None
        #: What the name of the first stop led to, and when that was found out (async side).
        self.addresses: tuple[list[Any], float] = ([], 0.0)

    @property
    def first_stop(self) -> tuple[str, int]:
        """(host, port) that the connection itself goes to."""
        return (self.hostname, self.port) if self.proxy is None else (self.proxy.host, self.proxy.port)

    def sorted(self, addresses: list[Any]) -> list[Any]:
        """The addresses of the first stop, with the one first that took a connection last."""
        return sorted(addresses, key=lambda address: address != self._good)

    def was_good(self, address: Any) -> None:
        """This address has taken a connection."""
        self._good = address

    def target(self, path: str) -> str:
        """What the request line names."""
        return f"http://{self.host}{path}" if self.forwarded else path

    def failed(self, error: BaseException, phase: str, seconds: float | None) -> ChatModelError:
        """The error of a connection that could not be made by the end of the deadline `phase`."""
        way = self.name if self.proxy is None else f"{self.name} through the proxy {self.proxy.name}"
        if isinstance(error, TimeoutError):
            return DeadlineError(f"no connection to {way}: {passed(phase)}", phase=phase, seconds=seconds)
        failed = ConnectError(f"no connection to {way}: {brief(error)}", phase="connect")
        if isinstance(error, ssl.SSLCertVerificationError):
            failed.retryable = False
        return failed


class Proxy:
    """A proxy's address, and its credentials as a header."""

    def __init__(self, url: str) -> None:
        self.url = without_user(url)
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"proxy: {self.url!r} is no address: {error}", argument="proxy") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"a proxy is an http:// or https:// address; got {self.url!r}", argument="proxy")
        self.name = parts.netloc
        self.secure = parts.scheme == "https"
        self.host = parts.hostname
        self.port = port or (443 if self.secure else 80)
        basic = basic_auth(url)
        self.headers = {} if basic is None else {"proxy-authorization": basic}


class Ways:
    """What base URLs lead to: the origin, which those of one server share, and the path before each request's own."""

    def __init__(self, config: HTTPConfig) -> None:
        self._config = config
        self._origins: dict[tuple[str, str], Origin] = {}
        self._ways: dict[str, tuple[Origin, str]] = {}

    def of(self, base_url: str) -> tuple[Origin, str]:
        """(origin, prefix of the request's target)."""
        found = self._ways.get(base_url)
        if found is None:
            parts = urlsplit(base_url)
            key = (parts.scheme, parts.netloc)
            origin = self._origins.get(key) or self._origins.setdefault(key, Origin(base_url, self._config))
            if len(self._ways) > 1000:
                self._ways.clear()
            found = self._ways[base_url] = (origin, origin.target(parts.path.rstrip("/")))
        return found


class Closable(Protocol):
    """A connection, as far as its waiting goes."""

    @property
    def usable(self) -> bool:
        """Is it open, and has nothing come unasked?"""
        ...

    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class Idle(Generic[C]):
    """The connections to one origin that wait for the next request, the freshest first. Safe between threads."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[C, float]] = deque()

    def take(self) -> C | None:
        """One that can be used, if there is any."""
        while (last := _pop(self._waiting.pop)) is not None:
            connection, since = last
            if monotonic() - since < IDLE_SECONDS and connection.usable:
                return connection
            connection.close()
        return None

    def keep(self, connection: C) -> None:
        """Take back one whose response has been read to the end."""
        now = monotonic()
        self._waiting.append((connection, now))
        while len(self._waiting) > IDLE_MOST or self._waiting[0][1] < now - IDLE_SECONDS:
            first = _pop(self._waiting.popleft)
            if first is None:
                return
            first[0].close()

    def close(self) -> None:
        """Close them all."""
        while (last := _pop(self._waiting.pop)) is not None:
            last[0].close()


def _pop(pop: Callable[[], tuple[C, float]]) -> tuple[C, float] | None:
    try:
        return pop()
    except IndexError:  # another thread was faster
        return None


def tls_context(config: HTTPConfig) -> ssl.SSLContext:
    """TLS with the system's trust store, or as configured."""
    cafile = config.verify if isinstance(config.verify, str) else None
    try:
        context = ssl.create_default_context(cafile=cafile)
    except OSError as error:
        raise UsageError(f"verify={cafile!r} is no file of CA certificates: {error}", argument="verify") from error
    context.set_alpn_protocols(["http/1.1"])
    if config.verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.cert is not None:
        cert, key = (config.cert, None) if isinstance(config.cert, str) else config.cert
        try:
            context.load_cert_chain(cert, key)
        except OSError as error:
            raise UsageError(
                f"cert={cert!r} is no client certificate with its key: {error}", argument="cert"
            ) from error
    return context
