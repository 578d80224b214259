"""Prices: disjoint classes, dates, tiers, tables of one's own; an unknown price is None and says why."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmodels import AIMessage, Budget, Usage, UsageError, track_usage
from chatmodels._usage import Attempt
from chatmodels.prices import Cost, Price, Prices, cost_of, price_of

MILLION = 1_000_000
TABLE = Prices({"m": Price(input=10, output=100, cache_read=1, cache_write=20, cache_write_1h=30)})
counts = st.integers(0, 10**6)


@given(counts, counts, counts, counts, counts)
def test_each_token_is_paid_once(plain: int, read: int, write: int, hour: int, made: int) -> None:
    usage = Usage(
        input_tokens=plain + read + write + hour, output_tokens=made, cache_read_tokens=read,
        cache_write_tokens=write + hour, cache_write_1h_tokens=hour, reasoning_tokens=made // 2,
    )  # fmt: skip
    cost = price_of(usage, "m", prices=TABLE)
    assert cost.input == pytest.approx((plain * 10 + read * 1 + write * 20 + hour * 30) / MILLION)
    assert cost.output == pytest.approx(made * 100 / MILLION)
    assert cost.total == pytest.approx((cost.input or 0) + (cost.output or 0))
    assert cost.cache_read == pytest.approx(read / MILLION)


def test_cached_tokens_are_not_counted_twice_by_the_list_either() -> None:
    """gpt-4o: 2.50 in, 1.25 cached, 10 out; claude-sonnet-4-5: 3, 0.30, 3.75 (5 min), 6 (1 h), 15: the providers' pages."""
    day = date(2026, 11, 1)
    cached = Usage(input_tokens=1000, output_tokens=100, cache_read_tokens=900)
    assert price_of(cached, "gpt-4o", "openai", at=day).total == pytest.approx(
        (100 * 2.5 + 900 * 1.25 + 100 * 10) / MILLION
    )
    usage = Usage(
        input_tokens=10_000, output_tokens=100, cache_read_tokens=900, cache_write_tokens=3000, cache_write_1h_tokens=1000,
        reasoning_tokens=50,
    )  # fmt: skip
    cost = price_of(usage, "claude-sonnet-4-5", "anthropic", at=day)
    assert cost.input == pytest.approx((6100 * 3 + 900 * 0.3 + 2000 * 3.75 + 1000 * 6) / MILLION)
    assert cost.output == pytest.approx(100 * 15 / MILLION)
    assert cost.source is not None
    assert cost.source.startswith("genai-prices")
    assert cost.dated == day


def test_dates_and_tiers_of_the_list() -> None:
    million = Usage(input_tokens=MILLION, output_tokens=0)
    assert price_of(million, "o3", "openai", at=date(2025, 5, 1)).total == pytest.approx(10)
    assert price_of(million, "o3", "openai", at=datetime(2025, 12, 1)).total == pytest.approx(2)
    small, large = (Usage(input_tokens=n, output_tokens=0) for n in (100_000, 300_000))
    assert price_of(small, "gemini-2.5-pro", "google").total == pytest.approx(0.125)
    assert price_of(large, "gemini-2.5-pro", "vertex").total == pytest.approx(0.75)


def test_dates_and_tiers_of_a_table() -> None:
    table = Prices({
        "host:m": [
            Price(input=4, output=1, since=date(2026, 1, 1)), Price(input=2, output=1, since=date(2026, 6, 1)),
            Price(input=8, output=1, since=date(2026, 6, 1), above=1000),
        ],
        "m": Price(input=1, output=1),
    })  # fmt: skip

    def each(tokens: int, at: date, provider: str = "host") -> float | None:
        return price_of(Usage(input_tokens=tokens, output_tokens=0), "m", provider, at=at, prices=table).total

    assert each(1000, date(2026, 5, 31)) == pytest.approx(0.004)
    assert each(1000, date(2026, 6, 1)) == pytest.approx(0.002)
    assert each(1001, date(2026, 6, 1)) == pytest.approx(0.008008)
    assert each(1000, date(2026, 6, 1), "other") == pytest.approx(0.001)
    assert each(1000, date(2025, 1, 1)) is None


@pytest.mark.parametrize(
    ("usage", "model", "said"),
    [
        (None, "gpt-4o", "did not say"),
        (Usage(input_tokens=5), "gpt-4o", "did not say"),
        (Usage(input_tokens=5, output_tokens=5, cache_read_tokens=9, inconsistent=True), "gpt-4o", "contradict"),
        (Usage(input_tokens=5, output_tokens=5), "no-such-model", "does not know openai:no-such-model"),
        (Usage(input_tokens=5, output_tokens=5), None, "no model"),
    ],
)
def test_unknown_is_none_and_says_why(usage: Usage | None, model: str | None, said: str) -> None:
    cost = price_of(usage, model, "openai")
    assert cost.total is None
    assert said in (cost.reason or "")
    total = cost + Cost(total=1.0)
    assert total.total is None
    assert total.reason == cost.reason


def test_without_the_list_the_reason_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    usage = Usage(input_tokens=5, output_tokens=5)
    assert "chatmodels[prices]" in (price_of(usage, "gpt-4o", "openai").reason or "")
    assert price_of(usage, "m", prices=TABLE).total is not None
    assert price_of(usage, "SmolLM2-135M-Instruct", "local").total == 0


def test_an_answer_costs_what_all_its_tries_took() -> None:
    one, two = Usage(input_tokens=10, output_tokens=1), Usage(input_tokens=20, output_tokens=2)
    tries = (
        Attempt(number=1, outcome="IncompleteStream", provider="x", model="m", usage=one),
        Attempt(number=2, outcome="RateLimitError", provider="x", model="m"),
        Attempt(number=3, provider="x", model="deployment-7", usage=two),
    )
    message = AIMessage("hi", provider="x", model="m", usage=two, attempts=tries)
    assert cost_of(message, prices=TABLE).total == pytest.approx((30 * 10 + 3 * 100) / MILLION)
    assert price_of(message, prices=TABLE).total == pytest.approx((20 * 10 + 2 * 100) / MILLION)
    hit = AIMessage("hi", provider="x", model="m", usage=two, attempts=tries, from_cache=True)
    assert cost_of(hit, prices=TABLE).total == 0
    assert cost_of(AIMessage("hi", provider="x", model="m", usage=two), prices=TABLE).total == pytest.approx(0.0004)


def test_a_table_of_something_else_is_named() -> None:
    with pytest.raises(UsageError, match=r"prices\['m'\]") as caught:
        Prices({"m": 3.0})  # type: ignore[dict-item]
    assert caught.value.argument == "prices"


def test_today_is_the_default() -> None:
    usage = Usage(input_tokens=1, output_tokens=1)
    assert price_of(usage, "m", prices=TABLE).dated == datetime.now(UTC).date()


@pytest.mark.parametrize("key", ["m", "openai:m"])
def test_a_table_knows_a_model_by_the_name_that_was_asked_for(key: str) -> None:
    """OpenAI answers "gpt-4o-mini-2024-07-18" to "gpt-4o-mini": the caller's table goes before the list all the same."""
    table = Prices({key: Price(input=1000, output=0)})
    used = Usage(input_tokens=MILLION, output_tokens=0)
    tries = (Attempt(number=1, provider="openai-responses", model="m", usage=used),)
    message = AIMessage("hi", provider="openai-responses", model="gpt-4o-mini-2024-07-18", usage=used, attempts=tries)
    assert cost_of(message, prices=table).total == pytest.approx(1000)
    assert price_of(message, prices=table).total == pytest.approx(1000)
    assert price_of(message, at=date(2026, 11, 1)).total == pytest.approx(0.15)
    exact = Prices({key: Price(input=1000, output=0), "gpt-4o-mini-2024-07-18": Price(input=5, output=0)})
    assert cost_of(message, prices=exact).total == pytest.approx(5)


@pytest.mark.parametrize(
    ("wrong", "argument"),
    [
        (lambda: price_of(3, "m"), "usage"),
        (lambda: price_of(Usage(input_tokens=1), 3), "model"),
        (lambda: price_of(Usage(input_tokens=1), "m", 3), "provider"),
        (lambda: price_of(Usage(input_tokens=1), "m", at="2026-01-01"), "at"),
        (lambda: price_of(Usage(input_tokens=1), "m", prices={"m": Price(input=1, output=1)}), "prices"),
        (lambda: cost_of("an answer"), "message"),
        (lambda: cost_of(AIMessage("x"), prices={}), "prices"),
        (lambda: Price(input=-1, output=1), "input"),
        (lambda: Price(input=1, output="2"), "output"),
        (lambda: Price(input=1, output=1, cache_read=float("nan")), "cache_read"),
        (lambda: Price(input=1, output=1, factors={"batch": -0.5}), "factors"),
        (lambda: Budget(max_cost=1, prices={}), "prices"),
        (lambda: track_usage(prices={}).__enter__(), "prices"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_paid(wrong: Any, argument: str) -> None:
    """A table that only fails when an answer is priced would lose the answer."""
    with pytest.raises(UsageError) as caught:
        wrong()
    assert caught.value.argument == argument


def test_what_each_try_cost_and_their_sum() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    tries = (
        Attempt(number=1, outcome="IncompleteStream", provider="openai", model="one", usage=usage),
        Attempt(number=2, outcome="ConnectError", provider="openai", model="one"),
        Attempt(number=3, provider="openai", model="two", usage=usage),
    )
    answer = AIMessage("Hi", provider="openai", model="two", usage=usage, attempts=tries)
    table = Prices({"one": Price(input=1, output=1), "two": Price(input=2, output=1)})
    first, none, last = (price_of(attempt, prices=table) for attempt in tries)
    assert (first.total, first.estimated, none.total, last.total) == (1, True, None, 2)
    assert cost_of(answer, prices=table).total == 3
