"""Kills real runs of `chatmodels batch --via provider` with SIGKILL, at chosen steps or at random, and checks what is left.

The runs are forked from one process that has everything imported, so that dozens take a second. `python -m
tests.batch.kills_provider 300` makes that many kills at random.
"""

from __future__ import annotations

import collections
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..servers import Exchange, Server, serving
from .bedrock_server import ROLE, BedrockServer
from .jobs_server import JobsServer

_FORKS = """
import json, os, sys
import chatmodels._http_async
from chatmodels.batch import _provider_job, run_batch
from chatmodels.cli import main
from chatmodels.prices import price_of
from chatmodels import ChatModel, Usage
from chatmodels._jobs import Limits
from chatmodels._jobs_bedrock import BedrockJobs
_provider_job.GRACE = 0.1
BedrockJobs.limits = Limits(50_000, 256_000_000)  # of so few items, as all others here
said = sys.argv[1]
for name in ("openai:gpt-4o-mini", "anthropic:claude-haiku-4-5", "google:gemini-2.5-flash", "mistral:mistral-small",
             "bedrock:amazon.nova-lite-v1:0"):
    ChatModel(name)._call("warm")
    price_of(Usage(input_tokens=1, output_tokens=1), *name.split(":", 1)[::-1], batch=True)
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        sys.stdin = open(os.devnull)
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        words, named = json.loads(line)
        os.environ.update(named)
        code = main(words)
        sys.stderr.flush()
        os._exit(code)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-haiku-4-5",
    "google": "gemini-2.5-flash",
    "mistral": "mistral-small",
    "bedrock": "amazon.nova-lite-v1:0",
}


AWS = {
    "AWS_REGION": "eu-west-3", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "k-canary",
    "AWS_S3_BUCKET_NAME": "my-bucket", "AWS_BATCH_ROLE_ARN": ROLE,
}  # fmt: skip


class Runs:
    """Runs commands in forks of one warm process, one at a time."""

    def __init__(self, said: Path) -> None:
        """Their standard error goes to that file."""
        self.said = said
        keys = {
            f"{name.upper()}_API_KEY": "k-canary" for name in ("openai", "anthropic", "gemini", "google", "mistral")
        }
        self._forks = subprocess.Popen(
            [sys.executable, "-c", _FORKS, str(said)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **keys, **AWS, "PYTHONWARNINGS": "error"},
        )  # fmt: skip
        self.pid = 0

    def start(self, words: list[str], **environment: str) -> None:
        assert self._forks.stdin is not None
        assert self._forks.stdout is not None
        self._forks.stdin.write(json.dumps([words, environment]) + "\n")
        self._forks.stdin.flush()
        self.pid = int(self._forks.stdout.readline() or 0)
        assert self.pid, "the process that forks has ended"

    def kill(self, number: int = signal.SIGKILL) -> None:
        while not self.pid:
            time.sleep(0.001)
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def ended(self) -> int:
        assert self._forks.stdout is not None
        code = int(self._forks.stdout.readline())
        self.pid = 0
        return code

    def close(self) -> None:
        assert self._forks.stdin is not None
        assert self._forks.stdout is not None
        self._forks.stdin.close()
        self._forks.wait(10)
        self._forks.stdout.close()


def made(server: Server, provider: str, takes: float) -> JobsServer:
    return (
        BedrockServer(server, takes=takes, judged=False)
        if provider == "bedrock"
        else JobsServer(server, provider, takes=takes)
    )


def words(jobs: JobsServer, folder: Path, *more: str) -> list[str]:
    return ["batch", str(folder / "in.jsonl"), "-o", str(folder / "out.jsonl"), "-m",
            f"{jobs.provider}:{MODELS[jobs.provider]}", "--base-url", jobs.url, "--via", "provider", "--poll", "0.02",
            "--job-size", "4",
            "--quiet", *more]  # fmt: skip


def killed_at(server: Server, runs: Runs, folder: Path, provider: str, steps: list[tuple[str, str]]) -> JobsServer:
    """One batch of ten items, its runs killed before or after the next step of each of these names, then run to the end."""
    jobs = made(server, provider, 0.03)
    write(folder, 10)
    for when, name in steps:
        hit = threading.Event()

        def kills(step: str, exchange: Exchange, name: str = name, hit: threading.Event = hit) -> None:
            if step == name and not hit.is_set():
                hit.set()
                runs.kill()
                exchange.rst()

        setattr(jobs, when, kills)
        runs.start(words(jobs, folder), AWS_ENDPOINT_URL_S3=jobs.url)
        assert runs.ended() == -signal.SIGKILL, f"{when} {name}"
        _drained(server)
        setattr(jobs, when, lambda step, exchange: None)
    runs.start(words(jobs, folder), AWS_ENDPOINT_URL_S3=jobs.url)
    assert runs.ended() == 0
    check(jobs, folder, 10)
    return jobs


def _drained(server: Server) -> None:
    """What the dead process had sent has been read: a busy machine must not take longer for it than a run looks for its jobs."""
    until = time.monotonic() + 10
    while server.open and time.monotonic() < until:
        time.sleep(0.001)


def killed_at_random(server: Server, runs: Runs, folder: Path, dice: random.Random, kills: int) -> int:
    """How many runs were killed before their end."""
    jobs = made(server, dice.choice(list(MODELS)), 0.05 * dice.random())
    once, count = set[str](), dice.randrange(1, 25)

    def fate(job: Any, text: str) -> str:
        if text not in once and len(once) < count // 4:
            once.add(text)
            return dice.choice(["expired", "missing"])
        return "ok"

    jobs.fate = fate
    killed = 0
    more = ["--ordered"] if dice.random() < 0.5 else []
    write(folder, count)
    for _ in range(kills):
        runs.start(words(jobs, folder, *more), AWS_ENDPOINT_URL_S3=jobs.url)
        time.sleep(dice.random() * 0.15)
        runs.kill()
        killed += runs.ended() == -signal.SIGKILL
        _drained(server)
    runs.start(words(jobs, folder, *more), AWS_ENDPOINT_URL_S3=jobs.url)
    assert runs.ended() == 0
    check(jobs, folder, count, ordered=bool(more))
    return killed


def write(folder: Path, count: int) -> None:
    text = "".join(json.dumps({"id": n, "prompt": f"item {n}"}) + "\n" for n in range(count))
    (folder / "in.jsonl").write_text(text)


def check(jobs: JobsServer, folder: Path, count: int, *, ordered: bool = False) -> None:
    """Every item has its line once, and was answered, and paid, once."""
    found = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert sorted(f["index"] for f in found) == list(range(count)), "a line is lost, or written twice"
    assert not ordered or [f["index"] for f in found] == list(range(count))
    assert all(f["text"] == f"item {f['index']}" for f in found)
    assert jobs.answered == collections.Counter(f"item {n}" for n in range(count)), "paid twice"
    assert not jobs.live


def main() -> None:
    wanted, dice = int(sys.argv[1]), random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    made = batches = 0
    with serving() as server, tempfile.TemporaryDirectory() as beside:
        runs = Runs(Path(beside) / "said")
        while made < wanted:
            with tempfile.TemporaryDirectory() as folder:
                made += killed_at_random(server, runs, Path(folder), dice, dice.randrange(1, 7))
            batches += 1
        runs.close()
    print({"kills": made, "batches": batches})


if __name__ == "__main__":
    main()
