"""Anthropic Messages by hand-written cases: each says the call, the request, the answer as JSON and as a
stream, and the message; one runner checks them all. Then settings, media, errors, and what other providers
leave behind.
"""

from __future__ import annotations

import base64
import json
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
    ProtocolError,
    ProviderError,
    RateLimitError,
    UsageError,
)
from chatmodels._events import Event, Start, TextDelta, UsageSoFar
from chatmodels._fold import fold
from chatmodels._messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from chatmodels._output import Output
from chatmodels._parts import (
    Audio,
    Citation,
    File,
    Image,
    InvalidToolCall,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    ServerTool,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from chatmodels._tools import Tool, as_tool
from chatmodels._usage import Usage
from chatmodels.dialects.anthropic import VERTEX, Anthropic

PNG = b"\x89PNG\r\n\x1a\n0000"
PDF = b"%PDF-1.4 0000"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = as_tool({"name": "weather", "description": "The weather.", "input_schema": SCHEMA})


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def sse(*events: dict[str, Any]) -> bytes:
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events).encode()


def start(**fields: Any) -> dict[str, Any]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "claude-x", **fields}
    return {"type": "message_start", "message": message}


def block(index: int, content: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": content},
        *({"type": "content_block_delta", "index": index, "delta": d} for d in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def ending(reason: str, usage: dict[str, Any] | None = None, **fields: Any) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None, **fields}
    return [{"type": "message_delta", "delta": delta, "usage": usage or {}}, {"type": "message_stop"}]


def run(data: bytes, *cuts: int) -> list[Event]:
    decoder = Anthropic().stream_decoder()
    out: list[Event] = []
    for a, b in zip((0, *cuts), (*cuts, len(data)), strict=True):
        out += decoder.feed(data[a:b])
    if decoder.failed is None:
        out += decoder.close()
    if decoder.failed is not None:
        raise decoder.failed
    return out


def answer(content: list[dict[str, Any]], reason: str = "end_turn", **fields: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        **fields,
    }


def decoded(body: Any) -> AIMessage:
    return Anthropic().decode(HTTPResponse(status=200, body=json.dumps(body).encode()))


def encoded(
    messages: list[Any], model: str = "claude-opus-4-6", **fields: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    dialect = fields.pop("dialect", Anthropic())
    request = dialect.encode(Call(model=model, messages=tuple(messages), **fields))
    return json.loads(request.body), request.warnings


def said(body: dict[str, Any]) -> Any:
    """What a body says beside what every body has."""
    return {k: v for k, v in body.items() if k not in ("model", "max_tokens", "messages")}


class Case(msgspec.Struct):
    """An answer in both forms, and the message that it means."""

    name: str
    body: dict[str, Any]
    stream: bytes
    message: AIMessage


SEARCH_CALL = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "q"}}
SEARCH_RESULT = {
    "type": "web_search_tool_result",
    "tool_use_id": "srv_1",
    "content": [{"type": "web_search_result", "url": "https://a.example", "title": "A", "encrypted_content": "E"}],
}
CITATION = {
    "type": "web_search_result_location",
    "url": "https://a.example",
    "title": "A",
    "cited_text": "cited",
    "encrypted_index": "I",
}
CITED = Citation(
    url="https://a.example", title="A", cited_text="cited", provider_data={"anthropic": {"citation": CITATION}}
)

CASES = [
    Case(
        "text, and a prompt cache",
        answer(
            [{"type": "text", "text": " Hi \N{WAVING HAND SIGN}"}],
            "stop_sequence",
            stop_sequence="END",
            usage={
                "input_tokens": 3,
                "cache_read_input_tokens": 10,
                "cache_creation_input_tokens": 7,
                "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 2},
                "output_tokens": 4,
            },
        ),
        sse(
            start(
                usage={
                    "input_tokens": 3,
                    "cache_read_input_tokens": 10,
                    "cache_creation_input_tokens": 7,
                    "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 2},
                    "output_tokens": 1,
                }
            ),
            {"type": "ping"},
            *block(
                0,
                {"type": "text", "text": ""},
                {"type": "text_delta", "text": " Hi"},
                {"type": "text_delta", "text": " \N{WAVING HAND SIGN}"},
            ),
            *ending("stop_sequence", {"output_tokens": 4}, stop_sequence="END"),
        ),
        AIMessage(
            " Hi \N{WAVING HAND SIGN}",
            id="msg_1",
            model="claude-x",
            finish_reason="stop",
            raw_finish_reason="stop_sequence",
            usage=Usage(
                input_tokens=20, output_tokens=4, cache_read_tokens=10, cache_write_tokens=7, cache_write_1h_tokens=2
            ),
            provider_data={"anthropic": {"stop_sequence": "END"}},
        ),
    ),
    Case(
        "reasoning, and calls in parallel",
        answer(
            [
                {"type": "thinking", "thinking": "hm", "signature": "SIG"},
                {"type": "redacted_thinking", "data": "ENC"},
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Rom"}},
                {
                    "type": "tool_use",
                    "id": "t2",
                    "name": "now",
                    "input": {},
                    "caller": {"type": "code_execution_20260120", "tool_id": "c"},
                },
            ],
            "tool_use",
            usage={"input_tokens": 1, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}},
            container={"id": "container_1", "expires_at": "2026-11-30T00:00:00Z"},
        ),
        sse(
            start(usage={"input_tokens": 1, "output_tokens": 1}),
            *block(
                0,
                {"type": "thinking", "thinking": "", "signature": ""},
                {"type": "thinking_delta", "thinking": "h", "estimated_tokens": 3},
                {"type": "thinking_delta", "thinking": "m"},
                {"type": "signature_delta", "signature": "SIG"},
            ),
            *block(1, {"type": "redacted_thinking", "data": "ENC"}),
            *block(
                2,
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {}},
                {"type": "input_json_delta", "partial_json": ""},
                {"type": "input_json_delta", "partial_json": '{"city":'},
                {"type": "input_json_delta", "partial_json": ' "Rom"}'},
            ),
            *block(
                3,
                {
                    "type": "tool_use",
                    "id": "t2",
                    "name": "now",
                    "input": {},
                    "caller": {"type": "code_execution_20260120", "tool_id": "c"},
                },
            ),
            *ending(
                "tool_use",
                {"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}},
                container={"id": "container_1", "expires_at": "2026-11-30T00:00:00Z"},
            ),
        ),
        AIMessage(
            [
                Reasoning("hm", signature="SIG"),
                Reasoning("", encrypted="ENC"),
                ToolCall("t1", "weather", {"city": "Rom"}),
                ToolCall(
                    "t2",
                    "now",
                    {},
                    provider_data={
                        "anthropic": {"extra": {"caller": {"type": "code_execution_20260120", "tool_id": "c"}}}
                    },
                ),
            ],
            id="msg_1",
            model="claude-x",
            finish_reason="tool_calls",
            raw_finish_reason="tool_use",
            usage=Usage(input_tokens=1, output_tokens=9, reasoning_tokens=4),
            provider_data={"anthropic": {"container": {"id": "container_1", "expires_at": "2026-11-30T00:00:00Z"}}},
        ),
    ),
    Case(
        "a tool that the provider ran, and citations",
        answer(
            [SEARCH_CALL, SEARCH_RESULT, {"type": "text", "text": "So.", "citations": [CITATION]}],
            "pause_turn",
            usage={"input_tokens": 1, "output_tokens": 2},
        ),
        sse(
            start(usage={"input_tokens": 1, "output_tokens": 1}),
            *block(0, {**SEARCH_CALL, "input": {}}, {"type": "input_json_delta", "partial_json": '{"query": "q"}'}),
            *block(1, SEARCH_RESULT),
            *block(
                2,
                {"type": "text", "text": "", "citations": []},
                {"type": "citations_delta", "citation": CITATION},
                {"type": "text_delta", "text": "So."},
            ),
            *ending("pause_turn", {"output_tokens": 2}),
        ),
        AIMessage(
            [
                ServerTool(
                    phase="call",
                    kind="web_search",
                    id="srv_1",
                    name="web_search",
                    args={"query": "q"},
                    provider_data={"anthropic": {"block": SEARCH_CALL}},
                ),
                ServerTool(
                    phase="result",
                    kind="web_search",
                    id="srv_1",
                    name="web_search",
                    result=SEARCH_RESULT["content"],
                    provider_data={"anthropic": {"block": SEARCH_RESULT}},
                ),
                Text("So.", (CITED,)),
            ],
            id="msg_1",
            model="claude-x",
            finish_reason="pause",
            raw_finish_reason="pause_turn",
            usage=Usage(input_tokens=1, output_tokens=2),
        ),
    ),
    Case(
        "blocks and deltas of tomorrow",
        answer(
            [
                {"type": "compaction", "content": "short", "encrypted_content": "X"},
                {"type": "hologram", "frames": [1], "label": "ab", "input": {"a": 1}},
                {"type": "text", "text": "t"},
            ],
            "compaction",
        ),
        sse(
            start(),
            *block(
                0,
                {"type": "compaction", "content": None},
                {"type": "compaction_delta", "content": "short", "encrypted_content": "X"},
            ),
            *block(
                1,
                {"type": "hologram", "frames": [], "label": "a", "input": {}},
                {"type": "hologram_delta", "label": "b", "frames": [1]},
                {"type": "input_json_delta", "partial_json": '{"a": 1}'},
            ),
            {"type": "content_block_note", "index": 1},
            *block(2, {"type": "text", "text": "t"}, {"type": "blink_delta", "on": True}),
            *ending("compaction"),
        ),
        AIMessage(
            [
                Opaque(
                    provider="anthropic",
                    kind="compaction",
                    data={"type": "compaction", "content": "short", "encrypted_content": "X"},
                ),
                Opaque(
                    provider="anthropic",
                    kind="hologram",
                    data={"type": "hologram", "frames": [1], "label": "ab", "input": {"a": 1}},
                ),
                Text("t"),
            ],
            id="msg_1",
            model="claude-x",
            finish_reason="pause",
            raw_finish_reason="compaction",
        ),
    ),
    Case(
        "a refusal",
        answer(
            [{"type": "text", "text": "I"}],
            "refusal",
            stop_details={"type": "refusal", "category": "bio", "explanation": "no"},
            usage={"input_tokens": 1, "output_tokens": 2},
        ),
        sse(
            start(usage={"input_tokens": 1, "output_tokens": 2}),
            *block(0, {"type": "text", "text": "I"}),
            *ending("refusal", stop_details={"type": "refusal", "category": "bio", "explanation": "no"}),
        ),
        AIMessage(
            [Text("I"), Refusal("no", provider_data={"anthropic": {"stop_details": True}})],
            id="msg_1",
            model="claude-x",
            finish_reason="refusal",
            raw_finish_reason="refusal",
            usage=Usage(input_tokens=1, output_tokens=2),
            provider_data={"anthropic": {"stop_details": {"type": "refusal", "category": "bio", "explanation": "no"}}},
        ),
    ),
    Case(
        "a call whose arguments are not JSON",
        answer([{"type": "tool_use", "id": "t1", "name": "f", "input": '{"a": '}], "max_tokens"),
        sse(
            start(),
            *block(
                0,
                {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
                {"type": "input_json_delta", "partial_json": '{"a": '},
            ),
            *ending("max_tokens"),
        ),
        AIMessage(
            [InvalidToolCall("t1", "f", '{"a": ')],
            id="msg_1",
            model="claude-x",
            finish_reason="length",
            raw_finish_reason="max_tokens",
        ),
    ),
]
by_name = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)


def bare(message: AIMessage) -> AIMessage:
    """Without what only one of the two forms has (the text of arguments, the raw usage, who answered) and
    the words of an error.
    """

    def part(p: Part) -> Part:
        if isinstance(p, InvalidToolCall):
            assert p.error
            return replace(p, error="")
        return replace(p, text=None) if isinstance(p, ToolCall) else p

    content = message.content if isinstance(message.content, str) else [part(p) for p in message.content]
    usage = message.usage and replace(message.usage, raw=None)
    return replace(message, content=content, usage=usage, provider=None)


@by_name
def test_answer(case: Case) -> None:
    message = decoded(case.body)
    assert message.provider == "anthropic"
    assert message.raw == case.body
    assert bare(message) == case.message


@by_name
def test_stream(case: Case) -> None:
    events = run(case.stream)
    assert isinstance(events[0], Start)
    assert bare(fold(events)) == case.message


@by_name
def test_stream_split_anywhere(case: Case) -> None:
    whole = run(case.stream)
    for at in range(len(case.stream)):
        assert run(case.stream, at) == whole


@by_name
def test_stream_cut_anywhere(case: Case) -> None:
    """Before its stop reason has come, an answer is not complete."""
    complete = case.stream.index(b"\n\n", case.stream.index(b"event: message_delta")) - 1
    for end in range(complete):
        with pytest.raises(IncompleteStream):
            run(case.stream[:end])
    assert bare(fold(run(case.stream[: complete + 1]))) == case.message


@by_name
def test_plain_answer_in_place_of_a_stream(case: Case) -> None:
    assert bare(fold(run(json.dumps(case.body).encode()))) == case.message


@by_name
def test_sent_back_as_it_came(case: Case) -> None:
    message = decoded(case.body)
    body, _ = encoded([HumanMessage("go"), message, HumanMessage("on")])
    content = body["messages"][1]["content"]
    sent = [{"type": "text", "text": content}] if isinstance(content, str) else content
    kept = [b for b in case.body["content"] if b.get("text") != ""]
    if isinstance(kept[0].get("input"), str):
        kept = [{**kept[0], "input": {"INVALID_JSON": kept[0]["input"]}}]
    assert sent == kept
    if "container" in case.body:
        assert body["container"] == "container_1"


# ---- streams that are not as they should be


def test_usage_comes_early() -> None:
    events = run(CASES[0].stream)
    assert isinstance(events[1], UsageSoFar)
    assert events[1].usage.input_tokens == 20


def test_usage_replaces_and_never_adds() -> None:
    first = {"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 2}
    data = sse(
        start(usage=first),
        *ending("end_turn", {"input_tokens": 6, "output_tokens": 3, "cache_read_input_tokens": None}),
    )
    usage = fold(run(data)).usage
    assert usage == Usage(
        input_tokens=8,
        output_tokens=3,
        cache_read_tokens=2,
        raw={"input_tokens": 6, "output_tokens": 3, "cache_read_input_tokens": 2},
    )


def test_error_in_the_middle() -> None:
    data = sse(
        start(),
        *block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "a"}),
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"},
    )
    decoder = Anthropic().stream_decoder()
    assert TextDelta("a", 0) in decoder.feed(data)
    with pytest.raises(OverloadedError) as caught:
        decoder.close()
    assert (caught.value.code, caught.value.request_id) == ("overloaded_error", "req_1")
    assert caught.value.message == "Overloaded"
    assert caught.value.retryable


def test_error_of_a_gateway_without_a_type() -> None:
    with pytest.raises(ProviderError, match="gone"):
        run(b'event: error\ndata: {"error": {"message": "gone"}}\n\n')


@pytest.mark.parametrize("payload", [b"{nope", b"[1]", b'"text"'])
def test_event_that_cannot_be_read(payload: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        run(sse(start()) + b"event: content_block_delta\ndata: " + payload + b"\n\n" + sse(*ending("end_turn")))
    assert not isinstance(caught.value, IncompleteStream)
    assert caught.value.data == payload


def test_arguments_of_a_call_that_did_not_begin() -> None:
    delta = {"type": "input_json_delta", "partial_json": "{}"}
    with pytest.raises(ProtocolError, match="did not begin"):
        run(sse(start(), {"type": "content_block_delta", "index": 0, "delta": delta}))


def test_gateways_that_leave_things_out() -> None:
    """No event names, no `content_block_start`, nulls, numbers as floats, `[DONE]` at the end."""
    events = [
        {"type": "message_start", "message": None},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_delta", "index": 0.0, "delta": {"type": "text_delta", "text": None}},
        {"type": "content_block_delta", "index": 0, "delta": None},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": None},
    ]
    data = "".join(f"data: {json.dumps(e)}\r\n\r\n" for e in events).encode() + b"data: [DONE]\n\n"
    message = fold(run(data))
    assert (message.text, message.finish_reason, message.usage) == ("a", "stop", None)


def test_a_block_that_begins_again_is_another_block() -> None:
    data = sse(
        start(),
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "a"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "b"}},
        *ending("end_turn"),
    )
    assert [p.text for p in fold(run(data)).parts if isinstance(p, Text)] == ["a", "b"]


def test_input_that_comes_whole() -> None:
    data = sse(start(), *block(0, {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}), *ending("end_turn"))
    message = fold(run(data))
    assert message.tool_calls[0].args == {"a": 1}
    assert message.finish_reason == "tool_calls"


def test_another_model_takes_over() -> None:
    handover = {"type": "fallback", "from": {"model": "claude-x"}, "to": {"model": "claude-y"}}
    message = fold(
        run(sse(start(), *block(0, handover), *block(1, {"type": "text", "text": "t"}), *ending("end_turn")))
    )
    assert message.model == "claude-y"
    assert message.text == "t"


# ---- answers that are not as they should be


def test_answer_with_everything_missing() -> None:
    message = decoded({"type": "message", "content": None, "usage": None})
    assert (message.content, message.finish_reason, message.usage, message.model) == ("", "unknown", None, None)


def test_odd_blocks() -> None:
    message = decoded(answer([None, "text", {"text": "x"}, {"type": "text"}, {"type": "tool_use"}, 3], "new_reason"))  # type: ignore[list-item]
    kinds = [type(p).__name__ for p in message.parts]
    assert kinds == ["Opaque", "Opaque", "Opaque", "ToolCall", "Opaque"]
    assert (message.finish_reason, message.raw_finish_reason) == ("other", "new_reason")


def test_error_inside_a_200() -> None:
    with pytest.raises(RateLimitError, match="slow"):
        decoded({"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}})


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
def test_answer_that_is_none(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        Anthropic().decode(HTTPResponse(status=200, body=body))


@pytest.mark.parametrize(
    ("status", "kind", "message", "error"),
    [
        (400, "invalid_request_error", "messages: bad", BadRequestError),
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", ContextTooLongError),
        (401, "authentication_error", "API key is invalid.", AuthenticationError),
        (404, "not_found_error", "model: claude-z", NotFoundError),
        (429, "rate_limit_error", "This request would exceed", RateLimitError),
        (529, "overloaded_error", "Overloaded", OverloadedError),
    ],
)
def test_http_errors(status: int, kind: str, message: str, error: type[ProviderError]) -> None:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_b"}
    found = Anthropic().decode_error(HTTPResponse(status=status, body=json.dumps(body).encode()))
    assert type(found) is error
    assert (found.status, found.message, found.request_id, found.code) == (status, message, "req_b", kind)
    named = HTTPResponse(status=status, headers={"request-id": "req_h"}, body=json.dumps(body).encode())
    assert Anthropic().decode_error(named).request_id == "req_h"


# ---- requests


def test_request_of_a_conversation() -> None:
    call = Call(
        model="claude-sonnet-4-5",
        messages=(
            SystemMessage([Text("Be brief.", cache="1h")]),
            HumanMessage([Text("Look:"), Image(data=PNG, cache=True), File(data=PDF, name="a.pdf")]),
            AIMessage(
                [Reasoning("hm", signature="S"), ToolCall("t1", "weather", {"city": "Rom"})], provider="anthropic"
            ),
            ToolMessage([Text("22"), Image(url="https://a.example/i.png")], tool_call_id="t1"),
            HumanMessage("And now?"),
        ),
        settings=Settings(max_tokens=9, stop=("END",), tool_choice="weather", parallel_tool_calls=False, user="u"),
        tools=(WEATHER,),
        stream=True,
    )
    request = Anthropic().encode(call)
    assert request.path == "/v1/messages"
    assert request.headers == {"anthropic-version": "2023-06-01"}
    assert request.stream
    assert request.warnings == ()
    assert json.loads(request.body) == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look:"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": b64(PNG)},
                        "cache_control": {"type": "ephemeral"},
                    },
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": b64(PDF)},
                        "title": "a.pdf",
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "S"},
                    {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Rom"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": [
                            {"type": "text", "text": "22"},
                            {"type": "image", "source": {"type": "url", "url": "https://a.example/i.png"}},
                        ],
                    },
                    {"type": "text", "text": "And now?"},
                ],
            },
        ],
        "tools": [{"name": "weather", "description": "The weather.", "input_schema": SCHEMA}],
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u"},
        "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        "stream": True,
    }
    again = Anthropic().decode_request(json.loads(request.body))
    assert Anthropic().encode(again).body == request.body
    assert again.settings.user == "u"
    assert again.messages[3] == call.messages[3]


HI = [HumanMessage("hi")]


@pytest.mark.parametrize(
    ("model", "settings", "sent", "warned"),
    [
        ("claude-opus-4-6", {"temperature": 0.5, "top_p": 0.9, "top_k": 3}, {"temperature": 0.5, "top_p": 0.9, "top_k": 3}, ()),
        ("claude-opus-5", {"temperature": 1, "top_k": 3}, {"temperature": 1}, ("claude-opus-5 does not take top_k: not sent",)),
        ("claude-opus-4-6", {"seed": 1}, {}, ("anthropic does not take seed: not sent",)),
        ("claude-opus-4-6", {"n": 1, "modalities": ("text",)}, {}, ()),
        ("claude-opus-4-6", {"n": 2}, {}, ("anthropic gives one answer: n=2 is not sent",)),
        (
            "claude-opus-4-6",
            {"metadata": {"user_id": "u", "x": "y"}},
            {"metadata": {"user_id": "u"}},
            ("anthropic takes only user_id in metadata: 'x' is not sent",),
        ),
        ("claude-opus-4-6", {"service_tier": "standard_only"}, {"service_tier": "standard_only"}, ()),
        ("claude-opus-4-6", {"tool_choice": "required"}, {"tool_choice": {"type": "any"}}, ()),
        (
            "claude-opus-4-6",
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            {"tool_choice": {"type": "tool", "name": "f"}},
            (),
        ),
        (
            "claude-sonnet-4-5",
            {"reasoning_effort": "low"},
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            (),
        ),
        (
            "claude-opus-4-6",
            {"reasoning_effort": "high"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            (),
        ),
        ("claude-opus-4-6", {"reasoning_budget": 2000}, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, ()),
        (
            "claude-opus-5",
            {"reasoning_budget": 2000, "reasoning_summary": "auto"},
            {"thinking": {"type": "adaptive", "display": "summarized"}},
            ("claude-opus-5 decides itself how much to think: reasoning_budget is not sent (reasoning_effort guides it)",),
        ),
        ("claude-opus-4-6", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, ()),
        ("claude-opus-4-6", {"reasoning_budget": 0}, {"thinking": {"type": "disabled"}}, ()),
        (
            "claude-3-5-haiku-latest",
            {"reasoning_effort": "low"},
            {},
            ("claude-3-5-haiku-latest does not think: the reasoning settings are not sent",),
        ),
        (
            "claude-sonnet-4-5",
            {"reasoning_budget": 1024, "temperature": 0},
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            ("claude-sonnet-4-5 does not take temperature=0 while it thinks: not sent",),
        ),
        ("claude-opus-4-6", {"extra_body": {"speed": "fast", "output_config": {"effort": "max"}}},
         {"speed": "fast", "output_config": {"effort": "max"}}, ()),
        (
            "claude-opus-4-6",
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            (),
        ),
        (
            "claude-opus-4-6",
            {"response_format": {"type": "json_object"}},
            {"system": "Answer with one JSON object only, without any text around it."},
            ("anthropic has no response_format 'json_object': asked for in the instructions",),
        ),
    ],
)  # fmt: skip
def test_settings(model: str, settings: dict[str, Any], sent: dict[str, Any], warned: tuple[str, ...]) -> None:
    body, warnings = encoded(HI, model, settings=Settings(**settings))
    assert said(body) == sent
    assert warnings == warned


def test_max_tokens_is_always_sent() -> None:
    assert encoded(HI, "claude-3-haiku-20240307")[0]["max_tokens"] == 4096
    assert encoded(HI, "claude-opus-5")[0]["max_tokens"] == 32000
    thinking = encoded(HI, "claude-sonnet-4-5", settings=Settings(reasoning_budget=5000))[0]
    assert thinking["max_tokens"] == 16384 + 5000
    assert encoded(HI, "glm", dialect=Anthropic(max_tokens=77))[0]["max_tokens"] == 77


def test_tools() -> None:
    search = as_tool({"type": "web_search_20250305", "name": "web_search", "max_uses": 2})
    strict = as_tool({"name": "f", "input_schema": SCHEMA, "strict": True, "cache_control": {"type": "ephemeral"}})
    body, warnings = encoded(HI, tools=(search, strict))
    assert body["tools"] == [
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
        {"name": "f", "input_schema": SCHEMA, "strict": True, "cache_control": {"type": "ephemeral"}},
    ]
    assert warnings == ()
    body, warnings = encoded(HI, "claude-3-haiku-20240307", tools=(strict,))
    assert "strict" not in body["tools"][0]
    assert warnings == ("claude-3-haiku-20240307 cannot be held to the schema of f: strict is not sent",)


def test_structured_output() -> None:
    output = Output.of(
        {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}, name="x"
    )
    body, warnings = encoded(HI, output=output)
    schema = body["output_config"]["format"]["schema"]
    assert schema["additionalProperties"] is False
    assert "minimum" not in schema["properties"]["n"]
    assert warnings == ("the schema of x: n: minimum is sent only as text",)
    body, _ = encoded(HI, "claude-sonnet-4-0", output=output)
    assert body["tool_choice"] == {"type": "tool", "name": "x"}
    assert body["tools"][0]["input_schema"] == output.schema
    body, _ = encoded(HI, "claude-sonnet-4-0", output=output, tools=(WEATHER,))
    assert body["tool_choice"] == {"type": "any"}
    body, warnings = encoded(HI, "claude-sonnet-4-0", output=output, settings=Settings(reasoning_budget=1024))
    assert "tool_choice" not in body
    assert warnings == ("claude-sonnet-4-0 cannot be made to call x while it thinks: it is only asked to",)
    with pytest.raises(UsageError, match="weather"):
        encoded(HI, "claude-sonnet-4-0", output=Output.of(SCHEMA, name="weather"), tools=(WEATHER,))


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Image(data=b"\xff\xd8\xff0"), {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": b64(b"\xff\xd8\xff0")}}),
        (Image(file_id="file_1"), {"type": "image", "source": {"type": "file", "file_id": "file_1"}}),
        (Image(url=f"data:image/webp;base64,{b64(b'RIFF')}"), {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": b64(b"RIFF")}}),
        (File(url="https://a.example/a.pdf"), {"type": "document", "source": {"type": "url", "url": "https://a.example/a.pdf"}}),
        (File(data="é".encode(), media_type="text/markdown", name="n"), {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é"}, "title": "n"}),
        (File(data=PNG, media_type="image/png"), {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": b64(PNG)}}),
        (File(data=PDF, provider_data={"anthropic": {"extra": {"citations": {"enabled": True}}}}), {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": b64(PDF)}, "citations": {"enabled": True}}),
    ],
)  # fmt: skip
def test_media(part: Part, block: dict[str, Any]) -> None:
    body, warnings = encoded([HumanMessage([part, Text("?")])])
    assert body["messages"][0]["content"][0] == block
    assert warnings == ()
    again = Anthropic().decode_request(body).messages[0]
    assert encoded([again])[0]["messages"] == body["messages"]


@pytest.mark.parametrize(
    "part",
    [
        Image(data=b"BM00", media_type="image/bmp"),
        Image(data=b"????"),
        File(data=b"\xff\xfe", media_type="text/plain"),
        File(data=b"PK", media_type="application/zip"),
        Audio(data=b"RIFF0000WAVE"),
        Video(url="https://a.example/v.mp4"),
    ],
)
def test_media_that_it_does_not_take(part: Part) -> None:
    with pytest.raises(UsageError) as caught:
        encoded([HumanMessage([Text("?"), part])])
    assert caught.value.argument == "messages[0].content[1]"


def test_uploaded_files_and_newer_tools_need_their_beta_headers() -> None:
    computer = Tool(name="computer", kind="provider", raw={"type": "computer_20251124", "name": "computer"})
    call = Call(
        model="m",
        messages=(HumanMessage([File(file_id="f"), Text("?")]),),
        tools=(computer,),
        settings=Settings(
            extra_headers={"Anthropic-Beta": "mine, files-api-2025-04-14", "X-Trace": "1"},
            extra_body={"mcp_servers": [{"type": "url", "url": "https://a.example", "name": "a"}]},
        ),
    )
    assert Anthropic(betas=("first",)).encode(call).headers == {
        "anthropic-version": "2023-06-01",
        "x-trace": "1",
        "anthropic-beta": "first,computer-use-2025-11-24,mcp-client-2025-04-04,files-api-2025-04-14,mine",
    }


def test_vertex() -> None:
    dialect = Anthropic("vertex-anthropic", **VERTEX)
    call = Call(model="claude-opus-4-1@20250805", messages=tuple(HI), settings=Settings(max_tokens=5), stream=True)
    request = dialect.encode(call)
    assert request.path == "/models/claude-opus-4-1@20250805:streamRawPredict"
    assert request.headers == {}
    assert json.loads(request.body) == {
        "anthropic_version": "vertex-2023-10-16",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }
    again = dialect.decode_request(
        json.loads(request.body), f"/v1/projects/p/locations/l/publishers/anthropic{request.path}"
    )
    assert again == call
    assert dialect.encode(replace(call, stream=False)).path.endswith(":rawPredict")


def test_newer_api_version_takes_no_sampling() -> None:
    body, warnings = encoded(HI, dialect=Anthropic(version="2026-10-21"), settings=Settings(temperature=1))
    assert "temperature" not in body
    assert warnings == ("anthropic does not take temperature in API version 2026-10-21: not sent",)


# ---- conversations from elsewhere


def test_instructions_in_the_middle() -> None:
    messages = [SystemMessage("a"), HumanMessage("hi"), SystemMessage("b"), HumanMessage("on")]
    body, warnings = encoded(messages, "claude-opus-4-6")
    assert body["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert [m["role"] for m in body["messages"]] == ["user"]
    assert warnings == ("messages[2]: instructions in the middle of the conversation are sent with those at its head",)
    body, warnings = encoded(messages, "claude-opus-5")
    assert [m["role"] for m in body["messages"]] == ["user", "system", "user"]
    assert warnings == ()


def test_what_another_provider_made_is_left_out_by_name() -> None:
    theirs = AIMessage(
        [
            Reasoning("hm", signature="THEIRS"),
            ServerTool(phase="call", kind="code_execution", provider_data={"openai": {"item": {"id": "THEIRS"}}}),
            Opaque(provider="openai", kind="program", data={"id": "THEIRS"}),
            Text("t", (Citation(url="https://a.example", provider_data={"openai": {"id": "THEIRS"}}),)),
            Refusal("no"),
        ],
        provider="openai",
        provider_data={"openai": {"id": "THEIRS"}},
    )
    body, warnings = encoded([HumanMessage("hi"), theirs, HumanMessage("on")])
    assert body["messages"][1]["content"] == [{"type": "text", "text": "t"}, {"type": "text", "text": "no"}]
    assert "THEIRS" not in json.dumps(body)
    assert warnings == (
        "messages[1].content[0]: reasoning that anthropic did not sign is not sent to it",
        "messages[1].content[1]: the code_execution that another provider ran is not sent to anthropic",
        "messages[1].content[2]: a program of openai means nothing to anthropic: not sent",
        "messages[1].content[3]: citations of another provider are not sent to anthropic",
    )


def test_reasoning_made_by_hand() -> None:
    messages = [HumanMessage("hi"), AIMessage([Reasoning("hm", signature="?"), Text("t")]), HumanMessage("on")]
    assert encoded(messages)[0]["messages"][1]["content"] == "t"
    body, _ = encoded(messages, dialect=Anthropic(unsigned_reasoning=True))
    assert body["messages"][1]["content"][0] == {"type": "thinking", "thinking": "hm", "signature": ""}


def test_ids_that_it_refuses_or_that_repeat() -> None:
    calls: list[Part] = [ToolCall("", "f", {}), ToolCall("functions.f:0", "f", {}), ToolCall("functions.f:0", "f", {})]
    results = [ToolMessage("1", tool_call_id=""), *(ToolMessage(t, tool_call_id="functions.f:0") for t in "23")]
    body, _ = encoded([HumanMessage("hi"), AIMessage(calls), *results])
    asked = [b["id"] for b in body["messages"][1]["content"]]
    assert asked == ["call_0", "functions_f_0", "functions_f_0_2"]
    assert [(b["tool_use_id"], b["content"]) for b in body["messages"][2]["content"]] == list(
        zip(asked, "123", strict=True)
    )


def test_the_forms_of_2023() -> None:
    messages = [
        HumanMessage("hi", name="bob"),
        AIMessage("", {"function_call": {"name": "f", "arguments": '{"a": 1}'}}),
        FunctionMessage("one", name="f"),
        FunctionMessage("two", name="f"),
        ChatMessage("rules", role="developer"),
        ChatMessage("x", {"cache": 1}, role="critic"),
    ]
    body, warnings = encoded(messages)
    assert body["messages"][1:] == [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "call_0", "name": "f", "input": {"a": 1}}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_0", "content": "one"},
                {"type": "text", "text": "two"},
                {"type": "text", "text": "x"},
            ],
        },
    ]
    assert body["system"] == "rules"
    assert warnings == (
        "anthropic does not take the name of a speaker: not sent",
        "messages[3]: no call of 'f' comes before this result: sent as a user message",
        "messages[4]: instructions in the middle of the conversation are sent with those at its head",
        "messages[5]: anthropic has no role 'critic': sent as 'user'",
        "messages[5]: additional_kwargs['cache'] has no place in anthropic: not sent",
    )


def test_results_with_errors_and_cache_points() -> None:
    messages = [
        HumanMessage("hi"),
        AIMessage([ToolCall("t", "f", "free text", custom=True)]),
        HumanMessage([ToolResult("t", "broken", True, cache="24h")]),
    ]
    body, warnings = encoded(messages)
    assert body["messages"][1]["content"][0]["input"] == {"input": "free text"}
    assert body["messages"][2]["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "t",
            "content": "broken",
            "is_error": True,
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        }
    ]
    assert warnings == ("anthropic keeps prompts for 5m or 1h: a cache point for '24h' is sent as '1h'",)


def test_nothing_to_send() -> None:
    with pytest.raises(UsageError) as caught:
        encoded([SystemMessage("s"), HumanMessage(""), AIMessage("")])
    assert caught.value.argument == "messages"


# ---- recorded requests


def test_request_with_what_has_no_neutral_place() -> None:
    body = {
        "model": "claude-opus-5",
        "max_tokens": 5,
        "system": "s",
        "messages": [
            {"role": "user", "content": [{"type": "container_upload", "file_id": "f"}, {"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "S"}, {"type": "text", "text": "a"}]},
            {"role": "system", "content": "now", "clear_at": "never"},
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t",
                        "content": [{"type": "tool_reference", "tool_name": "x"}],
                        "cache_control": {"type": "ephemeral"},
                        "toolset_name": "computer",
                    }
                ],
            },
        ],
        "tools": [{"name": "f", "input_schema": SCHEMA, "defer_loading": True}, {"type": "bash_20250124", "name": "bash"}],
        "thinking": {"type": "disabled"},
        "output_config": {"effort": "high", "task_budget": {"type": "tokens", "total": 5}},
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": False},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": "u"},
    }  # fmt: skip
    call = Anthropic().decode_request(json.loads(json.dumps(body)))
    assert call.settings.extra_body is not None
    assert sorted(call.settings.extra_body) == ["context_management", "output_config", "thinking"]
    request = Anthropic().encode(call)
    assert json.loads(request.body) == body
    assert request.warnings == ()
    assert request.headers["anthropic-beta"] == "context-management-2025-06-27"


@pytest.mark.parametrize("body", [{}, {"messages": "hi"}, {"messages": ["hi"]}, {"messages": [], "tools": ["f"]}])
def test_request_that_is_none(body: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Anthropic().decode_request(body)
