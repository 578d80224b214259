"""The thread that writes: journal first, then output, many items in one transaction (group commit).

It takes begins and ends from the event loop through a queue and tells the loop, once a group is on the disk, what came of them.
Knows no model; who owns it makes the lines.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from ._journal import Ended, Journal
from ._output import InOrder, Output
from ._record import BatchRecord, line_of, record_of, shared

#: The most that is written in one transaction, and the least time between two of them in seconds while nobody waits: some
#: milliseconds of answers share one sync of the disk.
MOST, PAUSE = 1000, 0.008


class Entry:
    """One item on its way."""

    __slots__ = ("call", "expires", "id", "key", "metadata", "position", "tries")

    def __init__(self, position: int, id: str | int | None, metadata: Any, key: bytes) -> None:
        self.position, self.id, self.metadata, self.key = position, id, metadata, key
        self.call: Any = None
        self.tries = 0
        self.expires = 0.0


class End(msgspec.Struct, frozen=True):
    """An item has ended; `tokens` and `cost` are what was spent for it now. `reused`: an earlier run, or item, had the answer."""

    entry: Entry
    record: BatchRecord
    tokens: int = 0
    cost: float = 0.0
    reused: bool = False


class Note(msgspec.Struct, frozen=True):
    """Something else for the journal, in its turn; `then` is called in the loop when it is on the disk."""

    write: Callable[[Journal], object]
    then: Callable[[], object]


class Told(msgspec.Struct):
    """What has become of a group: entries whose calls may be sent, ends that are safe, and how many lines have gone out."""

    go: list[Entry] = []
    ends: list[End] = []
    lines: list[bytes] = []
    notes: list[Note] = []
    out: int = 0
    error: BaseException | None = None


class Ledger:
    """Started at once; `close` writes what is left and waits for it."""

    def __init__(self, journal: Journal | None, output: Output, ordered: bool, tell: Callable[[Told], None]) -> None:
        self._journal, self._output, self._tell = journal, output, tell
        self._order = InOrder() if ordered else None
        self._queue: SimpleQueue[Entry | End | Note | None] = SimpleQueue()
        self.put = self._queue.put
        self._broken = False
        self._hurried = threading.Event()
        self._thread = threading.Thread(target=self._work, name="chatmodels-ledger", daemon=True)
        self._thread.start()

    def hurry(self) -> None:
        """Somebody waits for the disk: do not wait for more to write."""
        if not self._hurried.is_set():
            self._hurried.set()

    def close(self) -> None:
        """Write what has come so far, and let the files go."""
        self.put(None)
        self._thread.join()

    def _work(self) -> None:
        newest = 0.0
        over = False
        try:
            while not over:
                first = self._queue.get()
                if first is not None and (early := newest + PAUSE - time.monotonic()) > 0:
                    self._hurried.wait(early)
                self._hurried.clear()
                group, over = self._group(first)
                self._write(group)
                newest = time.monotonic()
        finally:
            self._end()

    def _group(self, first: Entry | End | Note | None) -> tuple[list[Entry | End | Note], bool]:
        group: list[Entry | End | Note] = []
        got = first
        while got is not None:
            group.append(got)
            if len(group) >= MOST:
                return group, False
            try:
                got = self._queue.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _write(self, group: list[Entry | End | Note]) -> None:
        """A failure ends the batch: what is not on the disk then is not told as ended."""
        if self._broken or not group:
            return
        told = Told()
        try:
            if self._journal is None:
                self._apply(group, told)
            else:
                with self._journal.transaction():
                    self._apply(group, told)
            self._give_out(told)
        except Exception as error:
            self._broken = True
            told = Told(error=_worded(error, self._journal))
        self._tell(told)

    def _apply(self, group: list[Entry | End | Note], told: Told) -> None:
        for one in group:
            if isinstance(one, End):
                told.ends.append(one)
            elif isinstance(one, Note):
                told.notes.append(one)
                if self._journal is not None:
                    one.write(self._journal)
            elif (end := self._begin(one)) is None:
                told.go.append(one)
            else:
                told.ends.append(end)
        told.lines = [line_of(end.record) for end in told.ends]
        if self._journal is None:
            return
        paired = zip(told.ends, told.lines, strict=True)
        # An earlier run's end is in the journal; that of an earlier item is written for this one too.
        fresh = [(end, line) for end, line in paired if not end.reused or end.record.same_as is not None]
        self._journal.write([Ended(end.entry.position, line, end.record.ok) for end, line in fresh])
        tokens, cost = sum([end.tokens for end, _ in fresh]), sum([end.cost for end, _ in fresh])
        if tokens or cost:
            self._journal.spend(tokens, cost)

    def _begin(self, entry: Entry) -> End | None:
        ended = None if self._journal is None else self._journal.begin(entry.position, entry.key)
        if ended is None:
            return None
        return End(entry, _record(entry, ended), reused=True)

    def _give_out(self, told: Told) -> None:
        lines: list[Any] = []
        for end, text in zip(told.ends, told.lines, strict=True):
            there = self._output.has(end.entry.position)
            line = None if there else (text, end.record)
            if self._order is not None:
                lines += self._order.ready(end.entry.position, line)
            else:
                lines.append(line)
        written = [line for line in lines if line is not None]
        if written:
            self._output.write(written)
        told.out = len(lines) - len(written) if self._output.paced else len(lines)

    def _end(self) -> None:
        try:
            if self._order is not None and self._journal is None and not self._broken:
                self._output.write(self._order.rest())
        finally:
            self._output.close()
            if self._journal is not None:
                self._journal.close()


def _record(entry: Entry, ended: Ended) -> BatchRecord:
    found = record_of(ended.line)
    return found if ended.position == entry.position else shared(found, entry.position, entry.id, entry.metadata)


def _worded(error: Exception, journal: Journal | None) -> Exception:
    """SQLite's errors as the system's: the disk is full, or gone."""
    if isinstance(error, sqlite3.Error) and journal is not None:
        made = OSError(
            f"the journal {journal.path} could not be written: {error}. What it has is safe; mend that and run again"
        )
        made.__cause__ = error
        return made
    return error
