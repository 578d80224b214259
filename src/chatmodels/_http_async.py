"""The async transport (asyncio): as the sync one, a request written, and its response read piece by piece with deadlines.

The bytes are those of `_http_wire`, the connections those of `_http_async_connect`. Connections belong to an event loop and
close with it (the loop's `shutdown_asyncgens`, which `asyncio.run` calls), so no loop is left with open connections and none
is asked to close after its end. No policy lives here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from threading import Lock
from time import monotonic
from typing import Any
from weakref import WeakSet

from ._call import HTTPResponse
from ._errors import ChatModelError, DeadlineError, TransportError
from ._flow import Open, Send
from ._http_async_connect import Connection, connect
from ._http_common import DRAIN_SECONDS, HTTPConfig, brief, head_limit, headers_of, passed
from ._http_origin import Idle, Origin, Ways
from ._http_wire import BODY_LIMIT, Body, Head, request_head, response_head, too_large


class AsyncPool:
    """The connections of one configuration, by event loop."""

    def __init__(self, config: HTTPConfig) -> None:
        self._ways = Ways(config)
        self._loops: WeakSet[Any] = WeakSet()
        self._lock = Lock()  # loops run in many threads

    async def _opened(self, effect: Open | Send) -> AsyncOpened:
        loop = asyncio.get_running_loop()
        home = _homes_of(loop).get(self) or await self._new_home(loop)
        origin, prefix = self._ways.of(effect.target.base_url)
        idle = home.idle.get(origin)
        if idle is None:
            idle = home.idle[origin] = Idle()
        return AsyncOpened(origin, prefix, idle, effect)

    async def _new_home(self, loop: Any) -> _Home:
        with self._lock:
            for old in [one for one in self._loops if one.is_closed()]:
                _homes_of(old).pop(self, None)
                self._loops.discard(old)
            self._loops.add(loop)
        home = _Home()
        home.lifetime = self._until_the_loop_ends(loop, home)
        await anext(home.lifetime)
        _homes_of(loop)[self] = home
        return home

    async def _until_the_loop_ends(self, loop: Any, home: _Home) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            _homes_of(loop).pop(self, None)
            for idle in home.idle.values():
                idle.close()
            await asyncio.sleep(0)  # the loop closes the sockets in its next round

    async def send(self, effect: Send) -> HTTPResponse:
        """Send, and read the whole response."""
        opened = await self._opened(effect)
        await opened.start()
        return await opened.whole(effect.deadline)

    async def open(self, effect: Open) -> AsyncOpened:
        """Send, and wait for the head of the response."""
        opened = await self._opened(effect)
        effect.hold.append(opened)
        await opened.start()
        return opened


#: The attribute of an event loop that has its connections. Whoever else held them would keep the loop alive, which they know:
#: programs that make a loop for each job and never close it would run out of files.
_HOMES = "_chatmodels_homes"


def _homes_of(loop: Any) -> dict[AsyncPool, _Home]:
    found: dict[AsyncPool, _Home] | None = getattr(loop, _HOMES, None)
    if found is None:
        found = {}
        setattr(loop, _HOMES, found)
    return found


class _Home:
    """The connections of one event loop."""

    __slots__ = ("idle", "lifetime")

    def __init__(self) -> None:
        self.idle: dict[Origin, Idle[Connection]] = {}
        self.lifetime: AsyncGenerator[None, None] | None = None  # kept: it would end the connections when it goes


class AsyncOpened:
    """A response, from before its request is sent. `abort` may be called at any time in the loop's thread."""

    __slots__ = (
        "_aborted", "_body", "_connection", "_effect", "_first", "_idle", "_origin", "_prefix", "headers", "status",
    )  # fmt: skip

    def __init__(self, origin: Origin, prefix: str, idle: Idle[Connection], effect: Open | Send) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._origin = origin
        self._prefix = prefix
        self._idle = idle
        self._effect = effect
        self._connection: Connection | None = None  # while it is ours
        self._body: Body | None = None
        self._first = b""  # what came of the body along with the head
        self._aborted = False

    async def start(self) -> None:
        """Send, and wait for the head of the response."""
        until, phase, seconds = head_limit(self._effect, monotonic())
        try:
            connection = self._idle.take()
            if connection is None:
                connection = await self._connect(until, phase, seconds)
            self._connection = connection
            connection.write(self._bytes())
            head = await self._head(connection, until)
        except TimeoutError as error:
            self._close()
            if isinstance(error, DeadlineError):
                raise
            raise DeadlineError(f"{self._origin.name}: {passed(phase)}", phase=phase, seconds=seconds) from error
        except OSError as error:
            self._close()
            raise TransportError(
                f"the connection to {self._origin.name} broke: {brief(error)}", phase="send"
            ) from error
        except BaseException:
            self._close()
            raise
        self.status, self.headers = head.status, head.headers

    async def _connect(self, until: float | None, phase: str, seconds: float | None) -> Connection:
        limit = self._effect.target.timeouts.connect
        if limit is not None and (until is None or monotonic() + limit < until):
            until, phase, seconds = monotonic() + limit, "connect", limit
        connection = await connect(self._origin, until, phase, seconds)
        if self._aborted:
            connection.close()
            raise ConnectionAbortedError("the call was given up")
        return connection

    def _bytes(self) -> bytes:
        request, origin = self._effect.request, self._origin
        headers = headers_of(self._effect)
        if origin.headers:
            headers = {**headers, **origin.headers}
        target = self._prefix + request.path
        return request_head(request.method, target, origin.host, headers, len(request.body)) + request.body

    async def _head(self, connection: Connection, until: float | None) -> Head:
        data = b""
        while True:
            piece = await connection.receive(until)
            if not piece:
                raise ConnectionResetError("it was closed before an answer came")
            data = data + piece if data else piece
            found = response_head(data)
            if found is not None:
                head, self._first = found
                self._body = Body(head)
                return head

    async def whole(self, deadline: float | None) -> HTTPResponse:
        """Read the whole body."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self.aread(None, deadline, "total"):
            pieces.append(piece)
            size += len(piece)
            if size > BODY_LIMIT:
                self._close()
                raise too_large(BODY_LIMIT)
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return HTTPResponse(status=self.status, headers=self.headers, body=body)

    async def aread(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        """The next bytes; empty at the end of the body, when the connection is kept for the next call."""
        body, connection = self._body, self._connection
        if body is None or connection is None:
            if body is not None and body.done:
                return b""
            raise TransportError("the connection is closed", phase="read")
        until = deadline
        if idle is not None and (deadline is None or monotonic() + idle < deadline):
            until, phase = monotonic() + idle, "idle"
        try:
            data = await self._payload(body, connection, until)
        except TimeoutError as error:
            self._close()
            raise DeadlineError(passed(phase), phase=phase) from error
        except OSError as error:
            self._close()
            text = f"the connection broke while the answer was read: {brief(error)}"
            raise TransportError(text, phase="read") from error
        except BaseException:
            self._close()
            raise
        if not data:
            self._keep(body)
        return data

    async def _payload(self, body: Body, connection: Connection, until: float | None) -> bytes:
        raw, self._first = self._first, b""
        while not body.done:
            if not raw:
                raw = await connection.receive(until)
                if not raw:
                    body.end()
                    return b""
            data = body.feed(raw)
            if data:
                return data
            raw = b""
        if raw:
            body.reusable = False
        return b""

    async def afinish(self) -> None:
        """Read the rest of a body that has said all, so that the connection can serve again; else close it."""
        ends = monotonic() + DRAIN_SECONDS
        try:
            for _ in range(64):
                if not await self.aread(None, ends, "idle"):
                    return
        except ChatModelError:
            return  # the answer is complete; the connection is closed and not used again
        self.abort()

    def _keep(self, body: Body) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if body.reusable and connection.usable:
            self._idle.keep(connection)
        else:
            connection.close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def abort(self) -> None:
        """Close the connection at once; who waits for it in another task is told."""
        self._aborted = True
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.give_up()
