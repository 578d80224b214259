"""aiohttp: sending a request, and reading the response piece by piece with deadlines. One session per event loop.

A session closes with its loop (the loop's `shutdown_asyncgens`, which `asyncio.run` calls), so no loop is left with
open connections and none is asked to close after its end. No policy lives here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from ._call import HTTPResponse
from ._errors import ChatModelError, ConnectError, DeadlineError, ProtocolError, TransportError, UsageError
from ._flow import Open, Send
from ._http import HTTPConfig, brief, head_limit, headers_of, passed, without_user
from ._proxy import basic_auth, proxy_for

DRAIN_SECONDS = 0.25
HEAD_LIMIT = 64 * 1024  # of one header field; aiohttp's own 8 kB is less than some hosts send
NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)


class AsyncPool:
    """The sessions of one configuration, by event loop."""

    def __init__(self, config: HTTPConfig) -> None:
        self._config = config
        self._sessions: dict[Any, _Session] = {}
        self._urls: dict[tuple[str, str], URL] = {}
        self._proxies: dict[str, dict[str, Any]] = {}
        self._timeouts: dict[float | None, aiohttp.ClientTimeout] = {}
        self._tls: Any = None

    async def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        found = self._sessions.get(loop)
        if found is not None and not found.client.closed:
            return found.client
        for old in [one for one in self._sessions if one.is_closed()]:
            self._sessions.pop(old, None)
        client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._context(), ttl_dns_cache=60, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=NO_TIMEOUT,
            trust_env=False,
            auto_decompress=True,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            read_bufsize=2**18,
            max_line_size=HEAD_LIMIT,
            max_field_size=HEAD_LIMIT,
        )
        lifetime = self._until_the_loop_ends(loop, client)
        await anext(lifetime)
        self._sessions[loop] = _Session(client, lifetime)
        return client

    async def _until_the_loop_ends(self, loop: Any, client: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._sessions.pop(loop, None)
            await client.close()

    def _context(self) -> Any:
        """TLS as configured; aiohttp's own context, which trusts the system's store, where nothing is."""
        config = self._config
        if self._tls is None and (config.verify is not True or config.cert is not None):
            from ._http_tls import tls_context

            self._tls = tls_context(config)
        return True if self._tls is None else self._tls

    def abandon(self) -> None:
        """In the child of a fork: see that nothing of the parent's is closed when these objects go."""
        for session in self._sessions.values():
            connector: Any = session.client.connector
            session.client.detach()
            if connector is not None:
                connector._closed = True

    def _url(self, base: str, path: str) -> URL:
        key = (base, path)
        found = self._urls.get(key)
        if found is None:
            if len(self._urls) > 512:
                self._urls.clear()
            try:
                found = self._urls[key] = URL(base.rstrip("/") + path, encoded=True)
            except ValueError as error:
                raise UsageError(f"base_url: {base!r} is no address: {error}", argument="base_url") from error
        return found

    def _proxy(self, base: str) -> dict[str, Any]:
        """The arguments that name the proxy. Its password goes in a header, since aiohttp would show it in a URL."""
        found = self._proxies.get(base)
        if found is None:
            proxy = proxy_for(base, self._config)
            basic = basic_auth(proxy)
            headers = {} if basic is None else {"proxy_headers": {"authorization": basic}}
            found = self._proxies[base] = {"proxy": without_user(proxy), **headers} if proxy else {}
        return found

    def _timeout(self, connect: float | None) -> aiohttp.ClientTimeout:
        found = self._timeouts.get(connect)
        if found is None:
            if len(self._timeouts) > 64:
                self._timeouts.clear()
            found = self._timeouts[connect] = aiohttp.ClientTimeout(
                total=None, connect=connect, sock_connect=None, sock_read=None, ceil_threshold=1e9
            )
        return found

    async def _head(self, effect: Send | Open) -> aiohttp.ClientResponse:
        target, request = effect.target, effect.request
        session = await self._session()
        watch = _Watch(*head_limit(effect, monotonic()))
        if isinstance(effect, Open):
            effect.hold.append(watch)
        try:
            return await session.request(
                request.method,
                self._url(target.base_url, request.path),
                data=request.body,
                headers=headers_of(effect),
                timeout=self._timeout(target.timeouts.connect),
                allow_redirects=False,
                **self._proxy(target.base_url),
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _send_error(error, target.base_url, target.timeouts.connect) from error
        except asyncio.CancelledError:
            watch.raise_if_ours()
            raise
        finally:
            watch.stop()

    async def send(self, effect: Send) -> HTTPResponse:
        """Send, and read the whole response."""
        response = await self._head(effect)
        # A body that has come with its head needs no deadline: nothing waits.
        body = await (_whole(response) if response.content.is_eof() else _watched(response, effect))
        return HTTPResponse(status=response.status, headers=_headers(response), body=body)

    async def open(self, effect: Open) -> AsyncOpened:
        """Send, and wait for the head of the response."""
        return AsyncOpened(await self._head(effect))


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await response.read()
    except (aiohttp.ClientError, OSError, ValueError) as error:
        response.close()
        raise _read_error(error) from error


async def _watched(response: aiohttp.ClientResponse, effect: Send) -> bytes:
    watch = _Watch(effect.deadline, "total", effect.target.timeouts.total)
    try:
        return await _whole(response)
    except asyncio.CancelledError:
        response.close()
        watch.raise_if_ours()
        raise
    finally:
        watch.stop()


class _Session:
    __slots__ = ("client", "lifetime")

    def __init__(self, client: aiohttp.ClientSession, lifetime: AsyncGenerator[None, None]) -> None:
        self.client = client
        self.lifetime = lifetime  # kept, since it would close the session when it goes


class _Watch:
    """Cancels the running task at a point in time, or when it is given up; the cancelled then says why."""

    __slots__ = ("_before", "_handle", "_phase", "_seconds", "_task", "_why")

    def __init__(self, until: float | None, phase: str, seconds: float | None) -> None:
        self._phase, self._seconds = phase, seconds
        self._why: str | None = None
        self._handle: asyncio.TimerHandle | None = None
        task = asyncio.current_task()
        assert task is not None, "asyncio code outside of a task"  # noqa: S101
        self._task, self._before = task, task.cancelling()
        if until is not None:
            self._handle = task.get_loop().call_later(until - monotonic(), self._cancel, "passed")

    def _cancel(self, why: str) -> None:
        self._why = self._why or why
        self._task.cancel()

    def abort(self) -> None:
        """Give the request up, from another task."""
        self._cancel("given up")

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def raise_if_ours(self) -> None:
        """An error of ours in place of our own cancellation; somebody else's cancellation goes on."""
        if self._why is None or self._task.uncancel() > self._before:
            return
        if self._why == "passed":
            raise DeadlineError(passed(self._phase), phase=self._phase, seconds=self._seconds)
        raise TransportError("the call was given up", phase="send")


class AsyncOpened:
    """An open response. `abort` may be called at any time in the loop's thread."""

    __slots__ = ("_content", "_phase", "_rang", "_response", "_timer", "_timer_at", "_until", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers = _headers(response)
        self._response = response
        self._content = response.content
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._until: float | None = None
        self._phase = ""
        self._rang: str | None = None

    async def aread(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        """The next bytes, all that have come; empty at the end of the body, when the connection is kept."""
        try:
            self._arm(idle, deadline, phase)
            data = await self._content.readany()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self.abort()
            if self._rang is not None:
                raise DeadlineError(passed(self._rang), phase=self._rang) from None
            raise _read_error(error) from error
        except BaseException:
            self.abort()
            raise
        self._until = None
        if not data and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return data

    def _arm(self, idle: float | None, deadline: float | None, phase: str) -> None:
        """Note until when this read may wait. The timer itself is set anew only when it would ring too late."""
        until = deadline
        if idle is not None:
            until = monotonic() + idle
            if deadline is not None and deadline <= until:
                until = deadline
            else:
                phase = "idle"
        self._until, self._phase = until, phase
        if until is not None and (self._timer is None or until < self._timer_at):
            self._set_timer(until)

    def _set_timer(self, until: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = until
        self._timer = asyncio.get_running_loop().call_later(until - monotonic(), self._ring)

    def _ring(self) -> None:
        self._timer = None
        until = self._until
        if until is None:
            return
        if until > monotonic() + 0.001:
            self._set_timer(until)
            return
        self._rang = self._phase
        self._content.set_exception(aiohttp.ServerTimeoutError())
        self._response.close()

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

    def abort(self) -> None:
        """Close the connection at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._response.close()


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {k.lower(): v for k, v in response.headers.items()}


def _send_error(error: Exception, base_url: str, connect: float | None) -> ChatModelError:
    where = urlsplit(base_url).netloc.rpartition("@")[2]
    if isinstance(error, (aiohttp.ConnectionTimeoutError, TimeoutError)):
        return DeadlineError(f"no connection to {where}: {passed('connect')}", phase="connect", seconds=connect)
    if isinstance(
        error, (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)
    ):
        failed = ConnectError(f"no connection to {where}: {brief(error)}", phase="connect")
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            failed.retryable = False
        return failed
    if isinstance(error, ValueError):  # InvalidURL too
        return UsageError(f"the request to {where} cannot be sent: {error}", argument="base_url")
    if isinstance(error, aiohttp.ClientResponseError):  # raised for a head that is not HTTP
        return ProtocolError(f"what came from {where} is no HTTP/1.1 response: {brief(error)}")
    return TransportError(f"the connection to {where} broke: {brief(error)}", phase="send")


def _read_error(error: Exception) -> ChatModelError:
    return TransportError(f"the connection broke while the answer was read: {brief(error)}", phase="read")
