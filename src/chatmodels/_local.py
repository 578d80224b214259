"""The transport of `local:` models: the embedded engine in place of a socket. It takes the same request bytes as a server
would and gives the same response bytes, so the OpenAI dialect serves it. The engine itself is `_engine.py`.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

from ._async import in_thread, in_trio
from ._call import HTTPResponse
from ._errors import ChatModelError, DeadlineError, TransportError
from ._flow import Open, Send

if TYPE_CHECKING:
    import asyncio

    from ._engine import Engine
    from ._engine_jobs import Job, Piece


class LocalTransport:
    """One model with its engine options. The engine is shared by all transports of the process that want the same."""

    def __init__(self, model: str, options: dict[str, Any]) -> None:
        self._model = model
        self._options = options

    def engine(self) -> Engine:
        """The engine, loaded at the first call."""
        from ._engine import engine

        return engine(self._model, **self._options)

    def send(self, effect: Send) -> HTTPResponse:
        """Run the request to its end."""
        return self.open(effect).whole(effect.deadline)

    def open(self, effect: Open | Send) -> LocalOpened:
        """Begin the request, and wait for the first of the answer."""
        opened = LocalOpened()
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
        if in_trio():
            from ._http import ThreadedOpened

            opened = LocalOpened()
            engine = await in_thread(self.engine)
            await in_thread(opened.start, engine, effect.request.body, effect.deadline, cancel=opened.abort)
            return ThreadedOpened(opened)
        engine = await in_thread(self.engine)
        found = AsyncLocalOpened()
        await found.start(engine, effect.request.body, effect.deadline)
        return found


class LocalOpened:
    """The answer of the engine to one request, for a thread that waits for it."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._pieces: queue.SimpleQueue[Piece] = queue.SimpleQueue()
        self._job: Job | None = None
        self._over = False

    def start(self, engine: Engine, body: bytes, deadline: float | None) -> None:
        """Hand the request to the engine; returns with the first piece of the answer."""
        self._job = engine.submit(body, deliver=self._pieces.put)
        try:
            opening = self._next(None, deadline, "total")
        except BaseException:
            self.abort()
            raise
        self.status, self.headers = _head(opening)

    def _next(self, idle: float | None, deadline: float | None, phase: str) -> Piece:
        wait, phase = _wait(idle, deadline, phase)
        try:
            return self._pieces.get(timeout=wait)
        except queue.Empty:
            raise _too_late(phase) from None

    def read(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        """The next bytes; empty at the end."""
        if self._over:
            return b""
        try:
            piece = self._next(idle, deadline, phase)
        except BaseException:
            self.abort()
            raise
        self._over = not isinstance(piece, bytes)
        return _data(piece)

    def whole(self, deadline: float | None) -> HTTPResponse:
        """Read the whole answer."""
        pieces: list[bytes] = []
        while piece := self.read(None, deadline, "total"):
            pieces.append(piece)
        return HTTPResponse(status=self.status, headers=self.headers, body=b"".join(pieces))

    def finish(self) -> None:
        """The answer has said all: nothing is left to read."""

    def abort(self) -> None:
        """Stop the engine's work on this request."""
        self._over = True
        if self._job is not None:
            self._job.cancel()


class AsyncLocalOpened:
    """The answer of the engine to one request, for a task that waits for it."""

    def __init__(self) -> None:
        import asyncio

        self.status = 0
        self.headers: dict[str, str] = {}
        self._loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._pieces: deque[Piece] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._job: Job | None = None
        self._over = False
        self._lock = threading.Lock()
        self._told = False

    async def start(self, engine: Engine, body: bytes, deadline: float | None) -> None:
        """Hand the request to the engine; returns with the first piece of the answer."""
        self._job = engine.submit(body, deliver=self._deliver)
        try:
            opening = await self._next(None, deadline, "total")
        except BaseException:
            self.abort()
            raise
        self.status, self.headers = _head(opening)

    def _deliver(self, piece: Piece) -> None:
        """Called from the engine's thread: the loop is told once for all pieces that it has not taken yet."""
        self._pieces.append(piece)
        with self._lock:
            tell, self._told = not self._told, True
        if tell:
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        with self._lock:
            self._told = False
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _next(self, idle: float | None, deadline: float | None, phase: str) -> Piece:
        if self._pieces:
            return self._pieces.popleft()
        import asyncio

        wait, phase = _wait(idle, deadline, phase)
        try:
            async with asyncio.timeout(wait):
                while not self._pieces:
                    self._waiter = self._loop.create_future()
                    await self._waiter
        except TimeoutError:
            raise _too_late(phase) from None
        return self._pieces.popleft()

    async def aread(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        """The next bytes, all that have come; empty at the end."""
        if self._over:
            return b""
        try:
            piece = await self._next(idle, deadline, phase)
        except BaseException:
            self.abort()
            raise
        self._over = not isinstance(piece, bytes)
        return _data(piece)

    async def afinish(self) -> None:
        """The answer has said all: nothing is left to read."""

    def abort(self) -> None:
        """Stop the engine's work on this request."""
        self._over = True
        if self._job is not None:
            self._job.cancel()


def _head(opening: Piece) -> tuple[int, dict[str, str]]:
    from ._engine_jobs import Opening

    if isinstance(opening, Opening):
        return opening.status, {"content-type": opening.content_type}
    _data(opening)
    raise TransportError("the embedded engine gave no answer", phase="read")


def _data(piece: Piece) -> bytes:
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, ChatModelError):
        raise piece
    if isinstance(piece, BaseException):
        raise TransportError(f"the embedded engine failed: {piece}", phase="read") from piece
    return b""


def _wait(idle: float | None, deadline: float | None, phase: str) -> tuple[float | None, str]:
    """How long to wait, and the name of that limit."""
    left = None if deadline is None else deadline - monotonic()
    if left is None or (idle is not None and idle < left):
        return idle, "idle"
    return max(0.0, left), phase


def _too_late(phase: str) -> DeadlineError:
    return DeadlineError(f"the embedded model did not answer in time (the {phase} deadline)", phase=phase)


_SHARED: dict[tuple[str, str], LocalTransport] = {}


def local_transport(model: str, options: dict[str, Any]) -> LocalTransport:
    """The transport for a model with these engine options."""
    key = (model, repr(sorted(options.items())))
    return _SHARED.setdefault(key, LocalTransport(model, options))
