"""What the batch says of one item: its answer or its error, as a line of JSON. Values only; knows no file and no journal."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import msgspec

from .._errors import ChatModelError
from .._json import encode, mend_all
from .._messages import AIMessage
from .._retry import is_retryable
from .._usage import Usage


class ItemError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an item has no answer: the error's class, its text, and what the provider said. `retryable`: it may go well later."""

    type: str
    message: str
    status: int | None = None
    code: str | None = None
    retryable: bool = False


class BatchRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One item's end. `index` counts the items from 0; `id` and `metadata` are the item's own.

    Either `message` (and its `text`) or `error` is there. `output` is the answer as a JSON value, where the model has an output
    type (`with_output`); it fits that type. `seconds` is from sending to the answer, tries and waits included;
    `cost` is in US dollars where prices are known; `same_as` is the index of the identical item whose call answered this one.
    """

    index: int
    id: str | int | float | None = None
    text: str | None = None
    error: ItemError | None = None
    message: AIMessage | None = None
    output: Any = None
    seconds: float | None = None
    cost: float | None = None
    same_as: int | None = None
    metadata: Any = None

    @property
    def ok(self) -> bool:
        """Is there an answer?"""
        return self.error is None

    @property
    def usage(self) -> Usage | None:
        """The tokens that its call took, with all its tries; None where none was made for it, or they are not known."""
        if self.message is None or self.same_as is not None:
            return None
        tries = [one.usage for one in self.message.attempts if one.usage is not None]
        return reduce(add, tries) if len(tries) > 1 else self.message.usage


_decoder = msgspec.json.Decoder(BatchRecord)


def line_of(record: BatchRecord) -> bytes:
    """The record as one line of JSON, with its end of line."""
    try:
        return encode(record) + b"\n"
    except UnicodeEncodeError:  # half an emoji, which no JSON can hold
        return encode(mend_all(msgspec.to_builtins(record))) + b"\n"


def record_of(line: bytes) -> BatchRecord:
    """The record of a line. Raises ValueError where it is none."""
    return _decoder.decode(line)


def error_of(error: BaseException) -> ItemError:
    """An exception as data."""
    return ItemError(
        type=type(error).__name__,
        message=str(error),
        status=getattr(error, "status", None),
        code=getattr(error, "code", None),
        retryable=isinstance(error, ChatModelError) and is_retryable(error),
    )


def shared(record: BatchRecord, index: int, id: str | int | float | None, metadata: Any) -> BatchRecord:
    """The same end for another item that asks the same."""
    first = record.index if record.same_as is None else record.same_as
    return msgspec.structs.replace(
        record, index=index, id=id, metadata=metadata, same_as=first, cost=None, seconds=None
    )
