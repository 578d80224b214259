"""Which items ask the same as one of an earlier shard: they wait for its answer, so that it is paid once in the whole cluster.

The first in the input is the one that is asked, whoever answers it. Knows no cluster, and opens no journal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from .._model import ChatModel
from ..batch._entries import Entries
from ._keys import KeyTable
from ._shards import Shard

#: For a key of a shard: the item before the shard that asks it first, and the shard's own items that ask it.
Twins: TypeAlias = dict[bytes, tuple[int, list[int]]]


class Same:
    """Told of the shards in their order, of `size` items each. `ended`: may a shard's journal be read, because nobody writes it?"""

    def __init__(
        self, table: KeyTable, key_of: Callable[[Any], bytes | None], size: int, ended: Callable[[int], bool]
    ) -> None:
        self._table, self._key_of, self._size, self._ended = table, key_of, size, ended
        self._twins: dict[int, Twins] = {}
        #: Shards that are put off, and those that each of them waits for.
        self._put_off: dict[int, tuple[Shard, set[int]]] = {}

    def note(self, shard: Shard, *, ended: bool) -> None:
        """The next shard of the input. One that has ended waits for nobody."""
        if ended and self._table.knows(shard.number):
            return
        keys: dict[bytes, list[int]] = {}
        for position, item in enumerate(shard.items, shard.first):
            if (key := self._key_of(item)) is not None:
                keys.setdefault(key, []).append(position)
        found = self._table.add(shard.number, {key: own[0] for key, own in keys.items()})
        twins = {key: (first, keys[key]) for key, first in found.items() if first < shard.first}
        if twins and not ended:
            self._twins[shard.number] = twins

    def tell(self, shard: Shard) -> None:
        """Before it is handed out: where answers are for it, and which of its items are left for later."""
        before = set(shard.held)
        shard.answers, shard.held = {}, []
        for key, (first, own) in self._twins.get(shard.number, {}).items():
            if self._ended(first // self._size):
                shard.answers[key] = first
            else:
                shard.held += own
            if own[0] in before:
                shard.waited.add(key)

    def put_off(self, shard: Shard) -> None:
        """All but what it holds for later has ended."""
        others = {first // self._size for first, _ in self._twins[shard.number].values()}
        self._put_off[shard.number] = shard, others

    def ready(self) -> Shard | None:
        """One that was put off, and waits for nobody any more."""
        for number, (shard, others) in self._put_off.items():
            if all(self._ended(other) for other in others):
                del self._put_off[number]
                return shard
        return None

    def forget(self, number: int) -> None:
        """The shard has ended."""
        self._twins.pop(number, None)

    @property
    def waiting(self) -> int:
        """How many shards are put off; their items are in memory."""
        return len(self._put_off)

    def close(self) -> None:
        """Keep the table for the next run."""
        self._table.close()


def keys_of(model: ChatModel, system: str | None) -> Callable[[Any], bytes | None]:
    """What a worker's journal will know an item by; None for an item that cannot be asked."""
    entries = Entries(model, system)

    def key_of(given: Any) -> bytes | None:
        entry = entries.of(0, given)
        return None if isinstance(entry.call, Exception) else entry.key

    return key_of
