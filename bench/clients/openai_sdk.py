"""The openai SDK as its README shows it: one client kept, default HTTP client and settings."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from openai import AsyncOpenAI, OpenAI
from prompt import KEY, MODEL, TEXT

MESSAGES = [{"role": "user", "content": TEXT}]


class Client:
    def __init__(self, url: str) -> None:
        self.client = OpenAI(api_key=KEY, base_url=url)
        self.async_client = AsyncOpenAI(api_key=KEY, base_url=url)

    def call(self) -> str | None:
        return self.client.chat.completions.create(model=MODEL, messages=MESSAGES).choices[0].message.content

    def read_stream(self) -> int:
        length = 0
        for chunk in self.client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True):
            text = chunk.choices[0].delta.content
            if text:
                length += len(text)
        return length

    def leave_stream(self, chunks: int) -> float:
        seen, left = 0, 0.0
        for chunk in self.client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True):
            seen += bool(chunk.choices[0].delta.content)
            if seen >= chunks:
                left = time.monotonic()
                break
        return left

    def batch(self, count: int, concurrency: int) -> int:
        """The SDK has no batch for live calls: a pool of threads, which is what people write."""
        with ThreadPoolExecutor(concurrency) as threads:
            return sum(bool(answer) for answer in threads.map(lambda _: self.call(), range(count)))

    async def acall(self) -> str | None:
        answer = await self.async_client.chat.completions.create(model=MODEL, messages=MESSAGES)
        return answer.choices[0].message.content

    async def aread_stream(self) -> int:
        length = 0
        async for chunk in await self.async_client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True):
            text = chunk.choices[0].delta.content
            if text:
                length += len(text)
        return length

    async def aleave_stream(self, chunks: int) -> float:
        seen, left = 0, 0.0
        async for chunk in await self.async_client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True):
            seen += bool(chunk.choices[0].delta.content)
            if seen >= chunks:
                left = time.monotonic()
                break
        return left

    async def aclose(self) -> None:
        await self.async_client.close()
