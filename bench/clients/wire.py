"""The least a client must do with chat completions: typed decoding, and splitting streams."""

from __future__ import annotations

import msgspec
from prompt import KEY, MODEL, TEXT

HEADERS = {"Content-Type": "application/json", "Accept": "application/json", "Authorization": f"Bearer {KEY}"}


class Message(msgspec.Struct):
    role: str = "assistant"
    content: str | None = None
    refusal: str | None = None


class Choice(msgspec.Struct):
    message: Message
    index: int = 0
    finish_reason: str | None = None


class Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(msgspec.Struct):
    id: str
    model: str
    choices: list[Choice]
    usage: Usage | None = None


class Delta(msgspec.Struct):
    role: str | None = None
    content: str | None = None
    refusal: str | None = None


class ChunkChoice(msgspec.Struct):
    delta: Delta
    index: int = 0
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    id: str
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None


decode_completion = msgspec.json.Decoder(Completion).decode
decode_chunk = msgspec.json.Decoder(Chunk).decode
encode = msgspec.json.Encoder().encode


def request_body(stream: bool) -> bytes:
    """A new body for each call, as a client with other messages each time has to make one."""
    body: dict[str, object] = {"model": MODEL, "messages": [{"role": "user", "content": TEXT}]}
    if stream:
        body["stream"] = True
    return encode(body)


class Events:
    """Splits server-sent events of one data line each; `feed` gives the length of the text in them."""

    def __init__(self) -> None:
        self.rest = b""
        self.chunks = 0
        self.done = False

    def feed(self, data: bytes) -> int:
        *events, self.rest = (self.rest + data).split(b"\n\n")
        length = 0
        for event in events:
            if event == b"data: [DONE]":
                self.done = True
                break
            chunk = decode_chunk(event[6:])
            if chunk.choices:
                text = chunk.choices[0].delta.content
                if text:
                    self.chunks += 1
                    length += len(text)
        return length
