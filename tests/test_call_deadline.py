"""`deadline=` of one call: seconds over all tries, waits, fallbacks and attempts of that call, on every way to call."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from chatmodels import BatchError, ChatModelError, DeadlineError, UsageError
from chatmodels.control import FallbackError, deadline

from .conftest import World, chat
from .servers import Server, answer, either, error, events, plain, silent, sse

pytestmark = pytest.mark.clock

#: Seconds: where nothing need be sent in time; where it must, on a busy machine; and what is far too long.
SHORT, LONG, MUCH = 0.06, 0.5, 8.0


def lookup(word: str) -> str:
    """Looks a word up."""
    return word


WAYS: dict[str, Callable[[Any], Any]] = {
    "call": lambda model: model("hi", deadline=LONG),
    "invoke": lambda model: model.invoke("hi", deadline=LONG),
    "ainvoke": lambda model: asyncio.run(model.ainvoke("hi", deadline=LONG)),
    "stream": lambda model: model.stream("hi", deadline=LONG).until_done(),
    "predict": lambda model: model.predict("hi", deadline=LONG),
    "predict_messages": lambda model: model.predict_messages([("human", "hi")], deadline=LONG),
    "run_tools": lambda model: model.run_tools("hi", tools=[lookup], deadline=LONG),
    "stream_tools": lambda model: list(model.stream_tools("hi", tools=[lookup], deadline=LONG)),
    "typed": lambda model: model.with_output(dict)("hi", deadline=LONG),
    "typed stream": lambda model: list(model.with_output(dict).stream("hi", deadline=LONG)),
}


def at_once(ways: Iterable[Callable[[], Any]]) -> None:
    """All of them, each in a thread: what is waited for is waited for once."""
    with ThreadPoolExecutor(max_workers=16) as pool:
        for future in [pool.submit(way) for way in ways]:
            future.result()


def test_it_ends_the_call(server: Server) -> None:
    model = chat(server.route(silent(9)))

    def ends(way: str) -> None:
        began = time.monotonic()
        with pytest.raises(DeadlineError) as caught:
            WAYS[way](model)
        assert LONG <= time.monotonic() - began < MUCH, way
        assert (caught.value.phase, caught.value.seconds) == ("total", LONG), way
        assert [one.outcome for one in caught.value.attempts[-1:]] == ["DeadlineError"], way

    at_once(partial(ends, way) for way in WAYS)


def test_an_async_stream(world: World, server: Server) -> None:
    if world.name == "sync":
        return
    model = chat(server.route(silent(9)))

    async def go() -> None:
        await model.astream("hi", deadline=SHORT).until_done()

    with pytest.raises(DeadlineError):
        world.run(go)


def test_of_many_each_has_its_own(server: Server) -> None:
    """Three items of 0.2 s, one after the other: more than the deadline together, less each."""
    model = chat(server.route(plain(answer('{"a": 1}'), after=0.2)))
    many: dict[str, Any] = {"max_concurrency": 1, "deadline": LONG}

    def batch() -> None:
        assert len(model.batch(["a", "b", "c"], **many)) == 3

    def generate() -> None:
        assert len(model.generate(["a", "b", "c"], **many).generations) == 3

    def typed() -> None:
        assert model.with_output(dict[str, int]).batch(["a", "b", "c"], **many) == [{"a": 1}] * 3

    def slow() -> None:
        with pytest.raises(BatchError) as caught:
            chat(server.route(silent(9))).batch(["a", "b"], deadline=SHORT)
        assert {type(e) for e in caught.value.results} == {DeadlineError}

    at_once((batch, generate, typed, slow))


def test_tries_and_waits_are_within_it(world: World, server: Server) -> None:
    """Half a minute would be waited for: that is beyond the deadline, so the refusal is told at once."""
    route = server.route(error(429, headers={"retry-after": "30"}))
    began = time.monotonic()
    with pytest.raises(ChatModelError, match="429"):
        world.call(chat(route, max_retries=5), deadline=20)
    assert time.monotonic() - began < MUCH
    assert len(route.requests) == 1


def test_a_fallback_has_what_is_left(server: Server) -> None:
    first, second = server.route(error(500)), server.route(silent(9))
    model = chat(first, max_retries=1).with_fallback(chat(second, timeout=60))
    began = time.monotonic()
    with pytest.raises(FallbackError):
        model("hi", deadline=LONG)
    assert time.monotonic() - began < MUCH
    assert len(second.requests) == 1


def test_attempts_of_a_typed_answer_share_it(server: Server) -> None:
    route = server.route(plain(answer("no JSON"), after=0.1))
    model = chat(route).with_output(dict[str, int], attempts=50)
    with pytest.raises(DeadlineError):
        model("hi", deadline=0.35)
    assert 2 <= len(route.requests) <= 4


def test_a_loop_of_tools_shares_it(server: Server) -> None:
    calling = answer()
    calls = [{"id": "c", "type": "function", "function": {"name": "wait", "arguments": "{}"}}]
    calling["choices"][0] |= {"message": {"role": "assistant", "tool_calls": calls}, "finish_reason": "tool_calls"}

    def wait() -> str:
        """Waits."""
        time.sleep(0.1)
        return "done"

    route = server.route(plain(calling))
    with pytest.raises(DeadlineError):
        chat(route).run_tools("hi", tools=[wait], max_steps=50, deadline=0.35)
    assert 2 <= len(route.requests) <= 5


def test_the_earliest_deadline_holds(server: Server) -> None:
    slow = server.route(silent(9))

    def seconds(call: Callable[[], Any]) -> float | None:
        with pytest.raises(DeadlineError) as caught:
            call()
        return caught.value.seconds

    assert seconds(lambda: chat(slow, timeout=0.05)("hi", deadline=60)) == 0.05
    assert seconds(lambda: chat(slow, timeout=60)("hi", deadline=0.05)) == 0.05
    with deadline(0.05):
        assert (seconds(lambda: chat(slow)("hi", deadline=60)) or 9) <= 0.05
    with deadline(60):
        assert seconds(lambda: chat(slow)("hi", deadline=0.05)) == 0.05


def test_it_begins_with_the_call_and_not_with_the_stream_object(server: Server) -> None:
    stream = chat(server.route(sse(events("a")))).stream("hi", deadline=LONG)
    time.sleep(LONG + 0.05)
    assert stream.until_done().text == "a"


@pytest.mark.parametrize("wrong", [0, -1, float("inf"), float("nan"), True, "5", [1]])
def test_a_wrong_one_is_told_before_anything_is_sent(wrong: Any, server: Server) -> None:
    route = server.route(either("a"))
    model = chat(route)
    ways: list[Callable[..., Any]] = [model, model.stream, model.run_tools, model.with_output(dict), model.batch]
    for way in ways:
        with pytest.raises(UsageError, match="above 0") as caught:
            way("hi", deadline=wrong)
        assert caught.value.argument == "deadline"
    assert not route.requests


@pytest.mark.parametrize("way", ["call", "stream"])
def test_waiting_for_somebody_else_s_answer_is_within_it(way: str, server: Server) -> None:
    """Two that ask the same of a cache: the second waits for the first, and does not begin anew when its time is over."""
    route = server.route(silent(9))
    model = chat(route).with_cache()
    with model.stream("hi") as first:
        reader = threading.Thread(target=lambda: list(first))
        reader.start()
        route.wait_for_requests(1)
        with pytest.raises(DeadlineError, match="had passed"):
            model.stream("hi", deadline=SHORT).until_done() if way == "stream" else model("hi", deadline=SHORT)
        with deadline(SHORT), pytest.raises(DeadlineError, match="had passed"):
            model.stream("hi").until_done() if way == "stream" else model("hi")
        first.close()
        reader.join()
    assert len(route.requests) == 1


def test_it_is_not_sent_nor_in_a_cache_key(server: Server) -> None:
    route = server.route(either("a"))
    model = chat(route).with_cache()
    assert model("hi", deadline=5).text == "a"
    assert model("hi", deadline=6).from_cache
    assert "deadline" not in route.requests[0].json
    assert model("hi", deadline=None).from_cache
