"""One Ray cluster on this machine for all tests here, and a server that counts what it is asked."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Counting

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def handle(self) -> None:
        with suppress(ConnectionResetError):  # a worker has been killed
            super().handle()

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"][-1]["content"]
        with self.server.lock:
            self.server.asked[asked] += 1
            self.server.now += 1
            self.server.most = max(self.server.most, self.server.now)
        time.sleep(self.server.takes)
        with self.server.lock:
            self.server.now -= 1
        wrong = asked in self.server.refuses or self.server.status != 200
        body: dict[str, Any] = {"error": {"message": "no", "type": "invalid_request_error"}}
        if not wrong:
            message = {"role": "assistant", "content": self.server.answer or f"answer to {asked}"}
            body = {"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}  # fmt: skip
        data = json.dumps(body).encode()
        self.send_response((400 if self.server.status == 200 else self.server.status) if wrong else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Counting(ThreadingHTTPServer):
    """Counts what it was asked, and how many at once."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.reset()

    def reset(self, takes: float = 0.0) -> None:
        self.asked: Counter[str] = Counter()
        self.now = self.most = 0
        self.takes = takes
        self.refuses: set[str] = set()
        self.status = 200
        self.answer = ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A cluster takes a minute: these are a step of their own, and run when they are named."""
    if not any("ray" in str(name) for name in config.args):
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.skip(reason="say pytest tests/ray"))


@pytest.fixture(scope="session")
def server() -> Iterator[Counting]:
    made = Counting()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(scope="session", autouse=True)
def machines() -> Iterator[Any]:
    """A cluster of one machine, to which more can be added (`ray.cluster_utils.Cluster`)."""
    ray = pytest.importorskip("ray")
    data = pytest.importorskip("ray.data")
    # A folder of its own, with a short name for the sockets in it: who calls ray.init() elsewhere is not to find this cluster.
    folder = tempfile.mkdtemp(prefix="ray")
    os.environ.update(OPENAI_API_KEY="sk-from-the-environment", RAY_TMPDIR=folder)
    head = {"num_cpus": 3, "include_dashboard": False, "object_store_memory": 80_000_000}
    made = importlib.import_module("ray.cluster_utils").Cluster(initialize_head=True, head_node_args=head)
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    data.DataContext.get_current().enable_progress_bars = False
    yield made
    ray.shutdown()
    made.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
    del os.environ["OPENAI_API_KEY"], os.environ["RAY_TMPDIR"]


@pytest.fixture
def cluster(machines: Any) -> str:
    """Its address."""
    return str(machines.address)


@pytest.fixture(autouse=True)
def fresh(server: Counting) -> None:
    server.reset()
