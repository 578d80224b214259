"""Answers in the memory of this process: bounded, the least recently used go first. Knows bytes by key, no messages."""

from __future__ import annotations

import threading
from collections import OrderedDict
from time import monotonic
from typing import Any, ClassVar, Self

from .._checks import whole
from ._base import Cache, after_fork, seconds


class InMemoryCache(Cache):
    """Answers in this process's memory, for all its threads and event loops.

    `max_entries` bounds how many; the least recently used go first. `ttl` is in seconds, None for as long as there is room.

    >>> chat = ChatModel().with_cache(InMemoryCache(max_entries=100, ttl=3600))  # doctest: +SKIP
    """

    instant: ClassVar[bool] = True

    def __init__(self, max_entries: int = 10_000, *, ttl: float | None = None) -> None:
        self._most = whole("max_entries", max_entries)
        self._ttl = seconds(ttl)
        self._held: OrderedDict[str, tuple[bytes, float | None]] = OrderedDict()
        self._vectors: dict[str, OrderedDict[str, bytes]] = {}
        self.forked()
        after_fork(self)

    def forked(self) -> None:
        """In the child of a fork the answers are there; a lock that another thread held would never open."""
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"InMemoryCache(max_entries={self._most}, ttl={self._ttl})"

    def __len__(self) -> int:
        return len(self._held)

    def __reduce__(self) -> tuple[Any, ...]:
        return _empty, (self._most, self._ttl)

    def get(self, key: str) -> bytes | None:
        """What was kept under the key, if it has not expired."""
        with self._lock:
            found = self._held.get(key)
            if found is None:
                return None
            if found[1] is not None and found[1] <= monotonic():
                del self._held[key]
                return None
            self._held.move_to_end(key)
            return found[0]

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Keep the value; the least recently used goes where there is no room."""
        lasts = self._ttl if ttl is None else ttl
        with self._lock:
            self._held[key] = (value, None if lasts is None else monotonic() + lasts)
            self._held.move_to_end(key)
            while len(self._held) > self._most:
                self._held.popitem(last=False)

    def clear(self) -> None:
        """Forget all answers."""
        with self._lock:
            self._held.clear()
            self._vectors.clear()

    def pickled(self) -> Self:
        """An empty one with the same bounds."""
        return self

    def vectors(self, setting: str) -> list[tuple[str, bytes]]:
        """Those whose answers are still here."""
        with self._lock:
            found = self._vectors.get(setting)
            return [] if found is None else [(k, v) for k, v in found.items() if k in self._held]

    def add_vector(self, setting: str, key: str, vector: bytes, most: int, ttl: float | None) -> None:
        """The newest is last; a setting without answers is forgotten."""
        with self._lock:
            found = self._vectors.setdefault(setting, OrderedDict())
            found[key] = vector
            while len(found) > most:
                found.popitem(last=False)
            if len(self._vectors) > self._most:
                self._vectors = {s: v for s, v in self._vectors.items() if any(k in self._held for k in v)}


def _empty(most: int, ttl: float | None) -> InMemoryCache:
    return InMemoryCache(most, ttl=ttl)


class _OfTheProcess(InMemoryCache):
    """The one that `with_cache()` uses: in a pickle it stands for the one of the process that reads it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return of_the_process, ()


_default = _OfTheProcess()


def of_the_process() -> InMemoryCache:
    """The cache of `with_cache()`: one for the whole process."""
    return _default
