"""Connections over time: reuse, event loops one after the other and side by side, threads, forks, and a long run."""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
import warnings
from contextlib import suppress
from typing import Any

import pytest
import trio

from chatmodels import AIMessage, ChatModelError, IncompleteStream
from chatmodels._errors import BadRequestError

from .conftest import KEY, World, chat
from .servers import DONE, Server, either, error, event, events, plain, raw, serving, silent, sse

pytestmark = pytest.mark.clock

PIECES = events("Bon", "jour")

# ---- reuse


def test_connections_are_used_again(world: World, server: Server) -> None:
    """After plain answers, errors, and streams read to their end: the official SDK's streams never give theirs back."""
    route = server.route(plain(), sse(PIECES), error(400), plain(), sse(PIECES), sse(PIECES))
    model = chat(route)

    async def go() -> None:
        await model.ainvoke("hi")
        await model.astream("hi").until_done()
        with pytest.raises(BadRequestError):
            await model.ainvoke("hi")
        await model.ainvoke("hi")
        for _ in range(4):
            await model.astream("hi").until_done()

    if world.name == "sync":
        model("hi")
        model.stream("hi").until_done()
        with pytest.raises(BadRequestError):
            model("hi")
        model("hi")
        for _ in range(4):
            model.stream("hi").until_done()
    else:
        world.run(go)
    assert len(route.requests) == 8
    assert route.connections == 1


@pytest.mark.parametrize("last", [[DONE], [event({}, "stop"), event(None, usage={}), DONE]])
def test_a_body_that_stays_open_after_the_end(world: World, server: Server, last: list[bytes]) -> None:
    """The answer is complete, so the stream ends soon; the connection is not kept."""
    route = server.route(sse([*PIECES[:-1], *last], end=False), plain())
    model = chat(route)
    began = time.monotonic()
    found = world.read(model)
    took = time.monotonic() - began
    assert (found.error, found.text) == (None, "Bonjour")
    assert took < 5  # the server keeps it open for longer
    route.wait_left(1)
    world.call(model)
    assert route.connections == 2


def test_connections_that_may_not_be_used_again(world: World, server: Server) -> None:
    body = b'{"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}'
    close = plain(headers={"connection": "close"})
    old = raw(b"HTTP/1.0 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body, "keep")
    more = raw(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body + b"HTTP/1.1 500 no", "keep")
    scripts = [close, old, plain()] if world.name == "asyncio" else [close, old, more, plain()]
    route = server.route(*scripts)
    found = world.calls(chat(route), len(scripts))
    assert [isinstance(f, AIMessage) for f in found] == [True] * len(scripts), found
    assert route.connections == len(scripts)


def test_a_connection_that_the_server_closed_while_it_waited(world: World, server: Server) -> None:
    def once(exchange: Any) -> None:
        plain()(exchange)
        time.sleep(0.05)
        exchange.fin()

    route = server.route(once, plain())
    model = chat(route)

    async def go() -> None:
        await model.ainvoke("hi")
        await world.sleep(0.2)
        await model.ainvoke("hi")

    if world.name == "sync":
        model("hi")
        time.sleep(0.2)
        model("hi")
    else:
        world.run(go)
    assert route.connections == 2


def test_a_stream_that_failed_does_not_close_the_connection_of_another(server: Server) -> None:
    """Its connection went back when its body was read, and may be somebody else's by the time it fails."""
    route = server.route(sse(PIECES[:2]), plain(after=0.3))
    model = chat(route)
    stream = model.stream("hi")
    next(stream)
    answers: list[Any] = []
    with pytest.raises(IncompleteStream) as caught:
        stream.until_done()
    thread = threading.Thread(target=lambda: answers.append(model("hi")))
    thread.start()
    route.wait_for_requests(2)
    stream.close()
    del caught, stream
    gc.collect()
    thread.join()
    assert isinstance(answers[0], AIMessage)


# ---- event loops


def test_several_loops_one_after_the_other(server: Server) -> None:
    """No "Event loop is closed", nothing left open, and no loop kept alive."""
    model = chat(server.route(either("Bon", "jour")))

    async def go() -> None:
        await model.ainvoke("hi")
        await model.astream("hi").until_done()
        async for _ in model.astream("hi"):
            break

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(5):
            asyncio.run(go())
        gc.collect()
    from chatmodels._http import transport

    pool = transport(model._config.http).async_pool()
    assert not [loop for loop in pool._loops if loop.is_closed()]


def test_loops_in_threads(server: Server) -> None:
    route = server.route(plain(after=0.02))
    model = chat(route)
    found: list[Any] = []

    async def go() -> list[Any]:
        return await asyncio.gather(*[model.ainvoke("hi") for _ in range(8)])

    threads = [threading.Thread(target=lambda: found.extend(asyncio.run(go()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 32


def test_a_loop_that_is_closed_without_ceremony(server: Server) -> None:
    """`loop.close()` alone: the next loop works, and the old one is let go."""
    model = chat(server.route())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(3):
            loop = asyncio.new_event_loop()
            loop.set_exception_handler(lambda *a: None)
            assert loop.run_until_complete(model.ainvoke("hi")).text
            loop.close()
            del loop
        World("asyncio").call(model)
        gc.collect()
    from chatmodels._http import transport

    assert not [x for x in transport(model._config.http).async_pool()._loops if x.is_closed()]


def test_asyncio_and_trio_and_sync_in_turn(server: Server) -> None:
    model = chat(server.route())
    for name in ("sync", "asyncio", "trio", "sync", "trio", "asyncio"):
        assert World(name).call(model).text


# ---- threads and processes


def test_threads_share_a_model(server: Server) -> None:
    route = server.route(plain(after=0.005))
    model = chat(route)
    found: list[Any] = []

    def work() -> None:
        found.extend(model("hi").text for _ in range(25))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 400
    assert route.connections <= 16


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_with_used_pools(server: Server) -> None:
    """The child makes its own connections, sync, async and in a batch; the parent's go on serving."""
    route = server.route()
    model = chat(route)

    async def parent() -> str:
        await model.ainvoke("hi")
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                said = [
                    model("hi").text,
                    asyncio.run(model.ainvoke("hi")).text,
                    *[m.text for m in model.batch(["a"] * 3)],
                ]  # type: ignore[arg-type]
                gc.collect()
                os.write(write, json.dumps(said).encode())
            except BaseException as failed:
                os.write(write, repr(failed).encode())
            finally:
                os._exit(0)
        os.close(write)
        await asyncio.to_thread(os.waitpid, child, 0)
        said = os.read(read, 10_000).decode()
        os.close(read)
        for _ in range(3):
            await model.ainvoke("hi")
        return said

    model("hi")
    model.batch(["a", "b"])
    before = route.connections
    said = asyncio.run(parent())
    assert json.loads(said) == ["J'aime programmer."] * 5
    accepted = server.accepted
    model("hi")
    model.batch(["a", "b"])
    assert server.accepted == accepted, "the parent's connections were lost: it had to make new ones"
    assert route.connections > before


FORKED = """
import asyncio, os, sys
from chatmodels import ChatOpenAI
model = ChatOpenAI(openai_api_key="k", base_url=sys.argv[1])
model("hi"); model.batch(["a", "b"])
async def main():
    await model.ainvoke("hi")
    if os.fork() == 0:
        model("hi")
        sys.exit(0)          # ends as a program does, with all its clean-up
    os.wait()
    await model.ainvoke("hi")
asyncio.run(main())
model.batch(["a", "b"])
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_ends_like_a_program_makes_no_noise(server: Server) -> None:
    route = server.route()
    command = [
        sys.executable,
        "-W",
        "ignore::DeprecationWarning",
        "-c",
        FORKED,
        route.url,
    ]  # 3.12 warns of forks beside threads
    out = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert (out.stdout.splitlines()[-1], out.stderr, out.returncode) == ("done", "", 0)


def _in_another_process(model: Any) -> str:
    return str(model("hi").text)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_multiprocessing(server: Server, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """The model travels without its key, which the other process has in its environment."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-worker")
    route = server.route()
    model = chat(route).with_settings(temperature=0.5)
    model("hi")
    assert KEY not in repr(pickle.dumps(model))
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.map(_in_another_process, [model, model]) == ["J'aime programmer."] * 2
    assert route.requests[-1].headers["authorization"] == "Bearer sk-of-the-worker"
    assert route.requests[-1].json["temperature"] == 0.5


# ---- a long run


def _fds() -> int:
    return len(os.listdir("/proc/self/fd"))


def _state() -> tuple[int, int]:
    gc.collect()
    return len(gc.get_objects()), _fds()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_nothing_grows() -> None:
    """Calls, whole streams, streams left early, failures: thousands of them leave no object, file or thread behind."""
    with serving() as server:  # its own: others' connections come and go
        _nothing_grows(server)


def _nothing_grows(server: Server) -> None:
    route = server.route(plain())
    streams = server.route(sse(PIECES))
    stalled = server.route(sse(PIECES[:2], end=False))
    broken = server.route(raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"), error(500))
    calling, streaming, leaving, failing = (chat(r) for r in (route, streams, stalled, broken))

    def sync(count: int) -> None:
        for _ in range(count):
            calling("hi")
            streaming.stream("hi").until_done()
            for chunk in leaving.stream("hi"):
                if chunk.text:
                    break
            with suppress(ChatModelError):
                failing("hi")

    async def in_asyncio(count: int) -> None:
        for _ in range(count):
            await calling.ainvoke("hi")
            await streaming.astream("hi").until_done()
            async with leaving.astream("hi") as stream:
                async for chunk in stream:
                    if chunk.text:
                        break
            with suppress(ChatModelError):
                await failing.ainvoke("hi")

    def all_of_it(count: int) -> None:
        sync(count)
        asyncio.run(in_asyncio(count))
        calling.batch(["a"] * count, max_concurrency=10)
        failing.batch(["a"] * count, max_concurrency=10, errors="return")
        for r in (route, streams, stalled, broken):
            r.requests.clear()
            r.left.clear()
        server.targets.clear()
        settled = time.monotonic() + 3
        while server.open > 20 and time.monotonic() < settled:
            time.sleep(0.01)

    all_of_it(40)
    objects, files = _state()
    threads = threading.active_count() - server.open
    all_of_it(200)
    more, files_after = _state()
    assert more - objects < 1500, f"{more - objects} more objects"
    assert files_after - files < 20
    assert threading.active_count() - server.open <= threads + 2


def test_deadlines_do_not_pile_up(server: Server) -> None:
    """A timer of a call that has ended is gone."""
    route = server.route(sse(PIECES))
    model = chat(route)

    async def go() -> int:
        for _ in range(50):
            await model.astream("hi").until_done()
        return len(asyncio.get_running_loop()._scheduled)  # type: ignore[attr-defined]

    assert asyncio.run(go()) < 60


def test_many_streams_at_once(world: World, server: Server) -> None:
    route = server.route(sse(PIECES, gap=0.01))
    model = chat(route)
    if world.name == "sync":
        streams = [model.stream("hi") for _ in range(60)]
        for stream in streams:
            next(stream)
        assert [s.until_done().text for s in streams] == ["Bonjour"] * 60
        return

    async def go() -> None:
        texts: list[str] = []

        async def one() -> None:
            texts.append((await model.astream("hi").until_done()).text)

        if world.name == "asyncio":
            await asyncio.gather(*[one() for _ in range(100)])
        else:
            async with trio.open_nursery() as nursery:
                for _ in range(100):
                    nursery.start_soon(one)
        assert texts == ["Bonjour"] * 100

    world.run(go)


def test_a_server_that_is_not_there_is_found_out_at_once(world: World) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        began = time.monotonic()
        found = world.calls(chat(url), 1)[0]
    assert time.monotonic() - began < 1
    assert type(found).__name__ == "ConnectError"
    assert not found.accepted
    assert world.calls(chat("http://[::1]:9/v1"), 1)[0].phase == "connect"


def test_silence_ends_with_the_process(server: Server) -> None:
    """A program that ends in the middle of everything ends at once and quietly."""
    program = """
import contextlib, sys, threading, time
from chatmodels import ChatOpenAI
model = ChatOpenAI(openai_api_key="k", base_url=sys.argv[1])
stream = model.stream("hi")
next(stream)
def wait(function):
    with contextlib.suppress(Exception):
        function()
pairs = model.batch_as_completed(["a"] * 5)
threading.Thread(target=wait, args=[lambda: next(pairs)], daemon=True).start()
threading.Thread(target=wait, args=[lambda: model.invoke("hi")], daemon=True).start()
time.sleep(1)
"""
    route = server.route(sse(PIECES[:2], end=False), silent())
    began = time.monotonic()
    out = subprocess.run(
        [sys.executable, "-c", program, route.url], check=False, capture_output=True, text=True, timeout=20
    )
    assert (out.stdout, out.stderr, out.returncode) == ("", "", 0)
    assert time.monotonic() - began < 8
