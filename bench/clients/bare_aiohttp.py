"""The bare asynchronous transport: one aiohttp session, connections unlimited, msgspec for typed decoding."""

from __future__ import annotations

import asyncio
import time

import aiohttp
from wire import HEADERS, Events, decode_completion, request_body


class Client:
    def __init__(self, url: str) -> None:
        self.url = url + "/chat/completions"
        self.session: aiohttp.ClientSession | None = None
        self.loop: asyncio.AbstractEventLoop | None = None

    def post(self, stream: bool) -> aiohttp.client._RequestContextManager:
        if self.session is None:  # it wants to be made inside the running loop
            self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self.session.post(self.url, data=request_body(stream), headers=HEADERS)

    async def acall(self) -> str | None:
        async with self.post(stream=False) as response:
            assert response.status == 200
            return decode_completion(await response.read()).choices[0].message.content

    async def aread_stream(self) -> int:
        events, length = Events(), 0
        async with self.post(stream=True) as response:
            async for data in response.content.iter_any():
                length += events.feed(data)
        assert events.done
        return length

    async def aleave_stream(self, chunks: int) -> float:
        events, left = Events(), 0.0
        async with self.post(stream=True) as response:
            async for data in response.content.iter_any():
                events.feed(data)
                if events.chunks >= chunks:
                    left = time.monotonic()
                    break
        return left

    def batch(self, count: int, concurrency: int) -> int:
        """From synchronous code: a loop of its own, and as many tasks as may be in flight."""
        if self.loop is None:
            self.loop = asyncio.new_event_loop()
        return self.loop.run_until_complete(self.shared(count, concurrency))

    async def shared(self, count: int, concurrency: int) -> int:
        numbers = iter(range(count))

        async def take() -> int:
            return sum([bool(await self.acall()) for _ in numbers])

        return sum(await asyncio.gather(*[take() for _ in range(concurrency)]))

    async def aclose(self) -> None:
        if self.session is not None:
            await self.session.close()
