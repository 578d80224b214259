"""Numbers as they are said to people: counts of things, and money. Pure."""

from __future__ import annotations

import math


def counted(count: int, thing: str) -> str:
    """`1 item`, `2,000 items`."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def dollars(value: float) -> str:
    """`$0.00027`: two digits that count, never an exponent."""
    if value >= 0.1:
        return f"${value:,.2f}"
    places = 1 - math.floor(math.log10(value)) if value > 0 else 0
    text = f"{value:.{places}f}"
    return f"${text.rstrip('0').rstrip('.') if '.' in text else text}"
