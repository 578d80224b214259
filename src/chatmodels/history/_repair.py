"""Mending a conversation so that a provider takes it, and joining neighbours of one role. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from .._inputs import messages_of, plain
from .._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from .._parts import Part, Text, ToolResult
from ._turns import calls_in, results_in, take, validate_messages

#: What stands in for a result that never came.
NO_RESULT = "There is no result: the call was not carried out."


def repair_messages(messages: Any) -> list[Message]:
    """The conversation with the problems of `validate_messages` mended; a sound one comes back as it is.

    A result that stands too late is moved behind its call, a result of no call is left out, and a call without a result gets one
    that says so (`is_error=True`). The calls of the last answer stay open.
    """
    given = messages_of(messages) if messages else []
    if not validate_messages(given):
        return given
    used: set[int] = set()
    out: list[Message] = []
    pieces = [piece for message in given for piece in _pieces(message)]
    for place, message in enumerate(pieces):
        if results_in(message):
            continue
        out.append(message)
        pending = calls_in(message)
        if pending:
            out += _results(pieces, place, pending, used)
    return out


def _pieces(message: Message) -> list[Message]:
    """A user message that holds results among other parts, as a message for each result and one for the rest."""
    if not results_in(message) or isinstance(message.content, str) or message.role in ("tool", "function"):
        return [message]
    parts = message.content
    out: list[Message] = [
        ToolMessage(
            p.content, tool_call_id=p.tool_call_id, is_error=p.is_error, name=p.name, provider_data=p.provider_data
        )
        for p in parts
        if isinstance(p, ToolResult)
    ]
    rest: list[Part] = [p for p in parts if not isinstance(p, ToolResult)]
    return [*out, msgspec.structs.replace(message, content=plain(rest))] if rest else out


def _results(pieces: list[Message], place: int, pending: list[tuple[str, str]], used: set[int]) -> list[Message]:
    """What answers these calls: the results that come later, else ones that say that there is none."""
    out: list[Message] = []
    for later in range(place + 1, len(pieces)):
        if not pending or any(call in pending for call in calls_in(pieces[later])):
            break  # what follows answers a newer call of the same id
        if later not in used and (found := results_in(pieces[later])) and take(pending, found):
            used.add(later)
            out.append(pieces[later])
    if all(results_in(p) for p in pieces[place + 1 :]):
        return out
    return out + [ToolMessage(NO_RESULT, tool_call_id=i, name=name or None, is_error=True) for i, name in pending]


def merge_messages(messages: Any, *, separator: str = "\n\n") -> list[Message]:
    """The conversation with neighbours of the same role made one: texts joined by the separator, parts put in a row.

    Only system, human and AI messages are joined, and only where nothing is lost: their names and additional_kwargs are equal,
    neither has data of its provider's at the message, and the first asks for no tool calls. Usage and tries add up.

    >>> from chatmodels import HumanMessage
    >>> merge_messages([HumanMessage("One."), HumanMessage("Two.")], separator=" ")
    [HumanMessage(content='One. Two.', additional_kwargs={})]
    """
    out: list[Message] = []
    for message in messages_of(messages) if messages else []:
        if out and _alike(out[-1], message):
            out[-1] = _joined(out[-1], message, separator)
        else:
            out.append(message)
    return out


def _alike(a: Message, b: Message) -> bool:
    return (
        type(a) is type(b)
        and isinstance(a, SystemMessage | HumanMessage | AIMessage)
        and a.name == b.name
        and a.additional_kwargs == b.additional_kwargs
        and not (a.provider_data or b.provider_data or calls_in(a) or results_in(a) or results_in(b))
        and getattr(a, "provider", None) == getattr(b, "provider", None)
    )


def _joined(a: Message, b: Message, separator: str) -> Message:
    changes: dict[str, Any] = {"content": _content(a, b, separator), "id": None}
    if isinstance(a, AIMessage) and isinstance(b, AIMessage):
        changes["usage"] = b.usage if a.usage is None else a.usage if b.usage is None else a.usage + b.usage
        changes["attempts"] = (*a.attempts, *b.attempts)
        changes["warnings"] = (*a.warnings, *b.warnings)
    return msgspec.structs.replace(b, **changes)


def _content(a: Message, b: Message, separator: str) -> str | list[Part]:
    if isinstance(a.content, str) and isinstance(b.content, str):
        return separator.join([text for text in (a.content, b.content) if text])
    return _with_separator(a.parts, b.parts, separator)


def _with_separator(first: Sequence[Part], second: Sequence[Part], separator: str) -> list[Part]:
    between = first and second and isinstance(first[-1], Text) and isinstance(second[0], Text)
    return [*first, *([Text(separator)] if between and separator else []), *second]
