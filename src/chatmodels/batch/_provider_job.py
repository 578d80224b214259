"""The life of one job at the provider: submitted (or looked for, after a crash), asked for until it has ended, fetched.

Runs in the event loop, as a task of its own. Who owns it cuts jobs and takes their results.
"""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex
from time import monotonic, time
from typing import Any, Protocol, TypeVar

from .._async import Task, mailbox, sleep
from .._drive import arun
from .._errors import ChatModelError, ConnectError, NotFoundError, ProviderError, TransportError, UsageError
from .._flow import Flow
from .._jobs import Item, JobInfo, JobsAPI, JobStatus, Line, submit_flow
from .._plan import Plan
from .._retry import is_retryable
from ._jobbook import JobBook, JobRow
from ._ledger import Entry, Ledger, Note

T = TypeVar("T")

#: For so many seconds a job that may have been submitted is looked for in the provider's list, before it is submitted again; only
#: once where it was written longer ago than a submission can take.
GRACE, LONG_AGO = 10.0, 900.0
#: The provider's clock may differ from ours by as much, in seconds.
SKEW = 3600.0
#: Jobs of the provider's list that are looked through at most.
MOST = 100_000


class Job:
    """A job and its items. `id` is None until the provider has said it; `waiting` are items of an earlier run's job that this
    run has not read yet."""

    def __init__(self, row: JobRow, known: bool) -> None:
        self.label, self.id, self.made, self.tries = row.label, row.id, row.made, row.tries
        #: Was it written by an earlier run?
        self.known = known
        self.entries: dict[int, Entry] = {}
        self.waiting: set[int] = set(row.tries) if known else set()
        #: On its way to the provider; and, of these, one of which nobody knows whether it has arrived.
        self.submitting = self.looking = False
        self.task: Task | None = None

    @property
    def nonce(self) -> str:
        """With what the items' ids begin."""
        return self.label.rpartition("-")[2]

    def name(self, position: int) -> str:
        """An item's id at the provider."""
        return f"{self.nonce}-{position}"

    def position(self, name: str) -> int | None:
        """The item with this id; None where it is not this job's."""
        head, _, number = name.partition("-")
        return int(number) if head == self.nonce and number.isascii() and number.isdigit() else None


def new_job(entries: list[Entry]) -> Job:
    """A job of these items, with a label that no other has."""
    row = JobRow(label=f"chatmodels-{token_hex(8)}", made=time(), tries={e.position: e.tries for e in entries})
    job = Job(row, False)
    job.entries = {entry.position: entry for entry in entries}
    return job


class Owner(Protocol):
    """What a job's life needs from the run."""

    api: JobsAPI
    plan: Plan
    book: JobBook
    poll: float

    @property
    def ledger(self) -> Ledger: ...

    @property
    def all_told(self) -> bool:
        """Will no more items be claimed?"""
        ...

    def ids(self) -> set[str]:
        """Of all jobs of this run."""
        ...

    def left_alone(self) -> bool:
        """Is nothing more to be sent?"""
        ...


class Refused(Exception):
    """The provider has surely not taken the job."""

    def __init__(self, error: ChatModelError) -> None:
        super().__init__(str(error))
        self.error = error


async def submitted(owner: Owner, job: Job) -> bool:
    """Submit it, and keep its id; False where it is not there and may be submitted anew. Raises `Refused`."""
    if job.known:
        return job.id is not None or await _found(owner, job)
    row = JobRow(label=job.label, made=job.made, tries=job.tries)
    await noted(owner, lambda journal: owner.book.begin(journal, row))
    if owner.left_alone():
        return False
    items = [Item(job.name(position), entry.call) for position, entry in job.entries.items()]
    try:
        made = await arun(submit_flow(owner.api, owner.plan, items, job.label))
    except ChatModelError as error:
        if _surely_not_taken(error):
            raise Refused(error) from error
        return await _found(owner, job)
    await _named(owner, job, made.id)
    return True


async def _named(owner: Owner, job: Job, id: str) -> None:
    job.id = id
    await noted(owner, lambda journal: owner.book.named(journal, job.label, id))


async def noted(owner: Owner, write: Callable[[Any], None]) -> None:
    """Written, and on the disk."""
    put, get = mailbox()
    owner.ledger.put(Note(write, lambda: put(None)))
    await get()


def _surely_not_taken(error: ChatModelError) -> bool:
    if isinstance(error, (UsageError, ConnectError)):
        return True
    status = error.status if isinstance(error, ProviderError) else None
    return status is not None and 400 <= status < 500 and status not in (408, 409)


# ---- looking for a job whose id never came


async def _found(owner: Owner, job: Job) -> bool:
    """Look for it in the provider's list, by its label; where the list has no labels, by its time and size and, in the end, by the
    ids of its items."""
    job.looking = True
    until, pause = monotonic() + max(0.0, min(GRACE, job.made + LONG_AGO - time())), 0.2
    strangers: set[str] = set()
    while True:
        jobs = await asked(lambda: owner.api.listed(owner.plan, job.made - SKEW, MOST))
        id, unsure = _labelled(job, jobs), False
        if id is None and not owner.api.labelled:
            id, unsure = await _by_items(owner, job, jobs, strangers)
        if id is not None:
            await _named(owner, job, id)
            return True
        if not unsure and monotonic() >= until:
            return False
        await sleep(min(pause, owner.poll))
        pause = min(2 * pause, owner.poll)


def _labelled(job: Job, jobs: tuple[JobInfo, ...]) -> str | None:
    return next((one.id for one in jobs if one.label == job.label), None)


async def _by_items(owner: Owner, job: Job, jobs: tuple[JobInfo, ...], strangers: set[str]) -> tuple[str | None, bool]:
    """(its id, can one that is still running be it)"""
    unsure = False
    for one in jobs:
        if one.id in strangers or one.id in owner.ids() or one.count not in (None, len(job.tries)):
            continue
        status = await asked(lambda id=one.id: owner.api.status(owner.plan, id))  # type: ignore[misc]
        if not status.ended:
            unsure = True
            continue
        lines = await results(owner, one.id, status)
        if any(job.position(line.id) is not None for line in lines):
            return one.id, False
        strangers.add(one.id)
    return None, unsure


# ---- asking


async def asked(flow: Callable[[], Flow[T]]) -> T:
    """What the provider answers; an outage is waited out, however long, since the job goes on meanwhile."""
    pause = 1.0
    while True:
        try:
            return await arun(flow())
        except ChatModelError as error:
            if not isinstance(error, TransportError) and not is_retryable(error):
                raise
        await sleep(pause)
        pause = min(60.0, 2 * pause)


async def ended(owner: Owner, job: Job, most: float | None = None, pause: float = 1.0) -> JobStatus | None:
    """Its status when it has ended; None where the provider does not know it any more, or after that point of the clock."""
    id, pause = job.id or "", min(pause, owner.poll)
    while True:
        try:
            status = await asked(lambda: owner.api.status(owner.plan, id))
        except NotFoundError:
            return None
        if status.ended:
            return status
        if most is not None and monotonic() >= most:
            return None
        await sleep(pause)
        pause = min(owner.poll, pause * 1.5)


async def results(owner: Owner, id: str, status: JobStatus) -> list[Line]:
    """All lines of output and errors; none where the provider has deleted them."""
    try:
        return await asked(lambda: owner.api.results(owner.plan, id, status))
    except NotFoundError:
        return []


async def claimed(owner: Owner, job: Job) -> None:
    """Wait until this run has read all of its items."""
    while job.waiting and not owner.all_told:
        await sleep(0.02)
