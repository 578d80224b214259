"""`run_batch` without a journal: nothing is kept for after a crash but the output."""

from __future__ import annotations

from pathlib import Path

from batchers import ours


def work(url: str, source: Path, out: Path, concurrency: int) -> None:
    ours.work(url, source, out, concurrency, journal=False)
