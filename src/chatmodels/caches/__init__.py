"""Caches: answers kept in memory, in a SQLite file, in Redis, or found by likeness; and the one cache of the whole process.

`model.with_cache(cache)` uses one for a model, `set_llm_cache(cache)` for every model.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .._cache import CacheLayer
from .._errors import UsageError
from .._layers import CACHE, everywhere
from ._base import Cache, seconds
from ._memory import InMemoryCache, of_the_process

if TYPE_CHECKING:
    from ._redis import RedisCache
    from ._semantic import SemanticCache
    from ._sqlite import SQLiteCache

__all__ = ["Cache", "InMemoryCache", "RedisCache", "SQLiteCache", "SemanticCache", "get_llm_cache", "set_llm_cache"]

_HOME_OF = {"RedisCache": "_redis", "SQLiteCache": "_sqlite", "SemanticCache": "_semantic"}

_everywhere: list[Cache] = []


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'chatmodels.caches' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f".{home}", __name__), name)
    return found


def set_llm_cache(cache: Cache | None) -> None:
    """Use this cache for every call of this process, where the model has none of its own; None ends that.

    >>> set_llm_cache(InMemoryCache())
    >>> set_llm_cache(None)
    """
    if cache is not None:
        _check(cache)
    everywhere(CACHE, None if cache is None else CacheLayer(cache, everywhere=True))
    _everywhere[:] = [] if cache is None else [cache]


def get_llm_cache() -> Cache | None:
    """The cache that `set_llm_cache` was given; None when there is none."""
    return _everywhere[0] if _everywhere else None


def layer_of(cache: Any, ttl: float | None = None) -> CacheLayer:
    """The layer for what `with_cache` takes: a cache, None (the process's own memory), False (none), True (the global one)."""
    lasts = seconds(ttl)
    if cache is None:
        return CacheLayer(of_the_process(), lasts)
    if isinstance(cache, bool):
        if lasts is not None:
            raise UsageError("ttl goes with a cache of the model's own, not with True or False", argument="ttl")
        return CacheLayer(None, required=cache)
    _check(cache)
    return CacheLayer(cache, lasts)


def with_cache(layers: tuple[Any, ...], cache: Any, ttl: float | None = None) -> tuple[Any, ...]:
    """A model's layers with this cache in the place of the one that it had."""
    return (*(layer for layer in layers if not isinstance(layer, CacheLayer)), layer_of(cache, ttl))


def _check(cache: Any) -> None:
    if isinstance(cache, Cache):
        return
    what = "the class itself: write its parentheses" if isinstance(cache, type) else type(cache).__name__
    raise UsageError(
        f"cache is an InMemoryCache(), SQLiteCache(path), RedisCache(url), SemanticCache(embedding), or another "
        f"chatmodels.caches.Cache; got {what}",
        argument="cache",
    )
