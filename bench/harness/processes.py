"""The processes of a run: the server on one processor, the clients, one at a time, on another.

It starts, pins, asks and ends them; it does not know what they are asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from setup_envs import BENCH, env_python

from harness.peers import Peer

ALL_CPUS = sorted(os.sched_getaffinity(0))
CLIENT_CPU = ALL_CPUS[0]
SERVER_CPU = ALL_CPUS[1 % len(ALL_CPUS)]
# A run must not depend on the settings of who runs it: no proxies, keys, tracing or other event loops.
DROPPED = (
    "OPENAI_",
    "LANGCHAIN_",
    "LANGSMITH_",
    "LITELLM_",
    "PYTHON",
    "CHATMODELS_",
    "LOGFIRE_",
    "VIRTUAL_ENV",
)
PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}


TICKS = os.sysconf("SC_CLK_TCK")


class WorkerError(Exception):
    """A client could not do what it was asked; the text is its traceback, or says that it was too slow."""

    @property
    def last_line(self) -> str:
        lines = str(self).strip().splitlines()
        return lines[-1] if lines else "failed"


def environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(DROPPED) and name.lower() not in PROXIES
    }
    return {**kept, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


@contextlib.contextmanager
def pinned(cpus: list[int]) -> Iterator[None]:
    """What is started within runs on these processors only (a child inherits them)."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def processor_seconds(cpu: int) -> float:
    """How long this processor has been busy since the machine started, with whatever."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{cpu}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            return (user + nice + system + irq + softirq + steal) / TICKS
    raise WorkerError(f"no processor {cpu}")


class Talker:
    """A process that answers each line of JSON with one."""

    def __init__(self, command: list[str], cpus: list[int], errors: IO[bytes] | None) -> None:
        with pinned(cpus):
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors or subprocess.DEVNULL,
                env=environment(),
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input, self.output = self.process.stdin, self.process.stdout
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.output, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu(self) -> float:
        """CPU seconds of all threads since the start, to the kernel's hundredth of a second."""
        # The name in brackets may hold anything: count the fields from behind it.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def say(self, line: str) -> None:
        try:
            self.input.write(line.encode() + b"\n")
            self.input.flush()
        except BrokenPipeError:
            raise WorkerError("the process has ended") from None

    def hear(self, timeout: float) -> dict[str, Any]:
        # Only one answer is ever under way, so nothing can wait in the reader's buffer.
        if not self.selector.select(timeout):
            self.process.kill()
            raise WorkerError(f"no answer in {timeout:.0f} s")
        line = self.output.readline()
        if not line:
            raise WorkerError(f"the process ended with {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.input.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()
        self.selector.close()


class Server(Talker):
    """The loopback server, in a process of its own."""

    def __init__(self, errors: IO[bytes] | None = None) -> None:
        python = str(Path(sys.executable).resolve())
        super().__init__([python, str(BENCH / "server.py")], [SERVER_CPU], errors)
        self.port = int(self.hear(30)["port"])

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}/v1"

    def stats(self) -> dict[str, Any]:
        self.say("stats")
        return self.hear(120)


class Worker(Talker):
    """A client's process: started, loaded and kept for one work."""

    def __init__(self, peer: Peer, url: str, cpus: list[int], errors: IO[bytes] | None = None) -> None:
        self.peer = peer
        python = env_python(peer.env)
        if not python.exists():
            raise WorkerError(f"no environment: run `python bench/setup_envs.py {peer.env}`")
        super().__init__([str(python), str(BENCH / "clients" / "worker.py"), peer.adapter], cpus, errors)
        try:
            self.hear(120)
            self.methods = self.open(url)
        except WorkerError:
            self.close()
            raise

    def open(self, url: str) -> list[str]:
        """Make a new client for this base URL; returns the names of what it can do."""
        methods: list[str] = self.ask({"do": "open", "url": url})["methods"]
        return methods

    def ask(self, command: dict[str, Any], timeout: float = 240) -> dict[str, Any]:
        self.say(json.dumps(command))
        return self.hear(timeout)

    def threads(self) -> int:
        """How many threads the process has at this moment."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("Threads:"):
                return int(line.split()[1])
        raise WorkerError("the process has ended")

    def ask_and_count_threads(self, command: dict[str, Any], timeout: float = 240) -> tuple[dict[str, Any], int]:
        """The answer, and the most threads that were seen until it came."""
        self.say(json.dumps(command))
        most, end = 0, time.monotonic() + timeout
        while not self.selector.select(0.01):
            most = max(most, self.threads())
            if time.monotonic() > end:
                break
        return self.hear(1), most


def run_fresh(env: str, code: str, timeout: float = 120) -> tuple[float, str]:
    """The wall seconds of a new interpreter that runs `code`, and what it printed."""
    python = env_python(env)
    if not python.exists():
        raise WorkerError(f"no environment: run `python bench/setup_envs.py {env}`")
    with pinned([CLIENT_CPU]):
        start = time.perf_counter()
        done = subprocess.run(
            [str(python), "-c", code], capture_output=True, env=environment(), timeout=timeout, check=False
        )
        wall = time.perf_counter() - start
    if done.returncode:
        raise WorkerError(done.stderr.decode(errors="replace"))
    return wall, done.stdout.decode()


def versions(env: str, packages: list[str]) -> dict[str, str]:
    """The installed versions in an environment; a package that is not there is left out."""
    code = (
        "import importlib.metadata as m, json\n"
        f"wanted = {packages!r}\n"
        "there = {(d.metadata['Name'] or '').lower(): d.version for d in m.distributions()}\n"
        "print(json.dumps({n: there[n] for n in wanted if n in there}))"
    )
    found: dict[str, str] = json.loads(run_fresh(env, code)[1])
    return found
