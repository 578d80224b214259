"""The caches with the arguments of 2023, for `chatmodels.compat`: `SQLiteCache(database_path=...)`, `RedisCache(redis_=...)`."""

from __future__ import annotations

from typing import Any

from . import get_llm_cache, set_llm_cache
from ._base import Cache
from ._memory import InMemoryCache
from ._redis import RedisCache as _Redis
from ._sqlite import SQLiteCache as _SQLite

BaseCache = Cache

__all__ = ["BaseCache", "InMemoryCache", "RedisCache", "SQLiteCache", "get_llm_cache", "set_llm_cache"]


class SQLiteCache(_SQLite):
    """`chatmodels.caches.SQLiteCache` with the argument and the default of 2023. Files of that time are not read."""

    def __init__(self, database_path: str = ".langchain.db") -> None:
        super().__init__(database_path)


class RedisCache(_Redis):
    """`chatmodels.caches.RedisCache` with the arguments of 2023."""

    def __init__(self, redis_: Any, *, ttl: float | None = None) -> None:
        super().__init__(redis_, ttl=ttl)
