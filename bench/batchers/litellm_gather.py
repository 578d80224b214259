"""litellm's `acompletion` under `asyncio.gather` and a semaphore."""

from __future__ import annotations

import asyncio
from pathlib import Path

from batchers.files import KEY, MODEL, prompts, write_answers


def work(url: str, source: Path, out: Path, concurrency: int) -> None:
    import litellm

    async def go() -> None:
        room = asyncio.Semaphore(concurrency)

        async def one(number: int, text: str) -> tuple[int, str]:
            async with room:
                answer = await litellm.acompletion(
                    model=f"openai/{MODEL}", messages=[{"role": "user", "content": text}], api_base=url, api_key=KEY
                )
            return number, answer.choices[0].message.content

        write_answers(out, await asyncio.gather(*(one(n, text) for n, text in prompts(source))))

    asyncio.run(go())
