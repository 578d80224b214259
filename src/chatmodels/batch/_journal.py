"""The journal: one SQLite file that says, for each item, that its call is about to be sent, and then how it ended.

What is new goes to a log, a row for each group: one statement, on the disk when it returns. Later it is filed, many groups at
once, into the tables that are read; what a crash has left in the log is filed when the journal is opened. One process holds it at a
time: SQLite's own lock, which dies with its process. Used from one thread. Knows no model and no output.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from .._errors import UsageError
from ._asked import difference
from ._journal_file import damaged, opened, speaking, sum_of, transaction
from ._keys import Keys
from ._rows import insert, select


class Ended(NamedTuple):
    """How an item has ended: its line, and whether that is an answer. `position` is the item whose line it is. With its `key`, an
    answer is one for all items that ask the same."""

    position: int
    line: bytes
    ok: bool
    key: bytes = b""


class Spent(NamedTuple):
    """What all calls in the journal took together."""

    tokens: int
    cost: float


class _Entries(msgspec.Struct, array_like=True):
    """A row of the log. `tokens` and `cost`: spent, in all. `unsent`: had begun, and was not sent after all."""

    begun: list[tuple[int, bytes]]
    ended: list[Ended]
    tokens: int
    cost: float
    unsent: list[int] = []


class _Flying(msgspec.Struct, array_like=True):
    """What a run began with: how many calls it may have in flight; and, from the runs before, how many were at risk, of which
    items (None: of too many)."""

    most: int
    risk: int
    before: list[int] | None


#: So many items at risk are noted one by one.
_NOTED = 10_000
#: So many ends, or begins, are filed together.
_FILED = 512

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Entries).decode
_decode_flying = msgspec.json.Decoder(_Flying).decode


class Journal:
    """Opened, and held until `close`. `asked`: what the fingerprint is made of, in words, for who changes it (see `_asked.py`)."""

    def __init__(self, path: Path, model: str, fingerprint: str, asked: str | None = None) -> None:
        self.path = path
        self._db = opened(path)
        self._fresh: list[tuple[int, bytes]] = []
        #: In the log, and not filed yet.
        self._begun: list[tuple[int, bytes]] = []
        self._ends: list[Ended] = []
        self._unsent: list[int] = []
        #: Had begun in an earlier run.
        self._before: set[int] = set()
        self._answers: dict[bytes, Ended] = {}
        self._by_key: Keys | None = None
        try:
            with speaking(path):
                self._check(model, fingerprint, asked)
                self.spent = Spent(int(self._meta("tokens") or 0), float(self._meta("cost") or 0.0))
                self._read_log()
                self.file()
                self.last: int = self._one("SELECT coalesce(max(position), -1) FROM items")
        except BaseException:
            self._db.close()
            raise

    def _check(self, model: str, fingerprint: str, asked: str | None) -> None:
        before = self._meta("fingerprint")
        if before is None:
            self._db.execute(
                "INSERT INTO meta VALUES ('model', ?), ('fingerprint', ?), ('asked', ?)", (model, fingerprint, asked)
            )
        elif before != fingerprint:
            was = self._meta("model")
            why = None if asked is None else difference(self._meta("asked"), asked)
            other = "with other settings (or another address)" if why is None else f"with other settings: {why}"
            what = f"of {was}, not of {model}" if was != model else f"of {model} {other}"
            raise UsageError(
                f"{self.path} is the journal of another batch: {what}. Give the same model and settings to go on with it, or "
                "another journal (and output) to begin anew",
                argument="journal",
            )

    def _one(self, question: str, *values: Any) -> Any:
        row = self._db.execute(question, values).fetchone()
        return None if row is None else row[0]

    def _meta(self, name: str) -> Any:
        return self._one("SELECT value FROM meta WHERE name = ?", name)

    @property
    def database(self) -> sqlite3.Connection:
        """For who keeps a table of its own beside the items; used within `transaction`."""
        return self._db

    @property
    def _keys(self) -> Keys:
        """Read when they are first asked for: a run that only gives out what it has needs none."""
        if self._by_key is None:
            with self._whole():
                self._by_key = Keys(self._db)
        return self._by_key

    def _whole(self) -> AbstractContextManager[None]:
        """In the transaction that is open, or in one of its own."""
        return nullcontext() if self._db.in_transaction else self.transaction()

    def meta(self, name: str) -> Any:
        """What is noted about the whole, or None."""
        return self._meta(name)

    def _read_log(self) -> None:
        for entries, checksum in self._db.execute("SELECT entries, sum FROM log ORDER BY number"):
            if crc32(entries) != checksum:
                raise damaged(self.path, "its log is not what was written")
            found = _decode(entries)
            self._begun += found.begun
            self._ends += found.ended
            self._unsent += found.unsent
            self.spent = Spent(found.tokens, found.cost)

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing, and on the disk at its end."""
        return transaction(self._db, self.path)

    def begin(self, position: int, key: bytes) -> Ended | None:
        """`begin_all` for one item."""
        return self.begin_all([(position, key)])[0]

    def begin_all(self, asked: list[tuple[int, bytes]]) -> list[Ended | None]:
        """For each item (position, key): how it, or an earlier one that asks the same, has ended; else None: it begins, as `write`
        notes."""
        with speaking(self.path):
            return self._begun_all(asked)

    def _begun_all(self, asked: list[tuple[int, bytes]]) -> list[Ended | None]:
        last = self.last
        known = self._known([position for position, _ in asked if position <= last])
        for position, key in asked:
            # An empty key is that of an adopted line.
            if known.get(position, key) not in (key, b""):
                raise self._another(position)
        if not known:
            self._fresh += asked
            same = self._same({key for _, key in asked})
            return [same.get(key) for _, key in asked] if same else [None] * len(asked)
        ended = self._ended(known)
        if len(ended) == len(asked):
            return [ended[position] for position, _ in asked]
        self._before.update(known.keys() - ended.keys())
        self._fresh += [(position, key) for position, key in asked if position not in known]
        same = self._same({key for position, key in asked if position not in ended})
        return [ended.get(position) or same.get(key) for position, key in asked]

    def _another(self, position: int) -> UsageError:
        """The input has something else in this place."""
        end = self._ended([position]).get(position)
        if end is not None and not end.ok:
            said = f"item {position} (counted from 0) has failed, and asks something else now"
            cure = "If it was corrected, retry_failed=True (--retry-failed) asks it, and what else has failed, again"
        else:
            said = f"item {position} (counted from 0) asks something else there"
            cure = (
                "Give the same input (and prompt) to go on with it: items may be added at its end, and those that have failed may "
                "be corrected in their places; another input needs another journal and output"
            )
        return UsageError(f"{self.path} is the journal of another input: {said}. {cure}", argument="journal")

    def _same(self, keys: set[bytes]) -> dict[bytes, Ended]:
        """For those that an item with an answer has: that answer."""
        found = {key: self._answers[key] for key in self._answers.keys() & keys}
        if older := self._keys.find(keys - found.keys()):
            lines = self._ended(older.values())
            found.update({key: lines[position] for key, position in older.items() if position in lines})
        return found

    def _known(self, positions: list[int]) -> dict[int, bytes]:
        """The keys of those that have one."""
        return dict(select(self._db, "SELECT position, CAST(key AS BLOB) FROM items WHERE position IN", positions))

    def _ended(self, positions: Iterable[int]) -> dict[int, Ended]:
        found: dict[int, Ended] = {}
        for position, line, ok, checksum in select(
            self._db, "SELECT position, CAST(line AS BLOB), ok, sum FROM lines WHERE position IN", list(positions)
        ):
            if checksum is not None and sum_of(position, line) != checksum:
                raise damaged(self.path, f"the answer of item {position} is not what was written")
            found[position] = Ended(position, line, bool(ok))
        return found

    def write(self, ended: list[Ended], tokens: int = 0, cost: float = 0.0) -> None:
        """Note what has begun since the last time, these ends, and what their calls took. On the disk when it returns, or with the
        transaction that it is in."""
        fresh, self._fresh = self._fresh, []
        if not fresh and not ended:
            return
        self.spent = Spent(self.spent.tokens + tokens, self.spent.cost + cost)
        entries = _encode(_Entries(fresh, ended, *self.spent))
        with speaking(self.path):
            self._db.execute("INSERT INTO log (entries, sum) VALUES (?, ?)", (entries, crc32(entries)))
        self._begun += fresh
        self._ends += ended
        self._answers.update([(e.key, e) for e in ended if e.ok])

    def unsend(self, positions: list[int]) -> None:
        """Their calls were not sent, or were refused unpaid: they have not begun, unless an earlier run had begun them."""
        positions = [position for position in positions if position not in self._before]
        if not positions:
            return
        entries = _encode(_Entries([], [], *self.spent, positions))
        with speaking(self.path):
            self._db.execute("INSERT INTO log (entries, sum) VALUES (?, ?)", (entries, crc32(entries)))
        self._unsent += positions

    def tidy(self) -> None:
        """File what is in the log, if it is much."""
        if len(self._ends) >= _FILED or len(self._begun) >= _FILED:
            # No sync for this: what it moves is on the disk already, and is so still if the power fails.
            self._db.execute("PRAGMA synchronous = NORMAL")
            try:
                self.file()
            finally:
                self._db.execute("PRAGMA synchronous = FULL")

    def file(self) -> None:
        """Empty the log into the tables."""
        if not self._begun and not self._ends and not self._unsent:
            return
        keys, self._by_key = self._by_key, None  # if this fails, they are read again
        with self._whole():
            insert(self._db, "INSERT OR IGNORE INTO items VALUES ", 2, [v for pair in self._begun for v in pair])
            self._ends.sort(key=_position)
            rows = [v for e in self._ends for v in (e.position, e.line, e.ok, sum_of(e.position, e.line))]
            insert(self._db, "INSERT OR REPLACE INTO lines VALUES ", 4, rows)
            for position in self._unsent:
                self._db.execute("DELETE FROM items WHERE position = ?", (position,))
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('tokens', ?), ('cost', ?)", tuple(self.spent))
            self._db.execute("DELETE FROM log")
            if keys is not None:
                keys.add_all({key: e.position for key, e in self._answers.items()})
        self._by_key = keys
        self._begun, self._ends, self._unsent, self._answers = [], [], [], {}

    def adopt(self, ended: list[Ended], tokens: int, cost: float) -> None:
        """Ends that are in the output and not here, because the disk has lost what it said it had."""
        self._fresh += [(e.position, b"") for e in ended]
        self.write(ended, tokens, cost)
        self.file()
        self.last = max(self.last, *(e.position for e in ended))

    def ended(self) -> Iterator[int]:
        """The positions that have ended."""
        self.file()
        with speaking(self.path):
            yield from (row[0] for row in self._db.execute("SELECT position FROM lines"))

    def has(self, position: int) -> bool:
        """Does it know the item?"""
        self.file()
        return self._one("SELECT 1 FROM items WHERE position = ?", position) is not None

    def begun(self) -> list[int]:
        """The positions whose calls may have been sent, and whose answers never came here."""
        self.file()
        # Two questions of the index `ended`: the lines themselves are not read.
        none = "NOT EXISTS (SELECT 1 FROM lines WHERE ok = {} AND lines.position = items.position)"
        with speaking(self.path):
            question = f"SELECT position FROM items WHERE {none.format(1)} AND {none.format(0)} ORDER BY position"  # noqa: S608  (ours)
            return [row[0] for row in self._db.execute(question)]

    def failed(self) -> Iterator[tuple[int, bytes]]:
        """The items that have failed, in turn, with their keys."""
        self.file()
        question = (
            "SELECT lines.position, CAST(items.key AS BLOB) FROM lines JOIN items ON items.position = lines.position "
            "WHERE lines.ok = 0 ORDER BY lines.position"
        )
        with speaking(self.path):
            yield from self._db.execute(question)

    def flying(self, most: int) -> int:
        """How many of those that `begun` gives can have been in flight when runs were killed; and note that in this run so many
        more may be. Many are noted ahead of their calls."""
        begun, known = self.begun(), self._meta("flying")
        risk = len(begun)
        if isinstance(known, str):
            last = _decode_flying(known)
            left = last.risk if last.before is None else min(last.risk, len(set(last.before).intersection(begun)))
            risk = min(risk, left + last.most)
        noted = msgspec.json.encode(_Flying(most, risk, begun if len(begun) <= _NOTED else None)).decode()
        with speaking(self.path):
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('flying', ?)", (noted,))
        return risk

    def forget(self, positions: Iterable[int]) -> None:
        """These items are as if never asked."""
        self.file()
        with self.transaction():
            for at in positions:
                self._db.execute("DELETE FROM items WHERE position = ?", (at,))
                self._db.execute("DELETE FROM lines WHERE position = ?", (at,))

    def forget_failed(self) -> int:
        """Failed items are as if never asked; how many there were."""
        self.file()
        with self.transaction():
            self._db.execute("DELETE FROM items WHERE position IN (SELECT position FROM lines WHERE ok = 0)")
            return self._db.execute("DELETE FROM lines WHERE ok = 0").rowcount

    def close(self) -> None:
        """Let another process have it."""
        with suppress(UsageError, OSError):  # what is not filed now is filed when it is opened again
            self.file()
        self._db.close()


def _position(ended: Ended) -> int:
    return ended.position
