"""Trimming: the newest (or oldest) part of a conversation that fits, in whole turns, and in whole groups within a turn.

Knows nothing of tokens but a counter. Of two candidates the longer one that fits is taken, found by bisection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import iscoroutine
from typing import Any, Literal, TypeAlias, cast

from .._checks import whole_or_none
from .._errors import UsageError
from .._inputs import messages_of
from .._messages import Message
from ._turns import Group, groups_of, is_system, opens_turn

Counter: TypeAlias = "Callable[[list[Message]], int]"


def trim_messages(
    messages: Any,
    *,
    max_tokens: int | None = None,
    max_turns: int | None = None,
    counter: Any = None,
    keep_system: bool = True,
    strategy: Literal["last", "first"] = "last",
) -> list[Message]:
    """The newest turns (with `strategy="first"` the oldest) that fit, oldest first; the messages themselves are not changed.

    `max_tokens` is what they may take together as `counter` counts: a function from a list of messages to tokens, or a model
    (its `count_tokens`), or None for the estimate of `chatmodels.tokens`. `max_turns` counts what the user says with all
    that follows. System messages stay, and count, unless `keep_system=False` (then they are trimmed like others). A tool
    call and its results are kept or left out together. Where the newest turn alone does not fit, its own oldest exchanges
    go; what the user said stays. Results without a call and calls without a result, which no provider takes, are always left out.

    Raises `UsageError` (argument "max_tokens") when even the least, the system messages and the last exchange, does not fit.

    >>> from chatmodels import AIMessage, HumanMessage
    >>> trim_messages([HumanMessage("1"), AIMessage("one"), HumanMessage("2")], max_turns=1)
    [HumanMessage(content='2', additional_kwargs={})]
    """
    _check(max_tokens, max_turns, strategy)
    given = messages_of(messages) if messages else []
    groups = [g for g in groups_of(given) if g.sound]
    fixed = [g for g in groups if keep_system and is_system(given[g.places[0]])]
    turns = _turns(given, [g for g in groups if g not in fixed])
    if max_turns is not None:
        turns = turns[-max_turns:] if strategy == "last" else turns[:max_turns]
    candidates = _newest(given, turns) if strategy == "last" else _oldest(turns)
    if max_tokens is None:
        return _picked(given, fixed, candidates[0])
    return _fitting(given, fixed, candidates, max_tokens, counter_of(counter))


def counter_of(counter: Any) -> Counter:
    """The function that counts: given, a model's, or the estimate."""
    if counter is None:
        from ..tokens import estimate_tokens

        return estimate_tokens
    count = getattr(counter, "count_tokens", None)
    if count is not None:
        return lambda messages: count(messages).value if messages else 0
    if not callable(counter):
        raise UsageError(
            f"counter is a model, or a function from messages to a number; got {type(counter).__name__}",
            argument="counter",
        )
    return lambda messages: _number(counter(messages))


def _number(count: Any) -> int:
    if isinstance(count, bool) or not isinstance(count, (int, float)):
        if iscoroutine(count):
            count.close()
        raise UsageError(
            f"counter is a function from messages to a number; it gave {type(count).__name__}", argument="counter"
        )
    return cast(int, count)


def _check(max_tokens: Any, max_turns: Any, strategy: Any) -> None:
    if max_tokens is None and max_turns is None:
        raise UsageError("give max_tokens or max_turns, or both", argument="max_tokens")
    whole_or_none("max_tokens", max_tokens)
    whole_or_none("max_turns", max_turns)
    if strategy not in ("last", "first"):
        raise UsageError(f"strategy is 'last' or 'first'; got {strategy!r}", argument="strategy")


def _turns(messages: Sequence[Message], groups: Sequence[Group]) -> list[list[Group]]:
    turns: list[list[Group]] = []
    for group in groups:
        if not turns or opens_turn(messages[group.places[0]]):
            turns.append([])
        turns[-1].append(group)
    return turns


def _newest(messages: Sequence[Message], turns: list[list[Group]]) -> list[list[Group]]:
    """From all to the least: fewer turns, then of the last turn fewer exchanges between its opening and its end."""
    out = [[g for turn in turns[drop:] for g in turn] for drop in range(len(turns))]
    if not turns:
        return [[]]
    last = turns[-1]
    head = 1 if opens_turn(messages[last[0].places[0]]) else 0
    out += [[*last[:head], *last[n:]] for n in range(head + 1, len(last))]
    return out


def _oldest(turns: list[list[Group]]) -> list[list[Group]]:
    """From all to the least: fewer turns, then of the first turn fewer groups."""
    if not turns:
        return [[]]
    out = [[g for turn in turns[:end] for g in turn] for end in range(len(turns), 0, -1)]
    return out + [turns[0][:end] for end in range(len(turns[0]) - 1, 0, -1)]


def _picked(messages: Sequence[Message], fixed: list[Group], chosen: list[Group]) -> list[Message]:
    return [messages[p] for p in sorted(p for g in (*fixed, *chosen) for p in g.places)]


def _fitting(
    messages: Sequence[Message], fixed: list[Group], candidates: list[list[Group]], limit: int, counter: Counter
) -> list[Message]:
    least = _picked(messages, fixed, candidates[-1])
    needed = counter(least)
    if needed > limit:
        raise UsageError(
            f"even the least of this conversation ({len(least)} messages: the system's and one exchange) takes {needed} "
            f"tokens, more than max_tokens={limit}: raise max_tokens, shorten these messages, or summarise",
            argument="max_tokens",
        )
    best, low, high = least, 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        tried = _picked(messages, fixed, candidates[middle])
        if counter(tried) <= limit:
            best, high = tried, middle
        else:
            low = middle + 1
    return best
