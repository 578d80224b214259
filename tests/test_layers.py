"""Layers around calls and tries: the order, the same generator in both worlds, ambient ones, and what they may do."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from chatmodels import ChatModel, IncompleteStream, ProviderError
from chatmodels._call import Call
from chatmodels._events import End, TextDelta
from chatmodels._layers import Inner, InnerStream
from chatmodels._messages import AIMessage
from chatmodels._plan import Ledger, Plan, Streaming
from chatmodels.layers import Deliver, Flow, Layer, TryLayer, around, everywhere

from .servers import Server, error, plain, serving, sse
from .servers import events as wire_events


@pytest.fixture(scope="module")
def server() -> Any:
    with serving() as made:
        yield made


def model(url: str, **more: Any) -> ChatModel:
    return ChatModel("openai:m", base_url=url, api_key="k", **more)


class Note(Layer):
    """Writes what passes through it."""

    def __init__(self, name: str, seen: list[str]) -> None:
        self.name, self.seen = name, seen

    def call(self, plan: Plan, call: Call, inner: Inner) -> Flow[AIMessage]:
        self.seen.append(f"{self.name} in")
        try:
            message = yield from inner(plan, call)
        except Exception as failed:
            self.seen.append(f"{self.name} {type(failed).__name__}")
            raise
        self.seen.append(f"{self.name} {message.text}")
        return message

    def stream(self, plan: Plan, call: Call, state: Streaming, inner: InnerStream) -> Flow[None]:
        self.seen.append(f"{self.name} in")
        yield from inner(plan, call, state)
        self.seen.append(f"{self.name} {state.message().text}")


class Outer(Note):
    rank: ClassVar[int] = 1


class Tries(TryLayer):
    """Counts the tries, and keeps what the ledger says after each."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def attempt(self, plan: Plan, call: Call, ledger: Ledger, inner: Callable[[], Flow[Any]]) -> Flow[Any]:
        try:
            return (yield from inner())
        finally:
            self.seen.append((len(ledger.attempts), ledger.headers.get("x-n"), ledger.usage is not None))


def test_the_order_is_by_rank_and_the_newer_of_equals_is_outside(server: Server) -> None:
    seen: list[str] = []
    chat = model(server.route(plain()).url)
    for layer in (Note("a", seen), Outer("outer", seen), Note("b", seen)):
        chat = chat.with_layer(layer)
    text = chat("hi").text
    assert seen == ["outer in", "b in", "a in", f"a {text}", f"b {text}", f"outer {text}"]


async def test_one_layer_serves_plain_streamed_sync_and_async(server: Server) -> None:
    seen: list[str] = []
    said = model(server.route(plain()).url).with_layer(Note("n", seen))
    streamed = model(server.route(sse(wire_events("a", "b"))).url).with_layer(Note("n", seen))
    one = await asyncio.to_thread(said, "hi")
    two = await said.ainvoke("hi")
    assert [c.text for c in await asyncio.to_thread(lambda: list(streamed.stream("hi"))) if c.text] == ["a", "b"]
    assert [c.text async for c in streamed.astream("hi") if c.text] == ["a", "b"]
    collected = model(server.route(sse(wire_events("a", "b"))).url, streaming=True).with_layer(Note("n", seen))
    assert collected("hi").text == "ab"
    assert seen == ["n in", f"n {one.text}", "n in", f"n {two.text}", *["n in", "n ab"] * 3]


def test_a_try_layer_is_around_each_try(server: Server) -> None:
    tries = Tries()
    chat = model(server.route(error(500, headers={"x-n": "1"}), plain(headers={"x-n": "2"})).url).with_layer(tries)
    answer = chat.with_retry(attempts=2, base=0)("hi")
    assert len(answer.attempts) == 2
    assert tries.seen == [(0, "1", False), (1, "2", True)]


def test_a_try_layer_is_cleaned_up_when_its_stream_is_left(server: Server) -> None:
    tries = Tries()
    with model(server.route(sse(wire_events("a", "b"), gap=0.5)).url).with_layer(tries).stream("hi") as stream:
        next(stream)
    assert len(tries.seen) == 1


class Answers(Layer):
    """Gives the answer itself; nothing is sent."""

    def call(self, plan: Plan, call: Call, inner: Inner) -> Flow[AIMessage]:
        return AIMessage("mine")
        yield

    def stream(self, plan: Plan, call: Call, state: Streaming, inner: InnerStream) -> Flow[None]:
        yield Deliver([TextDelta("mi")])
        yield Deliver([TextDelta("ne"), End(finish_reason="stop")])


def test_a_layer_may_answer_itself(server: Server) -> None:
    route = server.route(plain())
    chat = model(route.url).with_layer(Answers())
    assert chat("hi").text == "mine"
    assert [m.text for m in chat.batch(["a", "b"])] == ["mine", "mine"]
    stream = chat.stream("hi")
    assert [c.text for c in stream] == ["mi", "ne", ""]
    assert (stream.message.text, stream.message.finish_reason) == ("mine", "stop")
    assert not route.requests


def test_around_holds_in_its_context_and_reaches_batches_and_errors(server: Server) -> None:
    seen: list[str] = []
    chat = model(server.route(error(400)).url)
    with around(Note("near", seen)):
        results = chat.batch(["a", "b"], errors="return")
    with pytest.raises(ProviderError):
        chat("hi")
    assert all(isinstance(r, ProviderError) for r in results)
    assert sorted(seen) == [*[f"near {type(results[0]).__name__}"] * 2, *["near in"] * 2]


def test_everywhere_until_taken_away(server: Server) -> None:
    seen: list[str] = []
    chat = model(server.route(plain()).url)
    everywhere(1, Note("all", seen))
    try:
        chat("hi")
    finally:
        everywhere(1, None)
    chat("hi")
    assert len(seen) == 2


def test_a_cut_stream_passes_its_error_through_the_layers(server: Server) -> None:
    seen: list[str] = []
    chat = model(server.route(sse(wire_events("a")[:1])).url).with_layer(Note("n", seen)).with_retry(attempts=1)
    with pytest.raises(IncompleteStream):
        list(chat.stream("hi"))
    assert seen == ["n in"]


class Kept(Layer):
    """Can be pickled as it is."""


class Not(Kept):
    def pickled(self) -> None:
        return None


def test_a_pickle_takes_the_layers_that_can_be_taken() -> None:
    chat = ChatModel("local").with_layer(Kept()).with_layer(Not())
    again = pickle.loads(pickle.dumps(chat))
    assert [type(layer) for layer in again._config.layers] == [Kept]
