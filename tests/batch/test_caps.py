"""Caps on what a batch may spend, where calls cost very differently and what they cost may not be known."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest

from chatmodels import Budget, ChatModel, track_usage
from chatmodels.batch import run_batch
from chatmodels.prices import Price, Prices

from ..conftest import chat
from ..servers import Exchange, Server, answer, plain

TABLE = Prices({"gpt-4o-mini": Price(input=1.0, output=1.0)})


@pytest.mark.parametrize("cheap_first", [True, False])
def test_a_cap_is_overrun_by_one_call_at_most(server: Server, cheap_first: bool) -> None:
    number = itertools.count(0 if cheap_first else 1)

    def script(exchange: Exchange) -> None:
        made = 10 if next(number) == 0 else 990
        plain(answer(usage={"prompt_tokens": 10, "completion_tokens": made, "total_tokens": made + 10}))(exchange)

    items = [f"item {i}" for i in range(200)]
    summary = run_batch(chat(server.route(script)), items, max_cost=0.0205, prices=TABLE, max_concurrency=50)
    assert summary.stopped == "max_cost"
    early = 4 * 0.001 * cheap_first  # a few were sent when only a cheap one was known
    assert 0.0205 <= (summary.cost or 0) <= 0.0215 + early


def test_an_answer_of_unknown_cost_stops_a_batch_with_a_cap(server: Server) -> None:
    route = server.route(plain(answer(usage=None)))
    summary = run_batch(chat(route), ["a", "b", "c", "d"], max_cost=1.0, prices=TABLE, max_concurrency=1)
    assert summary.stopped == "max_cost"
    assert "not known" in (summary.reason or "")
    assert summary.done == len(route.requests) == 1


@pytest.mark.parametrize("limit", ["max_calls", "max_cost"])
def test_a_models_own_budget_stops_the_batch_and_fails_no_item(server: Server, tmp_path: Path, limit: str) -> None:
    """What a budget sets aside for calls in flight is no reason to stop: the batch waits for them."""
    route, out = server.route(plain(answer("ok"))), tmp_path / "o.jsonl"
    items = [f"item {i}" for i in range(30)]
    each = 13e-6
    limits = {"max_calls": 7.0} if limit == "max_calls" else {"max_cost": 10 * each}
    model = chat(route, max_tokens=20)
    summary = run_batch(model.with_budget(Budget(prices=TABLE, **limits)), items, out=out, max_concurrency=10)  # type: ignore[arg-type]
    assert summary.stopped == "budget"
    assert summary.failed == 0
    assert summary.done == len(route.requests)
    assert summary.done == 7 if limit == "max_calls" else 7 <= summary.done <= 10
    assert limit in (summary.reason or "")
    last = run_batch(model, items, out=out)
    assert (last.done, last.failed, len(route.requests)) == (30, 0, 30)


def test_track_usage_around_a_batch_does_too(server: Server) -> None:
    route = server.route(plain(answer("ok")))
    with track_usage(max_calls=3) as usage:
        summary = run_batch(chat(route), [f"item {i}" for i in range(50)])
    assert (summary.stopped, summary.done, usage.tries, len(route.requests)) == ("budget", 3, 3, 3)


def test_a_batch_prices_by_the_name_that_was_asked_for(server: Server) -> None:
    route = server.route(plain(answer("ok", model="gpt-4o-mini-2024-07-18")))
    summary = run_batch(chat(route), ["a", "b"], prices=TABLE, max_cost=1.0)
    assert (summary.stopped, summary.cost) == (None, pytest.approx(2 * 13e-6))


def test_the_bills_of_a_provider_and_what_has_no_price(server: Server, tmp_path: Path) -> None:
    usage = {"prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 13, "cost": 0.25}
    model = ChatModel("openrouter:nobody/knows", api_key="k", base_url=server.route(plain(answer(usage=usage))).url)
    billed = run_batch(model, [f"i{n}" for n in range(9)], max_cost=1.0, max_concurrency=5)
    assert (billed.stopped, billed.cost, billed.cost_omits) == ("max_cost", 1.0, ())
    searching = chat(server.route(plain(answer(model="gpt-4o-search-preview"))), model="gpt-4o-search-preview")
    table = Prices({"gpt-4o-search-preview": Price(input=1.0, output=1.0)})
    summary = run_batch(searching, ["a", "b"], prices=table, report=tmp_path / "r.html")
    assert summary.cost == pytest.approx(2 * 13e-6)
    assert summary.cost_omits == ("web search(es)",)
    assert "at least $" in str(summary)
    assert "leaves out what has no price: web search(es)" in (tmp_path / "r.html").read_text()


@dataclass
class Named:
    name: str


def test_tries_for_a_typed_answer_count_for_the_cap_and_in_the_summary(server: Server, tmp_path: Path) -> None:
    number, out = itertools.count(1), tmp_path / "o.jsonl"

    def script(exchange: Exchange) -> None:
        plain(answer('{"name": "x"}' if next(number) % 2 == 0 else "no JSON"))(exchange)

    route, items = server.route(script), [f"item {i}" for i in range(30)]
    typed = chat(route).with_output(Named)
    first = run_batch(typed, items, out=out, max_tokens=13 * 20, max_concurrency=1)
    assert (first.stopped, first.done, first.failed, len(route.requests)) == ("max_tokens", 10, 0, 20)
    assert (first.input_tokens, first.output_tokens) == (8 * 20, 5 * 20)
    again = run_batch(typed, items, out=out, max_tokens=13 * 20, max_concurrency=1)
    assert (again.stopped, again.reused, len(route.requests)) == ("max_tokens", 10, 20)
    assert "260 of 260 are spent" in (again.reason or "")
