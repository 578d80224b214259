"""One background thread with an event loop, for sync callers who want many calls in flight without many threads.

Started at the first use, one per process, a fresh one after a fork. It ends with the interpreter. Code that runs inside
a portal (a callback handler) and wants one itself gets another: waiting for its own loop would never end.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Portal:
    """A loop in a daemon thread."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="chatmodels-portal", daemon=True)
        self.thread.start()
        atexit.register(self.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self._cancel_all()
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin the coroutine in the loop; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine to its end. Ctrl-C here cancels it there."""
        future = self.start(coroutine)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """End the loop and its connections."""
        if self.pid != os.getpid() or self.loop.is_closed():
            return
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(timeout=2)


class _Portals:
    """Those of this process, by the thread that asks: 0 for all that are no portals, else the portal's own thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.by_asker: dict[int, Portal] = {}
        self.abandoned: list[Any] = []

    def forked(self) -> None:
        """In the child of a fork: the loops belong to the parent, and are kept and never touched."""
        self.lock = threading.Lock()
        self.abandoned.append(self.by_asker)
        self.by_asker = {}


_portals = _Portals()


def portal() -> Portal:
    """The portal of this process."""
    with _portals.lock:
        asker = threading.get_ident() if in_portal() else 0
        found = _portals.by_asker.get(asker)
        if found is None:
            found = _portals.by_asker[asker] = Portal()
        return found


def in_portal() -> bool:
    """Does the calling code run in a portal's loop?"""
    here = threading.get_ident()
    return any(p.thread.ident == here for p in list(_portals.by_asker.values()))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_portals.forked)
