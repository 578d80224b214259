"""Runs through providers' batch APIs that are killed at any moment: the same command finishes, and nothing is paid for twice."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..servers import Server
from .kills_provider import Runs, killed_at, killed_at_random

STEPS = [(when, step) for step in ("upload", "create", "status", "content") for when in ("before", "after")]


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    made = Runs()
    yield made
    made.close()


def test_killed_at_each_step(server: Server, runs: Runs, tmp_path: Path) -> None:
    jobs = killed_at(server, runs, tmp_path, "openai", STEPS)
    assert len(jobs.jobs) == 3


@pytest.mark.parametrize("provider", ["anthropic", "google", "mistral"])
def test_killed_around_the_submission(server: Server, runs: Runs, tmp_path: Path, provider: str) -> None:
    jobs = killed_at(server, runs, tmp_path, provider, [("before", "create"), ("after", "create"), ("after", "list")])
    assert len(jobs.jobs) == 3


def test_killed_at_random(server: Server, runs: Runs, tmp_path: Path) -> None:
    """CHATMODELS_KILLS=300 for more."""
    wanted, made, dice = int(os.environ.get("CHATMODELS_KILLS", "6")), 0, random.Random(3)
    for n in range(wanted):
        if made >= wanted:
            break
        folder = tmp_path / str(n)
        folder.mkdir()
        made += killed_at_random(server, runs, folder, dice, 3)
    assert made
