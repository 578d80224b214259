"""Answers to similar questions: vectors of the questions' words beside the answers in any other cache.

Only the words of the last message may differ; all else of the call must be the same, which the setting's hash says.
"""

from __future__ import annotations

import inspect
import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from math import isfinite, sqrt
from operator import mul
from typing import Any, ClassVar, Self

from .._checks import whole
from .._errors import UsageError
from ._base import Cache, after_fork
from ._memory import InMemoryCache

#: Questions whose vectors are remembered: those who ask the same at the same time need one, and it may cost money.
_RECENT = 128

#: Is this code inside an embedding? What it asks waits for no vector: that might be its own.
_embedding: ContextVar[bool] = ContextVar("chatmodels_embedding", default=False)


class SemanticCache(Cache):
    """Gives the answer to an earlier question that means nearly the same.

    `embedding` is any callable from a str to a list of numbers (a coroutine function does too). Two questions are near when
    the cosine of their vectors is at least `threshold` (above 0, up to 1). Everything but the words of the last message must be
    the same: earlier messages, settings, tools, model. `store` keeps answers and vectors: an `InMemoryCache` unless given, a
    `SQLiteCache` or a `RedisCache`; with another embedding use another store. Of one setting the `max_entries` newest are compared.

    An answer found in this way says so: `from_cache` is True, its attempt's outcome is "semantic cache hit", and a warning
    names the similarity.

    >>> chat = ChatModel().with_cache(SemanticCache(embed, threshold=0.95))  # doctest: +SKIP
    """

    semantic: ClassVar[bool] = True

    def __init__(
        self,
        embedding: Callable[[str], Any],
        *,
        threshold: float = 0.95,
        store: Cache | None = None,
        max_entries: int = 1000,
    ) -> None:
        if not callable(embedding):
            raise UsageError("embedding is a callable from a str to a list of numbers", argument="embedding")
        if not isinstance(threshold, (int, float)) or isinstance(threshold, bool) or not 0 < threshold <= 1:
            raise UsageError(f"threshold is a number above 0, up to 1; got {threshold!r}", argument="threshold")
        if store is not None and (not isinstance(store, Cache) or store.semantic):
            raise UsageError("store is an InMemoryCache, a SQLiteCache or a RedisCache", argument="store")
        self._embedding = embedding
        self._threshold = float(threshold)
        self._store = InMemoryCache() if store is None else store
        self._most = whole("max_entries", max_entries)
        self.forked()
        after_fork(self)

    def forked(self) -> None:
        """In the child of a fork: who was asked for a vector is not here."""
        self._lock = threading.Lock()
        self._vectors: OrderedDict[str, Future[array[float]]] = OrderedDict()

    def __repr__(self) -> str:
        return f"SemanticCache(threshold={self._threshold}, store={self._store!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self._embedding, self._threshold, self._store.pickled(), self._most)

    def get(self, key: str) -> bytes | str | None:
        """The answer to this very question."""
        return self._store.get(key)

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Keep an answer."""
        self._store.set(key, value, ttl)

    def clear(self) -> None:
        """Forget all answers."""
        self._store.clear()

    def pickled(self) -> Self | None:
        """With its embedding, where the store can be pickled."""
        return None if self._store.pickled() is None else self

    def near(self, setting: str, words: str) -> tuple[array[float], bytes | str | None, float]:
        """(the words' vector, the answer to the nearest question if it is near enough, their similarity)."""
        vector = self._vector(words)
        best, key = 0.0, None
        for other, data in self._store.vectors(setting):
            likeness = _cosine(vector, data)
            if likeness >= self._threshold and likeness > best:
                best, key = likeness, other
        return vector, None if key is None else self._store.get(key), best

    def learn(self, setting: str, key: str, vector: Sequence[float], ttl: float | None) -> None:
        """Remember the question whose answer is kept under the key."""
        self._store.add_vector(setting, key, array("f", vector).tobytes(), self._most, ttl)

    def _vector(self, words: str) -> array[float]:
        """The embedding of the words with length 1; of many who ask for it at once, one makes it."""
        if _embedding.get():
            return _unit(self._embed(words))
        mine: Future[array[float]] = Future()
        with self._lock:
            found = self._vectors.setdefault(words, mine)
            while len(self._vectors) > _RECENT:
                self._vectors.popitem(last=False)
        if found is not mine:
            return found.result()
        token = _embedding.set(True)
        try:
            vector = _unit(self._embed(words))
            mine.set_result(vector)
        except BaseException as error:
            with self._lock:
                self._vectors.pop(words, None)
            mine.set_exception(error)
            raise
        finally:
            _embedding.reset(token)
        return vector

    def _embed(self, words: str) -> Iterable[Any]:
        found = self._embedding(words)
        if inspect.isawaitable(found):
            from .._portal import portal

            return portal().run(_awaited(found))  # this runs in a thread of its own, or in sync code
        return found  # type: ignore[no-any-return]


def _made(embedding: Any, threshold: float, store: Cache | None, most: int) -> SemanticCache:
    return SemanticCache(embedding, threshold=threshold, store=store, max_entries=most)


async def _awaited(found: Any) -> Any:
    return await found


def _unit(numbers: Iterable[Any]) -> array[float]:
    """The vector with length 1."""
    try:
        vector = array("f", numbers)
    except TypeError as error:
        raise UsageError("embedding gives a list of numbers for a str", argument="embedding") from error
    if not vector:
        raise UsageError("embedding gave an empty vector", argument="embedding")
    length = sqrt(sum(map(mul, vector, vector)))
    if not length or not isfinite(length):  # it may be so for some words only: they are like no others
        raise ValueError("the embedding of these words has no direction (zeros, or what is no number)")
    return array("f", [x / length for x in vector])


def _cosine(vector: array[float], data: bytes) -> float:
    """Of two vectors of length 1; of different sizes they are of different embeddings, and nothing is alike."""
    other = array("f")
    other.frombytes(data)
    return sum(map(mul, vector, other)) if len(other) == len(vector) else 0.0
