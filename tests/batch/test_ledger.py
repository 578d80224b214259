"""The thread that writes: when it waits for more to write, when it hurries, and what waits for it."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from chatmodels import UsageError
from chatmodels.batch import BatchRecord, _ledger, run_batch
from chatmodels.batch._journal import Journal
from chatmodels.batch._ledger import End, Entry, Ledger, Told
from chatmodels.batch._output import Nowhere

from ..conftest import chat
from ..servers import Exchange, Server, answer, plain

pytestmark = pytest.mark.clock


def entry(number: int) -> Entry:
    return Entry(number, None, None, b"%016d" % number)


def ended(one: Entry) -> End:
    return End(one, BatchRecord(index=one.position, text="yes"), tokens=1)


class Telling:
    """A ledger over a journal, and what it has told."""

    def __init__(self, path: Path) -> None:
        self.said: SimpleQueue[Told] = SimpleQueue()
        self.ledger = Ledger(Journal(path, "m", "f"), Nowhere(), False, self.said.put)

    def next(self, seconds: float = 10) -> Told:
        return self.said.get(timeout=seconds)


def test_it_waits_for_more_until_it_is_hurried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ledger, "PAUSE", 60)
    told = Telling(tmp_path / "j")
    entries = [entry(n) for n in range(4)]
    told.ledger.put(entries[0])
    assert told.next().go == entries[:1]  # nothing was written before: there is nothing to wait for
    told.ledger.put(entries[1])
    told.ledger.put(entries[2])
    with pytest.raises(Empty):
        told.next(0.02)
    told.ledger.hurry()
    assert told.next().go == entries[1:3]  # all that had come, together
    told.ledger.put(ended(entries[0]))
    told.ledger.put(entries[3])
    began = time.monotonic()
    told.ledger.close()
    assert time.monotonic() - began < 30
    last = told.next()
    assert [end.entry.position for end in last.ends] == [0]
    assert (last.go, last.left) == ([], 1)  # nothing begins any more
    again = Journal(tmp_path / "j", "m", "f")
    assert (again.begun(), list(again.ended())) == ([1, 2], [0])
    again.close()


def test_no_more_calls_are_sent_than_answers_may_wait_for_the_disk(server: Server, tmp_path: Path) -> None:
    stuck, go = threading.Event(), threading.Event()
    taken: list[int] = []

    def take(record: BatchRecord) -> None:
        taken.append(record.index)
        if len(taken) == 60:  # by then all items have begun
            stuck.set()
            go.wait(10)

    route = server.route(plain())
    items = (f"item {n}" for n in range(200))
    options = {"out": take, "journal": tmp_path / "j", "max_concurrency": 4}
    run = threading.Thread(target=lambda: run_batch(chat(route), items, **options))
    run.start()
    try:
        assert stuck.wait(10)
        time.sleep(0.1)
        sent = len(route.requests)
    finally:
        go.set()
        run.join()
    assert sent < 60 + 4 + 16  # written, in flight, and answered
    assert sorted(taken) == list(range(200))


def test_calls_that_wait_for_the_disk_hurry_it(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ledger, "PAUSE", 0.5)
    route = server.route(plain())
    began = time.monotonic()
    summary = run_batch(chat(route), (f"item {n}" for n in range(240)), journal=tmp_path / "j", max_concurrency=4)
    assert summary.done == 240
    assert time.monotonic() - began < 6  # with a pause after each 16 answers it is 7.5 at the least


def test_another_input_ends_the_batch_and_keeps_the_answers_in_flight(server: Server, tmp_path: Path) -> None:
    come = threading.Event()

    def slow(exchange: Exchange) -> None:
        come.wait(10)
        plain(answer("paid"))(exchange)

    route, path = server.route(slow), tmp_path / "j"

    def first() -> Iterator[str]:
        yield "a"
        route.wait_for_requests(1)
        come.set()
        yield "b"
        route.wait_for_requests(2)
        raise RuntimeError("the input is cut off here")

    with pytest.raises(RuntimeError, match="cut off"):
        run_batch(chat(route), first(), journal=path)
    come.clear()

    def other() -> Iterator[str]:
        yield from ("a", "b", "new")
        route.wait_for_requests(3)
        yield "other"
        come.set()

    run_batch(chat(route), (text for text in ("a", "b")), journal=path)
    db = Journal(path, *_whose(path))
    db.begin_all([(3, b"?" * 16)])
    db.write([])
    db.close()
    with pytest.raises(UsageError, match="another input: item 3"):
        run_batch(chat(route), other(), journal=path)
    assert len(route.requests) == 3
    again = Journal(path, *_whose(path))
    assert (sorted(again.ended()), again.begun()) == ([0, 1, 2], [3])
    again.close()


def _whose(path: Path) -> tuple[str, str]:
    db = sqlite3.connect(path)
    meta = dict(db.execute("SELECT name, value FROM meta"))
    db.close()
    return meta["model"], meta["fingerprint"]
