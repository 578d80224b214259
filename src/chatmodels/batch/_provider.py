"""A batch through the provider's batch API: the run of `_engine`, with its calls cut into jobs.

Reading, coalescing, the journal and the output are the run's own. Kept in memory are the items of the jobs that are under way
and of the next one. When a deadline nears, the jobs are withdrawn and the run goes on in real time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from itertools import islice
from time import monotonic, time
from typing import Any

import msgspec

from .._async import sleep, spawn
from .._drive import arun
from .._errors import BadRequestError, ChatModelError, ProviderError
from .._jobs import Job as Taken
from .._jobs import JobStatus, Line, fallen_back, read, seen
from .._json import mapping, objects, string
from .._messages import AIMessage
from ._faults import FATAL, REFUSED
from ._ledger import Entry
from ._pile import Pile
from ._provider_cache import CachedItems
from ._provider_job import Job, Refused, claimed, ended, new_job, noted, results, submitted
from ._spending import over

log = logging.getLogger("chatmodels")

#: An item that expired, was cancelled or is missing from the results is submitted again so many times.
AGAIN = 3
#: Codes with which a provider says that an item was not answered, and could be.
GONE = frozenset({"batch_expired", "batch_cancelled", "batch_canceled"})
#: Codes of a job that the provider does not take now, and takes when others have ended.
LATER = frozenset({"token_limit_exceeded", "queue_limit_exceeded", "ServiceQuotaExceededException"})
#: The longest pause after a refused job, in seconds.
LONGEST = 300.0


class ProviderRun(CachedItems):
    """One batch through jobs, once."""

    def _begin(self) -> None:
        for row in self.book.open:
            job = Job(row, True)
            self._jobs[job.label] = job
            self._owners.update(dict.fromkeys(row.tries, job))
            self._start(job)
        if self.via.within is not None:
            self._aside(self._until_late)

    # -- cutting

    def _pump(self) -> None:
        if self._in_real_time:
            super()._pump()
            return
        while self._ready:
            self._sort(self._ready.popleft())
        self._ask_cache()
        while not self.left_alone() and self._cut():
            pass

    def _cut(self) -> bool:
        """Submit one job, if there is one to be submitted now."""
        now = monotonic()
        if len(self._jobs) >= self._at_once:
            return False
        if now < self._closed_until:
            self._wake(self._closed_until - now)
            return False
        pile = self._piles.full() or (self._piles.largest() if self._no_more_comes() else None)
        if pile is None:
            return False
        if len(pile) < self.api.limits.least:
            self._too_few(pile)
            return False
        entries = self._taken(pile, self._within_caps(pile))
        if not entries:
            return False
        for entry in entries:
            self.resubmitted += entry.tries > 0
            entry.tries += 1
        if self.book.began is None:
            began = self.book.began = time()
            self._note(lambda journal: self.book.start(journal, began))
        job = new_job(entries)
        self._jobs[job.label] = job
        self._start(job)
        return True

    def _taken(self, pile: Pile, count: int) -> list[Entry]:
        """So many items out of the pile, as far as the model's budget allows."""
        held = list(islice(pile, pile.fits(count)))
        fits, why = self._purse.fits(held)
        count = len(held) if fits is None else fits
        entries = pile.take(count) if count >= self.api.limits.least else []
        for entry in held[len(entries) :]:
            self._purse.give_back(entry.position)
        if why is not None and not entries and not self._jobs:
            self.stop("budget", str(why))
        return entries

    def _too_few(self, pile: Pile) -> None:
        """What is left makes no job. What comes back from those under way may join it; then it goes in real time, or waits for a
        run that may do so."""
        if self._jobs:
            return
        left, least = len(self._piles), self.api.limits.least
        said = f"{left} items are left, and {self.plan.dialect.provider} takes no job of fewer than {least}"
        if self.via.auto:
            self._turning = True
            self._aside(lambda: self.to_real_time(f"{said}: they are asked in real time"))
        else:
            self.stop("too_few", f"{said}: the same call with via='auto' asks them in real time")

    def _no_more_comes(self) -> bool:
        """No item can join before a job ends: all are read, or there is no room for another."""
        if self._told_of < self.read or self._cache_is_asked:
            return False
        return self._all_read or (self._wanting and not self._jobs)

    def _within_caps(self, pile: Pile) -> int:
        """How many items may go, when all under way cost what those before have cost."""
        count = min(len(pile), self.via.size)
        flying, known = self.in_flight(), self._answers + self.tally.reused
        for name, cap, spent, _ in self.spending.caps():
            each = spent / known if known and spent else self._guess(name, pile)
            fits = int((cap - spent) / each) - flying if each else count
            least = self.api.limits.least
            if least == 1 and not known and not flying:
                fits = max(1, fits)  # one goes alone, and tells
            if spent >= cap or fits < least:
                if not self._jobs:
                    few = "" if least == 1 else f", and a job has {least} items at least"
                    self.stop(name, over(name, cap, spent, few))
                return 0
            count = min(count, fits)
        return count

    def _guess(self, name: str, pile: Pile) -> float:
        """What an item of the pile may take, before any answer has told."""
        usage = pile.guess()
        if name == "max_tokens":
            return float(usage.total_tokens or 0)
        model = pile.first().call.model
        message = AIMessage("", usage=usage, model=model, provider=self.plan.dialect.provider)
        return self._cost(message) or 0.0

    # -- jobs

    def _start(self, job: Job) -> None:
        job.task = spawn(lambda: self._guarded(job, self._life))

    async def _guarded(self, job: Job, life: Callable[[Job], Coroutine[Any, Any, None]]) -> None:
        try:
            await life(job)
        except FATAL as error:
            self._jobs.setdefault(job.label, job)
            self._leave_and_stop(job, "fatal", f"every job would fail: {type(error).__name__}: {error}")
        except Exception as error:  # ours, or an answer that makes no sense: the job stays for the next run
            self._jobs.setdefault(job.label, job)
            self._leave_and_stop(job, "error", f"job {job.id or job.label}: {error}", error)
        self._pump()
        self._maybe_over()

    def _leave_and_stop(self, job: Job, stopped: str, reason: str, error: BaseException | None = None) -> None:
        job.task = None
        self._leave(job)
        self.stop(stopped, reason, error)

    async def _life(self, job: Job) -> None:
        job.submitting = True
        try:
            there = await submitted(self, job)
        except Refused as refused:
            self._job_refused(job, refused.error)
            return
        finally:
            job.submitting = False
        if not there:
            self._back(job, job.tries, 1)
            return
        self._closed_until = self._pause = 0.0
        self._refused_since = None
        self.made += not job.known
        self.adopted += job.known
        if self.stopped is not None:
            job.task = None
            self._leave(job)
        elif self._in_real_time:
            await self._withdraw(job)
        else:
            await self._harvest(job, await ended(self, job))

    def _job_refused(self, job: Job, error: ChatModelError) -> None:
        """The provider has not taken it: try later, or say so of each item."""
        now = monotonic()
        later = isinstance(error, REFUSED) or getattr(error, "code", None) in LATER
        if isinstance(error, FATAL) or (self.api.apart and isinstance(error, ProviderError) and not later):
            self._back(job, job.tries, 1)
            self.stop("fatal", f"every job would fail: {type(error).__name__}: {error}")
        elif later:
            self._back(job, job.tries, 1)
            self._later(now, f"the provider takes no jobs: {type(error).__name__}: {error}")
        else:
            self._job_failed(job, error)

    def _later(self, now: float, reason: str) -> None:
        self._refused_since = self._refused_since or now
        self._pause = min(LONGEST, max(min(1.0, self.poll), 2 * self._pause))
        self._closed_until = now + self._pause
        if now - self._refused_since > self.options.patience and not self._jobs:
            self.stop("failures", reason)

    def _job_failed(self, job: Job, error: ChatModelError) -> None:
        """Every item of it has this error."""
        self._jobs.pop(job.label, None)
        for entry in job.entries.values():
            self._settle_error(entry, error)
        job.entries.clear()
        self._note(lambda journal: self.book.over(journal, job.label, {}))
        self._many_failures(error)

    # -- results

    async def _harvest(self, job: Job, status: JobStatus | None) -> None:
        await claimed(self, job)
        lines: list[Line] = []
        if status is not None and job.id is not None:
            lines = await results(self, job.id, status)
        self._fetching += 1
        try:
            await self._results(job, lines)
        finally:
            self._fetching -= 1
        self._close(job, status)
        if self._stop_then is not None and not self._fetching:
            self.stop(*self._stop_then)

    async def _results(self, job: Job, lines: list[Line]) -> None:
        taken = Taken(id=job.id or "", provider=self.plan.dialect.provider, model="", count=len(job.tries))
        failed: dict[int, tuple[Entry, ChatModelError]] = {}
        for number, line in enumerate(lines):
            position = job.position(line.id)
            entry = None if position is None else job.entries.get(position)
            if entry is not None:
                found = read(self.plan, msgspec.structs.replace(taken, model=entry.call.model), line)
                if self._falls_back and isinstance(found, ChatModelError) and not self._goes_again(entry, found):
                    failed[entry.position] = entry, found
                    continue
                await arun(seen(self._plan, entry.call, found))
                await self._keep(entry, found)
                self._result(job, entry, found)
            if number % 200 == 199:
                await sleep(0)

        await self._fall_back(job, list(failed.values()))

    async def _fall_back(self, job: Job, failed: list[tuple[Entry, ChatModelError]]) -> None:
        """Ask the model's fallbacks, in real time, about what failed in a job."""

        async def ask() -> None:
            while failed:
                entry, error = failed.pop()
                found: AIMessage | ChatModelError = error
                self._purse.give_back(entry.position)  # the fallback's calls keep their own accounts
                try:
                    if self.stopped is None and self._stop_then is None:
                        found = await arun(fallen_back(self._plan, entry.call, error))
                except ChatModelError as last:
                    found = last
                except Exception as wrong:  # ours
                    self.stop("error", f"item {entry.position}: {wrong}", wrong)
                self._result(job, entry, found, settled=True)

        tasks = [self._aside(ask) for _ in range(min(len(failed), self.options.max_concurrency))]
        for task in tasks:
            await task.ended()

    def _result(self, job: Job, entry: Entry, found: AIMessage | ChatModelError, *, settled: bool = False) -> None:
        if job.entries.get(entry.position) is not entry or self._goes_again(entry, found):
            return  # it was there twice; or it stays among those without an answer
        del job.entries[entry.position]
        if isinstance(found, AIMessage):
            self._owners.pop(entry.position, None)
            if not settled:
                self._purse.settle(entry, found)
            self._unsafe += 1
            self._in_a_row = 0
            self._fitting(entry, found)
        else:
            self._settle_error(entry, found)

    def _goes_again(self, entry: Entry, found: AIMessage | ChatModelError) -> bool:
        return _is_gone(found) and self._may_go_again(entry)

    def _may_go_again(self, entry: Entry) -> bool:
        return self._in_real_time or entry.tries <= AGAIN

    def _close(self, job: Job, status: JobStatus | None) -> None:
        """What has no answer is submitted again, or has the job's error."""
        if job.label not in self._jobs:
            return
        less, error = 0, None
        if status is not None and status.state == "failed" and job.entries:
            error = _failure(job, status, self.plan.dialect.provider)
            less = int(error.code in LATER)
        for entry in list(job.entries.values()):
            if error is None and not self._may_go_again(entry):
                self._settle_missing(job, entry, status)
            elif error is not None and not less:
                del job.entries[entry.position]
                self._settle_error(entry, error)
        self._back(job, {at: entry.tries for at, entry in job.entries.items()}, less, fetched=True)
        if less:
            self._at_once = max(1, len(self._jobs))
            self._later(monotonic(), str(error))
        elif self._in_a_row:
            self._many_failures(error)

    def _settle_missing(self, job: Job, entry: Entry, status: JobStatus | None) -> None:
        del job.entries[entry.position]
        self._settle_error(entry, _missing(job, status, self.plan.dialect.provider))

    # -- the deadline

    async def _until_late(self) -> None:
        """Sleep until the rest has to be asked in real time."""
        within = self.via.within or 0.0
        began = self.book.began
        passed = 0.0 if began is None else max(0.0, time() - began)
        spare = within / 10
        self._give_up_at = monotonic() + max(0.0, within - spare / 2 - passed)
        await sleep(max(0.0, within - spare - passed))
        await self.to_real_time()

    async def to_real_time(
        self, why: str = "the deadline is near: what the provider has not answered is asked in real time"
    ) -> None:
        """No more jobs; those under way are cancelled, what they have is fetched, and the rest is asked in real time."""
        if self.stopped is not None or self._in_real_time:
            return
        self._in_real_time = True
        if self._journal is not None:
            await noted(self, self.book.went_live)
        log.warning("%s", why)
        for entry in (*self._piles.all(), *self._unseen):
            entry.tries = 0
            self._ready.append(entry)
        self._unseen.clear()
        for job in list(self._jobs.values()):
            if job.submitting:
                continue  # it will see for itself
            if job.task is not None:
                job.task.cancel()
                await job.task.ended()
            if job.label in self._jobs:
                self._restart(job)
        self._pump()

    def _restart(self, job: Job) -> None:
        job.task = spawn(lambda: self._guarded(job, self._withdraw))

    async def _withdraw(self, job: Job) -> None:
        """Cancel it, and take what it has. Where the provider does not end it in time its items are asked nevertheless: they can be
        paid twice, and the summary says so."""
        id = job.id
        if id is not None:
            try:
                await arun(self.api.cancel(self.plan, id))
            except ChatModelError:  # it may just have ended
                await sleep(0)
        status = await ended(self, job, most=self._give_up_at, pause=0.5)
        if status is None:
            self.twice.update(job.entries, job.waiting)
        await self._harvest(job, status)


def _is_gone(found: AIMessage | ChatModelError) -> bool:
    return getattr(found, "code", None) in GONE


def _failure(job: Job, status: JobStatus, provider: str) -> BadRequestError:
    """The provider's reason, as the error of each item."""
    errors = status.raw.get("errors")
    first = next(iter(objects(mapping(errors).get("data") or errors)), dict[str, Any]())
    return BadRequestError(
        f"the provider's job {job.id} failed: {status.error or 'it does not say why'}",
        provider=provider,
        status=400,
        code=string(first.get("code")),
    )


def _missing(job: Job, status: JobStatus | None, provider: str) -> ChatModelError:
    how = "is not known to the provider any more" if status is None else f"ended as {status.state!r}"
    return ChatModelError(
        f"the last of {AGAIN + 1} jobs with this item, {job.id}, {how}, without an answer for it", provider=provider
    )
