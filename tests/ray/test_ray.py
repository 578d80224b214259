"""On a real local Ray cluster: rows answered, limits shared, a worker killed in the middle, answers taken from a journal."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")
pytest.importorskip("pyarrow")

import msgspec
import pyarrow
import ray
import ray.data

from chatmodels import ChatModel, UsageError
from chatmodels.ray import RayLimiter, map_messages
from chatmodels.ray._journal import BlockJournal
from chatmodels.ray._map import Answers, Worker

from .conftest import Counting

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]


def chat(server: Counting) -> ChatModel:
    return ChatModel("openai:m", base_url=server.url, api_key="sk-not-to-travel").with_retry(attempts=1)


def test_rows_get_their_answers(server: Counting, tmp_path: Path) -> None:
    server.refuses = {"q3"}
    rows = [
        {"id": n, "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": f"q{n}"}]}
        for n in range(40)
    ]
    rows.append({"id": 40, "messages": [{"role": "user", "content": "q0"}]})
    data = ray.data.from_items(rows)
    answered = map_messages(data, chat(server), batch_size=8, max_concurrency=4, workers=1, errors="return")
    found = {row["id"]: row for row in answered.take_all()}
    assert len(found) == 41
    assert found[7]["answer"] == "answer to q7"
    assert (found[7]["answer_finish_reason"], found[7]["answer_input_tokens"], found[7]["answer_error"]) == (
        "stop",
        3,
        None,
    )
    assert json.loads(found[7]["answer_message"])["content"] == "answer to q7"
    assert found[3]["answer"] is None
    assert found[3]["answer_error"].startswith("BadRequestError")


class City(msgspec.Struct):
    name: str


def test_what_does_not_fit_its_type_has_an_error(server: Counting) -> None:
    server.answer = "no JSON"
    answers = Answers.of(chat(server).with_output(City, attempts=2), None, 2, None)
    answers._made = answers._given._asking(), 2  # as in a worker
    worker = Worker(answers=answers, column="q", output="a", journal=None, errors="return")
    table = worker(pyarrow.table({"q": ["q0", "q1"]}))
    assert table.column("a_output").to_pylist() == [None, None]
    assert table.column("a_error")[0].as_py().startswith("OutputError")
    assert "no JSON" in table.column("a_message")[0].as_py()
    assert set(server.asked.values()) <= {1, 2, 4}


def test_wrong_settings_and_columns_are_told(server: Counting) -> None:
    rows = ray.data.from_items([{"prompt": "q"}])
    with pytest.raises(UsageError, match="temperature"):
        map_messages(rows, chat(server), settings={"temperature": "hot"})
    with pytest.raises(UsageError, match="batch_size"):
        map_messages(rows, chat(server), batch_size=0)
    with pytest.raises(UsageError, match="'return' or 'raise'"):
        map_messages(rows, chat(server), errors="ignore")
    worker = Worker(
        answers=Answers.of(chat(server), None, 2, None), column="messages", output="a", journal=None, errors="raise"
    )
    with pytest.raises(UsageError, match="no column 'messages'"):
        worker(pyarrow.table({"prompt": ["q"]}))


def test_one_limit_holds_for_all_workers(server: Counting) -> None:
    """Of typed answers to single messages."""
    server.reset(takes=0.02)
    server.answer = '{"name": "Lyon"}'
    limiter = RayLimiter("test", max_concurrency=3)
    asked = [{"messages": {"role": "user", "content": f"q{n}"}} for n in range(60)]
    rows = ray.data.from_items(asked, override_num_blocks=6)
    typed = chat(server).with_output(City)
    found = map_messages(rows, typed, batch_size=10, max_concurrency=10, workers=2, limiter=limiter).take_all()
    assert [(row["answer_error"], json.loads(row["answer_output"])) for row in found] == [(None, {"name": "Lyon"})] * 60
    assert set(server.asked) == {f"q{n}" for n in range(60)}
    assert 2 <= server.most <= 3
    until = time.monotonic() + 10  # the workers say it a moment after the last answer
    while limiter.state() != {"running": 0, "waiting": 0} and time.monotonic() < until:
        time.sleep(0.05)
    assert limiter.state() == {"running": 0, "waiting": 0}


def test_a_worker_that_is_killed_costs_no_more_than_what_was_under_way(server: Counting, tmp_path: Path) -> None:
    server.reset(takes=0.05)
    rows = ray.data.from_items([{"id": n, "messages": f"q{n}"} for n in range(100)], override_num_blocks=4)
    options: dict[str, Any] = {"batch_size": 25, "max_concurrency": 5, "workers": 1, "journal": tmp_path / "journal"}
    killed: list[int] = []

    def kill() -> None:
        while not killed:
            if sum(server.asked.values()) >= 40 and (victims := workers()):
                os.kill(victims[0], signal.SIGKILL)
                killed.append(victims[0])
            time.sleep(0.01)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    found = {row["id"]: row["answer"] for row in map_messages(rows, chat(server), **options).take_all()}
    thread.join(10)
    assert killed
    assert found == {n: f"answer to q{n}" for n in range(100)}
    assert sum(server.asked.values()) <= 100 + 5  # what the killed worker had under way
    # a second run meets the same blocks again
    server.reset()
    assert map_messages(rows, chat(server), **options).count() == 100
    assert not server.asked


def workers() -> list[int]:
    """The processes of the actors of the pool."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if command.startswith(b"ray::") and b"MapBatches(Worker)" in command:
                found.append(int(entry.name))
    return sorted(found)


def test_a_wrong_key_ends_it_at_once(server: Counting) -> None:
    server.status = 401
    rows = ray.data.from_items([{"messages": f"q{n}"} for n in range(200)])
    with pytest.raises(Exception, match="AuthenticationError"):
        map_messages(rows, chat(server), batch_size=50, max_concurrency=2, workers=1).take_all()
    assert sum(server.asked.values()) <= 20


def test_the_local_engine_on_workers() -> None:
    pytest.importorskip("xllamacpp")
    rows = ray.data.from_items([{"messages": f"Say the number {n}."} for n in range(4)])
    model = ChatModel("local", temperature=0, max_tokens=8)
    answered = map_messages(rows, model, batch_size=4, workers=1, num_cpus=1).take_all()
    assert all(row["answer"] and row["answer_finish_reason"] in ("stop", "length") for row in answered)


def test_a_torn_journal_loses_its_last_line_only(tmp_path: Path) -> None:
    path = tmp_path / "j" / "b.jsonl"
    record = {"text": "a", "error": None}
    with BlockJournal(path) as journal:
        journal.add("k1", record)
        journal.add("k2", record)
    data = path.read_bytes()
    for cut in range(len(data) // 2 + 1, len(data)):
        path.write_bytes(data[:cut])
        with BlockJournal(path) as journal:
            assert journal.done == {"k1": record}
            journal.add("k2", record)
        assert path.read_bytes() == data
