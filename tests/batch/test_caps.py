"""Caps on what a batch may spend, where calls cost very differently and what they cost may not be known."""

from __future__ import annotations

import itertools

import pytest

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
