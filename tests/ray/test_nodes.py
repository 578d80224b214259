"""More than one machine, as far as one can play several: two nodes of a cluster, one of which is lost in the middle of a batch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

pytest.importorskip("ray")

from .conftest import Counting

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(120)]

#: A process of its own, since this one has a cluster already. The node is lost as a machine is: with all its processes at once.
_DRIVER = """
import os, sys, threading, time
import ray
from ray.cluster_utils import Cluster
from chatmodels import ChatModel
from chatmodels.batch import run_batch
from chatmodels.ray import RayEngine

url, out, answered = sys.argv[1:]
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
second = cluster.add_node(num_cpus=1)
ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")

def lose():
    while not os.path.exists(answered):
        time.sleep(0.02)
    cluster.remove_node(second, allow_graceful=False)
    lost.set()

lost = threading.Event()
threading.Thread(target=lose, daemon=True).start()
model = ChatModel("openai:m", base_url=url, api_key="k").with_retry(attempts=1)
items = [{"id": n, "prompt": f"q{n}"} for n in range(240)]
done = run_batch(model, items, out=out, engine=RayEngine(workers=2, shard_size=30, max_concurrency=4))
print("ended:", done.done, done.failed, int(lost.is_set()), *done.again, flush=True)
ray.shutdown()
cluster.shutdown()
"""


def test_a_machine_is_lost(server: Counting, tmp_path: Path) -> None:
    server.reset(takes=0.1)
    out, answered = tmp_path / "out.jsonl", tmp_path / "answered"
    # A folder of its own, with a short name for the sockets in it: who calls ray.init() elsewhere is not to find this cluster.
    folder = tempfile.mkdtemp(prefix="ray")
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | {"RAY_TMPDIR": folder}
    command = [sys.executable, "-c", _DRIVER, server.url, str(out), str(answered)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        # calls of two workers at once; a busy machine starts the second one late
        while (sum(server.asked.values()) < 50 or server.most <= 4) and running.poll() is None:
            time.sleep(0.02)
        both = server.most > 4
        answered.touch()
        said, trouble = running.communicate(timeout=100)
    shutil.rmtree(folder, ignore_errors=True)
    assert running.returncode == 0, trouble
    ended = next(line for line in said.splitlines() if line.startswith("ended:"))
    done, failed, lost, *again = (int(n) for n in ended.split()[1:])
    assert both
    assert (done, failed, lost) == (240, 0, 1)
    assert [json.loads(line)["text"] for line in out.read_text().splitlines()] == [
        f"answer to q{n}" for n in range(240)
    ]
    twice = {int(asked[1:]) for asked, times in server.asked.items() if times > 1}
    assert len(twice) <= 4 + 16  # in flight, and on the way to the disk
    assert twice <= set(again)
