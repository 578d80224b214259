"""The run itself, in an event loop: read ahead a little, have each begin journalled, call, have each end journalled.

Everything here happens in the loop's thread. All that is kept is of items that are on their way: their number is bounded by a
semaphore (`room`), which is given back when an item's line has gone out.
"""

from __future__ import annotations

import math
import threading
from contextvars import copy_context
from time import monotonic
from typing import Any

import msgspec

from .._async import Task, mailbox, semaphore, sleep, soon, spawn
from .._call import Call
from .._calls import call_flow
from .._drive import arun
from .._errors import (
    BudgetExceeded,
    ChatModelError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    UsageError,
)
from .._flow import Flow
from .._messages import AIMessage
from .._output import Output as Wanted
from .._outputs import data_of, output_flow
from .._usage import Attempt
from ._entries import Entries
from ._faults import FATAL, is_of_the_model, unsent
from ._gate import Gate
from ._journal import Journal
from ._ledger import End, Entry, Ledger, Note, Told
from ._options import Options
from ._outage import Outage, Verdict
from ._output import Output
from ._progress import Progress
from ._ready import Ready
from ._record import BatchRecord, error_of, shared
from ._spending import Spending
from ._tally import Tally


class Run:
    """One batch, once."""

    def __init__(  # noqa: PLR0917
        self, model: Any, source: Any, journal: Journal | None, output: Output, gate: Gate, tally: Tally,
        progress: Progress, options: Options,
    ) -> None:  # fmt: skip
        self._model, self._source, self._journal, self._output = model, source, journal, output
        self._plan = model._plan()
        self.gate, self.tally, self.progress, self.options = gate, tally, progress, options
        gate.flying = 0
        self._entries = Entries(model, options.system)
        self._ready = Ready(options.group_prefixes)
        self._flights: dict[bytes, list[Entry]] = {}
        self._tasks: set[Task] = set()
        self._open: int = 0
        self._unsafe: int = 0
        self._in_a_row: int = 0
        self._outage = Outage(options.patience)
        self.read: int = 0
        self._all_read = self._over = self._wanting = False
        self._waking = math.inf  # when the next call will be tried at the latest
        self.spending = Spending(options, (0, 0.0) if journal is None else journal.spent)
        self._answers = 0
        self._full = False  # the model's budget has no room until a call ends
        self.stopped: str | None = None
        self.reason: str | None = None
        self.error: BaseException | None = None
        #: The files are closed.
        self.closed = threading.Event()

    async def run(self) -> None:
        """To the end, or until it is stopped. Raises what the source or the disk raised."""
        self._finish, finished = mailbox()
        self._context = copy_context()  # the caller's: its span is the parent of each call's
        self._room = semaphore(self._rooms())
        self._ledger = Ledger(self._journal, self._output, self.options.ordered, soon(self._told))
        self._reader = spawn(self._read)
        ticker, meter = spawn(self._tick), spawn(self._measure)
        self._begin()
        try:
            await finished()
        finally:
            for task in (ticker, meter, self._reader, *self._under_way()):
                task.cancel()
            self._over = True
            self._drop()
            self._ledger.close()
            self.progress.leave()
            if self.tally.metrics is not None:
                self.tally.metrics.end()
            self.closed.set()
        if self.error is not None:
            raise self.error

    # -- what another way of sending has otherwise

    def _rooms(self) -> int:
        """How many items may be on their way."""
        return self.options.room

    def _begin(self) -> None:
        """The run has begun: what an earlier one left under way is taken up."""

    def _under_way(self) -> list[Task]:
        """What is to be cancelled at the end."""
        return list(self._tasks)

    def in_flight(self) -> int:
        """Items that have been sent and have not ended."""
        return len(self._tasks)

    def parting(self) -> str:
        """What is said at the first Ctrl-C."""
        return "no more calls are sent; those in flight may end (Ctrl-C again: now)"

    def facts(self) -> dict[str, Any]:
        """What the summary has besides the tally."""
        return {}

    # --

    def release(self) -> None:
        """The taker of records has taken one."""
        self._room.release()

    def stop(self, stopped: str, reason: str, error: BaseException | None = None) -> None:
        """Send no more; what is in flight ends."""
        if self.stopped is None:
            self.stopped, self.reason, self.error = stopped, reason, error
            self._all_read = True
            self._reader.cancel()
            self._drop()
        self._maybe_over()

    def _drop(self) -> None:
        """What has not been sent is left for the next run."""
        left: list[Entry] = []
        for entry in self._ready:
            left += (entry, *self._flights.pop(entry.key, ()))
        self._ready.clear()
        self._open -= len(left)
        self._unsend(left)

    def _unsend(self, entries: list[Entry]) -> None:
        """They were not sent after all, or refused unpaid: the next run has not to say that they may be paid for twice."""
        positions = [entry.position for entry in entries]
        if positions and self._journal is not None:
            self._ledger.put(Note(lambda journal: journal.unsend(positions), lambda: None))

    def _maybe_over(self) -> None:
        if self._all_read and not self._open and not self._over:
            self._over = True
            self._finish(None)

    async def _tick(self) -> None:
        while True:
            await sleep(self.progress.every)
            self.tally.in_flight = self.in_flight()
            self.progress.show(self.tally)

    async def _measure(self) -> None:
        """Tell the metrics how things stand, some times a second."""
        metrics = self.tally.metrics
        while metrics is not None:
            metrics.show(
                in_flight=self.in_flight(),
                concurrency_limit=self.gate.allowed(monotonic()),
                queued=len(self._ready),
                expected=self.tally.expected or 0,
            )
            await sleep(0.25)

    # -- in

    async def _read(self) -> None:
        try:
            while True:
                self._wanting = True
                await self._room.acquire()
                self._wanting = False
                got = await self._source.next()
                if got is None:
                    break
                self.read += 1
                self._open += 1
                self._ledger.put(self._entries.of(*got))
        except Exception as error:
            self.stop("error", f"the items could not be read: {error}", error)
        self._all_read = True
        self._pump()  # what waited for more to come waits no longer
        self._maybe_over()

    # -- what the ledger says

    def _told(self, told: Told) -> None:
        if self._over:
            return
        for entry in told.go:
            self._may_go(entry)
        for end in told.ends:
            self._ended(end)
        for _ in range(told.out):
            self._room.release()
        for note in told.notes:
            note.then()
        if told.refused is not None:
            self._open -= told.left
            self.stop("error", str(told.refused), told.refused)
        if told.error is not None:
            self.stop("error", str(told.error), told.error)
            for task in self._under_way():
                task.cancel()
            self._open = 0  # what is still open cannot be written: the journal has it as begun
        self._pump()
        self._maybe_over()

    def _may_go(self, entry: Entry) -> None:
        if self.stopped is not None:
            self._open -= 1
            self._unsend([entry])
        elif isinstance(entry.call, Exception):
            self._end(entry, self._record(entry, error=error_of(entry.call)), sent=False)
        elif entry.key in self._flights:
            self._flights[entry.key].append(entry)
        else:
            self._flights[entry.key] = []
            self._ready.append(entry)

    def _ended(self, end: End) -> None:
        self._open -= 1
        self.tally.add(end.record, end.reused, sent=end.sent)
        if end.reused or end.record.same_as is not None or isinstance(end.entry.call, Exception):
            return
        self._unsafe -= 1
        for other in self._flights.pop(end.entry.key, ()):
            record = shared(end.record, other.position, other.id, other.metadata)
            self._ledger.put(End(other, record))

    # -- calls

    def _pump(self) -> None:
        """Send what may be sent now."""
        while self._ready and self.stopped is None and not (self._full and self._tasks):
            now = monotonic()
            if wait := self.gate.wait(now):
                self._wake(wait)
                return
            if self._held_up() or not self._affordable():
                return
            entry, wait = self._ready.take(now, len(self._tasks), self.gate.allowed(now))
            if entry is None:
                self._wake(wait)
                return
            self._send(entry, now)

    def _held_up(self) -> bool:
        """Do too many answers wait for the disk? It is asked for haste when half of them do."""
        waiting = self._unsafe - len(self._tasks)
        if self._journal is None or 2 * waiting < self.options.unsafe:
            return False
        self._ledger.hurry()
        return waiting >= self.options.unsafe

    def _send(self, entry: Entry, now: float) -> None:
        if not entry.tries:
            entry.expires = now + self.options.patience
        entry.tries += 1
        self._unsafe += 1
        self.gate.sent(now)
        task: list[Task] = []
        task.append(self._context.copy().run(spawn, lambda: self._sent(entry, task)))
        self._tasks.add(task[0])

    def _wake(self, seconds: float) -> None:
        """Try again then; infinite: when something has come."""
        due = monotonic() + seconds
        if due >= self._waking:
            return
        self._waking = due

        async def wake() -> None:
            await sleep(seconds)
            if self._waking == due:
                self._waking = math.inf
            self._pump()

        spawn(wake)

    async def _sent(self, entry: Entry, task: list[Task]) -> None:
        try:
            await self._call(entry)
        except Exception as error:  # ours
            self.stop("error", f"item {entry.position}: {error}", error)
        finally:
            self._tasks.discard(task[0])
            self.gate.ended()
        self._pump()
        self._maybe_over()

    async def _call(self, entry: Entry) -> None:
        began = monotonic()
        try:
            message = await arun(self._asked(entry.call))
        except BudgetExceeded as error:
            self._ready.landed(entry, monotonic(), ok=False)
            self._no_room(entry, error)
        except Exception as error:
            self._full = False
            self._ready.landed(entry, monotonic(), ok=not (isinstance(error, UsageError) or unsent(error)))
            self._went_wrong(entry, error, began)
        else:
            self._full = False
            self._in_a_row = 0
            now = monotonic()
            self._outage.over(entry, now)
            self._ready.landed(entry, now, ok=True)
            if message.from_cache:
                self.gate.pace.back()
            self._answered(entry, message, monotonic() - began)

    def _asked(self, call: Call) -> Flow[AIMessage]:
        """The answer; where the call wants an output type, one that fits it."""
        if call.output is None:
            return (yield from call_flow(self._plan, call))
        return (yield from output_flow(self._plan, call, call.output, self.options.attempts)).message

    def _answered(self, entry: Entry, message: AIMessage, seconds: float | None) -> None:
        cost = None if message.from_cache else self._cost(message)
        tokens = 0 if message.from_cache else _tokens(message.attempts)
        if self.options.max_cost is not None and cost is None and not message.from_cache and self.stopped is None:
            self.stop("max_cost", f"what item {entry.position} has cost is not known, so max_cost cannot be kept")
        kept = message if len(message.attempts) > 1 else msgspec.structs.replace(message, attempts=())
        wanted: Wanted[Any] | None = entry.call.output
        data = None if wanted is None else data_of(wanted, message)
        record = self._record(entry, message=kept, text=message.text, output=data, seconds=seconds, cost=cost)
        self._end(entry, record, tokens, cost)

    def _cost(self, message: AIMessage) -> float | None:
        """A price function that fails ends the batch, and loses no answer."""
        try:
            return None if self.options.price is None else self.options.price(message)
        except Exception as error:
            self.stop("error", f"prices failed: {error}", error)
            return None

    def _went_wrong(self, entry: Entry, error: Exception, began: float) -> None:
        now = monotonic()
        if isinstance(error, FATAL) and not (isinstance(error, NotFoundError) and self._is_its_own(entry, error)):
            self._give_up(entry)
            self.stop("fatal", f"every item would fail like item {entry.position}: {type(error).__name__}: {error}")
            return
        verdict: Verdict = "failed"
        if unsent(error) or isinstance(error, PermissionDeniedError):
            verdict = self._refused(entry, error, began, now)
        if verdict == "failed":
            self._fail(entry, error, began, now)
        elif verdict == "again" and self.stopped is None:
            if unsent(error):
                self.gate.unreachable(now, self.options.patience / 5)
            self._again(entry)
        else:
            self._give_up(entry)
            self._silent(error, now)

    def _fail(self, entry: Entry, error: Exception, began: float, now: float) -> None:
        if isinstance(error, ProviderError) and not unsent(error):
            self._outage.over(entry, now)
        self._failed(entry, error, now - began)
        self._in_a_row += 1
        if self.options.stop_after is not None and self._in_a_row >= self.options.stop_after:
            text = f"{self._in_a_row} items in a row have failed, the last with {type(error).__name__}: {error}"
            self.stop("failures", text)

    def _refused(self, entry: Entry, error: Exception, began: float, now: float) -> Verdict:
        """What becomes of an item that was not answered, and not paid."""
        known, last = bool(self._answers or self.tally.reused), self._open if self._all_read else None
        if not isinstance(error, PermissionDeniedError):
            return self._outage.refused(entry, error, began, now, known=known, last=last)
        return "failed" if known else self._outage.denied(entry, last)

    def _again(self, entry: Entry) -> None:
        self._unsafe -= 1
        self._ready.append(entry)

    def _silent(self, error: Exception, now: float) -> None:
        """Nobody is answered."""
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, PermissionDeniedError):
            self.stop("fatal", f"nothing but refusals, the last with {text}")
            return
        never = "" if self._answers or self.tally.reused else " yet"
        self.stop("outage", f"nothing was answered{never} for {self._outage.seconds(now):.3g} s; the last was {text}")

    def _no_room(self, entry: Entry, error: BudgetExceeded) -> None:
        """The model's budget has none left, or has set it aside for the calls in flight: then it waits for one of these."""
        self._full = True
        if len(self._tasks) > 1 and self.stopped is None:
            self._again(entry)
            return
        self._give_up(entry)
        self.stop("budget", str(error))

    def _is_its_own(self, entry: Entry, error: NotFoundError) -> bool:
        another = "model" in (entry.call.settings.extra_body or {})
        return another or self._answers > 0 or not is_of_the_model(error, entry.call.model)

    def _failed(self, entry: Entry, error: Exception, seconds: float | None) -> None:
        """An item's end with an error, and what was paid for nothing."""
        tokens, cost = 0, None
        if isinstance(error, ChatModelError) and (tokens := _tokens(error.attempts)) and error.partial is not None:
            cost = self._cost(msgspec.structs.replace(error.partial, attempts=error.attempts))
        record = self._record(entry, error=error_of(error), seconds=seconds, cost=cost)
        self._end(entry, record, tokens, cost, sent=not isinstance(error, UsageError))

    def _give_up(self, entry: Entry) -> None:
        """An item that was sent and not taken stays for the next run, with those that wait for it."""
        self._unsafe -= 1
        left = [entry, *self._flights.pop(entry.key, ())]
        self._open -= len(left)
        self._unsend(left)

    def _end(
        self, entry: Entry, record: BatchRecord, tokens: int = 0, cost: float | None = None, *, sent: bool = True
    ) -> None:
        self.spending.add(tokens, cost)
        self._answers += record.error is None
        self._ledger.put(End(entry, record, tokens, cost or 0.0, sent=sent))

    def _record(self, entry: Entry, **fields: Any) -> BatchRecord:
        return BatchRecord(index=entry.position, id=entry.id, metadata=entry.metadata, **fields)

    def _affordable(self) -> bool:
        """Is there money for one more?"""
        full = self.spending.full(len(self._tasks), self._answers)
        if full is not None and not self._tasks:
            self.stop(*full)
        return full is None


def _tokens(attempts: tuple[Attempt, ...]) -> int:
    return sum([(a.usage.total_tokens or 0) for a in attempts if a.usage is not None])
