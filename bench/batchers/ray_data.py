"""Ray Data without us: `map_batches` over an actor with the openai SDK in it. Ray has both processors to itself."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from batchers.files import KEY, MODEL

WARM = False


class Asking:
    """An actor: it gathers a block's prompts, `concurrency` at a time."""

    def __init__(self, url: str, concurrency: int) -> None:
        from openai import AsyncOpenAI

        self._client = AsyncOpenAI(api_key=KEY, base_url=url)
        self._room = asyncio.Semaphore(concurrency)

    async def _one(self, text: str) -> str:
        async with self._room:
            answer = await self._client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": text}]
            )
        return answer.choices[0].message.content or ""

    async def __call__(self, batch: dict[str, Any]) -> Any:
        texts = await asyncio.gather(*(self._one(str(text)) for text in batch["prompt"]))
        yield {"id": batch["id"], "text": texts}


def prepare() -> None:
    """The cluster starts before the clock does."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, configure_logging=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False


def work(url: str, source: Path, out: Path, concurrency: int) -> None:
    import ray

    answers = ray.data.read_json(str(source)).map_batches(
        Asking, fn_constructor_args=(url, concurrency), batch_size=1000, concurrency=1
    )
    with out.open("w") as file:
        for row in answers.iter_rows():
            file.write(json.dumps({"id": int(row["id"]), "text": row["text"]}) + "\n")
    ray.shutdown()
