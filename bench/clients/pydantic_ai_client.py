"""pydantic-ai through `pydantic_ai.direct`: its own calls to a model, without the agent around them."""

from __future__ import annotations

import time

from prompt import KEY, MODEL, TEXT
from pydantic_ai import ModelRequest, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.direct import (
    model_request,
    model_request_stream,
    model_request_stream_sync,
    model_request_sync,
)
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


def text_of(event: object) -> str:
    match event:
        case PartDeltaEvent(delta=TextPartDelta(content_delta=text)) | PartStartEvent(part=TextPart(content=text)):
            return text
    return ""


class Client:
    def __init__(self, url: str) -> None:
        self.model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=url, api_key=KEY))

    def call(self) -> str | None:
        return model_request_sync(self.model, [ModelRequest.user_text_prompt(TEXT)]).text

    def read_stream(self) -> int:
        length = 0
        with model_request_stream_sync(self.model, [ModelRequest.user_text_prompt(TEXT)]) as stream:
            for event in stream:
                length += len(text_of(event))
        return length

    def leave_stream(self, chunks: int) -> float:
        seen, left = 0, 0.0
        with model_request_stream_sync(self.model, [ModelRequest.user_text_prompt(TEXT)]) as stream:
            for event in stream:
                seen += bool(text_of(event))
                if seen >= chunks:
                    left = time.monotonic()
                    break
        return left

    async def acall(self) -> str | None:
        return (await model_request(self.model, [ModelRequest.user_text_prompt(TEXT)])).text

    async def aread_stream(self) -> int:
        length = 0
        async with model_request_stream(self.model, [ModelRequest.user_text_prompt(TEXT)]) as stream:
            async for event in stream:
                length += len(text_of(event))
        return length

    async def aleave_stream(self, chunks: int) -> float:
        seen, left = 0, 0.0
        async with model_request_stream(self.model, [ModelRequest.user_text_prompt(TEXT)]) as stream:
            async for event in stream:
                seen += bool(text_of(event))
                if seen >= chunks:
                    left = time.monotonic()
                    break
        return left
