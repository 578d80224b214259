"""Limits: the windows and the line are played on a clock of their own; then threads, tasks and trio over sockets."""

from __future__ import annotations

import asyncio
import heapq
import os
import pickle
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from chatmodels import ChatModel, ChatModelError, HumanMessage, Image, RateLimitError, SystemMessage, UsageError
from chatmodels._call import Call, Settings
from chatmodels._flow import Ask, Flow, Now
from chatmodels._limits_book import Book, Ticket
from chatmodels._limits_estimate import Need, input_tokens, output_tokens
from chatmodels._limits_headers import quotas, seconds_until
from chatmodels._limits_window import Quota, Window
from chatmodels.control import FallbackError, Limiter, LimitError
from chatmodels.tokens import estimate_text

from .conftest import World, chat
from .servers import Server, either, error, plain, raw, silent, sse
from .servers import answer as body
from .servers import events as wire

pytestmark = pytest.mark.clock

# ---- a world of many flows and one clock


class Bell:
    """Rings in the played world."""

    def __init__(self) -> None:
        self.rung = False
        self.wake: Callable[[], None] | None = None

    def ring(self) -> None:
        self.rung = True
        if self.wake is not None:
            self.wake()

    def wait(self, seconds: float | None) -> None:
        raise AssertionError("the world does that")

    async def await_(self, seconds: float | None) -> None:
        raise AssertionError("the world does that")


class Simulation:
    """Runs flows at their times; waiting takes no time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.count = 0
        self.queue: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, when: float, what: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.queue, (when, self.count, what))

    def start(self, when: float, flow: Flow[Any], done: Callable[[Any], None]) -> None:
        self.at(when, lambda: self.step(flow, None, done))

    def step(self, flow: Flow[Any], value: Any, done: Callable[[Any], None]) -> None:
        try:
            effect = flow.send(value)
            while isinstance(effect, Now):
                effect = flow.send(self.now)
        except StopIteration as stop:
            done(stop.value)
            return
        except LimitError as failed:
            done(failed)
            return
        assert isinstance(effect, Ask)
        bell: Bell = effect.function.__self__  # type: ignore[attr-defined]
        (seconds,) = effect.args
        over = False

        def go_on() -> None:
            nonlocal over
            if not over:
                over, bell.wake, bell.rung = True, None, False
                self.step(flow, None, done)

        if bell.rung:
            self.at(self.now, go_on)
            return
        bell.wake = lambda: self.at(self.now, go_on)
        if seconds is not None:
            self.at(self.now + seconds, go_on)

    def run(self) -> None:
        while self.queue:
            when, _, what = heapq.heappop(self.queue)
            self.now = max(self.now, when)
            what()


def book(requests: int | None = None, tokens: int | None = None, concurrency: int | None = None) -> Book:
    return Book(requests, tokens, concurrency, threading.Lock(), Bell)


class Played:
    """Calls put to a book: when each came in, in which order, and when it went."""

    def __init__(self, made: Book, calls: list[tuple[float, int, float, int]], deadline: float | None = None) -> None:
        self.book = made
        self.world = Simulation()
        self.inside: list[tuple[int, float, int]] = []
        self.refused: list[tuple[int, LimitError, float]] = []
        self.busiest = self.running = 0
        now = 0.0
        for number, (gap, need, lasts, used) in enumerate(calls):
            now += gap
            self._start(number, now, need, lasts, used, deadline)
        self.world.run()

    def _start(self, number: int, now: float, need: int, lasts: float, used: int, deadline: float | None) -> None:
        def came(ticket: Any) -> None:
            if isinstance(ticket, LimitError):
                self.refused.append((number, ticket, self.world.now))
                return
            self.inside.append((number, self.world.now, used))
            self.running += 1
            self.busiest = max(self.busiest, self.running)
            self.world.at(self.world.now + lasts, lambda: self.goes(ticket, used))

        flow = self.book.enter(need, now, None if deadline is None else now + deadline)
        self.world.start(now, flow, came)

    def goes(self, ticket: Ticket, used: int) -> None:
        self.running -= 1
        self.book.settle(ticket, used)

    @property
    def times(self) -> list[float]:
        return [at for _, at, _ in self.inside]


CALLS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.1, 1.0, 7.5, 30.0, 61.0]),
        st.integers(1, 40),
        st.sampled_from([0.0, 0.3, 5.0, 70.0]),
        st.floats(0, 1),
    ),
    max_size=40,
)


@settings(max_examples=30)
@given(calls=CALLS, requests=st.integers(1, 6), tokens=st.integers(40, 100), most=st.integers(1, 4))
def test_never_more_than_the_limits_in_any_minute(calls: Any, requests: int, tokens: int, most: int) -> None:
    exact = [(gap, need, lasts, int(need * share)) for gap, need, lasts, share in calls]
    played = Played(book(requests, tokens, most), exact)
    assert len(played.inside) == len(calls), "all come in in the end"
    assert [n for n, _, _ in played.inside] == sorted(n for n, _, _ in played.inside), "in the order in which they came"
    assert played.busiest <= most
    for _, start, _ in played.inside:
        window = [used for _, at, used in played.inside if start <= at < start + 60]
        assert len(window) <= requests
        assert sum(window) <= tokens
    assert (played.book.running, played.book.waiting) == (0, 0)


@settings(max_examples=25)
@given(calls=CALLS, deadline=st.sampled_from([0.5, 10.0, 59.0, 100.0]))
def test_nobody_waits_past_a_deadline_and_the_hopeless_not_at_all(calls: Any, deadline: float) -> None:
    exact = [(gap, need, 1.0, need) for gap, need, _, _ in calls]
    arrivals = [sum(gap for gap, *_ in exact[: n + 1]) for n in range(len(exact))]
    played = Played(book(requests=3), exact, deadline)
    assert len(played.inside) + len(played.refused) == len(calls)
    for number, at, _ in played.inside:
        assert at - arrivals[number] < deadline
    for number, failed, at in played.refused:
        assert at == pytest.approx(arrivals[number]), "rates are known: it is said at once"
        assert failed.retry_after is not None
        assert failed.retry_after >= deadline


def test_the_line_moves_as_soon_as_there_is_room() -> None:
    played = Played(book(requests=2), [(0, 1, 0, 1)] * 5)
    assert played.times == [0, 0, 60, 60, 120]
    played = Played(book(concurrency=1), [(0, 1, 5, 1)] * 3)
    assert played.times == [0, 5, 10]


def test_tokens_that_were_not_used_are_given_back_at_once() -> None:
    played = Played(book(tokens=100), [(0, 80, 2, 20), (0, 80, 2, 20), (0, 60, 0, 60)])
    assert played.times == [0, 2, 4]


def test_more_than_was_thought_counts_too() -> None:
    played = Played(book(tokens=100), [(0, 10, 1, 95), (2, 10, 1, 10)])
    assert played.times == [0, 60]


def test_one_who_leaves_the_line_lets_the_next_one_move_up() -> None:
    made = book(concurrency=1)
    first = made.enter(1, 0.0, None)
    with pytest.raises(StopIteration) as stop:
        next(first)
    second, third = made.enter(1, 0.0, None), made.enter(1, 0.0, None)
    asked, then = next(second), next(third)
    assert isinstance(then, Ask)
    second.close()
    assert then.function.__self__.rung, "the one behind is told"  # type: ignore[attr-defined]
    assert made.waiting == 1
    made.settle(stop.value.value)
    assert isinstance(third.send(None), Now)
    with pytest.raises(StopIteration):
        third.send(1.0)
    assert (made.running, made.waiting) == (1, 0)
    assert isinstance(asked, Ask)


def test_a_full_house_is_waited_for_until_the_deadline() -> None:
    played = Played(book(concurrency=1), [(0, 1, 100, 1), (0, 1, 0, 1)], deadline=5)
    ((number, failed, at),) = played.refused
    assert (number, at, failed.limit, failed.retry_after) == (1, 5, "max_concurrency", None)
    assert "max_concurrency=1" in str(failed)


def test_what_can_never_go_is_said_at_once() -> None:
    with pytest.raises(LimitError, match="tokens_per_minute=100") as caught:
        next(book(tokens=100).enter(101, 0.0, None))
    assert caught.value.limit == "tokens_per_minute"


def test_the_log_stays_small() -> None:
    window = Window(1_000_000)
    for n in range(60_000):
        window.take(1, n / 1000)
    assert len(window._log) <= 201
    assert window.used == 60_000


def test_what_is_long_past_is_not_corrected() -> None:
    window = Window(10)
    entry = window.take(8, 0)
    assert window.ready_in(10, 60) == 0
    window.change(entry, -8)
    assert window.used == 0
    assert window.ready_in(11, 60) == 60, "no sooner than two minutes' worth"


def test_a_line_of_thousands_is_quick() -> None:
    began = time.perf_counter()
    played = Played(book(requests=1000), [(0, 1, 0, 1)] * 3000)
    assert sorted(set(played.times)) == [0, 60, 120]
    assert time.perf_counter() - began < 1.5


# ---- what the provider says


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("6m0s", 360), ("1h2m3.5s", 3723.5), ("120ms", 0.12), ("17", 17), ("2025-11-22T12:00:30Z", 30),
     ("2025-11-22T11:00:00Z", 0), ("soon", None), ("", None), (None, None)],
)  # fmt: skip
def test_resets(text: str | None, seconds: float | None) -> None:
    assert seconds_until(text, 1_763_812_800.0) == (None if seconds is None else pytest.approx(seconds))


def test_both_families_of_headers() -> None:
    openai = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-limit-requests": "60", "x-ratelimit-reset-requests": "60s",
              "x-ratelimit-remaining-tokens": "500", "x-ratelimit-reset-tokens": "6m0s"}  # fmt: skip
    found = quotas(openai, 100.0, 0.0)
    assert found["requests"].ready_in(1, 100) == pytest.approx(1), "it fills evenly: one a second"
    assert found["tokens"].ready_in(500, 100) == 0
    assert found["tokens"].ready_in(501, 100) == 360
    anthropic = {"anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-limit": "1000",
                 "anthropic-ratelimit-tokens-reset": "2025-11-22T12:00:10Z"}  # fmt: skip
    assert quotas(anthropic, 5.0, 1_763_812_800.0)["tokens"].ready_in(500, 5) == pytest.approx(5)
    assert quotas({"x-ratelimit-remaining-requests": "many", "x-ratelimit-reset-requests": "1s"}, 0, 0) == {}


def test_input_and_output_tokens_apart(world: World, server: Server) -> None:
    """What is left of both together says nothing where one of them is used up."""
    name = "anthropic-ratelimit-{}tokens-{}"
    whole = {name.format("", "limit"): "120000", name.format("", "remaining"): "99000", name.format("", "reset"): "1s"}
    for kind in ("input_tokens", "output_tokens"):
        part = kind.replace("_", "-").replace("tokens", "")
        split = {
            name.format(part, "limit"): "20000",
            name.format(part, "remaining"): "0",
            name.format(part, "reset"): "0.05",
        }
        found = quotas({**whole, **split}, 0.0, 0.0)
        assert (found["tokens"].ready_in(9, 0), found[kind].ready_in(20000, 0)) == (0, 0.05)  # type: ignore[index]
        route = server.route(plain(headers={**whole, **split, name.format(part, "limit"): "1"}), plain())
        one, two = world.calls(chat(route, max_tokens=4000).with_limits(), 2)
        assert (one.attempts[0].waited, two.attempts[0].waited > 0) == (0, True)


def test_what_one_call_takes_of_each_part() -> None:
    """A long prompt is held up by what is left for input, and not by what is left for output, nor for `max_tokens`."""
    limiter = Limiter()
    for kind, left, waits in (
        ("input_tokens", 100, True),
        ("input_tokens", 9000, False),
        ("output_tokens", 100, False),
    ):
        list(limiter.learn({kind: Quota(left, 10_000, 60.0, 0.0)}, 0.0, 0.0))  # type: ignore[dict-item]
        entering = limiter.enter(Need.of(8000, 4000, 50), 0.0, None)
        try:
            effect: Any = next(entering)
        except StopIteration as stop:
            assert not waits
            limiter.abandon(stop.value, None)
        else:
            assert waits
            assert isinstance(effect, Ask)
            entering.close()


def test_minus_one_of_minus_one_is_no_limit() -> None:
    told = {"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-limit-tokens": "-1", "x-ratelimit-reset-tokens": "60s"}
    assert quotas(told, 0.0, 0.0) == {}


def test_a_quota_is_used_up_by_what_goes_out() -> None:
    quota = Quota(2, None, 10, 0)
    quota.take(2, 0)
    assert quota.ready_in(1, 0) == 10
    assert quota.ready_in(1, 10) == 0
    filling = Quota(30, 60, 30, 0)  # one a second
    filling.take(30, 0)
    assert filling.ready_in(1, 0) == 1
    filling.take(1, 1)
    assert filling.ready_in(1, 1) == 1


def test_the_next_call_waits_instead_of_failing(world: World, server: Server) -> None:
    for headers in (
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "40ms"},
        {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-limit-tokens": "9", "x-ratelimit-reset-tokens": "40ms"},
    ):
        route = server.route(plain(headers=headers), plain())
        one, two = world.calls(chat(route).with_limits(), 2)
        assert one.attempts[0].waited == 0
        assert two.attempts[0].waited > 0
        assert route.requests[1].time - route.requests[0].time >= 0.035


def test_a_retry_after_holds_for_all_calls(server: Server) -> None:
    route = server.route(error(429, headers={"retry-after": "0.1"}), plain())
    limiter = Limiter()
    with pytest.raises(RateLimitError):
        chat(route).with_limits(shared=limiter)("hi")
    message = chat(route, temperature=0).with_limits(shared=limiter)("hi")
    assert message.attempts[0].waited >= 0.05
    assert route.requests[1].time - route.requests[0].time >= 0.09


# ---- estimates


def test_estimates() -> None:
    short = Call(model="m", messages=(HumanMessage("hi"),))
    assert input_tokens(short) == 5
    assert input_tokens(Call(model="m", messages=(SystemMessage("x" * 400), HumanMessage("y" * 40)))) == 118
    assert input_tokens(Call(model="m", messages=(HumanMessage("語" * 100),))) == 104
    pictured = HumanMessage(["what?", Image(url="https://x/y.png")])
    assert 700 < input_tokens(Call(model="m", messages=(pictured,))) < 1200
    assert output_tokens(Call(model="m", messages=(), settings=Settings(max_tokens=50, n=2)), 9.0) == 100
    assert output_tokens(short, 9.0) == 9


@given(st.text(st.characters(exclude_categories=())))
def test_text_is_estimated_by_its_characters(text: str) -> None:
    """As the rule is written down, one by one."""
    weights = [1 if (c := ord(char)) < 0x80 else 2 if c < 0x2E80 else 4 if c < 0x10000 else 8 for char in text]
    assert estimate_text(text) == -(-sum(weights) // 4)


def test_the_estimate_is_corrected_by_the_answer(server: Server) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
    model = chat(server.route(plain(body(usage=usage)))).with_limits(tokens_per_minute=1000)
    late = model.with_timeouts(total=1)
    for _ in range(9):
        late("hi", max_tokens=800)
    model.with_timeouts(total=1)("x" * 2800, max_tokens=100)
    with pytest.raises(LimitError, match="tokens_per_minute=1000"):
        late("hi", max_tokens=801)


def test_how_long_answers_are_is_learned(server: Server) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 300, "total_tokens": 305}
    late = chat(server.route(plain(body(usage=usage)))).with_limits(tokens_per_minute=900).with_timeouts(total=1)
    late("hi")
    late("hi")
    with pytest.raises(LimitError, match="tokens_per_minute"):
        late("hi")


def test_what_never_arrived_costs_nothing(server: Server) -> None:
    nowhere = chat("http://127.0.0.1:9/v1").with_limits(requests_per_minute=1, tokens_per_minute=100)
    refused = chat(server.route(error(400))).with_limits(tokens_per_minute=100).with_timeouts(total=1)
    for _ in range(3):
        for model in (nowhere, refused):
            with pytest.raises(ChatModelError) as caught:
                model("hi", max_tokens=60)
            assert not isinstance(caught.value, LimitError)


# ---- over sockets


def test_limits_are_shared_by_the_models_made_from_one(server: Server) -> None:
    route = server.route(plain())
    model = chat(route).with_limits(requests_per_minute=2).with_timeouts(total=1)
    model("a")
    model.with_settings(temperature=0)("b")
    with pytest.raises(LimitError, match="requests_per_minute=2"):
        model.with_model("other")("c")
    assert len(route.requests) == 2


def test_the_local_limit_is_said_to_be_one_and_is_not_tried_again(world: World, server: Server) -> None:
    route = server.route(plain())
    model = chat(route, max_retries=3).with_limits(requests_per_minute=1).with_timeouts(total=1)
    _, failed = world.calls(model, 2)
    assert isinstance(failed, LimitError)
    assert (failed.limit, failed.retryable, failed.provider) == ("requests_per_minute", False, "openai")
    assert [a.outcome for a in failed.attempts] == ["LimitError"]
    assert str(failed) == str(pickle.loads(pickle.dumps(failed)))
    found = world.read(model)
    assert isinstance(found.error, LimitError)


def test_another_model_takes_over_where_the_limit_leaves_no_room(server: Server) -> None:
    other = chat(server.route(either("b")))
    model = (
        chat(server.route(either("a"))).with_limits(requests_per_minute=1).with_timeouts(total=1).with_fallback(other)
    )
    assert [model("hi").text, model("hi").text] == ["a", "b"]
    both = model.with_fallback(other.with_limits(requests_per_minute=1), on=[LimitError, FallbackError])
    assert both("hi").text == "b"


def busiest(route: Any, server: Server) -> Any:
    """A script that notes how many are under way."""
    lock, now, most = threading.Lock(), [0], [0]

    def script(exchange: Any) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        exchange.wait(0.02)
        with lock:
            now[0] -= 1
        plain()(exchange)

    route.scripts = (script,)
    return most


def test_concurrency_over_a_batch_and_threads_and_loops_at_once(server: Server) -> None:
    route = server.route()
    most = busiest(route, server)
    limiter = Limiter(max_concurrency=3)
    model = chat(route).with_limits(shared=limiter)

    async def several() -> None:
        await asyncio.gather(*(model.ainvoke("hi") for _ in range(6)))

    async def in_trio() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(model.ainvoke, "hi")

    threads = [
        threading.Thread(target=lambda: model.batch(["hi"] * 6)),
        threading.Thread(target=lambda: [model("hi") for _ in range(3)]),
        threading.Thread(target=lambda: asyncio.run(several())),
        threading.Thread(target=lambda: trio.run(in_trio)),
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(route.requests) == 21
    assert most == [3]
    assert (limiter.running, limiter.waiting) == (0, 0)


def test_a_place_comes_back_when_a_stream_is_left_or_fails_or_ends(world: World, server: Server) -> None:
    for script in (sse(wire("a", "b"), gap=0.01), sse(wire("a")[:1]), error(500), raw(b""), sse(wire("a"))):
        limiter = Limiter(max_concurrency=1)
        world.read(chat(server.route(script)).with_limits(shared=limiter), most=1)
        assert (limiter.running, limiter.waiting) == (0, 0)


async def test_a_place_comes_back_when_a_task_is_cancelled(server: Server) -> None:
    limiter = Limiter(max_concurrency=1)
    route = server.route(silent(5))
    model = chat(route).with_limits(shared=limiter)
    inside = asyncio.create_task(model.ainvoke("hi"))
    waiting = asyncio.create_task(model.ainvoke("hi"))
    await asyncio.to_thread(route.wait_for_requests, 1)
    assert (limiter.running, limiter.waiting) == (1, 1)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert (limiter.running, limiter.waiting) == (1, 0)
    inside.cancel()
    await asyncio.wait([inside])
    assert limiter.running == 0


def test_the_wait_is_booked(server: Server) -> None:
    route = server.route(plain(after=0.08))
    model = chat(route).with_limits(max_concurrency=1)
    began = time.monotonic()
    one, two = sorted((m.attempts[0] for m in model.batch(["a", "b"])), key=lambda a: a.waited)
    took = time.monotonic() - began
    assert (one.waited, two.waited >= 0.03) == (0, True)
    assert two.seconds is not None
    assert two.waited + two.seconds <= took, "the wait is not a part of the try"


def test_in_a_pickle_and_in_a_fork_they_begin_anew(server: Server) -> None:
    limiter = Limiter(requests_per_minute=5, max_concurrency=2)
    again = pickle.loads(pickle.dumps(ChatModel("local").with_limits(shared=limiter)))._config.layers[0].limiter
    assert repr(again) == repr(limiter)
    assert (again.requests_per_minute, again.max_concurrency) == (5, 2)
    route = server.route(plain())
    model = chat(route).with_limits(requests_per_minute=1).with_timeouts(total=1)
    model("hi")
    book_lock = model._config.layers[0].limiter._book._lock  # type: ignore[union-attr]
    book_lock.acquire()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12 on, where there are threads
        pid = os.fork()
    if not pid:
        code = 3
        try:
            model("hi")
            code = 0
        finally:
            os._exit(code)
    book_lock.release()
    assert os.waitpid(pid, 0)[1] == 0
    assert len(route.requests) == 2


def test_wrong_arguments() -> None:
    model = ChatModel("local")
    for wrong in (
        {"requests_per_minute": 0},
        {"tokens_per_minute": 1.5},
        {"max_concurrency": True},
        {"shared": 7},
        {"shared": "http://x"},
        {"shared": Limiter(), "max_concurrency": 1},
    ):
        with pytest.raises(UsageError):
            model.with_limits(**wrong)
    for numbers in ({"requests_per_minute": "9"}, {"tokens_per_minute": 0}, {"max_concurrency": 0}):
        with pytest.raises(UsageError, match=next(iter(numbers))):
            Limiter(**numbers)  # type: ignore[arg-type]


def test_without_the_redis_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"pip install 'chatmodels\[redis\]'"):
        ChatModel("local").with_limits(shared="redis://x")
