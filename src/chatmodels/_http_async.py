"""aiohttp: sending a request, and reading the response piece by piece with deadlines. One session per event loop.

A session closes with its loop (the loop's `shutdown_asyncgens`, which `asyncio.run` calls), so no loop is left with open
connections and none is asked to close after its end.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from ._call import HTTPResponse
from ._errors import ChatModelError, ConnectError, DeadlineError, TransportError
from ._flow import Open, Send
from ._http import HTTPConfig
from ._http_sync import _brief, _passed, tls_context
from ._proxy import proxy_for

DRAIN_SECONDS = 0.25
NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)


class AsyncPool:
    """The sessions of one configuration, by event loop."""

    def __init__(self, config: HTTPConfig) -> None:
        self._config = config
        self._sessions: weakref.WeakKeyDictionary[Any, tuple[aiohttp.ClientSession, Any]] = weakref.WeakKeyDictionary()
        self._urls: dict[tuple[str, str], URL] = {}
        self._proxies: dict[str, str | None] = {}
        self._timeouts: dict[float | None, aiohttp.ClientTimeout] = {}
        self._tls: Any = None

    async def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        found = self._sessions.get(loop)
        if found is not None and not found[0].closed:
            return found[0]
        if self._tls is None:
            self._tls = tls_context(self._config)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._tls, ttl_dns_cache=60, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=NO_TIMEOUT,
            trust_env=False,
            auto_decompress=True,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            read_bufsize=2**18,
        )
        lifetime = _until_the_loop_ends(session)
        await lifetime.__anext__()
        self._sessions[loop] = (session, lifetime)
        return session

    def _url(self, base: str, path: str) -> URL:
        key = (base, path)
        found = self._urls.get(key)
        if found is None:
            if len(self._urls) > 512:
                self._urls.clear()
            try:
                found = self._urls[key] = URL(base.rstrip("/") + path, encoded=True)
            except ValueError as error:
                raise ConnectError(f"the request to {base} cannot be sent: {error}", phase="connect") from error
        return found

    def _proxy(self, base: str) -> str | None:
        if base not in self._proxies:
            self._proxies[base] = proxy_for(base, self._config) or None
        return self._proxies[base]

    def _timeout(self, connect: float | None) -> aiohttp.ClientTimeout:
        found = self._timeouts.get(connect)
        if found is None:
            if len(self._timeouts) > 64:
                self._timeouts.clear()
            found = self._timeouts[connect] = aiohttp.ClientTimeout(
                total=None, connect=None, sock_connect=connect, sock_read=None
            )
        return found

    async def _head(self, effect: Send | Open) -> aiohttp.ClientResponse:
        target, request = effect.target, effect.request
        session = await self._session()
        try:
            return await session.request(
                request.method,
                self._url(target.base_url, request.path),
                data=request.body,
                headers={**target.headers, **request.headers} if request.headers else target.headers,
                proxy=self._proxy(target.base_url),
                timeout=self._timeout(target.timeouts.connect),
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _send_error(error, target.base_url) from error

    async def send(self, effect: Send) -> HTTPResponse:
        """Send, and read the whole response."""
        limit = effect.target.timeouts.total
        watch = _Watch(effect.deadline, "total", limit)
        try:
            response = await self._head(effect)
            try:
                body = await response.read()
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise _read_error(error) from error
            except BaseException:
                response.close()
                raise
        except asyncio.CancelledError:
            watch.raise_if_passed()
            raise
        finally:
            watch.stop()
        return HTTPResponse(status=response.status, headers=_headers(response), body=body)

    async def open(self, effect: Open) -> AsyncOpened:
        """Send, and wait for the head of the response."""
        limit, deadline, phase = effect.target.timeouts.first_token, effect.deadline, "total"
        if limit is not None:
            first = monotonic() + limit
            if deadline is None or first < deadline:
                deadline, phase = first, "first_token"
        watch = _Watch(deadline, phase, limit)
        try:
            response = await self._head(effect)
        except asyncio.CancelledError:
            watch.raise_if_passed()
            raise
        finally:
            watch.stop()
        return AsyncOpened(response)


class _Watch:
    """Cancels the running task at a deadline; the canceller then turns that into a DeadlineError."""

    __slots__ = ("_handle", "_passed", "_phase", "_seconds", "_task")

    def __init__(self, deadline: float | None, phase: str, seconds: float | None) -> None:
        self._passed = False
        self._phase, self._seconds = phase, seconds
        self._handle: asyncio.TimerHandle | None = None
        self._task = asyncio.current_task()
        if deadline is not None:
            left = max(0.0, deadline - monotonic())
            self._handle = asyncio.get_running_loop().call_later(left, self._pass)

    def _pass(self) -> None:
        self._passed = True
        if self._task is not None:
            self._task.cancel()

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def raise_if_passed(self) -> None:
        """A DeadlineError in place of our own cancellation; somebody else's cancellation goes on."""
        if self._passed and self._task is not None and self._task.uncancel() <= 0:
            raise DeadlineError(_passed(self._phase), phase=self._phase, seconds=self._seconds)


class AsyncOpened:
    """An open response. `abort` may be called at any time in the loop's thread."""

    __slots__ = ("_content", "_limit", "_loop", "_phase", "_response", "_timer", "_timer_at", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers = _headers(response)
        self._response = response
        self._content = response.content
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._limit: float | None = None
        self._phase = ""

    async def aread(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        """The next bytes, all that have come; empty at the end of the body, when the connection goes back to its pool."""
        content = self._content
        try:
            self._arm(idle, deadline, phase)
            data = await content.readany()
            self._limit = None
        except (aiohttp.ClientError, OSError, ValueError, asyncio.InvalidStateError) as error:
            passed = self._phase if self._limit == 0.0 else None
            self.abort()
            if passed:
                raise DeadlineError(_passed(passed), phase=passed) from error
            raise _read_error(error) from error
        except BaseException:
            self.abort()
            raise
        if not data and self._timer is not None:
            self._timer.cancel()
        return data

    def _arm(self, idle: float | None, deadline: float | None, phase: str) -> None:
        """Remember when this read must have ended. The timer is set again only when it has run out."""
        wait = idle
        if deadline is None or (idle is not None and deadline - monotonic() > idle):
            phase = "idle"
        else:
            wait = deadline - monotonic()
        limit = None if wait is None else self._loop.time() + wait
        self._limit, self._phase = limit, phase
        if limit is not None and (self._timer is None or limit < self._timer_at):
            self._set_timer(limit)

    def _set_timer(self, limit: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = limit
        self._timer = self._loop.call_at(limit, self._ring)

    def _ring(self) -> None:
        self._timer = None
        limit = self._limit
        if limit is None:
            return
        if limit > self._loop.time() + 0.001:
            self._set_timer(limit)
            return
        self._limit = 0.0  # tells the waiting read why
        self._content.set_exception(aiohttp.ServerTimeoutError())
        self._response.close()

    async def afinish(self) -> None:
        """Read the rest of a body that has said all, so that the connection can serve again; else close it."""
        try:
            for _ in range(64):
                if not await self.aread(DRAIN_SECONDS, None, "idle"):
                    return
        except ChatModelError:
            return  # the answer is complete; the connection is closed and not used again
        self.abort()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._response.close()


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {k.lower(): v for k, v in response.headers.items()}


async def _until_the_loop_ends(session: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await session.close()


def _send_error(error: Exception, base_url: str) -> ChatModelError:
    where = urlsplit(base_url).netloc.rpartition("@")[2]
    if isinstance(error, (aiohttp.ConnectionTimeoutError, TimeoutError)):
        return DeadlineError(f"no connection to {where} in time (the connect deadline)", phase="connect")
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError, aiohttp.InvalidURL)):
        return ConnectError(f"no connection to {where}: {_brief(error)}", phase="connect")
    if isinstance(error, ValueError):
        return ConnectError(f"the request to {where} cannot be sent: {error}", phase="connect")
    return TransportError(f"the connection to {where} broke: {_brief(error)}", phase="send")


def _read_error(error: Exception) -> ChatModelError:
    return TransportError(f"the connection broke while the answer was read: {_brief(error)}", phase="read")
