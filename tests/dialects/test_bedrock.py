"""Bedrock Converse by hand-written cases: each says the answer as JSON and as frames, and the message; one
runner checks them all. Then requests, settings per maker, media, errors, and what other providers leave
behind.
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

from chatmodels._call import Call, HTTPResponse, Settings
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
    UsageError,
)
from chatmodels._events import Event, TextDelta
from chatmodels._fold import fold
from chatmodels._messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from chatmodels._output import Output
from chatmodels._parts import (
    Audio,
    Citation,
    File,
    Image,
    Opaque,
    Part,
    Reasoning,
    ServerTool,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from chatmodels._tools import Tool, as_tool
from chatmodels._usage import Usage
from chatmodels.dialects.bedrock import BedrockConverse

PNG = b"\x89PNG\r\n\x1a\n0000"
PDF = b"%PDF-1.4 0000"
CLAUDE = "us.anthropic.claude-opus-4-6-v1"
NOVA = "us.amazon.nova-2-lite-v1:0"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = as_tool({"name": "weather", "description": "The weather.", "input_schema": SCHEMA})
SPEC = {"toolSpec": {"name": "weather", "description": "The weather.", "inputSchema": {"json": SCHEMA}}}


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
    assert [type(p).__name__ for p in message.parts] == ["Opaque", "Text", "ToolCall", "Opaque", "Reasoning"]
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


# ---- requests


def test_request_of_a_conversation() -> None:
    call = Call(
        model="us.amazon.nova-2-lite-v1:0",
        messages=(
            SystemMessage([Text("Be brief.", cache=True)]),
            HumanMessage([Text("Look:"), Image(data=PNG), File(data=PDF, name="a (1).pdf", cache="1h")]),
            AIMessage([Reasoning("hm", signature="S"), ToolCall("t1", "weather", {"city": "Rom"})], provider="bedrock"),
            ToolMessage([Text("22"), Image(data=PNG, media_type="image/png")], tool_call_id="t1", is_error=True),
            HumanMessage("And now?"),
        ),
        settings=Settings(
            max_tokens=9, temperature=0.5, top_p=0.9, stop=("END",), tool_choice="required", service_tier="flex",
            metadata={"team": "a"}, top_k=4, extra_headers={"x-a": "b"},
        ),
        tools=(WEATHER, Tool(name="g", kind="provider", raw={"systemTool": {"name": "nova_grounding"}})),
        stream=True,
    )  # fmt: skip
    request = BedrockConverse().encode(call)
    assert request.path == "/model/us.amazon.nova-2-lite-v1%3A0/converse-stream"
    assert request.headers == {"x-a": "b"}
    assert request.stream
    assert request.warnings == ()
    assert json.loads(request.body) == {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"text": "Look:"},
                    {"image": {"format": "png", "source": {"bytes": b64(PNG)}}},
                    {"document": {"format": "pdf", "name": "a (1)", "source": {"bytes": b64(PDF)}}},
                    {"cachePoint": {"type": "default", "ttl": "1h"}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "S"}}},
                    {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Rom"}}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "toolResult": {
                            "toolUseId": "t1",
                            "content": [{"text": "22"}, {"image": {"format": "png", "source": {"bytes": b64(PNG)}}}],
                            "status": "error",
                        }
                    },
                    {"text": "And now?"},
                ],
            },
        ],
        "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
        "toolConfig": {
            "tools": [SPEC, {"systemTool": {"name": "nova_grounding"}}],
            "toolChoice": {"any": {}},
        },
        "inferenceConfig": {"temperature": 0.5, "topP": 0.9, "maxTokens": 9, "stopSequences": ["END"]},
        "serviceTier": {"type": "flex"},
        "requestMetadata": {"team": "a"},
        "additionalModelRequestFields": {"inferenceConfig": {"topK": 4}},
    }
    again = BedrockConverse().decode_request(json.loads(request.body), request.path)
    assert again.model == call.model
    assert again.stream
    assert again.messages[3] == call.messages[3]
    assert BedrockConverse().encode(again).body == request.body


HI = [HumanMessage("hi")]


@pytest.mark.parametrize(
    ("model", "settings", "sent", "warned"),
    [
        (CLAUDE, {"top_k": 3}, {"additionalModelRequestFields": {"top_k": 3}}, ()),
        (
            CLAUDE,
            {"reasoning_effort": "high"},
            {"additionalModelRequestFields": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}},
            (),
        ),
        (
            CLAUDE,
            {"reasoning_budget": 2000, "temperature": 0.5},
            {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}}},
            (f"{CLAUDE} does not take temperature=0.5 while it thinks: not sent",),
        ),
        ("anthropic.claude-opus-5", {"temperature": 0.5, "max_tokens": 3}, {"inferenceConfig": {"maxTokens": 3}},
         ("anthropic.claude-opus-5 does not take temperature: not sent",)),
        (
            NOVA,
            {"reasoning_effort": "low"},
            {"additionalModelRequestFields": {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}},
            (),
        ),
        (
            NOVA,
            {"reasoning_budget": 0},
            {"additionalModelRequestFields": {"reasoningConfig": {"type": "disabled"}}},
            (),
        ),
        ("openai.gpt-oss-20b-1:0", {"reasoning_effort": "low"}, {"additionalModelRequestFields": {"reasoning_effort": "low"}}, ()),
        ("cohere.command-r-v1:0", {"seed": 1, "top_k": 2}, {"additionalModelRequestFields": {"k": 2, "seed": 1}}, ()),
        (
            "meta.llama3-1-8b-instruct-v1:0",
            {"reasoning_effort": "low", "top_k": 2, "seed": 1},
            {},
            (
                "meta.llama3-1-8b-instruct-v1:0 on bedrock does not take top_k: not sent",
                "meta.llama3-1-8b-instruct-v1:0 on bedrock does not take seed: not sent",
                "meta.llama3-1-8b-instruct-v1:0 on bedrock takes no reasoning_effort: not sent",
            ),
        ),
        (CLAUDE, {"tool_choice": "auto"}, {}, ("bedrock takes tool_choice only with tools: not sent",)),
        (CLAUDE, {"extra_body": {"performanceConfig": {"latency": "optimized"}}}, {"performanceConfig": {"latency": "optimized"}}, ()),
        (
            CLAUDE,
            {"response_format": {"type": "json_object"}},
            {"system": [{"text": "Answer with one JSON object only, without any text around it."}]},
            ("bedrock has no response_format 'json_object': asked for in the instructions",),
        ),
    ],
)  # fmt: skip
def test_settings(model: str, settings: dict[str, Any], sent: dict[str, Any], warned: tuple[str, ...]) -> None:
    body, warnings = encoded(HI, model, settings=Settings(**settings))
    del body["messages"]
    assert body == sent
    assert warnings == warned


def test_structured_output() -> None:
    output = Output.of(SCHEMA, name="x", description="The place.")
    body, _ = encoded(HI, output=output)
    definition = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert (definition["name"], definition["description"]) == ("x", "The place.")
    assert json.loads(definition["schema"]) == SCHEMA
    body, _ = encoded(HI, NOVA, output=output)
    assert body["toolConfig"]["toolChoice"] == {"tool": {"name": "x"}}
    body, warnings = encoded(HI, "meta.llama3-1-8b-instruct-v1:0", output=output)
    assert "toolChoice" not in body["toolConfig"]
    assert len(warnings) == 1
    body, _ = encoded(HI, "amazon.titan-text-express-v1", output=output)
    assert body["system"][0]["text"].startswith("Answer with JSON only")
    assert encoded(HI, NOVA, output=output, dialect=BedrockConverse(output_form="schema"))[0]["outputConfig"]
    with pytest.raises(UsageError, match="weather"):
        encoded(HI, NOVA, output=Output.of(SCHEMA, name="weather"), tools=(WEATHER,))


def test_tools_that_the_conversation_needs() -> None:
    talk = [HumanMessage("hi"), AIMessage([ToolCall("t", "f", {})]), ToolMessage("1", tool_call_id="t")]
    body, warnings = encoded(talk)
    assert [t["toolSpec"]["name"] for t in body["toolConfig"]["tools"]] == ["f"]
    assert warnings == ("bedrock wants tools that the conversation calls defined: 1 added",)
    body, warnings = encoded(talk, tools=(WEATHER,), settings=Settings(tool_choice="none"))
    assert body["toolConfig"] == {"tools": [SPEC]}
    assert warnings == ("bedrock has no tool_choice 'none' while the conversation has calls: not sent",)
    body, warnings = encoded(HI, tools=(WEATHER,), settings=Settings(tool_choice="none"))
    assert "toolConfig" not in body
    assert warnings == ()


def test_tools_of_the_maker() -> None:
    computer = Tool(name="computer", kind="provider", raw={"type": "computer_20250124", "name": "computer"})
    body, _ = encoded(HI, tools=(computer,))
    assert body["additionalModelRequestFields"] == {"tools": [{"type": "computer_20250124", "name": "computer"}]}
    with pytest.raises(UsageError, match="systemTool"):
        encoded(HI, NOVA, tools=(computer,))


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Image(url="s3://bucket/a.webp"), {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://bucket/a.webp"}}}}),
        (Video(data=b"0000", media_type="video/3gpp"), {"video": {"format": "three_gp", "source": {"bytes": b64(b"0000")}}}),
        (Audio(data=b"ID30", media_type="audio/mpeg"), {"audio": {"format": "mp3", "source": {"bytes": b64(b"ID30")}}}),
        (File(data=b"a,b", media_type="text/csv", name="t_1.v2.csv"), {"document": {"format": "csv", "name": "t_1 v2", "source": {"bytes": b64(b"a,b")}}}),
        (File(data=b"{}", media_type="application/json"), {"document": {"format": "txt", "name": "document", "source": {"bytes": b64(b"{}")}}}),
        (File(data=PNG, media_type="image/png"), {"image": {"format": "png", "source": {"bytes": b64(PNG)}}}),
    ],
)  # fmt: skip
def test_media(part: Part, block: dict[str, Any]) -> None:
    body, warnings = encoded([HumanMessage([part, Text("?")])])
    assert body["messages"][0]["content"][0] == block
    assert warnings == ()
    again = BedrockConverse().decode_request(body).messages[0]
    assert encoded([again])[0]["messages"] == body["messages"]


def test_names_of_documents_are_unique() -> None:
    files = [File(data=PDF, name=n) for n in ("A.pdf", "a.pdf", None, None, "größe: 5.pdf")]
    body, _ = encoded([HumanMessage([*files, Text("?")])])
    assert [b["document"]["name"] for b in body["messages"][0]["content"][:-1]] == [
        "A", "a-2", "document", "document-2", "gr e 5",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "part",
    [
        Image(url="https://a.example/i.png"),
        Image(file_id="f"),
        Image(data=b"BM00", media_type="image/bmp"),
        File(data=b"PK", media_type="application/zip"),
        Video(data=b"????"),
    ],
)
def test_media_that_it_does_not_take(part: Part) -> None:
    with pytest.raises(UsageError) as caught:
        encoded([HumanMessage([Text("?"), part])])
    assert caught.value.argument == "messages[0].content[1]"


def test_what_another_provider_made_is_left_out_by_name() -> None:
    theirs = AIMessage(
        [
            Reasoning("hm", signature="THEIRS"),
            ServerTool(phase="call", kind="web_search", provider_data={"anthropic": {"block": {"id": "THEIRS"}}}),
            Opaque(provider="anthropic", kind="compaction", data={"id": "THEIRS"}),
            Text("t", (Citation(url="https://a.example", provider_data={"anthropic": {"citation": "THEIRS"}}),)),
            Image(data=PNG),
        ],
        provider="anthropic",
    )
    body, warnings = encoded([HumanMessage("hi"), theirs, HumanMessage("on")])
    assert body["messages"][1]["content"] == [{"text": "t"}]
    assert "THEIRS" not in json.dumps(body)
    assert len(warnings) == 5


def test_reasoning_without_a_signature() -> None:
    messages = [HumanMessage("hi"), AIMessage([Reasoning("hm"), Text("t")], provider="bedrock"), HumanMessage("on")]
    assert encoded(messages)[0]["messages"][1]["content"] == [{"text": "t"}]
    body, _ = encoded(messages, "us.deepseek.r1-v1:0")
    assert body["messages"][1]["content"][0] == {"reasoningContent": {"reasoningText": {"text": "hm"}}}


def test_long_ids() -> None:
    messages = [HumanMessage("hi"), AIMessage([ToolCall("x" * 80, "f", {})]), ToolMessage("1", tool_call_id="x" * 80)]
    body, _ = encoded(messages)
    asked = body["messages"][1]["content"][0]["toolUse"]["toolUseId"]
    assert len(asked) == 64
    assert body["messages"][2]["content"][0]["toolResult"]["toolUseId"] == asked


# ---- recorded requests


def test_request_with_what_has_no_neutral_place() -> None:
    body = {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"guardContent": {"text": {"text": "g", "qualifiers": ["query"]}}},
                    {"document": {"format": "txt", "name": "d", "source": {"text": "plain"}, "citations": {"enabled": True}}},
                    {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://bkt/a", "bucketOwner": "123456789012"}}}},
                ],
            },
            {"role": "assistant", "content": [{"reasoningContent": {"redactedContent": "RU5D"}}, {"text": "a"}]},
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "t", "content": [{"json": {"a": 1}}]}},
                    {"cachePoint": {"type": "default"}},
                ],
            },
        ],
        "toolConfig": {"tools": [SPEC, {"cachePoint": {"type": "default"}}], "toolChoice": {"tool": {"name": "weather"}}},
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "DRAFT"},
        "inferenceConfig": {"maxTokens": 3},
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        "outputConfig": {"effort": "low"},
    }  # fmt: skip
    path = "/model/us.anthropic.claude-3-7-sonnet-20250219-v1%3A0/converse"
    call = BedrockConverse().decode_request(json.loads(json.dumps(body)), path)
    assert call.model == "us.anthropic.claude-3-7-sonnet-20250219-v1:0"
    request = BedrockConverse().encode(call)
    assert json.loads(request.body) == body
    assert request.path == path
    assert request.warnings == ()


@pytest.mark.parametrize("body", [{}, {"messages": ["hi"]}, {"messages": [], "toolConfig": {"tools": ["f"]}}])
def test_request_that_is_none(body: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        BedrockConverse().decode_request(body)


def test_a_result_with_a_cache_point_stays_with_it() -> None:
    messages = [
        HumanMessage("hi"),
        AIMessage([ToolCall("t", "f", {})]),
        HumanMessage([ToolResult("t", "1", cache=True)]),
    ]
    body, _ = encoded(messages)
    again = BedrockConverse().decode_request(body)
    assert again.messages[2] == HumanMessage([ToolResult("t", "1", cache=True)])
