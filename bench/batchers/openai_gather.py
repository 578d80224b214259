"""What people write: `asyncio.gather` over the openai SDK, with a semaphore."""

from __future__ import annotations

import asyncio
from pathlib import Path

from batchers.files import KEY, MODEL, prompts, write_answers


def work(url: str, source: Path, out: Path, concurrency: int) -> None:
    asyncio.run(gathered(url, source, out, asyncio.Semaphore(concurrency)))


async def gathered(url: str, source: Path, out: Path, room: asyncio.Semaphore) -> None:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(api_key=KEY, base_url=url) as client:

        async def one(number: int, text: str) -> tuple[int, str]:
            async with room:
                answer = await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}])
            return number, answer.choices[0].message.content or ""

        write_answers(out, await asyncio.gather(*(one(n, text) for n, text in prompts(source))))
