"""The journal: one SQLite file that says, for each item, that its call is about to be sent, and then how it ended.

One process holds it at a time: SQLite's own lock, which dies with its process. Used from one thread. Knows no model and no output.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from .._errors import UsageError

#: In the file's header: "a journal of chatmodels" (any number of one's own will do).
APPLICATION = 0x636D424A
VERSION = 1
BEGUN, DONE, FAILED = 1, 2, 3

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE items (position INTEGER PRIMARY KEY, key BLOB NOT NULL, state INTEGER NOT NULL);
CREATE TABLE lines (position INTEGER PRIMARY KEY, line BLOB NOT NULL);
CREATE INDEX by_key ON items (key)"""


class Ended(NamedTuple):
    """How an item has ended: its line, and whether that is an answer. `position` is the item whose line it is."""

    position: int
    line: bytes
    ok: bool


class Spent(NamedTuple):
    """What all calls in the journal took together."""

    tokens: int
    cost: float


class Journal:
    """Opened, and held until `close`."""

    def __init__(self, path: Path, model: str, fingerprint: str) -> None:
        self.path = path
        self._db = _opened(path)
        self._fresh: list[tuple[int, bytes]] = []
        try:
            self._check(model, fingerprint)
            self.last: int = self._one("SELECT coalesce(max(position), -1) FROM items")
            self.spent = Spent(int(self._meta("tokens") or 0), float(self._meta("cost") or 0.0))
        except BaseException:
            self._db.close()
            raise

    def _check(self, model: str, fingerprint: str) -> None:
        before = self._meta("fingerprint")
        if before is None:
            self._db.execute("INSERT INTO meta VALUES ('model', ?), ('fingerprint', ?)", (model, fingerprint))
        elif before != fingerprint:
            was = self._meta("model")
            what = (
                f"of {was}, not of {model}" if was != model else f"of {model} with other settings (or another address)"
            )
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

    def meta(self, name: str) -> Any:
        """What is noted about the whole, or None."""
        return self._meta(name)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All or nothing, and on the disk at its end."""
        self._db.execute("BEGIN")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def begin(self, position: int, key: bytes) -> Ended | None:
        """How this item, or an earlier one that asks the same, has ended; else None: it begins, as `write` notes."""
        known = (
            self._db.execute("SELECT key, state FROM items WHERE position = ?", (position,)).fetchone()
            if (position <= self.last)
            else None
        )
        if known is not None and known[0] != key:
            raise UsageError(
                f"{self.path} is the journal of another input: item {position} asks something else there. Give the same input to "
                "go on with it, or another journal (and output) to begin anew",
                argument="journal",
            )
        if known is not None and known[1] != BEGUN:
            return self._ended(position, known[1])
        same = self._one("SELECT position FROM items WHERE key = ? AND state = 2 LIMIT 1", key)
        if known is None:
            self._fresh.append((position, key))
        return None if same is None else self._ended(same, DONE)

    def _ended(self, position: int, state: int) -> Ended:
        return Ended(position, self._one("SELECT line FROM lines WHERE position = ?", position), state == DONE)

    def write(self, ended: list[Ended]) -> None:
        """Note what has begun since the last time, and these ends. Called once in each transaction."""
        self._db.executemany("INSERT INTO items VALUES (?, ?, 1)", self._fresh)
        self._fresh.clear()
        self._db.executemany(
            "UPDATE items SET state = ? WHERE position = ?", [(DONE if e.ok else FAILED, e.position) for e in ended]
        )
        self._db.executemany("INSERT OR REPLACE INTO lines VALUES (?, ?)", [(e.position, e.line) for e in ended])

    def spend(self, tokens: int, cost: float) -> None:
        """What calls that have ended took."""
        self.spent = Spent(self.spent.tokens + tokens, self.spent.cost + cost)
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('tokens', ?), ('cost', ?)", tuple(self.spent))

    def ended(self) -> Iterator[int]:
        """The positions that have ended."""
        return (row[0] for row in self._db.execute("SELECT position FROM items WHERE state != 1"))

    def has(self, position: int) -> bool:
        """Does it know the item?"""
        return self._one("SELECT 1 FROM items WHERE position = ?", position) is not None

    def begun(self) -> list[int]:
        """The positions whose calls may have been sent, and whose answers never came here."""
        return [row[0] for row in self._db.execute("SELECT position FROM items WHERE state = 1 ORDER BY position")]

    def forget_failed(self) -> int:
        """Failed items are as if never asked; how many there were."""
        with self.transaction():
            self._db.execute("DELETE FROM lines WHERE position IN (SELECT position FROM items WHERE state = 3)")
            return self._db.execute("DELETE FROM items WHERE state = 3").rowcount

    def close(self) -> None:
        """Let another process have it."""
        self._db.close()


def _opened(path: Path) -> sqlite3.Connection:
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}; make it first", argument="journal")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; journal is a file", argument="journal")
    _check_header(path)
    db = sqlite3.connect(path, timeout=0.5, isolation_level=None, check_same_thread=False)
    try:
        _prepare(db, path)
    except sqlite3.OperationalError as error:
        db.close()
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise UsageError(
                f"{path} is in use: another batch is running with this journal. Wait for it, or give this one its own journal "
                "and output",
                argument="journal",
            ) from error
        raise
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    # Exclusive before the first access: the lock is then held until the connection or its process ends, and there is no
    # shared-memory file. FULL: a commit is on the disk when it returns, also when the power fails in the next moment.
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL").fetchone()
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA cache_size = -32768")
    db.execute("BEGIN IMMEDIATE")
    try:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise _not_usable(path, "it is a database of another program")
            for statement in _TABLES.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
            db.execute(f"PRAGMA application_id = {APPLICATION}")
        elif version != VERSION:
            raise _not_usable(path, f"it is a journal of version {version}, and this release reads version {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


def _check_header(path: Path) -> None:
    """Is it a database at all? Read as plain bytes, so that a file of somebody else is never touched."""
    if not path.exists():
        return
    with path.open("rb") as file:
        head = file.read(16)
    if head and not head.startswith(b"SQLite format 3\0"):
        raise _not_usable(path, "it is no SQLite database")


def _not_usable(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} cannot be used as a journal: {why}. Give another path, or move that file away", argument="journal"
    )
