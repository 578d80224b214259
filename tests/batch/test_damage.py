"""What disks and hands do to a batch between two runs: each is mended, or is a clear error before any call, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatmodels import UsageError
from chatmodels.batch import BatchSummary, run_batch
from chatmodels.batch._journal import Journal
from chatmodels.batch.mend import mend
from chatmodels.cli import main

from ..conftest import chat
from ..servers import Exchange, Server, answer, plain
from .kills import Counting, check, command, environment, write_items

COUNT, DONE = 80, 40
FRAME = 24 + 4096


class Killed:
    """A batch that was killed when half of it was answered. Each test damages a copy of its files, and goes on with it."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.asked: list[str] = []
        self._go = threading.Event()
        self.model = chat(server.route(self._script))
        self._files, self.folder = folder / "files", folder / "work"
        live = folder / "live"
        live.mkdir()
        batch = threading.Thread(target=self._run, args=[live])
        batch.start()
        while not (live / "o").exists() or (live / "o").read_bytes().count(b"\n") < DONE:
            time.sleep(0.001)
        shutil.copytree(live, self._files)
        self._go.set()
        batch.join()

    def _script(self, exchange: Exchange) -> None:
        text = exchange.request.json["messages"][-1]["content"]
        self.asked.append(text)
        if len(self.asked) > DONE:
            self._go.wait(10)
        plain(answer(text))(exchange)

    def _run(self, folder: Path) -> BatchSummary:
        return run_batch(self.model, (f"item {n}" for n in range(COUNT)), out=folder / "o", max_concurrency=4)

    def begin(self) -> Path:
        """The files as they were."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self._files, self.folder)
        self.asked.clear()
        return self.folder

    def goes_on(self) -> BatchSummary:
        """To the end; every line is there once, and what the output had is not asked again."""
        summary = self._run(self.folder)
        lines = [json.loads(line) for line in (self.folder / "o").read_text().splitlines()]
        assert sorted(line["index"] for line in lines) == list(range(COUNT))
        assert all(line["text"] == f"item {line['index']}" for line in lines)
        assert len(self.asked) == len(set(self.asked)) == summary.called
        return summary

    def refused(self, words: str) -> None:
        """An error that says so, before any call; and the files are as they were before it."""
        before = {path.name: path.read_bytes() for path in self.folder.iterdir() if path.suffix != ".journal"}
        with pytest.raises(UsageError, match=words):
            self._run(self.folder)
        assert self.asked == []
        assert (self.folder / "o").read_bytes() == before["o"]


@pytest.fixture(scope="module")
def killed(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    return Killed(server, tmp_path_factory.mktemp("killed"))


def test_undamaged(killed: Killed) -> None:
    killed.begin()
    summary = killed.goes_on()
    assert (summary.called, summary.reused) == (COUNT - DONE, DONE)
    assert summary.again == tuple(n for n in range(COUNT) if f"item {n}" in killed.asked)
    assert 0 < summary.again_most <= len(summary.again)


@pytest.mark.parametrize(
    "tear",
    [
        lambda wal: wal[: -3 * FRAME],
        lambda wal: wal[:-2000],
        lambda wal: wal[: -10 * FRAME] + bytes(10 * FRAME),
        lambda wal: wal[: -5 * FRAME] + bytes([wal[-5 * FRAME] ^ 1]) + wal[-5 * FRAME + 1 :],
    ],
    ids=["truncated", "a torn page", "a zeroed tail", "a flipped bit"],
)
def test_commits_that_the_disk_has_lost_come_from_the_output(killed: Killed, tear: Callable[[bytes], bytes]) -> None:
    wal = killed.begin() / "o.journal-wal"
    wal.write_bytes(tear(wal.read_bytes()))
    assert killed.goes_on().called == COUNT - DONE


def test_a_log_that_is_gone_altogether(killed: Killed) -> None:
    (killed.begin() / "o.journal-wal").unlink()
    killed.refused("put it back")


def _checkpointed(killed: Killed) -> Path:
    """The journal as one file, with all in its tables, as it is when a run has ended."""
    path = killed.begin() / "o.journal"
    db = sqlite3.connect(path)
    meta = dict(db.execute("SELECT name, value FROM meta"))
    db.close()
    Journal(path, meta["model"], meta["fingerprint"]).close()
    return path


def test_a_journal_that_lost_its_tail(killed: Killed) -> None:
    journal = _checkpointed(killed)
    whole = journal.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:-40_000] + bytes(40_000), whole[:-4096]):
        journal.write_bytes(damaged)
        killed.refused("is damaged on the disk")
        assert journal.stat().st_size == len(damaged)  # nothing is cut off, nothing is written over


@pytest.mark.parametrize("page", [5, 9, -3])
def test_a_damaged_journal_is_mended_from_itself_and_the_output(killed: Killed, page: int) -> None:
    journal = _checkpointed(killed)
    data = journal.read_bytes()
    pages = [data[at : at + 4096] for at in range(0, len(data), 4096)]
    pages[page] = bytes(4096)
    journal.write_bytes(b"".join(pages))
    assert mend(journal) == killed.folder / "o.journal.damaged"
    assert (killed.folder / "o.journal.damaged").read_bytes() == b"".join(pages)
    assert killed.goes_on().called == COUNT - DONE


def test_what_cannot_be_mended_is_left_as_it_is(killed: Killed) -> None:
    journal = _checkpointed(killed)
    journal.write_bytes(bytes(journal.stat().st_size))
    before = {path.name: path.read_bytes() for path in killed.folder.iterdir()}
    with pytest.raises(UsageError, match="nothing can be read"):
        mend(journal)
    assert {path.name: path.read_bytes() for path in killed.folder.iterdir()} == before


def test_a_bit_flipped_in_an_answer(killed: Killed) -> None:
    journal = _checkpointed(killed)
    data = journal.read_bytes()
    journal.write_bytes(data.replace(b'"text":"item 17"', b'"text":"jtem 17"'))  # wherever a page has it
    killed.refused("the answer of item 17 is not what was written")


def test_a_journal_whose_first_page_is_zeros(killed: Killed) -> None:
    journal = _checkpointed(killed)
    journal.write_bytes(bytes(4096) + journal.read_bytes()[4096:])
    killed.refused("no SQLite database")


@pytest.mark.parametrize(
    "edit",
    [
        lambda lines: [],
        lambda lines: lines[:20] + lines[21:],
        lambda lines: lines[:20] + lines[19:],
        lambda lines: [*lines[:-1], lines[-1][:30]],
        lambda lines: [*lines, b"what is this?\n"],
        lambda lines: [*lines, b'{"index":90,"text":"item 90"}\n', b'{"index":900000000}\n'],
        lambda lines: lines[::-1],
    ],
    ids=["emptied", "one out", "one twice", "truncated", "a note below", "made up", "sorted"],
)
def test_an_output_that_was_edited(killed: Killed, edit: Callable[[list[bytes]], list[bytes]]) -> None:
    out = killed.begin() / "o"
    out.write_bytes(b"".join(edit(out.read_bytes().splitlines(keepends=True))))
    assert killed.goes_on().called == COUNT - DONE


def test_an_output_that_was_deleted_and_one_that_is_another(killed: Killed) -> None:
    out = killed.begin() / "o"
    out.unlink()
    assert killed.goes_on().called == COUNT - DONE
    killed.begin()
    out.write_text("# answers\n" + out.read_text())
    killed.refused("does not know")


@contextmanager
def nobody(folder: Path) -> Iterator[None]:
    """As somebody whom the folder does not belong to, where we are who may do anything."""
    if os.geteuid():
        yield
        return
    os.chdir(folder)  # what is above it may be closed to others
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("closed", "mode"), [(".", 0o555), ("o.journal", 0o444), ("o.journal", 0), ("o", 0o444)])
def test_what_may_not_be_written_is_said_before_a_call(
    killed: Killed, monkeypatch: pytest.MonkeyPatch, closed: str, mode: int
) -> None:
    folder = killed.begin()
    monkeypatch.chdir(folder)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o777)
    (folder / closed).chmod(mode)
    try:
        with nobody(folder), pytest.raises(UsageError, match="cannot be written"):
            killed._run(Path())
    finally:
        folder.chmod(0o777)
    assert killed.asked == []


def test_one_output_of_two_journals(killed: Killed) -> None:
    """The second journal is another one, so that nothing but the output's own lock holds it back."""
    folder = killed.begin()
    (folder / "o").unlink()
    found: list[str] = []

    def second() -> Iterator[str]:
        try:
            run_batch(killed.model, ["x"], out=folder / "o", journal=folder / "other")
        except UsageError as error:
            found.append(str(error))
        yield "one"

    run_batch(killed.model, second(), out=folder / "o", journal=folder / "new")
    assert "in use: another batch writes to it" in found[0]


def test_two_started_at_once_and_sigterm(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counting, go = Counting(server, after=0), threading.Event()
    at_once = counting.route.scripts

    def waiting(exchange: Exchange) -> None:
        go.wait(20)
        at_once[0](exchange)

    counting.route.scripts = (waiting,)
    write_items(tmp_path, 50)
    words = command(tmp_path, counting.route.url)
    runs = [subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, text=True) for _ in range(2)]
    while all(run.poll() is None for run in runs):
        time.sleep(0.002)
    loser, winner = sorted(runs, key=lambda run: run.poll() is None)
    assert "in use" in loser.communicate()[1]
    assert loser.returncode == 2
    counting.route.wait_for_requests(8, 20)
    winner.send_signal(signal.SIGTERM)
    assert winner.stderr is not None
    while "those in flight may end" not in winner.stderr.readline():
        assert winner.poll() is None
    go.set()
    winner.communicate(timeout=20)
    assert winner.returncode == 143
    assert (tmp_path / "out.jsonl").read_text().count("\n") == counting.answered.total() < 50
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    assert main(words[3:]) == 0
    assert (
        "paid twice" not in capsys.readouterr().err
    )  # the calls that were not sent are not among those that may have been
    assert check(tmp_path, counting, 50, False, 0, set()) == set()
