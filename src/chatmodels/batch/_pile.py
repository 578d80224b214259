"""Items that wait for a job, in piles of what can go together: one address, one set of headers, one model. Knows no journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from .._errors import UsageError
from .._plan import Plan
from .._usage import Usage
from ._ledger import Entry

#: What an item takes in a job besides its request, in bytes: its id, its address, brackets.
AROUND = 300
#: Tokens that an answer is taken to have where the call has no `max_tokens` and none has come yet.
ANSWER = 256
#: Items of a pile that a guess looks at.
LOOK = 100


class Pile:
    """Items that can go into one job. `most` (that are wanted) and `hard` (that are possible) are of bytes, `count` and `least` of
    items."""

    def __init__(self, count: int, most: int, least: int, hard: int) -> None:
        self._count, self._most, self._least, self._hard = count, most, least, hard
        self._items: deque[tuple[Entry, int]] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._items)

    def add(self, entry: Entry, size: int) -> None:
        self._items.append((entry, size))
        self._size += size

    @property
    def full(self) -> bool:
        """Is there enough for a whole job, and, where a job may be too small, for the least one after it?"""
        if self._least == 1:
            return len(self._items) >= self._count or self._size >= self._most
        return len(self._items) >= self._count + self._least or (
            len(self._items) >= 2 * self._least and self._size >= self._most
        )

    def __iter__(self) -> Iterator[Entry]:
        return (entry for entry, _ in self._items)

    def first(self) -> Entry:
        return self._items[0][0]

    def take(self, count: int) -> list[Entry]:
        """The first items, at most so many and at most a job's bytes."""
        taken: list[Entry] = []
        size = 0
        for _ in range(self.fits(count)):
            entry, own = self._items.popleft()
            taken.append(entry)
            size += own
        self._size -= size
        return taken

    def fits(self, count: int) -> int:
        """How many of the first ones go into one job, of at most so many: not so many that the rest is a job too small, if that can
        be."""
        taken = size = 0
        for _, own in islice(self._items, min(count, self._count)):
            size += own
            if size > (self._most if taken >= self._least else self._hard):
                break
            taken += 1
        left = len(self._items) - taken
        return len(self._items) - self._least if 0 < left < self._least <= taken - self._least + left else taken

    def guess(self) -> Usage:
        """What an item may take: four bytes of a request are a token, an answer is as long as it may be."""
        looked = list(islice(self._items, LOOK))
        given = sum(size - AROUND for _, size in looked) // (4 * len(looked))
        made = sum((e.call.settings.max_tokens or ANSWER) * (e.call.settings.n or 1) for e, _ in looked) // len(looked)
        raw: dict[str, Any] = {"service_tier": "batch"}
        return Usage(input_tokens=max(1, given), output_tokens=made, estimated=True, raw=raw)


class Piles:
    """All of them."""

    def __init__(self, plan: Plan, count: int, most: int, *, least: int, hard: int) -> None:
        self._plan, self._count, self._most, self._least, self._hard = plan, count, most, least, hard
        self._piles: dict[Any, Pile] = {}

    def __len__(self) -> int:
        return sum(len(pile) for pile in self._piles.values())

    def add(self, entry: Entry) -> None:
        """Put it where it belongs. Raises UsageError where no job can hold it."""
        request = self._plan.dialect.encode(msgspec.structs.replace(entry.call, stream=False))
        size = len(request.body) + AROUND
        if size > self._most:
            raise UsageError(
                f"the item has {len(request.body):,} bytes, and a job here has room for {self._most:,}: ask it in real time "
                "(without via=)",
                argument="items",
            )
        kind = (request.path, entry.call.model, tuple(sorted(request.headers.items())))
        if kind not in self._piles:
            self._piles[kind] = Pile(self._count, self._most, self._least, self._hard)
        self._piles[kind].add(entry, size)

    def full(self) -> Pile | None:
        """One that is enough for a job."""
        return next((pile for pile in self._piles.values() if pile.full), None)

    def largest(self) -> Pile | None:
        """The one with most items; None where there are no items."""
        found = max(self._piles.values(), key=len, default=None)
        return found if found is not None and len(found) else None

    def all(self) -> Iterator[Entry]:
        """Every item, which is then in no pile any more."""
        for pile in self._piles.values():
            while len(pile):
                yield from pile.take(len(pile))
