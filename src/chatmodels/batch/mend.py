"""Saves what can be read of a journal that is damaged on the disk: `python -m chatmodels.batch.mend out.jsonl.journal`.

Reads the damaged file and writes another beside it; what only the output has is taken over from there by the next run.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._errors import UsageError
from ._jobbook import TABLE as JOBS
from ._journal_file import make, sum_of

_COLUMNS = {"items": "position, key", "lines": "position, line, ok, sum", "log": "number, entries, sum"}


def mend(journal: str | Path) -> Path:
    """Make a new journal of all that can be read of a damaged one, in its place; return where the damaged one is now.

    That is `journal` and ".damaged", with its "-wal" file if there was one. Then run the batch again: answers that were on damaged
    pages come from the output, or are asked again. A UsageError where nothing can be read; then nothing is changed.

    >>> mend("out.jsonl.journal")  # doctest: +SKIP
    PosixPath('out.jsonl.journal.damaged')
    """
    path = Path(journal)
    if not path.is_file():
        raise UsageError(f"there is no file {path}", argument="journal")
    aside = path.with_name(f"{path.name}.damaged")
    if aside.exists():
        raise UsageError(f"{aside} is there already: move it away first", argument="journal")
    # Read from a copy: opening a journal files away what is in its log.
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        copy, new = Path(folder) / "old", Path(folder) / "new"
        for end in ("", "-wal"):
            if (beside := path.with_name(path.name + end)).exists():
                shutil.copy(beside, f"{copy}{end}")
        try:
            _mended(copy, new)
        except sqlite3.DatabaseError as error:
            raise UsageError(f"nothing can be read of {path}: {error}", argument="journal") from error
        path.rename(aside)
        if (wal := path.with_name(f"{path.name}-wal")).exists():
            wal.rename(f"{aside}-wal")
        new.rename(path)
    return aside


def _mended(damaged: Path, into: Path) -> None:
    old, new = sqlite3.connect(damaged), sqlite3.connect(into, isolation_level=None)
    old.text_factory = bytes
    try:
        new.execute("BEGIN")
        make(new)
        _copy(old, new)
        new.execute("COMMIT")
    finally:
        old.close()
        new.close()


def _copy(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    rows = old.execute("SELECT name, value FROM meta").fetchall()
    text = [tuple(value.decode() if isinstance(value, bytes) else value for value in row) for row in rows]
    new.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", text)
    for table, columns in _COLUMNS.items():
        new.executemany(
            f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({', '.join('?' * len(columns.split(',')))})",  # noqa: S608  (ours)
            (row for row in _readable(old, table, columns) if table != "lines" or _whole(*row)),
        )
    # A line whose item was on a damaged page: an empty key is that of any item.
    new.execute("INSERT OR IGNORE INTO items SELECT position, x'' FROM lines")
    if old.execute("SELECT 1 FROM sqlite_master WHERE name = 'jobs'").fetchone() is not None:
        new.execute(JOBS)
        for label, id, made, over, tries in old.execute("SELECT label, id, made, over, tries FROM jobs"):
            named = None if id is None else id.decode()
            new.execute("INSERT OR IGNORE INTO jobs VALUES (?, ?, ?, ?, ?)", (label.decode(), named, made, over, tries))


def _readable(db: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """The rows on undamaged pages, by their number in the first column."""
    at = -1
    while True:
        try:
            for row in db.execute(_after(table, columns), (at,)):
                at = row[0]
                yield row
            return
        except sqlite3.DatabaseError:
            beyond = _beyond(db, table, columns, at)
        if beyond is None:
            return
        at = beyond


def _beyond(db: sqlite3.Connection, table: str, columns: str, at: int) -> int | None:
    """The least number after which the next row can be read again, or None."""

    def reads(after: int) -> bool:
        try:
            return db.execute(f"{_after(table, columns)} LIMIT 1", (after,)).fetchone() is not None
        except sqlite3.DatabaseError:
            return False

    step = 1
    while not reads(at + step):
        step *= 2
        if step > 1 << 48:
            return None
    low, high = at + step // 2, at + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reads(middle) else (middle, high)
    return high


def _whole(position: int, line: bytes, _: int, checksum: int | None) -> bool:
    return checksum is None or sum_of(position, line) == checksum


def _after(table: str, columns: str) -> str:
    key = columns.partition(",")[0]
    return f"SELECT {columns} FROM {table} WHERE {key} > ? ORDER BY {key}"  # noqa: S608  (ours)


def main() -> int:
    """The command: its argument is the journal's path."""
    if len(sys.argv) != 2:
        sys.stderr.write(f"usage: python -m {__spec__.name} JOURNAL\n")
        return 2
    try:
        made = mend(sys.argv[1])
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{sys.argv[1]} is mended, as far as it could be read; what it was is {made}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
