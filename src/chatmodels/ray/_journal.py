"""What a worker has answered so far, a file for each block of rows: whoever takes over a lost worker's block pays nothing twice.

A line is appended after each answer. A torn last line (the worker died while writing) is cut off when the file is read again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from .._json import dumps_text, is_object, loads


def journal_of(folder: str, keys: Iterable[str]) -> BlockJournal:
    """The journal of a block of rows: the same rows have the same one, on whatever machine."""
    name = sha256("\n".join(keys).encode()).hexdigest()[:32]
    return BlockJournal(Path(folder) / name[:2] / f"{name}.jsonl")


class BlockJournal:
    """The journal of one block, where all workers see it. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.done: dict[str, dict[str, Any]] = {}
        self._file = -1

    def __enter__(self) -> BlockJournal:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._read()
        except BaseException:
            os.close(self._file)
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        os.fsync(self._file)
        os.close(self._file)

    def add(self, key: str, record: dict[str, Any]) -> None:
        """An answer has come."""
        os.write(self._file, dumps_text({"key": key, **record}).encode() + b"\n")
        self.done[key] = record

    def _read(self) -> None:
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(self._file, whole)
        for line in data[:whole].splitlines():
            record = _record(line)
            if record is not None:
                self.done[str(record.pop("key"))] = record


def _record(line: bytes) -> dict[str, Any] | None:
    """A line's record; None for one that another worker's death has torn."""
    try:
        record = loads(line)
    except ValueError:
        return None
    return record if is_object(record) and "key" in record else None
