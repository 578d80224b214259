"""Journals of shards, as far as they are files: where they are, what is in those that nobody holds, and one that knows the others.

Knows no cluster and no model.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..batch._journal import Ended, Journal
from ..batch._journal_file import damaged, sum_of
from ..batch._rows import select
from ._shards import Shard


def path_of(folder: Path, number: int) -> Path:
    """The journal of a shard; a thousand of them share a folder."""
    return folder / "shards" / f"{number // 1000:05}" / f"{number:08}.sqlite"


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a shard's journal that nobody holds, in the items' order. UsageError where the disk has damaged them."""
    if not path.exists():
        return
    with _read(path) as db:
        for position, line, checksum in db.execute(
            "SELECT position, CAST(line AS BLOB), sum FROM lines ORDER BY position"
        ):
            yield _checked(path, position, line, checksum)


def ends_of(path: Path, wanted: dict[int, bytes]) -> dict[bytes, Ended]:
    """Positions, each with its key -> the ends of those that ask the same still. Of a journal that nobody holds."""
    found: dict[bytes, Ended] = {}
    if not path.exists():
        return found
    question = """SELECT position, CAST(items.key AS BLOB), CAST(line AS BLOB), ok, sum FROM lines JOIN items USING (position)
        WHERE position IN"""
    with _read(path) as db:
        for position, key, line, ok, checksum in select(db, question, list(wanted)):
            if key == wanted[position]:
                found[key] = Ended(position, _checked(path, position, line, checksum), bool(ok))
    return found


class ShardJournal(Journal):
    """Of one shard. It knows the answers of items of other shards that ask the same; `size`: items in a shard."""

    def __init__(self, folder: Path, shard: Shard, label: str, fingerprint: str, size: int) -> None:
        super().__init__(path_of(folder, shard.number), label, fingerprint)
        self._folder, self._size = folder, size
        self._elsewhere, self._waited = shard.answers, shard.waited

    def _same(self, keys: set[bytes]) -> dict[bytes, Ended]:
        found = super()._same(keys)
        shards: dict[int, dict[int, bytes]] = {}
        for key in (keys - found.keys()) & self._elsewhere.keys():
            position = self._elsewhere[key]
            shards.setdefault(position // self._size, {})[position] = key
        for number, wanted in shards.items():
            ends = ends_of(path_of(self._folder, number), wanted)
            found.update({key: end for key, end in ends.items() if end.ok or key in self._waited})
        return found


@contextmanager
def _read(path: Path) -> Generator[sqlite3.Connection]:
    # Immutable: nothing is locked, and no file is made beside it.
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        yield db
    except sqlite3.DatabaseError as error:
        raise damaged(path, str(error)) from error
    finally:
        db.close()


def _checked(path: Path, position: int, line: bytes, checksum: int | None) -> bytes:
    if checksum is not None and sum_of(position, line) != checksum:
        raise damaged(path, f"the answer of item {position} is not what was written")
    return line
