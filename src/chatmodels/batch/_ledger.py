"""The thread that writes: journal first, then output, many items in one transaction (group commit).

It takes begins and ends from the event loop through a queue and tells the loop, once a group is on the disk, what came of them.
Knows no model; who owns it makes the lines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import repeat
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from .._errors import UsageError
from ._journal import Ended, Journal
from ._output import InOrder, Output
from ._record import BatchRecord, line_of, record_of, shared

#: The most that is written in one transaction, and the least time between two of them in seconds while nobody waits: some
#: milliseconds of answers share one sync of the disk.
MOST, PAUSE = 1000, 0.008


class Entry:
    """One item on its way."""

    __slots__ = ("call", "expires", "id", "key", "metadata", "position", "tries")

    def __init__(self, position: int, id: str | int | float | None, metadata: Any, key: bytes) -> None:
        self.position, self.id, self.metadata, self.key = position, id, metadata, key
        self.call: Any = None
        self.tries = 0
        self.expires = 0.0


class End(msgspec.Struct, frozen=True):
    """An item has ended; `tokens` and `cost` are what was spent for it now. `reused`: an earlier run, or item, had the answer;
    `sent`: there was a call, or may have been one."""

    entry: Entry
    record: BatchRecord
    tokens: int = 0
    cost: float = 0.0
    reused: bool = False
    sent: bool = True


class Note(msgspec.Struct, frozen=True):
    """Something else for the journal, in its turn; `then` is called in the loop when it is on the disk."""

    write: Callable[[Journal], object]
    then: Callable[[], object]


class Told(msgspec.Struct):
    """What has become of a group: entries whose calls may be sent, ends that are safe, and how many lines have gone out.

    `error`: nothing can be written any more. `refused`: why `left` entries may not be sent, such as that the input is another one;
    answers can be written still."""

    go: list[Entry] = []
    ends: list[End] = []
    lines: list[bytes] = []
    notes: list[Note] = []
    out: int = 0
    error: BaseException | None = None
    refused: UsageError | None = None
    left: int = 0


_Item = Entry | End | Note


class Ledger:
    """Started at once; `close` writes what is left and waits for it."""

    def __init__(self, journal: Journal | None, output: Output, ordered: bool, tell: Callable[[Told], None]) -> None:
        self._journal, self._output, self._tell = journal, output, tell
        self._order = InOrder() if ordered else None
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self.put = self._queue.put
        self._broken = self._closing = False
        self._hurried = threading.Event()
        self._thread = threading.Thread(target=self._work, name="chatmodels-ledger", daemon=True)
        self._thread.start()

    def hurry(self) -> None:
        """Somebody waits for the disk: do not wait for more to write."""
        if not self._hurried.is_set():
            self._hurried.set()

    def close(self) -> None:
        """Write what has come so far, begin nothing more, and let the files go."""
        self._closing = True
        self.hurry()
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
                self._tidy()
        finally:
            self._end()

    def _group(self, first: _Item | None) -> tuple[list[_Item], bool]:
        group: list[_Item] = []
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

    def _write(self, group: list[_Item]) -> None:
        """A failure ends the batch: what is not on the disk then is not told as ended."""
        if self._broken or not group:
            return
        told = Told()
        try:
            with self._together(group):
                self._apply(group, told)
            self._give_out(told)
        except Exception as error:
            self._broken = True
            told = Told(error=error)
        self._tell(told)

    def _tidy(self) -> None:
        if self._journal is None or self._broken:
            return
        try:
            self._journal.tidy()
        except Exception as error:
            self._broken = True
            self._tell(Told(error=error))

    def _together(self, group: list[_Item]) -> AbstractContextManager[None]:
        """A note and what else is in its group are all written, or nothing. The journal's own entries are one statement."""
        if self._journal is None or not any([isinstance(one, Note) for one in group]):
            return nullcontext()
        return self._journal.transaction()

    def _apply(self, group: list[_Item], told: Told) -> None:
        earlier = self._earlier(group, told)
        there: set[int] = set()  # ends that the journal has already
        for one in group:
            if isinstance(one, End):
                told.ends.append(one)
            elif isinstance(one, Note):
                told.notes.append(one)
                if self._journal is not None:
                    one.write(self._journal)
            elif not told.left:
                self._begin(one, next(earlier), told, there)
        told.lines = [line_of(end.record) for end in told.ends]
        if self._journal is None:
            return
        paired = zip(told.ends, told.lines, strict=True)
        # That of an earlier item is written for this one too.
        fresh = [(end, line) for end, line in paired if end.entry.position not in there]
        tokens, cost = sum([end.tokens for end, _ in fresh]), sum([end.cost for end, _ in fresh])
        ends = [Ended(e.entry.position, line, e.record.error is None, e.entry.key) for e, line in fresh]
        self._journal.write(ends, tokens, cost)

    def _begin(self, entry: Entry, ended: Ended | None, told: Told, there: set[int]) -> None:
        if ended is None:
            told.go.append(entry)
            return
        told.ends.append(End(entry, _record(entry, ended), reused=True))
        if ended.position == entry.position:
            there.add(entry.position)

    def _earlier(self, group: list[_Item], told: Told) -> Iterator[Ended | None]:
        """For each entry, in turn: its end, where an earlier run or item had it."""
        if self._journal is None:
            return repeat(None)
        asked = [(one.position, one.key) for one in group if isinstance(one, Entry)]
        try:
            if asked and not self._closing:
                return iter(self._journal.begin_all(asked))
        except UsageError as error:
            told.refused = error
        told.left = len(asked)
        return iter(())

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
