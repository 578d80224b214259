"""Answers in one SQLite file, for any number of processes. Knows bytes by key, no messages.

A file that is not such a cache, or is damaged, is an error that names it; nothing of it is changed.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep, time
from typing import Any, Self, TypeVar

from .._errors import UsageError
from ._base import Cache, after_fork, seconds

T = TypeVar("T")

#: In the file's header, so that a cache is known before anything is done to it: "chat" as a number, and the tables' version.
APPLICATION, VERSION = 0x63686174, 1

#: No database is smaller than one page, in bytes.
SMALLEST = 512

#: Seconds that one process waits for another's write.
PATIENCE = 10.0

#: Expired answers are thrown away at every so many writes.
_SWEEP = 256

_TABLES = """
CREATE TABLE answers (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires REAL) STRICT;
CREATE INDEX answers_expires ON answers (expires) WHERE expires IS NOT NULL;
CREATE TABLE vectors (setting TEXT NOT NULL, key TEXT NOT NULL, vector BLOB NOT NULL, UNIQUE (setting, key)) STRICT;
"""


class SQLiteCache(Cache):
    """Answers in a SQLite file: they outlive the process, and many processes may use the file at once (not over a network).

    `ttl` is in seconds, None for ever. The file is opened at the first use; one that is damaged, or belongs to another
    program, raises a `UsageError` and stays as it is. One that must not be written to is read. One that was deleted is made anew.
    Answers stand in it as they came: protect it as you protect them.

    >>> chat = ChatModel().with_cache(SQLiteCache("answers.db"))  # doctest: +SKIP
    """

    def __init__(self, path: str | Path, *, ttl: float | None = None) -> None:
        if not isinstance(path, (str, Path)) or not str(path) or str(path) == ":memory:":
            raise UsageError(
                f"path is the file of the cache; got {path!r} (in memory: InMemoryCache())", argument="path"
            )
        self.path = Path(path).absolute()
        self._ttl = seconds(ttl)
        self._writes = 0
        self._connection: sqlite3.Connection | None = None
        self._abandoned: list[Any] = []
        self.forked()
        after_fork(self)

    def forked(self) -> None:
        """A connection must not go through a fork: the parent's is kept, and never touched here."""
        self._lock = threading.Lock()
        self._abandoned.append(self._connection)
        self._connection = None
        self._file: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"SQLiteCache({str(self.path)!r}, ttl={self._ttl})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _at, (self.path, self._ttl)

    def __len__(self) -> int:
        with self._using() as connection:
            count: int = connection.execute("SELECT count(*) FROM answers").fetchone()[0]
        return count

    def get(self, key: str) -> bytes | None:
        """What was kept under the key, if it has not expired."""
        with self._using() as connection:
            row = connection.execute("SELECT value, expires FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None or (row[1] is not None and row[1] <= time()) else row[0]

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Keep the value; what has expired is thrown away now and then."""
        lasts = self._ttl if ttl is None else ttl
        expires = None if lasts is None else time() + lasts
        with self._using() as connection:
            connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (key, value, expires))
            if self._writes % _SWEEP == 0:
                connection.execute("DELETE FROM answers WHERE expires <= ?", (time(),))
                connection.execute("DELETE FROM vectors WHERE key NOT IN (SELECT key FROM answers)")
            self._writes += 1

    def clear(self) -> None:
        """Forget all answers."""
        with self._using() as connection:
            connection.execute("DELETE FROM answers")
            connection.execute("DELETE FROM vectors")

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def __del__(self) -> None:
        # Python warns of connections that nobody closed.
        if getattr(self, "_connection", None) is not None:
            with suppress(sqlite3.Error):
                self._connection.close()  # type: ignore[union-attr]

    def place(self) -> tuple[str, ...]:
        """The file."""
        return "sqlite", str(self.path)

    def pickled(self) -> Self:
        """The same file."""
        return self

    def vectors(self, setting: str) -> list[tuple[str, bytes]]:
        """Those whose answers are still here."""
        with self._using() as connection:
            return connection.execute(
                "SELECT key, vector FROM vectors JOIN answers USING (key) WHERE setting = ? ORDER BY vectors.rowid",
                (setting,),
            ).fetchall()

    def add_vector(self, setting: str, key: str, vector: bytes, most: int, ttl: float | None) -> None:
        """The oldest go where there are more than `most`."""
        with self._using() as connection:
            connection.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", (setting, key, vector))
            connection.execute(
                "DELETE FROM vectors WHERE setting = ? AND rowid NOT IN "
                "(SELECT rowid FROM vectors WHERE setting = ? ORDER BY rowid DESC LIMIT ?)",
                (setting, setting, most),
            )

    @contextmanager
    def _using(self) -> Generator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is not None and _identity(self.path) != self._file:
                    self._connection.close()  # deleted, or another file in its place: what is kept in the old one is seen by nobody
                    self._connection = None
                if self._connection is None:
                    self._connection = _opened(self.path)
                    self._file = _identity(self.path)
                yield self._connection
            except sqlite3.DatabaseError as error:
                if _code(error) in _DAMAGE:
                    raise _not_usable(self.path, f"it is damaged ({error})") from error
                raise


def _at(path: Path, ttl: float | None) -> SQLiteCache:
    return SQLiteCache(path, ttl=ttl)


_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file is at the path; None where none is."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _code(error: sqlite3.Error) -> int:
    """The primary code; the low byte of the extended one."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _not_usable(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} cannot be used as a cache: {why}. Nothing of it was changed. Give the cache another path, or move that file away",
        argument="path",
    )


def _opened(path: Path) -> sqlite3.Connection:
    """A connection to a file that is a cache, or that is made one where nothing was."""
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}; make it first", argument="path")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; path is the file of the cache", argument="path")
    with _opening.lock:
        _check_owner(path)
        if path.exists() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            return _for_reading(path)
        if not path.exists():
            path.touch(mode=0o600)  # answers are as private as what was asked
        connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        _patiently(lambda: _make(connection, path))
        _check_tables(connection, path)
        _patiently(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchone())
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _for_reading(path: Path) -> sqlite3.Connection:
    """A connection to a file, or a file system, that must not be written to. SQLite then refuses to write."""
    for how in ("mode=ro", "immutable=1"):  # beside a write-ahead log of others; without one, where nobody can make it
        connection = sqlite3.connect(
            f"{path.as_uri()}?{how}", uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            _check_tables(connection, path)
        except BaseException as error:
            connection.close()
            if how == "mode=ro" and isinstance(error, sqlite3.OperationalError):
                continue
            raise
        return connection
    raise AssertionError("the last way gives a connection, or its error")


class _Opening:
    """One thread opens at a time: making a file closes it too, and that would take away the locks that another connection of
    this process has on it (https://www.sqlite.org/howtocorrupt.html, 2.2)."""

    def __init__(self) -> None:
        self.forked()
        after_fork(self)

    def forked(self) -> None:
        self.lock = threading.Lock()


_opening = _Opening()


def _check_owner(path: Path) -> None:
    """Whose file is it? Looked up without any lock, log or write, and through SQLite, which keeps its locks right."""
    size = path.stat().st_size if path.exists() else 0
    if not size:
        return
    if size < SMALLEST:  # SQLite would take it for an empty database, and write over it
        raise _not_usable(path, "it is no SQLite database")
    try:
        application, version = _marks(path, "immutable=1")
    except sqlite3.DatabaseError as error:
        if _code(error) != sqlite3.SQLITE_CORRUPT:
            raise
        application, version = _marks(path, "mode=ro")  # it was being written, maybe: look again, with locks
    if application != APPLICATION:
        raise _not_usable(path, "it is a SQLite database of another program")
    if version != VERSION:
        raise _not_usable(
            path, f"it is a cache of version {version}, and this release of chatmodels writes version {VERSION}"
        )


def _marks(path: Path, how: str) -> tuple[int, int]:
    """(application id, user version) of a file."""
    connection = sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, timeout=PATIENCE)
    try:
        application: int = connection.execute("PRAGMA application_id").fetchone()[0]
        return application, connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if _code(error) != sqlite3.SQLITE_NOTADB:
            raise
        raise _not_usable(path, "it is no SQLite database") from error
    finally:
        connection.close()


def _make(connection: sqlite3.Connection, path: Path) -> None:
    """The tables, where the file is new; other processes may be about to make them too."""
    if connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise _not_usable(path, "it is a SQLite database of another program")
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            # In the first transaction, and before the write-ahead log: so the file says at once whose it is.
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _check_tables(connection: sqlite3.Connection, path: Path) -> None:
    try:
        connection.execute("SELECT key, value, expires FROM answers LIMIT 1").fetchone()
        connection.execute("SELECT setting, key, vector FROM vectors LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:
        if _code(error) != sqlite3.SQLITE_ERROR:
            raise
        raise _not_usable(path, f"it is damaged ({error})") from error


def _patiently(step: Callable[[], T]) -> T:
    """Again while another process holds the file: SQLite's own waiting does not cover a change of the journal mode."""
    until = monotonic() + PATIENCE
    while True:
        try:
            return step()
        except sqlite3.OperationalError as error:
            if _code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or monotonic() > until:
                raise
            sleep(0.01)
