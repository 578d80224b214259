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

#: The longest field of a table, in characters: a document. (Python's own limit is for the whole process, and is only ever raised.)
FIELD = 1 << 30

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
    if is_object(given.get("body")) and "url" in given:
        raise UsageError(
            "this is a line for OpenAI's batch API: put its body's messages under messages and the body's other fields, without "
            "the model, under settings",
            argument="items",
        )
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
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give a file", argument="items")
    if not path.exists():
        raise UsageError(f"there is no file {path}", argument="items")
    kind = _checked(format or _SUFFIXES.get(path.suffix.lower(), "") or _unknown(path))
    return _of_file(path, kind)


def count_of(source: Any) -> int | None:
    """How many items there are, where that can be told without reading them as such."""
    if hasattr(source, "__len__") and not isinstance(source, str):
        return len(source)
    if not isinstance(source, (str, Path)) or _SUFFIXES.get(Path(source).suffix.lower()) != "jsonl":
        return None
    if not Path(source).is_file():  # a pipe has no end that could be looked for
        return None
    with Path(source).open("rb") as file:
        return sum(not line.isspace() for line in file)


def other_than(items: Any, out: Any) -> None:
    """A UsageError where the output would be the input."""
    if not (isinstance(items, (str, Path)) and isinstance(out, (str, Path))) or "-" in (str(items), str(out)):
        return
    if Path(items).exists() and Path(out).exists() and Path(items).samefile(out):
        raise UsageError(f"{out} is the input: give the output another name", argument="out")


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
    raise UsageError(
        f"{path}: name it .jsonl, .csv or .parquet, or say format='jsonl' (--format jsonl)", argument="items"
    )


def _jsonl(file: BinaryIO) -> Iterator[Any]:
    first = True
    for number, line in enumerate(file, 1):
        text = line.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else line.strip()
        if text:
            found = _of_line(text, number)
            if first:
                _one_a_line(text, found)
            first = False
            yield found


def _of_line(line: bytes, number: int) -> Any:
    try:
        line.decode("utf-8")
        found = loads(line)
    except UnicodeDecodeError as error:
        return Broken(line, f"line {number} is not UTF-8: {error}")
    except ValueError as error:
        return Broken(line, f"line {number} is not JSON: {error}")
    if isinstance(found, str) or is_object(found) or is_array(found):
        return found
    return Broken(line, f"line {number} is neither an object, a text nor a list of messages")


def _one_a_line(text: bytes, found: Any) -> None:
    """A file that is one JSON value, with all items in it or over many lines, is the caller's mistake, and not that of items."""
    all_in_one = is_array(found) and any(is_object(one) and ({*_INPUTS, "id"} & set(one)) for one in found)
    if text in (b"[", b"{", b"[{") or all_in_one:
        raise UsageError(
            "the file is one JSON value; JSON lines has one item on each line, without brackets around all and commas between "
            "them: jq -c '.[]' in.json > in.jsonl",
            argument="items",
        )


def _csv(file: BinaryIO) -> Iterator[Any]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    csv.field_size_limit(max(csv.field_size_limit(), FIELD))
    try:
        head = next(csv.reader(text), list[str]())
        names, separator = _separated(head)
        _columns(names)
        rows = csv.DictReader(text, names, delimiter=separator)
        for row in rows:
            yield _of_csv(row, rows.line_num + 1)
    finally:
        text.detach()


def _separated(head: list[str]) -> tuple[list[str], str]:
    """The columns, and what stands between them: spreadsheets of many countries write semicolons."""
    for separator in (";", "\t"):
        if len(head) == 1 and separator in head[0]:
            return next(csv.reader(head, delimiter=separator)), separator
    return head, ","


def _of_csv(row: dict[str, Any], line: int) -> Any:
    extra: Any = row.pop(cast(Any, None), None)
    if extra is not None:
        return Broken(repr(extra).encode(), f"line {line} has more fields than the first line names")
    if any(isinstance(value, str) and not _is_text(value) for value in row.values()):
        return Broken(repr(row).encode(), f"line {line} is not UTF-8: save the table as UTF-8")
    return _of_row(row)


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # a byte that was no UTF-8 is half a surrogate pair here
        return False
    return True


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
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
