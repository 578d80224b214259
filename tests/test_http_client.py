"""A user's own client: httpx and httpx2, sync, asyncio and trio; what the transport promises holds over them too."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import trio

from chatmodels import AIMessage, ChatOpenAI, DeadlineError, IncompleteStream, TransportError, UsageError
from chatmodels._errors import ConnectError

from .conftest import KEY, Read, World, chat
from .servers import Route, Server, answer, drip, either, error, events, gzipped, plain, raw, response, silent, sse

pytestmark = pytest.mark.clock

PIECES = events("Bon", "jour")


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


class Own:
    """Drives a model over a client of its own, made and closed in the right world."""

    def __init__(self, world: World, library: Any) -> None:
        self.world = world
        self.library = library

    def call(self, route: Route | str, count: int = 1, **options: Any) -> list[Any]:
        found: list[Any] = []
        if self.world.name == "sync":
            with self.library.Client(trust_env=False) as client:
                model = chat(route, http_client=client, **options).with_retry(base=0.01)
                return self.world.calls(model, count)

        async def go() -> None:
            async with self.library.AsyncClient(trust_env=False) as client:
                model = chat(route, http_client=client, **options).with_retry(base=0.01)
                for _ in range(count):
                    try:
                        found.append(await model.ainvoke("hi"))
                    except Exception as failed:
                        found.append(failed)

        self.world.run(go)
        return found

    def read(self, route: Route, most: int | None = None, **options: Any) -> Read:
        if self.world.name == "sync":
            with self.library.Client(trust_env=False) as client:
                return self.world.read(chat(route, http_client=client, **options), most=most)
        found = Read()

        async def go() -> None:
            async with self.library.AsyncClient(trust_env=False) as client:
                found.stream = chat(route, http_client=client, **options).astream("hi")
                try:
                    async for chunk in found.stream:
                        if chunk.text:
                            found.texts.append(chunk.text)
                        if most is not None and len(found.texts) >= most:
                            break
                except Exception as failed:
                    found.error = failed
                await found.stream.aclose()
                await self.world.sleep(0.05)

        self.world.run(go)
        return found


@pytest.fixture
def own(world: World, library: Any) -> Own:
    return Own(world, library)


def test_calls_and_streams(own: Own, server: Server) -> None:
    route = server.route(either("Bon", "jour"))
    assert [m.text for m in own.call(route, 3)] == ["Bonjour"] * 3
    assert route.connections == 1
    headers = route.requests[0].headers
    assert (headers["authorization"], headers["content-type"]) == (f"Bearer {KEY}", "application/json")
    assert headers["user-agent"].startswith("chatmodels/")
    found = own.read(route)
    assert (found.error, found.text, found.stream.message.finish_reason) == (None, "Bonjour", "stop")


def test_connections_are_used_again_after_streams(own: Own, server: Server) -> None:
    route = server.route(sse(PIECES))
    if own.world.name == "sync":
        with own.library.Client(trust_env=False) as client:
            own.world.reads(chat(route, http_client=client), 3)
    else:

        async def go() -> None:
            async with own.library.AsyncClient(trust_env=False) as client:
                for _ in range(3):
                    await chat(route, http_client=client).astream("hi").until_done()

        own.world.run(go)
    assert (len(route.requests), route.connections) == (3, 1)


def test_errors_and_retries(own: Own, server: Server) -> None:
    ms = {"retry-after-ms": "1"}
    route = server.route(error(429, headers=ms), error(503, headers=ms), raw(b""), plain())
    message = own.call(route, max_retries=4)[0]
    assert [a.outcome for a in message.attempts] == ["RateLimitError", "OverloadedError", "TransportError", "ok"]
    found = own.call(server.route(error(401, headers={"x-request-id": "r"})))[0]
    assert (type(found).__name__, found.request_id) == ("AuthenticationError", "r")
    assert type(own.call(server.route(plain({}, 307, {"location": server.route().url})))[0]).__name__ == "ProviderError"


def test_cuts(own: Own, server: Server) -> None:
    data = response(json.dumps(answer()).encode())
    assert isinstance(own.call(server.route(raw(data[:-9])))[0], TransportError)
    found = own.read(server.route(sse(PIECES[:2])))
    assert isinstance(found.error, IncompleteStream)
    assert found.error.message.text == "Bon"
    cut = own.read(server.route(raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nda", "rst")))
    assert isinstance(cut.error, TransportError)


def test_compressed(own: Own, server: Server) -> None:
    assert isinstance(own.call(server.route(raw(gzipped(json.dumps(answer()).encode()))))[0], AIMessage)


@pytest.mark.parametrize(
    ("script", "limits", "phase"),
    [
        (silent(), {"total": 0.5}, "total"),
        (sse(PIECES[:2], end=False), {"idle": 0.12}, "idle"),
        (sse([b": hello\n\n"] * 99, gap=0.05), {"first_token": 0.12}, "first_token"),
        (drip(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"5\r\nhello\r\n" * 99, 0.03, 9),
         {"total": 0.15}, "total"),
    ],
    ids=["total", "idle", "keep-alives", "dripping bytes"],
)  # fmt: skip
def test_deadlines(own: Own, server: Server, script: Any, limits: dict[str, float], phase: str) -> None:
    route = server.route(script)
    none: dict[str, float | None] = {"connect": None, "first_token": None, "idle": None, "total": None}
    found = own.read(route, timeout={**none, **limits})
    assert isinstance(found.error, DeadlineError), repr(found.error)
    assert (found.error.phase, found.error.seconds) == (phase, limits[phase])
    # The deadline began before the connection was made, and so before the request came: how long before, the machine says.
    assert route.wait_left() - route.requests[0].time < limits[phase] + 2


def test_no_connection(own: Own) -> None:
    found = own.call("http://127.0.0.1:9/v1")[0]
    assert isinstance(found, ConnectError)


def test_leaving_early(own: Own, server: Server) -> None:
    route = server.route(sse(PIECES[:2], end=False))
    found = own.read(route, most=1)
    assert route.wait_left() - route.requests[0].time < 4
    assert found.stream.message.text == "Bon"


@pytest.mark.parametrize("name", ["asyncio", "trio"])
@pytest.mark.parametrize("script", [silent(), sse(PIECES[:2], end=False)], ids=["head", "body"])
def test_cancelled(server: Server, library: Any, name: str, script: Any) -> None:
    route = server.route(script)
    when: list[float] = []

    async def read(client: Any) -> None:
        async for _ in chat(route, http_client=client).astream("hi"):
            pass

    async def in_asyncio() -> None:
        async with library.AsyncClient(trust_env=False) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await read(client)
            when.append(time.monotonic())

    async def in_trio() -> None:
        async with library.AsyncClient(trust_env=False) as client:
            with trio.move_on_after(0.2):
                await read(client)
            when.append(time.monotonic())

    World(name).run(in_asyncio if name == "asyncio" else in_trio)
    assert route.wait_left() - when[0] < 2


def test_closed_from_another_thread(server: Server, library: Any) -> None:
    route = server.route(sse(PIECES[:2], end=False))
    with library.Client(trust_env=False) as client:
        stream = chat(route, http_client=client).stream("hi")
        texts: list[str] = []
        thread = threading.Thread(target=lambda: texts.extend(c.text for c in stream))
        thread.start()
        route.wait_for_requests(1)
        time.sleep(0.1)
        stream.close()
        thread.join(5)
        assert not thread.is_alive()
        assert "".join(texts) == "Bon"


def test_batches(own: Own, server: Server) -> None:
    """From sync code they run in another thread's event loop, and a sync client serves them from threads there."""
    route = server.route(plain(after=0.01))
    if own.world.name == "sync":
        with own.library.Client(trust_env=False) as client:
            model = chat(route, http_client=client)
            assert len(model.batch(["a"] * 20)) == 20
            assert len(model.generate([["a"]] * 3).generations) == 3
        return

    async def go() -> None:
        async with own.library.AsyncClient(trust_env=False) as client:
            assert len(await chat(route, http_client=client).abatch(["a"] * 20)) == 20

    own.world.run(go)


def test_the_wrong_kind(server: Server, library: Any) -> None:
    route = server.route()
    with library.Client(trust_env=False) as client:
        for name in ("asyncio", "trio"):
            with pytest.raises(UsageError, match=rf"{library.__name__}\.AsyncClient") as caught:
                World(name).call(chat(route, http_client=client))
            assert caught.value.argument == "http_client"
            error_of_stream = World(name).read(chat(route, http_client=client)).error
            assert isinstance(error_of_stream, UsageError)

    async def go() -> None:
        async with library.AsyncClient(trust_env=False) as client:
            model = chat(route, http_client=client)
            for way in (lambda: model("hi"), lambda: list(model.stream("hi")), lambda: model.batch(["a"]),
                        lambda: model.batch(["a", "b"], errors="return")[0].text.upper() and model("x")):  # fmt: skip
                with pytest.raises(UsageError, match=rf"{library.__name__}\.Client"):
                    way()

    asyncio.run(go())
    assert not route.requests


def test_what_is_no_client() -> None:
    for wrong in (object(), "httpx", http.client.HTTPConnection("host"), httpx.Client):
        with pytest.raises(UsageError, match="http_client") as caught:
            ChatOpenAI(openai_api_key=KEY, http_client=wrong)
        assert caught.value.argument == "http_client"


@pytest.fixture
def mocked() -> Iterator[Any]:
    """A mock transport, the usual reason for a client of one's own: no socket at all."""

    def handle(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if body.get("stream"):
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=b"".join(PIECES))
        return httpx.Response(200, json=answer(body["messages"][0]["content"].upper()))

    yield httpx.MockTransport(handle)
    gc.collect()


def test_a_mock(world: World, mocked: Any) -> None:
    if world.name == "sync":
        model = ChatOpenAI(openai_api_key=KEY, http_client=httpx.Client(transport=mocked))
        assert model("hi").text == "HI"
        assert [m.text for m in model.batch(["a", "b", "c"])] == ["A", "B", "C"]
        assert world.read(model).text == "Bonjour"
        assert world.read(model, most=1).text == "Bon"
    else:

        async def go() -> None:
            async with httpx.AsyncClient(transport=mocked) as client:
                model = ChatOpenAI(openai_api_key=KEY, http_client=client)
                assert (await model.ainvoke("hi")).text == "HI"
                assert (await model.astream("hi").until_done()).text == "Bonjour"

        world.run(go)


def test_a_subclass_of_a_client(mocked: Any) -> None:
    class Mine(httpx.Client):
        pass

    assert ChatOpenAI(openai_api_key=KEY, http_client=Mine(transport=mocked))("hi").text == "HI"
