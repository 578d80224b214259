"""What a run of a batch is asked for, besides its model and its items."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from .._messages import AIMessage

#: What an answer has cost, in US dollars; None where that is not known.
Price = Callable[[AIMessage], float | None]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is asked for besides its model and items."""

    ordered: bool
    max_concurrency: int
    max_cost: float | None
    max_tokens: int | None
    price: Price | None
    patience: float
    stop_after: int | None
    system: str | None
    #: Items that share a long beginning go near each other.
    group_prefixes: bool = True
    #: How often an answer that does not fit the output type is asked for, in all.
    attempts: int = 1

    @property
    def room(self) -> int:
        """How many items may be on their way: enough that the disk, which is asked twice for each, holds nobody up. In order, fast
        ones wait for slow ones before them."""
        return (8 if self.ordered else 2) * self.max_concurrency + 256

    @property
    def unsafe(self) -> int:
        """How many answers may wait for the disk while further calls are sent."""
        return max(16, self.max_concurrency)
