"""Files of items: which format a name or the first bytes say, compressed or not; read lazily, one item at a time.

Knows formats; what an item means is `_items.py`'s.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, cast

from .._errors import UsageError
from ._filled import Prompt
from ._items_json import is_array, jsonl
from ._items_tables import csv_rows, parquet_reader, parquet_rows

_READERS = {"jsonl": jsonl, "csv": csv_rows, "parquet": parquet_rows}
_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst"})
#: How compressed files begin, and the module that opens them.
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "lzma", b"\x28\xb5\x2f\xfd": "zstd"}
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def kind_of(path: Path) -> str | None:
    """The format that a name says; None where it says none. That of `in.csv.gz` is that of `in.csv`."""
    name = path.with_suffix("") if path.suffix.lower() in _COMPRESSED else path
    return _SUFFIXES.get(name.suffix.lower())


def standard_input(format: str | None, prompt: Prompt | None) -> Iterator[Any]:
    """The items that are piped in."""
    kind = checked(format or "jsonl")
    return _items(cast(BinaryIO, sys.stdin.buffer), "standard input", kind, prompt)


def items_of(path: Path, format: str | None, prompt: Prompt | None) -> Iterator[Any]:
    """The items of a file. Raises UsageError at once where there is none, or its format is not known."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give a file", argument="items")
    if not path.exists():
        raise UsageError(f"there is no file {path}", argument="items")
    kind = checked(format or kind_of(path) or _unknown(path))
    if not os.access(path, os.R_OK):
        raise UsageError(f"{path} cannot be read: permission denied", argument="items")
    return _of_file(path, kind, prompt)


def lines_in(path: Path) -> int | None:
    """The lines of a file that hold an item; None where it is one array of them."""
    with path.open("rb") as file:
        lines = (line for line in _plain(file, str(path)) if not line.isspace())
        first = next(lines, None)
        if first is None:
            return 0
        return None if is_array(first.removeprefix(b"\xef\xbb\xbf").strip()) else 1 + sum(1 for _ in lines)


def checked(kind: str) -> str:
    """The format, if it is one and can be read here."""
    if kind not in _READERS:
        raise UsageError(f"format is {', '.join(_READERS)}; got {kind!r}", argument="format")
    if kind == "parquet":
        parquet_reader()
    return kind


def _unknown(path: Path) -> str:
    raise UsageError(
        f"{path}: name it .jsonl, .csv or .parquet (or .jsonl.gz and so on), or say format='jsonl' (--format jsonl)",
        argument="items",
    )


def _of_file(path: Path, kind: str, prompt: Prompt | None) -> Iterator[Any]:
    with path.open("rb") as file:
        yield from _items(file, str(path), kind, prompt)


def _items(file: BinaryIO, name: str, kind: str, prompt: Prompt | None) -> Iterator[Any]:
    count = 0
    plain = _plain(file, name)
    try:
        for item in _READERS[kind](plain, prompt):
            yield item
            count += 1
    except _damages() as error:
        raise UsageError(
            f"{name} is damaged, or ends in its middle, after {count:,} items: {error}. Give the whole file; what has been "
            "answered stays",
            argument="items",
        ) from error


def _damages() -> tuple[type[Exception], ...]:
    """What the readers of compressed files raise; of modules that are loaded only."""
    names = (("zlib", "error"), ("gzip", "BadGzipFile"), ("lzma", "LZMAError"), ("_zstd", "ZstdError"))
    found = [getattr(sys.modules[module], name) for module, name in names if module in sys.modules]
    return (EOFError, *found)


def _plain(file: BinaryIO, name: str) -> BinaryIO:
    """What the file holds, whatever it was compressed with."""
    peek: Any = getattr(file, "peek", None)
    begin: bytes = b"" if peek is None else peek(6)[:6]
    if begin.startswith(_UTF_16):
        raise UsageError(
            f"{name} is UTF-16: save it as UTF-8, e.g. iconv -f UTF-16 -t UTF-8 {name} > new-{Path(name).name}",
            argument="items",
        )
    for magic, module in _MAGIC.items():
        if begin.startswith(magic):
            reader: Any = BufferedReader(_library(module).open(file, "rb"), 1 << 16)
            return cast(BinaryIO, reader)
    return file


def _library(name: str) -> Any:
    if name != "zstd":
        return import_module(name)
    for module in ("compression.zstd", "zstandard"):  # the first is Python's own, from 3.14 on
        try:
            return import_module(module)
        except ImportError:
            continue
    raise UsageError("reading .zst needs zstandard: pip install zstandard; or pipe it in: zstd -dc", argument="items")
