"""Anthropic Messages by hand-written cases: each has the answer as JSON, the same as a stream, and the message; one
runner checks them all. Then answers, streams and errors that are not as they should be.
"""

from __future__ import annotations

import json
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
    ProtocolError,
    ProviderError,
    RateLimitError,
)
from chatmodels._events import Event, Start, TextDelta, UsageSoFar
from chatmodels._fold import fold
from chatmodels._messages import (
    AIMessage,
    HumanMessage,
)
from chatmodels._parts import (
    Citation,
    InvalidToolCall,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    ServerTool,
    Text,
    ToolCall,
)
from chatmodels._usage import Usage
from chatmodels.dialects.anthropic import Anthropic


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
            *block(2, {"type": "text", "text": "t"}),
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
    assert kinds == ["Opaque", "Opaque", "Opaque", "InvalidToolCall", "Opaque"]
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
