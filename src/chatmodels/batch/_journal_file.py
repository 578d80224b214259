"""The journal's file: opened and locked, its tables made, those of an earlier version brought up to date; SQLite's errors in words.

Knows the tables, and not what is done with them.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from zlib import crc32

from .._errors import UsageError

#: In the file's header: "a journal of chatmodels" (any number of one's own will do).
APPLICATION = 0x636D424A
VERSION = 2

# `items` has a row when the item's call is about to be sent, `lines` one when it has ended: an item without a line is under way.
# All that is new is in `log` first, a row for each group, until it is filed into these two. `sum` is a CRC-32 (of a line: with its
# position; NULL: not known). `sorted` belongs to `_keys.py`.
_ADDED = """
CREATE TABLE log (number INTEGER PRIMARY KEY, entries BLOB NOT NULL, sum INTEGER NOT NULL);
CREATE INDEX ended ON lines (ok, position);
CREATE TABLE sorted (run INTEGER, key BLOB, position INTEGER NOT NULL, PRIMARY KEY (run, key)) WITHOUT ROWID"""
_TABLES = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE items (position INTEGER PRIMARY KEY, key BLOB NOT NULL);
CREATE TABLE lines (position INTEGER PRIMARY KEY, line BLOB NOT NULL, ok INTEGER NOT NULL DEFAULT 1, sum INTEGER);
{_ADDED}"""

# Version 1 had the state beside the key, and an index over all keys. Lines stay where they are: only their table's head changes.
_FROM_1 = """
DROP INDEX by_key;
ALTER TABLE lines ADD COLUMN ok INTEGER NOT NULL DEFAULT 1;
ALTER TABLE lines ADD COLUMN sum INTEGER;
UPDATE lines SET ok = 0 WHERE position IN (SELECT position FROM items WHERE state = 3);
ALTER TABLE items RENAME TO old;
CREATE TABLE items (position INTEGER PRIMARY KEY, key BLOB NOT NULL);
INSERT INTO items SELECT position, key FROM old ORDER BY position;
DROP TABLE old"""

_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_CLOSED = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def opened(path: Path) -> sqlite3.Connection:
    """The database, held by this process alone until it is closed. UsageError where that cannot be."""
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}; make it first", argument="journal")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; journal is a file", argument="journal")
    with speaking(path):
        _check_header(path)
        db = sqlite3.connect(path, timeout=0.5, isolation_level=None, check_same_thread=False, cached_statements=256)
        try:
            _prepare(db, path)
        except BaseException:
            db.close()
            raise
    return db


@contextmanager
def speaking(path: Path) -> Generator[None]:
    """SQLite's errors, and the system's, say what is wrong with this file and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FORBIDDEN:
            raise _closed(path, str(error)) from None
        raise
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _BUSY:
            raise UsageError(
                f"{path} is in use: another batch is running with this journal. Wait for it, or give this one its own journal "
                "and output",
                argument="journal",
            ) from error
        if code in _CLOSED:  # no cause: one of SQLite's would read as "in use"
            raise _closed(path, str(error)) from None
        if code in _DAMAGED:
            raise damaged(path, str(error)) from error
        raise OSError(
            f"the journal {path} could not be written: {error}. What it has is safe: make room on its disk (or see to what else "
            "stands in the way), and run the same again"
        ) from error


@contextmanager
def transaction(db: sqlite3.Connection, path: Path) -> Generator[None]:
    """All or nothing, and on the disk at its end."""
    with speaking(path):
        db.execute("BEGIN")
        try:
            yield
            db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise


def damaged(path: Path, what: str) -> UsageError:
    """What is read from it is not what was written."""
    return UsageError(
        f"{path} is damaged on the disk: {what}. The answers in the output are not touched by that. Save what else can be "
        f"read with python -m chatmodels.batch.mend '{path}', then run the same again",
        argument="journal",
    )


def sum_of(position: int, line: bytes) -> int:
    """The CRC-32 of a line at its place: neither can be another one."""
    return crc32(line, position & 0xFFFFFFFF)


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    # Exclusive before the first access: the lock is then held until the connection or its process ends, and there is no
    # shared-memory file. FULL: a commit is on the disk when it returns, also when the power fails in the next moment.
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL").fetchone()
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA secure_delete = OFF")
    db.execute("PRAGMA cache_size = -4096")
    db.execute("BEGIN IMMEDIATE")
    try:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise _not_usable(path, "it is a database of another program")
            make(db)
        elif version == 1:
            _execute(db, f"{_FROM_1};{_ADDED}")
        elif version != VERSION:
            raise _not_usable(path, f"it is a journal of version {version}, and this release reads version {VERSION}")
        db.execute(
            f"PRAGMA user_version = {VERSION}"
        )  # a write, so that a file that takes none is found out before a call
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


def make(db: sqlite3.Connection) -> None:
    """The tables of an empty journal, in the transaction that is open."""
    _execute(db, _TABLES)
    db.execute(f"PRAGMA application_id = {APPLICATION}")
    db.execute(f"PRAGMA user_version = {VERSION}")


def _execute(db: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):
        db.execute(statement)


def _check_header(path: Path) -> None:
    """Is it a database at all? Read as plain bytes, so that a file of somebody else is never touched."""
    if not path.exists():
        return
    with path.open("r+b") as file:  # as if to write: SQLite would say later, and in other words, that it may not
        head = file.read(16)
    if head and not head.startswith(b"SQLite format 3\0"):
        raise _not_usable(path, "it is no SQLite database")


def _not_usable(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} cannot be used as a journal: {why}. Give another path, or move that file away", argument="journal"
    )


def _closed(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} cannot be written: {why}. A journal and the folder it is in must be writable: mend that, or give another path",
        argument="journal",
    )
