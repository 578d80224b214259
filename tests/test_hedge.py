"""Hedging: a second try beside a silent first one; the first to answer wins, the other's connection is closed, both are booked."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading
import time
from typing import Any

import pytest

from chatmodels import ChatModel, DeadlineError, IncompleteStream, OverloadedError, UsageError, track_usage
from chatmodels._calls import call_flow
from chatmodels._flow import Ask, Flow, Send
from chatmodels._hedge import Hedge, Hold, Lane, Race, Runners, Watch
from chatmodels.control import Limiter
from chatmodels.control._race import RUNNERS
from chatmodels.control._threads import begin

from .conftest import World, chat
from .servers import Server, either, error, event, events, plain, raw, silent, sse
from .servers import answer as body
from .test_retry import OK, Play

pytestmark = pytest.mark.clock


def outcomes(message: Any) -> list[str]:
    assert [a.number for a in message.attempts] == list(range(1, len(message.attempts) + 1))
    return [a.outcome for a in message.attempts]


def test_the_first_to_answer_wins_and_the_other_is_closed(world: World, server: Server) -> None:
    route = server.route(silent(9), plain(body("second")))
    message = world.call(chat(route).with_hedge(after=0.02))
    assert message.text == "second"
    assert outcomes(message) == ["cancelled", "ok"]
    lost, won = message.attempts
    assert (lost.provider, lost.usage, won.usage is not None) == ("openai", None, True)
    assert lost.seconds >= 0.02
    assert route.wait_left() - route.requests[1].time < 2
    assert len(route.requests) == 2


def test_the_first_stream_that_begins_wins(world: World, server: Server) -> None:
    head = event({"role": "assistant", "content": ""})
    route = server.route(sse([head], gap=0, end=False), sse(events("sec", "ond")))
    found = world.read(chat(route).with_hedge(after=0.02))
    assert (found.error, found.texts) == (None, ["sec", "ond"])
    message = found.stream.message
    assert (message.text, message.finish_reason) == ("second", "stop")
    assert outcomes(message) == ["cancelled", "ok"]
    assert [a.request_id for a in message.attempts] == ["req_1", "req_1"]
    route.wait_left()


def test_a_quick_answer_is_not_hedged(server: Server) -> None:
    world = World("sync")
    route = server.route(either("a", "b"))
    model = chat(route).with_hedge(after=5)
    assert outcomes(world.call(model)) == ["ok"]
    assert world.read(model).texts == ["a", "b"]
    assert len(route.requests) == 2


@pytest.mark.parametrize("name", ["sync", "asyncio"])
def test_an_answer_that_has_begun_is_not_hedged(name: str, server: Server) -> None:
    world = World(name)
    data = b'{"choices": [{"message": {"role": "assistant", "content": "slow"}, "finish_reason": "stop"}]}'

    def script(exchange: Any) -> None:
        exchange.head(200, {"content-type": "application/json", "content-length": str(len(data))})
        exchange.send(data[:5])
        exchange.wait(0.4)
        exchange.send(data[5:])

    route = server.route(script)
    assert world.call(chat(route).with_hedge(after=0.3)).text == "slow"
    assert len(route.requests) == 1


@pytest.mark.parametrize("name", ["sync", "asyncio"])
def test_the_first_may_still_win(name: str, server: Server) -> None:
    world = World(name)
    route = server.route(plain(body("first"), after=0.2), silent(9))
    message = world.call(chat(route).with_hedge(after=0.02))
    assert message.text == "first"
    assert outcomes(message) == ["cancelled", "ok"]
    route.wait_left()


def test_when_one_fails_the_other_is_waited_for(server: Server) -> None:
    world = World("asyncio")
    route = server.route(plain(body("late"), after=0.3), error(500))
    message = world.call(chat(route).with_hedge(after=0.02))
    assert (message.text, outcomes(message)) == ("late", ["OverloadedError", "ok"])


def test_when_both_fail_the_first_error_has_all_tries(server: Server) -> None:
    world = World("sync")

    def late(exchange: Any) -> None:
        exchange.wait(0.25)
        raw(b"", "rst")(exchange)

    (failed,) = world.calls(chat(server.route(late, error(503))).with_hedge(after=0.02), 1)
    found = world.read(chat(server.route(late, error(503))).with_hedge(after=0.02))
    for one in (failed, found.error):
        assert type(one).__name__ == "TransportError"
        assert outcomes(one) == ["OverloadedError", "TransportError"]


def test_a_failure_before_the_delay_is_raised_at_once(server: Server) -> None:
    world = World("asyncio")
    route = server.route(error(500))
    (failed,) = world.calls(chat(route).with_hedge(after=5), 1)
    assert isinstance(failed, OverloadedError)
    assert isinstance(world.read(chat(route).with_hedge(after=5)).error, OverloadedError)


def test_another_model_may_be_the_second(world: World, server: Server) -> None:
    slow, quick = server.route(silent(9)), server.route(either("other"))
    other = chat(quick, model_name="other", temperature=0.5)
    model = chat(slow).with_hedge(after=0.02, other=other)
    assert world.call(model).text == "other"
    found = world.read(model)
    assert found.text == "other"
    assert [a.model for a in found.stream.message.attempts] == [chat(slow).model, "other"]
    assert [r.json["model"] for r in quick.requests] == ["other"] * 2
    assert quick.requests[0].json["temperature"] == 0.5
    slow.wait_left(2)


def test_most(server: Server) -> None:
    world = World("asyncio")
    route = server.route(silent(9), silent(9), plain(body("third")))
    message = world.call(chat(route).with_hedge(after=0.02, most=2))
    assert (message.text, outcomes(message)) == ("third", ["cancelled", "cancelled", "ok"])
    route.wait_left(2)


def test_retries_are_inside(server: Server) -> None:
    world = World("sync")
    route = server.route(error(500), silent(9), plain(body("third")))
    model = chat(route, max_retries=2).with_retry(base=0).with_hedge(after=0.05)
    found = outcomes(world.call(model))
    assert (sorted(found), found[-1]) == (["OverloadedError", "cancelled", "ok"], "ok")


@pytest.mark.parametrize("name", ["sync", "asyncio"])
def test_a_loser_that_waits_to_try_again_is_given_up(name: str, server: Server) -> None:
    world = World(name)
    route = server.route(error(429, headers={"retry-after": "9"}), plain(body("second")))
    began = time.monotonic()
    message = world.call(chat(route, max_retries=2).with_hedge(after=0.3))
    assert message.text == "second"
    assert time.monotonic() - began < 3
    assert outcomes(message) == ["RateLimitError", "ok"]


def test_the_winner_s_stream_may_break_and_be_left(world: World, server: Server) -> None:
    route = server.route(silent(9), sse(events("a", "b")[:2]))
    found = world.read(chat(route).with_hedge(after=0.02))
    assert isinstance(found.error, IncompleteStream)
    assert found.error.message.text == "a"
    assert outcomes(found.error) == outcomes(found.stream.message) == ["cancelled", "IncompleteStream"]
    route = server.route(silent(9), sse(events(*"abcd"), gap=0.05))
    found = world.read(chat(route).with_hedge(after=0.02), most=1)
    assert found.texts == ["a"]
    assert outcomes(found.stream.message) == ["cancelled", "left"]
    route.wait_left(2)


def test_the_deadline_holds_for_both(server: Server) -> None:
    world = World("asyncio")
    route = server.route(silent(9))
    began = time.monotonic()
    (failed,) = world.calls(chat(route, timeout=0.4).with_hedge(after=0.02), 1)
    assert isinstance(failed, DeadlineError)
    assert time.monotonic() - began < 3
    assert len(outcomes(failed)) == 2
    assert "DeadlineError" in outcomes(failed)


def test_closing_from_another_thread_while_nothing_has_come(server: Server) -> None:
    route = server.route(silent(9))
    stream = chat(route).with_hedge(after=0.02).stream("hi")

    def close() -> None:
        route.wait_for_requests(2)
        time.sleep(0.02)
        stream.close()

    closer = threading.Thread(target=close)
    closer.start()
    assert list(stream) == []
    closer.join()
    route.wait_left(2)
    assert stream.message.finish_reason is None
    assert len(stream.message.attempts) == 2


async def test_cancelling_closes_both(server: Server) -> None:
    route = server.route(silent(9))
    task = asyncio.create_task(chat(route).with_hedge(after=0.02).ainvoke("hi"))
    await asyncio.to_thread(route.wait_for_requests, 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(route.wait_left, 2)


async def test_a_cancelled_stream_has_both_tries(server: Server) -> None:
    route = server.route(silent(9))
    stream = chat(route).with_hedge(after=0.02).astream("hi")
    task = asyncio.create_task(stream.until_done())
    await asyncio.to_thread(route.wait_for_requests, 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(route.wait_left, 2)
    assert outcomes(stream.message) == ["cancelled", "cancelled"]


def test_in_a_batch_with_limits_and_a_fallback(server: Server) -> None:
    limiter = Limiter(max_concurrency=8)
    slow = server.route(silent(9))
    model = chat(slow).with_limits(shared=limiter).with_hedge(after=0.02, other=chat(server.route(error(500))))
    first = model.with_timeouts(total=0.08)
    with pytest.raises(DeadlineError):
        first("hi")
    quick = model.with_timeouts(first_token=0.06).with_fallback(chat(server.route(either("last"))))
    assert [m.text for m in quick.batch(["a", "b"])] == ["last"] * 2
    assert quick.stream("c").until_done().text == "last"
    assert limiter.running == 0


@pytest.mark.parametrize("name", ["sync", "asyncio"])
def test_time_in_the_line_is_not_silence(name: str) -> None:
    """A lane that has sent nothing yet waits for something of ours."""

    def waits() -> Flow[str]:
        yield Ask(time.sleep, (0.1,))
        return "it was its turn"

    def make(number: int) -> Lane:
        assert number == 0, "a second try helps nobody"
        return Lane(waits(), Hold(), Watch(), streams=False)

    race = Race(0.01, make, 2)
    if name == "sync":
        won = RUNNERS.race(race)
    else:
        won = asyncio.run(RUNNERS.arace(race))
    assert won.result == "it was its turn"


def test_what_is_opened_by_a_lane_that_was_just_given_up_is_closed() -> None:
    """The thread of a lane may be between its decision to send and the sending."""

    class Opened:
        aborted = 0

        def abort(self) -> None:
            self.aborted += 1

    def nothing() -> Flow[None]:
        return
        yield

    early, late = Opened(), Opened()
    lane = Lane(nothing(), Hold(), Watch(), streams=False)
    lane.hold.append(early)
    assert early.aborted == 0
    lane.cancel()
    lane.hold.append(late)
    assert (early.aborted, late.aborted) == (1, 1)


def test_closing_the_winner_s_stream_from_another_thread(server: Server) -> None:
    route = server.route(silent(9), sse(events("a", "b")[:2], end=False))
    stream = chat(route).with_hedge(after=0.02).stream("hi")
    seen: list[str] = []
    come = threading.Event()

    def close() -> None:
        come.wait(5)
        time.sleep(0.02)
        stream.close()

    closer = threading.Thread(target=close)
    closer.start()
    for chunk in stream:
        if chunk.text:
            seen.append(chunk.text)
            come.set()
    closer.join()
    assert seen == ["a"]
    assert outcomes(stream.message) == ["cancelled", "left"]
    route.wait_left(2)


def test_each_further_try_has_what_is_left_of_the_time() -> None:
    ends: list[float] = []

    class Clocked(Play):
        def perform(self, effect: Any) -> Any:
            if isinstance(effect, Ask):
                return effect.function(*effect.args)
            if isinstance(effect, Send):
                assert effect.deadline is not None
                ends.append(effect.deadline)
            return super().perform(effect)

    play = Clocked(OK, OK, OK, takes=0)

    def race(given: Race) -> Lane:
        for number in range(given.count):
            lane = given.start(number)
            given.lanes.append(lane)
            lane.result = play.run(lane.flow)
            play.now += given.after
        return given.lanes[-1]

    model = ChatModel("openai:m", base_url="http://x", api_key="k", timeout=10).with_layer(
        Hedge(3, None, 2, Runners(race, race))
    )
    message = play.run(call_flow(model._plan(), model._call("hi")))
    assert ends == [110, 110, 110]
    assert outcomes(message) == ["ok"] * 3


def test_the_threads_of_calls_are_kept_for_the_next_ones(server: Server) -> None:
    """Each call has its own context in them, and none is kept by them."""

    def now() -> set[threading.Thread]:
        return {t for t in threading.enumerate() if t.name == "chatmodels-hedge"}

    model = chat(server.route(either("ok"))).with_hedge(after=60)
    assert model("hi").text == "ok"
    before = now()
    assert before
    for _ in range(20):
        with track_usage() as usage:
            assert model("hi").text == "ok"
        assert usage.calls == 1
    # One that has just answered may not be idle yet when the next call comes: a few are begun, not one for each call.
    assert len(now() - before) < 10


def test_any_number_of_further_tries_costs_nothing_before_they_begin(server: Server) -> None:
    assert chat(server.route(either("ok"))).with_hedge(after=60, most=10**12)("hi").text == "ok"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_a_fork_begins_threads_of_its_own() -> None:
    ended = threading.Event()
    begin(ended.set)
    assert ended.wait(60)
    child = os.fork()
    if not child:
        alone = threading.Event()
        begin(alone.set)
        os._exit(0 if alone.wait(30) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_it_pickles_and_wrong_arguments() -> None:
    model = ChatModel("local")
    again = pickle.loads(pickle.dumps(model.with_hedge(after=1, other=model)))
    assert again._config.layers[0].after == 1
    for wrong in (
        lambda: model.with_hedge(after=-1),
        lambda: model.with_hedge(after="1"),  # type: ignore[arg-type]
        lambda: model.with_hedge(after=1, most=0),
        lambda: model.with_hedge(after=1, other=7),
    ):
        with pytest.raises(UsageError):
            wrong()
