"""Items of a batch: what users may give (inputs, dicts, JSON lines, CSV, Parquet), read lazily, one at a time.

Knows no model. An item that cannot be read is an `Item` with its error, so that it gets its line like every other.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from .._errors import UsageError
from .._json import is_array, is_object, loads

_INPUTS = ("messages", "prompt", "input")
_FIELDS = frozenset({*_INPUTS, "id", "custom_id", "settings", "metadata"})


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to ask: `input` is what a model takes. `settings` change the call, `metadata` comes back with the answer."""

    input: Any = None
    id: str | int | None = None
    settings: dict[str, Any] | None = None
    metadata: Any = None
    error: UsageError | None = None


class Broken(msgspec.Struct, frozen=True):
    """A line that holds no item, and why."""

    raw: bytes
    why: str


def item_of(given: Any) -> Item:
    """The item that was meant; where it is none, an item with its error."""
    if isinstance(given, Item):
        return given
    if isinstance(given, Broken):
        return Item(input=given.raw.decode("utf-8", "replace"), error=UsageError(given.why, argument="items"))
    if not is_object(given):
        return Item(input=given)
    found = given.get("id", given.get("custom_id"))
    id = found if isinstance(found, (str, int)) and not isinstance(found, bool) else None
    try:
        return _of_dict(given, id)
    except UsageError as error:
        return Item(input=repr(given), id=id, metadata=given.get("metadata"), error=error)


def _of_dict(given: dict[str, Any], id: str | int | None) -> Item:
    inputs = [name for name in _INPUTS if given.get(name) is not None]
    if len(inputs) != 1:
        said = "none of them" if not inputs else " and ".join(inputs)
        raise UsageError(f"an item has one of messages, prompt or input; it has {said}", argument="items")
    unknown = sorted(k for k in given if k not in _FIELDS)
    if unknown:
        raise UsageError(
            f"an item's fields are id, messages (or prompt, or input), settings and metadata, not {unknown[0]!r}: put settings of "
            "the call under settings, everything else under metadata",
            argument="items",
        )
    settings = given.get("settings")
    if settings is not None and not is_object(settings):
        raise UsageError(f"settings is an object, e.g. {{'temperature': 0}}; got {settings!r}", argument="settings")
    return Item(input=given[inputs[0]], id=id, settings=settings or None, metadata=given.get("metadata"))


# ---- files


def items_in(source: Any, format: str | None = None) -> Any:
    """What to iterate over: the items of a file where a path (or "-", standard input) was given, else `source` itself."""
    if isinstance(source, str) and source == "-":
        return _READERS[_checked(format or "jsonl")](cast(BinaryIO, sys.stdin.buffer))
    if not isinstance(source, (str, Path)):
        return source
    path = Path(source)
    if not path.is_file():
        raise UsageError(f"there is no file {path}", argument="items")
    kind = _checked(format or _SUFFIXES.get(path.suffix.lower(), "") or _unknown(path))
    return _of_file(path, kind)


def count_of(source: Any) -> int | None:
    """How many items there are, where that can be told without reading them as such; of JSON lines, blank ones included."""
    if hasattr(source, "__len__") and not isinstance(source, str):
        return len(source)
    if not isinstance(source, (str, Path)) or _SUFFIXES.get(Path(source).suffix.lower()) != "jsonl":
        return None
    count, newest = 0, b"\n"
    with Path(source).open("rb") as file:
        while some := file.read(1 << 20):
            count += some.count(b"\n")
            newest = some
    return count + (not newest.endswith(b"\n"))


def _of_file(path: Path, kind: str) -> Iterator[Any]:
    with path.open("rb") as file:
        yield from _READERS[kind](file)


def _checked(kind: str) -> str:
    if kind not in _READERS:
        raise UsageError(f"format is {', '.join(_READERS)}; got {kind!r}", argument="format")
    if kind == "parquet":
        _parquet_reader()
    return kind


def _unknown(path: Path) -> str:
    raise UsageError(f"{path}: name it .jsonl, .csv or .parquet, or say format='jsonl'", argument="items")


def _jsonl(file: BinaryIO) -> Iterator[Any]:
    for number, line in enumerate(file, 1):
        text = line.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else line.strip()
        if text:
            yield _of_line(text, number)


def _of_line(line: bytes, number: int) -> Any:
    try:
        found = loads(line)
    except ValueError as error:
        return Broken(line, f"line {number} is not JSON: {error}")
    if isinstance(found, str) or is_object(found) or is_array(found):
        return found
    return Broken(line, f"line {number} is neither an object, a text nor a list of messages")


def _csv(file: BinaryIO) -> Iterator[Any]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
    try:
        rows = csv.DictReader(text)
        _columns(rows.fieldnames or ())
        for row in rows:
            extra: Any = row.pop(cast(Any, None), None)
            if extra is not None:
                yield Broken(repr(extra).encode(), f"line {rows.line_num} has more fields than the first line names")
            else:
                yield _of_row(row)
    finally:
        text.detach()


def _columns(names: Iterable[str]) -> None:
    if not set(_INPUTS) & set(names):
        raise UsageError(
            f"the columns are {', '.join(names) or 'none'}: one must be called prompt, input or messages",
            argument="items",
        )


def _of_row(row: dict[str, Any]) -> Any:
    """A row: settings and messages may be JSON texts; columns of other names are metadata."""
    found: dict[str, Any] = {k: v for k, v in row.items() if k in _FIELDS and v not in (None, "")}
    for name in ("messages", "settings"):
        if isinstance(found.get(name), str):
            try:
                found[name] = loads(found[name])
            except ValueError as error:
                return Broken(repr(row).encode(), f"{name} is not JSON: {error}")
    others = {k: v for k, v in row.items() if k not in _FIELDS}
    if others:
        found["metadata"] = {**others, **({"metadata": found["metadata"]} if "metadata" in found else {})}
    return found


def _parquet(file: BinaryIO) -> Iterator[Any]:
    table: Any = _parquet_reader().ParquetFile(file)
    _columns(table.schema_arrow.names)
    for some in table.iter_batches(batch_size=256):
        for row in some.to_pylist():
            yield _of_row(row)


def _parquet_reader() -> Any:
    try:
        return import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError(
            "reading Parquet needs pyarrow: pip install 'chatmodels[parquet]'", argument="items"
        ) from error


_READERS = {"jsonl": _jsonl, "csv": _csv, "parquet": _parquet}
_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
