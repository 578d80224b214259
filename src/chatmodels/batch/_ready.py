"""The calls that may be sent, and which goes next: those that share a long beginning with the newest one, so that caches hit.

The first with a new beginning (its scout) goes alone, until its answer or a short time has come; then the provider's cache has it
for the others. Scouts go ahead while others are in flight, so that nobody has to wait for them. The clock is an argument.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from typing import TypeAlias

from ._ledger import Entry
from ._prefix import beginnings

#: The first of a new beginning goes alone for at most so long, in seconds: a cache has it when the answer begins.
ALONE = 2.0
#: A provider forgets a beginning that has not been used for so long, in seconds (Anthropic: 5 minutes; OpenAI: 5 to 10).
FORGOTTEN = 300.0
#: Beginnings that are taken to be in the provider's cache. Few: those that come again later have one go first again, which costs
#: no time while there are others to send, and a small cache may have lost them.
KNOWN = 12
#: How many may overtake the one that has waited longest.
PATIENCE = 256

Path: TypeAlias = tuple[int, ...]


class Ready:
    """A queue; `take` gives the one to send next. `grouped` False: first come, first served."""

    def __init__(self, grouped: bool = True) -> None:
        self._grouped = grouped
        #: Each with its beginnings: those in line; those that wait for a scout, by its beginning; those in flight.
        self._line: OrderedDict[Entry, Path] = OrderedDict()
        self._held: dict[int, dict[Entry, Path]] = {}
        self._count = 0
        self._away: dict[Entry, Path] = {}
        #: Those in line, by each of their beginnings.
        self._groups: dict[int, OrderedDict[Entry, None]] = {}
        self._newest: Path = ()
        self._overtaken = 0
        #: Beginnings: sent and not answered, since when; answered, when used last.
        self._begun: OrderedDict[int, float] = OrderedDict()
        self._known: OrderedDict[int, float] = OrderedDict()
        #: Beginnings of groups: without a scout; whose scout is on its way; whose scout has been there.
        self._new: OrderedDict[int, None] = OrderedDict()
        self._scouted: dict[int, None] = {}
        self._open: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._line) + self._count

    def __iter__(self) -> Iterator[Entry]:
        yield from self._line
        for some in self._held.values():
            yield from some

    def append(self, entry: Entry) -> None:
        """One more; an entry that was taken and not answered too."""
        self._put(entry, beginnings(entry.call) if self._grouped else ())

    def popleft(self) -> Entry:
        """The first, whatever it begins with."""
        if not self._line:
            for one in list(self._held):
                self._let_go(one)
        entry = next(iter(self._line))
        self._leave(entry)
        return entry

    def clear(self) -> None:
        """Nobody waits any more."""
        for waiting in (self._line, self._held, self._groups, self._new, self._open):
            waiting.clear()
        self._count = 0

    def take(self, now: float, flying: int, most: int) -> tuple[Entry | None, float]:
        """The one to send now; or None, and the seconds after which there may be one, if no answer comes before. `flying` calls
        are in flight, of at most `most`."""
        if not self._groups and not self._held:  # nobody begins like anybody
            return (self.popleft(), 0.0) if self._line else (None, math.inf)
        self._expire(now)
        while self._line:
            entry = self._next(flying, most)
            if entry is None:
                break
            path = self._line[entry]
            self._leave(entry)
            ahead = next((one for one in path if one in self._begun), None)
            if ahead is None:
                self._sent(entry, path, now)
                return entry, 0.0
            self._held.setdefault(ahead, {})[entry] = path
            self._count += 1
        first = next(iter(self._begun.values()), None)
        return None, math.inf if first is None else max(0.0, first + ALONE - now)

    def landed(self, entry: Entry, now: float, *, ok: bool) -> None:
        """The call of an entry that was taken has ended. `ok`: the provider has read it."""
        for one in reversed(self._away.pop(entry, ())):  # the shortest is known longest
            if ok:
                self._know(one, now)
            if self._begun.pop(one, None) is not None:
                self._let_go(one)

    # -- which is next

    def _next(self, flying: int, most: int) -> Entry | None:
        first = next(iter(self._line))
        if self._overtaken >= PATIENCE:
            return first
        enough = self._work() >= max(1, most)
        if flying and not enough and (scout := self._scout()) is not None:
            return scout
        for one in reversed(self._newest):
            if one in self._groups:
                return self._within(one)
        if self._open:
            return self._first_of(next(iter(self._open)))
        waits = enough and any(one in self._new for one in self._line[first])
        return None if waits else first

    def _work(self) -> int:
        """How many can go when the scouts that are on their way are back."""
        return sum([len(self._groups.get(one, ())) + len(self._held.get(one, ())) for one in self._scouted])

    def _scout(self) -> Entry | None:
        while self._new:
            one, _ = self._new.popitem(last=False)
            if one not in self._known and one not in self._begun:
                return self._first_of(one)
        return None

    def _within(self, one: int) -> Entry:
        """One that begins so; first those whose longer beginning a scout has made known."""
        for longer in self._open:
            entry = self._first_of(longer)
            if one in self._line[entry]:
                return entry
        return self._first_of(one)

    def _first_of(self, one: int) -> Entry:
        return next(iter(self._groups[one]))

    # -- who is where

    def _put(self, entry: Entry, path: Path) -> None:
        self._line[entry] = path
        for one in path:
            group = self._groups.get(one)
            if group is None:
                group = self._groups[one] = OrderedDict()
            elif len(group) == 1 and one not in self._known and one not in self._begun:
                self._new[one] = None
            group[entry] = None

    def _leave(self, entry: Entry) -> None:
        is_first = next(iter(self._line)) is entry
        self._overtaken = 0 if is_first else self._overtaken + 1
        for one in self._line.pop(entry):
            group = self._groups[one]
            del group[entry]
            if not group:
                del self._groups[one]
                self._new.pop(one, None)
                self._open.pop(one, None)

    def _sent(self, entry: Entry, path: Path, now: float) -> None:
        for one in reversed(path):
            if one in self._known:
                self._know(one, now)
                continue
            self._begun[one] = now
            self._new.pop(one, None)
            if one in self._groups:
                self._scouted[one] = None
        if path:
            self._newest = self._away[entry] = path

    def _know(self, one: int, now: float) -> None:
        self._known[one] = now
        self._known.move_to_end(one)
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)

    def _let_go(self, one: int) -> None:
        """The scout is back. Those that waited for it go to the front: they have waited longest."""
        held = self._held.pop(one, {})
        self._count -= len(held)
        for entry, path in held.items():
            self._put(entry, path)
        for entry in reversed(held):
            self._line.move_to_end(entry, last=False)
        if one in self._scouted:
            del self._scouted[one]
            if one in self._groups and one in self._known:
                self._open[one] = None

    def _expire(self, now: float) -> None:
        while self._begun and (first := next(iter(self._begun.items())))[1] + ALONE <= now:
            self._begun.popitem(last=False)
            self._know(first[0], now)
            self._let_go(first[0])
        while self._known and next(iter(self._known.values())) + FORGOTTEN <= now:
            self._known.popitem(last=False)
