"""Caches in trouble: leaders that all fail, stores that do not answer, answers from elsewhere, a full disk, much memory."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from chatmodels import ChatOpenAI, OverloadedError, UsageError
from chatmodels.caches import Cache, InMemoryCache, RedisCache, SemanticCache, SQLiteCache

from .conftest import KEY, World, chat
from .servers import Server, answer, either, error, plain

pytestmark = pytest.mark.clock

BOTH = either("Bon", "jour")


def cached(route: Any, cache: Cache, **options: Any) -> ChatOpenAI:
    return chat(route, **options).with_cache(cache)


def test_many_callers_of_a_provider_that_is_down_do_not_wait_for_each_other(world: World, server: Server) -> None:
    """One after the other they would take thirty times as long as one call."""

    def down(exchange: Any) -> None:
        exchange.wait(0.05)
        error(503)(exchange)

    route = server.route(down)
    model = cached(route, InMemoryCache(), max_retries=0)
    began = time.monotonic()
    found = world.batch(model, ["hi"] * 30, errors="return")
    assert {type(f) for f in found} == {OverloadedError}
    assert time.monotonic() - began < 1.2
    assert len(route.requests) == 30


def test_what_a_model_of_the_same_name_said_elsewhere_is_not_kept(world: World, server: Server) -> None:
    """Another deployment of the name may be another model: its answer is not this one's."""
    here = server.route(error(500), error(500), plain(answer("from here")))
    there = server.route(plain(answer("from there")))
    store = InMemoryCache()
    model = chat(here, max_retries=0).with_fallback(chat(there, max_retries=0)).with_cache(store)
    assert world.call(model).text == "from there"
    assert len(store) == 0
    assert world.call(model).text == "from there"
    assert world.call(model).text == "from here"
    assert world.call(model).from_cache


def test_a_hedge_elsewhere_is_not_kept_and_one_here_is(world: World, server: Server) -> None:
    slow, there = server.route(plain(after=0.5)), server.route(plain(answer("from there")))
    store = InMemoryCache()
    assert world.call(chat(slow).with_hedge(after=0.01, other=chat(there)).with_cache(store)).text == "from there"
    assert len(store) == 0
    twice = server.route(plain(after=0.5), plain(answer("the second")))
    assert world.call(chat(twice).with_hedge(after=0.01).with_cache(store)).text == "the second"
    assert len(store) == 1


@pytest.mark.parametrize("vector", [[0.0, 0.0], [float("nan"), 1.0], [1e300, 1.0]])
def test_words_without_a_direction_cost_the_hit_and_not_the_answer(server: Server, vector: list[float]) -> None:
    store = InMemoryCache()
    model = cached(server.route(BOTH), SemanticCache(lambda text: vector, store=store))
    message = model("hi")
    assert (message.text, len(message.warnings)) == ("Bonjour", 1)
    assert "no direction" in message.warnings[0]
    assert len(store) == 1  # the same words are found again
    assert model("hi").from_cache


def test_many_who_ask_the_same_need_one_vector(world: World, server: Server) -> None:
    """An embedding is a request too, and costs money."""
    asked: list[str] = []

    def embed(text: str) -> list[float]:
        asked.append(text)
        time.sleep(0.01)
        return [1.0, float(len(text))]

    route = server.route(plain(after=0.02))
    world.batch(cached(route, SemanticCache(embed)), ["hi"] * 40)
    assert (asked, len(route.requests)) == (["hi"], 1)


def test_an_embedding_that_fails_for_one_fails_for_those_who_wait_and_is_tried_again(server: Server) -> None:
    asked: list[str] = []

    async def embed(text: str) -> list[float]:
        asked.append(text)
        if len(asked) == 1:
            raise OSError("no embeddings today")
        return [1.0]

    store = InMemoryCache()
    model = cached(server.route(BOTH), SemanticCache(embed, store=store))
    assert "no embeddings today" in model("hi").warnings[0]
    store.clear()
    assert not model("hi").warnings
    assert asked == ["hi", "hi"]


def test_an_embedding_may_ask_the_same_model_the_same(server: Server) -> None:
    """It does not wait for its own vector."""
    inside: list[str] = []

    async def embed(text: str) -> list[float]:
        if len(inside) < 2:
            inside.append("")
            inside[0] = (await model.ainvoke(text)).text
        return [1.0]

    model = cached(server.route(BOTH), SemanticCache(embed))
    assert model("hi").text == "Bonjour"
    assert inside[0] == "Bonjour"


@contextmanager
def redis_that_is_silent() -> Generator[tuple[str, list[float]]]:
    """Takes connections, and says nothing: (its address, when it was asked)."""
    asked: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    held.append(listener.accept()[0])
                    asked.append(time.monotonic())

        held: list[socket.socket] = []
        threading.Thread(target=accept, daemon=True).start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0", asked
        for one in held:
            one.close()


def test_a_redis_that_does_not_answer_is_not_waited_for_by_each_call(server: Server) -> None:
    redis = pytest.importorskip("redis")
    with redis_that_is_silent() as (url, asked):
        client = redis.Redis.from_url(url, socket_timeout=0.15, socket_connect_timeout=0.15, retry=None)
        model = cached(server.route(BOTH), RedisCache(client))
        began = time.monotonic()
        warnings = [model(f"hi {n}").warnings for n in range(5)]
        assert time.monotonic() - began < 1.2
        assert len(asked) == 1
        client.close()
    assert "TimeoutError" in warnings[0][0]
    assert all("asked again in" in text for text in (warnings[0][1], *warnings[4]))


def test_a_redis_that_is_back_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("redis")
    cache = RedisCache("redis://127.0.0.1:1/0")
    cache._rests_until = time.monotonic() + 0.03  # as after a failure of 3 ms
    with pytest.raises(ConnectionError, match="a moment ago"):
        cache.get("0" * 64)
    time.sleep(0.04)
    with pytest.raises(Exception, match="refused"):  # it is asked: nobody is there
        cache.get("0" * 64)
    with pytest.raises(Exception, match="refused"):  # a quick no costs no call its time
        cache.get("0" * 64)


class Down(Cache):
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def get(self, key: str) -> bytes | None:
        self.asked += 1
        raise OSError("no disk")

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        raise OSError("full")


def test_a_store_that_fails_is_asked_once_by_a_call_and_takes_two_lines_of_a_log(
    world: World, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    down = Down()
    with caplog.at_level(logging.WARNING, "chatmodels"):
        world.call(cached(server.route(BOTH), down))
    assert down.asked == 1
    assert [r.getMessage().count("\n") for r in caplog.records] == [0, 0]
    assert all(r.exc_info is None for r in caplog.records)


def test_what_a_store_says_shows_no_key(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    password = "canary-pw"

    def embed(text: str) -> list[float]:
        raise PermissionError(f"401 for {KEY} at redis://:{password}@host")

    with caplog.at_level(logging.DEBUG, "chatmodels"):
        message = cached(server.route(BOTH), SemanticCache(embed))("hi")
    assert message.warnings == (
        "the cache could not be read: PermissionError: 401 for [hidden] at redis://[hidden]@host",
    )
    assert "canary-" not in caplog.text
    assert "in embed" in caplog.text  # where it happened is there, for who asks for it


# ---- memory


def test_memory_is_bounded_by_bytes_too() -> None:
    cache = InMemoryCache(max_bytes=10_000)
    for n in range(100):
        cache.set(str(n), b"x" * 1000)
    assert len(cache) == 7
    assert cache.get("99") is not None
    assert cache.get("0") is None
    cache.set("99", b"y" * 9000)
    assert len(cache) == 1
    cache.set("whole", b"z" * 20_000)
    assert cache.get("whole") is None
    assert len(cache) == 0
    cache.set("1", b"x")
    assert len(pickle.loads(pickle.dumps(cache))) == 0
    assert repr(pickle.loads(pickle.dumps(cache))) == "InMemoryCache(max_entries=10000, max_bytes=10000, ttl=None)"
    unbounded = InMemoryCache(max_bytes=None)
    unbounded.set("whole", b"z" * 20_000)
    assert unbounded.get("whole") is not None
    with pytest.raises(UsageError, match="max_bytes"):
        InMemoryCache(max_bytes=0)


def test_a_vector_goes_with_its_answer() -> None:
    cache = InMemoryCache(max_entries=3)
    for n in range(50):
        cache.set(str(n), b"answer")
        cache.add_vector(f"setting {n % 10}", str(n), b"vector", 1000, None)
    held = [key for n in range(10) for key, _ in cache.vectors(f"setting {n}")]
    assert sorted(held) == ["47", "48", "49"]
    assert len(cache._vectors) == 3
    for key in ("47", "48"):
        cache.set(key, b"another")
        cache.add_vector("setting 0", key, b"vector", 1, None)
    assert [key for key, _ in cache.vectors("setting 0")] == ["48"]
    cache.clear()
    assert cache._bytes == 0


def test_expired_answers_give_back_their_memory() -> None:
    cache = InMemoryCache(ttl=0.001)
    cache.set("a", b"x" * 100)
    cache.add_vector("s", "a", b"v", 10, None)
    time.sleep(0.005)
    assert cache.get("a") is None
    assert (cache._bytes, cache.vectors("s")) == (0, [])


# ---- a disk that is full


def test_a_full_disk_costs_the_hit_and_loses_nothing(server: Server, tmp_path: Any) -> None:
    resource = pytest.importorskip("resource")
    route = server.route(BOTH)
    cache = SQLiteCache(tmp_path / "answers.db")
    model = cached(route, cache)
    first = model("short")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
        big = server.route(plain(answer("long " * 4000)))
        found = [cached(big, cache)(f"long {n}") for n in range(4)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert all(m.text.startswith("long long") for m in found)
    assert "could not be written" in found[-1].warnings[0]
    assert not first.from_cache
    assert model("short").from_cache
    assert not cached(big, cache)("long 3").warnings  # there is room again
    assert cached(big, cache)("long 3").from_cache
    cache.close()


# ---- a file that cannot be written, or is no longer there


def test_a_file_that_must_not_be_written_is_read(
    server: Server, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers that were made once, on a file system that is read-only here. (To the super-user all can be written.)"""
    path = tmp_path / "answers.db"
    made, route = SQLiteCache(path), server.route(BOTH)
    cached(route, made)("hi")
    made.close()
    before = path.read_bytes()
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)
    cache = SQLiteCache(path)
    model = cached(route, cache)
    assert model("hi").from_cache
    other = model("something else")
    assert (other.text, len(other.warnings)) == ("Bonjour", 1)
    assert "could not be written: OperationalError: attempt to write a readonly database" in other.warnings[0]
    cache.close()
    assert path.read_bytes() == before


def test_a_file_that_was_deleted_is_made_anew(server: Server, tmp_path: Any) -> None:
    """Who deletes it wants to forget; and what is kept afterwards must outlive the process."""
    cache = SQLiteCache(tmp_path / "answers.db")
    model = cached(server.route(BOTH), cache)
    assert [model("hi").from_cache for _ in range(2)] == [False, True]
    for path in tmp_path.iterdir():
        path.unlink()
    assert [model("hi").from_cache for _ in range(2)] == [False, True]
    cache.close()
    again = SQLiteCache(tmp_path / "answers.db")
    assert len(again) == 1
    again.close()


class Odd(Cache):
    """Gives whatever it was made with."""

    def __init__(self, gives: Any) -> None:
        self.gives = gives

    def get(self, key: str) -> Any:
        return self.gives() if callable(self.gives) else self.gives

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        self.gives = memoryview(value)


async def _soon() -> bytes:
    return b"{}"


@pytest.mark.parametrize(("gives", "word"), [({"text": "hi"}, "dict"), (3, "int")])
def test_a_cache_that_gives_no_bytes_is_named_before_anything_is_sent(
    world: World, server: Server, gives: Any, word: str
) -> None:
    route = server.route(BOTH)
    model = cached(route, Odd(gives))
    for found in (*world.calls(model, 1), world.read(model).error):
        assert isinstance(found, UsageError)
        assert (str(found).startswith("Odd.get gave a "), word in str(found)) == (True, True)
    with pytest.raises(UsageError, match="its async twin is called aget"):
        cached(route, Odd(_soon))("hi")
    assert route.requests == []


def test_a_cache_may_give_any_kind_of_bytes(world: World, server: Server) -> None:
    model = cached(server.route(BOTH), Odd(None))
    assert not world.call(model).from_cache
    assert world.call(model).from_cache
