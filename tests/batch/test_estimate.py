"""What a batch will take, reckoned from a sample: ranges that hold, prices of the way it will go, limits, and what is not known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatmodels import UsageError
from chatmodels.batch import Estimate, Range, estimate_batch, run_batch
from chatmodels.batch._forecast import student, total, wall
from chatmodels.cli import main
from chatmodels.prices import Price, Prices

from ..conftest import chat
from ..servers import Exchange, Server, answer, error, plain

TABLE = Prices({"gpt-4o-mini": Price(input=1.0, output=1.0)})


def as_long(exchange: Exchange) -> None:
    """An answer that takes as many tokens as the question says."""
    made = int(exchange.request.json["messages"][-1]["content"].split()[0])
    usage = {"prompt_tokens": 8, "completion_tokens": made, "total_tokens": made + 8}
    plain(answer("ok", usage=usage))(exchange)


def skewed(count: int) -> list[str]:
    luck = random.Random(2)
    return [f"{int(100 * luck.lognormvariate(0, 1)) + 1} {i:06}" for i in range(count)]


def test_it_says_what_the_run_then_takes(server: Server) -> None:
    items = skewed(120)
    model = chat(server.route(as_long))
    found = estimate_batch(model, items, sample=30, prices=TABLE)
    summary = run_batch(model, items, prices=TABLE)
    assert found.sample == 30
    assert found.output_tokens.low < summary.output_tokens < found.output_tokens.high
    assert found.output_tokens.high < 2.5 * summary.output_tokens
    assert found.cost is not None
    assert summary.cost is not None
    assert found.cost.low < summary.cost < found.cost.high


@pytest.mark.parametrize("shape", ["even", "long tail", "two kinds"])
@pytest.mark.parametrize("sized", [False, True])
def test_ranges_hold_the_truth_as_often_as_they_say(shape: str, sized: bool) -> None:
    luck = random.Random(1)
    kinds: dict[str, Callable[[], float]] = {
        "even": lambda: luck.gauss(10, 2),
        "long tail": lambda: luck.lognormvariate(0, 1),
        "two kinds": lambda: 3.0 if luck.random() < 0.5 else luck.gauss(30, 3),
    }
    draw = kinds[shape]
    values = [draw() for _ in range(1000)]
    sizes = [v * luck.uniform(2, 4) if sized else 1.0 for v in values]
    truth, mean, held = sum(values), sum(sizes) / 1000, 0
    for _ in range(100):
        picked = luck.sample(range(1000), 25)
        found = total([values[i] for i in picked], 1000, [sizes[i] for i in picked], mean)
        held += found.low <= truth <= found.high
    assert held >= 87


def test_what_is_known_of_all_items_narrows_the_range() -> None:
    sizes = [float(i) for i in range(1000)]
    picked = range(5, 1000, 100)
    blind = total([sizes[i] for i in picked], 1000, [1.0] * 10, 1.0)
    seeing = total([sizes[i] for i in picked], 1000, [sizes[i] for i in picked], 499.5)
    assert seeing.mean == pytest.approx(499_500)
    assert seeing.high - seeing.low == pytest.approx(0.02 * seeing.mean, rel=0.01)  # no line is trusted further
    assert seeing.high - seeing.low < 0.1 * (blind.high - blind.low)
    assert total([1.0, 2.0], 2, [1.0, 1.0], 1.0) == Range(3.0, 3.0, 3.0)
    assert student(19) == pytest.approx(2.093, abs=0.002)


def test_time_of_calls_side_by_side() -> None:
    even = wall([1.0] * 10, Range(1000.0, 1000.0, 1000.0), 1000, 10)
    assert (even.mean, even.low) == (100.0, 100.0)
    assert even.high <= 101.0
    few = wall([1.0, 2.0, 3.0], Range(6.0, 6.0, 6.0), 3, 50)  # as long as the longest
    assert 2 < few.mean <= 3 <= few.high


def test_a_job_costs_what_the_providers_batch_api_takes(server: Server) -> None:
    model, items = chat(server.route()), [f"item {i}" for i in range(100)]
    now = estimate_batch(model, items, sample=5)
    then = estimate_batch(model, items, sample=5, via="provider", poll=5)
    assert now.cost is not None
    assert then.cost is not None
    assert then.cost.mean == pytest.approx(now.cost.mean / 2)
    assert (then.via, then.seconds, then.window) == ("provider", None, 24 * 3600)
    assert "up to 24 hours a job" in str(then)
    hurried = estimate_batch(model, items, sample=5, via="auto", within=60)  # there is no time for a job
    assert (hurried.via, hurried.cost) == (None, now.cost)


def test_numbers_are_shown_as_people_read_them() -> None:
    assert str(Range(1_234_567.0, 999.96, math.inf)) == "1,235,000 (1000 to inf)"
    assert str(Range(0.00123456, 0.0, 12.0)) == "0.001235 (0 to 12)"
    shared: dict[str, Any] = {
        "items": 5,
        "sample": 2,
        "failed": 0,
        "input_tokens": Range(1, 1, 1),
        "output_tokens": Range(1, 1, 1),
    }
    assert str(Estimate(seconds=Range(9000, 7200, 10800), **shared)).endswith(", 2.5 (2 to 3) h")
    assert str(Estimate(seconds=Range(30, 20, 90), **shared)).endswith(", 30 (20 to 90) s")


def test_limits_take_their_time(server: Server) -> None:
    items = [f"item {i}" for i in range(1000)]
    model = chat(server.route())
    found = estimate_batch(model.with_limits(requests_per_minute=100), items, sample=5)
    assert found.seconds is not None
    assert (found.seconds.low, found.seconds.mean) == (540, 540)
    found = estimate_batch(model.with_limits(tokens_per_minute=1300), items, sample=5)  # 13 a call
    assert found.seconds is not None
    assert found.seconds.mean == 540
    headers = {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "95",
        "x-ratelimit-reset-requests": "3s",
    }
    found = estimate_batch(chat(server.route(plain(headers=headers))), items, sample=5)
    assert found.seconds is not None
    assert found.seconds.mean == pytest.approx(905 / (5 / 3), rel=0.05)


def test_what_is_not_known_is_said(server: Server) -> None:
    nameless = chat(server.route()).with_model("no-such-model")
    found = estimate_batch(nameless, ["a", "b", "c"], sample=2)
    assert found.cost is None
    assert "cost unknown (no price is known for openai:no-such-model)" in str(found)
    mute = estimate_batch(chat(server.route(plain(answer(usage=None)))), ["a", "b", "c"], sample=2, prices=TABLE)
    assert mute.cost_unknown == "2 of 2 answers have no price"
    assert mute.output_tokens.high == float("inf")


def test_failed_items_take_no_tokens_and_a_failed_sample_is_an_error(server: Server) -> None:
    items = [f"item {i}" for i in range(40)]
    half = chat(server.route(error(400), plain(), error(400), plain()))
    found = estimate_batch(half, items, sample=4, max_concurrency=1)
    assert (found.failed, found.input_tokens.mean) == (2, 160)
    for script, words in (
        (error(401, code="invalid_api_key"), "AuthenticationError"),
        (error(400, "no good"), "no good"),
    ):
        with pytest.raises(UsageError, match=words):
            estimate_batch(chat(server.route(script)), items, sample=4)


def test_on_the_command_line(server: Server, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    (tmp_path / "in.jsonl").write_text("".join(f'"item {i}"\n' for i in range(50)))
    command = ["batch", str(tmp_path / "in.jsonl"), "-m", "openai:gpt-4o-mini", "--base-url", server.route().url]
    assert main([*command, "--estimate", "--sample", "3", "--via", "provider"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("50 items (from 3, 0 failed)")
    assert "batch API" in said
    assert main([*command, "--sample", "3"]) == 2
    assert not (tmp_path / "in.jsonl.journal").exists()
