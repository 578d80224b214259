"""Runs through providers' batch APIs that are killed at any moment: the same command finishes, and nothing is paid for twice."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..servers import Server, serving
from .jobs_server import JobsServer
from .kills_provider import Runs, check, killed_at, killed_at_random, words, write

MANY = int(os.environ.get("CHATMODELS_KILLS", "0"))
STEPS = [(when, step) for step in ("upload", "create", "status", "content") for when in ("before", "after")]

AROUND = [("before", "create"), ("after", "create"), ("after", "list"), ("after", "status")]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Nobody else's: it is waited until all that a killed run had sent has been read."""
    with serving() as made:
        yield made


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    made = Runs(tmp_path_factory.mktemp("runs") / "said")
    yield made
    made.close()


def test_killed_at_each_step(server: Server, runs: Runs, tmp_path: Path) -> None:
    jobs = killed_at(server, runs, tmp_path, "openai", STEPS if MANY else STEPS[2:])
    assert len(jobs.jobs) == 3


@pytest.mark.parametrize(
    "provider", ["anthropic", "bedrock", "google", "mistral"] if MANY else ["anthropic", "bedrock"]
)
def test_killed_around_the_submission(server: Server, runs: Runs, tmp_path: Path, provider: str) -> None:
    files = [("before", "upload"), ("after", "upload"), ("before", "content"), ("after", "content")]
    steps = AROUND if provider != "bedrock" else [*files[:2], *AROUND, *files[2:]] if MANY else [files[1], *AROUND[:2]]
    jobs = killed_at(server, runs, tmp_path, provider, steps)
    assert len(jobs.jobs) == 3


def test_killed_at_random(server: Server, runs: Runs, tmp_path: Path) -> None:
    """CHATMODELS_KILLS=300 for more, here and above."""
    wanted, made, dice = MANY or 3, 0, random.Random(3)
    for n in range(wanted):
        if made >= wanted:
            break
        folder = tmp_path / str(n)
        folder.mkdir()
        made += killed_at_random(server, runs, folder, dice, 3)
    assert made


def test_ctrl_c_leaves_jobs_running_and_says_so(server: Server, runs: Runs, tmp_path: Path) -> None:
    jobs = JobsServer(server, "openai", takes=1000.0)
    write(tmp_path, 4)
    runs.start(words(jobs, tmp_path))
    jobs.route.wait_for_requests(4, 20)
    runs.kill(signal.SIGINT)
    assert runs.ended() == 130
    assert "no more jobs are submitted; 1 go on at the provider (batch_" in runs.said.read_text()
    for job in jobs.jobs.values():
        job.ends = 0.0
    runs.start(words(jobs, tmp_path))
    assert runs.ended() == 0
    check(jobs, tmp_path, 4)
    assert len(jobs.jobs) == 1
