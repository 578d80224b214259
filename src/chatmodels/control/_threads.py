"""Threads that are kept for the next hedged call: to begin one costs more than all else that hedging does.

Knows nothing of calls: a job is a function. A thread that has had nothing to do for a while ends.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable

#: A thread that has had nothing to do for so many seconds ends.
IDLE = 10.0

Job = Callable[[], object]


class _Worker:
    """One thread, and the queue that it takes its jobs from."""

    __slots__ = ("jobs",)

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="chatmodels-hedge", daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                job = self.jobs.get(timeout=IDLE)
            except queue.Empty:
                try:
                    _idle.remove(self)  # now nobody gives it a job any more
                except ValueError:
                    continue  # one is just being given
                return
            job()
            del job  # what it holds, such as an answer, is not kept until the next one
            _idle.append(self)


_idle: list[_Worker] = []


def begin(job: Job) -> None:
    """Run the job in a thread that was idle, or in a new one. The job must not raise."""
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    worker.jobs.put(job)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # a child has none of its parent's threads
