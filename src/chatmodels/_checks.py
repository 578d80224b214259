"""Checks of arguments that several doors share. Each names the argument and what it may be."""

from __future__ import annotations

from operator import index
from typing import Any

from ._errors import UsageError


def whole(argument: str, value: Any, least: int = 1) -> int:
    """A whole number, `least` or more (numpy's too, no bool); else a `UsageError`."""
    try:
        number = -1 if isinstance(value, bool) else index(value)
    except TypeError:
        number = -1
    if number < least:
        raise UsageError(f"{argument} is a whole number, {least} or more; got {value!r}", argument=argument)
    return number


def whole_or_none(argument: str, value: Any, least: int = 1) -> int | None:
    """`whole`, or None for no limit."""
    return None if value is None else whole(argument, value, least)


#: Thirty years: what is longer fits into no clock of the system's.
MOST_SECONDS = 1e9


def number(
    argument: str, value: Any, what: str = "number of seconds", *, above: bool = False, most: float = MOST_SECONDS
) -> float:
    """A number from 0 (`above` it, where said) up to `most`; no bool, no infinity; else a `UsageError`."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= most
    if not good or (above and not value):
        least = "above 0" if above else "0 or more"
        raise UsageError(f"{argument} is a finite {what}, {least}; got {value!r}", argument=argument)
    return float(value)
