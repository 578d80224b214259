"""What people write first: `asyncio.gather` over the openai SDK, all items at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from batchers.openai_gather import gathered


def work(url: str, source: Path, out: Path, concurrency: int) -> None:
    asyncio.run(gathered(url, source, out, asyncio.Semaphore(10**9)))
