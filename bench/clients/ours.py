"""chatmodels itself: one model object kept, default settings."""

from __future__ import annotations

import time

from prompt import KEY, MODEL, TEXT

from chatmodels import ChatOpenAI, HumanMessage


class Client:
    def __init__(self, url: str) -> None:
        self.chat = ChatOpenAI(model=MODEL, openai_api_key=KEY, base_url=url)

    def call(self) -> str:
        return self.chat.invoke([HumanMessage(content=TEXT)]).text

    def read_stream(self) -> int:
        length = 0
        for chunk in self.chat.stream([HumanMessage(content=TEXT)]):
            length += len(chunk.text)
        return length

    def fold_stream(self) -> int:
        """As `read_stream`, and the whole message is looked at in the end."""
        stream = self.chat.stream([HumanMessage(content=TEXT)])
        length = 0
        for chunk in stream:
            length += len(chunk.text)
        assert len(stream.message.text) == length
        return length

    def leave_stream(self, chunks: int) -> float:
        seen, left = 0, 0.0
        for chunk in self.chat.stream([HumanMessage(content=TEXT)]):
            seen += bool(chunk.text)
            if seen >= chunks:
                left = time.monotonic()
                break
        return left

    def batch(self, count: int, concurrency: int) -> int:
        inputs = [[HumanMessage(content=TEXT)] for _ in range(count)]
        return sum(bool(answer.text) for answer in self.chat.batch(inputs, max_concurrency=concurrency))

    async def acall(self) -> str:
        return (await self.chat.ainvoke([HumanMessage(content=TEXT)])).text

    async def aread_stream(self) -> int:
        length = 0
        async for chunk in self.chat.astream([HumanMessage(content=TEXT)]):
            length += len(chunk.text)
        return length

    async def afold_stream(self) -> int:
        stream = self.chat.astream([HumanMessage(content=TEXT)])
        length = 0
        async for chunk in stream:
            length += len(chunk.text)
        assert len(stream.message.text) == length
        return length

    async def aleave_stream(self, chunks: int) -> float:
        seen, left = 0, 0.0
        async for chunk in self.chat.astream([HumanMessage(content=TEXT)]):
            seen += bool(chunk.text)
            if seen >= chunks:
                left = time.monotonic()
                break
        return left
