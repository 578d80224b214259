"""`run_batch`, with its journal: what a user gets who says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from batchers.files import KEY, MODEL


def work(url: str, source: Path, out: Path, concurrency: int, journal: Any = None) -> None:
    from chatmodels import ChatOpenAI
    from chatmodels.batch import run_batch

    model = ChatOpenAI(model=MODEL, api_key=KEY, base_url=url)
    summary = run_batch(model, source, out=out, max_concurrency=concurrency, journal=journal)
    assert summary.ok, summary
