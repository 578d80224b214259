"""Kills real runs of `chatmodels batch` at random points and checks what is left, until the batch is whole.

`python -m tests.batch.kills 300` makes that many kills and prints what it found; the test beside it makes a few.
"""

from __future__ import annotations

import collections
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from chatmodels.batch._journal import Journal

from ..servers import Exchange, Server, answer, plain, serving

CONCURRENCY = 8
#: What the guide promises: calls in flight, and answers on their way to the disk.
AT_MOST = CONCURRENCY + max(16, CONCURRENCY)


class Counting:
    """A server that echoes, and counts what it has answered."""

    def __init__(self, server: Server, after: float = 0.004) -> None:
        self.after = after
        self.answered: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()
        self.route = server.route(self._script)

    def _script(self, exchange: Exchange) -> None:
        text = exchange.request.json["messages"][-1]["content"]
        time.sleep(self.after)
        with self._lock:  # counted before it is sent: never fewer than the client saw
            self.answered[text] += 1
        plain(answer(text))(exchange)


def command(folder: Path, url: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "chatmodels", "batch", str(folder / "in.jsonl"), "-o", str(folder / "out.jsonl"),
            "-m", "openai:gpt-4o-mini", "--base-url", url, "--max-concurrency", str(CONCURRENCY), *more]  # fmt: skip


def environment() -> dict[str, str]:
    return {**os.environ, "OPENAI_API_KEY": "sk-canary", "PYTHONWARNINGS": "error"}


def begun(folder: Path) -> set[int]:
    """What the journal says was on its way, read from a copy."""
    if not (folder / "out.jsonl.journal").exists():
        return set()
    with tempfile.TemporaryDirectory() as copy:
        for name in ("out.jsonl.journal", "out.jsonl.journal-wal"):
            if (folder / name).exists():
                shutil.copy(folder / name, copy)
        path = Path(copy) / "out.jsonl.journal"
        db = sqlite3.connect(path)
        try:
            meta = dict(db.execute("SELECT name, value FROM meta"))
        except sqlite3.OperationalError:  # killed before there were tables
            return set()
        finally:
            db.close()
        if "fingerprint" not in meta:
            return set()
        journal = Journal(path, meta["model"], meta["fingerprint"])
        try:
            return set(journal.begun())
        finally:
            journal.close()


def write_items(folder: Path, count: int, unlike: int | None = None) -> None:
    """So many items of them are unlike (None: all); the others ask what one before them asks."""
    unlike = unlike or count
    lines = [json.dumps({"id": f"i{n}", "prompt": f"item {n % unlike}", "metadata": {"n": n}}) for n in range(count)]
    (folder / "in.jsonl").write_text("\n".join(lines) + "\n")


def one_batch(
    server: Server,
    folder: Path,
    dice: random.Random,
    *,
    items: int,
    kills: int,
    ordered: bool,
    unlike: int | None = None,
) -> dict[str, Any]:
    """Run, kill, run again, and at last to the end; everything is checked."""
    counting = Counting(server)
    write_items(folder, items, unlike)
    more = ["--ordered"] if ordered else []
    made, again = 0, set[int]()
    for _ in range(kills):
        before = counting.answered.total()
        run = subprocess.Popen(command(folder, counting.route.url, "--quiet", *more), env=environment())
        until, target = time.monotonic() + 10, before + dice.randrange(0, max(1, items // (kills + 1)))
        while run.poll() is None and counting.answered.total() <= target and time.monotonic() < until:
            time.sleep(0.0005)
        time.sleep(dice.random() * 0.02)
        alive = run.poll() is None
        run.kill()
        run.wait()
        made += alive
        if alive and dice.random() < 0.3:
            _tear(folder / "out.jsonl", dice)
        again |= begun(folder)
    done = subprocess.run(
        command(folder, counting.route.url, *more), env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    twice = check(folder, counting, items, ordered, made, again, unlike)
    return {"kills": made, "paid twice": len(twice), "reported": len(again), "most": AT_MOST * made}


def _tear(out: Path, dice: random.Random) -> None:
    """What a power cut can do to a file that was not synced: lose its end, or leave zeros there."""
    if out.exists() and (size := out.stat().st_size):
        with out.open("r+b") as file:
            file.truncate(max(0, size - dice.randrange(0, 300)))
            if dice.random() < 0.5:
                file.seek(0, 2)
                file.write(bytes(dice.randrange(1, 200)))


def check(
    folder: Path, counting: Counting, items: int, ordered: bool, kills: int, again: set[int], unlike: int | None = None
) -> set[str]:
    unlike = unlike or items
    records = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    found = [r["index"] for r in records]
    assert sorted(found) == list(range(items)), "a line is lost, or written twice"
    assert not ordered or found == list(range(items))
    for r in records:
        assert r["text"] == f"item {r['index'] % unlike}"
        assert r["id"] == f"i{r['index']}"
        assert r["metadata"] == {"n": r["index"]}
    assert set(counting.answered) == {f"item {n}" for n in range(unlike)}
    twice = {text for text, count in counting.answered.items() if count > 1}
    assert twice <= {f"item {n % unlike}" for n in again}, "paid twice, and not reported"
    assert counting.answered.total() - unlike <= AT_MOST * kills
    return twice


def main() -> None:
    wanted, dice = int(sys.argv[1]), random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    sums: collections.Counter[str] = collections.Counter()
    with serving() as server:
        while sums["kills"] < wanted:
            with tempfile.TemporaryDirectory() as folder:
                items = dice.randrange(50, 500)
                found = one_batch(
                    server, Path(folder), dice, items=items, kills=dice.randrange(1, 9), ordered=dice.random() < 0.5,
                    unlike=dice.randrange(30, items) if dice.random() < 0.5 else None,
                )  # fmt: skip
            sums.update(found)
            sums["batches"] += 1
    print(dict(sums))


if __name__ == "__main__":
    main()
