"""Bedrock Converse by hand-written cases: each has the answer as JSON, the same as frames, and the message; one runner
checks them all. Then answers, streams and errors that are not as they should be.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from chatmodels._call import Call, HTTPResponse
from chatmodels._errors import (
    AuthenticationError,
    BadRequestError,
    ContextTooLongError,
    IncompleteStream,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    RateLimitError,
)
from chatmodels._events import Event, TextDelta
from chatmodels._fold import fold
from chatmodels._messages import AIMessage, HumanMessage
from chatmodels._parts import (
    Citation,
    Image,
    Opaque,
    Part,
    Reasoning,
    ServerTool,
    Text,
    ToolCall,
)
from chatmodels._tools import as_tool
from chatmodels._usage import Usage
from chatmodels.dialects.bedrock import BedrockConverse

PNG = b"\x89PNG\r\n\x1a\n0000"
CLAUDE = "us.anthropic.claude-opus-4-6-v1"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = as_tool({"name": "weather", "description": "The weather.", "input_schema": SCHEMA})


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def frame(payload: Any, **headers: str) -> bytes:
    """One frame of an AWS event stream; `event_type` is the header `:event-type`."""
    head = b""
    for name, value in headers.items():
        key = ":" + name.replace("_", "-")
        head += bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(head) + len(body), len(head))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + body
    return whole + struct.pack(">I", zlib.crc32(whole))


def event(kind: str, payload: Any) -> bytes:
    return frame(payload, event_type=kind, content_type="application/json", message_type="event")


def delta(index: int, **content: Any) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": content, "p": "abc"})


def begin(index: int, **start: Any) -> bytes:
    return event("contentBlockStart", {"contentBlockIndex": index, "start": start})


def stop(index: int) -> bytes:
    return event("contentBlockStop", {"contentBlockIndex": index})


START = event("messageStart", {"role": "assistant"})


def ending(reason: str, usage: dict[str, Any] | None = None, **fields: Any) -> bytes:
    return event("messageStop", {"stopReason": reason}) + event("metadata", {"usage": usage or {}, **fields})


def run(data: bytes, *cuts: int) -> list[Event]:
    decoder = BedrockConverse().stream_decoder()
    out: list[Event] = []
    for a, b in zip((0, *cuts), (*cuts, len(data)), strict=True):
        out += decoder.feed(data[a:b])
    if decoder.failed is None:
        out += decoder.close()
    if decoder.failed is not None:
        raise decoder.failed
    return out


def answer(
    content: list[dict[str, Any]], reason: str, usage: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {"output": {"message": message}, "stopReason": reason, "usage": usage or {}, **fields}


def decoded(body: Any) -> AIMessage:
    return BedrockConverse().decode(HTTPResponse(status=200, body=json.dumps(body).encode()))


def encoded(messages: list[Any], model: str = CLAUDE, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    dialect = fields.pop("dialect", BedrockConverse())
    request = dialect.encode(Call(model=model, messages=tuple(messages), **fields))
    return json.loads(request.body), request.warnings


class Case(msgspec.Struct):
    """An answer in both forms, and the message that it means."""

    name: str
    body: dict[str, Any]
    stream: bytes
    message: AIMessage


CITATION = {
    "title": "Doc",
    "source": "https://a.example/doc",
    "sourceContent": [{"text": "cited"}],
    "location": {"documentChar": {"documentIndex": 0, "start": 1, "end": 6}},
}
CITED = Citation(
    url="https://a.example/doc", title="Doc", cited_text="cited", provider_data={"bedrock": {"citation": CITATION}}
)
SEARCH = {"toolUse": {"toolUseId": "s1", "name": "nova_grounding", "type": "server_tool_use", "input": {"query": "q"}}}
FOUND = {
    "toolResult": {
        "toolUseId": "s1",
        "type": "nova_grounding_result",
        "status": "success",
        "content": [{"text": "a"}, {"json": {"b": 1}}],
    }
}

CASES = [
    Case(
        "text, a cache and a guardrail",
        answer(
            [{"text": "\n Hi \N{WAVING HAND SIGN}"}],
            "guardrail_intervened",
            {
                "inputTokens": 3,
                "outputTokens": 4,
                "totalTokens": 24,
                "cacheReadInputTokens": 10,
                "cacheReadInputTokenCount": 10,
                "cacheWriteInputTokens": 7,
                "cacheDetails": [{"ttl": "5m", "inputTokens": 5}, {"ttl": "1h", "inputTokens": 2}],
            },
            metrics={"latencyMs": 5},
            trace={"guardrail": {"actionReason": "x"}},
        ),
        START
        + delta(0, text="\n Hi")
        + delta(0, text=" \N{WAVING HAND SIGN}")
        + stop(0)
        + ending(
            "guardrail_intervened",
            {
                "inputTokens": 3,
                "outputTokens": 4,
                "totalTokens": 24,
                "cacheReadInputTokens": 10,
                "cacheReadInputTokenCount": 10,
                "cacheWriteInputTokens": 7,
                "cacheDetails": [{"ttl": "5m", "inputTokens": 5}, {"ttl": "1h", "inputTokens": 2}],
            },
            metrics={"latencyMs": 5},
            trace={"guardrail": {"actionReason": "x"}},
        ),
        AIMessage(
            "\n Hi \N{WAVING HAND SIGN}",
            finish_reason="content_filter",
            raw_finish_reason="guardrail_intervened",
            usage=Usage(
                input_tokens=20, output_tokens=4, cache_read_tokens=10, cache_write_tokens=7, cache_write_1h_tokens=2
            ),
            provider_data={"bedrock": {"metrics": {"latencyMs": 5}, "trace": {"guardrail": {"actionReason": "x"}}}},
        ),
    ),
    Case(
        "reasoning, and calls in parallel",
        answer(
            [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "SIG"}}},
                {"reasoningContent": {"redactedContent": "RU5D"}},
                {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Rom"}}},
                {"toolUse": {"toolUseId": "t2", "name": "now", "input": {}}},
            ],
            "tool_use",
            {"inputTokens": 1, "outputTokens": 9},
        ),
        START
        + delta(0, reasoningContent={"text": "h"})
        + delta(0, reasoningContent={"text": "m"})
        + delta(0, reasoningContent={"signature": "SIG"})
        + stop(0)
        + delta(1, reasoningContent={"redactedContent": "RU5D"})
        + stop(1)
        + begin(2, toolUse={"toolUseId": "t1", "name": "weather"})
        + delta(2, toolUse={"input": ""})
        + delta(2, toolUse={"input": '{"city":'})
        + delta(2, toolUse={"input": ' "Rom"}'})
        + stop(2)
        + begin(3, toolUse={"toolUseId": "t2", "name": "now"})
        + stop(3)
        + ending("tool_use", {"inputTokens": 1, "outputTokens": 9}),
        AIMessage(
            [
                Reasoning("hm", signature="SIG"),
                Reasoning("", encrypted="RU5D"),
                ToolCall("t1", "weather", {"city": "Rom"}),
                ToolCall("t2", "now", {}),
            ],
            finish_reason="tool_calls",
            raw_finish_reason="tool_use",
            usage=Usage(input_tokens=1, output_tokens=9),
        ),
    ),
    Case(
        "a tool that the service ran, and citations",
        answer(
            [
                SEARCH,
                FOUND,
                {"citationsContent": {"content": [{"text": "So"}], "citations": [CITATION]}},
                {"citationsContent": {"citations": [CITATION]}},
            ],
            "end_turn",
        ),
        START
        + begin(0, toolUse={"toolUseId": "s1", "name": "nova_grounding", "type": "server_tool_use"})
        + delta(0, toolUse={"input": '{"query": "q"}'})
        + stop(0)
        + begin(1, toolResult={"toolUseId": "s1", "type": "nova_grounding_result", "status": "success"})
        + delta(1, toolResult=[{"text": "a"}])
        + delta(1, toolResult=[{"json": {"b": 1}}])
        + stop(1)
        + delta(2, text="So")
        + delta(2, citation=CITATION)
        + stop(2)
        + delta(3, citation=CITATION)
        + stop(3)
        + ending("end_turn"),
        AIMessage(
            [
                ServerTool(
                    phase="call",
                    kind="web_search",
                    id="s1",
                    name="nova_grounding",
                    args={"query": "q"},
                    provider_data={"bedrock": {"block": SEARCH}},
                ),
                ServerTool(
                    phase="result",
                    kind="web_search",
                    id="s1",
                    name="nova_grounding",
                    result=[{"text": "a"}, {"json": {"b": 1}}],
                    provider_data={"bedrock": {"block": FOUND}},
                ),
                Text("So", (CITED,)),
                Text("", (CITED,)),
            ],
            finish_reason="stop",
            raw_finish_reason="end_turn",
        ),
    ),
    Case(
        "an image, and a block of tomorrow",
        answer(
            [{"image": {"format": "png", "source": {"bytes": b64(PNG)}}}, {"hologram": {"frames": 1}}, {"text": "t"}],
            "max_tokens",
        ),
        START
        + begin(0, image={"format": "png"})
        + delta(0, image={"source": {"bytes": b64(PNG[:5])}})
        + delta(0, image={"source": {"bytes": b64(PNG[5:])}})
        + stop(0)
        + delta(1, hologram={"frames": 1})
        + stop(1)
        + event("contentBlockNote", {"contentBlockIndex": 1})
        + delta(2, text="t")
        + ending("max_tokens"),
        AIMessage(
            [
                Image(data=PNG, media_type="image/png"),
                Opaque(provider="bedrock", kind="hologram", data={"hologram": {"frames": 1}}),
                Text("t"),
            ],
            finish_reason="length",
            raw_finish_reason="max_tokens",
        ),
    ),
]
by_name = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)


def bare(message: AIMessage) -> AIMessage:
    """Without what only one of the two forms has: the text of arguments, the raw usage, who answered."""

    def part(p: Part) -> Part:
        return replace(p, text=None) if isinstance(p, ToolCall) else p

    content = message.content if isinstance(message.content, str) else [part(p) for p in message.content]
    usage = message.usage and replace(message.usage, raw=None)
    return replace(message, content=content, usage=usage, provider=None)


@by_name
def test_answer(case: Case) -> None:
    message = decoded(case.body)
    assert message.provider == "bedrock"
    assert message.raw == case.body
    assert bare(message) == case.message


@by_name
def test_stream(case: Case) -> None:
    assert bare(fold(run(case.stream))) == case.message


@by_name
def test_stream_split_anywhere(case: Case) -> None:
    whole = run(case.stream)
    for at in range(len(case.stream)):
        assert run(case.stream, at) == whole


@by_name
def test_stream_cut_anywhere(case: Case) -> None:
    """Without `messageStop` the answer is not complete; after it only a frame that was cut says that
    something is missing.
    """
    sizes: list[int] = []
    while sum(sizes) < len(case.stream):
        sizes.append(int.from_bytes(case.stream[sum(sizes) :][:4], "big"))
    without_metadata = sum(sizes[:-1])
    for end in range(len(case.stream)):
        if end == without_metadata:
            continue
        with pytest.raises(IncompleteStream):
            run(case.stream[:end])
    message = fold(run(case.stream[:without_metadata]))
    assert (message.text, message.finish_reason, message.usage) == (case.message.text, case.message.finish_reason, None)


@by_name
def test_plain_answer_in_place_of_a_stream(case: Case) -> None:
    assert bare(fold(run(json.dumps(case.body).encode()))) == case.message


@by_name
def test_sent_back_as_it_came(case: Case) -> None:
    body, warnings = encoded([HumanMessage("go"), decoded(case.body), HumanMessage("on")], tools=(WEATHER,))
    kept = [b for b in case.body["output"]["message"]["content"] if "image" not in b]
    assert body["messages"][1]["content"] == kept
    assert all("image" in w for w in warnings)


# ---- streams that are not as they should be


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("throttlingException", RateLimitError),
        ("modelStreamErrorException", OverloadedError),
        ("internalServerException", OverloadedError),
        ("serviceUnavailableException", OverloadedError),
        ("validationException", BadRequestError),
    ],
)
def test_exception_frames(kind: str, error: type[ProviderError]) -> None:
    payload = {"message": "Too many", "originalStatusCode": 424}
    broken = frame(payload, exception_type=kind, content_type="application/json", message_type="exception")
    decoder = BedrockConverse().stream_decoder()
    assert decoder.feed(START + delta(0, text="a") + broken) == [TextDelta("a", 0)]
    with pytest.raises(error) as caught:
        decoder.feed(b"")
    assert (caught.value.code, caught.value.message, caught.value.status) == (kind, "Too many", 424)


def test_error_frames_and_exceptions_as_events() -> None:
    with pytest.raises(ProviderError, match="it broke") as caught:
        run(START + frame(b"", message_type="error", error_code="InternalFailure", error_message="it broke"))
    assert caught.value.code == "InternalFailure"
    with pytest.raises(RateLimitError):
        run(event("throttlingException", {"message": "slow"}))
    with pytest.raises(ProviderError, match="not JSON"):
        run(frame(b"not JSON", message_type="exception", exception_type="x"))


def test_exception_before_any_event() -> None:
    with pytest.raises(RateLimitError):
        BedrockConverse().stream_decoder().feed(
            frame({"message": "slow"}, message_type="exception", exception_type="throttlingException")
        )


@pytest.mark.parametrize("payload", [b"{nope", b"[1]"])
def test_event_that_cannot_be_read(payload: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        run(START + event("contentBlockDelta", payload) + ending("end_turn"))
    assert not isinstance(caught.value, IncompleteStream)


def test_checksum_that_is_wrong() -> None:
    data = bytearray(START + delta(0, text="a") + ending("end_turn"))
    data[-1] ^= 1
    with pytest.raises(ProtocolError, match="checksum"):
        run(bytes(data))


def test_arguments_of_a_call_that_did_not_begin() -> None:
    with pytest.raises(ProtocolError, match="did not begin"):
        run(START + delta(0, toolUse={"input": "{}"}))


def test_odd_events() -> None:
    data = (
        START
        + begin(0, text="")
        + delta(0, text=None)
        + event("contentBlockDelta", {"contentBlockIndex": None, "delta": {"text": "a"}})
        + event("contentBlockDelta", {"delta": None})
        + stop(7)
        + event("messageStop", {"stopReason": "end_turn", "additionalModelResponseFields": {"x": 1}})
        + event("metadata", b"")
    )
    message = fold(run(data))
    assert (message.text, message.finish_reason, message.usage) == ("a", "stop", None)
    assert message.provider_data == {"bedrock": {"additionalModelResponseFields": {"x": 1}}}


def test_arguments_that_are_not_json() -> None:
    data = START + begin(0, toolUse={"toolUseId": "t", "name": "f"}) + delta(0, toolUse={"input": '{"a'})
    message = fold(run(data + ending("max_tokens")))
    assert message.invalid_tool_calls[0].args == '{"a'


# ---- answers that are not as they should be


def test_answer_with_everything_missing() -> None:
    message = decoded({"output": None, "stopReason": None})
    assert (message.content, message.finish_reason, message.usage, message.provider_data) == ("", "unknown", None, None)


def test_odd_blocks() -> None:
    blocks: list[Any] = [
        None,
        {"text": ""},
        {"text": "x", "type": "text"},
        {"toolUse": None},
        {},
        {"reasoningContent": {}},
    ]
    message = decoded(answer(blocks, "new_reason"))
    assert [type(p).__name__ for p in message.parts] == ["Opaque", "Text", "InvalidToolCall", "Opaque", "Reasoning"]
    assert (message.finish_reason, message.raw_finish_reason) == ("other", "new_reason")


def test_error_inside_a_200() -> None:
    with pytest.raises(ProviderError) as caught:
        decoded({"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"})
    assert caught.value.code == "com.amazon.coral.service#UnknownOperationException"


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
def test_answer_that_is_none(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        BedrockConverse().decode(HTTPResponse(status=200, body=body))


@pytest.mark.parametrize(
    ("status", "kind", "message", "error"),
    [
        (400, "ValidationException", "malformed input", BadRequestError),
        (400, "ValidationException", "Input is too long for requested model.", ContextTooLongError),
        (403, "AccessDeniedException", "no access", PermissionDeniedError),
        (403, "ExpiredTokenException", "token is expired", AuthenticationError),
        (403, "UnrecognizedClientException", "token is invalid", AuthenticationError),
        (404, "ResourceNotFoundException", "end of its life", NotFoundError),
        (429, "ThrottlingException", "Too many tokens", RateLimitError),
        (429, "ModelNotReadyException", "not ready", OverloadedError),
        (503, "ServiceUnavailableException", "busy", OverloadedError),
    ],
)
def test_http_errors(status: int, kind: str, message: str, error: type[ProviderError]) -> None:
    headers = {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/", "x-amzn-requestid": "r1"}
    response = HTTPResponse(status=status, headers=headers, body=json.dumps({"message": message}).encode())
    found = BedrockConverse().decode_error(response)
    assert type(found) is error
    assert (found.status, found.message, found.request_id, found.code) == (status, message, "r1", kind)
