"""Connections of the async transport: asyncio makes them (TCP, TLS), and tunnels through proxies are dug here.

Bytes that come are kept until somebody takes them; who waits for them waits no longer than a point in time. Knows nothing
of requests, providers or policy.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from time import monotonic
from typing import Any

from ._http_origin import QUICK, SOCKET_OPTIONS, Origin, Proxy
from ._http_wire import request_head, response_head

#: So many bytes may wait to be taken before the peer is held back.
HIGH = 1 << 20
#: How long the addresses of a name are believed.
ADDRESS_SECONDS = 60.0


class Connection(asyncio.Protocol):
    """One connection, in its loop's thread."""

    __slots__ = (
        "_came", "_failed", "_held_back", "_loop", "_over", "_pid", "_size", "_timer", "_timer_at", "_until", "_waiter",
        "transport",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pid = os.getpid()
        self.transport: Any = None
        self._came: list[bytes] = []
        self._size = 0
        self._over = False
        self._failed: BaseException | None = None
        self._held_back = False
        self._waiter: asyncio.Future[None] | None = None
        self._until: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    # -- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._came.append(data)
        waiter = self._waiter
        if waiter is not None:
            if not waiter.done():
                waiter.set_result(None)
            return
        self._size += len(data)
        if self._size > HIGH and not self._held_back:
            self._held_back = True
            self.transport.pause_reading()

    def eof_received(self) -> None:
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, failed: BaseException | None) -> None:
        self._over = True
        self._failed = self._failed or failed
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # -- what the transport calls

    @property
    def usable(self) -> bool:
        """Is it open, and has nothing come unasked?"""
        return not self._over and not self._came

    def write(self, data: bytes) -> None:
        """Send."""
        self.transport.write(data)

    async def receive(self, until: float | None) -> bytes:
        """What has come, at least something; empty when the peer has ended the connection. A TimeoutError after `until`."""
        if not self._came:
            if self._over:
                if self._failed is not None:
                    raise self._failed
                return b""
            self._watch(until)
            self._waiter = waiter = self._loop.create_future()
            try:
                await waiter
            finally:
                self._waiter = None
                self._until = None
        came = self._came
        if not came:
            return await self.receive(until)
        data = came[0] if len(came) == 1 else b"".join(came)
        came.clear()
        self._size = 0
        if self._held_back:
            self._held_back = False
            self.transport.resume_reading()
        return data

    def close(self) -> None:
        """Close at once."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # In the child of a fork it is the parent's, and so is what its loop listens to: that is left alone.
        if self.transport is not None and self._pid == os.getpid():
            self.transport.abort()

    def give_up(self) -> None:
        """Close at once, and have whoever waits fail."""
        self._failed = ConnectionAbortedError("the call was given up")
        self._end(None)
        self.close()

    # -- time

    def _watch(self, until: float | None) -> None:
        """Note until when the reader may wait. The timer itself is set anew only when it would ring too late."""
        self._until = until
        if until is not None and (self._timer is None or until < self._timer_at):
            self._set_timer(until)

    def _set_timer(self, until: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = until
        self._timer = self._loop.call_later(until - monotonic(), self._ring)

    def _ring(self) -> None:
        self._timer = None
        until, waiter = self._until, self._waiter
        if until is None or waiter is None or waiter.done():
            return
        if until > monotonic() + 0.001:
            self._set_timer(until)
        else:
            waiter.set_exception(TimeoutError("the time is over"))


async def connect(origin: Origin, until: float | None, phase: str, seconds: float | None) -> Connection:
    """A connection that stands by `until`, the end of the deadline `phase`."""
    connection = Connection(asyncio.get_running_loop())
    try:
        async with asyncio.timeout_at(None if until is None else _loop_time(until)):
            await _stand(connection, origin, until)
    except (OSError, UnicodeError) as error:
        connection.close()
        raise origin.failed(error, phase, seconds) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _loop_time(until: float) -> float:
    return asyncio.get_running_loop().time() + max(0.0, until - monotonic())


async def _stand(connection: Connection, origin: Origin, until: float | None) -> None:
    loop = asyncio.get_running_loop()
    sock = await _reach(origin)
    try:
        proxy = origin.proxy
        first_tls = origin.tls if (origin.secure if proxy is None else proxy.secure) else None
        name = None if first_tls is None else origin.first_stop[0]
        await loop.create_connection(lambda: connection, sock=sock, ssl=first_tls, server_hostname=name)
    except BaseException:
        sock.close()
        raise
    if proxy is not None and origin.secure and origin.tls is not None:
        await _tunnel(connection, origin, proxy, origin.tls, until)


async def _reach(origin: Origin) -> socket.socket:
    """A TCP connection to one of the addresses of the first stop."""
    addresses = origin.sorted(await _addresses(origin))
    silent: list[Any] = []
    failed: OSError = OSError(f"{origin.first_stop[0]} has no address")
    for address in addresses:
        try:
            if len(addresses) == 1:
                return await _reach_one(origin, address)
            async with asyncio.timeout(QUICK):
                return await _reach_one(origin, address)
        except TimeoutError as error:
            failed = error
            silent.append(address)
        except OSError as error:
            failed = error
    for address in silent if len(addresses) > 1 else ():
        try:
            return await _reach_one(origin, address)
        except OSError as error:
            failed = error
    raise failed


async def _addresses(origin: Origin) -> list[Any]:
    known, since = origin.addresses
    if known and monotonic() - since < ADDRESS_SECONDS:
        return known
    host, port = origin.first_stop
    try:
        found: list[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:  # a name and no number: finding out takes a thread
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    origin.addresses = found, monotonic()
    return found


async def _reach_one(origin: Origin, address: Any) -> socket.socket:
    family, kind, protocol, _, name = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        for option in SOCKET_OPTIONS:
            sock.setsockopt(*option)
        await asyncio.get_running_loop().sock_connect(sock, name)
    except BaseException:
        sock.close()
        raise
    origin.was_good(address)
    return sock


async def _tunnel(
    connection: Connection, origin: Origin, proxy: Proxy, tls: ssl.SSLContext, until: float | None
) -> None:
    """Have the proxy put us through, and speak TLS with the server behind it."""
    there = f"{origin.hostname}:{origin.port}"
    connection.write(request_head("CONNECT", there, there, proxy.headers, 0))
    data = b""
    while (found := response_head(data)) is None:
        piece = await connection.receive(until)
        if not piece:
            raise ConnectionResetError("the proxy closed the connection")
        data += piece
    if found[0].status != 200:
        raise OSError(f"the proxy answered {found[0].status}")
    loop = asyncio.get_running_loop()
    transport = await loop.start_tls(connection.transport, connection, tls, server_hostname=origin.hostname)
    connection.transport = transport
