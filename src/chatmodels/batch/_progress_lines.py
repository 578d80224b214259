"""The words of a progress line, and which of them a narrow window gets. Pure: a tally and rates in, text out."""

from __future__ import annotations

import msgspec

from ._tally import Tally
from ._words import dollars

#: Columns of the shortest bar, with its brackets and the space behind it.
LEAST_BAR = 9


class Rates(msgspec.Struct):
    """Items and tokens a second."""

    items: float
    tokens: float


def parts_of(tally: Tally, rates: Rates) -> list[tuple[int, str]]:
    """(rank, words) in the order of the line; the lower the rank, the longer they stay where the window is narrow.

    `1,200/5,000 done, 3 failed, 50 in flight, 98.2/s, 54k tokens/s, $1.20, 12 s left`
    """
    of = "" if tally.expected is None else f"/{tally.expected:,}"
    found = [(0, f"{tally.ended:,}{of} done")]
    if tally.failed:
        found.append((1, f"{tally.failed:,} failed"))
    if tally.in_flight:
        found.append((4, f"{tally.in_flight:,} in flight"))
    found.append((6, f"{rates.items:,.1f}/s"))
    if tally.new_tokens:
        found.append((5, f"{_many(rates.tokens)} tokens/s"))
    if tally.cost is not None:
        found.append((3, dollars(tally.cost)))
    if tally.expected is not None and tally.ended < tally.expected and rates.items:
        found.append((2, f"{_time((tally.expected - tally.ended) / rates.items)} left"))
    return found


def fitted(parts: list[tuple[int, str]], width: int) -> str:
    """As many of the parts as fit."""
    left = list(parts)
    while len(left) > 1 and len(", ".join(text for _, text in left)) > width:
        left.remove(max(left))
    return ", ".join(text for _, text in left)[: max(0, width)]


def bar(tally: Tally, room: int) -> str:
    """`[####......] `, where there is room for it and the end is known."""
    if not tally.expected or room < LEAST_BAR:
        return ""
    width = min(room - 3, 40)
    full = min(width, int(width * tally.ended / tally.expected))
    return f"[{'#' * full}{'.' * (width - full)}] "


def _many(count: float) -> str:
    """`5,400`, `154k`"""
    return f"{count:,.0f}" if count < 10_000 else f"{count / 1000:,.0f}k"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
