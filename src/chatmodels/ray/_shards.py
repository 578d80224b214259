"""The items of a batch in shards: read lazily, one shard at a time, each with a digest by which a later run knows it again.

Knows no cluster and no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, cast

import msgspec

from .._batch import _iterable
from .._errors import UsageError
from .._json import is_array, is_object
from ..batch._filled import Prompt
from ..batch._items import count_of, items_in
from ..batch._items_tables import columns, of_row

#: Items in a shard at the most, unless the user says otherwise.
SIZE = 1000


class Shard(msgspec.Struct):
    """Items that stand beside each other: what one worker answers as a whole. `first` is the index of the first."""

    number: int
    first: int
    items: list[Any]
    digest: str
    #: Of as many items as the shard had when it ended; an input that has grown has more of them now.
    beginning: str | None = None
    losses: int = 0
    #: Keys whose answers items of earlier shards have, and these items; and items that wait for one of them to be answered.
    answers: dict[bytes, int] = {}
    held: list[int] = []
    #: Keys whose items have been held: they end as that one has, well or not.
    waited: set[bytes] = set()


def source_of(items: Any, format: str | None, prompt: Prompt | None = None) -> Iterable[Any]:
    """What to iterate over: as in a batch on one machine, and the rows of a Ray dataset."""
    if is_dataset(items):
        return _rows(items, prompt)
    return _iterable(items_in(items, format, prompt))


def is_dataset(items: Any) -> bool:
    """Is it a `ray.data.Dataset`?"""
    return hasattr(items, "iter_batches")


def _rows(dataset: Any, prompt: Prompt | None) -> Iterator[Any]:
    """Rows are items as those of a table: columns of other names are metadata."""
    check, made = (columns, of_row) if prompt is None else (prompt.check, prompt.of)
    dataset.context.execution_options.preserve_order = True  # a later run must meet the same items in the same places
    named = False
    for block in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
        if not named:  # the dataset's own schema() would run a part of it beforehand
            check(block.column_names)
            named = True
        # A block stays in the memory that Ray shares; only some of its rows are objects here.
        for some in block.to_batches(max_chunksize=64):
            for row in some.to_pylist():
                yield made(_without_nulls(row))


def _without_nulls(value: Any) -> Any:
    """A row in which fields that only other rows have stand as null."""
    if is_object(value):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if is_array(value) else value


def count_in(items: Any) -> int | None:
    """How many items there are, where that can be told at once."""
    return None if is_dataset(items) else count_of(items)


def size_for(items: Any, workers: int) -> int:
    """How many items a shard has: few enough that all workers have some to do."""
    known = count_in(items)
    return SIZE if known is None else max(1, min(SIZE, -(-known // (4 * workers))))


def cut(source: Iterable[Any], size: int, ended: dict[int, int]) -> Iterator[Shard]:
    """The shards, one after the other. `ended`: how many items each shard had that has ended already."""
    items = iter(source)
    number = first = 0
    while some := list(islice(items, size)):
        known = ended.get(number)
        beginning = None if known is None or known == len(some) else digest_of(some[:known])
        yield Shard(number, first, some, digest_of(some), beginning)
        number, first = number + 1, first + len(some)


def digest_of(items: list[Any]) -> str:
    """The same for the same items, in whatever process."""
    found = sha256()
    for item in items:
        found.update(_bytes(item))
        found.update(b"\n")
    return found.hexdigest()


def _bytes(item: Any) -> bytes:
    try:
        return msgspec.json.encode(item, enc_hook=_named)
    except (TypeError, ValueError, UnicodeEncodeError):
        return repr(cast(object, item)).encode("utf-8", "backslashreplace")


def _named(value: object) -> str:
    """What is no JSON counts by its kind: a repr may have an address in it."""
    return type(value).__name__


def shorter(read: int, known: int, folder: Path) -> UsageError:
    """The error of an input that has lost items."""
    return UsageError(
        f"the input has {read} items, and {folder} knows {known}: it is shorter than it was", argument="items"
    )
