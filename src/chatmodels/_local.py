"""The transport of `local:` models: the embedded engine in place of a socket. It takes the same request bytes as a server
would and gives the same response bytes, so the OpenAI dialect serves it. The engine itself is `_engine.py`.
"""

from __future__ import annotations

import queue
import sys
import time
from typing import Any

from ._call import HTTPResponse
from ._errors import DeadlineError
from ._flow import Open, Send


class LocalTransport:
    """One model file with its engine options. The engine is shared by all transports of the process that want the same."""

    def __init__(self, model: str | None, options: dict[str, Any]) -> None:
        self._model = model
        self._options = options

    def engine(self) -> Any:
        """The engine, loaded at the first call."""
        from ._engine import engine

        return engine(self._model, **self._options)

    def send(self, effect: Send) -> HTTPResponse:
        """Run the request to its end."""
        return self.open(effect).whole(effect.deadline)

    def open(self, effect: Open | Send) -> LocalOpened:
        """Begin the request."""
        opened = LocalOpened(_Inbox())
        opened.start(self.engine(), effect.request.body, effect.deadline)
        return opened

    async def asend(self, effect: Send) -> HTTPResponse:
        """`send` in the async world."""
        opened = await self.aopen(effect)
        pieces: list[bytes] = []
        done = False
        try:
            while piece := await opened.aread(None, effect.deadline, "total"):
                pieces.append(piece)
            done = True
        finally:
            if not done:
                opened.abort()
        return HTTPResponse(status=opened.status, headers=opened.headers, body=b"".join(pieces))

    async def aopen(self, effect: Open | Send) -> Any:
        """`open` in the async world."""
        from ._async import in_thread, in_trio

        engine = await in_thread(self.engine)
        if in_trio():
            from ._http import ThreadedOpened

            opened = LocalOpened(_Inbox())
            await in_thread(opened.start, engine, effect.request.body, effect.deadline, cancel=opened.abort)
            return ThreadedOpened(opened)  # type: ignore[arg-type]
        from ._local_async import AsyncLocalOpened

        found = AsyncLocalOpened()
        await found.start(engine, effect.request.body, effect.deadline)
        return found


class _Inbox:
    """A queue whose reader can be interrupted and can wait with a limit."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.put = self._queue.put

    def get(self, deadline: float | None) -> Any:
        if deadline is None:
            return self._queue.get()
        left = deadline - time.monotonic()
        try:
            return self._queue.get(timeout=max(0.0, left))
        except queue.Empty:
            raise DeadlineError("the embedded model did not answer in time", phase="total") from None
