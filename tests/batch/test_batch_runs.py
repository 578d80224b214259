"""Runs in one process: items in, records out; resuming, coalescing, caps, refusals; sync, asyncio and trio."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from chatmodels import UsageError
from chatmodels.batch import Item, aiter_batch, arun_batch, estimate_batch, iter_batch, run_batch
from chatmodels.batch._gate import Gate
from chatmodels.prices import Price, Prices

from ..conftest import chat
from ..servers import Exchange, Script, Server, answer, error, plain


def echo(exchange: Exchange) -> None:
    text = exchange.request.json["messages"][-1]["content"]
    if text.startswith("bad"):
        error(400, f"not <{text}>")(exchange)
    else:
        plain(answer(text))(exchange)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_item_ends_as_one_line(server: Server, tmp_path: Path) -> None:
    given = [
        "one",
        {"id": "b", "messages": [{"role": "user", "content": "two"}], "metadata": {"k": [1]}},
        {"custom_id": "c", "input": [("system", "s"), ("human", "three")], "settings": {"temperature": 0}},
        {"id": 4, "prompt": "bad four"},
        {"id": "e"},
        {"prompt": "x", "wrong": 1},
        {"prompt": "x", "settings": {"temperature": "hot"}},
        Item(input="seven", id="g"),
        42,
    ]
    route = server.route(echo)
    summary = run_batch(chat(route), given, out=tmp_path / "o.jsonl", ordered=True, report=tmp_path / "r.html")
    found = lines(tmp_path / "o.jsonl")
    assert [f["index"] for f in found] == list(range(9))
    assert [f.get("text") for f in found] == ["one", "two", "three", None, None, None, None, "seven", None]
    assert [f.get("id") for f in found] == [None, "b", "c", 4, "e", None, None, "g", None]
    assert found[1]["metadata"] == {"k": [1]}
    assert found[3]["error"] == {"type": "BadRequestError", "message": found[3]["error"]["message"], "status": 400}
    assert (summary.total, summary.done, summary.failed, summary.called) == (9, 4, 5, 5)
    assert summary.errors == {"BadRequestError": 1, "UsageError": 4}
    assert not summary.ok
    assert len(route.requests) == 5
    assert next(r.json for r in route.requests if r.json["messages"][0]["role"] == "system")["temperature"] == 0
    page = (tmp_path / "r.html").read_text()
    assert "not &lt;bad four&gt;" in page
    assert "<bad" not in page
    assert page.count("<svg") >= 2


def test_a_second_run_calls_for_nothing_and_a_torn_line_comes_again(server: Server, tmp_path: Path) -> None:
    route, out = server.route(echo), tmp_path / "o.jsonl"
    given = ["same", *(f"item {i}" for i in range(40)), "bad one", "same"]
    first = run_batch(chat(route), iter(given), out=out, ordered=True)
    assert (first.done, first.failed, first.coalesced, first.called) == (42, 1, 1, 42)
    whole = out.read_bytes()
    assert len(route.requests) == 42
    for left in (0, 5, len(whole) // 2, len(whole) - 1, len(whole)):
        out.write_bytes(whole[:left] + (b"\0" * 9 if left % 2 else b""))
        second = run_batch(chat(route), iter(given), out=out, ordered=True)
        assert out.read_bytes() == whole
        assert (second.done, second.failed, second.called, second.reused) == (42, 1, 0, 42)
    again = run_batch(chat(route), [*given, "more"], out=out, ordered=True, retry_failed=True)
    assert (again.called, again.failed) == (2, 1)
    assert [f["index"] for f in lines(out)] == list(range(44))
    assert len(route.requests) == 44


def test_answers_that_are_not_whole_are_counted(server: Server, tmp_path: Path) -> None:
    cut = answer("Once upon")
    cut["choices"][0]["finish_reason"] = "length"
    route = server.route(plain(cut), plain(answer("Hello.")))
    summary = run_batch(chat(route), ["a", "b", "a"], out=tmp_path / "o.jsonl", max_concurrency=1)
    assert (summary.done, summary.cut, summary.failed) == (3, 2, 0)
    assert "3 done (2 of them not whole: see finish_reason)" in str(summary)
    again = run_batch(chat(route), ["a", "b", "a"], out=tmp_path / "o.jsonl", max_concurrency=1)
    assert (again.done, again.cut, again.reused) == (3, 2, 2)


def test_identical_items_in_flight_make_one_call(server: Server, tmp_path: Path) -> None:
    route = server.route(plain(after=0.05))
    summary = run_batch(chat(route), ["x"] * 30, out=tmp_path / "o.jsonl", journal=False)
    assert len(route.requests) < 30
    assert summary.done == 30
    assert summary.input_tokens == 8 * len(route.requests)
    assert sorted(f["index"] for f in lines(tmp_path / "o.jsonl")) == list(range(30))


def test_wrong_journals_and_outputs_are_clear_errors(server: Server, tmp_path: Path) -> None:
    route, out = server.route(echo), tmp_path / "o.jsonl"
    model = chat(route)
    run_batch(model, ["a", "b"], out=out)

    def refused(words: str, given: Any, with_model: Any = model, **options: Any) -> None:
        before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.suffix != ".journal"}
        with pytest.raises(UsageError, match=words):
            run_batch(with_model, given, **{"out": out, **options})
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.suffix != ".journal"} == before

    refused("temperature was not given, and is 1 now", ["a", "b"], model.with_settings(temperature=1))
    refused("user was not given", ["a", "b"], model.with_settings(user="secret-name"))
    refused("journal of another batch", ["a", "b"], model.with_model("gpt-5"))
    refused("journal of another input", ["a", "c"])
    refused("shorter", ["a"])
    refused("no journal to go on", ["a"], journal=False)
    refused("put it back", ["a"], journal=tmp_path / "new.journal")
    refused("no SQLite", ["a"], journal=out)
    refused("no folder", ["a"], out=tmp_path / "no" / "o")
    refused("knows no 'conc'", ["a"], conc=3)
    refused("max_concurrency", ["a"], max_concurrency=0)
    refused("a batch takes a list", b"a string is a path")
    refused("there is no file", "nothing.jsonl")
    assert len(route.requests) == 2


def test_a_journal_is_held_by_one_run(server: Server, tmp_path: Path) -> None:
    go, told = threading.Event(), []

    def waiting(exchange: Exchange) -> None:
        go.wait(5)
        echo(exchange)

    route = server.route(waiting)
    first = threading.Thread(target=lambda: told.append(run_batch(chat(route), ["a"], out=tmp_path / "o.jsonl")))
    first.start()
    route.wait_for_requests(1)
    with pytest.raises(UsageError, match="is in use: another batch"):
        run_batch(chat(route), ["a"], out=tmp_path / "o.jsonl")
    go.set()
    first.join()
    assert told[0].done == 1


def _source(path: Path, kind: str, rows: list[dict[str, Any]]) -> Path:
    if kind == "csv":
        text = io.StringIO()
        table = csv.DictWriter(text, ["id", "prompt", "colour"])
        table.writeheader()
        table.writerows(rows)
        path.write_text("\ufeff" + text.getvalue())
    else:
        arrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(arrow.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables(server: Server, tmp_path: Path, kind: str) -> None:
    rows = [{"id": f"r{i}", "prompt": f'say "{i}",\nplease', "colour": "red"} for i in range(5)]
    path = _source(tmp_path / f"in.{kind}", kind, rows)
    found = list(iter_batch(chat(server.route(echo)), path, ordered=True))
    assert [f.text for f in found] == [r["prompt"] for r in rows]
    assert [f.id for f in found] == ["r0", "r1", "r2", "r3", "r4"]
    assert found[0].metadata == {"colour": "red"}


def test_lines_that_are_no_items_have_their_errors(server: Server, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b'\xef\xbb\xbf"one"\n\n{"prompt": \n3\n[["human", "two"]]\n')
    found = list(iter_batch(chat(server.route(echo)), tmp_path / "in.jsonl", ordered=True))
    assert [f.text for f in found] == ["one", None, None, "two"]
    assert [f.error.message[:6] for f in found if f.error] == ["line 3", "line 4"]


def test_the_bar_knows_how_many_lines_there_are(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    (tmp_path / "in.jsonl").write_text('"one"\n"two"\n"three"')
    run_batch(chat(server.route(echo)), tmp_path / "in.jsonl", progress=True)
    assert "3/3 done" in shown.getvalue()


def test_items_are_read_as_they_are_needed(server: Server) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield f"item {read}"

    records = iter_batch(chat(server.route(echo)), endless(), max_concurrency=4)
    got = [next(records) for _ in range(200)]
    time.sleep(0.05)
    assert len({g.index for g in got}) == 200
    assert read <= 200 + 2 * 4 + 256 + 2 * 4 + 1  # the room, and what is handed over at once
    records.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("world", [asyncio.run, trio.run])
def test_async(server: Server, tmp_path: Path, world: Any) -> None:
    async def items() -> AsyncIterator[str]:
        for i in range(30):
            yield f"item {i}"

    route = server.route(echo)

    async def go() -> None:
        model = chat(route)
        summary = await arun_batch(model, items(), out=tmp_path / "o.jsonl", ordered=True)
        assert summary.done == 30
        found = [r.text async for r in aiter_batch(model, items(), journal=tmp_path / "o.jsonl.journal", ordered=True)]
        assert found == [f"item {i}" for i in range(30)]

    world(go()) if world is asyncio.run else world(go)
    assert len(route.requests) == 30
    assert [f["index"] for f in lines(tmp_path / "o.jsonl")] == list(range(30))


def test_caps_stop_cleanly_and_can_be_raised(server: Server, tmp_path: Path) -> None:
    route, out = server.route(echo), tmp_path / "o.jsonl"
    given = [f"item {i}" for i in range(60)]
    first = run_batch(chat(route), given, out=out, max_tokens=13 * 20, max_concurrency=5)
    assert first.stopped == "max_tokens"
    assert 15 <= first.done <= 20  # 13 tokens each; never above the cap once the mean is known
    assert first.failed == 0
    prices = Prices({"gpt-4o-mini": Price(input=1.0, output=1.0)})
    more = run_batch(chat(route), given, out=out, max_cost=13e-6 * 10, prices=prices, max_concurrency=5)
    assert more.stopped == "max_cost"
    last = run_batch(chat(route), given, out=out)
    assert (last.done, last.stopped) == (60, None)
    assert len(route.requests) == 60
    with pytest.raises(UsageError, match="max_cost needs a price"):
        run_batch(chat(route).with_model("no-such-model"), given, max_cost=1)


def test_a_wrong_key_ends_the_batch_and_fails_no_item(server: Server, tmp_path: Path) -> None:
    route = server.route(error(401, "who are you", code="invalid_api_key"))
    summary = run_batch(chat(route), (f"i{i}" for i in range(500)), out=tmp_path / "o.jsonl", max_concurrency=5)
    assert (summary.stopped, summary.done, summary.failed) == ("fatal", 0, 0)
    assert "AuthenticationError" in (summary.reason or "")
    assert len(route.requests) <= 6
    route.scripts = (echo,)
    assert run_batch(chat(route), (f"i{i}" for i in range(500)), out=tmp_path / "o.jsonl").done == 500


def test_too_many_failures_in_a_row_stop_it(server: Server) -> None:
    summary = run_batch(
        chat(server.route(error(400, "no"))), (f"i{i}" for i in range(500)), max_concurrency=5, stop_after=20
    )
    assert summary.stopped == "failures"
    assert 20 <= summary.failed <= 30


class Strict:
    """Refuses more than so many calls at once."""

    def __init__(self, most: int) -> None:
        self.most, self.now, self.refused = most, 0, 0
        self._lock = threading.Lock()

    def __call__(self, exchange: Exchange) -> None:
        with self._lock:
            self.now += 1
            over = self.now > self.most
            self.refused += over
        time.sleep(0.005)
        with self._lock:
            self.now -= 1
        refuse: Script = error(429, "slow down", {"retry-after-ms": "20"})
        (refuse if over else plain())(exchange)


def test_refused_items_come_again_with_fewer_in_flight(server: Server) -> None:
    strict = Strict(8)
    route = server.route(strict)
    summary = run_batch(chat(route), [f"i{i}" for i in range(150)], max_concurrency=40)
    assert (summary.done, summary.failed) == (150, 0)
    assert strict.refused < 150


def test_the_gate() -> None:
    gate = Gate(100)
    for began in (0.0, 0.1, 0.2):
        gate.refused(1.0, began, 5.0)  # all were under way together: one decrease
    assert gate.allowed(5.9) == 0
    assert gate.allowed(6.0) == 70
    gate.refused(7.0, 6.5, None)
    assert gate.allowed(7.0) == 49
    for _ in range(49):
        gate.answered(8.0, 0.1)
    assert gate.allowed(8.0) == 49 + 0 or gate.allowed(8.0) == 50
    for n in range(20000):
        gate.answered(9.0 + n, 0.1)
    assert gate.allowed(1e6) == 100
    for n in range(60):
        gate.answered(1e6 + n, 2.0)
    assert gate.allowed(2e6) < 100


def test_the_iterator_of_the_caller_may_fail(server: Server, tmp_path: Path) -> None:
    def broken() -> Iterator[str]:
        yield "one"
        raise RuntimeError("the database has gone")

    with pytest.raises(RuntimeError, match="database"):
        run_batch(chat(server.route(echo)), broken(), out=tmp_path / "o.jsonl")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("name", ["batch", "generate"])
def test_progress_of_a_models_own_batch(server: Server, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    getattr(chat(server.route(echo)), name)(["a", "b", "bad"], progress=True, errors="return")
    assert "3/3 done, 1 failed" in shown.getvalue()


def test_estimate(server: Server) -> None:
    route = server.route(echo)
    given = [f"item {i}" for i in range(1000)]
    found = estimate_batch(chat(route), given, sample=10, prices=Prices({"gpt-4o-mini": Price(input=1.0, output=2.0)}))
    assert len(route.requests) == 10
    assert (found.items, found.sample, found.failed) == (1000, 10, 0)
    assert (found.input_tokens.low, found.input_tokens.mean, found.input_tokens.high) == (8000, 8000, 8000)
    assert found.cost is not None
    assert found.cost.mean == pytest.approx(1000 * 18e-6)
    assert 0 < found.seconds.low < found.seconds.mean < found.seconds.high
    with pytest.raises(UsageError, match="twice"):
        estimate_batch(chat(route), iter(given))
