"""One background thread with an event loop, for sync callers who want many calls in flight without many threads.

Started at the first use, one per process, a fresh one after a fork. It ends with the interpreter.
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
        self._thread = threading.Thread(target=self._run, name="chatmodels-portal", daemon=True)
        self._thread.start()

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
        self._thread.join(timeout=2)


_lock = threading.Lock()
_portal: Portal | None = None


def portal() -> Portal:
    """The portal of this process."""
    global _portal
    with _lock:
        if _portal is None or _portal.pid != os.getpid():
            _portal = Portal()
            atexit.register(_portal.stop)
        return _portal


def _forked() -> None:
    global _lock, _portal
    _lock = threading.Lock()
    _abandoned.append(_portal)  # its loop belongs to the parent: kept, never touched
    _portal = None


_abandoned: list[Portal | None] = []

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
