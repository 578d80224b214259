"""langchain-openai's ChatOpenAI: one model object kept, default settings (tracing is off without a key)."""

from __future__ import annotations

import time

from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from prompt import KEY, MODEL, TEXT


class Client:
    def __init__(self, url: str) -> None:
        self.chat = ChatOpenAI(model=MODEL, api_key=KEY, base_url=url)

    def call(self) -> str:
        return str(self.chat.invoke([HumanMessage(content=TEXT)]).text)

    def read_stream(self) -> int:
        length = 0
        for chunk in self.chat.stream([HumanMessage(content=TEXT)]):
            length += len(chunk.content)
        return length

    def leave_stream(self, chunks: int) -> float:
        seen, left = 0, 0.0
        for chunk in self.chat.stream([HumanMessage(content=TEXT)]):
            seen += bool(chunk.content)
            if seen >= chunks:
                left = time.monotonic()
                break
        return left

    def batch(self, count: int, concurrency: int) -> int:
        inputs = [[HumanMessage(content=TEXT)] for _ in range(count)]
        return sum(bool(answer.text) for answer in self.chat.batch(inputs, config={"max_concurrency": concurrency}))

    async def acall(self) -> str:
        return str((await self.chat.ainvoke([HumanMessage(content=TEXT)])).text)

    async def aread_stream(self) -> int:
        length = 0
        async for chunk in self.chat.astream([HumanMessage(content=TEXT)]):
            length += len(chunk.content)
        return length

    async def aleave_stream(self, chunks: int) -> float:
        seen, left = 0, 0.0
        async for chunk in self.chat.astream([HumanMessage(content=TEXT)]):
            seen += bool(chunk.content)
            if seen >= chunks:
                left = time.monotonic()
                break
        return left
