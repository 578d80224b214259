"""The sockets of this process that stand at one local address: those of the embedded engine's own HTTP server.

The engine's library opens them and gives no handle on them, but an engine cannot be closed under a running HTTP
request, and a forked child should not keep the port alive. Knows file descriptors, not the engine.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator


def sockets_at(host: str, port: int, *, connected: bool = False) -> list[int]:
    """File descriptors of the TCP sockets bound to (host, port); `connected`: without the one that listens.

    Empty where the system does not list its descriptors (Windows).
    """
    return [fd for fd in _descriptors() if _stands_at(fd, (host, port), connected)]


def _descriptors() -> Iterator[int]:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            yield from (int(name) for name in os.listdir(folder) if name.isdigit())
            return


def _stands_at(fd: int, address: tuple[str, int], connected: bool) -> bool:
    # A copy, because a socket object closes what it holds. What is not a TCP socket, or no longer open, raises.
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as sock:
        if sock.getsockname() != address:
            return False
        if connected:
            sock.getpeername()
        return True
    return False


def hang_up(fd: int) -> None:
    """End the connection behind a descriptor, which stays open for its owner to find out."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as sock:
        sock.shutdown(socket.SHUT_RDWR)
