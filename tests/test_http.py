"""The way to a server: several addresses, large bodies in both directions, peers held back, connections that wait."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from typing import Any

import pytest

from chatmodels import AIMessage
from chatmodels._errors import ConnectError
from chatmodels._http_common import HTTPConfig
from chatmodels._http_origin import IDLE_MOST, IDLE_SECONDS, Idle, Origin, Ways

from .conftest import World, chat
from .servers import Exchange, Server, answer, events, plain, sse, unanswering_port

pytestmark = pytest.mark.clock


class Names:
    """A name service of the test's own: the system's, but for one name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
        self.asked = 0
        real = socket.getaddrinfo

        def look_up(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
            if not str(host).endswith("several.test"):
                return real(host, port, *rest, **options)
            if options.get("flags") == socket.AI_NUMERICHOST:
                raise socket.gaierror(socket.EAI_NONAME, "not a number")
            self.asked += 1
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)


def test_an_address_that_refuses_and_one_that_is_silent(
    world: World, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one is tried; the one that is good is tried first from then on."""
    with unanswering_port() as silent, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        refusing = nobody.getsockname()[1]
        names = Names(monkeypatch, ("127.0.0.1", refusing), ("127.0.0.1", silent), ("127.0.0.1", server.port))
        route = server.route(plain(headers={"connection": "close"}))
        model = chat(route.url.replace("127.0.0.1", f"{world.name}.several.test"), verify=True)
        began = time.monotonic()
        first, second = world.calls(model, 2)
        took = time.monotonic() - began
    assert isinstance(first, AIMessage), repr(first)
    assert isinstance(second, AIMessage), repr(second)
    assert 0.45 < took < 1.2, "half a second for the silent one, once"
    assert names.asked
    assert route.requests[0].headers["host"] == f"{world.name}.several.test:{server.port}"


def test_no_address_is_good(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with unanswering_port() as silent, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        refusing = nobody.getsockname()[1]
        Names(monkeypatch, ("127.0.0.1", refusing), ("127.0.0.1", silent))
        began = time.monotonic()
        found = world.calls(chat("http://several.test/v1", timeout={"connect": 0.8}), 1)[0]
        assert 0.75 < time.monotonic() - began < 1.2
        assert found.phase == "connect"
        Names(monkeypatch)
        found = world.calls(chat("http://several.test:81/v1"), 1)[0]
        assert isinstance(found, ConnectError)
        assert "several.test has no address" in str(found)


def test_a_name_that_does_not_exist(world: World) -> None:
    found = world.calls(chat("http://no-such-host.invalid/v1"), 1)[0]
    assert isinstance(found, ConnectError)
    assert "no-such-host.invalid" in str(found)


def test_a_large_request_and_a_large_answer(world: World, server: Server) -> None:
    """Images make requests of many megabytes; the server reads them slowly."""
    text = "x" * 3_000_000

    def slow(exchange: Exchange) -> None:
        exchange.wait(0.05)
        plain(answer(exchange.request.json["messages"][0]["content"][::-1]))(exchange)

    route = server.route(slow)
    message = world.call(chat(route), text + "é")
    assert message.text == "é" + text
    assert len(route.requests[0].body) > 3_000_000


def test_a_large_stream_that_is_read_slowly(world: World, server: Server) -> None:
    """What nobody has taken yet is bounded: the server is held back."""
    sent: list[float] = []
    piece = events("y" * 50_000)[1]

    def flood(exchange: Exchange) -> None:
        exchange.head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        for _ in range(800):
            exchange.chunk(piece)
            sent.append(time.monotonic())
        for last in events()[1:]:
            exchange.chunk(last)
        exchange.send(b"0\r\n\r\n")

    model = chat(server.route(flood))
    total = 0
    if world.name == "sync":
        stream = model.stream("hi")
        total += len(next(stream).text) + len(next(stream).text)
        time.sleep(0.3)
        held_back = len(sent)
        total += sum(len(c.text) for c in stream)
    else:

        async def go() -> tuple[int, int]:
            stream = model.astream("hi")
            count = len((await anext(stream)).text) + len((await anext(stream)).text)
            await world.sleep(0.3)
            seen = len(sent)
            async for chunk in stream:
                count += len(chunk.text)
            return seen, count

        held_back, total = world.run(go)
    assert total == 800 * 50_000
    assert held_back < 700, "the server could send all of it to somebody who does not read"


def test_an_answer_to_a_request_that_is_not_read(world: World, server: Server) -> None:
    """A server may refuse a large request by its head, answer and close."""

    def refuse(sock: Any) -> None:
        with sock:
            sock.recv(1000)
            body = json.dumps({"error": {"message": "too large"}}).encode()
            sock.sendall(
                b"HTTP/1.1 413 Too large\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )
            time.sleep(0.3)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: refuse(listener.accept()[0]))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        found = _call(world, chat(url), "x" * 5_000_000)
        thread.join()
    assert getattr(found, "status", None) == 413 or type(found).__name__ == "TransportError", repr(found)


def _call(world: World, model: Any, given: str) -> Any:
    try:
        return world.call(model, given)
    except Exception as failed:
        return failed


# ---- connections that wait


class Waiting:
    """As much of a connection as its waiting needs."""

    def __init__(self) -> None:
        self.usable = True
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_the_freshest_is_used_first() -> None:
    idle: Idle[Waiting] = Idle()
    a, b = Waiting(), Waiting()
    idle.keep(a)
    idle.keep(b)
    assert [idle.take(), idle.take(), idle.take()] == [b, a, None]


def test_what_the_peer_has_closed_is_closed() -> None:
    idle: Idle[Waiting] = Idle()
    a, b = Waiting(), Waiting()
    idle.keep(a)
    idle.keep(b)
    b.usable = False
    assert idle.take() is a
    assert b.closed
    assert not a.closed


def test_not_too_many_and_not_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    idle: Idle[Waiting] = Idle()
    many = [Waiting() for _ in range(IDLE_MOST + 5)]
    for one in many:
        idle.keep(one)
    assert [w.closed for w in many].count(True) == 5
    later = time.monotonic() + IDLE_SECONDS + 1
    monkeypatch.setattr("chatmodels._http_origin.monotonic", lambda: later)
    assert idle.take() is None
    assert all(w.closed for w in many)


def test_ways() -> None:
    ways = Ways(HTTPConfig(proxy=""))
    first, prefix = ways.of("https://host/v1/")
    second, other = ways.of("https://host/v2?x=y")
    assert first is second
    assert (prefix, other) == ("/v1", "/v2")
    third, _ = ways.of("http://host/v1")
    assert third is not first
    assert (first.port, third.port, first.host) == (443, 80, "host")
    proxied = Origin("http://bücher.example:81/v1", HTTPConfig(proxy="http://proxy:3128"))
    assert proxied.target("/v1") == "http://xn--bcher-kva.example:81/v1"
    assert proxied.first_stop == ("proxy", 3128)
    six = Origin("http://[::1]:81/v1", HTTPConfig(proxy=""))
    assert (six.hostname, six.host, six.port) == ("::1", "[::1]:81", 81)


async def test_hundreds_of_streams_at_once(server: Server) -> None:
    model = chat(server.route(sse(events("Bon", "jour"), gap=0.01)))
    streams = [model.astream("hi").until_done() for _ in range(200)]
    assert {m.text for m in await asyncio.gather(*streams)} == {"Bonjour"}
