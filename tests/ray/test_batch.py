"""`run_batch(engine="ray")` on a real local cluster: the same lines as on one machine, whatever is killed on the way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")
pytest.importorskip("pyarrow")

import httpx
import msgspec
import pyarrow
import pyarrow.parquet
import ray
import ray.data

from chatmodels import ChatModel, ChatModelError, UsageError
from chatmodels.batch import aiter_batch, iter_batch, run_batch
from chatmodels.ray import RayEngine, RayLimiter
from chatmodels.ray._book import Book
from chatmodels.ray._fit import fitted
from chatmodels.ray._purse import Purse

from .conftest import Counting

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]


def chat(server: Counting, **more: Any) -> ChatModel:
    """Its key is given in code: it goes to the workers, and into no file."""
    return ChatModel("openai:m", base_url=server.url, api_key="sk-given-in-code", **more).with_retry(attempts=1)


def some(count: int) -> list[dict[str, Any]]:
    return [{"id": f"i{n}", "prompt": f"q{n}", "metadata": {"n": n}} for n in range(count)]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> bool:
    beside = ("seconds",)
    return [{k: v for k, v in one.items() if k not in beside} for one in found] == [
        {k: v for k, v in one.items() if k not in beside} for one in expected
    ]


def prices(message: Any) -> float:
    return 0.01


COUNTED = ["total", "done", "failed", "cut", "called", "coalesced", "input_tokens", "output_tokens", "errors", "again"]


def test_the_lines_are_those_of_one_machine(
    server: Counting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refuses = {"q7"}
    items = [*some(30), "only a text", {"prompt": 5}, {"prompt": "hot", "settings": {"temperature": "hot"}}]
    there = run_batch(
        chat(server), items, out=tmp_path / "ray.jsonl", engine=RayEngine(shard_size=8), prices=prices, progress=True,
        report=tmp_path / "report.html", metrics=tmp_path / "batch.prom",
    )  # fmt: skip
    here = run_batch(chat(server), items, out=tmp_path / "here.jsonl", ordered=True, prices=prices)
    assert same(lines(tmp_path / "ray.jsonl"), lines(tmp_path / "here.jsonl"))
    for name in COUNTED:
        assert getattr(there, name) == getattr(here, name), name
    assert there.cost == pytest.approx(here.cost)
    assert "33/33 done, 3 failed" in capsys.readouterr().err
    assert re.search(r'items_total{.*outcome="done".*} 30', (tmp_path / "batch.prom").read_text())
    assert "BadRequestError" in (tmp_path / "report.html").read_text()
    kept = b"".join(p.read_bytes() for p in (tmp_path / "ray.jsonl.journal").rglob("*") if p.is_file())
    assert b"sk-given-in-code" not in kept
    # again: nothing is asked, nothing is written, and the report is whole
    server.reset()
    before = (tmp_path / "ray.jsonl").stat()
    again = run_batch(
        chat(server), items, out=tmp_path / "ray.jsonl", engine=RayEngine(shard_size=8), prices=prices,
        report=tmp_path / "again.html",
    )  # fmt: skip
    assert (again.called, again.reused, again.done, again.failed) == (0, 33, 30, 3)
    assert not server.asked
    assert (tmp_path / "ray.jsonl").stat().st_mtime_ns == before.st_mtime_ns
    assert "Time to answer" in (tmp_path / "again.html").read_text()
    # only what failed, and what the input has grown by
    more = run_batch(
        chat(server),
        [*items, "one more"],
        out=tmp_path / "ray.jsonl",
        engine=RayEngine(workers=1),
        prices=prices,
        retry_failed=True,
    )
    assert (more.called, more.total, more.failed) == (2, 34, 2)  # two have never been sent
    assert set(server.asked) == {"q7", "one more"}
    assert [one["index"] for one in lines(tmp_path / "ray.jsonl")] == list(range(34))
    with pytest.raises(UsageError, match="another input"):
        run_batch(chat(server), ["another"] * 40, out=tmp_path / "ray.jsonl", engine="ray", prices=prices)
    with pytest.raises(UsageError, match="shorter than it was"):
        run_batch(chat(server), items[:16], out=tmp_path / "ray.jsonl", engine="ray", prices=prices)
    with pytest.raises(UsageError, match="with other settings"):
        run_batch(chat(server, temperature=0), items, out=tmp_path / "ray.jsonl", engine="ray", prices=prices)


def test_a_worker_is_killed(server: Counting, tmp_path: Path) -> None:
    server.reset(takes=0.05)
    killed: list[int] = []

    def kill() -> None:
        while not killed:
            if sum(server.asked.values()) >= 40 and (found := workers()):
                os.kill(found[0], signal.SIGKILL)
                killed.append(found[0])
            time.sleep(0.01)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    engine = RayEngine(workers=2, shard_size=40, max_concurrency=5)
    summary = run_batch(chat(server), some(160), out=tmp_path / "out.jsonl", engine=engine)
    thread.join(10)
    assert killed
    assert (summary.done, summary.failed, summary.called, summary.reused) == (160, 0, 160, 0)
    assert [(one["id"], one["text"]) for one in lines(tmp_path / "out.jsonl")] == [
        (f"i{n}", f"answer to q{n}") for n in range(160)
    ]
    twice = {int(asked[1:]) for asked, times in server.asked.items() if times > 1}
    assert len(twice) <= 5 + 16  # in flight, and on the way to the disk
    assert twice <= set(summary.again)


def workers() -> list[int]:
    """The processes of workers that answer a shard just now."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if command.startswith(b"ray::ShardWorker"):
                found.append(int(entry.name))
    return sorted(found)


_DRIVER = """
import os, sys, ray
from chatmodels import ChatModel
from chatmodels.batch import run_batch
from chatmodels.ray import RayEngine
model = ChatModel("openai:m", base_url=sys.argv[1], api_key="sk-given-in-code").with_retry(attempts=1)
items = [{"id": f"i{n}", "prompt": f"q{n}"} for n in range(150)]
engine = RayEngine(workers=2, shard_size=30, max_concurrency=5, address=sys.argv[3])
print(run_batch(model, items, out=sys.argv[2], engine=engine).ok)
"""


def test_the_driver_is_killed_and_the_same_call_finishes(server: Counting, tmp_path: Path, cluster: str) -> None:
    server.reset(takes=0.05)
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-c", _DRIVER, server.url, str(out), cluster]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as first:
        until = time.monotonic() + 60
        while sum(server.asked.values()) < 50 and time.monotonic() < until:
            time.sleep(0.01)
        assert sum(server.asked.values()) >= 50
        items = [{"id": f"i{n}", "prompt": f"q{n}"} for n in range(150)]
        engine = RayEngine(workers=1, max_concurrency=5)
        with pytest.raises(UsageError, match="is in use: another batch is running"):
            run_batch(chat(server), items, out=out, engine=engine)
        first.kill()
    summary = run_batch(chat(server), items, out=out, engine=engine)
    assert summary.ok
    assert summary.done == 150
    assert summary.called < 130
    assert [one["id"] for one in lines(out)] == [f"i{n}" for n in range(150)]
    twice = {int(asked[1:]) for asked, times in server.asked.items() if times > 1}
    assert len(twice) <= 2 * (5 + 16)
    assert twice <= set(summary.again)


def test_caps_and_wrong_keys_stop_it(server: Counting, tmp_path: Path) -> None:
    engine = RayEngine(workers=2, shard_size=10, max_concurrency=2)
    capped = run_batch(chat(server), some(100), out=tmp_path / "a.jsonl", engine=engine, max_tokens=250)
    assert (capped.stopped, capped.input_tokens + capped.output_tokens) == ("max_tokens", 250)
    assert len(lines(tmp_path / "a.jsonl")) == capped.done == 50
    one = RayEngine(workers=1, shard_size=10, max_concurrency=4)
    more = run_batch(chat(server), some(100), out=tmp_path / "a.jsonl", engine=one, max_tokens=1000)
    assert more.ok
    assert (more.called, more.reused) == (50, 50)
    assert sum(server.asked.values()) == 100
    server.reset()
    server.status = 401
    wrong = run_batch(chat(server), some(500), out=tmp_path / "b.jsonl", engine=one)
    assert (wrong.stopped, wrong.failed, wrong.done) == ("fatal", 0, 0)
    assert sum(server.asked.values()) <= 4
    server.status = 400
    failing = run_batch(chat(server), some(500), out=tmp_path / "c.jsonl", engine=one, stop_after=20)
    assert failing.stopped == "failures"
    assert 20 <= failing.failed <= 60
    assert len(lines(tmp_path / "c.jsonl")) == failing.failed


def test_limits_hold_for_all_workers_together(server: Counting, tmp_path: Path) -> None:
    server.reset(takes=0.03)
    model = chat(server).with_limits(max_concurrency=3)
    engine = RayEngine(workers=2, shard_size=10, max_concurrency=10)
    assert run_batch(model, some(60), out=tmp_path / "a.jsonl", engine=engine).ok
    assert 2 <= server.most <= 3


def test_items_of_all_kinds(server: Counting, tmp_path: Path) -> None:
    rows = [{"id": n, "prompt": f"q{n}", "page": n} for n in range(12)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "in.parquet")
    out = tmp_path / "parts"
    out.mkdir()
    engine = RayEngine(workers=1, shard_size=5)
    assert run_batch(chat(server), tmp_path / "in.parquet", out=out, engine=engine).ok
    parts = sorted(out.iterdir())
    assert [p.name for p in parts] == [f"part-{n:08}.jsonl" for n in range(3)]
    from_parts = [one for part in parts for one in lines(part)]
    run_batch(chat(server), ray.data.from_items(rows), out=tmp_path / "data.jsonl", engine=engine)
    assert same(from_parts, lines(tmp_path / "data.jsonl"))
    assert [one["metadata"] for one in lines(tmp_path / "data.jsonl")] == [{"page": n} for n in range(12)]


_DATASET = """
import re, sys, threading
from pathlib import Path
import ray
import ray.data
from chatmodels import ChatModel
from chatmodels.batch import run_batch
from chatmodels.ray import RayEngine

def memory():  # what this process alone has
    return sum(int(n) for n in re.findall(r"Private_(?:Clean|Dirty): +([0-9]+)", Path("/proc/self/smaps_rollup").read_text()))

def long(batch):
    return {"id": batch["id"], "prompt": [f"q{n} " + "x" * 400_000 for n in batch["id"]]}

def watch():
    while not done.wait(0.1):
        most.append(memory() - before)

url, out, address = sys.argv[1:]
ray.init(address=address, log_to_driver=False, logging_level="ERROR")
rows = ray.data.range(250, override_num_blocks=10).map_batches(long)
before, most, done = memory(), [0], threading.Event()
threading.Thread(target=watch, daemon=True).start()
model = ChatModel("openai:m", base_url=url, api_key="k").with_retry(attempts=1)
ended = run_batch(model, rows, out=out, engine=RayEngine(workers=4, shard_size=10))
done.set()
print(ended.done, max(most))
"""


def test_a_dataset_larger_than_the_memory_for_it(server: Counting, tmp_path: Path, cluster: str) -> None:
    """100 MB through an object store of 80 MB; workers leave it a processor, though they were told to take all."""
    command = [sys.executable, "-c", _DATASET, server.url, str(tmp_path / "out.jsonl"), cluster]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=110)
    done, most = (int(word) for word in ended.stdout.split())
    assert done == 250
    assert [one["id"] for one in lines(tmp_path / "out.jsonl")] == list(range(250))
    assert most < 90_000  # KiB, of 100 MB: some shards on their way, whatever the length
    with pytest.raises(UsageError, match=r"num_cpus=0\.1"):
        run_batch(chat(server), ray.data.from_items([{"prompt": "q"}]), out=tmp_path / "more.jsonl",
                  engine=RayEngine(num_cpus=3))  # fmt: skip


def test_a_folder_that_only_the_driver_sees(server: Counting, tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(UsageError, match="file system that all machines share"):
            run_batch(chat(server), some(20), out=f"/dev/fd/{here}/out.jsonl", engine=RayEngine(workers=1))
        assert not server.asked
        summary = run_batch(chat(server), some(20), out=tmp_path / "out.jsonl", engine=RayEngine(workers=1))
    finally:
        os.close(here)
    assert summary.done == 20  # nothing was lost by it
    # a journal that has gone is no batch with fewer lines
    (tmp_path / "out.jsonl").unlink()
    gone = next((tmp_path / "out.jsonl.journal" / "shards").glob("*/00000001.sqlite"))
    gone.rename(tmp_path / "kept")
    with pytest.raises(ChatModelError, match="has 0 of the"):
        run_batch(chat(server), some(20), out=tmp_path / "out.jsonl", engine=RayEngine(workers=1))
    (tmp_path / "kept").rename(gone)
    assert run_batch(chat(server), some(20), out=tmp_path / "out.jsonl", engine=RayEngine(workers=1)).reused == 20
    assert [one["id"] for one in lines(tmp_path / "out.jsonl")] == [f"i{n}" for n in range(20)]
    assert set(server.asked.values()) == {1}


def test_the_local_engine_on_workers(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    items = [f"Say the number {n}." for n in range(4)]
    model = ChatModel("local", temperature=0, max_tokens=6)
    there = run_batch(model, items, out=tmp_path / "out.jsonl", engine=RayEngine(workers=1, shard_size=2))
    assert there.ok
    assert [one["text"] for one in lines(tmp_path / "out.jsonl")] == [model(item).text for item in items]

    @ray.remote(num_cpus=2)
    def threads() -> int:
        return int(fitted(ChatModel("local"))._config.engine["n_threads"])

    assert ray.get(threads.remote()) == 2


class City(msgspec.Struct):
    name: str


def test_typed_answers_of_a_model_that_is_made_there(
    server: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    server.answer, server.takes, url = '{"name": "Lyon"}', 0.02, server.url
    engine = RayEngine(workers=1, shard_size=5, max_concurrency=5, limiter=RayLimiter("typed", max_concurrency=2))
    typed = run_batch(
        lambda: ChatModel("openai:m", base_url=url).with_output(City),
        some(6),
        out=tmp_path / "out.jsonl",
        engine=engine,
    )
    assert typed.done == 6
    assert [one["output"] for one in lines(tmp_path / "out.jsonl")] == [{"name": "Lyon"}] * 6
    assert server.most == 2


def test_what_cannot_be_is_told_before_anything_is_done(server: Counting, tmp_path: Path) -> None:
    def refused(**options: Any) -> str:
        with pytest.raises(UsageError) as caught:
            run_batch(
                options.pop("model", chat(server)), some(3), **{"out": tmp_path / "o.jsonl", "engine": "ray", **options}
            )
        return str(caught.value)

    assert "engine is 'ray'" in refused(engine="spark")
    assert "writes to a path" in refused(out=None)
    assert "writes to a path" in refused(out="-")
    assert "always a journal" in refused(journal=False)
    assert "options of an actor" in refused(engine=RayEngine(num_gpu=1))
    assert "is the batch's own" in refused(engine=RayEngine(max_restarts=3))
    assert "does not travel" in refused(model=chat(server, http_client=httpx.Client()))
    assert "max_cost= or max_tokens=" in refused(model=chat(server).with_budget(max_tokens=100))
    assert "leave engine= away" in refused(within=3600)
    assert "exclude each other" in refused(via="provider")
    assert "there is no folder" in refused(out=tmp_path / "none" / "o.jsonl")
    assert list(tmp_path.iterdir()) == []
    for wrong in ({"workers": 0}, {"shard_size": "many"}, {"limiter": 5}):
        with pytest.raises(UsageError):
            RayEngine(**wrong)
    with pytest.raises(UsageError, match="engine= is run_batch's alone"):
        iter_batch(chat(server), some(3), engine="ray")
    run_batch(chat(server), some(3), out=tmp_path / "o.jsonl")
    assert "the journal of a batch on one machine" in refused()
    assert not server.asked.keys() - {"q0", "q1", "q2"}


async def test_async_batches_say_so(server: Counting) -> None:
    with pytest.raises(UsageError, match="to_thread"):
        await anext(aiter_batch(chat(server), some(3), engine="ray"))


def test_the_command(server: Counting, tmp_path: Path, cluster: str) -> None:
    (tmp_path / "in.csv").write_text("id,prompt,page\n" + "".join(f"{n},q{n},{n}\n" for n in range(20)))
    command = [sys.executable, "-m", "chatmodels", "batch", "in.csv", "-o", "out.jsonl", "-m", "openai:m", "--engine", "ray",
               "--workers", "1", "--base-url", server.url]  # fmt: skip
    environment = {**os.environ, "OPENAI_API_KEY": "sk-from-the-environment", "RAY_ADDRESS": cluster}
    done = subprocess.run(
        command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert "20 items: 20 done, 0 failed" in done.stderr
    found = [(one["text"], one["metadata"]) for one in lines(tmp_path / "out.jsonl")]
    assert found == [(f"answer to q{n}", {"page": str(n)}) for n in range(20)]


def test_workers_never_hold_more_than_is_left() -> None:
    purse = Purse(10.0, None)
    first, second = purse.hold(0, 2, 0), purse.hold(1, 1, 0)
    assert first is not None
    assert second is not None
    assert (first.cost, second.cost) == (5.0, 5.0)
    assert purse.hold(2, 1, 0) is None
    purse.settle(0, 4.0, 0)
    third = purse.hold(0, 1, 0)
    assert third is not None
    assert third.cost == 5.0  # 4 that it has spent, and the 1 that is left
    purse.settle(1, 5.0, 0)
    purse.settle(0, 5.0, 0)
    assert purse.worded() == ("max_cost", "10 of 10 are spent; give a higher max_cost to go on")


def test_a_second_driver_is_refused(tmp_path: Path) -> None:
    held = Book(tmp_path / "j", "openai:m", "print")
    with pytest.raises(UsageError, match="is in use"):
        Book(tmp_path / "j", "openai:m", "print")
    held.close()
    Book(tmp_path / "j", "openai:m", "print").close()
