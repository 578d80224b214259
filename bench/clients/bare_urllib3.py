"""The bare synchronous transport: one urllib3 pool, its documented `stream()`, msgspec for typed decoding."""

from __future__ import annotations

import time

import urllib3
from wire import HEADERS, Events, decode_completion, request_body


class Client:
    def __init__(self, url: str) -> None:
        self.url = url + "/chat/completions"
        self.pool = urllib3.PoolManager(maxsize=10)

    def post(self, stream: bool) -> urllib3.BaseHTTPResponse:
        return self.pool.request(
            "POST",
            self.url,
            body=request_body(stream),
            headers=HEADERS,
            preload_content=not stream,
            retries=False,
        )

    def call(self) -> str | None:
        response = self.post(stream=False)
        assert response.status == 200
        return decode_completion(response.data).choices[0].message.content

    def read_stream(self) -> int:
        response, events, length = self.post(stream=True), Events(), 0
        for data in response.stream(65536):
            length += events.feed(data)
        assert events.done
        response.release_conn()
        return length

    def leave_stream(self, chunks: int) -> float:
        response, events, left = self.post(stream=True), Events(), 0.0
        for data in response.stream(65536):
            events.feed(data)
            if events.chunks >= chunks:
                left = time.monotonic()
                break
        response.close()
        return left
