"""Where lines go: a file that heals after a crash, a stream, or somebody who takes records; in order where that is asked.

Used from the one thread of the ledger. Knows no model.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import msgspec

from .._errors import UsageError
from ._journal import Ended, Journal
from ._record import BatchRecord, record_of
from ._sets import Bits


class Output(Protocol):
    """Takes each item's line once."""

    #: Who takes the lines says when there is room for more.
    paced: bool

    def has(self, position: int) -> bool:
        """Is this item's line there already, from an earlier run?"""
        ...

    def write(self, lines: list[tuple[bytes, BatchRecord | None]]) -> None: ...

    def close(self) -> None: ...


class Nowhere:
    """Lines are in the journal only."""

    paced = False

    def has(self, position: int) -> bool:
        return False

    def write(self, lines: list[tuple[bytes, BatchRecord | None]]) -> None: ...

    def close(self) -> None: ...


class Taken(Nowhere):
    """A function takes the records; `paced` as it is said."""

    def __init__(self, take: Callable[[BatchRecord], object], paced: bool) -> None:
        self._take, self.paced = take, paced

    def write(self, lines: list[tuple[bytes, BatchRecord | None]]) -> None:
        for line, record in lines:
            self._take(record_of(line) if record is None else record)


class Stream(Nowhere):
    """An open binary stream, such as standard output."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, lines: list[tuple[bytes, BatchRecord | None]]) -> None:
        self._stream.write(b"".join([line for line, _ in lines]))
        self._stream.flush()


#: How many items the journal can have lost, at the most.
_LOST = 100_000


#: Names of what an output is not, and how one is made of it.
_PANDAS = "pandas.read_json('out.jsonl', lines=True)"
_OTHERS = {
    ".gz": "gzip out.jsonl", ".bz2": "bzip2 out.jsonl", ".xz": "xz out.jsonl", ".zst": "zstd out.jsonl",
    ".zip": "zip out.zip out.jsonl", ".parquet": f"{_PANDAS}.to_parquet('out.parquet')",
    ".csv": f"{_PANDAS}.to_csv('out.csv')", ".xlsx": f"{_PANDAS}.to_excel('out.xlsx')",
}  # fmt: skip


class _Head(msgspec.Struct):
    index: int


_heads = msgspec.json.Decoder(_Head)


class File(Nowhere):
    """A file of lines. What an earlier run wrote is read first: all up to the first line that is torn (or, in order, not the
    next) is kept, the rest is cut off; what was lost by that comes again from the journal.

    So the file itself needs no sync with each line: after a power cut it is mended from the journal, which has one. If the journal
    has lost what it had (a disk that says "written" too early), it is mended from the lines here.
    """

    def __init__(self, path: Path, journal: Journal | None, *, ordered: bool, anew: bool) -> None:
        self._path = path
        self._there = Bits()
        self.kept = 0
        self._file = _held(path)
        try:
            end = self._read(journal, ordered, anew=anew) if os.fstat(self._file).st_size else 0
            os.ftruncate(self._file, end)
            os.lseek(self._file, end, os.SEEK_SET)
        except BaseException:
            os.close(self._file)
            raise

    def _read(self, journal: Journal | None, ordered: bool, *, anew: bool) -> int:
        """The end of the lines that are kept, in bytes."""
        if journal is None:
            raise UsageError(
                f"{self._path} is there already, and there is no journal to go on with: move it away, or give another out",
                argument="out",
            )
        if anew:
            self._check_begin(journal)
            return 0
        known = Bits()
        end = 0
        for position in journal.ended():
            known.add(position)
        adopted = _Adopted(journal)
        with self._path.open("rb") as file:
            for line in file:
                at = _position(line)
                if not end and not (_torn(line) if at is None else journal.has(at)):
                    raise self._foreign(journal)
                if at is None or at in self._there or (ordered and at != self.kept):
                    break
                if at not in known and not adopted.take(at, line):
                    break
                self._there.add(at)
                self.kept += 1
                end += len(line)
        adopted.write()
        return end

    def _check_begin(self, journal: Journal) -> None:
        with self._path.open("rb") as file:
            line = file.readline()
        at = _position(line)
        if not (_torn(line) if at is None else journal.has(at)):
            raise self._foreign(journal)

    def _foreign(self, journal: Journal) -> UsageError:
        if journal.last < 0:
            return UsageError(
                f"{self._path} has lines, and the journal {journal.path} is new: without the one that these lines belong to nobody "
                "knows what they were asked. If it was moved or deleted, put it back and run again; to ask every item (and pay for "
                "it), move the output away or give another out",
                argument="out",
            )
        return UsageError(
            f"{self._path} is not the output of this journal's batch: it begins with a line that the journal does not know. "
            "Move it away, or give another out",
            argument="out",
        )

    def has(self, position: int) -> bool:
        return position in self._there

    def write(self, lines: list[tuple[bytes, BatchRecord | None]]) -> None:
        data = memoryview(b"".join([line for line, _ in lines]))
        while data:
            data = data[os.write(self._file, data) :]

    def close(self) -> None:
        with suppress(OSError):
            os.fsync(self._file)
        os.close(self._file)


def check_path(path: Path) -> None:
    """A UsageError where there can be no output, before anything is made."""
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}; make it first", argument="out")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; out is a file", argument="out")
    if path.suffix.lower() in _OTHERS:
        raise UsageError(
            f"{path}: the output is JSON lines, which grow as answers come and are mended after a crash; name it .jsonl, and "
            f"convert it at the end, e.g. {_OTHERS[path.suffix.lower()]}",
            argument="out",
        )


class _Adopted:
    """Whole lines that the journal does not know; it takes them over, some at a time."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._furthest = journal.last + _LOST
        self._found: list[tuple[Ended, BatchRecord]] = []

    def take(self, position: int, line: bytes) -> bool:
        """Is it one that a run has written?"""
        try:
            record = record_of(line)
        except ValueError:
            return False
        if (record.message is None) is (record.error is None) or position > self._furthest:
            return False
        self._found.append((Ended(position, line, record.ok), record))
        if len(self._found) >= 500:
            self.write()
        return True

    def write(self) -> None:
        if self._found:
            ends, records = [end for end, _ in self._found], [record for _, record in self._found]
            tokens = sum([record.usage.total_tokens or 0 for record in records if record.usage is not None])
            self._journal.adopt(ends, tokens, sum([record.cost or 0.0 for record in records]))
            self._found = []


def _held(path: Path) -> int:
    """The file, open for writing, and locked where the system can do so: two journals cannot have one output."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    except PermissionError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}. Give another out", argument="out") from error
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock

        flock(file, LOCK_EX | LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise UsageError(
            f"{path} is in use: another batch writes to it. Wait for it, or give this one another out", argument="out"
        ) from error
    except (ImportError, OSError):  # no locks here: the journal's own remains
        pass
    return file


def _torn(line: bytes) -> bool:
    """Can this be what a crash left of a first line? A power cut can leave zeros."""
    head, left = b'{"index":', line.rstrip(b"\0")
    return left.startswith(head) or head.startswith(left)


def _position(line: bytes) -> int | None:
    if not line.endswith(b"\n"):
        return None
    try:
        return _heads.decode(line).index
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


class InOrder:
    """Holds lines back until all before them have come. How many it may hold is the business of who makes them."""

    def __init__(self) -> None:
        self._next = 0
        self._held: dict[int, tuple[bytes, BatchRecord | None] | None] = {}

    def ready(self, position: int, line: tuple[bytes, BatchRecord | None] | None) -> list[Any]:
        """What can be written now that this line has come; None for an item whose line is there already."""
        self._held[position] = line
        found: list[Any] = []
        while self._next in self._held:
            found.append(self._held.pop(self._next))
            self._next += 1
        return found

    def rest(self) -> list[tuple[bytes, BatchRecord | None]]:
        """What is still held, in order: what is missing will not come."""
        found = [line for _, line in sorted(cast("Any", self._held).items()) if line is not None]
        self._held.clear()
        return found
