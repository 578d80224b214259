"""An open answer whose bytes come from an iterator, each after a wait: what scripted and replayed models give.

Knows both worlds, deadlines and leaving; not where the bytes come from.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from threading import Event
from time import monotonic
from typing import Any, TypeAlias

from .._async import in_thread, sleep
from .._call import HTTPResponse
from .._errors import DeadlineError, TransportError
from .._flow import Open, Send
from .._http_common import head_limit, passed

#: (seconds to wait before it, the bytes).
Piece: TypeAlias = "tuple[float, bytes]"

#: How soon a wait in the async world sees that the stream was left, in seconds.
_STEP = 0.02


class Paced:
    """An open answer. `blocking` says that taking the next piece may wait by itself (a user's function), `silent` that not even
    the head of the answer comes."""

    def __init__(
        self,
        source: Iterator[Piece] | AsyncIterator[Piece],
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        blocking: bool = False,
        silent: bool = False,
    ) -> None:
        self.silent = silent
        self.status = status
        self.headers = headers or {}
        self._source = source
        self._blocking = blocking
        self._left = Event()

    def read(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        """The next bytes; empty at the end."""
        while (piece := self._next()) is not None:
            wait, late = self._wait(piece[0], idle, deadline, phase)
            if self._left.wait(wait) if wait else self._left.is_set():
                raise _gone()
            if late is not None:
                raise late
            if piece[1]:
                return piece[1]
        return b""

    async def aread(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        """`read` in the async world."""
        while (piece := await self._anext()) is not None:
            wait, late = self._wait(piece[0], idle, deadline, phase)
            ends = monotonic() + wait
            while (left := ends - monotonic()) > 0 and not self._left.is_set():
                await sleep(min(left, _STEP))
            if self._left.is_set():
                raise _gone()
            if late is not None:
                raise late
            if piece[1]:
                return piece[1]
        return b""

    def whole(self, effect: Send | Open) -> HTTPResponse:
        """The whole answer, with its first bytes in time."""
        until, phase, _ = head_limit(effect, monotonic())
        body = piece = self.read(None, until, phase)
        while piece:
            piece = self.read(None, effect.deadline, "total")
            body += piece
        return HTTPResponse(status=self.status, headers=self.headers, body=body)

    async def awhole(self, effect: Send | Open) -> HTTPResponse:
        """`whole` in the async world."""
        until, phase, _ = head_limit(effect, monotonic())
        body = piece = await self.aread(None, until, phase)
        while piece:
            piece = await self.aread(None, effect.deadline, "total")
            body += piece
        return HTTPResponse(status=self.status, headers=self.headers, body=body)

    def finish(self) -> None:
        """The answer has said all."""
        self._close()

    async def afinish(self) -> None:
        """The answer has said all."""
        self._close()

    def abort(self) -> None:
        """The reader has left: a wait under way ends."""
        self._left.set()
        self._close()

    def _close(self) -> None:
        close: Any = getattr(self._source, "close", None)
        if close is not None:
            with suppress(ValueError):  # another thread is in it; it ends there, by `_left`
                close()

    def _next(self) -> Piece | None:
        if isinstance(self._source, AsyncIterator):
            from .._portal import portal

            return portal().run(self._anext())
        return next(self._source, None)

    async def _anext(self) -> Piece | None:
        if isinstance(self._source, AsyncIterator):
            return await anext(self._source, None)
        if self._blocking:
            return await in_thread(next, self._source, None, cancel=self.abort)
        return next(self._source, None)

    def _wait(
        self, seconds: float, idle: float | None, deadline: float | None, phase: str
    ) -> tuple[float, DeadlineError | None]:
        """How long to wait, and the error after it where a deadline comes first."""
        left = None if deadline is None else max(0.0, deadline - monotonic())
        if idle is not None and (left is None or idle < left):
            left, phase = idle, "idle"
        if left is None or seconds <= left:
            return seconds, None
        return left, DeadlineError(passed(phase), phase=phase)


def _gone() -> TransportError:
    return TransportError("the stream was left", phase="read")
