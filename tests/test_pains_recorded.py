"""Recorded streams of every format, spoilt in every way that networks, gateways and servers spoil them; where the records lie
beside the repository. What changes nothing by the standard must change nothing here; what takes something away is no answer.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from chatmodels import ChatModel, ChatModelError
from chatmodels._events import Event
from chatmodels._fold import Fold
from chatmodels._messages import AIMessage

from .dialects.wire_records import THERE, load, records

pytestmark = pytest.mark.skipif(not THERE, reason="no recorded traffic beside this repository")

PROVIDERS = {
    "openai-chat": "openai",
    "openai-responses": "openai-responses",
    "anthropic-messages": "anthropic",
    "google-generate": "google",
    "bedrock-converse": "bedrock",
    "mistral-chat": "mistral",
    "cohere-chat-v2": "cohere",
    "ollama-chat": "ollama",
    "huggingface-chat": "huggingface",
}
#: So many streams of each format, and none with more events than this.
MOST, LONGEST = 5, 20
#: Hosts that say a finish reason again and again, or several answers one after the other: a cut between cannot be seen.
REPEATED = {
    "openai-chat-c7d716ca99e1",
    "openai-chat-ea5d50e95e06",
    "google-generate-29aa456cd089",
    "google-generate-cf9cd82555aa",
}

each_format = pytest.mark.parametrize("api", PROVIDERS)


@cache
def dialect(api: str) -> Any:
    model = ChatModel(f"{PROVIDERS[api]}:m", base_url="http://127.0.0.1:9", api_key="a-key-of-no-use")
    return model._plan().dialect  # pyright: ignore[reportPrivateUsage]


def read(api: str, pieces: list[bytes]) -> tuple[AIMessage, ChatModelError | None]:
    """What came, and the error where it is no answer; any other exception is a defect."""
    decoder, folding = dialect(api).stream_decoder(), Fold()
    try:
        for data in [*pieces, b""]:
            given: list[Event] = decoder.feed(data) if data else [] if decoder.ended else decoder.close()
            for one in given:
                folding.add(one)
            if decoder.failed is not None:
                raise decoder.failed
            if decoder.ended:
                break
    except ChatModelError as error:
        return folding.message(), error
    assert folding.end is not None, "it has neither ended nor failed"
    return folding.message(), None


def events(api: str, data: bytes) -> list[bytes]:
    """The bytes of each event."""
    if api == "bedrock-converse":
        out: list[bytes] = []
        at = 0
        while at < len(data):
            size = struct.unpack(">I", data[at : at + 4])[0]
            out.append(data[at : at + size])
            at += size
        return out
    if api == "ollama-chat":
        return [line + b"\n" for line in data.split(b"\n") if line.strip()]
    return [block + b"\n\n" for block in data.replace(b"\r\n", b"\n").split(b"\n\n") if block.strip()]


@cache
def streams(api: str) -> list[tuple[str, list[bytes], AIMessage]]:
    """(id, events, message) of some short good streams, with all the features that there are."""
    oracle, score = load("oracle"), load("score")
    found: list[tuple[str, list[bytes], AIMessage]] = []
    for record in records(api):
        if len(found) == MOST:
            break
        if record["stream"] and score.kind_of(record, oracle.expected(record)) == "stream":
            data = oracle.body_bytes(record)
            parts = [] if data.lstrip()[:1] == b"[" else events(api, data)
            if 0 < len(parts) <= LONGEST:
                message, error = read(api, [data])
                assert error is None
                found.append((record["id"], parts, message))
    assert found
    return found


def harmless(api: str, parts: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    whole = b"".join(parts)
    yield "three bytes at a time", [whole[i : i + 3] for i in range(0, len(whole), 3)]
    if api == "bedrock-converse":
        return
    yield "a byte order mark", [b"\xef\xbb\xbf", whole]
    crlf = whole.replace(b"\n", b"\r\n")
    yield "CRLF, cut between CR and LF", re.findall(rb"[^\r]*\r|\n|[^\r]+$", crlf)
    yield "no end of the last line", [whole.rstrip(b"\n")]
    if api == "ollama-chat":
        return
    yield "CR", [whole.replace(b"\n", b"\r")]
    yield "comments", [b": ping\n\n" + p for p in parts]
    yield "comments inside", [b": x\n:\n" + p for p in parts]
    yield "ids and unknown fields", [b"id: 7\nretry: 300\nfoo: bar\n" + p for p in parts]
    yield "more blank lines", [b"\n\n" + p for p in parts]
    yield "no space after the colon", [re.sub(rb"^(data|event): ", rb"\1:", p, flags=re.MULTILINE) for p in parts]
    yield "no names of events", [re.sub(rb"^event:.*\n", b"", p, flags=re.MULTILINE) for p in parts]
    yield (
        "a line break inside of the data",
        [re.sub(rb"^data: (\{)", rb"data: \1\ndata: ", p, flags=re.MULTILINE) for p in parts],
    )
    yield "empty data", [b"data:\n\n" + p for p in parts]


@each_format
def test_what_means_the_same_is_read_the_same(api: str) -> None:
    for ident, parts, whole in streams(api):
        for name, pieces in harmless(api, parts):
            message, error = read(api, pieces)
            assert error is None, (ident, name)
            assert message == whole, (ident, name)


@each_format
def test_a_new_kind_of_event_does_no_harm(api: str) -> None:
    if api in ("bedrock-converse", "ollama-chat"):
        pytest.skip("its events have no kinds, or their own framing")
    new = b'event: of.tomorrow\ndata: {"type": "of.tomorrow", "n": 1}\n\n'
    for ident, parts, whole in streams(api):
        message, error = read(api, [new + p for p in parts])
        assert error is None, ident
        assert message.content == whole.content, ident
        assert (message.finish_reason, message.usage) == (whole.finish_reason, whole.usage), ident


@each_format
def test_cut_anywhere_it_is_no_answer_or_the_whole_one(api: str) -> None:
    """At every event, in the middle of each, and before its last byte."""
    for ident, parts, whole in streams(api):
        if ident in REPEATED:
            continue
        for at, last in enumerate(parts):
            before = b"".join(parts[:at])
            for data in (before, before + last[: len(last) // 2], before + last[:-3]):
                message, error = read(api, [data])
                if error is None:
                    assert (message.content, message.finish_reason) == (whole.content, whole.finish_reason), (ident, at)
                elif message.text:
                    assert whole.text.startswith(message.text), (ident, at)


@each_format
def test_lost_repeated_or_swapped_events_end_in_an_answer_or_an_error_of_ours(api: str) -> None:
    for _, parts, _ in streams(api):
        for at in range(len(parts)):
            for seq in (
                parts[:at] + parts[at + 1 :],
                parts[: at + 1] + parts[at:],
                parts[:at] + parts[at + 1 : at + 2] + parts[at : at + 1] + parts[at + 2 :],
                parts[: at + 1] + parts,
            ):
                message, _ = read(api, [b"".join(seq)])
                message.to_json()
