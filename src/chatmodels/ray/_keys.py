"""A file beside the journals of a batch on Ray: for each question, the first item of the input that asks it.

It holds nothing that could not be read from the input again: where it is lost or damaged, it is made anew.
"""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from .._errors import UsageError
from ..batch._journal_file import opened, transaction
from ..batch._keys import Keys


class KeyTable:
    """Held by one driver, as the folder is. Takes the keys of one shard after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = _opened(path)
        try:
            with self._written():
                self._keys = Keys(self._db)
                row = self._db.execute("SELECT value FROM meta WHERE name = 'shards'").fetchone()
        except BaseException:
            self._db.close()
            raise
        #: So many shards, from the first on, have their keys in the file; and have been seen in this run.
        self._filed = self._seen = 0 if row is None else int(row[0])

    def knows(self, number: int) -> bool:
        """Are the keys of this shard in the file?"""
        return number < self._filed

    def add(self, number: int, keys: dict[bytes, int]) -> dict[bytes, int]:
        """Keys of a shard, each with its first item there -> for those that an item before has, that item."""
        with self._written():
            found = self._keys.find(keys.keys())
            self._keys.add_all({key: position for key, position in keys.items() if key not in found})
            self._seen = max(self._seen, number + 1)
            if not self._keys._newest:
                self._note()
        return {key: position for key, position in found.items() if position < keys[key]}

    def close(self) -> None:
        """What is in memory goes into the file."""
        with suppress(OSError, UsageError), self._written():
            if self._keys._newest:
                self._keys._spill()
                self._note()
        self._db.close()

    def _note(self) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('shards', ?)", (self._seen,))
        self._filed = self._seen

    def _written(self) -> AbstractContextManager[None]:
        return transaction(self._db, self._path)


def _opened(path: Path) -> sqlite3.Connection:
    try:
        db = opened(path)
    except UsageError as error:
        if isinstance(error.__cause__, sqlite3.OperationalError):  # somebody else has it
            raise
        for one in (path, path.with_name(f"{path.name}-wal")):
            one.unlink(missing_ok=True)
        db = opened(path)
    # A power cut may take the newest keys from it, which are then read from the input again; it leaves no half of them.
    db.execute("PRAGMA synchronous = NORMAL")
    return db
