"""Which items of an earlier run are asked anew: those that failed and ask something else now, or all that failed.

The output is begun anew then, from the journal, and only after that are they forgotten: a crash between the two loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .._json import is_sequence
from ._entries import Entries
from ._items import rereadable
from ._journal import Journal


class Corrected:
    """What the journal will forget. True where it is anything."""

    def __init__(self, journal: Journal | None, *, everything: bool = False) -> None:
        self._journal, self._everything = journal, everything
        self._positions: list[int] = []

    def __bool__(self) -> bool:
        return self._everything or bool(self._positions)

    def look(self, read: Callable[[], Iterable[Any]], items: Any, entries: Entries) -> None:
        """Find failed items whose place in the input holds something else now; where the input can be read twice."""
        if self._everything or self._journal is None or not (rereadable(items) or is_sequence(items)):
            return
        failed = iter(self._journal.failed())
        wanted = next(failed, None)
        if wanted is None:
            return
        for position, given in enumerate(read()):
            if position < wanted[0]:
                continue
            if wanted[1] not in (b"", entries.of(position, given).key):
                self._positions.append(position)
            wanted = next(failed, None)
            if wanted is None:
                return

    def forget(self) -> None:
        """Now."""
        if self._journal is None:
            return
        if self._everything:
            self._journal.forget_failed()
        elif self._positions:
            self._journal.forget(self._positions)
