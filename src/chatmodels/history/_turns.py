"""What belongs together in a conversation: an answer's tool calls and their results, and the turns. Pure.

A *group* is what may only be kept or left out whole: one message, or an answer with all results of its calls. A *turn* begins
with what the user says and ends before the next such message. Knows messages and nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from .._inputs import messages_of
from .._messages import AIMessage, ChatMessage, FunctionMessage, HumanMessage, Message, SystemMessage, ToolMessage
from .._parts import ToolResult


class Problem(msgspec.Struct, frozen=True):
    """Why a conversation cannot be sent as it stands, and where: `index` counts messages from 0.

    `kind` is "orphan_result" (no call before it asks for this result), "duplicate_result" (its call has one already) or
    "unanswered_call" (another message comes before the call's result). The calls of the last answer may be open.
    """

    kind: str
    index: int
    call_id: str
    text: str


class Group(msgspec.Struct, frozen=True):
    """Messages that go together, by their places; `sound` says that they can be sent."""

    places: tuple[int, ...]
    sound: bool = True


def validate_messages(messages: Any) -> list[Problem]:
    """What is wrong with the conversation's tool calls and results, in order; an empty list when nothing is.

    >>> from chatmodels import ToolMessage
    >>> [p.kind for p in validate_messages([ToolMessage("22 degrees", tool_call_id="call_1")])]
    ['orphan_result']
    """
    return _walk(messages_of(messages))[1] if messages else []


def groups_of(messages: Sequence[Message]) -> list[Group]:
    """The conversation's groups, in order."""
    return _walk(messages)[0]


def results_in(message: Message) -> list[tuple[str, str | None]]:
    """(call id, tool's name) of each result in a message; the name alone finds the call of a 2023 function message."""
    if isinstance(message, ToolMessage):
        return [(message.tool_call_id, None)]
    if isinstance(message, FunctionMessage):
        return [("", message.name)]
    if isinstance(message, HumanMessage | ChatMessage) and not isinstance(message.content, str):
        return [(p.tool_call_id, None) for p in message.content if isinstance(p, ToolResult)]
    return []


def is_system(message: Message) -> bool:
    """Is it an instruction to the model, by its class or its role?"""
    return isinstance(message, SystemMessage) or (
        isinstance(message, ChatMessage) and message.role in ("system", "developer")
    )


def opens_turn(message: Message) -> bool:
    """Does the user speak here (and not only hand in a tool's result)?"""
    user = isinstance(message, HumanMessage) or (isinstance(message, ChatMessage) and message.role in ("user", "human"))
    return user and not results_in(message)


def take(pending: list[tuple[str, str]], results: Sequence[tuple[str, str | None]]) -> bool:
    """Take the calls that these results answer out of the list; False, and nothing is taken, when one has no call."""
    left = list(pending)
    for ident, name in results:
        found = next((c for c in left if (c[1] == name if name is not None else c[0] == ident)), None)
        if found is None:
            return False
        left.remove(found)
    pending[:] = left
    return True


def calls_in(message: Message) -> list[tuple[str, str]]:
    """(id, tool's name) of each call that an answer asks for."""
    return [(c.id, c.name) for c in message.tool_calls] if isinstance(message, AIMessage) else []


def _walk(messages: Sequence[Message]) -> tuple[list[Group], list[Problem]]:
    groups: list[Group] = []
    problems: list[Problem] = []
    answered: set[str] = set()
    place = 0
    while place < len(messages):
        if pending := calls_in(messages[place]):
            group = _exchange(messages, place, pending, problems)
            answered.update(i for p in group.places[1:] for i, name in results_in(messages[p]) if name is None)
        elif results := results_in(messages[place]):
            problems += [_stray(place, ident or name or "", ident in answered) for ident, name in results]
            group = Group((place,), sound=False)
        else:
            group = Group((place,))
        groups.append(group)
        place = group.places[-1] + 1
    return groups, problems


def _exchange(
    messages: Sequence[Message], place: int, pending: list[tuple[str, str]], problems: list[Problem]
) -> Group:
    """The answer at this place with the results that follow it."""
    end = place + 1
    while end < len(messages) and (results := results_in(messages[end])) and take(pending, results):
        end += 1
    broken = bool(pending) and end < len(messages)
    if broken:
        problems += [
            Problem(
                "unanswered_call", place, ident, f"messages[{place}] calls {name!r} ({ident!r}), and no result follows"
            )
            for ident, name in pending
        ]
    return Group(tuple(range(place, end)), sound=not broken)


def _stray(place: int, ident: str, answered: bool) -> Problem:
    if answered:
        return Problem("duplicate_result", place, ident, f"messages[{place}] answers the call {ident!r} once more")
    return Problem(
        "orphan_result", place, ident, f"messages[{place}] answers {ident!r}, which no answer just before it calls"
    )
