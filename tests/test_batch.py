"""Many calls: order, limits, errors, lazy inputs, few threads, early exits; sync, asyncio and trio."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import trio

from chatmodels import AIMessage, BatchError, HumanMessage, LLMResult, UsageError
from chatmodels._errors import BadRequestError
from chatmodels.callbacks import BaseCallbackHandler

from .conftest import World, chat
from .servers import Exchange, Script, Server, answer, error, plain, silent


def echo(after: float = 0.0, fail: Callable[[str], bool] = lambda text: False) -> Script:
    """Answers with the prompt; slower for earlier items, so that answers come out of order."""

    def script(exchange: Exchange) -> None:
        text = exchange.request.json["messages"][-1]["content"]
        exchange.wait(after)
        if fail(text):
            error(400, f"not {text}")(exchange)
        else:
            plain(answer(text))(exchange)

    return script


def texts(found: list[Any]) -> list[str]:
    return [f.text if isinstance(f, AIMessage) else type(f).__name__ for f in found]


def quick_or_never(exchange: Exchange) -> None:
    if exchange.request.json["messages"][-1]["content"] == "quick":
        plain()(exchange)
    else:
        silent()(exchange)


class Busy:
    """A script that knows how many requests are under way. It holds each for some seconds, or until `crowd` are there."""

    def __init__(self, seconds: float, crowd: int = 0) -> None:
        self.seconds, self._crowd = seconds, crowd
        self.now = self.most = 0
        self._lock, self._full = threading.Lock(), threading.Event()

    def __call__(self, exchange: Exchange) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            if self.now == self._crowd:
                self._full.set()
        self._full.wait(self.seconds)
        with self._lock:
            self.now -= 1
        plain(answer(exchange.request.json["messages"][-1]["content"]))(exchange)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 60])
def test_order(world: World, server: Server, count: int) -> None:
    given = [f"item {i}" for i in range(count)]

    def script(exchange: Exchange) -> None:
        number = int(exchange.request.json["messages"][-1]["content"].split()[1])
        echo(0.01 * (number % 3 == 0))(exchange)

    model = chat(server.route(script))
    assert texts(world.batch(model, given)) == given
    assert texts(world.batch(model, (g for g in given), max_concurrency=3)) == given
    assert texts(world.batch(model, tuple(given), max_concurrency=1)) == given


@pytest.mark.parametrize("limit", [1, 5, 40])
@pytest.mark.parametrize("lazy", [False, True])
def test_the_limit_is_kept_and_reached(world: World, server: Server, limit: int, lazy: bool) -> None:
    busy = Busy(0.06)
    given: Any = ["x"] * (2 * limit + 1)
    world.batch(chat(server.route(busy)), iter(given) if lazy else given, max_concurrency=limit)
    assert busy.most == limit


def test_errors(world: World, server: Server) -> None:
    model = chat(server.route(echo(fail=lambda t: t in ("b", "d"))))
    with pytest.raises(BatchError) as caught:
        world.batch(model, list("abcde"))
    assert texts(caught.value.results) == ["a", "BadRequestError", "c", "BadRequestError", "e"]
    assert list(caught.value.errors) == [1, 3]
    assert "2 of 5" in str(caught.value)
    assert "not b" in str(caught.value)
    assert isinstance(caught.value.__cause__, BadRequestError)
    for way in ({"errors": "return"}, {"return_exceptions": True}):
        found = world.batch(model, list("abcde"), **way)
        assert texts(found) == ["a", "BadRequestError", "c", "BadRequestError", "e"]
    with pytest.raises(BadRequestError):
        world.batch(model, ["b"])


def test_a_wrong_item_is_its_own_error(world: World, server: Server) -> None:
    found = world.batch(chat(server.route(echo())), ["a", 5, [object()], "b"], errors="return")
    assert texts(found) == ["a", "UsageError", "UsageError", "b"]


def test_inputs_that_fail(world: World, server: Server) -> None:
    """Their own exception comes out, and what is still running is ended."""
    route = server.route(silent())

    def inputs() -> Iterator[str]:
        yield "a"
        yield "b"
        if world.name == "sync":  # in the others they run in the event loop, and may not wait for it
            route.wait_for_requests(2)
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        world.batch(chat(route), inputs())
    if world.name == "sync":
        route.wait_left(2)


def test_inputs_are_taken_as_they_are_needed(server: Server) -> None:
    """Endless inputs are fine: memory is O(concurrency)."""
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield f"item {taken}"

    results = chat(server.route(echo())).batch_as_completed(endless(), max_concurrency=4)
    for seen, (_, result) in enumerate(results, 1):
        assert isinstance(result, AIMessage)
        assert taken - seen <= 4 * 4
        if seen == 100:
            break


async def test_async_inputs_are_taken_as_they_are_needed(server: Server) -> None:
    taken = 0

    async def endless() -> AsyncIterator[str]:
        nonlocal taken
        while True:
            await asyncio.sleep(0)
            taken += 1
            yield f"item {taken}"

    seen = 0
    results = chat(server.route(echo())).abatch_as_completed(endless(), max_concurrency=4)
    async for _, result in results:
        assert isinstance(result, AIMessage)
        seen += 1
        assert taken - seen <= 4 * 4
        if seen == 100:
            break
    await results.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["asyncio", "trio"])
def test_async_inputs(server: Server, name: str) -> None:
    sleep: Any = asyncio.sleep if name == "asyncio" else trio.sleep

    async def inputs(fail: bool) -> AsyncIterator[str]:
        for text in "abcdefg":
            await sleep(0.001)
            yield text
        if fail:
            raise ZeroDivisionError("mine")

    model = chat(server.route(echo()))

    async def go() -> None:
        assert texts(await model.abatch(inputs(False), max_concurrency=3)) == list("abcdefg")
        with pytest.raises(ZeroDivisionError):
            await model.abatch(inputs(True))
        pairs = [(i, r.text) async for i, r in model.abatch_as_completed(inputs(False))]  # type: ignore[union-attr]
        assert sorted(pairs) == list(enumerate("abcdefg"))

    World(name).run(go)


def test_slow_inputs_do_not_hold_up_the_first_ones(server: Server) -> None:
    route = server.route(echo())

    late: list[float] = []

    def inputs() -> Iterator[str]:
        yield "a"
        yield "b"
        time.sleep(0.3)
        late.append(time.monotonic())
        yield "c"

    for _ in chat(route).batch_as_completed(inputs()):
        pass
    assert route.requests[1].time < late[0]


def test_inputs_run_in_the_callers_thread(server: Server) -> None:
    """A generator over a database cursor, or one that calls a model itself, is used to its own thread."""
    model = chat(server.route(echo()))

    def inputs() -> Iterator[str]:
        for text in "abc":
            assert threading.current_thread() is threading.main_thread()
            yield model(text).text + model.batch([text, text])[1].text

    assert texts(model.batch(inputs())) == ["aa", "bb", "cc"]


@pytest.mark.parametrize("how", ["break", "close", "raise", "forget"])
def test_leaving_early_ends_what_is_running(server: Server, how: str) -> None:
    route = server.route(quick_or_never)
    pairs = chat(route).batch_as_completed(["quick", *["never"] * 9], max_concurrency=4)
    index, result = next(pairs)
    assert (index, isinstance(result, AIMessage)) == (0, True)
    route.wait_for_requests(5)
    when = time.monotonic()
    if how == "close":
        pairs.close()  # type: ignore[attr-defined]
    elif how == "raise":
        with pytest.raises(KeyError):
            pairs.throw(KeyError())  # type: ignore[attr-defined]
    del pairs
    gc.collect()
    assert route.wait_left(4) - when < 2
    assert len(route.requests) == 5


@pytest.mark.parametrize("name", ["asyncio", "trio"])
def test_leaving_early_async(server: Server, name: str) -> None:
    route = server.route(quick_or_never)
    when: list[float] = []

    async def go() -> None:
        pairs = chat(route).abatch_as_completed(["quick", *["never"] * 9], max_concurrency=4)
        async for index, _ in pairs:
            assert index == 0
            break
        await pairs.aclose()  # type: ignore[attr-defined]
        when.append(time.monotonic())
        sleep: Any = asyncio.sleep if name == "asyncio" else trio.sleep
        await sleep(0.1)

    World(name).run(go)
    assert route.wait_left(len(route.requests) - 1) - when[0] < 2


def test_a_slow_reader_holds_the_calls_back(server: Server) -> None:
    """What nobody has taken yet is bounded, so leaving late wastes little."""
    route = server.route(echo())
    pairs = chat(route).batch_as_completed(["a"] * 500, max_concurrency=5)
    next(pairs)
    time.sleep(0.3)
    assert len(route.requests) <= 5 * 5
    pairs.close()  # type: ignore[attr-defined]


# ---- surroundings


async def test_from_inside_a_running_loop(server: Server) -> None:
    """A notebook runs an event loop; its sync calls work all the same."""
    model = chat(server.route(echo()))
    assert texts(model.batch(list("abc"))) == list("abc")
    assert model("x").text == "x"
    assert model.stream("x").until_done().text == "x"
    assert isinstance(model.generate([["a"], ["b"]]), LLMResult)


def test_from_several_threads(server: Server) -> None:
    model = chat(server.route(echo(0.01)))
    found: list[Any] = []

    def work() -> None:
        found.append(texts(model.batch(list("abcdefgh"), max_concurrency=4)))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [list("abcdefgh")] * 6


def test_from_a_callback_of_a_batch(server: Server) -> None:
    """A handler runs in the portal's thread; waiting there for the portal itself would never end."""
    model = chat(server.route(echo()))
    seen: list[str] = []

    class Nosy(BaseCallbackHandler):
        raise_error = True

        def on_llm_end(self, response: LLMResult, **kw: Any) -> None:
            seen.extend(texts(model.batch(["x", "y"])))

    assert texts(model.batch(["a", "b"], callbacks=[Nosy()])) == ["a", "b"]
    assert seen == ["x", "y"] * 2


def test_generate(world: World, server: Server) -> None:
    route = server.route(echo(fail=lambda t: t == "b"))
    model = chat(route)
    given = [[HumanMessage("a")], [HumanMessage("b")], [HumanMessage("c")]]

    async def agenerate() -> LLMResult:
        return await model.agenerate(given, errors="return")

    found = model.generate(given, errors="return") if world.name == "sync" else world.run(agenerate)
    assert [[g.text for g in one] for one in found.generations] == [["a"], [], ["c"]]
    assert [type(e).__name__ for e in found.errors.values()] == ["BadRequestError"]
    assert found.llm_output == {"token_usage": {"prompt_tokens": 16, "completion_tokens": 10, "total_tokens": 26}}
    with pytest.raises(BatchError) as caught:
        model.generate(given)
    assert texts(caught.value.results) == ["a", "BadRequestError", "c"]


def test_settings_of_a_batch(server: Server) -> None:
    route = server.route(echo())
    chat(route).batch(["a", "b"], temperature=0, stop=["x"])
    assert [(r.json["temperature"], r.json["stop"]) for r in route.requests] == [(0, ["x"])] * 2
    with pytest.raises(UsageError):
        chat(route).batch(["a"], temperature="hot")


THREADS = """
import json, sys, threading, time
from chatmodels import ChatOpenAI
model = ChatOpenAI(openai_api_key="k", base_url=sys.argv[1])
most, over = 0, False
def watch():
    global most
    while not over:
        most = max(most, threading.active_count() - 1)
        time.sleep(0.002)
watcher = threading.Thread(target=watch); watcher.start()
began = time.monotonic()
ways = {
    "batch": lambda: model.batch(["x"] * 300, max_concurrency=300),
    "lazy": lambda: model.batch((x for x in ["x"] * 300), max_concurrency=300),
    "generate": lambda: model.generate([["x"]] * 300, max_concurrency=300).generations,
    "as completed": lambda: list(model.batch_as_completed(["x"] * 300, max_concurrency=300)),
}
count = len(ways[sys.argv[2]]())
over = True
watcher.join()
print(json.dumps([count, most, time.monotonic() - began]))
"""


@pytest.mark.parametrize("way", ["batch", "lazy", "generate", "as completed"])
def test_hundreds_in_flight_with_few_threads(server: Server, way: str) -> None:
    busy = Busy(10, crowd=300)
    route = server.route(busy)
    command = [sys.executable, "-W", "error", "-c", THREADS, route.url, way]
    out = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert out.stderr == ""
    count, most, _ = json.loads(out.stdout)
    assert (count, busy.most) == (300, 300)
    assert most <= 8
