"""A user's own HTTP client in place of ours: `http_client=` takes an httpx or httpx2 Client or AsyncClient.

For mocks, corporate proxies and instrumentation. The client's library is never imported here: it is known by its
classes' names. A Client serves the sync methods, an AsyncClient the async ones, under asyncio or trio.
"""

from __future__ import annotations

import heapq
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from itertools import count
from time import monotonic
from typing import Any

from ._async import in_thread, spawn, within
from ._call import HTTPResponse
from ._errors import ChatModelError, ConnectError, DeadlineError, ProtocolError, TransportError, UsageError
from ._flow import Open, Send
from ._http import ThreadedOpened
from ._http_common import DRAIN_SECONDS, brief, head_limit, headers_of, passed
from ._portal import in_portal


def client_transport(client: Any) -> ClientTransport:
    """The transport over a user's client."""
    for cls in type(client).__mro__:
        library = cls.__module__.partition(".")[0]
        if library in ("httpx", "httpx2") and cls.__name__ in ("Client", "AsyncClient"):
            return ClientTransport(client, library, cls.__name__ == "AsyncClient")
    raise UsageError(
        f"http_client is a Client or an AsyncClient of httpx or httpx2, not {type(client).__name__}",
        argument="http_client",
    )


class ClientTransport:
    """Performs `Send` and `Open` with the user's client."""

    def __init__(self, client: Any, library: str, is_async: bool) -> None:
        self._client = client
        self._library = library
        self._is_async = is_async

    def _need(self, kind: str, calls: str) -> None:
        if self._is_async != (kind == "AsyncClient"):
            have = "AsyncClient" if self._is_async else "Client"
            raise UsageError(
                f"http_client is a {self._library}.{have}, and {calls} calls need a {self._library}.{kind}: pass that",
                argument="http_client",
            )

    def send(self, effect: Send) -> HTTPResponse:
        """Send and read the whole answer."""
        return _whole(self.open(effect), effect.deadline)

    def open(self, effect: Open | Send) -> ClientOpened:
        """Send and give the open response."""
        self._need("Client", "sync")
        opened = ClientOpened()
        if isinstance(effect, Open):
            effect.hold.append(opened)
        opened.start(self._client, effect)
        return opened

    async def asend(self, effect: Send) -> HTTPResponse:
        """`send` in the async world."""
        if self._is_threaded():
            return await in_thread(self.send, effect)
        opened = await self._aopen(effect)
        pieces: list[bytes] = []
        while piece := await opened.aread(None, effect.deadline, "total"):
            pieces.append(piece)
        return HTTPResponse(status=opened.status, headers=opened.headers, body=b"".join(pieces))

    async def aopen(self, effect: Open) -> AsyncClientOpened | ThreadedOpened:
        """`open` in the async world."""
        if self._is_threaded():
            return ThreadedOpened(await in_thread(self.open, effect))
        return await self._aopen(effect)

    def _is_threaded(self) -> bool:
        """A sync batch makes its calls in the portal's loop; a sync client serves it from threads."""
        if in_portal():
            self._need("Client", "sync")
            return True
        self._need("AsyncClient", "async")
        return False

    async def _aopen(self, effect: Open | Send) -> AsyncClientOpened:
        until, phase, seconds = head_limit(effect, monotonic())
        request = _request(self._client, effect, until)
        try:
            response = await within(until, self._client.send, request, stream=True, follow_redirects=False)
        except Exception as error:
            raise _failed(error, phase, seconds, sending=True) from error
        return AsyncClientOpened(response)


def _request(client: Any, effect: Open | Send, until: float | None) -> Any:
    target, request = effect.target, effect.request
    connect = target.timeouts.connect
    left = None if until is None else max(0.001, until - monotonic())
    shortest = min((t for t in (connect, left) if t is not None), default=None)
    # httpx bounds each wait, not the call; the points in time that bound the call are watched from outside.
    timeout = {"connect": shortest, "pool": shortest, "read": None, "write": None}
    try:
        return client.build_request(
            request.method,
            target.base_url.rstrip("/") + request.path,
            content=request.body,
            headers=headers_of(effect),
            extensions={"timeout": timeout},
        )
    except Exception as error:
        raise _failed(error, "connect", connect, sending=True) from error


class ClientOpened:
    """An open response of a sync client. `abort` may be called from any thread."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._response: Any = None
        self._pieces: Iterator[bytes] = iter(())
        self._given_up = False

    def start(self, client: Any, effect: Open | Send) -> None:
        """Send, and wait for the head of the response."""
        until, phase, seconds = head_limit(effect, monotonic())
        request = _request(client, effect, until)
        if until is not None:  # nothing can wake a client that waits for the head but its own limit
            request.extensions["timeout"].update(read=until - monotonic(), write=until - monotonic())
        try:
            self._response = client.send(request, stream=True, follow_redirects=False)
        except Exception as error:
            raise _failed(error, phase, seconds, sending=True) from error
        request.extensions["timeout"].update(read=None, write=None)
        self.status = self._response.status_code
        self.headers = _headers(self._response)
        self._pieces = self._response.iter_bytes()
        if self._given_up:
            self.abort()

    def read(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        """The next bytes; empty at the end."""
        until = deadline
        if idle is not None and (deadline is None or monotonic() + idle < deadline):
            until, phase = monotonic() + idle, "idle"
        alarm = None if until is None else _alarms.at(until, self._wake)
        try:
            piece = next(filter(None, self._pieces), b"")
            if not piece and alarm is not None and alarm.rang:  # an end that was ours
                raise TimeoutError
            return piece
        except Exception as error:
            self._response.close()
            if alarm is not None and alarm.rang:
                raise DeadlineError(passed(phase), phase=phase) from None
            raise _failed(error, phase, None, sending=False) from error
        except BaseException:
            self.abort()
            raise
        finally:
            if alarm is not None:
                alarm.cancelled = True

    def finish(self) -> None:
        """Read the rest of a body that has said all; else close it."""
        ends = monotonic() + DRAIN_SECONDS
        try:
            for _ in range(64):
                if not self.read(None, ends, "idle"):
                    return
        except ChatModelError:
            return  # the answer is complete; the connection is closed
        self.abort()

    def _wake(self) -> None:
        if self._response is not None:
            _shut_down(self._response)

    def abort(self) -> None:
        """Close the connection at once."""
        self._given_up = True
        if self._response is not None:
            _shut_down(self._response)
            self._response.close()


class AsyncClientOpened:
    """An open response of an async client."""

    def __init__(self, response: Any) -> None:
        self.status: int = response.status_code
        self.headers = _headers(response)
        self._response = response
        self._pieces: AsyncIterator[bytes] = response.aiter_bytes()

    async def aread(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        """The next bytes; empty at the end."""
        until = deadline
        if idle is not None and (deadline is None or monotonic() + idle < deadline):
            until, phase = monotonic() + idle, "idle"
        try:
            while True:
                piece = await within(until, self._pieces.__anext__)
                if piece:
                    return piece
        except StopAsyncIteration:
            return b""
        except BaseException as error:
            # The client has closed its response by now, but not always the connection below it.
            _shut_down(self._response)
            self.abort()
            if isinstance(error, Exception):
                raise _failed(error, phase, None, sending=False) from error
            raise

    async def afinish(self) -> None:
        """Read the rest of a body that has said all; else close it."""
        ends = monotonic() + DRAIN_SECONDS
        try:
            for _ in range(64):
                if not await self.aread(None, ends, "idle"):
                    return
        except ChatModelError:
            return  # the answer is complete; the connection is closed
        self.abort()

    def abort(self) -> None:
        """Close the connection at once."""
        if not self._response.is_closed:
            _shut_down(self._response)
            spawn(self._close)

    async def _close(self) -> None:
        close: Callable[[], Coroutine[Any, Any, None]] = self._response.aclose
        await close()


def _whole(opened: ClientOpened, deadline: float | None) -> HTTPResponse:
    pieces: list[bytes] = []
    while piece := opened.read(None, deadline, "total"):
        pieces.append(piece)
    return HTTPResponse(status=opened.status, headers=opened.headers, body=b"".join(pieces))


def _headers(response: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _shut_down(response: Any) -> None:
    """End the connection under the client, so that who waits on it wakes up. A mock has none."""
    stream = response.extensions.get("network_stream")
    sock = None if stream is None else stream.get_extra_info("socket")
    if sock is None:
        return
    sock = getattr(sock, "_sock", sock)
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except (OSError, TypeError):
        return  # it is not connected any more, or no socket of the system


def _failed(error: Exception, phase: str, seconds: float | None, *, sending: bool) -> ChatModelError:
    """Our error for one of the client's, which are known by their names."""
    if isinstance(error, ChatModelError):
        return error
    names = {cls.__name__ for cls in type(error).__mro__}
    if names & {"ConnectTimeout", "PoolTimeout"}:
        return DeadlineError(passed("connect"), phase="connect")
    if names & {"TimeoutException", "TimeoutError"}:
        return DeadlineError(passed(phase), phase=phase, seconds=seconds)
    if names & {"ConnectError", "ProxyError"}:
        return ConnectError(f"no connection: {brief(error)}", phase="connect")
    if names & {"InvalidURL", "UnsupportedProtocol", "LocalProtocolError"}:
        return UsageError(f"the request cannot be sent: {error}", argument="base_url")
    if names & {"DecodingError"}:
        return ProtocolError(f"the compressed answer is broken: {error}")
    if sending:
        return TransportError(f"the connection broke: {brief(error)}", phase="send")
    return TransportError(f"the connection broke while the answer was read: {brief(error)}", phase="read")


class _Alarm:
    """Something to be done at a point in time, unless it is cancelled before."""

    __slots__ = ("cancelled", "rang", "ring")

    def __init__(self, ring: Callable[[], object]) -> None:
        self.ring = ring
        self.cancelled = self.rang = False


class _Alarms:
    """One thread that wakes those sync clients whose deadline passes while they wait. It ends when none is left."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, _Alarm]] = []
        self._numbers = count()
        self._thread: threading.Thread | None = None

    def at(self, time: float, ring: Callable[[], object]) -> _Alarm:
        alarm = _Alarm(ring)
        with self._changed:
            heapq.heappush(self._heap, (time, next(self._numbers), alarm))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="chatmodels-alarms", daemon=True)
                self._thread.start()
            elif self._heap[0][2] is alarm:
                self._changed.notify()
        return alarm

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._heap and self._heap[0][2].cancelled:
                    heapq.heappop(self._heap)
                if not self._heap:
                    self._thread = None
                    return
                left = self._heap[0][0] - monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                alarm = heapq.heappop(self._heap)[2]
            if not alarm.cancelled:
                alarm.rang = True
                alarm.ring()


_alarms = _Alarms()
