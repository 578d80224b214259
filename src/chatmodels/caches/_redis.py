"""Answers in Redis, shared by machines. Knows bytes by key, no messages; the client is the extra `redis`."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from time import monotonic
from typing import Any, Self, TypeVar, cast
from urllib.parse import urlsplit

from .._errors import UsageError
from .._secret import Hidden
from ._base import Cache, seconds

#: Seconds that a Redis of ours may take: a cache that is slower than that helps nobody.
PATIENCE = 2.0

#: After a failure that took longer than `SLOW` seconds Redis is left alone for `REST` times as long, `LONGEST` at most: calls must
#: not wait for a dead server one after the other.
SLOW, REST, LONGEST = 0.1, 10, 30.0


T = TypeVar("T")


class RedisCache(Cache):
    """Answers in Redis (`pip install 'chatmodels[redis]'`), with Redis's own expiry.

    Give a URL (`redis://`, `rediss://`, `unix://`), a `redis.Redis` client, or nothing: then REDIS_URL names the server. `ttl` is
    in seconds, None for as long as Redis keeps things; `prefix` begins every key. Async calls use the same client in a thread.
    A server that does not answer is left alone for a while, half a minute at most, so that not every call waits for it.

    >>> chat = ChatModel().with_cache(RedisCache("redis://localhost:6379/0", ttl=3600))  # doctest: +SKIP
    """

    def __init__(self, url: Any = None, *, ttl: float | None = None, prefix: str = "chatmodels:") -> None:
        self._ttl = seconds(ttl)
        self._prefix = prefix
        self._url = url if isinstance(url, str) else None
        self._given = url is not None
        self._address = _address(self._url) if url is None or self._url is not None else None
        self._redis: Any = _checked(url) if self._address is None else _client(self._address)
        self._rests_until = 0.0

    def __repr__(self) -> str:
        return f"RedisCache(ttl={self._ttl}, prefix={self._prefix!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _at, (self._url, self._ttl, self._prefix)

    def get(self, key: str) -> bytes | str | None:
        """What was kept under the key, if it has not expired."""
        return self._asked(lambda: cast("bytes | str | None", self._redis.get(self._answer(key))))

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Keep the value; Redis forgets it when its time is over."""
        self._asked(lambda: self._redis.set(self._answer(key), value, px=self._milliseconds(ttl)))

    def clear(self) -> None:
        """Forget all answers under the prefix."""
        pattern = self._prefix.translate({ord(c): f"\\{c}" for c in "*?[]^-\\"})
        keys: list[Any] = []
        for kind in ("answer", "vectors", "order"):
            keys += self._redis.scan_iter(match=f"{pattern}{kind}:*", count=1000)
        for at in range(0, len(keys), 1000):
            self._redis.delete(*keys[at : at + 1000])

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def place(self) -> tuple[str, ...] | None:
        """The server and the prefix, where the address is known."""
        return None if self._address is None else ("redis", self._address, self._prefix)

    def pickled(self) -> Self | None:
        """The same server, unless a password would have to be written down, or the client is the user's own."""
        if self._given and (self._url is None or urlsplit(self._url).password is not None):
            return None
        return self

    def vectors(self, setting: str) -> list[tuple[str, bytes]]:
        """Oldest first. Their keys are bytes in Redis; the vectors too, so a client that decodes cannot be used."""
        return self._asked(lambda: self._vectors_of(setting))

    def _vectors_of(self, setting: str) -> list[tuple[str, bytes]]:
        order = self._redis.lrange(f"{self._prefix}order:{setting}", 0, -1)
        if not order:
            return []
        found = self._redis.hmget(f"{self._prefix}vectors:{setting}", order)
        return [(key.decode(), vector) for key, vector in zip(order, found, strict=True) if vector is not None]

    def add_vector(self, setting: str, key: str, vector: bytes, most: int, ttl: float | None) -> None:
        """All of a setting's vectors expire together, with the newest."""
        self._asked(lambda: self._add_vector(setting, key, vector, most, ttl))

    def _add_vector(self, setting: str, key: str, vector: bytes, most: int, ttl: float | None) -> None:
        order, vectors = f"{self._prefix}order:{setting}", f"{self._prefix}vectors:{setting}"
        lasts = self._milliseconds(ttl)
        with self._redis.pipeline() as together:
            together.lrem(order, 0, key)
            together.rpush(order, key)
            together.hset(vectors, key, vector)
            if lasts is not None:
                together.pexpire(order, lasts)
                together.pexpire(vectors, lasts)
            together.llen(order)
            count = together.execute()[-1]
        if count > most:
            old = self._redis.lpop(order, count - most)
            self._redis.hdel(vectors, *old)

    def _asked(self, ask: Callable[[], T]) -> T:
        """What Redis says, unless it is left alone now."""
        began = monotonic()
        if began < self._rests_until:
            raise ConnectionError(
                f"Redis did not answer a moment ago; it is asked again in {self._rests_until - began:.0f} s"
            )
        try:
            return ask()
        except Exception:
            now = monotonic()
            if now - began > SLOW:
                self._rests_until = now + min(LONGEST, REST * (now - began))
            raise

    def _answer(self, key: str) -> str:
        return f"{self._prefix}answer:{key}"

    def _milliseconds(self, ttl: float | None) -> int | None:
        lasts = self._ttl if ttl is None else ttl
        return None if lasts is None else max(1, round(lasts * 1000))


def _at(url: str | None, ttl: float | None, prefix: str) -> RedisCache:
    return RedisCache(url, ttl=ttl, prefix=prefix)


def _address(url: str | None) -> str:
    address = url or os.environ.get("REDIS_URL")
    if not address:
        raise UsageError(
            "RedisCache needs the server: RedisCache('redis://host:6379/0'), a redis.Redis client, or the variable REDIS_URL",
            argument="url",
        )
    scheme = urlsplit(address).scheme
    if scheme not in ("redis", "rediss", "unix"):
        raise UsageError("url begins with redis://, rediss:// or unix://", argument="url")
    return Hidden(address)


def _client(address: str) -> Any:
    try:
        redis = import_module("redis")
    except ImportError as error:
        raise UsageError("RedisCache needs its client: pip install 'chatmodels[redis]'", argument="url") from error
    return redis.Redis.from_url(address, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)


def _checked(client: Any) -> Any:
    """A client of the user's own: anything with redis-py's synchronous methods."""
    kind = type(cast(object, client))
    if not callable(getattr(client, "get", None)) or not callable(getattr(client, "scan_iter", None)):
        raise UsageError(f"url is a redis:// address or a redis.Redis client, not {kind.__name__}", argument="url")
    if ".asyncio" in kind.__module__:
        raise UsageError(
            "give a redis.Redis client, not one of redis.asyncio: async calls use it in a thread", argument="url"
        )
    return client
