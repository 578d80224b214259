"""The jobs of an embedded engine: their queue, the worker threads that run them, and the room they take in the context.

Knows threads and counting, not llama.cpp: what a worker does with a job is handed in. First come, first served; at most
as many at once as the engine has slots *and* as fit into the context that all of them share. llama.cpp fails every
running request when that context is full, so the room is watched: before that point the youngest job that has sent
nothing yet goes back to the head of the queue.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

from ._engine_wire import Request
from ._errors import TransportError

#: Tokens kept free for each answer beyond what it has already.
HEADROOM = 256
#: A running job looks at the room every so many tokens.
LOOK_EVERY = 16


class Opening(NamedTuple):
    """The first piece of an answer."""

    status: int
    content_type: str


#: Opening, then bytes, then the end: None, or the exception that made it.
Piece: TypeAlias = Opening | bytes | BaseException | None
Stop: TypeAlias = Literal["over", "again", "crowded"]


class Job:
    """One request on its way through an engine. Its answer goes to the `deliver` it was submitted with."""

    __slots__ = (
        "_deliver",
        "_lock",
        "_over",
        "_pool",
        "alone",
        "error",
        "floor",
        "hang_up",
        "opened",
        "prompt",
        "request",
        "stop",
        "tokens",
    )

    def __init__(self, request: Request, deliver: Callable[[Piece], None], pool: Pool) -> None:
        self.request = request
        #: What `deliver` raised, if it did: its job was then stopped.
        self.error: BaseException | None = None
        self.prompt = request.prompt
        self.tokens = 0
        #: Tokens of a try that was taken back: the next one will need at least as many.
        self.floor = 0
        self.alone = False
        self.opened = False
        #: Why a worker must let go of this job at its next token, or None.
        self.stop: Stop | None = None
        #: Breaks off what the worker waits for, where it does not wait for tokens.
        self.hang_up: Callable[[], None] | None = None
        self._deliver = deliver
        self._pool = pool
        self._over = False
        # Re-entrant: `deliver` may cancel its own job.
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"<Job {'done' if self._over else 'open'}, {self.tokens} tokens>"

    @property
    def done(self) -> bool:
        """Whether the last piece has been delivered."""
        return self._over

    def cancel(self) -> None:
        """Stop at the next token, or leave the queue at once. The answer ends with a TransportError.

        Idempotent, from any thread. In a forked child it does nothing: the work is the parent's.
        """
        if self._pool.abandoned or self._over:
            return
        self._pool.forget(self)
        self.end(TransportError("the call was cancelled", phase="read"))

    def put(self, piece: Opening | bytes) -> bool:
        """Deliver a piece; False if the job is over."""
        with self._lock:
            if not self._over:
                self.opened = True
                self._hand_over(piece)
            return not self._over

    def end(self, end: BaseException | None = None) -> None:
        """Deliver the last piece, once."""
        with self._lock:
            if self._over:
                return
            self._over = True
            self._hand_over(end)
        self.stop = "over"
        if self.hang_up is not None:
            self.hang_up()

    def _hand_over(self, piece: Piece) -> None:
        try:
            self._deliver(piece)
        except BaseException as error:
            # The reader is gone (its event loop closed, say). Nobody is left to be told, and the worker must live.
            self.error = error
            self._over = True
            self.stop = "over"

    def need(self, share: int) -> int:
        """Tokens of context to set aside for this job; `share` is what an answer without a limit may take unwatched."""
        request = self.request
        if request.whole:
            return self.prompt + request.n * (request.limit or share)
        grown = max(self.tokens, self.floor)
        left = HEADROOM if request.limit is None else max(0, request.limit - grown // request.n)
        return self.prompt + grown + request.n * min(HEADROOM, left)


def _nothing(job: Job, pool: Pool) -> bool:
    raise AssertionError("a closed pool has no work")


class Pool:
    """A queue of jobs and at most `slots` daemon threads that `run` them; `run` says True to have a job put back.

    `capacity` is the context in tokens that all running jobs share. Threads start when there is work for them.
    """

    def __init__(self, run: Callable[[Job, Pool], bool], *, slots: int, capacity: int) -> None:
        self._run = run
        self._slots = slots
        self._share = capacity // slots
        # Each job adds up to LOOK_EVERY tokens between two looks, and some tokens come without a chunk.
        self._room = capacity - min(capacity // 8, LOOK_EVERY * slots)
        self._queue: deque[Job] = deque()
        self._running: list[Job] = []
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False
        self._changed = threading.Condition()
        #: True in a forked child, where the threads do not exist.
        self.abandoned = False

    @property
    def closed(self) -> bool:
        return self._closed or self.abandoned

    @property
    def load(self) -> tuple[int, int]:
        """How many jobs are running, and how many wait."""
        with self._changed:
            return len(self._running), len(self._queue)

    def submit(self, job: Job) -> bool:
        """Queue a job; False if the pool is closed."""
        with self._changed:
            if self._closed:
                return False
            self._queue.append(job)
            if self._idle < len(self._queue) and len(self._threads) < self._slots:
                self._start()
            self._changed.notify()
            return True

    def _start(self) -> None:
        name = f"chatmodels-engine-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def forget(self, job: Job) -> None:
        """Take a job out of the queue, if it is still in it."""
        with self._changed:
            if job in self._queue:
                self._queue.remove(job)
                self._changed.notify_all()

    def close(self) -> None:
        """End all jobs with a TransportError and return when the workers have let go of them."""
        with self._changed:
            self._closed = True
            jobs = [*self._queue, *self._running]
            self._queue.clear()
            self._changed.notify_all()
        for job in jobs:
            job.end(TransportError("the embedded engine was closed", phase="read"))
        for thread in self._threads:
            thread.join()
        self._run = _nothing

    def is_worker(self) -> bool:
        """Whether this thread is one of the pool's own."""
        return threading.current_thread() in self._threads

    def abandon(self) -> None:
        """For a forked child: never touch what belonged to the parent's threads, its locks included."""
        self.abandoned = True
        self._closed = True
        self._changed = threading.Condition()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            again = False
            try:
                again = self._run(job, self)
            except BaseException as error:
                # Whatever it was, its place to be seen is where the answer is waited for.
                job.end(error)
            finally:
                self._release(job, again)
                del job

    def _next(self) -> Job | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._closed or self._head_fits())
            self._idle -= 1
            if self._closed:
                return None
            job = self._queue.popleft()
            self._running.append(job)
            # One event can make room for several; each that starts wakes the next.
            self._changed.notify()
            return job

    def _head_fits(self) -> bool:
        if not self._queue:
            return False
        if not self._running:
            return True
        job = self._queue[0]
        if job.alone or any(other.alone for other in self._running):
            return False
        jobs = [*self._running, job]
        slots = sum(other.request.n for other in jobs)
        return slots <= self._slots and sum(other.need(self._share) for other in jobs) <= self._room

    def _release(self, job: Job, again: bool) -> None:
        with self._changed:
            self._running.remove(job)
            if again and not job.done and not self._closed:
                job.floor, job.tokens, job.stop = max(job.floor, job.tokens), 0, None
                self._queue.appendleft(job)
            self._changed.notify_all()

    def learned(self, job: Job, prompt: int) -> None:
        """The exact size of a running job's prompt is known."""
        with self._changed:
            job.prompt = prompt
            self._changed.notify()

    def relieve(self) -> None:
        """If the context is nearly full, have one job let go of its part."""
        if len(self._running) < 2:
            return
        with self._changed:
            jobs = [job for job in self._running if job.stop is None]
            used = sum(job.prompt + job.tokens for job in jobs)
            if len(jobs) < 2 or used <= self._room:
                return
            unseen = [job for job in jobs if not job.opened and not job.request.whole]
            if unseen:
                unseen[-1].stop = "again"
            else:
                jobs[-1].stop = "crowded"
