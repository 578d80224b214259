"""The items of a batch that goes through jobs: which job has which, what is in line, and what is left when the run stops.

The run of `_engine` with another way of keeping what is on its way. Knows no provider's API; who extends it cuts and fetches jobs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from .._async import Task, spawn
from .._errors import ChatModelError
from .._jobs import JobsAPI, falls_back
from ._engine import Run
from ._jobbook import JobBook
from ._ledger import Entry, Note, Told
from ._pile import Piles
from ._provider_job import Job
from ._purse import Purse


class Via(msgspec.Struct, frozen=True, kw_only=True):
    """How jobs are made. `within`: seconds until the end, after which nothing may be left with the provider; None for no end.
    `size`: items of a job; `bytes` of its requests are wanted in memory, `hard` are taken. `auto`: what makes no job may go in real
    time."""

    api: JobsAPI
    size: int
    bytes: int
    hard: int
    auto: bool
    jobs: int
    poll: float
    within: float | None = None


class JobItems(Run):
    """The items of one run through jobs. Everything happens in the loop's thread."""

    def __init__(self, *args: Any, via: Via, book: JobBook, own_plan: Any, again: tuple[int, ...]) -> None:
        super().__init__(*args)
        self.via, self.book, self.api, self.poll = via, book, via.api, via.poll
        #: Jobs need no layers: their requests are no calls.
        self.plan = own_plan
        self._piles = Piles(self._plan, via.size, via.bytes, least=via.api.limits.least, hard=via.hard)
        self._purse = Purse(self._plan)
        #: Items that the model's cache is still to be asked about.
        self._unseen = deque[Entry]()
        self._falls_back = falls_back(self._plan)
        self._jobs: dict[str, Job] = {}
        self._owners: dict[int, Job] = {}
        self._asides: set[Task] = set()
        self._told_of = 0
        #: What is left goes in real time; and: is about to, since it makes no job.
        self._in_real_time = self._turning = False
        self._closed_until, self._pause = 0.0, 0.0
        self._refused_since: float | None = None
        self._at_once = via.jobs
        self._give_up_at: float | None = None
        self.made = self.adopted = self.resubmitted = 0
        self.left_running: list[str] = []
        #: Jobs whose results are being read, and why the run is to stop then.
        self._fetching = 0
        self._stop_then: tuple[str, str] | None = None
        #: Items that an earlier run may have asked, and those that this one may ask twice.
        self.before, self.twice = again, set[int]()

    # -- what the run asks

    def _rooms(self) -> int:
        """All jobs and the next one; and what an earlier run had under way."""
        before = [at for row in self.book.open for at in row.tries]
        span = max(before) - min(before) + 1 if before and self.options.ordered else len(before)
        return max((self.via.jobs + 1) * self.via.size, self._earlier(), span) + 256

    def _earlier(self) -> int:
        """Items that have to be on their way before those of the earlier run's jobs are."""
        if self._journal is None or not self.book.open:
            return 0
        begun = self._journal.begun()
        return begun[-1] - begun[0] + 1 if self.options.ordered and begun else len(begun)

    def _aside(self, function: Callable[[], Coroutine[Any, Any, None]]) -> Task:
        """A task beside those of jobs and calls, which ends with the run."""
        task: list[Task] = []

        async def run() -> None:
            try:
                await function()
            finally:
                self._asides.discard(task[0])

        task.append(spawn(run))
        self._asides.add(task[0])
        return task[0]

    def _under_way(self) -> list[Task]:
        return [*self._tasks, *self._asides, *(job.task for job in self._jobs.values() if job.task is not None)]

    def in_flight(self) -> int:
        return len(self._tasks) + sum(len(job.entries) for job in self._jobs.values())

    def parting(self) -> str:
        ids = [job.id for job in self._jobs.values() if job.id is not None]
        if not ids:
            return super().parting()
        shown = ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
        return f"no more jobs are submitted; {len(ids)} go on at the provider ({shown}): the same command fetches them"

    def facts(self) -> dict[str, Any]:
        made: dict[str, Any] = {"jobs": self.made, "adopted": self.adopted, "resubmitted": self.resubmitted}
        if self.twice:
            made["again"] = tuple(sorted({*self.before, *self.twice}))
        return made

    def stop(self, stopped: str, reason: str, error: BaseException | None = None) -> None:
        """What is being fetched is paid for: it is written first."""
        if self._fetching and error is None:
            self._stop_then = self._stop_then or (stopped, reason)
            return
        super().stop(stopped, reason, error)
        if self.left_running and self.reason == reason:
            self.reason = f"{reason}; {len(self.left_running)} jobs go on at the provider"

    # -- what a job's life asks

    @property
    def ledger(self) -> Any:
        return self._ledger

    @property
    def all_told(self) -> bool:
        """The ledger has answered about every item that there is."""
        return self._all_read and self._told_of >= self.read

    def ids(self) -> set[str]:
        """Of all jobs under way."""
        return {job.id for job in self._jobs.values() if job.id is not None}

    def left_alone(self) -> bool:
        """Is no job to be submitted any more?"""
        return self.stopped is not None or self._stop_then is not None or self._in_real_time or self._turning

    # -- items

    def _told(self, told: Told) -> None:
        self._told_of += told.left + len(told.go) + sum(end.reused for end in told.ends)
        for end in told.ends:
            self._disown(end.entry.position)
        super()._told(told)

    def _disown(self, position: int) -> None:
        job = self._owners.pop(position, None)
        if job is not None:
            job.waiting.discard(position)

    def _may_go(self, entry: Entry) -> None:
        job = self._owners.get(entry.position)
        if job is None or self.stopped is not None or isinstance(entry.call, Exception) or entry.key in self._flights:
            self._disown(entry.position)
            entry.tries = 0 if self._in_real_time else self.book.left.get(entry.position, 0)
            super()._may_go(entry)
            return
        self._flights[entry.key] = []
        entry.tries = job.tries[entry.position]
        job.entries[entry.position] = entry
        job.waiting.discard(entry.position)

    def _drop(self) -> None:
        for entry in (*self._piles.all(), *self._unseen):
            self._ready.append(entry)
        self._unseen.clear()
        super()._drop()
        for job in list(self._jobs.values()):
            if not job.submitting or job.known or job.looking:
                self._leave(job)

    def _unsend(self, entries: list[Entry]) -> None:
        """What may be in a job stays as begun: the next run looks for it there."""

    def _leave(self, job: Job) -> None:
        """It goes on at the provider; the next run fetches it."""
        self._jobs.pop(job.label, None)
        if job.id is not None:
            self.left_running.append(job.id)
        for entry in job.entries.values():
            self._purse.give_back(entry.position)
            self._open -= 1 + len(self._flights.pop(entry.key, ()))
        job.entries.clear()
        if job.task is not None:
            job.task.cancel()

    def _back(self, job: Job, tries: dict[int, int], less: int, *, fetched: bool = False) -> None:
        """Nothing more will come of it: its items go back into line, as if they had not been in it where `less` is 1."""
        if self._jobs.pop(job.label, None) is None:
            return
        left = {at: n - less for at, n in tries.items() if n > less}
        if not (fetched and job.waiting):  # of a shorter input: what is not read now can be fetched later
            self._note(lambda journal: self.book.over(journal, job.label, left))
        for position in list(job.waiting):
            self._disown(position)
        self.book.left.update(left)
        for entry in job.entries.values():
            entry.tries -= less
            self._again(entry)
        job.entries.clear()

    def _note(self, write: Callable[[Any], None]) -> None:
        """For the journal, in its turn; nobody waits for it."""
        self._ledger.put(Note(write, lambda: None))

    def _again(self, entry: Entry) -> None:
        self._owners.pop(entry.position, None)
        self._purse.give_back(entry.position)
        if self.stopped is not None:
            self._open -= 1 + len(self._flights.pop(entry.key, ()))
            return
        if self._in_real_time:
            entry.tries = 0
        self._ready.append(entry)

    def _many_failures(self, error: BaseException | None) -> None:
        most = self.options.stop_after
        if most is not None and self._in_a_row >= most and not (self.all_told and not len(self._piles)):
            text = f"{self._in_a_row} items in a row have failed, the last with {type(error).__name__}: {error}"
            self.stop("failures", text)

    def _settle_error(self, entry: Entry, error: ChatModelError) -> None:
        self._owners.pop(entry.position, None)
        self._unsafe += 1
        self._in_a_row += 1
        self._purse.give_back(entry.position)
        self._failed(entry, error, None)
