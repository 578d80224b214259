"""Usage tracking and budgets over real sockets: whatever way a call is made, it is seen once; a full budget sends nothing."""

from __future__ import annotations

import asyncio
import pickle
import threading
from typing import Any

import pytest

from chatmodels import Budget, BudgetExceeded, ChatModelError, IncompleteStream, Usage, UsageError, track_usage
from chatmodels.caches import InMemoryCache
from chatmodels.callbacks import get_openai_callback
from chatmodels.prices import Price, Prices

from .conftest import World, chat
from .servers import TEXT, Server, answer, either, error, event, events, plain, raw, silent, sse

pytestmark = pytest.mark.clock

PRICES = Prices({"gpt-4o-mini": Price(input=1.0, output=10.0)})
#: The servers' answer: 8 in, 5 out.
EACH = (8 * 1.0 + 5 * 10.0) / 1_000_000


def test_every_way_to_call_is_seen_once(server: Server, world: World) -> None:
    model_url = server.route(either(TEXT)).url
    model = chat(model_url)
    with track_usage(prices=PRICES) as usage:
        world.call(model)
        assert world.read(model).error is None
        world.batch(model, ["a", "b", "c"])
        world.call(chat(model_url, streaming=True))
    assert (usage.calls, usage.errors, usage.tries, usage.cache_hits) == (6, 0, 6, 0)
    assert (usage.usage.input_tokens, usage.usage.output_tokens, usage.total_tokens) == (48, 30, 78)
    assert usage.cost.total == pytest.approx(6 * EACH)
    assert list(usage.by_model) == [("openai", "gpt-4o-mini")]
    world.call(model)
    assert usage.calls == 6  # the block has ended


def test_typed_answers_and_tool_loops_are_seen(server: Server) -> None:
    function = {"name": "add", "arguments": '{"a": 1, "b": 2}'}
    asked = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": function}],
    }
    call = answer(choices=[{"index": 0, "message": asked, "finish_reason": "tool_calls"}])
    route = server.route(plain(call), plain(answer("3")))

    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    with track_usage(prices=PRICES) as usage:
        chat(route).with_tools(add).run_tools("1+2?")
    assert usage.calls == len(route.requests) == 2
    route = server.route(plain(answer("no json")), plain(answer('{"value": 7}')))
    with track_usage(prices=PRICES) as usage:
        assert chat(route).with_output(int, attempts=2)("seven") == 7
    assert usage.calls == len(route.requests) == 2
    assert usage.cost.total == pytest.approx(2 * EACH)


def test_tries_errors_and_what_failed_tries_took(server: Server) -> None:
    again = chat(server.route(error(500), plain()), max_retries=2).with_retry(base=0.001)
    broken = chat(server.route(error(400)))
    with track_usage() as usage:
        again("hi")
        with pytest.raises(ChatModelError):
            broken("hi")
    assert (usage.calls, usage.errors, usage.tries) == (2, 1, 3)
    one = usage.by_model["openai", "gpt-4o-mini"]
    assert one.failed == 2
    assert one.usage.input_tokens == 8


def test_a_cut_stream_and_a_left_one_are_booked_as_estimates(server: Server, world: World) -> None:
    pieces = [event({"role": "assistant", "content": "one two three four"}), event({"content": "five"})]
    cut = chat(server.route(sse(pieces)))
    with track_usage(prices=PRICES) as usage:
        assert isinstance(world.read(cut).error, IncompleteStream)
    assert (usage.calls, usage.errors) == (1, 1)
    assert usage.usage.estimated
    assert usage.usage.output_tokens == 6  # the text that came: 22 characters
    assert usage.cost.estimated
    left = chat(server.route(sse(pieces, end=False)))
    with track_usage(prices=PRICES) as usage:
        world.read(left, most=1)
    assert (usage.calls, usage.errors, usage.usage.estimated) == (1, 0, True)
    assert (usage.usage.output_tokens or 0) >= 5


def test_a_cancelled_call_is_booked(server: Server) -> None:
    route = server.route(silent())

    async def go() -> Any:
        with track_usage(prices=PRICES) as usage:
            task = asyncio.create_task(chat(route).ainvoke("hi"))
            await asyncio.to_thread(route.wait_for_requests, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return usage

    usage = asyncio.run(go())
    assert (usage.calls, usage.tries, usage.usage.estimated) == (1, 1, True)
    assert usage.usage.input_tokens > 0


def test_a_cache_hit_takes_nothing(server: Server) -> None:
    model = chat(server.route()).with_cache(InMemoryCache())
    with track_usage(prices=PRICES, max_calls=1) as usage:
        model("hi")
        assert model("hi").from_cache  # a full budget does not stand in its way
    assert (usage.calls, usage.cache_hits, usage.tries, usage.total_tokens) == (2, 1, 1, 13)


def test_blocks_nest_and_threads_join(server: Server) -> None:
    model = chat(server.route())
    with track_usage() as outer:
        model("hi")
        with track_usage() as inner:
            model("hi")

        def elsewhere() -> None:
            model("hi")  # a thread of one's own has a context of its own
            with outer.here():
                model("hi")

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert (outer.calls, inner.calls) == (3, 1)
    assert outer.total_tokens == 3 * 13


def test_models_are_told_apart_and_an_unknown_price_is_none(server: Server) -> None:
    route = server.route(plain(answer(model="secret")))
    with track_usage(prices=PRICES) as usage:
        chat(server.route())("hi")
        chat(route, model="secret")("hi")
    assert sorted(usage.by_model) == [("openai", "gpt-4o-mini"), ("openai", "secret")]
    assert usage.cost.total is None
    assert "secret" in (usage.cost.reason or "")
    assert usage.known_cost == pytest.approx(EACH)
    assert "cost=unknown" in repr(usage)


def test_a_fallback_books_both_models(server: Server) -> None:
    other = chat(server.route(plain(answer(model="gpt-4o"))), model="gpt-4o")
    model = chat(server.route(error(503))).with_fallback(other)
    with track_usage() as usage:
        model("hi")
    assert (usage.calls, usage.errors, usage.tries) == (1, 0, 2)
    assert usage.by_model["openai", "gpt-4o-mini"].failed == 1
    assert usage.by_model["openai", "gpt-4o"].usage.input_tokens == 8


def test_the_callback_of_2023(server: Server) -> None:
    model = chat(server.route(either(TEXT)))
    with get_openai_callback() as cb:
        model("hi")
        for _ in model.stream("hi"):
            pass
        with pytest.raises(ChatModelError):
            chat(server.route(error(400)))("hi")
    assert (cb.total_tokens, cb.prompt_tokens, cb.completion_tokens, cb.successful_requests) == (26, 16, 10, 2)
    assert cb.total_cost == pytest.approx(2 * (8 * 0.15 + 5 * 0.60) / 1_000_000)  # OpenAI's price of gpt-4o-mini
    assert "Successful Requests: 2" in str(cb)


# ---- budgets


def test_a_budget_stops_before_the_call(server: Server, world: World) -> None:
    route = server.route(either(TEXT))
    model = chat(route, max_tokens=5)
    needed = model.count_tokens("hi").value + 5
    with track_usage(max_tokens=13 + needed) as usage:
        world.call(model)
        world.call(model)  # 13 are spent, and what is needed fits exactly
        with pytest.raises(BudgetExceeded) as caught:
            world.call(model)
        assert isinstance(world.read(model).error, BudgetExceeded)
    assert len(route.requests) == 2
    stopped = caught.value
    assert (stopped.limit, stopped.allowed, stopped.spent, stopped.needed) == ("max_tokens", 13 + needed, 26, needed)
    assert not stopped.retryable
    assert (usage.calls, usage.tries) == (4, 2)
    assert pickle.loads(pickle.dumps(stopped)).limit == "max_tokens"


def test_a_budget_in_money_is_shared_by_models(server: Server) -> None:
    budget = Budget(max_cost=3 * EACH, prices=PRICES)
    one = chat(server.route(), max_tokens=5).with_budget(budget)
    two = chat(server.route(), max_tokens=5).with_budget(budget)
    one("hi")
    two("hi")
    assert budget.cost == pytest.approx(2 * EACH)
    for model in (one, two):
        with pytest.raises(BudgetExceeded, match="max_cost") as caught:
            model.with_settings(max_tokens=20)("hi")
        assert caught.value.limit == "max_cost"
    assert budget.calls == 2


def test_retries_count_and_refused_ones_are_free(server: Server) -> None:
    route = server.route(error(500), error(500), plain())
    budget = Budget(max_calls=2, max_tokens=1000)
    with pytest.raises(BudgetExceeded):
        chat(route, max_retries=3).with_retry(base=0.001).with_budget(budget)("hi")
    assert len(route.requests) == budget.calls == 2
    assert budget.tokens == 0


def test_what_a_provider_may_have_billed_stays_booked(server: Server) -> None:
    budget = Budget(max_tokens=1000)
    with pytest.raises(ChatModelError):
        chat(server.route(raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", "fin")), max_tokens=5).with_budget(
            budget
        )("hi")
    assert budget.tokens >= 5
    budget = Budget(max_tokens=1000)
    with chat(server.route(sse(events("a", "b")))).with_budget(budget).stream("hi") as answered:
        for _ in answered:
            pass
    assert budget.tokens == 13


def test_threads_do_not_overdraw(server: Server) -> None:
    route = server.route(plain(after=0.01))
    budget = Budget(max_calls=5)
    results = chat(route).with_budget(budget).batch(["hi"] * 20, max_concurrency=10, errors="return")
    assert sum(isinstance(r, BudgetExceeded) for r in results) == 15
    assert len(route.requests) == budget.calls == 5


def test_what_is_under_way_is_set_aside(server: Server) -> None:
    model = chat(server.route(), max_tokens=5)
    each = model.count_tokens("hi").value + 5
    budget = Budget(max_tokens=2 * each, max_cost=1, prices=PRICES)
    first, _ = [budget.reserve(model._call("hi"), "openai") for _ in range(2)]
    with pytest.raises(BudgetExceeded):
        budget.reserve(model._call("hi"), "openai")
    budget.settle(first, None, free=True)
    budget.reserve(model._call("hi"), "openai")


def test_what_an_answer_takes_is_the_mean_of_those_that_have_ended(server: Server) -> None:
    """Tries under way, and refused ones, would pull it down, and the budget would let too many go."""
    model = chat(server.route())
    budget = Budget(max_tokens=10_000)
    first, refused, *_ = [budget.reserve(model._call("hi"), "openai") for _ in range(10)]
    budget.settle(first, Usage(input_tokens=8, output_tokens=1000), free=False)
    budget.settle(refused, None, free=True)
    assert budget.reserve(model._call("hi"), "openai").usage.output_tokens == 1000
    again = pickle.loads(pickle.dumps(budget))
    assert again.reserve(model._call("hi"), "openai").usage.output_tokens == 1000


def test_one_budget_on_model_context_and_fallback_counts_once(server: Server) -> None:
    budget = Budget(max_calls=10)
    base = chat(server.route(error(503))).with_budget(budget)
    other = chat(server.route()).with_budget(budget)
    base.with_budget(budget).with_fallback(other)("hi")
    assert budget.calls == 2
    with track_usage(max_calls=1) as usage, pytest.raises(BudgetExceeded):
        base.with_fallback(chat(server.route()))("hi")  # the second model is a second try
    assert usage.tries == 1


def test_wrong_budgets_are_named(server: Server) -> None:
    model = chat(server.route())
    for make, argument in [
        (lambda: Budget(), "max_cost"),
        (lambda: Budget(max_calls=-1), "max_calls"),
        (lambda: Budget(max_cost=float("nan")), "max_cost"),
        (lambda: model.with_budget(3), "budget"),
        (lambda: model.with_budget(Budget(max_calls=1), max_calls=2), "budget"),
    ]:
        with pytest.raises(UsageError) as caught:
            make()
        assert caught.value.argument == argument
    with pytest.raises(UsageError, match="needs the price") as unknown:
        chat(server.route(), model="secret").with_budget(max_cost=1)("hi")
    assert unknown.value.argument == "max_cost"


def test_a_budget_pickles_with_what_is_spent(server: Server) -> None:
    budget = Budget(max_calls=2)
    model = chat(server.route()).with_budget(budget)
    model("hi")
    again = pickle.loads(pickle.dumps(budget))
    assert repr(again) == repr(budget) == "Budget(calls 1 of 2)"
    again.reserve(model._call("hi"), "openai")
    with pytest.raises(BudgetExceeded):
        again.reserve(model._call("hi"), "openai")


def test_a_stream_that_broke_before_a_fallback_is_booked_too(server: Server) -> None:
    cut = chat(server.route(sse([event({"role": "assistant", "content": "one two"})])))
    model = cut.with_fallback(chat(server.route(sse(events(TEXT))), model="gpt-4o"))
    with track_usage() as usage, model.stream("hi") as stream:
        for _ in stream:
            pass
    assert usage.by_model["openai", "gpt-4o"].usage.output_tokens == 5
    broken = usage.by_model["openai", "gpt-4o-mini"]
    assert (broken.failed, broken.usage.estimated) == (1, True)
    assert (broken.usage.input_tokens or 0) > 0


def test_a_hedged_try_asks_the_budget_too(server: Server) -> None:
    budget = Budget(max_calls=5)
    model = chat(server.route(plain(after=5), plain())).with_budget(budget)
    with track_usage() as usage:
        model.with_hedge(after=0.02)("hi")
    assert budget.calls == usage.tries == 2
