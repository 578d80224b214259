"""Items of tables, CSV and Parquet: a row each. Columns that an item has no field for are its metadata. Knows no names of files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, BinaryIO, cast

from .._errors import UsageError
from .._json import loads
from ._filled import FIELDS, INPUTS, Broken, Prompt

#: The longest field of a table, in characters: a document. (Python's own limit is for the whole process, and is only ever raised.)
FIELD = 1 << 30


def csv_rows(file: BinaryIO, prompt: Prompt | None = None) -> Iterator[Any]:
    """The items, in turn. A row that is none is a `Broken`."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    csv.field_size_limit(max(csv.field_size_limit(), FIELD))
    try:
        head = next(csv.reader(text), list[str]())
        names, separator = _separated(head)
        columns(names, prompt)
        rows = csv.DictReader(text, names, delimiter=separator)
        for row in rows:
            yield _of_csv(row, rows.line_num + 1, prompt)
    finally:
        text.detach()


def _separated(head: list[str]) -> tuple[list[str], str]:
    """The columns, and what stands between them: spreadsheets of many countries write semicolons."""
    for separator in (";", "\t"):
        if len(head) == 1 and separator in head[0]:
            return next(csv.reader(head, delimiter=separator)), separator
    return head, ","


def _of_csv(row: dict[str, Any], line: int, prompt: Prompt | None) -> Any:
    extra: Any = row.pop(cast(Any, None), None)
    if extra is not None:
        return Broken(repr(extra).encode(), f"line {line} has more fields than the first line names")
    if any(isinstance(value, str) and not _is_text(value) for value in row.values()):
        return Broken(repr(row).encode(), f"line {line} is not UTF-8: save the table as UTF-8")
    return of_row(row, prompt)


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # a byte that was no UTF-8 is half a surrogate pair here
        return False
    return True


def columns(names: Iterable[str], prompt: Prompt | None = None) -> None:
    """A UsageError where the table has no column to ask."""
    if prompt is not None:
        prompt.check(names)
    elif not set(INPUTS) & set(names):
        raise UsageError(
            f"the columns are {', '.join(names) or 'none'}: one must be called prompt, input or messages; or make a prompt "
            "of them, with prompt='Classify: {text}' (--prompt)",
            argument="items",
        )


def of_row(row: dict[str, Any], prompt: Prompt | None = None) -> Any:
    """A row: settings and messages may be JSON texts; columns of other names are metadata."""
    found: dict[str, Any] = {k: v for k, v in row.items() if k in FIELDS and v not in (None, "")}
    for name in ("settings",) if prompt is not None else ("messages", "settings"):
        if isinstance(found.get(name), str):
            try:
                found[name] = loads(found[name])
            except ValueError as error:
                return Broken(repr(row).encode(), f"{name} is not JSON: {error}")
    if prompt is not None:
        return prompt.of({**row, **({"settings": found["settings"]} if "settings" in found else {})})
    others = {k: v for k, v in row.items() if k not in FIELDS}
    if others:
        found["metadata"] = {**others, **({"metadata": found["metadata"]} if "metadata" in found else {})}
    return found


def parquet_rows(file: BinaryIO, prompt: Prompt | None = None) -> Iterator[Any]:
    """The items, in turn."""
    table: Any = parquet_reader().ParquetFile(file)
    columns(table.schema_arrow.names, prompt)
    for some in table.iter_batches(batch_size=256):
        for row in some.to_pylist():
            yield of_row(row, prompt)


def parquet_reader() -> Any:
    """The library that reads Parquet."""
    try:
        return import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError(
            "reading Parquet needs pyarrow: pip install 'chatmodels[parquet]'", argument="items"
        ) from error
