"""What a cache holds for a call: the answer's stable JSON and, of a stream, its events as they came. Data only.

Says which answers are worth keeping, and makes an answer, or a stream, of a record. Knows no cache and no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import force_setattr

from ._cache_key import VERSION, Question
from ._call import Call
from ._errors import OutputError
from ._events import Event
from ._messages import AIMessage
from ._outputs import value_of
from ._usage import Attempt
from .dialects._base import events_of

if TYPE_CHECKING:
    from ._plan import Plan

#: Answers that are whole: what was cut off, refused, filtered or paused may be whole when it is asked for again.
_WHOLE = ("stop", "tool_calls")


class Record(msgspec.Struct, omit_defaults=True):
    """`{"v": 1, "message": {...}, "events": [...]}`; the message without what belongs to one call only."""

    v: int
    message: AIMessage
    events: list[Event] | None = None


_decoder = msgspec.json.Decoder(Record)


def written(message: AIMessage, events: list[Event] | None, question: Question) -> bytes:
    """The record of an answer. Raises TypeError or ValueError where it holds what JSON cannot."""
    said = question.warnings
    rest = message.warnings[len(said) :] if message.warnings[: len(said)] == said else message.warnings
    kept = msgspec.structs.replace(message, attempts=(), from_cache=False, warnings=rest)
    try:
        return msgspec.json.encode(Record(VERSION, kept, events))
    except UnicodeEncodeError:
        if events is None:
            raise
        # One character in two chunks, as some providers cut emojis: no JSON can hold the halves. The fold has joined them.
        return msgspec.json.encode(Record(VERSION, kept))


def read(data: bytes | str) -> Record | None:
    """The record; None where another version wrote it. Raises ValueError where it is none."""
    record = _decoder.decode(data)
    return record if record.v == VERSION else None


def worth_keeping(plan: Plan, call: Call, message: AIMessage) -> bool:
    """Is the answer whole, of the type that was asked for, and from the model that was asked (not from a stand-in)?"""
    good = [a for a in message.attempts if a.outcome == "ok"]
    if any(a.model != call.model or a.provider != plan.dialect.provider for a in good):
        return False
    if message.attempts and not good:
        return False
    return all(map(_is_whole, (message, *message.alternatives))) and _fits(call, message)


def _fits(call: Call, message: AIMessage) -> bool:
    """An answer that is not of the asked type would be given again for ever."""
    if call.output is None:
        return True
    try:
        value_of(call.output, message)
    except OutputError:
        return False
    return True


def _is_whole(message: AIMessage) -> bool:
    return (
        message.finish_reason in _WHOLE
        and bool(message.content)
        and message.refusal is None
        and not message.invalid_tool_calls
    )


def events_in(record: Record) -> list[Event]:
    """The events as they came, or those whose fold is the message."""
    return events_of(record.message) if record.events is None else record.events


def marked(message: AIMessage, attempt: Attempt, before: tuple[str, ...], after: list[str]) -> AIMessage:
    """The answer as one that no call was made for, with the warnings of this call around its own."""
    force_setattr(message, "from_cache", True)
    force_setattr(message, "attempts", (attempt,))
    force_setattr(message, "warnings", (*before, *message.warnings, *after))
    return message
