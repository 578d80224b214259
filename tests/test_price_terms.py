"""Prices by how a call was served: batch APIs, service tiers, places, tools, and the provider's own bill.

The figures are the providers' published ones (US dollars for a million tokens), not the list's.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from chatmodels import AIMessage, Budget, Usage, UsageError, track_usage
from chatmodels._parts import ServerTool, Text
from chatmodels._usage import Attempt
from chatmodels.prices import Cost, Price, Prices, cost_of, price_of

from .conftest import chat
from .servers import Server, answer, plain

M = 1_000_000
DAY = date(2026, 11, 1)
HUNDRED = Usage(input_tokens=100_000, output_tokens=100_000)


def priced(model: str, provider: str, raw: dict[str, Any] | None = None, **how: Any) -> Cost:
    usage = Usage(input_tokens=100_000, output_tokens=100_000, raw=raw)
    return price_of(usage, model, provider, at=DAY, **how)


@pytest.mark.parametrize(
    ("provider", "model", "given", "made"),
    [
        ("openai", "gpt-4o-mini", 0.075, 0.30),
        ("openai-responses", "gpt-5", 0.625, 5.00),
        ("anthropic", "claude-haiku-4-5", 0.50, 2.50),
        ("google", "gemini-2.5-flash", 0.15, 1.25),
        ("mistral", "mistral-small-latest", 0.075, 0.30),
        ("groq", "llama-3.3-70b-versatile", 0.295, 0.395),
        ("azure", "gpt-4o", 1.25, 5.00),
    ],
)
def test_batch_apis_take_half(provider: str, model: str, given: float, made: float) -> None:
    cost = priced(model, provider, batch=True)
    assert cost.input == pytest.approx(given / 10)
    assert cost.output == pytest.approx(made / 10)
    assert "batch" in (cost.source or "")
    answer_ = AIMessage("hi", provider=provider, model=model, usage=HUNDRED)
    assert cost_of(answer_, at=DAY, batch=True).total == pytest.approx(cost.total)


def test_a_discount_from_before_the_list_knew_it_and_what_a_cache_read() -> None:
    """Anthropic halves cache reads and writes too; Google's batches read at the standard price of the cache."""
    assert priced("gpt-4o-mini", "openai", batch=True).total == pytest.approx(0.0375)
    old = price_of(HUNDRED, "gpt-4o-mini", "openai", at=date(2026, 3, 1), batch=True)
    assert old.total == pytest.approx(0.0375)
    assert "0.5 of the standard price" in (old.source or "")
    cached = Usage(input_tokens=M, output_tokens=0, cache_read_tokens=100_000, cache_write_tokens=100_000)
    assert price_of(cached, "claude-haiku-4-5", "anthropic", at=DAY, batch=True).total == pytest.approx(0.4675)
    read = Usage(input_tokens=100_000, output_tokens=0, cache_read_tokens=100_000)
    assert price_of(read, "gemini-2.5-flash", "google", at=DAY, batch=True).total == pytest.approx(0.003)
    unknown = price_of(read, "gemini-2.5-flash", "google", at=date(2026, 3, 1), batch=True)
    assert unknown.total is None
    assert "batch" in (unknown.reason or "")


@pytest.mark.parametrize(
    ("provider", "model", "raw", "total"),
    [
        ("anthropic", "claude-haiku-4-5", {"service_tier": "batch"}, 0.30),
        ("anthropic", "claude-haiku-4-5", {"service_tier": "standard", "inference_geo": "global"}, 0.60),
        ("anthropic", "claude-opus-4-6", {"inference_geo": "us"}, 3.30),
        ("anthropic", "claude-opus-5", {"service_tier": "standard", "speed": "fast"}, 6.00),
        ("google", "gemini-2.5-flash", {"serviceTier": "flex"}, 0.14),
        ("vertex", "gemini-2.5-flash", {"trafficType": "ON_DEMAND_FLEX"}, 0.14),
        ("vertex", "gemini-2.5-flash", {"trafficType": "ON_DEMAND"}, 0.28),
        ("anthropic", "claude-haiku-4-5", {"server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 2}}, 0.63),
    ],
)  # fmt: skip
def test_the_usage_tells_how_it_was_served(provider: str, model: str, raw: dict[str, Any], total: float) -> None:
    assert priced(model, provider, raw).total == pytest.approx(total)


@pytest.mark.parametrize(
    ("provider", "model", "raw", "said"),
    [
        ("anthropic", "claude-opus-4-6", {"service_tier": "priority"}, "priority"),  # sold by commitment
        ("vertex", "gemini-2.5-flash", {"trafficType": "PROVISIONED_THROUGHPUT"}, "provisioned"),
        ("openai", "o1", {"service_tier": "priority"}, "priority"),
        ("openai", "gpt-5", {"service_tier": "something-new"}, "something-new"),
    ],
)
def test_a_tier_without_a_price_is_unknown_and_says_which(
    provider: str, model: str, raw: dict[str, Any], said: str
) -> None:
    cost = priced(model, provider, raw)
    assert cost.total is None
    assert said in (cost.reason or "")
    assert "factors=" in (cost.reason or "")


def test_a_table_has_factors_of_its_own() -> None:
    table = Prices({"m": Price(input=10, output=100, cache_read=1, factors={"batch": 0.2, "gold": 3.0})})
    assert priced("m", "host", prices=table, batch=True).total == pytest.approx(2.2)
    assert priced("m", "host", prices=table, tier="Gold").total == pytest.approx(33)
    assert priced("m", "host", prices=table, tier="default").total == pytest.approx(11)
    unknown = priced("m", "host", prices=table, tier="silver")
    assert unknown.total is None
    assert "'silver'" in (unknown.reason or "")
    assert priced("m", "host", prices=Prices({"m": Price(input=10, output=100)}), batch=True).total is None
    assert priced("m", "openai", prices=Prices({"m": Price(input=10, output=100)}), batch=True).total == pytest.approx(
        5.5
    )


def test_the_providers_own_bill_is_better_than_any_list() -> None:
    def told(provider: str, **raw: Any) -> float | None:
        return price_of(Usage(input_tokens=5, output_tokens=5, raw=raw), "some/model", provider).total

    assert told("openrouter", cost=0.0160614) == 0.0160614
    assert told(
        "openrouter", cost=0.001, is_byok=True, cost_details={"upstream_inference_cost": 0.02}
    ) == pytest.approx(0.021)
    assert told("openrouter", cost=0.001, is_byok=True) is None
    assert told("xai", cost_in_usd_ticks=37_756_000) == pytest.approx(0.0037756)
    assert told("perplexity", cost={"input_tokens_cost": 1e-5, "request_cost": 0.005, "total_cost": 0.00502}) == 0.00502
    assert told("some-host", cost=0.5) is None  # who knows in what money
    own = Prices({"some/model": Price(input=1, output=1)})
    usage = Usage(input_tokens=5, output_tokens=5, raw={"cost": 0.5})
    assert price_of(usage, "some/model", "openrouter", prices=own).total == pytest.approx(1e-5)


def test_tools_of_the_provider_cost_or_are_named() -> None:
    search = ServerTool(kind="web_search", args={"type": "search", "query": "x"})
    opened = ServerTool(kind="web_search", args={"type": "open_page", "url": "x"})
    code = ServerTool(kind="code_execution")
    parts: list[Any] = [search, search, opened, code, Text("found")]
    message = AIMessage(parts, provider="openai-responses", model="gpt-5", usage=Usage(input_tokens=0, output_tokens=0))
    cost = cost_of(message, at=DAY)
    assert cost.total == cost.tools == pytest.approx(2 * 10 / 1000)
    assert cost.lower_bound
    assert cost.omitted == ("1 run(s) of code",)
    bare = cost_of(message, prices=Prices({"gpt-5": Price(input=1, output=1)}))
    assert bare.omitted == ("1 run(s) of code", "2 web search(es)")
    assert (bare + Cost(total=1.0)).omitted == bare.omitted
    fee = cost_of(message, prices=Prices({"gpt-5": Price(input=1, output=1, web_search=5)}))
    assert fee.total == pytest.approx(0.01)


def test_audio_and_pictures() -> None:
    usage = Usage(input_tokens=1000, output_tokens=1000, input_audio_tokens=400, output_audio_tokens=500)
    table = Prices({"m": Price(input=1, output=2, input_audio=10, output_audio=20)})
    assert price_of(usage, "m", prices=table).total == pytest.approx((600 + 4000 + 500 * 2 + 500 * 20) / M)
    plain_ = price_of(usage, "m", prices=Prices({"m": Price(input=1, output=2)}))
    assert plain_.lower_bound
    assert "400 tokens of input audio" in plain_.omitted[0]
    drawn = Usage(
        input_tokens=0, output_tokens=1390, raw={"candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}]}
    )
    cost = price_of(drawn, "gemini-2.5-flash-image", "google", at=DAY)
    assert cost.total == pytest.approx((1290 * 30 + 100 * 2.5) / M)


def test_the_tier_of_an_answer_over_the_wire(server: Server) -> None:
    """OpenAI says it beside the usage, and may say another one than was asked for."""
    route = server.route(
        plain(answer(model="gpt-5", service_tier="flex")), plain(answer(model="gpt-5", service_tier="default"))
    )
    with track_usage() as usage:
        flex, default = (chat(route, model="gpt-5", service_tier="flex")("hi") for _ in range(2))
    cheap, full = (8 * 0.625 + 5 * 5) / M, (8 * 1.25 + 5 * 10) / M
    assert cost_of(flex).total == pytest.approx(cheap)
    assert cost_of(default).total == pytest.approx(full)
    assert usage.cost.total == pytest.approx(cheap + full)
    assert cost_of(flex, tier="priority").total == pytest.approx((8 * 2.5 + 5 * 20) / M)


def test_tries_of_another_host_are_not_priced_on_the_answers_terms() -> None:
    used = Usage(input_tokens=100_000, output_tokens=100_000)
    first = Attempt(number=1, outcome="IncompleteStream", provider="openai", model="gpt-5", usage=used)
    second = Attempt(number=2, provider="anthropic", model="claude-haiku-4-5", usage=used)
    message = AIMessage("hi", provider="anthropic", model="claude-haiku-4-5", usage=used, attempts=(first, second))
    assert cost_of(message, at=DAY).total == pytest.approx(1.125 + 0.6)


def test_a_budget_knows_the_tier_and_never_loses_an_answer(server: Server) -> None:
    table = Prices({"gpt-5": Price(input=1, output=1, factors={"priority": 1000.0})})
    route = server.route(plain(answer(model="gpt-5", usage={"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 99}})))  # fmt: skip
    budget = Budget(max_cost=0.01, prices=table)
    assert chat(route, model="gpt-5", max_tokens=10).with_budget(budget)("hi").text  # odd counts: what was set aside
    assert budget.cost > 0
    with pytest.raises(Exception, match="max_cost"):
        chat(route, model="gpt-5", max_tokens=10, service_tier="priority").with_budget(budget)("hi")
    assert len(route.requests) == 1


@pytest.mark.parametrize(("name", "value"), [("batch", 1), ("tier", 3)])
def test_wrong_terms_are_named(name: str, value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        priced("gpt-5", "openai", **{name: value})
    assert caught.value.argument == name
