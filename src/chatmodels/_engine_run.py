"""One job through llama.cpp: from its request to the pieces of its answer. Runs in a worker thread of the engine.

Plain requests are streamed inside too and put together here: only a call that gives tokens can be stopped at any of
them, and only by counting tokens can jobs share one context. Knows neither the queue's rules nor how an engine loads.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Callable
from typing import Any

from ._engine_jobs import LOOK_EVERY, Job, Opening, Pool
from ._engine_wire import (
    ERROR,
    JSON,
    PROGRESS,
    SSE,
    StreamOut,
    WholeOut,
    error_body,
    error_status,
    event,
    is_overflow,
    prompt_tokens,
)


class Runner:
    """Runs jobs on one llama.cpp server object, whose HTTP side is at (host, port) and asks for `key`."""

    def __init__(self, server: Any, address: tuple[str, int], key: str) -> None:
        self._handle: Callable[[bytes, Callable[[bytes], bool]], None] = server.handle_chat_completions
        self._address = address
        self._key = key

    def __call__(self, job: Job, pool: Pool) -> bool:
        """Run to the end; True if the job must be run again later."""
        if job.request.whole:
            self._over_http(job)
            return False
        run = _Run(job, pool)
        raised: Exception | None = None
        try:
            self._handle(job.request.body, run.on_chunk)
        except Exception as error:
            raised = error
        return run.close(raised)

    def _over_http(self, job: Job) -> None:
        # In process such a call could not be stopped; over the loopback, hanging up stops it within a second.
        connection = http.client.HTTPConnection(*self._address)
        try:
            connection.connect()
            job.hang_up = _shutdown(connection.sock)
            if job.done:
                return
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": JSON}
            connection.request("POST", "/v1/chat/completions", job.request.body, headers)
            response = connection.getresponse()
            body = response.read()
            if job.put(Opening(response.status, JSON)) and job.put(body):
                job.hang_up = None
                job.end()
        except (OSError, http.client.HTTPException) as error:
            job.end(error)
        finally:
            job.hang_up = None
            connection.close()


def _shutdown(sock: socket.socket) -> Callable[[], None]:
    def hang_up() -> None:
        # It may have ended at the same moment.
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    return hang_up


class _Run:
    """The state of one try. `on_chunk` is called for each chunk of JSON, on the thread of the call."""

    __slots__ = ("_awaits_progress", "_begun", "_cut", "_failure", "_feed", "_job", "_out", "_pool", "_refused")

    def __init__(self, job: Job, pool: Pool) -> None:
        self._job = job
        self._pool = pool
        self._out: StreamOut | WholeOut = StreamOut(job.request) if job.request.stream else WholeOut()
        self._feed = self._out.feed
        self._awaits_progress = True
        self._begun = False
        self._cut = False
        self._refused = b""
        self._failure: BaseException | None = None

    def on_chunk(self, chunk: bytes) -> bool:
        """Take a chunk; True tells llama.cpp to stop."""
        try:
            return self._take(chunk)
        except BaseException as error:
            # The caller of this function is C++: it would drop the exception.
            self._failure = error
            return True

    def _take(self, chunk: bytes) -> bool:
        job = self._job
        if job.stop is not None:
            self._cut = True
            return True
        if self._awaits_progress and PROGRESS in chunk:
            self._on_progress(chunk)
            if not job.request.progress:
                return False
        elif not self._begun:
            self._begun = True
            # Several answers read their prompts one after the other; a single one only before its first token.
            self._awaits_progress = job.request.n > 1
        if chunk.startswith(ERROR):
            self._refused = chunk
            return True
        job.tokens += 1
        if job.tokens % LOOK_EVERY == 0:
            self._pool.relieve()
        piece = self._feed(chunk)
        if piece is not None:
            self._send(piece)
        return False

    def _on_progress(self, chunk: bytes) -> None:
        total = prompt_tokens(chunk)
        if total is not None and total != self._job.prompt:
            self._pool.learned(self._job, total)

    def _send(self, piece: bytes) -> None:
        if not self._job.opened:
            self._job.put(Opening(200, SSE))
        self._job.put(piece)

    def close(self, raised: Exception | None) -> bool:
        """Deliver how it ended; True if it has to be run again."""
        job = self._job
        if job.done:
            return False
        if self._failure is not None:
            job.end(self._failure)
        elif self._cut:
            return self._give_way()
        elif raised is not None:
            self._raised(raised)
        elif self._refused:
            return self._on_refusal()
        elif not self._begun:
            job.end(RuntimeError("llama.cpp ended the call without an answer"))
        else:
            self._complete()
        return False

    def _give_way(self) -> bool:
        if self._job.stop == "again":
            return True
        self._fail(error_body(503, "unavailable_error", "the context that all requests share is full"), 503)
        return False

    def _raised(self, error: Exception) -> None:
        if self._begun:
            self._fail(error_body(500, "server_error", str(error)), 500)
        elif isinstance(error, (ValueError, RuntimeError)):
            # So far it has only read the request: what it found wrong is in there.
            self._fail(error_body(400, "invalid_request_error", str(error)), 400)
        else:
            self._job.end(error)

    def _on_refusal(self) -> bool:
        job = self._job
        if is_overflow(self._refused) and not job.opened and not job.alone:
            job.alone = True
            return True
        self._fail(self._refused, error_status(self._refused))
        return False

    def _fail(self, body: bytes, status: int) -> None:
        if self._job.opened:
            self._job.put(event(body))
        else:
            self._job.put(Opening(status, JSON))
            self._job.put(body)
        self._job.end()

    def _complete(self) -> None:
        tail = self._out.close()
        if self._job.request.stream:
            self._send(tail)
        else:
            self._job.put(Opening(200, JSON))
            self._job.put(tail)
        self._job.end()
