"""The driver of a batch on Ray: hands out shards one by one, takes back what came of them, and mends what is lost on the way.

Everything happens in the caller's thread. In memory is a shard for each worker, and some numbers for each shard that has ended.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from copy import copy
from time import monotonic

from .._errors import ChatModelError, UsageError
from ..batch._journal import Journal
from ..batch._progress import Progress
from ..batch._record import record_of
from ..batch._tally import Tally
from ._book import Book, add_counts, add_so_far, add_tally, counts_of
from ._ended import lines_of, path_of
from ._output import Output
from ._pool import Lost, Member, Pool
from ._purse import Purse
from ._same import Same
from ._shards import Shard
from ._worker import ShardEnd, Work

#: Seconds for which no worker may come up; for which a lost worker's journal may stay locked; between two looks at all.
START, BUSY, LOOK = 300.0, 150.0, 1.0
#: A shard that has lost so many workers is what they die of. So many in a row that do not even begin are the cluster's fault.
LOSSES, STILLBORN = 5, 5
#: So many shards for each worker may be put off, because they wait for an answer of an earlier one.
PUT_OFF = 2


class Driver:
    """One run of a batch, once."""

    def __init__(  # noqa: PLR0917
        self, shards: Iterator[Shard], pool: Pool, work: Work, book: Book, output: Output, purse: Purse,
        same: Callable[[Callable[[int], bool]], Same], tally: Tally, progress: Progress, *, retry_failed: bool, whole_report: bool,
    ) -> None:  # fmt: skip
        self._shards, self._pool, self._work, self._book, self._output = shards, pool, work, book, output
        self._purse, self._same, self.tally, self._progress = purse, same(self._is_over), tally, progress
        self._retry_failed, self._whole_report = retry_failed, whole_report
        self._folder = book.folder
        self._metrics = tally.metrics
        self._next: Shard | None = None
        self._returned: deque[Shard] = deque()
        self._not_before: dict[int, tuple[float, float]] = {}
        self._given: dict[int, int] = {}
        self._new: set[int] = set()
        self._parted: set[int] = set()
        #: Calls and tokens of this run for a shard that comes back.
        self._so_far: dict[int, tuple[int, int]] = {}
        self._open: dict[int, Tally | None] = {}
        self._ended: dict[int, bool] = {}
        self._written = 0
        self._last = -1
        self._all_read = self._tight = self._broken = False
        self._in_a_row = self._stillborn = 0
        self._waits_since = monotonic()
        self.read = 0
        self.again: set[int] = set()
        self.omits: set[str] = set()
        self.lost = 0
        self.stopped: str | None = None
        self.reason: str | None = None
        self.error: BaseException | None = None

    # -- the loop

    def run(self) -> None:
        """To the end, or until it is stopped. Raises what the source or the disk raised, and KeyboardInterrupt."""
        interrupted: KeyboardInterrupt | None = None
        if self._metrics is not None:
            self._metrics.start()
        try:
            while True:
                try:
                    if not self._step():
                        break
                except KeyboardInterrupt as error:
                    if interrupted is not None:
                        raise
                    interrupted = error
                    sys.stderr.write("\nno more calls are sent; those in flight may end (Ctrl-C again: now)\n")
                    self.stop("interrupted", "by Ctrl-C; the same command goes on with the rest")
        except Exception as error:  # the disk, or a journal that is gone: the output is left as it is
            self._broken = True
            self.stopped, self.reason = "error", str(error)
            raise
        finally:
            self._pool.close()
            self._same.close()
            self._close()
            if self._metrics is not None:
                self._metrics.end()
        if interrupted is not None:
            raise interrupted
        if self.error is not None:
            raise self.error

    def _step(self) -> bool:
        self._dispatch()
        if self.stopped is not None and not self._pool.busy:
            return False
        waiting = self._next is not None or self._returned or self._same.waiting or self._pool.busy
        if self._all_read and not waiting:
            return False
        for member in self._pool.wait(min(LOOK, self._progress.every)):
            self._came(member)
        self._look()
        return True

    def stop(self, stopped: str, reason: str, error: BaseException | None = None) -> None:
        """Hand out no more; what is in flight ends."""
        if self.stopped is None:
            self.stopped, self.reason, self.error = stopped, reason, error
            self._pool.stop(stopped, reason)

    def _look(self) -> None:
        self._pool.look()
        shown = copy(self.tally)
        busy = self._pool.busy
        under_way = {member.shard.number for member in busy if member.shard is not None}
        for number, tally in self._open.items():
            if tally is not None and number not in under_way:
                add_so_far(shown, tally)
        for member in busy:
            add_so_far(shown, member.now)
            self.omits.update(member.now.omits)  # a worker that is lost says them no more
        self._progress.soon(shown)
        if self._metrics is not None:
            self._metrics.show(in_flight=shown.in_flight, expected=shown.expected or 0)
        if any(m.ready for m in self._pool.members):
            self._waits_since = monotonic()
        elif self.stopped is None and monotonic() - self._waits_since > START:
            text = f"no worker has begun in {START:.0f} s: the cluster has no room for one; {self._pool.room()}. Ask for less with "
            error = ChatModelError(text + "RayEngine(num_cpus=...), or add machines")
            self.stop("error", str(error), error)

    def _measure(self, number: int, *, reused: bool) -> None:
        """Metrics are told of items when their shard has ended; a shard that two runs have answered counts for the second."""
        if self._metrics is not None:
            for line in lines_of(path_of(self._folder, number)):
                self._metrics.add(record_of(line), reused)

    # -- out to the workers

    def _dispatch(self) -> None:
        while self.stopped is None:
            try:
                shard = self._wanted()
            except Exception as error:
                self.stop("error", f"the items could not be read: {error}", error)
                return
            if shard is None:
                return
            self._pool.fill()
            member = self._pool.idle()
            if member is None or not self._give(member, shard):
                return

    def _wanted(self) -> Shard | None:
        """The shard that is to be handed out next: one that came back, else the next of the input that has not ended."""
        if self._next is None:
            self._next = self._came_back() or self._same.ready()
        while self._next is None and not self._all_read and self._same.waiting < PUT_OFF * self._pool.size:
            shard = next(self._shards, None)
            if shard is None:
                self._all_read = True
                break
            self.read += len(shard.items)
            self._last = shard.number
            ended = self._known(shard)
            self._same.note(shard, ended=ended)
            if not ended:
                self._next = shard
        return self._next

    def _came_back(self) -> Shard | None:
        ready = next((s for s in self._returned if self._not_before.get(s.number, (0.0,))[0] <= monotonic()), None)
        if ready is not None:
            self._returned.remove(ready)
        return ready

    def _is_over(self, number: int) -> bool:
        """Has the shard ended, so that nobody writes its journal?"""
        return number in self._book.counts and number not in self._open

    def _known(self, shard: Shard) -> bool:
        """Has it ended in an earlier run? A UsageError where it had other items then."""
        counts = self._book.counts.get(shard.number)
        if counts is None:
            return False
        grown = shard.beginning is not None
        other = counts.digest != (shard.beginning if grown else shard.digest)
        again = counts.failed and (
            other or self._retry_failed
        )  # what failed may be corrected: its journal knows what has not
        if other and not again:
            raise UsageError(
                f"{self._folder} is the journal of another input: items {shard.first} to {shard.first + len(shard.items) - 1} "
                "(counted from 0) ask something else there. Give the same input (and prompt) to go on with it: items may be added "
                "at its end, and those that have failed may be corrected in their places; another input needs another journal "
                "and output",
                argument="journal",
            )
        if grown or again:
            return False
        self.omits.update(counts.omits)
        if self._whole_report:
            add_tally(self.tally, self._read_again(shard.number, reused=True))
        else:
            add_counts(self.tally, counts)
        self._measure(shard.number, reused=True)
        self._written_out(shard.number, fresh=False)
        return True

    def _give(self, member: Member, shard: Shard) -> bool:
        busy = len(self._pool.busy)
        if self._tight and busy:
            return False
        shares = 1 if self._tight else max(1, self._pool.size - busy)
        caps = self._purse.hold(shard.number, shares, self._in_a_row)
        waited = shard.held or shard.waited
        if caps is None and waited and shard.number not in self._parted:  # for what is paid
            caps = self._purse.nothing(shard.number, self._in_a_row)
        if caps is None:
            if not busy:
                self.stop(*self._purse.worded())
            return False
        member.alone = shares == 1 and not busy
        given = self._given[shard.number] = self._given.get(shard.number, 0) + 1
        if given == 1 and not path_of(self._folder, shard.number).exists():
            self._new.add(shard.number)
        self._open[shard.number] = None
        path_of(self._folder, shard.number).parent.mkdir(parents=True, exist_ok=True)
        self._same.tell(shard)
        self._pool.give(member, shard, caps, self._retry_failed and given == 1)
        self._next = None
        return True

    # -- back from the workers

    def _came(self, member: Member) -> None:
        try:
            end = self._pool.result(member)
        except Lost as lost:
            self._lose(member, lost)
            return
        except Exception as error:
            member.shard = None
            self.stop("fatal" if isinstance(error, UsageError) else "error", str(error), error)
            return
        self._stillborn = 0
        shard, member.shard = member.shard, None
        if end is not None and shard is not None:
            self._end(member, shard, end)

    def _lose(self, member: Member, lost: Lost) -> None:
        shard, member.shard = member.shard, None
        self.lost += 1
        if shard is None:
            self._stillborn += 1
            if self._stillborn >= STILLBORN:
                error = ChatModelError(
                    f"{self._stillborn} workers in a row died before they had begun, the last with {lost}"
                )
                self.stop("error", str(error), error)
            return
        shard.losses += 1
        self._parted.discard(shard.number)
        if shard.losses >= LOSSES:
            text = f"shard {shard.number} (items {shard.first} to {shard.first + len(shard.items) - 1}) has lost {LOSSES} workers"
            error = ChatModelError(f"{text}, the last with {lost}; is there enough memory?")
            self.stop("error", str(error), error)
        self._returned.append(shard)

    def _end(self, member: Member, shard: Shard, end: ShardEnd) -> None:
        if end.busy:
            self._wait_for(shard, end)
            return
        if end.error is not None or end.tally is None:
            error = end.error or ChatModelError(f"shard {shard.number} has no result")
            self._open[shard.number] = end.tally
            self.stop("error", str(error), error)
            return
        self._purse.settle(shard.number, end.cost, end.tokens)
        if shard.number not in self._parted:  # there they were noted, and left unsent
            self.again.update(end.again)
        self.omits.update(end.omits)
        tally = end.tally
        self._of_this_run(shard, tally)
        well = tally.done > tally.reused + tally.coalesced
        self._in_a_row = end.in_a_row if well else self._in_a_row + end.in_a_row
        self._open[shard.number] = tally
        if end.stopped is None and shard.held:
            self._so_far[shard.number] = tally.called, tally.new_tokens
            self._same.put_off(shard)
        elif end.stopped is None:
            self._whole(shard, tally, end)
        elif member.caps.are_reached(end):
            self._so_far[shard.number] = tally.called, tally.new_tokens
            self._at_cap(member, shard)
        else:
            self.stop(end.stopped, end.reason or end.stopped)

    def _of_this_run(self, shard: Shard, tally: Tally) -> None:
        """What was "earlier" for a worker may have been earlier in this run."""
        new = shard.number in self._new
        called, tokens = self._so_far.pop(shard.number, (0, 0))
        if new and shard.losses:
            tally.called, tally.reused = tally.called + tally.reused, 0
            tally.new_tokens = tally.input_tokens + tally.output_tokens
            return
        tally.called, tally.reused = tally.called + called, 0 if new else tally.reused - called
        tally.new_tokens += tokens

    def _whole(self, shard: Shard, tally: Tally, end: ShardEnd) -> None:
        del self._open[shard.number]
        self._same.forget(shard.number)
        add_tally(self.tally, tally)
        if not path_of(self._folder, shard.number).exists():
            raise self._gone(shard.number, 0, len(shard.items))
        self._measure(shard.number, reused=shard.number not in self._new and tally.called == 0)
        self._book.end(shard.number, counts_of(tally, len(shard.items), shard.digest, end))
        self._written_out(shard.number, fresh=True)

    def _at_cap(self, member: Member, shard: Shard) -> None:
        """Its share is spent. From now on one worker at a time has all that is left."""
        self._returned.append(shard)
        self._parted.add(shard.number)
        self._tight = True
        if member.alone and self.stopped is None:
            self.stop(*self._purse.worded())

    def _wait_for(self, shard: Shard, end: ShardEnd) -> None:
        """A worker of a driver that was killed, or that Ray has given up, still has the shard's journal."""
        now = monotonic()
        began = self._not_before.get(shard.number, (0.0, now))[1]
        self._not_before[shard.number] = (now + 1.0, began)
        self._returned.append(shard)
        if now - began > BUSY:
            self.stop("error", str(end.error), end.error)

    # -- the output

    def _written_out(self, number: int, *, fresh: bool) -> None:
        if not self._output.in_order:
            self._output.ended(number, self._all_lines(number), fresh=fresh)
            return
        self._ended[number] = fresh
        while self._written in self._ended:
            found = self._ended.pop(self._written)
            self._output.ended(self._written, self._all_lines(self._written), fresh=found)
            self._written += 1

    def _all_lines(self, number: int) -> Iterator[bytes]:
        """Of a shard that has ended. An error where some are missing: no line is ever lost in silence."""
        found, expected = 0, self._book.counts[number].items
        for line in lines_of(path_of(self._folder, number)):
            found += 1
            yield line
        if found != expected:
            raise self._gone(number, found, expected)

    def _gone(self, number: int, found: int, expected: int) -> ChatModelError:
        return ChatModelError(
            f"{path_of(self._folder, number)} has {found} of the {expected} lines of shard {number}, which has ended: the journal "
            "was moved or damaged, or is not on a file system that all machines share. Bring it back and the same call goes on"
        )

    def _close(self) -> None:
        """What was answered of shards that have not ended is counted, and goes out too, where all lines share a file."""
        for number, tally in self._open.items():
            if tally is None:
                self._recover(number)
                tally = self._read_again(number, reused=number not in self._new)
            add_tally(self.tally, tally)
        if self._output.in_order and not self._broken:
            for number in range(self._written, max(self._last, *self._book.counts, -1) + 1):
                self._recover(number)
                self._output.ended(number, lines_of(path_of(self._folder, number)), fresh=False)
        self._output.close(whole=self.stopped is None)

    def _recover(self, number: int) -> None:
        """What a killed worker left beside its journal goes into it; where it is still held, its last lines are missing."""
        path = path_of(self._folder, number)
        if path.exists():
            try:
                Journal(path, self._work.label, self._work.fingerprint).close()
            except UsageError:
                return

    def _read_again(self, number: int, *, reused: bool) -> Tally:
        found = Tally()
        for line in lines_of(path_of(self._folder, number)):
            record = record_of(line)
            found.add(record, reused, sent=record.error is None or record.error.type != "UsageError")
        return found
