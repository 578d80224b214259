"""The output of a batch on Ray, written by its driver from the shards' journals: one file in order, or a folder of parts.

What is there from an earlier run is compared and kept, as far as it is the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from .._errors import UsageError
from ..batch._output import _held, _torn

_PIECE = 1 << 20


class Output(Protocol):
    """Takes the lines of whole shards."""

    #: Does it take them only in the order of the items?
    in_order: bool

    def ended(self, number: int, lines: Iterable[bytes], *, fresh: bool) -> None:
        """All lines of a shard. `fresh`: it ended in this run."""
        ...

    def close(self, *, whole: bool) -> None:
        """`whole`: all shards are there."""
        ...


class OneFile:
    """All lines in the items' order."""

    in_order = True

    def __init__(self, path: Path, *, begun: bool) -> None:
        old = path.stat().st_size if path.exists() else 0
        if old and not begun:
            raise UsageError(
                f"{path} is there already, and there is no journal to go on with: move it away, or give another out",
                argument="out",
            )
        if old:
            _check_ours(path)
        self._lock = _held(path)
        self._file = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        self._same = bool(old)

    def ended(self, number: int, lines: Iterable[bytes], *, fresh: bool) -> None:
        """Shards come in order: who calls sees to that."""
        held: list[bytes] = []
        size = 0
        for line in lines:
            held.append(line)
            size += len(line)
            if size >= _PIECE:
                self._put(b"".join(held))
                held, size = [], 0
        self._put(b"".join(held))

    def _put(self, data: bytes) -> None:
        if self._same:
            at = os.lseek(self._file, 0, os.SEEK_CUR)
            if _read(self._file, len(data)) == data:
                return
            self._same = False
            os.ftruncate(self._file, at)
            os.lseek(self._file, at, os.SEEK_SET)
        left = memoryview(data)
        while left:
            left = left[os.write(self._file, left) :]

    def close(self, *, whole: bool) -> None:
        """`whole`: all shards are there, and nothing comes after them."""
        at = os.lseek(self._file, 0, os.SEEK_CUR)
        if whole and os.fstat(self._file).st_size > at:
            os.ftruncate(self._file, at)
        os.fsync(self._file)
        os.close(self._file)
        os.close(self._lock)


class Parts:
    """`part-00000000.jsonl` and so on, each whole or not there."""

    in_order = False

    def __init__(self, folder: Path, *, begun: bool) -> None:
        if not folder.parent.is_dir():
            raise UsageError(f"{folder}: there is no folder {folder.parent}; make it first", argument="out")
        folder.mkdir(exist_ok=True)
        if not begun and any(folder.iterdir()):
            raise UsageError(
                f"{folder} holds files, and there is no journal to go on with: give a new folder", argument="out"
            )
        self._folder = folder

    def ended(self, number: int, lines: Iterable[bytes], *, fresh: bool) -> None:
        """A part."""
        path = self._folder / f"part-{number:08}.jsonl"
        if path.exists() and not fresh:
            return
        beside = path.with_suffix(".new")
        with beside.open("wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)

    def close(self, *, whole: bool) -> None:
        """Each part is closed already."""


def _read(file: int, size: int) -> bytes:
    found: list[bytes] = []
    while size and (some := os.read(file, size)):
        found.append(some)
        size -= len(some)
    return b"".join(found)


def _check_ours(path: Path) -> None:
    with path.open("rb") as file:
        if not _torn(file.readline()):
            raise UsageError(f"{path} is not the output of a batch: move it away, or give another out", argument="out")


def is_folder(out: str | Path) -> bool:
    """Is a folder of parts meant: one that is there, or a path that ends with a slash?"""
    return str(out).endswith(("/", os.sep)) or Path(out).is_dir()
