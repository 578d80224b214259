"""The path of 2023 for caches, `from chatmodels.cache import InMemoryCache`, with the arguments of that time.

Owns nothing: `chatmodels.caches` is where they live, with the arguments of today.
"""

from __future__ import annotations

from .caches.names_2023 import BaseCache, InMemoryCache, RedisCache, SQLiteCache

__all__ = ["BaseCache", "InMemoryCache", "RedisCache", "SQLiteCache"]
