"""Which item that has an answer asks the same as another one? By keys, in memory that hardly grows with their number.

The newest keys are in memory; from there they go, sorted, into runs in the journal's file, which are appended and merged but never
changed (a log-structured merge tree), so that no page is written again for each key. A Bloom filter answers for nearly all that
were never seen. Runs hold nothing that the journal's other tables do not have: what was in memory at a crash is read again there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Set
from itertools import islice

from ._rows import insert, select
from ._sets import Bits, Filter

#: Keys in memory, and in a run of the first level. So many runs of one level become one of the next, up to the highest: merging
#: then holds the journal up for a second at most, once in a million items.
NEWEST, FAN, HIGHEST = 1 << 14, 8, 2
#: A run's number: its level above, and below how many there were before.
_LEVEL = 32


class Keys:
    """Used from the journal's thread, within its transactions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._newest: dict[bytes, int] = {}
        self._filter = Filter()
        self._runs: list[int] = []
        self._read()

    def add_all(self, answers: Mapping[bytes, int]) -> None:
        """These items have an answer."""
        newest = self._newest
        fresh = [key for key in answers if key and key not in newest]
        self._filter.add_all(fresh)
        newest.update([(key, answers[key]) for key in fresh])
        if len(newest) >= NEWEST:
            self._spill()

    def find(self, keys: Set[bytes]) -> dict[bytes, int]:
        """For those that an item with an answer has: its position."""
        newest = self._newest
        found = {key: newest[key] for key in newest.keys() & keys}
        perhaps = self._filter.members(keys - found.keys())
        if perhaps and self._runs:
            runs = f"SELECT key, position FROM sorted WHERE run IN ({_list(self._runs)})"  # noqa: S608  (numbers)
            found.update(select(self._db, f"{runs} AND key IN", perhaps))
        return found

    def _read(self) -> None:
        """What is in runs, into the filter; what is in none, into memory."""
        first = self._db.execute("SELECT min(position) FROM items").fetchone()[0]
        in_runs = Bits(first or 0)
        runs: set[int] = set()
        rows = self._db.execute("SELECT run, key, position FROM sorted")
        while some := rows.fetchmany(1000):
            self._filter.add_all([key for _, key, _ in some])
            for run, _, position in some:
                runs.add(run)
                in_runs.add(position)
        self._runs = sorted(runs)
        for some in _chunks(
            p for (p,) in self._db.execute("SELECT position FROM lines WHERE ok = 1 ORDER BY position")
        ):
            missing = [position for position in some if position not in in_runs]
            if missing:
                self._take(missing)

    def _take(self, positions: list[int]) -> None:
        rows = list(select(self._db, "SELECT key, position FROM items WHERE position IN", positions))
        seen = self.find({key for key, _ in rows})
        self.add_all({key: position for key, position in rows if key not in seen})

    def _spill(self) -> None:
        run = self._next(0)
        insert(
            self._db, "INSERT INTO sorted VALUES ", 3,
            [value for key, position in sorted(self._newest.items()) for value in (run, key, position)],
        )  # fmt: skip
        self._newest.clear()
        self._runs.append(run)
        for level in range(HIGHEST):
            self._merge(level)

    def _merge(self, level: int) -> None:
        full = [run for run in self._runs if run >> _LEVEL == level]
        if len(full) < FAN:
            return
        run = self._next(level + 1)
        which = f"FROM sorted WHERE run IN ({_list(full)})"
        self._db.execute(f"INSERT OR IGNORE INTO sorted SELECT {run}, key, position {which} ORDER BY key")
        self._db.execute(f"DELETE {which}")
        self._runs = [*(r for r in self._runs if r not in full), run]

    def _next(self, level: int) -> int:
        return 1 + max([run for run in self._runs if run >> _LEVEL == level], default=level << _LEVEL)


def _list(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


def _chunks(positions: Iterator[int]) -> Iterator[list[int]]:
    while some := list(islice(positions, 500)):
        yield some
