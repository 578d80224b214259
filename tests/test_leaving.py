"""Leaving early, in every way: the server sees the connection close at once, the partial answer stays, nothing is noisy."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import trio

from chatmodels import AIMessage, ChatModel

from .conftest import KEY, World, chat
from .servers import Route, Script, Server, answer, error, events, plain, raw, response, silent, sse, unanswering_port

pytestmark = pytest.mark.clock

#: The connection must be closed within a tenth of a second; the rest is for a busy machine.
SOON = 0.3
PIECES = events("Bon", "jour")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
BEGUN = sse(PIECES[:2], end=False)


def closed_soon(route: Route, when: float) -> None:
    assert route.wait_left() - when < SOON


def partial(message: AIMessage) -> None:
    assert message.text == "Bon"
    assert message.finish_reason is None
    assert [a.outcome for a in message.attempts] == ["left"]


class Stop(Exception):
    """Raised in a loop over a stream."""


def _break(model: ChatModel) -> Any:
    stream = model.stream("hi")
    for chunk in stream:
        if chunk.text:
            break
    stream.close()
    return stream


def _with(model: ChatModel) -> Any:
    with model.stream("hi") as stream:
        for chunk in stream:
            if chunk.text:
                break
    return stream


def _raise(model: ChatModel) -> Any:
    with suppress(Stop), model.stream("hi") as stream:
        for chunk in stream:
            if chunk.text:
                raise Stop
    return stream


def _forget(model: ChatModel) -> None:
    """The stream has no name, so leaving the loop lets it go."""
    for chunk in model.stream("hi"):
        if chunk.text:
            break
    gc.collect()


@pytest.mark.parametrize("leave", [_break, _with, _raise, _forget])
def test_a_sync_stream(server: Server, leave: Callable[[ChatModel], Any]) -> None:
    route = server.route(BEGUN)
    stream = leave(chat(route))
    closed_soon(route, time.monotonic())
    if stream is not None:
        partial(stream.message)
        assert list(stream) == []


async def _abreak(model: ChatModel) -> Any:
    stream = model.astream("hi")
    async for chunk in stream:
        if chunk.text:
            break
    await stream.aclose()
    return stream


async def _awith(model: ChatModel) -> Any:
    async with model.astream("hi") as stream:
        async for chunk in stream:
            if chunk.text:
                break
    return stream


async def _araise(model: ChatModel) -> Any:
    with suppress(Stop):
        async with model.astream("hi") as stream:
            async for chunk in stream:
                if chunk.text:
                    raise Stop
    return stream


@pytest.mark.parametrize("name", ["asyncio", "trio"])
@pytest.mark.parametrize("leave", [_abreak, _awith, _araise])
def test_an_async_stream(server: Server, name: str, leave: Callable[[ChatModel], Any]) -> None:
    route = server.route(BEGUN)
    left: list[float] = []

    async def go() -> Any:
        stream = await leave(chat(route))
        left.append(time.monotonic())
        await (asyncio.sleep(0.2) if name == "asyncio" else trio.sleep(0.2))  # noqa: ASYNC105
        return stream

    stream = World(name).run(go)
    closed_soon(route, left[0])
    partial(stream.message)


async def test_an_async_stream_that_is_forgotten(server: Server) -> None:
    route = server.route(BEGUN)
    async for chunk in chat(route).astream("hi"):
        if chunk.text:
            break
    gc.collect()  # blocks the loop, and long after thousands of tests: what is measured begins after it
    when = time.monotonic()
    await asyncio.sleep(0.2)
    closed_soon(route, when)


# ---- cancelled from outside


async def _call(model: ChatModel) -> None:
    await model.ainvoke("hi")


async def _stream(model: ChatModel) -> None:
    async for _ in model.astream("hi"):
        pass


async def _batch(model: ChatModel) -> None:
    await model.abatch(["a", "b", "c"])


HALF = raw(response(json.dumps(answer()).encode())[:-20], "keep", 30)
WAITS: dict[str, tuple[Callable[[ChatModel], Any], Script]] = {
    "call, head": (_call, silent()),
    "call, body": (_call, HALF),
    "stream, head": (_stream, silent()),
    "stream, first event": (_stream, raw(HEAD, "keep", 30)),
    "stream, next event": (_stream, BEGUN),
    "batch": (_batch, silent()),
}


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("name", ["asyncio", "trio"])
def test_cancelled(server: Server, name: str, wait: str) -> None:
    function, script = WAITS[wait]
    route = server.route(script)
    expected = 3 if wait == "batch" else 1
    left: list[float] = []

    async def in_asyncio() -> None:
        task = asyncio.create_task(function(chat(route)))
        await asyncio.to_thread(route.wait_for_requests, expected)
        await asyncio.sleep(0.05)
        left.append(time.monotonic())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - left[0] < SOON
        await asyncio.to_thread(route.wait_left, expected)

    async def in_trio() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(function, chat(route))
            await trio.to_thread.run_sync(route.wait_for_requests, expected)
            await trio.sleep(0.05)
            left.append(time.monotonic())
            nursery.cancel_scope.cancel()
        assert time.monotonic() - left[0] < SOON
        await trio.to_thread.run_sync(route.wait_left, expected)

    World(name).run(in_asyncio if name == "asyncio" else in_trio)
    assert max(route.left) - left[0] < SOON


@pytest.mark.parametrize("name", ["asyncio", "trio"])
def test_cancelled_before_the_next_try(server: Server, name: str) -> None:
    route = server.route(error(429, headers={"retry-after": "30"}))
    model = chat(route, max_retries=3, timeout={"total": None})
    began = time.monotonic()

    async def in_asyncio() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await model.ainvoke("hi")

    async def in_trio() -> None:
        with trio.move_on_after(0.2) as scope:
            await model.ainvoke("hi")
        assert scope.cancelled_caught

    World(name).run(in_asyncio if name == "asyncio" else in_trio)
    assert time.monotonic() - began < 0.2 + SOON


async def test_a_timeout_around_a_call_is_the_callers(server: Server) -> None:
    """Our deadlines work by cancelling; somebody else's cancellation must stay theirs."""
    model = chat(server.route(silent()), timeout={"total": 0.2})
    task = asyncio.create_task(model.ainvoke("hi"))
    await asyncio.sleep(0.1)
    task.cancel("mine")
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await model.ainvoke("hi")


async def test_a_deadline_in_a_task_that_was_cancelled_before(server: Server) -> None:
    """Clean-up code of a cancelled task may call a model, and its deadline is still a DeadlineError."""
    model = chat(server.route(silent()), timeout={"total": 0.2})
    seen: list[BaseException] = []

    async def work() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            try:
                await model.ainvoke("goodbye")
            except TimeoutError as error:
                seen.append(error)
            raise

    task = asyncio.create_task(work())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [type(e).__name__ for e in seen] == ["DeadlineError"]


# ---- closed from another thread or task


@pytest.mark.parametrize("script", [silent(), raw(HEAD, "keep", 30), BEGUN], ids=["head", "first event", "next event"])
def test_closed_from_another_thread(server: Server, script: Script) -> None:
    """A stop button: the loop over the stream ends as if no more came."""
    route = server.route(script)
    stream = chat(route).stream("hi")
    texts: list[str] = []
    thread = threading.Thread(target=lambda: texts.extend(c.text for c in stream))
    thread.start()
    route.wait_for_requests(1)
    time.sleep(0.1)
    when = time.monotonic()
    stream.close()
    thread.join(5)
    assert not thread.is_alive()
    closed_soon(route, when)
    assert "".join(texts) == stream.message.text
    assert stream.message.attempts[-1].outcome == "left"


@pytest.mark.parametrize("script", [silent(), raw(HEAD, "keep", 30), BEGUN], ids=["head", "first event", "next event"])
async def test_closed_from_another_task(server: Server, script: Script) -> None:
    route = server.route(script)
    stream = chat(route).astream("hi")

    async def read() -> str:
        return "".join([c.text async for c in stream])

    task = asyncio.create_task(read())
    await asyncio.to_thread(route.wait_for_requests, 1)
    await asyncio.sleep(0.1)
    when = time.monotonic()
    await stream.aclose()
    assert await asyncio.wait_for(task, 5) == stream.message.text
    await asyncio.to_thread(closed_soon, route, when)


# ---- Ctrl-C, for real

PROGRAM = """
import asyncio, logging, sys, time
logging.getLogger("asyncio").setLevel("ERROR")  # the development mode tells of each slow import
from chatmodels import ChatOpenAI
url, good, where = sys.argv[1:]
limits = {"connect": 60, "first_token": 60, "idle": 60, "total": 60}
model = ChatOpenAI(openai_api_key="KEY", base_url=url, max_retries=3, timeout=limits)
stream = None

def call():
    if where in ("connect", "head", "body", "sleep"):
        model.invoke("hi")
    elif where == "stream":
        global stream
        stream = model.stream("hi")
        for chunk in stream:
            pass
    elif where == "batch":
        model.batch(["a", "b", "c"])
    elif where == "generator":
        model.batch(x for x in ["a", "b", "c"])
    elif where == "as completed":
        for _ in model.batch_as_completed(["a", "b", "c"]):
            pass
    elif where == "asyncio":
        asyncio.run(model.ainvoke("hi"))
    elif where == "asyncio stream":
        async def read():
            async for chunk in model.astream("hi"):
                pass
        asyncio.run(read())

# What is imported at the first call is imported now: Ctrl-C is to come while it waits.
ChatOpenAI(openai_api_key="KEY", base_url=good).batch(["a", "b"])
ChatOpenAI(openai_api_key="KEY", base_url=good).invoke("a")
print("ready", flush=True)
try:
    call()
except KeyboardInterrupt:
    print("interrupted", flush=True)
if stream is not None:
    assert stream.message.text == "Bon", stream.message
print(ChatOpenAI(openai_api_key="KEY", base_url=good).invoke("hi").text, flush=True)
""".replace("KEY", KEY)

INTERRUPTED: dict[str, tuple[Script | None, int]] = {
    "connect": (None, 0),
    "head": (silent(), 1),
    "body": (HALF, 1),
    "stream": (BEGUN, 1),
    "sleep": (error(503, headers={"retry-after": "30"}), 0),
    "batch": (silent(), 3),
    "generator": (silent(), 3),
    "as completed": (silent(), 3),
    "asyncio": (silent(), 1),
    "asyncio stream": (BEGUN, 1),
}


@pytest.mark.parametrize("where", INTERRUPTED)
def test_ctrl_c(server: Server, where: str) -> None:
    script, leaving = INTERRUPTED[where]
    good = server.route(plain())
    with unanswering_port() as port:
        route = server.route(script or plain())
        url = route.url if script else f"http://127.0.0.1:{port}/v1"
        command = [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM, url, good.url, where]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            assert program.stderr is not None
            assert program.stdout.readline() == "ready\n"
            if script is not None:
                route.wait_for_requests(max(1, leaving))
            time.sleep(0.2)
            when = time.monotonic()
            program.send_signal(signal.SIGINT)
            said = program.stdout.readline()
            assert time.monotonic() - when < SOON
            out, err = program.stdout.read(), program.stderr.read()
    assert (said, out, err, program.returncode) == ("interrupted\n", "J'aime programmer.\n", "", 0)
    if leaving:
        assert route.wait_left(leaving) - when < SOON
