"""Items of a batch: what users may give (inputs, dicts, files), as an iterable that is read lazily; and what each of them means.

Knows no model. An item that cannot be read is an `Item` with its error, so that it gets its line like every other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from .._errors import UsageError
from .._json import is_object
from ._filled import FIELDS, INPUTS, Broken, Prompt
from ._items_files import items_of, kind_of, lines_in, standard_input
from ._items_openai import is_line, read_line


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to ask: `input` is what a model takes. `settings` change the call, `metadata` comes back with the answer. `model`:
    the only one that may be asked, where the item names one."""

    input: Any = None
    id: str | int | float | None = None
    settings: dict[str, Any] | None = None
    metadata: Any = None
    model: str | None = None
    error: UsageError | None = None


def item_of(given: Any) -> Item:
    """The item that was meant; where it is none, an item with its error."""
    if isinstance(given, Item):
        return given
    if isinstance(given, Broken):
        return Item(input=given.raw.decode("utf-8", "replace"), error=UsageError(given.why, argument="items"))
    if not is_object(given):
        return Item(input=given)
    id = None
    try:
        id = _id(given.get("id", given.get("custom_id")))
        return _of_dict(given, id)
    except UsageError as error:
        return Item(input=repr(given), id=id, metadata=given.get("metadata"), error=error)


def _id(found: Any) -> str | int | float | None:
    """A table's empty cell is no id, also where the table calls it NaN."""
    if found is None or found != found:  # noqa: PLR0124  (NaN)
        return None
    if isinstance(found, bool) or not isinstance(found, (str, int, float)):
        raise UsageError(f"id is a text or a number; got {found!r}", argument="items")
    return found


def _of_dict(given: dict[str, Any], id: str | int | float | None) -> Item:
    if is_line(given):
        line = read_line(given)
        settings, model = line["settings"] or None, line["model"]
        return Item(input=line["messages"], id=id, settings=settings, metadata=given.get("metadata"), model=model)
    inputs = [name for name in INPUTS if given.get(name) is not None]
    if len(inputs) != 1:
        said = "none of them" if not inputs else " and ".join(inputs)
        raise UsageError(f"an item has one of messages, prompt or input; it has {said}", argument="items")
    unknown = sorted(k for k in given if k not in FIELDS)
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


def items_in(source: Any, format: str | None = None, prompt: Prompt | None = None) -> Any:
    """What to iterate over: the items of a file where a path (or "-", standard input) was given, else `source` itself; with a
    `prompt`, filled into it."""
    if isinstance(source, str) and source == "-":
        return standard_input(format, prompt)
    if isinstance(source, (str, Path)):
        return items_of(Path(source), format, prompt)
    if prompt is None or not (hasattr(source, "__iter__") or hasattr(source, "__aiter__")) or is_object(source):
        return source
    return prompt.all(source)


def count_of(source: Any) -> int | None:
    """How many items there are, where that can be told without reading them as such."""
    if hasattr(source, "__len__") and not isinstance(source, str):
        return len(source)
    if not isinstance(source, (str, Path)) or kind_of(Path(source)) != "jsonl":
        return None
    if not Path(source).is_file():  # a pipe has no end that could be looked for
        return None
    return lines_in(Path(source))


def rereadable(source: Any) -> bool:
    """Is it a file that can be read twice? (A pipe cannot.)"""
    return isinstance(source, (str, Path)) and str(source) != "-" and Path(source).is_file()


def other_than(items: Any, out: Any) -> None:
    """A UsageError where the output would be the input."""
    if not (isinstance(items, (str, Path)) and isinstance(out, (str, Path))) or "-" in (str(items), str(out)):
        return
    if Path(items).exists() and Path(out).exists() and Path(items).samefile(out):
        raise UsageError(f"{out} is the input: give the output another name", argument="out")
