"""Batches through providers' batch APIs, against servers that behave like them: resuming, expiry, failures, caps, deadlines."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import trio

from chatmodels import Budget, ChatModel, UsageError, track_usage
from chatmodels._jobs_openai import OpenAIJobs
from chatmodels.batch import BatchSummary, arun_batch, iter_batch, run_batch
from chatmodels.batch import _provider_job as job_module
from chatmodels.caches import InMemoryCache, SQLiteCache
from chatmodels.jobs import Jobs
from chatmodels.prices import Price, Prices

from ..servers import Exchange, Server
from .jobs_server import JobsServer

PROVIDERS = ["openai", "anthropic", "google", "mistral"]
TABLE = Prices({"gpt-4o-mini": Price(input=1.0, output=2.0)})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module, "GRACE", 0.05)


def model(server: JobsServer, **settings: Any) -> ChatModel:
    names = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5", "google": "gemini-2.5-flash"}
    name = names.get(server.provider, "mistral-small-latest")
    made = ChatModel(f"{server.provider}:{name}", api_key="k-secret", base_url=server.url, **settings)
    return made.with_retry(attempts=2, base=0)


def run(server: JobsServer, items: Any, out: Path, **options: Any) -> BatchSummary:
    options = {"via": "provider", "poll": 0.02, **options}
    return run_batch(model(server), items, out=out, **options)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def texts(count: int) -> list[str]:
    return [f"item {n}" for n in range(count)]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_jobs_give_the_records_that_calls_give(server: Server, tmp_path: Path, provider: str) -> None:
    """Three jobs; answers, errors, expired and missing items; the same key twice is asked once."""
    jobs = JobsServer(server, provider, takes=0.02)
    once: set[str] = set()

    def fate(job: Any, text: str) -> str:
        if text == "item 3":
            return "bad"
        if text in ("item 1", "item 5") and text not in once:
            once.add(text)
            return "expired" if text == "item 1" else "missing"
        return "ok"

    jobs.fate = fate
    given = [*texts(7), "item 0", {"prompt": 5}]
    summary = run(jobs, given, tmp_path / "o", job_size=3, max_jobs=2, ordered=True)
    found = lines(tmp_path / "o")
    assert [f["index"] for f in found] == list(range(9))
    assert [f.get("text") for f in found] == [
        "item 0", "item 1", "item 2", None, "item 4", "item 5", "item 6", "item 0", None,
    ]  # fmt: skip
    assert found[3]["error"]["type"] == "BadRequestError"
    assert found[8]["error"]["type"] == "UsageError"
    assert (summary.done, summary.failed, summary.coalesced, summary.resubmitted, summary.again) == (7, 2, 1, 2, ())
    assert summary.jobs in (3, 4)
    assert set(jobs.answered.values()) == {1}
    assert not jobs.live
    before = len(jobs.steps)
    again = run(jobs, given, tmp_path / "o", job_size=3)
    assert (again.jobs, again.called, again.done, len(jobs.steps)) == (0, 0, 7, before)


@pytest.mark.parametrize("world", ["asyncio", "trio"])
def test_async_is_the_same(server: Server, tmp_path: Path, world: str) -> None:
    jobs = JobsServer(server, "openai", takes=0.02)

    async def go() -> Any:
        return await arun_batch(
            model(jobs), texts(5), out=tmp_path / "o", via="provider", poll=0.02, job_size=2, ordered=True
        )

    summary = asyncio.run(go()) if world == "asyncio" else trio.run(go)
    assert (summary.done, summary.jobs) == (5, 3)
    assert [f["text"] for f in lines(tmp_path / "o")] == texts(5)
    records = list(iter_batch(model(jobs), texts(3), via="provider", poll=0.02, ordered=True))
    assert [r.text for r in records] == texts(3)


def test_a_submission_that_may_have_arrived_is_looked_for(server: Server, tmp_path: Path) -> None:
    """The answer to the one that made a job never comes: it is adopted; of one that did not arrive it is made once more."""
    for provider in PROVIDERS:
        for when in ("before", "after") if provider in ("openai", "anthropic") else ("after",):
            jobs = JobsServer(server, provider, takes=0.05)
            broken: list[str] = []

            def breaks(step: str, exchange: Exchange, broken: list[str] = broken) -> None:
                if step == "create" and not broken:
                    broken.append(step)
                    exchange.rst()

            setattr(jobs, when, breaks)
            summary = run(jobs, texts(4), tmp_path / f"{provider}-{when}", job_size=4)
            assert (summary.done, summary.jobs) == (4, 1)
            assert len(jobs.jobs) == 1, (provider, when)
            assert set(jobs.answered.values()) == {1}


def test_what_never_comes_is_an_error_in_the_end(server: Server, tmp_path: Path) -> None:
    jobs = JobsServer(server, "openai")
    jobs.fate = lambda job, text: {"item 0": "missing", "item 1": "expired"}.get(text, "ok")
    summary = run(jobs, texts(4), tmp_path / "o", ordered=True)
    assert (summary.done, summary.failed, summary.jobs, summary.resubmitted) == (2, 2, 4, 6)
    found = lines(tmp_path / "o")
    assert "without an answer for it" in found[0]["error"]["message"]
    assert found[1]["error"]["code"] == "batch_expired"


@pytest.mark.parametrize("provider", ["openai", "google", "mistral"])
def test_a_job_that_fails_as_a_whole_says_why_and_is_not_made_again(
    server: Server, tmp_path: Path, provider: str
) -> None:
    jobs = JobsServer(server, provider)
    jobs.failing = lambda job: ("invalid_json_line", "line 2 is bad")
    summary = run(jobs, texts(3), tmp_path / "o")
    assert (summary.failed, summary.jobs, len(jobs.jobs)) == (3, 1, 1)
    assert all("line 2 is bad" in f["error"]["message"] for f in lines(tmp_path / "o"))


def test_a_full_queue_is_waited_for(server: Server, tmp_path: Path) -> None:
    """The provider has no room for the second job until the first has ended: nothing fails."""
    jobs = JobsServer(server, "openai", takes=0.1)
    jobs.failing = lambda job: ("token_limit_exceeded", "Enqueued token limit reached") if job.number == 4 else None
    summary = run(jobs, texts(4), tmp_path / "o", job_size=2)
    assert (summary.done, summary.failed, summary.resubmitted) == (4, 0, 0)


def test_refused_jobs(server: Server, tmp_path: Path) -> None:
    jobs = JobsServer(server, "openai")
    jobs.before = _refused(400)
    summary = run(jobs, texts(2), tmp_path / "o")
    assert (summary.failed, summary.stopped, jobs.jobs) == (2, None, {})
    jobs.before = _refused(401)
    summary = run(jobs, texts(2), tmp_path / "p")
    assert (summary.failed, summary.stopped) == (0, "fatal")
    jobs.before = _refused(429)
    summary = run(jobs, texts(2), tmp_path / "q", patience=0)
    assert (summary.failed, summary.stopped) == (0, "failures")
    assert "takes no jobs" in (summary.reason or "")
    jobs.before = lambda step, exchange: None
    for name in "pq":
        assert run(jobs, texts(2), tmp_path / name).done == 2
    assert set(jobs.answered.values()) == {2}


def _refused(status: int) -> Any:
    def before(step: str, exchange: Exchange) -> Any:
        return (status, "no") if step == "create" else None

    return before


def test_an_outage_while_a_job_runs_is_waited_out(server: Server, tmp_path: Path) -> None:
    jobs = JobsServer(server, "anthropic", takes=0.02)
    broken: list[str] = []

    def outage(step: str, exchange: Exchange) -> None:
        if step in ("status", "results") and broken.count(step) < 2:  # both tries of the model's retries
            broken.append(step)
            exchange.rst()

    jobs.before = outage
    job_module.sleep, real = _no_sleep, job_module.sleep
    try:
        assert run(jobs, texts(2), tmp_path / "o").done == 2
    finally:
        job_module.sleep = real
    assert broken == ["status", "status", "results", "results"]
    assert len(jobs.jobs) == 1


async def _no_sleep(seconds: float) -> None:
    await asyncio.sleep(0.001)


def test_a_cap_stops_before_the_next_job(server: Server, tmp_path: Path) -> None:
    jobs = JobsServer(server, "openai")
    options: dict[str, Any] = {"job_size": 2, "max_jobs": 1}
    for most, done in ((60, 4), (60, 4), (100, 7)):  # 13 tokens each, over all runs
        summary = run(jobs, texts(10), tmp_path / "o", max_tokens=most, **options)
        assert (summary.stopped, summary.done) == ("max_tokens", done)
        assert jobs.answered.total() == done
    summary = run(jobs, texts(10), tmp_path / "o", max_tokens=1000, **options)
    assert (summary.stopped, summary.done, jobs.answered.total()) == (None, 10, 10)
    summary = run(jobs, texts(10), tmp_path / "p", max_cost=20e-6, prices=TABLE, **options)
    assert summary.stopped == "max_cost"
    assert summary.cost is not None
    assert 0 < summary.cost <= 20e-6


def test_answers_cost_what_a_batch_costs_and_are_counted(server: Server, tmp_path: Path) -> None:
    """Half of 8 tokens at $1 and 5 at $2 a million, for each item; usage tracking sees each item once."""
    jobs = JobsServer(server, "openai")
    with track_usage(prices=TABLE) as used:
        summary = run(jobs, texts(3), tmp_path / "o", prices=TABLE)
    assert summary.cost == pytest.approx(3 * 9e-6)
    assert (used.calls, used.total_tokens) == (3, 39)
    assert used.cost.total == pytest.approx(3 * 9e-6)
    ours = Jobs(model(jobs))
    with track_usage(prices=TABLE) as used:
        job = ours.submit(["a", "b"], label="mine")
        assert ours.list(limit=1)[0].label == "mine"
        assert len(ours.results(job)) == len(ours.results(job)) == 2
    assert (used.calls, used.cost.total) == (2, pytest.approx(2 * 9e-6))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_list_of_jobs(server: Server, provider: str) -> None:
    jobs = JobsServer(server, provider)
    ours = Jobs(model(jobs))
    first, second = ours.submit(["a"], label="one"), ours.submit(["a", "b"], label="two")
    found = ours.list()
    assert [one.id for one in found] == [second.id, first.id]
    assert [one.count for one in found] == [2, 1]
    assert [one.label for one in found] == ([None, None] if provider == "anthropic" else ["two", "one"])
    assert all(abs((one.made or 0) - jobs.jobs[first.id].created) < 2 for one in found)
    assert asyncio.run(ours.alist(limit=1)) == found[:1]
    with pytest.raises(UsageError, match="limit"):
        ours.list(limit=0)


# ---- auto


def test_auto_asks_in_real_time_where_there_is_no_time_or_no_api(server: Server, tmp_path: Path) -> None:
    jobs = JobsServer(server, "openai")
    summary = run(jobs, texts(2), tmp_path / "a", via="auto", within=3600)
    assert (summary.done, summary.jobs, jobs.live.total()) == (2, 0, 2)
    other = ChatModel("deepseek:deepseek-chat", api_key="k", base_url=jobs.url)
    summary = run_batch(other, texts(2), out=tmp_path / "b", via="auto")
    assert (summary.done, summary.jobs, jobs.live.total()) == (2, 0, 4)
    assert not jobs.jobs
    assert run(jobs, texts(2), tmp_path / "x", via="auto").jobs == 1
    assert run(jobs, texts(2), tmp_path / "y", via="auto", within=90_000).jobs == 1


def test_auto_moves_to_real_time_when_the_deadline_nears(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One job ends in time, one is cancelled half-way, one never begins; each item is answered once."""
    monkeypatch.setattr(OpenAIJobs, "window", 0.1)
    jobs = JobsServer(server, "openai")
    jobs.takes = 0.0

    def slow(step: str, exchange: Exchange) -> None:
        if step == "create":
            jobs.takes = 1000.0  # all but the first

    jobs.after = slow
    summary = run(
        jobs, texts(6), tmp_path / "o", via="auto", within=0.5, job_size=2, max_jobs=2, poll=0.02, ordered=True
    )
    assert [f["text"] for f in lines(tmp_path / "o")] == texts(6)
    assert (summary.done, summary.again) == (6, ())
    assert jobs.answered.total() >= 3
    assert jobs.answered.total() + jobs.live.total() == 6
    assert not set(jobs.answered) & set(jobs.live)
    assert "in real time" in caplog.text


# ---- wrong use, and stopping


def test_wrong_use_is_said_before_anything_is_sent(server: Server, tmp_path: Path) -> None:
    jobs = JobsServer(server, "openai")
    with pytest.raises(UsageError, match=r"no batch API.*Leave via= away"):
        run_batch(ChatModel("local"), ["a"], out=tmp_path / "o", via="provider")
    for options, match in (
        ({"via": "batch"}, "via is 'provider', 'auto'"),
        ({"within": 5}, "within goes with via='auto'"),
        ({"via": "auto", "within": -1}, "within is a number"),
        ({"job_size": 0}, "job_size is a whole number"),
        ({"job_size": 60_000}, "at most 50,000"),
        ({"max_jobs": 1.5}, "max_jobs"),
        ({"poll": True}, "poll"),
    ):
        with pytest.raises(UsageError, match=match):
            run(jobs, ["a"], tmp_path / "o", **options)
    assert not jobs.steps
    assert not list(tmp_path.iterdir())


def test_interrupted_jobs_go_on_and_are_adopted(server: Server, tmp_path: Path) -> None:
    """Leaving a run leaves its jobs; a run in real time refuses to ask again what they hold; the next one fetches them."""
    jobs = JobsServer(server, "openai", takes=1000.0)
    made = threading.Event()
    asked: set[str] = set()

    def look(step: str, exchange: Exchange) -> None:
        asked.update([exchange.request.target] if step == "status" else [])
        if len(asked) == 2:
            made.set()

    jobs.after = look

    async def leave() -> None:
        task = asyncio.create_task(
            arun_batch(model(jobs), texts(4), out=tmp_path / "o", via="provider", poll=0.02, job_size=2)
        )
        await asyncio.to_thread(made.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    with pytest.raises(UsageError, match=r"2 jobs of this batch are at the provider \(batch_"):
        run(jobs, texts(4), tmp_path / "o", via=None, poll=None)
    for job in jobs.jobs.values():
        job.ends = 0.0
    with pytest.raises(UsageError, match="shorter than it was"):  # and loses no answer
        run(jobs, texts(1), tmp_path / "o")
    summary = run(jobs, texts(4), tmp_path / "o")
    assert (summary.done, summary.jobs, summary.adopted, summary.again) == (4, 0, 2, ())
    assert len(jobs.jobs) == 2


def test_jobs_can_be_withdrawn(server: Server, tmp_path: Path) -> None:
    """What an earlier run has left is cancelled; what it has is kept, and the rest is asked in real time."""
    jobs = JobsServer(server, "anthropic", takes=1000.0)

    async def leave() -> None:
        options: dict[str, Any] = {"out": tmp_path / "o", "via": "provider", "poll": 0.02}
        task = asyncio.create_task(arun_batch(model(jobs), texts(4), **options))
        await asyncio.to_thread(jobs.route.wait_for_requests, 3)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(leave())
    summary = run(jobs, texts(4), tmp_path / "o", via="auto", within=0, ordered=True)
    assert (summary.done, summary.adopted, summary.jobs, summary.again) == (4, 1, 0, ())
    assert jobs.answered == {"item 0": 1, "item 1": 1}
    assert jobs.live == {"item 2": 1, "item 3": 1}
    assert "cancel" in jobs.steps


def test_a_budget_of_the_model_holds_for_jobs(server: Server, tmp_path: Path) -> None:
    """A budget of 3 calls lets 3 items go, and the batch stops; each answer is booked at a batch's price."""
    jobs = JobsServer(server, "mistral")
    table = Prices({"mistral-small-latest": Price(input=1.0, output=2.0)})
    budget = Budget(max_calls=3, max_cost=1.0, prices=table)
    careful = model(jobs).with_budget(budget)
    summary = run_batch(careful, texts(5), out=tmp_path / "o", via="provider", poll=0.02)
    assert (summary.done, summary.stopped) == (3, "budget")
    assert (budget.calls, budget.tokens, budget.cost) == (3, 39, pytest.approx(27e-6))
    with track_usage(max_tokens=10):
        summary = run_batch(model(jobs), texts(5), out=tmp_path / "p", via="provider", poll=0.02)
    assert (summary.done, summary.stopped, summary.jobs) == (0, "budget", 0)


def test_answers_that_came_are_written_before_a_stop(server: Server, tmp_path: Path) -> None:
    """The price of the first answer is not known, and there is a cap: the job's other answers are not lost by that."""
    jobs = JobsServer(server, "openai")
    summary = run(jobs, texts(4), tmp_path / "o", job_size=2, max_jobs=1, max_cost=5, prices=_no_price)
    assert (summary.stopped, summary.done) == ("max_cost", 2)
    assert len(jobs.jobs) == 1
    assert run(jobs, texts(4), tmp_path / "o").done == 4
    assert set(jobs.answered.values()) == {1}


def _no_price(message: Any) -> None:
    return None


def test_typed_answers(server: Server, tmp_path: Path) -> None:
    jobs = JobsServer(server, "openai")
    typed = model(jobs).with_output(int)
    summary = run_batch(typed, ["7", "x"], out=tmp_path / "o", via="provider", poll=0.02, ordered=True)
    assert (summary.done, summary.failed) == (1, 1)
    assert lines(tmp_path / "o")[1]["error"]["type"] == "OutputError"


def test_an_input_whose_end_is_seen_late_still_goes(server: Server, tmp_path: Path) -> None:
    """The last items have long been journalled when it turns out that there are no more of them."""
    jobs = JobsServer(server, "openai", takes=0.02)

    def given() -> Any:
        yield from texts(4)
        time.sleep(0.3)

    summary = run(jobs, given(), tmp_path / "o", job_size=3)
    assert (summary.done, summary.jobs) == (4, 2)


@pytest.mark.parametrize("world", ["memory", "sqlite"])
def test_what_a_cache_has_is_in_no_job_and_answers_go_into_it(server: Server, tmp_path: Path, world: str) -> None:
    jobs = JobsServer(server, "openai", takes=0.02)
    cache = InMemoryCache() if world == "memory" else SQLiteCache(tmp_path / "cache.db")
    chat = model(jobs).with_cache(cache)
    assert chat("item 1").text == "item 1"
    jobs.fate = lambda job, text: "bad" if text == "item 3" else "ok"
    with track_usage() as spent:
        summary = run_batch(chat, texts(6), out=tmp_path / "o", via="provider", poll=0.02, ordered=True, job_size=3)
    assert (summary.done, summary.failed, summary.jobs) == (5, 1, 2)
    assert jobs.answered == dict.fromkeys(["item 0", "item 2", "item 4", "item 5"], 1)
    assert spent.usage.output_tokens == 20
    found = lines(tmp_path / "o")
    assert [f.get("text") for f in found] == ["item 0", "item 1", "item 2", None, "item 4", "item 5"]
    assert [n for n, f in enumerate(found) if f.get("message", {}).get("from_cache")] == [1]
    live = jobs.live.total()
    assert chat("item 4").from_cache
    assert jobs.live.total() == live
    again = run_batch(chat, [*texts(3), "item 9"], out=tmp_path / "p", via="provider", poll=0.02)
    assert (again.done, again.jobs, jobs.answered["item 0"], jobs.answered["item 9"]) == (4, 1, 1, 1)
    all_known = run_batch(chat, texts(3), out=tmp_path / "q", via="provider", poll=0.02)
    assert (all_known.done, all_known.jobs) == (3, 0)


def test_a_file_that_is_no_cache_costs_nothing(server: Server, tmp_path: Path) -> None:
    jobs = JobsServer(server, "openai")
    (tmp_path / "cache.db").write_bytes(b"no database" * 100)
    chat = model(jobs).with_cache(SQLiteCache(tmp_path / "cache.db"))
    summary = run_batch(chat, texts(3), out=tmp_path / "o", via="provider", poll=0.02)
    assert (summary.done, summary.failed, jobs.steps) == (0, 3, [])


def test_a_fallback_is_asked_about_what_failed_in_a_job(server: Server, tmp_path: Path) -> None:
    """In real time, at its own price, once; what it is not for stays as it is, and what expired goes into another job first."""
    jobs, other = JobsServer(server, "openai", takes=0.02), JobsServer(server, "openai")
    gone = ["item 4"]

    def fate(job: Any, text: str) -> str:
        if text in gone:
            gone.remove(text)
            return "expired"
        return {"item 1": "down", "item 2": "bad", "item 3": "down"}.get(text, "ok")

    jobs.fate = fate
    second = ChatModel("openai:gpt-4.1", api_key="k", base_url=other.url)
    budget = Budget(max_tokens=100_000)
    chat = model(jobs).with_fallback(second).with_budget(budget)
    with track_usage() as spent:
        summary = run_batch(chat, texts(5), out=tmp_path / "o", via="provider", poll=0.02, ordered=True)
    found = lines(tmp_path / "o")
    assert [f.get("text") for f in found] == ["item 0", "item 1", None, "item 3", "item 4"]
    assert found[2]["error"]["type"] == "BadRequestError"
    assert (summary.done, summary.failed, summary.jobs, summary.resubmitted) == (4, 1, 2, 1)
    assert other.live == {"item 1": 1, "item 3": 1}
    assert jobs.answered == {"item 0": 1, "item 4": 1}
    assert not jobs.live
    assert (spent.usage.output_tokens, budget.tokens) == (20, 52)
    outcomes = [a.get("outcome", "ok") for a in found[1]["message"]["attempts"]]
    assert outcomes == ["OverloadedError", "ok"]
