"""litellm's functions: it keeps its HTTP clients itself. Its price list is the package's, not downloaded."""

from __future__ import annotations

import time

import litellm
from prompt import KEY, MODEL, TEXT

MESSAGES = [{"role": "user", "content": TEXT}]


class Client:
    def __init__(self, url: str) -> None:
        self.settings = {"model": f"openai/{MODEL}", "api_base": url, "api_key": KEY}

    def call(self) -> str:
        return litellm.completion(messages=MESSAGES, **self.settings).choices[0].message.content

    def read_stream(self) -> int:
        length = 0
        for chunk in litellm.completion(messages=MESSAGES, stream=True, **self.settings):
            text = chunk.choices[0].delta.content
            if text:
                length += len(text)
        return length

    def leave_stream(self, chunks: int) -> float:
        seen, left = 0, 0.0
        for chunk in litellm.completion(messages=MESSAGES, stream=True, **self.settings):
            seen += bool(chunk.choices[0].delta.content)
            if seen >= chunks:
                left = time.monotonic()
                break
        return left

    def batch(self, count: int, concurrency: int) -> int:
        inputs = [MESSAGES for _ in range(count)]
        answers = litellm.batch_completion(messages=inputs, max_workers=concurrency, **self.settings)
        return sum(bool(answer.choices[0].message.content) for answer in answers)

    async def acall(self) -> str:
        return (await litellm.acompletion(messages=MESSAGES, **self.settings)).choices[0].message.content

    async def aread_stream(self) -> int:
        length = 0
        async for chunk in await litellm.acompletion(messages=MESSAGES, stream=True, **self.settings):
            text = chunk.choices[0].delta.content
            if text:
                length += len(text)
        return length

    async def aleave_stream(self, chunks: int) -> float:
        seen, left = 0, 0.0
        async for chunk in await litellm.acompletion(messages=MESSAGES, stream=True, **self.settings):
            seen += bool(chunk.choices[0].delta.content)
            if seen >= chunks:
                left = time.monotonic()
                break
        return left
