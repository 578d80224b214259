"""What stops a batch, and what is one item's: outages, refusals of access, keys taken away, items that break a provider."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from chatmodels import ChatOpenAI
from chatmodels.batch import run_batch
from chatmodels.cli import main

from ..conftest import chat
from ..servers import Exchange, Script, Server, error, plain, unanswering_port

pytestmark = pytest.mark.clock

ITEMS = [f"item {i}" for i in range(40)]


def after(count: int, then: Script) -> Script:
    """So many answers, and then nothing else."""
    number = itertools.count()
    return lambda exchange: (plain() if next(number) < count else then)(exchange)


def one(model: Any, **options: Any) -> Any:
    return run_batch(model.with_retry(attempts=1), ITEMS, max_concurrency=5, **options)


def test_an_outage_in_the_middle_stops_it_and_fails_no_item(server: Server, tmp_path: Path) -> None:
    route = server.route(after(10, error(503, "down")))
    summary = one(chat(route), out=tmp_path / "o.jsonl", patience=0.1)
    assert (summary.stopped, summary.done, summary.failed) == ("outage", 10, 0)
    assert "nothing was answered for 0.1" in summary.reason
    assert "down" in summary.reason
    route.scripts = (plain(),)
    last = one(chat(route), out=tmp_path / "o.jsonl")
    assert (last.done, last.reused, last.stopped) == (40, 10, None)


def test_an_outage_that_ends_in_time_is_waited_out(server: Server) -> None:
    number, began = itertools.count(), time.monotonic()

    def script(exchange: Exchange) -> None:
        (plain() if next(number) < 10 or time.monotonic() > began + 0.12 else error(503))(exchange)

    summary = one(chat(server.route(script)), patience=2.0)
    assert (summary.stopped, summary.done, summary.failed) == (None, 40, 0)


def test_at_the_start_it_stops_sooner() -> None:
    model = ChatOpenAI(model="gpt-4o-mini", openai_api_key="k", base_url="http://127.0.0.1:9/v1")
    summary = one(model, patience=5.0)
    assert (summary.stopped, summary.done, summary.failed) == ("outage", 0, 0)
    assert "nothing was answered yet" in summary.reason
    assert summary.seconds < 4


def test_a_network_that_swallows_everything_is_an_outage_too() -> None:
    with unanswering_port() as port:
        model = ChatOpenAI(model="gpt-4o-mini", openai_api_key="k", base_url=f"http://127.0.0.1:{port}/v1",
                           timeout={"connect": 0.05})  # fmt: skip
        summary = one(model, patience=1.0)
    assert (summary.stopped, summary.failed) == ("outage", 0)
    assert "no connection" in summary.reason


def test_a_key_that_is_taken_away_in_the_middle(server: Server, tmp_path: Path) -> None:
    route = server.route(after(10, error(401, "expired", code="invalid_api_key")))
    summary = one(chat(route), out=tmp_path / "o.jsonl")
    assert (summary.stopped, summary.done, summary.failed) == ("fatal", 10, 0)
    route.scripts = (plain(),)
    assert one(chat(route), out=tmp_path / "o.jsonl").done == 40


def by_text(bad: Script) -> Script:
    def script(exchange: Exchange) -> None:
        (bad if exchange.request.json["messages"][-1]["content"].endswith("7") else plain())(exchange)

    return script


def test_what_a_provider_denies_or_breaks_on_is_that_items_error(server: Server) -> None:
    denied = one(chat(server.route(by_text(error(403, "moderation")))))
    assert (denied.stopped, denied.done, denied.errors) == (None, 36, {"PermissionDeniedError": 4})
    broken = one(chat(server.route(by_text(error(500, "oops")))), patience=0.1)
    assert (broken.stopped, broken.done, broken.errors) == (None, 36, {"OverloadedError": 4})


def test_no_access_at_all_stops_it_and_fails_no_item(server: Server) -> None:
    route = server.route(error(403, "this key may not use the model"))
    summary = one(chat(route))
    assert (summary.stopped, summary.failed) == ("fatal", 0)
    assert len(route.requests) <= 25
    few = run_batch(chat(route), ["a", "b"])  # so few may be refused for what they say
    assert (few.stopped, few.failed) == (None, 2)


def test_without_patience_a_refused_item_fails_at_once(server: Server) -> None:
    summary = one(chat(server.route(error(503))), patience=0)
    assert (summary.stopped, summary.failed) == (None, 40)


def test_the_shell_is_told(server: Server, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    (tmp_path / "in.jsonl").write_text('"a"\n"b"\n')
    route = server.route(error(403, "no such project"))
    words = ["batch", str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "o.jsonl"), "-m", "openai:gpt-4o-mini"]
    assert main([*words, "--base-url", route.url]) == 1
    assert "2 failed" in capsys.readouterr().err
    route.scripts = (error(401, "no", code="invalid_api_key"),)
    assert main([*words, "--base-url", route.url, "--retry-failed"]) == 3
    assert "stopped (fatal)" in capsys.readouterr().err
