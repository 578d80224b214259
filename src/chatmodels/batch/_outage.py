"""Is it the provider, or the item? What to do with an item that was refused: try it again, call it failed, or stop the batch.

Knows no queue and no journal; the clock is an argument.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

from .._errors import OverloadedError
from ._ledger import Entry

#: An item that is refused so often while others are answered is at fault itself, where the provider says that it is broken (5xx).
FAULTY = 5
#: So few items at the end with a 500 each are taken to be at fault.
LEFT = 25
#: Where nothing has ever been answered, the address may be wrong: this share of the patience is enough.
START = 0.1
#: So many refusals of access, with nothing answered, are no accident of items.
DENIED = 20

Verdict: TypeAlias = Literal["again", "failed", "stop"]


class Outage:
    """What has been answered of late, and what not. `patience` is in seconds; without any, what is refused has failed."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._answered = -math.inf
        self._since: float | None = None
        #: How often each was refused while others were answered.
        self._alone: dict[Entry, int] = {}
        self._denied = 0

    def over(self, entry: Entry, now: float) -> None:
        """The provider has answered, or said what is wrong with the item: it is there."""
        self._answered, self._since = now, None
        self._alone.pop(entry, None)

    def seconds(self, now: float) -> float:
        """For how long nothing was answered."""
        return 0.0 if self._since is None else now - self._since

    def denied(self, entry: Entry, last: int | None) -> Verdict:
        """A 403, before anything was answered, may be for what the item says, or for the key as a whole. Each such item is tried
        twice, and many of them are a reason to stop. `last`: how many have not ended, where no more come."""
        self._denied += 1
        if self._denied >= DENIED:
            return "stop"
        return "again" if entry.tries < 2 or last is None or last > DENIED - self._denied else "failed"

    def refused(
        self, entry: Entry, error: Exception, began: float, now: float, *, known: bool, last: int | None
    ) -> Verdict:
        """A call that began then was neither answered nor paid. `known`: something has been answered, by an earlier run too.
        `last`: how many have not ended, where no more come."""
        if self._since is None:
            self._since = now
        if self._answered >= began:
            self._alone[entry] = self._alone.get(entry, 0) + 1
        if not self.patience or self._faulty(entry, error, now, last):
            self._alone.pop(entry, None)
            return "failed"
        return "again" if self.seconds(now) < self.patience * (1.0 if known else START) else "stop"

    def _faulty(self, entry: Entry, error: Exception, now: float, last: int | None) -> bool:
        """Is it this item that the provider cannot answer?"""
        alone = self._alone.get(entry, 0)
        if alone >= FAULTY and isinstance(error, OverloadedError):
            return True
        left = last is not None and last <= LEFT and getattr(error, "status", None) == 500
        return now >= entry.expires and (alone > 0 or left)
