"""The journal's file: what is in it after a crash, how an earlier version becomes this one, and how keys are found again."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from chatmodels import UsageError
from chatmodels.batch import _keys
from chatmodels.batch._journal import Ended, Journal
from chatmodels.batch._sets import Bits, Filter
from chatmodels.batch.mend import mend


def key(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()[:16]


def line(number: int) -> bytes:
    return b'{"index":%d}\n' % number


def opened(path: Path) -> Journal:
    return Journal(path, "m", "f")


def crashed(folder: Path, into: Path) -> Path:
    """The files as a process leaves them that is killed now."""
    into.mkdir()
    for file in folder.iterdir():
        shutil.copy(file, into)
    return into / "j"


def answer(journal: Journal, *numbers: int, ok: bool = True) -> None:
    journal.write([Ended(n, line(n), ok, key(n)) for n in numbers], tokens=10 * len(numbers), cost=0.5)


def test_what_a_crash_leaves_in_the_log_is_read(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    journal = opened(tmp_path / "live" / "j")
    assert journal.begin_all([(n, key(n)) for n in range(6)]) == [None] * 6
    journal.write([])
    answer(journal, 3, 1)
    answer(journal, 2, ok=False)
    journal.unsend([5])
    killed = opened(crashed(tmp_path / "live", tmp_path / "killed"))
    assert killed.begun() == [0, 4]
    assert sorted(killed.ended()) == [1, 2, 3]
    assert (killed.last, killed.spent) == (4, (30, 1.0))
    assert [e and (e.position, e.ok) for e in killed.begin_all([(n, key(n)) for n in range(4)])] == [
        None, (1, True), (2, False), (3, True),
    ]  # fmt: skip
    # Item 6 asks what item 3 asked: its answer is there; what item 2 asked has none.
    assert [e and e.line for e in killed.begin_all([(6, key(3)), (7, key(2))])] == [line(3), None]
    assert killed.forget_failed() == 1
    killed.close()
    journal.close()


def _half_a_group(journal: Journal) -> None:
    with journal.transaction():
        journal.begin_all([(0, key(0))])
        journal.write([])
        raise RuntimeError


def test_a_group_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    journal = opened(tmp_path / "live" / "j")
    with pytest.raises(RuntimeError):
        _half_a_group(journal)
    killed = opened(crashed(tmp_path / "live", tmp_path / "killed"))
    assert (killed.begun(), killed.last) == ([], -1)
    killed.close()
    journal.close()


def test_what_an_earlier_run_may_have_sent_stays_begun(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j")
    journal.begin_all([(0, key(0))])
    journal.write([])
    journal.close()
    journal = opened(tmp_path / "j")
    journal.begin_all([(0, key(0)), (1, key(1))])
    journal.write([])
    journal.unsend([0, 1])
    assert journal.begun() == [0]
    journal.close()


def version_1(path: Path) -> None:
    """A journal as release 0.1 made it: items 0-2 answered (2 with what 0 was answered), 3 failed, 4 under way."""
    db = sqlite3.connect(path)
    db.executescript("""
        CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
        CREATE TABLE items (position INTEGER PRIMARY KEY, key BLOB NOT NULL, state INTEGER NOT NULL);
        CREATE TABLE lines (position INTEGER PRIMARY KEY, line BLOB NOT NULL);
        CREATE INDEX by_key ON items (key);
        PRAGMA user_version = 1; PRAGMA application_id = 1668104778""")
    db.execute("INSERT INTO meta VALUES ('model', 'm'), ('fingerprint', 'f'), ('tokens', 70), ('cost', 0.25)")
    states = [2, 2, 2, 3, 1]
    db.executemany(
        "INSERT INTO items VALUES (?, ?, ?)", [(n, key(n if n != 2 else 0), s) for n, s in enumerate(states)]
    )
    db.executemany("INSERT INTO lines VALUES (?, ?)", [(n, line(n)) for n in range(4)])
    db.commit()
    db.close()


def test_a_journal_of_version_1_goes_on(tmp_path: Path) -> None:
    version_1(tmp_path / "j")
    for _ in range(2):
        journal = opened(tmp_path / "j")
        assert (journal.last, journal.spent, journal.begun()) == (4, (70, 0.25), [4])
        found = journal.begin_all([(n, key(n if n != 2 else 0)) for n in range(5)] + [(5, key(1))])
        assert [e and (e.line, e.ok) for e in found] == [
            (line(0), True), (line(1), True), (line(2), True), (line(3), False), None, (line(1), True),
        ]  # fmt: skip
        with pytest.raises(UsageError, match="another input: item 1"):
            journal.begin_all([(1, key(9))])
        journal.close()


def test_an_upgrade_that_is_cut_off_has_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from chatmodels.batch import _journal_file

    version_1(tmp_path / "j")
    with monkeypatch.context() as patch:
        patch.setattr(_journal_file, "_ADDED", "CREATE TABLE here the disk is full")
        with pytest.raises(OSError, match="What it has is safe"):
            opened(tmp_path / "j")
    db = sqlite3.connect(tmp_path / "j")
    assert db.execute("SELECT sum(state) FROM items").fetchone() == (10,)
    db.close()
    journal = opened(tmp_path / "j")
    assert journal.begun() == [4]
    journal.close()


def test_a_journal_of_a_later_version_is_refused(tmp_path: Path) -> None:
    opened(tmp_path / "j").close()
    db = sqlite3.connect(tmp_path / "j")
    db.execute("PRAGMA user_version = 3")
    db.close()
    with pytest.raises(UsageError, match="of version 3, and this release reads version 2"):
        opened(tmp_path / "j")


def test_keys_are_found_in_memory_and_in_runs_and_after_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_keys, "NEWEST", 50)  # so that 1,200 items make runs of two levels
    (tmp_path / "live").mkdir()
    journal = opened(tmp_path / "live" / "j")
    for first in range(0, 1200, 60):
        some = range(first, first + 60)
        assert journal.begin_all([(n, key(n)) for n in some]) == [None] * 60
        answer(journal, *some)
        journal.file()
    levels = [run >> 32 for (run,) in journal.database.execute("SELECT DISTINCT run FROM sorted")]
    assert {0, 1} <= set(levels)
    assert len(levels) < 16
    killed = opened(crashed(tmp_path / "live", tmp_path / "killed"))
    for one in (journal, killed):
        found = one.begin_all([(3000 + n, key(n)) for n in range(0, 1200, 7)])
        assert [e and e.position for e in found] == list(range(0, 1200, 7))
        assert one.begin_all([(9000 + n, key(9000 + n)) for n in range(50)]) == [None] * 50
        one.close()


def test_the_sets() -> None:
    bits = Bits(first=10**9)
    members = [10**9, 10**9 + 7, 10**9 + 8, 10**9 + 5000]
    for member in members:
        bits.add(member)
    assert [n for n in range(10**9 - 20, 10**9 + 6000) if n in bits] == members
    found = Filter()
    found.add_all([key(n) for n in range(70_000)])  # more than the first table takes
    added = [key(n) for n in range(0, 70_000, 50)]
    assert found.members(added) == added
    assert len(found.members([key(n) for n in range(100_000, 105_000)])) < 100


def test_a_line_that_is_not_what_was_written_is_an_error(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j")
    journal.begin_all([(n, key(n)) for n in range(3)])
    answer(journal, 0, 1, 2)
    journal.close()
    db = sqlite3.connect(tmp_path / "j")
    db.execute("UPDATE lines SET line = CAST(replace(line, '1', '7') AS BLOB) WHERE position = 1")
    db.commit()
    db.close()
    journal = opened(tmp_path / "j")
    with pytest.raises(UsageError, match="the answer of item 1 is not what was written"):
        journal.begin_all([(n, key(n)) for n in range(3)])
    journal.close()
    mend(tmp_path / "j")
    journal = opened(tmp_path / "j")
    assert journal.begun() == [1]
    assert [e and e.position for e in journal.begin_all([(n, key(n)) for n in range(3)])] == [0, None, 2]
    journal.close()


def test_how_many_can_have_been_in_flight(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j")
    assert journal.flying(10) == 0
    for n in range(40):
        journal.begin(n, key(n))
    journal.write([])
    journal.close()  # killed
    journal = opened(tmp_path / "j")
    assert (len(journal.begun()), journal.flying(10)) == (40, 10)
    journal.close()  # and once more
    journal = opened(tmp_path / "j")
    assert journal.flying(10) == 20
    journal.write([Ended(n, line(n), True, key(n)) for n in range(35)])
    for n in range(40, 80):
        journal.begin(n, key(n))
    journal.write([])
    journal.close()  # killed again, when all but five of those before had ended
    journal = opened(tmp_path / "j")
    assert (len(journal.begun()), journal.flying(10)) == (45, 15)
    journal.write([Ended(n, line(n), True, key(n)) for n in range(35, 80)])
    journal.close()
    journal = opened(tmp_path / "j")
    assert (journal.flying(10), journal.flying(10)) == (0, 0)
    journal.close()
