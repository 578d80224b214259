"""Where Mistral differs from Chat Completions, on hand-written requests, answers and streams. Checked 2026-11."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatmodels._call import Call, HTTPResponse, Settings
from chatmodels._errors import AuthenticationError, ContextTooLongError, ProviderError, RateLimitError, UsageError
from chatmodels._inputs import from_json
from chatmodels._messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    Message,
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
    Reasoning,
    Refusal,
    ServerTool,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from chatmodels._tools import as_tool
from chatmodels.dialects.mistral import Mistral

from .stream_checks import check_stream, events_of, plain_of, sent, sse

D = Mistral()
PNG = b"\x89PNG\r\n\x1a\n0000"
PNG64 = "iVBORw0KGgowMDAw"
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}


def call(*messages: Message, **fields: Any) -> Call:
    return Call(model="mistral-small-latest", messages=messages, **fields)


def wire(*messages: Message, **fields: Any) -> list[dict[str, Any]]:
    body, _ = sent(D, call(*messages, **fields))
    found: list[dict[str, Any]] = body["messages"]
    return found


# ---- requests


@pytest.mark.parametrize(
    ("part", "chunk"),
    [
        (Text("hi"), {"type": "text", "text": "hi"}),
        (
            Image(url="https://a", detail="low"),
            {"type": "image_url", "image_url": {"url": "https://a", "detail": "low"}},
        ),
        (Image(data=PNG), {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG64}"}}),
        (File(url="https://a.pdf"), {"type": "document_url", "document_url": "https://a.pdf"}),
        (
            File(data=b"%PDF", name="a.pdf"),
            {"type": "document_url", "document_url": "data:application/pdf;base64,JVBERg==", "document_name": "a.pdf"},
        ),
        (File(file_id="f1"), {"type": "file", "file_id": "f1"}),
        (Audio(data=b"x"), {"type": "input_audio", "input_audio": "eA=="}),
        (Audio(url="https://a.mp3"), {"type": "input_audio", "input_audio": "https://a.mp3"}),
        (Audio(transcript="said"), {"type": "text", "text": "said"}),
        (Refusal("no"), {"type": "text", "text": "no"}),
    ],
)
def test_user_parts(part: Any, chunk: dict[str, Any]) -> None:
    assert wire(HumanMessage([part])) == [{"role": "user", "content": [chunk]}]


def test_messages_and_nine_letter_ids() -> None:
    got = wire(
        SystemMessage("s"),
        ChatMessage("d", role="developer"),
        AIMessage(
            [Text("a"), ToolCall("call_1", "f", {"x": 1}), ToolCall("aB3dE6gH9", "f", {}), ToolCall("", "f", {})]
        ),
        ToolMessage("one", tool_call_id="call_1", is_error=True),
        ToolMessage([Text("two"), Image(url="https://a")], tool_call_id="aB3dE6gH9", name="f"),
        ToolMessage("three", tool_call_id=""),
        HumanMessage("u"),
    )
    assert [m["role"] for m in got] == ["system", "system", "assistant", "tool", "tool", "tool", "user"]
    asked = [c["id"] for c in got[2]["tool_calls"]]
    assert got[2]["content"] == "a"
    assert asked[1] == "aB3dE6gH9"
    assert len(set(asked)) == 3
    assert all(len(i) == 9 and i.isalnum() and i.isascii() for i in asked)
    assert [m["tool_call_id"] for m in got[3:6]] == asked
    assert got[3]["content"] == "[error] one"
    assert [c["type"] for c in got[4]["content"]] == ["text", "image_url"]
    assert got[4]["name"] == "f"


def test_a_bridge_between_results_and_the_user() -> None:
    talk = (AIMessage([ToolCall("aaaaaaaaa", "f", {})]), ToolMessage("r", tool_call_id="aaaaaaaaa"), HumanMessage("u"))
    assert [m["role"] for m in wire(*talk)] == ["assistant", "tool", "user"]
    body, warned = sent(Mistral(bridge=True), call(*talk))
    assert [m["role"] for m in body["messages"]] == ["assistant", "tool", "assistant", "user"]
    assert warned


def test_prefix_thinking_and_references() -> None:
    cited = Citation(file_id="0", provider_data={"mistral": {"reference": {"type": "reference", "reference_ids": [0]}}})
    own = AIMessage(
        [Reasoning("why", signature="s"), Text("a", (cited,)), Text("b")], {"prefix": True}, provider="mistral"
    )
    assert wire(HumanMessage("u"), own)[1] == {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "why"}], "signature": "s"},
            {"type": "text", "text": "a"},
            {"type": "reference", "reference_ids": [0]},
            {"type": "text", "text": "b"},
        ],
        "prefix": True,
    }
    by_hand = AIMessage([Reasoning("why"), Text("a")])
    assert [c["type"] for c in wire(by_hand)[0]["content"]] == ["thinking", "text"]


def test_what_is_foreign_or_unknown_is_dropped_with_a_warning() -> None:
    for part in (Video(url="https://a"), Image(file_id="f"), Audio(file_id="f")):
        with pytest.raises(UsageError):
            D.encode(call(HumanMessage([part])))
    foreign = AIMessage(
        [
            Reasoning("why", encrypted="e"),
            ServerTool(kind="web_search"),
            Opaque(provider="google", kind="x", data={}),
            Image(data=PNG),
            Text("t", (Citation(url="https://a"),)),
        ],
        {"refusal": "odd"},
        provider="openai",
    )
    user = HumanMessage([Text("u", cache=True)], name="bob")
    body, warned = sent(D, call(foreign, user, ChatMessage("c", role="critic"), AIMessage("")))
    assert body["messages"] == [
        {"role": "assistant", "content": "t"},
        {"role": "user", "content": [{"type": "text", "text": "u"}]},
        {"role": "user", "content": "c"},
    ]
    for word in (
        "reasoning",
        "that a provider ran",
        "x of google",
        "Image",
        "citations",
        "cache",
        "speaker",
        "critic",
        "refusal",
        "empty",
    ):
        assert any(word in w for w in warned), (word, warned)


def test_functions_of_2023_and_results_in_a_user_message() -> None:
    got = wire(
        AIMessage("", {"function_call": {"name": "g", "arguments": "{}"}}),
        FunctionMessage("r", name="g"),
        AIMessage([ToolCall("c", "f", "free text", custom=True), InvalidToolCall("d", "f", '{"a', "cut")]),
        HumanMessage([ToolResult("c", "x"), Text("u")]),
        FunctionMessage("alone", name="h"),
    )
    assert [m["role"] for m in got] == ["assistant", "tool", "assistant", "tool", "user", "user"]
    assert got[1]["tool_call_id"] == got[0]["tool_calls"][0]["id"]
    assert [c["function"]["arguments"] for c in got[2]["tool_calls"]] == ['{"input":"free text"}', '{"a']


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({"temperature": 0.5, "top_p": 0.9, "max_tokens": 5}, {"temperature": 0.5, "top_p": 0.9, "max_tokens": 5}),
        ({"top_k": 3}, {"top_k": 3}),
        ({"seed": 7, "stop": ("a",), "n": 2}, {"random_seed": 7, "stop": ["a"], "n": 2}),
        ({"tool_choice": "required"}, {"tool_choice": "any"}),
        ({"tool_choice": "none"}, {"tool_choice": "none"}),
        ({"tool_choice": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        ({"reasoning_budget": 0}, {"reasoning_effort": "none"}),
        ({"reasoning_effort": "high"}, {"reasoning_effort": "high"}),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ({"extra_body": {"safe_prompt": True}}, {"safe_prompt": True}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_settings(settings: dict[str, Any], fields: dict[str, Any], stream: bool) -> None:
    body, warned = sent(D, call(HumanMessage("u"), settings=Settings(**settings), stream=stream))
    asked = {"stream": True} if stream else {}  # and no stream_options
    assert body == {"model": "mistral-small-latest", "messages": [{"role": "user", "content": "u"}], **fields, **asked}
    assert warned == []


def test_settings_that_have_no_place() -> None:
    odd = {"min_p": 0.1, "logit_bias": {"1": 1.0}, "reasoning_budget": 5, "reasoning_summary": "auto", "user": "u"}
    more = {"store": True, "verbosity": "low", "modalities": ("audio",), "audio": {"voice": "a"}}
    body, warned = sent(D, call(HumanMessage("u"), settings=Settings(**odd, **more)))
    assert set(body) == {"model", "messages"}
    for name in (*odd, *more):
        assert any(name in w for w in warned), name


def test_tools_and_output() -> None:
    tools = (as_tool({"name": "f", "input_schema": SCHEMA, "strict": True}), as_tool({"type": "web_search"}))
    body, _ = sent(D, call(HumanMessage("u"), tools=tools, output=Output.of(list[int], name="numbers")))
    assert body["tools"][0]["function"]["parameters"] == {**SCHEMA, "additionalProperties": False}
    assert body["tools"][1] == {"type": "web_search"}
    asked = body["response_format"]["json_schema"]
    assert (asked["name"], asked["strict"], asked["schema"]["additionalProperties"]) == ("numbers", True, False)
    free = sent(D, call(HumanMessage("u"), output=Output.of(dict[str, int], name="n")))[0]["response_format"]
    assert free["json_schema"]["strict"] is False


# ---- answers


def body(content: Any, finish: str = "stop", **message: Any) -> dict[str, Any]:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, "tool_calls": None, **message},
        "finish_reason": finish,
    }
    return {"id": "i", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "why"}], "closed": True}
REFERENCE = {"type": "reference", "reference_ids": [0, "b"]}


def test_plain_answer() -> None:
    answer = plain_of(D, body(" hi\n"))
    assert (answer.content, answer.provider, answer.finish_reason) == (" hi\n", "mistral", "stop")
    usage = answer.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (9, 5, 4)


def test_chunks_become_parts_and_go_back_as_they_came() -> None:
    steps = [{"type": "text", "text": "a"}, {"type": "tool_reference", "tool": "web_search", "title": "t"}]
    chunks = [
        THOUGHT,
        {"type": "text", "text": "so"},
        REFERENCE,
        {"type": "text", "text": " it is"},
        {"type": "thinking", "thinking": steps, "signature": "s"},
        {"type": "document_url", "document_url": "https://a.pdf", "document_name": "a"},
        {"type": "new", "x": [1]},
    ]
    asked = {"id": "aB3dE6gH9", "function": {"name": "f", "arguments": '{"x": 1}'}, "index": 0}
    answer = plain_of(D, body(chunks, "tool_calls", tool_calls=[asked]))
    assert [type(p) for p in answer.parts] == [Reasoning, Text, Text, Reasoning, File, Opaque, ToolCall]
    assert [c.file_id for c in answer.citations] == ["0", "b"]
    assert (answer.text, answer.reasoning) == ("so it is", "whya")
    back = wire(from_json(answer.to_json()))[0]
    assert back["content"] == [{k: v for k, v in c.items() if k != "closed"} for c in chunks]
    assert back["tool_calls"] == [{"id": "aB3dE6gH9", "type": "function", "function": asked["function"]}]
    other, warned = sent(Mistral("elsewhere"), call(answer))
    assert other["messages"][0]["content"] == "so it is"
    assert len(warned) == 5


def test_choices_that_hold_several_messages() -> None:
    ran = {"id": "r", "function": {"name": "image", "arguments": "{}"}}
    left = {"id": "l", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "content": "a", "tool_calls": [ran]},
        {"role": "tool", "tool_call_id": "r", "content": "done"},
        {"role": "assistant", "content": [{"type": "text", "text": "b"}], "tool_calls": [left]},
    ]
    wired = body("x")
    wired["choices"][0] = {"index": 0, "finish_reason": "tool_calls", "messages": messages}
    answer = plain_of(D, wired)
    assert answer.text == "ab"
    assert [c.id for c in answer.tool_calls] == ["l"]
    assert answer.raw == wired


def test_odd_shapes_never_fail() -> None:
    for content in (
        None,
        [],
        [None, 3, {}, {"type": None}],
        [{"type": "thinking"}],
        [{"type": "thinking", "thinking": "t"}],
        [REFERENCE],
    ):
        answer = plain_of(D, body(content))
        assert from_json(answer.to_json()) == answer
        D.encode(call(answer, HumanMessage("u")))


@pytest.mark.parametrize(
    ("status", "wired", "cls", "message"),
    [
        (401, {"detail": "Unauthorized"}, AuthenticationError, "Unauthorized"),
        (429, {"object": "error", "message": "slow", "type": "rate_limited", "code": "1300"}, RateLimitError, "slow"),
        (400, {"object": "error", "message": "too large for model with 32768 maximum context length", "code": "3051"},
         ContextTooLongError, "too large for model with 32768 maximum context length"),
        (422, {"object": "error", "message": {"detail": [{"msg": "m"}]}}, ProviderError, '{"detail":[{"msg":"m"}]}'),
    ],
)  # fmt: skip
def test_errors(status: int, wired: Any, cls: type[ProviderError], message: str) -> None:
    error = D.decode_error(HTTPResponse(status=status, body=json.dumps(wired).encode()))
    assert isinstance(error, cls)
    assert error.message == message


def test_errors_in_a_200() -> None:
    wired = {"object": "error", "message": "broke", "type": "internal_server_error", "code": "1000"}
    with pytest.raises(ProviderError, match="broke"):
        plain_of(D, wired)
    for before in ((), (chunk("a"),)):
        with pytest.raises(ProviderError, match="broke"):
            events_of(D, [sse(*before, wired)])


# ---- streams


def chunk(content: Any = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {"content": content} if content is not None else {}
    delta |= {k: more.pop(k) for k in ("tool_calls",) if k in more}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "i", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **more}


def test_stream_of_chunks() -> None:
    def think(text: str, **more: Any) -> dict[str, Any]:
        return {"type": "thinking", "thinking": [{"type": "text", "text": text}], "closed": True, **more}

    step = {"type": "tool_reference", "tool": "web_search", "title": "t"}
    asked = {"id": "aB3dE6gH9", "function": {"name": "f", "arguments": '{"x": 1}'}, "index": 0}
    plain = body(
        [
            think("wh\u00e9y"),
            {"type": "text", "text": "so"},
            REFERENCE,
            {**REFERENCE, "reference_ids": ["c"]},
            {"type": "text", "text": " it is"},
            {"type": "thinking", "thinking": [{"type": "text", "text": "then"}, step], "signature": "s"},
            {"type": "text", "text": "end"},
            {"type": "new", "x": 1},
        ],
        "tool_calls",
        tool_calls=[asked],
    )
    events = [
        chunk(""),
        chunk([think("wh")]),
        chunk([think("\u00e9y"), {"type": "text", "text": "s"}]),
        chunk("o"),
        chunk([REFERENCE, {**REFERENCE, "reference_ids": ["c"]}]),
        chunk(" it"),
        chunk([{"type": "text", "text": " is"}]),
        chunk([think("th")]),
        chunk([{"type": "thinking", "thinking": [{"type": "text", "text": "en"}, step], "signature": "s"}]),
        chunk("end"),
        chunk([{"type": "new", "x": 1}]),
        chunk(None, "tool_calls", tool_calls=[asked], usage=plain["usage"]),
    ]
    message = check_stream(D, sse(*events, done=True), plain)
    assert message.text == "so it isend"


def test_two_choices() -> None:
    def of(index: int, content: Any, finish: str | None = None) -> dict[str, Any]:
        return {"index": index, "delta": {"content": content}, "finish_reason": finish}

    first = {"id": "i", "model": "m", "choices": [of(0, "a"), of(1, [THOUGHT])]}
    last = {"id": "i", "model": "m", "choices": [of(0, "b", "stop"), of(1, "c", "length")], "usage": body("")["usage"]}
    plain = body("ab")
    other = {"index": 1, "message": {"content": [THOUGHT, {"type": "text", "text": "c"}]}, "finish_reason": "length"}
    plain["choices"].append(other)
    check_stream(D, sse(first, last, done=True), plain)


# ---- recorded requests


def test_requests_come_back_as_they_were() -> None:
    asked = {"id": "aB3dE6gH9", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    request = {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [
                {"type": "text", "text": "a"}, {"type": "text", "text": "b"},
                {"type": "image_url", "image_url": {"url": "https://a"}},
                {"type": "document_url", "document_url": "data:application/pdf;base64,JVBERg==", "document_name": "d"},
                {"type": "input_audio", "input_audio": "eA=="}, {"type": "file", "file_id": "f"}, {"type": "new"}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}, {"type": "text", "text": "x"},
                REFERENCE],
             "tool_calls": [asked]},
            {"role": "tool", "tool_call_id": "aB3dE6gH9", "name": "f", "content": "r"},
            {"role": "assistant", "content": "pre", "prefix": True},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "description": "", "parameters": SCHEMA}}],
        "tool_choice": "any", "random_seed": 3, "safe_prompt": True, "stop": ["x"], "n": 1, "stream": True,
        "response_format": {"type": "json_object"},
    }  # fmt: skip
    parsed = D.decode_request(request)
    again, warned = sent(D, parsed)
    assert again == request
    assert warned == []
    assert parsed.settings.seed == 3
    assert parsed.settings.tool_choice == "required"
    with pytest.raises(UsageError):
        D.decode_request({"messages": None})
