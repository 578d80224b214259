"""What each worker of a batch on Ray holds: the model with its connections, and a way to answer one shard as a batch of its own.

A shard has its own journal, in the folder that all workers see; who takes over a lost worker's shard goes on from there.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec

from .._errors import UsageError
from .._model import ChatModel
from ..batch._engine import Run
from ..batch._entries import Entries
from ..batch._gate import Gate, GateLayer
from ..batch._options import Options
from ..batch._output import Nowhere
from ..batch._prices import price_of
from ..batch._progress import Progress
from ..batch._run import _asked
from ..batch._tally import Tally
from ._ended import ShardJournal
from ._fit import Apart, fitted, limited, whole
from ._limiter import RayLimiter
from ._shards import Shard

#: Seconds for which a worker looks for the journal's folder.
SEEN = 5.0


class Work(msgspec.Struct, kw_only=True):
    """What all workers of a batch are told. `model` is one, or a function that makes it."""

    model: Any
    name: str
    label: str
    fingerprint: str
    folder: str
    limiter: RayLimiter | None
    max_concurrency: int
    adaptive: bool
    patience: float
    stop_after: int | None
    system: str | None
    prices: Any
    group_prefixes: bool = True
    #: What the folder has in it that no other has; and how many items a shard has.
    mark: bytes = b""
    size: int = 1
    #: How often an answer that does not fit the output type is asked for, in all.
    attempts: int = 1


class Caps(msgspec.Struct, frozen=True):
    """How much the journal of a shard may come to, with what earlier runs spent on it; and how many items failed just before."""

    cost: float | None = None
    tokens: int | None = None
    in_a_row: int = 0

    def are_reached(self, end: ShardEnd) -> bool:
        """Did they stop the shard? Caps can also do so because a price is not known."""
        return (self.cost is not None and end.cost >= self.cost) or (
            self.tokens is not None and end.tokens >= self.tokens
        )


class ShardEnd(msgspec.Struct, kw_only=True):
    """How a shard went. `busy`: another process still has its journal. `tokens` and `cost`: what it took in all runs."""

    number: int
    tally: Tally | None = None
    again: tuple[int, ...] = ()
    stopped: str | None = None
    reason: str | None = None
    error: Exception | None = None
    busy: bool = False
    tokens: int = 0
    cost: float = 0.0
    in_a_row: int = 0
    #: What the cost leaves out, because it has no price.
    omits: tuple[str, ...] = ()


class Now(msgspec.Struct, frozen=True):
    """What a shard has come to so far, for the progress."""

    done: int = 0
    failed: int = 0
    reused: int = 0
    in_flight: int = 0
    new_tokens: int = 0
    cost: float | None = None
    omits: tuple[str, ...] = ()


class Feed:
    """The items of a shard, as a run reads them, without those that are held for later."""

    def __init__(self, shard: Shard) -> None:
        held = set(shard.held)
        self._items: Iterator[tuple[int, Any]] = (
            one for one in enumerate(shard.items, shard.first) if one[0] not in held
        )

    async def next(self) -> tuple[int, Any] | None:
        """Index and item; None at the end."""
        return next(self._items, None)


class ShardWorker:
    """An actor. Its methods run in one event loop, so that it can be asked, and stopped, while it answers a shard."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._gate = Gate(work.max_concurrency, adaptive=work.adaptive)
        self._model: Any = None
        self._price: Any = None
        self._run: Run | None = None
        self._stopped: tuple[str, str] | None = None
        #: What shards before this one have taught of a call's cost, so that under a cap only the very first call goes alone.
        self._learned: tuple[int, tuple[int, float]] = (0, (0, 0.0))
        #: Long beginnings that the provider has seen, and when: the next shard begins with them.
        self._known: OrderedDict[int, float] = OrderedDict()

    async def begin(self, beside: Apart | None) -> int:
        """Make the model, ready to be asked; the process's id. A UsageError where the journal's folder cannot be seen."""
        work = self._work
        await _see(Path(work.folder), work.mark)
        made: ChatModel = work.model if isinstance(work.model, ChatModel) else _asked(work.model())[0]
        if beside is not None:
            made = whole(made, beside)
        model = limited(fitted(made), work.name, work.limiter)
        self._price = price_of(model, work.prices, needed=False)
        self._model = model.with_layer(GateLayer(self._gate))
        return os.getpid()

    async def answer(self, shard: Shard, caps: Caps, retry_failed: bool) -> ShardEnd:
        """All items of a shard, or until it is stopped."""
        try:
            journal = await asyncio.to_thread(self._journal, shard, retry_failed)
        except UsageError as error:
            busy = isinstance(error.__cause__, sqlite3.OperationalError)
            return ShardEnd(number=shard.number, busy=busy, error=error)
        again = tuple(journal.begun())
        tally = Tally()
        run = Run(self._model, Feed(shard), journal, Nowhere(), self._gate, tally, Progress(False), self._options(caps))
        run._in_a_row = caps.in_a_row
        run._answers, run.spending.most = self._learned
        run._ready._known = self._known
        self._run = run
        failed = await self._ran(run)
        self._run = None
        self._learned = run._answers, run.spending.most
        in_a_row = run._in_a_row - (0 if _some_went_well(tally) else caps.in_a_row)
        return ShardEnd(
            number=shard.number, tally=tally, again=again, stopped=run.stopped, reason=run.reason,
            error=failed, tokens=run.spending.tokens, cost=run.spending.cost, in_a_row=in_a_row,
            omits=self._omits(),
        )  # fmt: skip

    def _omits(self) -> tuple[str, ...]:
        return tuple(getattr(self._price, "omitted", ()))

    async def _ran(self, run: Run) -> Exception | None:
        if self._stopped is not None:
            asyncio.get_running_loop().call_soon(lambda: run.stop(*(self._stopped or ("interrupted", ""))))
        try:
            await run.run()
        except Exception as error:  # the disk, the prices: who drives the batch raises it
            return error
        return None

    async def state(self) -> Now:
        """How far the shard is that is being answered."""
        run = self._run
        if run is None:
            return Now()
        t = run.tally
        return Now(t.done, t.failed, t.reused, len(run._tasks), t.new_tokens, t.cost, self._omits())

    async def stop(self, stopped: str, reason: str) -> None:
        """Send no more, in this shard and in any other; what is in flight ends."""
        self._stopped = (stopped, reason)
        if self._run is not None:
            self._run.stop(stopped, reason)

    def _journal(self, shard: Shard, retry_failed: bool) -> ShardJournal:
        work = self._work
        journal = ShardJournal(Path(work.folder), shard, work.label, work.fingerprint, work.size)
        try:
            if retry_failed:
                journal.forget_failed()
            else:
                journal.forget(self._corrected(shard, journal))
            if journal.last >= shard.first + len(shard.items):
                raise UsageError(
                    f"shard {shard.number} has {len(shard.items)} items, and {journal.path} knows more: the input is shorter "
                    "than it was",
                    argument="items",
                )
        except BaseException:
            journal.close()
            raise
        return journal

    def _corrected(self, shard: Shard, journal: ShardJournal) -> list[int]:
        """Items that have failed, and ask something else now."""
        entries = Entries(self._model, self._work.system)
        return [
            position
            for position, key in journal.failed()
            if position - shard.first < len(shard.items)
            and entries.of(position, shard.items[position - shard.first]).key != key
        ]

    def _options(self, caps: Caps) -> Options:
        work = self._work
        return Options(
            ordered=False, max_concurrency=work.max_concurrency, max_cost=caps.cost, max_tokens=caps.tokens,
            price=self._price, patience=work.patience, stop_after=work.stop_after, system=work.system,
            attempts=work.attempts, group_prefixes=work.group_prefixes,
        )  # fmt: skip


def _some_went_well(tally: Tally) -> bool:
    return tally.done > tally.reused + tally.coalesced


async def _see(folder: Path, mark: bytes) -> None:
    """Is this the driver's folder? A network file system may show a new file a little later."""
    until = monotonic() + SEEN
    while True:
        with suppress(OSError):
            if mark_of(folder).read_bytes() == mark:
                return
        if monotonic() > until:
            break
        await asyncio.sleep(0.25)
    raise UsageError(
        f"a worker on {platform.node()} does not see {folder}, this batch's journal, as the driver does: give journal= a folder "
        "on a file system that all machines share (such as NFS 4); nothing was asked there",
        argument="journal",
    )


def mark_of(folder: Path) -> Path:
    """The file by which the folder is known."""
    return folder / "batch.json"
