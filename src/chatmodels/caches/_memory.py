"""Answers in the memory of this process: bounded, the least recently used go first. Knows bytes by key, no messages."""

from __future__ import annotations

import threading
from collections import OrderedDict
from time import monotonic
from typing import Any, ClassVar, Self

from .._checks import whole, whole_or_none
from ._base import Cache, after_fork, seconds

#: The bytes that answers may take unless told otherwise.
MOST_BYTES = 256 * 1024 * 1024

#: Bytes that an entry takes besides its value: its key, and what holds the two.
_BESIDE = 400


class InMemoryCache(Cache):
    """Answers in this process's memory, for all its threads and event loops.

    `max_entries` bounds how many, `max_bytes` how much memory (256 MiB; None: no such bound); the least recently used go first, and
    an answer that is larger than all of it is not kept. `ttl` is in seconds, None for as long as there is room.

    >>> chat = ChatModel().with_cache(InMemoryCache(max_entries=100, ttl=3600))  # doctest: +SKIP
    """

    instant: ClassVar[bool] = True

    def __init__(
        self, max_entries: int = 10_000, *, max_bytes: int | None = MOST_BYTES, ttl: float | None = None
    ) -> None:
        self._most = whole("max_entries", max_entries)
        self._most_bytes = whole_or_none("max_bytes", max_bytes)
        self._ttl = seconds(ttl)
        self._held: OrderedDict[str, tuple[bytes, float | None]] = OrderedDict()
        self._bytes = 0
        self._vectors: dict[str, OrderedDict[str, bytes]] = {}
        self._setting_of: dict[str, str] = {}
        self.forked()
        after_fork(self)

    def forked(self) -> None:
        """In the child of a fork the answers are there; a lock that another thread held would never open."""
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"InMemoryCache(max_entries={self._most}, max_bytes={self._most_bytes}, ttl={self._ttl})"

    def __len__(self) -> int:
        return len(self._held)

    def __reduce__(self) -> tuple[Any, ...]:
        return _empty, (self._most, self._ttl, self._most_bytes)

    def get(self, key: str) -> bytes | None:
        """What was kept under the key, if it has not expired."""
        with self._lock:
            found = self._held.get(key)
            if found is None:
                return None
            if found[1] is not None and found[1] <= monotonic():
                self._forget(key)
                return None
            self._held.move_to_end(key)
            return found[0]

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Keep the value; the least recently used goes where there is no room."""
        lasts = self._ttl if ttl is None else ttl
        with self._lock:
            before = self._held.pop(key, None)
            self._bytes += len(value) - (len(before[0]) if before is not None else -_BESIDE)
            self._held[key] = (value, None if lasts is None else monotonic() + lasts)
            while len(self._held) > self._most or self._is_too_much():
                self._forget(next(iter(self._held)))

    def _is_too_much(self) -> bool:
        return self._most_bytes is not None and self._bytes > self._most_bytes

    def _forget(self, key: str) -> None:
        value, _ = self._held.pop(key)
        self._bytes -= len(value) + _BESIDE
        self._forget_vector(key)

    def _forget_vector(self, key: str) -> None:
        setting = self._setting_of.pop(key, None)
        if setting is None:
            return
        found = self._vectors[setting]
        self._bytes -= len(found.pop(key)) + _BESIDE
        if not found:
            del self._vectors[setting]

    def clear(self) -> None:
        """Forget all answers."""
        with self._lock:
            self._held.clear()
            self._vectors.clear()
            self._setting_of.clear()
            self._bytes = 0

    def pickled(self) -> Self:
        """An empty one with the same bounds."""
        return self

    def vectors(self, setting: str) -> list[tuple[str, bytes]]:
        """Those whose answers are still here."""
        with self._lock:
            found = self._vectors.get(setting)
            return [] if found is None else list(found.items())

    def add_vector(self, setting: str, key: str, vector: bytes, most: int, ttl: float | None) -> None:
        """The newest is last. A vector goes with its answer, and counts as its bytes do."""
        with self._lock:
            self._forget_vector(key)
            if key not in self._held:
                return
            found = self._vectors.setdefault(setting, OrderedDict())
            found[key] = vector
            self._setting_of[key] = setting
            self._bytes += len(vector) + _BESIDE
            while len(found) > most:
                self._forget_vector(next(iter(found)))
            while self._is_too_much():
                self._forget(next(iter(self._held)))


def _empty(most: int, ttl: float | None, most_bytes: int | None = MOST_BYTES) -> InMemoryCache:
    return InMemoryCache(most, ttl=ttl, max_bytes=most_bytes)


class _OfTheProcess(InMemoryCache):
    """The one that `with_cache()` uses: in a pickle it stands for the one of the process that reads it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return of_the_process, ()


_default = _OfTheProcess()


def of_the_process() -> InMemoryCache:
    """The cache of `with_cache()`: one for the whole process."""
    return _default
