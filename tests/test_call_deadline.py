"""`deadline=` of one call: seconds over all tries, waits, fallbacks and attempts of that call, on every way to call."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from chatmodels import BatchError, ChatModelError, DeadlineError, UsageError
from chatmodels.control import FallbackError, deadline

from .conftest import World, chat
from .servers import Server, answer, either, error, events, plain, silent, sse

pytestmark = pytest.mark.clock

SHORT, MUCH = 0.06, 5.0


def lookup(word: str) -> str:
    """Looks a word up."""
    return word


WAYS: dict[str, Callable[[Any], Any]] = {
    "call": lambda model: model("hi", deadline=SHORT),
    "invoke": lambda model: model.invoke("hi", deadline=SHORT),
    "ainvoke": lambda model: asyncio.run(model.ainvoke("hi", deadline=SHORT)),
    "stream": lambda model: model.stream("hi", deadline=SHORT).until_done(),
    "predict": lambda model: model.predict("hi", deadline=SHORT),
    "predict_messages": lambda model: model.predict_messages([("human", "hi")], deadline=SHORT),
    "run_tools": lambda model: model.run_tools("hi", tools=[lookup], deadline=SHORT),
    "stream_tools": lambda model: list(model.stream_tools("hi", tools=[lookup], deadline=SHORT)),
    "typed": lambda model: model.with_output(dict)("hi", deadline=SHORT),
    "typed stream": lambda model: list(model.with_output(dict).stream("hi", deadline=SHORT)),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_ends_the_call(way: str, server: Server) -> None:
    model = chat(server.route(silent(9)))
    began = time.monotonic()
    with pytest.raises(DeadlineError) as caught:
        WAYS[way](model)
    assert SHORT <= time.monotonic() - began < MUCH
    assert (caught.value.phase, caught.value.seconds) == ("total", SHORT)
    assert caught.value.attempts[-1].outcome == "DeadlineError"


def test_an_async_stream(world: World, server: Server) -> None:
    if world.name == "sync":
        return
    model = chat(server.route(silent(9)))

    async def go() -> None:
        await model.astream("hi", deadline=SHORT).until_done()

    with pytest.raises(DeadlineError):
        world.run(go)


@pytest.mark.parametrize("many", ["batch", "generate", "typed batch"])
def test_of_many_each_has_its_own(many: str, server: Server) -> None:
    """Three items of 0.15 s, one after the other: more than the deadline together, less each."""
    said = answer('{"a": 1}')
    model = chat(server.route(plain(said, after=0.15)))
    if many == "batch":
        assert len(model.batch(["a", "b", "c"], max_concurrency=1, deadline=0.4)) == 3
    elif many == "generate":
        assert len(model.generate(["a", "b", "c"], max_concurrency=1, deadline=0.4).generations) == 3
    else:
        typed = model.with_output(dict[str, int])
        assert typed.batch(["a", "b", "c"], max_concurrency=1, deadline=0.4) == [{"a": 1}] * 3
    slow = chat(server.route(silent(9)))
    with pytest.raises(BatchError) as caught:
        slow.batch(["a", "b"], deadline=SHORT)
    assert {type(e) for e in caught.value.results} == {DeadlineError}


def test_tries_and_waits_are_within_it(world: World, server: Server) -> None:
    """Half a second would be waited for: that is beyond the deadline, so the refusal is told at once."""
    route = server.route(error(429, headers={"retry-after": "1"}))
    began = time.monotonic()
    with pytest.raises(ChatModelError, match="429"):
        world.call(chat(route, max_retries=5), deadline=0.5)
    assert time.monotonic() - began < 1
    assert len(route.requests) == 1


def test_a_fallback_has_what_is_left(server: Server) -> None:
    first, second = server.route(error(500)), server.route(silent(9))
    model = chat(first, max_retries=1).with_fallback(chat(second, timeout=60))
    began = time.monotonic()
    with pytest.raises(FallbackError):
        model("hi", deadline=SHORT)
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
    stream = chat(server.route(sse(events("a")))).stream("hi", deadline=0.2)
    time.sleep(0.3)
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
