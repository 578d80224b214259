"""More than one machine, as far as one can play several: a second node of the cluster, which is lost in the middle of a batch."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from chatmodels.batch import run_batch
from chatmodels.ray import RayEngine

from .conftest import Counting
from .test_batch import chat

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]


def test_a_machine_is_lost(server: Counting, tmp_path: Path, machines: Any) -> None:
    """It goes as a machine does: with all its processes at once. Each machine has room for one worker."""
    server.reset(takes=0.1)
    second = machines.add_node(num_cpus=2)
    lost: list[bool] = []

    def lose() -> None:
        # calls of two workers at once; a busy machine starts the second one late
        until = time.monotonic() + 120
        while (sum(server.asked.values()) < 50 or server.most <= 4) and time.monotonic() < until:
            time.sleep(0.02)
        lost.append(server.most > 4)
        machines.remove_node(second, allow_graceful=False)

    thread = threading.Thread(target=lose)
    thread.start()
    items = [{"id": n, "prompt": f"q{n}"} for n in range(240)]
    engine = RayEngine(workers=2, shard_size=30, max_concurrency=4, num_cpus=2)
    ended = run_batch(chat(server), items, out=tmp_path / "out.jsonl", engine=engine)
    thread.join()
    assert lost == [True]
    assert (ended.done, ended.failed) == (240, 0)
    lines = [json.loads(line)["text"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert lines == [f"answer to q{n}" for n in range(240)]
    twice = {int(asked[1:]) for asked, times in server.asked.items() if times > 1}
    assert len(twice) <= 4 + 16  # in flight, and on the way to the disk
    assert twice <= set(ended.again)
