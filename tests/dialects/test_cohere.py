"""The Cohere v2 dialect on hand-written requests, answers and streams. Shapes: the API reference, 2026-11."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatmodels._call import Call, HTTPResponse, Settings
from chatmodels._errors import (
    AuthenticationError,
    ContextTooLongError,
    NotFoundError,
    ProtocolError,
    ProviderError,
    UsageError,
)
from chatmodels._fold import fold
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
from chatmodels.dialects._cohere_schema import for_cohere
from chatmodels.dialects.cohere import Cohere

from .stream_checks import check_stream, events_of, plain_of, sent, sse

D = Cohere()
PNG = b"\x89PNG\r\n\x1a\n0000"
PNG64 = "iVBORw0KGgowMDAw"


def call(*messages: Message, **fields: Any) -> Call:
    return Call(model="command-a-03-2025", messages=messages, **fields)


def wire(*messages: Message, **fields: Any) -> list[dict[str, Any]]:
    body, _ = sent(D, call(*messages, **fields))
    found: list[dict[str, Any]] = body["messages"]
    return found


# ---- requests


@pytest.mark.parametrize(
    ("part", "chunk"),
    [
        (Text("hi"), {"type": "text", "text": "hi"}),
        (Image(url="https://a/b.png"), {"type": "image_url", "image_url": {"url": "https://a/b.png"}}),
        (
            Image(data=PNG, detail="low"),
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG64}", "detail": "low"}},
        ),
        (File(data=b"a,b", media_type="text/csv", name="t.csv"), {"type": "text", "text": "t.csv:\na,b"}),
        (Audio(transcript="said"), {"type": "text", "text": "said"}),
        (Refusal("no"), {"type": "text", "text": "no"}),
    ],
)
def test_user_parts(part: Any, chunk: dict[str, Any]) -> None:
    assert wire(HumanMessage([part])) == [{"role": "user", "content": [chunk]}]


def test_messages() -> None:
    got = wire(
        SystemMessage("s"),
        ChatMessage("d", role="developer"),
        HumanMessage("u"),
        AIMessage([Text("a"), ToolCall("c1", "f", {"x": 1})]),
        ToolMessage("broke", tool_call_id="c1", is_error=True),
        AIMessage(""),
    )
    asked = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    assert got == [
        {"role": "system", "content": "s"},
        {"role": "system", "content": "d"},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": [{"type": "text", "text": "a"}], "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": "c1", "content": "[error] broke"},
        {"role": "assistant", "content": ""},
    ]


def test_images_of_results_follow_in_a_user_message() -> None:
    body, warned = sent(
        D,
        call(
            AIMessage([ToolCall("c1", "f", {}), ToolCall("c2", "f", {})]),
            ToolMessage([Text("t"), Image(data=PNG)], tool_call_id="c1"),
            ToolMessage([Image(url="https://a")], tool_call_id="c2"),
            HumanMessage("go on"),
        ),
    )
    roles = [m["role"] for m in body["messages"]]
    assert roles == ["assistant", "tool", "tool", "user", "user"]
    assert body["messages"][1]["content"] == [{"type": "text", "text": "t"}]
    assert body["messages"][2]["content"] == "(see the next message)"
    assert len(body["messages"][3]["content"]) == 2
    assert any("images of a tool result" in w for w in warned)


def test_results_inside_a_user_message_and_functions_of_2023() -> None:
    got = wire(
        AIMessage([ToolCall("c1", "f", {})]),
        HumanMessage([ToolResult("c1", "r"), Text("u")]),
        AIMessage("", {"function_call": {"name": "g", "arguments": "{}"}}),
        FunctionMessage("r2", name="g"),
        FunctionMessage("alone", name="h"),
    )
    assert [m["role"] for m in got] == ["assistant", "tool", "user", "assistant", "tool", "user"]
    assert got[4]["tool_call_id"] == got[3]["tool_calls"][0]["id"]


def test_free_text_calls_are_wrapped() -> None:
    got = wire(AIMessage([ToolCall("c", "f", "a b", custom=True), InvalidToolCall("d", "f", '{"a', "cut")]))
    assert [c["function"]["arguments"] for c in got[0]["tool_calls"]] == ['{"input":"a b"}', '{"a']


def test_reasoning_goes_back_to_where_it_came_from() -> None:
    own = AIMessage(
        [Reasoning("plan", provider_data={"cohere": {"plan": True}}), Reasoning("why"), Text("a")], provider="cohere"
    )
    by_hand = AIMessage([Reasoning("why"), Text("a")])
    foreign = AIMessage([Reasoning("why", signature="sig"), Text("a")], provider="anthropic")
    thought = [{"type": "thinking", "thinking": "why"}, {"type": "text", "text": "a"}]
    assert wire(own) == [{"role": "assistant", "content": thought, "tool_plan": "plan"}]
    assert wire(by_hand)[0]["content"] == thought
    body, warned = sent(D, call(foreign))
    assert body["messages"][0]["content"] == thought[1:]
    assert any("reasoning" in w for w in warned)


def test_what_cannot_be_sent_is_an_error_or_a_warning() -> None:
    for part in (
        Audio(data=b"x"),
        Video(url="https://a"),
        File(data=b"%PDF", media_type="application/pdf"),
        Image(file_id="f"),
    ):
        with pytest.raises(UsageError):
            D.encode(call(HumanMessage([part])))
    foreign = AIMessage(
        [
            ServerTool(kind="web_search"),
            Opaque(provider="google", kind="x", data={}),
            Image(data=PNG),
            Text("t", (Citation(url="https://a"),), cache=True),
        ],
        provider="anthropic",
    )
    _, warned = sent(D, call(foreign, HumanMessage("u", {"odd": 1}, name="bob"), ChatMessage("c", role="critic")))
    for word in ("web_search", "x of google", "Image", "citations", "cache", "speaker", "critic", "odd"):
        assert any(word in w for w in warned), (word, warned)


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 3}, {"temperature": 0.5, "p": 0.9, "k": 3}),
        ({"max_tokens": 5, "stop": ("a",), "seed": 1}, {"max_tokens": 5, "stop_sequences": ["a"], "seed": 1}),
        ({"frequency_penalty": 0.1, "presence_penalty": 0.2, "logprobs": True},
         {"frequency_penalty": 0.1, "presence_penalty": 0.2, "logprobs": True}),
        ({"reasoning_budget": 0}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_budget": 9}, {"thinking": {"type": "enabled", "token_budget": 9}}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"tool_choice": "auto"}, {}),
        ({"tool_choice": "required"}, {"tool_choice": "REQUIRED"}),
        ({"tool_choice": "none"}, {"tool_choice": "NONE"}),
        ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}},
         {"response_format": {"type": "json_object", "json_schema": {"type": "object"}}}),
        ({"extra_body": {"safety_mode": "OFF", "documents": ["d"]}}, {"safety_mode": "OFF", "documents": ["d"]}),
        ({"n": 1, "modalities": ("text",)}, {}),
    ],
)  # fmt: skip
def test_settings(settings: dict[str, Any], fields: dict[str, Any]) -> None:
    body, warned = sent(D, call(HumanMessage("u"), settings=Settings(**settings)))
    assert body == {
        "model": "command-a-03-2025",
        "messages": [{"role": "user", "content": "u"}],
        "stream": False,
        **fields,
    }
    assert warned == []


def test_settings_that_have_no_place() -> None:
    odd = {"min_p": 0.1, "n": 2, "top_logprobs": 1, "logit_bias": {"1": 1.0}, "parallel_tool_calls": False, "user": "u"}
    more = {
        "reasoning_summary": "auto",
        "service_tier": "flex",
        "store": True,
        "verbosity": "low",
        "metadata": {"a": "b"},
    }
    body, warned = sent(D, call(HumanMessage("u"), settings=Settings(**odd, **more)))
    assert set(body) == {"model", "messages", "stream"}
    for name in (*odd, *more):
        assert any(name in w for w in warned), name
    body, warned = sent(D, call(HumanMessage("u"), settings=Settings(reasoning_effort="low")))
    assert body["thinking"] == {"type": "enabled"}
    assert warned


SCHEMA = {"type": "object", "properties": {"x": {"type": "integer", "minimum": 1}}, "required": ["x"]}


def test_tools_and_a_named_choice() -> None:
    tools = (
        as_tool({"name": "f", "description": "d", "input_schema": SCHEMA}),
        as_tool({"name": "g", "input_schema": {}}),
    )
    body, _ = sent(D, call(HumanMessage("u"), tools=tools))
    assert body["tools"][0] == {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}
    assert "strict_tools" not in body
    body, warned = sent(D, call(HumanMessage("u"), tools=tools, settings=Settings(tool_choice="g")))
    assert body["tool_choice"] == "REQUIRED"
    assert [t["function"]["name"] for t in body["tools"]] == ["g"]
    assert any("only g" in w for w in warned)
    with pytest.raises(UsageError, match="'h'"):
        D.encode(call(HumanMessage("u"), tools=tools, settings=Settings(tool_choice="h")))


def test_strict_tools() -> None:
    tool = as_tool({"name": "f", "input_schema": SCHEMA, "strict": True})
    body, warned = sent(D, call(HumanMessage("u"), tools=(tool,)))
    assert body["strict_tools"] is True
    assert "minimum" not in body["tools"][0]["function"]["parameters"]["properties"]["x"]
    assert any("minimum" in w for w in warned)


def test_output_is_a_format_or_beside_tools_words() -> None:
    output = Output.of(list[int], name="numbers")
    body, _ = sent(D, call(HumanMessage("u"), output=output))
    assert body["response_format"]["json_schema"]["type"] == "object"
    tool = as_tool({"name": "f", "input_schema": SCHEMA})
    body, _ = sent(D, call(HumanMessage("u"), output=output, tools=(tool,)))
    assert "response_format" not in body
    assert "JSON schema" in body["messages"][0]["content"]


def test_schemas() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "pattern": "^x+$", "minLength": 2},
            "b": {"oneOf": [{"type": "string", "format": "email"}, {"type": "string", "format": "date"}]},
            "c": {"type": "array", "items": {"$ref": "#/$defs/E"}, "minItems": 1},
        },
        "$defs": {"E": {"type": "object", "properties": {"n": {"type": "integer"}}}},
    }
    made, notes = for_cohere(schema)
    assert made["required"] == ["a", "b", "c"]
    text, date = made["properties"]["a"]["anyOf"][0], made["properties"]["b"]
    assert text["pattern"] == "x+"
    assert "minLength" in text["description"]
    assert "oneOf" not in json.dumps(made)
    assert '"date"' in json.dumps(date)
    assert '"format": "email"' not in json.dumps(date)
    assert made["$defs"]["E"]["required"] == ["n"]
    assert notes
    assert for_cohere(made)[0] == made


# ---- answers

USAGE = {"billed_units": {"input_tokens": 5, "output_tokens": 6}, "cached_tokens": 8,
         "tokens": {"input_tokens": 50, "output_tokens": 9, "reasoning_tokens": 2}}  # fmt: skip
ASKED = {"id": "f_1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
SOURCE = {
    "type": "document",
    "id": "doc:0",
    "document": {"id": "doc:0", "title": "T", "text": "cited", "url": "https://a"},
}
TOOL_SOURCE = {"type": "tool", "id": "f_0:0", "tool_output": {"content": "out"}}
CITED = {
    "start": 0,
    "end": 2,
    "text": "hi",
    "sources": [SOURCE, TOOL_SOURCE],
    "type": "TEXT_CONTENT",
    "content_index": 1,
}


def body(finish: str = "COMPLETE", **message: Any) -> dict[str, Any]:
    return {"id": "a-1", "message": {"role": "assistant", **message}, "finish_reason": finish, "usage": USAGE}


def test_answers_become_parts_and_go_back_as_they_came() -> None:
    thought = {"type": "thinking", "thinking": "why"}
    about_plan = {"start": 0, "end": 1, "text": "p", "sources": [], "type": "PLAN"}
    message = {
        "tool_plan": "plan",
        "content": [thought, {"type": "text", "text": "hi\n"}, {"type": "new", "x": 1}],
        "citations": [CITED, about_plan],
        "tool_calls": [ASKED],
    }
    answer = plain_of(D, body(**message))
    plan, reasoning, text, opaque, asked = answer.parts
    assert (plan, reasoning) == (Reasoning("plan", provider_data={"cohere": {"plan": True}}), Reasoning("why"))
    assert isinstance(text, Text)
    assert [(c.url, c.title, c.cited_text, c.start, c.end, c.file_id) for c in text.citations] == [
        ("https://a", "T", "cited", 0, 2, "doc:0"),
        (None, None, "out", 0, 2, "f_0:0"),
    ]
    assert isinstance(opaque, Opaque)
    assert asked == ToolCall("f_1", "f", {"x": 1}, text='{"x": 1}')
    assert (answer.finish_reason, answer.raw_finish_reason, answer.id) == ("tool_calls", "COMPLETE", "a-1")
    usage = answer.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.reasoning_tokens) == (50, 9, 8, 2)
    assert wire(from_json(answer.to_json())) == [{"role": "assistant", **message}]
    assert "doc:0" not in json.dumps(sent(Cohere("other"), call(answer))[0])


def test_plain_text_is_a_str() -> None:
    answer = plain_of(D, body(content=[{"type": "text", "text": "hi"}]))
    assert (answer.content, answer.finish_reason, answer.provider) == ("hi", "stop", "cohere")
    billed = {"billed_units": {"input_tokens": 5, "output_tokens": 6}}
    usage = plain_of(D, {**body(), "usage": billed}).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (5, 6)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [("STOP_SEQUENCE", "stop"), ("MAX_TOKENS", "length"), ("TOOL_CALL", "tool_calls"), ("ERROR", "error"),
     ("TIMEOUT", "error"), ("ERROR_TOXIC", "content_filter"), ("NEW", "other")],
)  # fmt: skip
def test_finish(raw: str, reason: str) -> None:
    answer = plain_of(D, body(raw, content=[{"type": "text", "text": "a"}]))
    assert (answer.finish_reason, answer.raw_finish_reason) == (reason, raw)


def test_odd_shapes_never_fail() -> None:
    for message in (
        {"content": None, "tool_calls": None, "citations": None, "tool_plan": None},
        {
            "content": [None, 3, {}, {"type": "text"}],
            "citations": [None, {"sources": [None]}],
            "tool_calls": [None, {}],
        },
        {"content": "plain"},
    ):
        answer = plain_of(D, body(**message))
        assert from_json(answer.to_json()) == answer
        D.encode(call(answer))
    assert plain_of(D, {"message": {}, "finish_reason": None}).finish_reason == "unknown"


def test_errors() -> None:
    with pytest.raises(ProviderError, match="broke"):
        plain_of(D, {**body("ERROR"), "error": "broke"})
    with pytest.raises(ProviderError, match="odd"):
        plain_of(D, {"id": "x", "message": "odd"})
    with pytest.raises(ProtocolError):
        plain_of(D, b"<html>")
    for status, wired, cls in (
        (400, {"error_type": "TOO_MANY_TOKENS", "id": "1", "message": "too many"}, ContextTooLongError),
        (404, {"id": "1", "message": "model 'x' not found"}, NotFoundError),
        (401, {"message": "invalid api token"}, AuthenticationError),
    ):
        error = D.decode_error(HTTPResponse(status=status, body=json.dumps(wired).encode()))
        assert type(error) is cls
        assert error.message == wired["message"]


# ---- streams

START = {"id": "a-1", "type": "message-start",
         "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}}}  # fmt: skip


def content(index: int, **fields: Any) -> dict[str, Any]:
    kind = "content-start" if "type" in fields else "content-delta"
    return {"type": kind, "index": index, "delta": {"message": {"content": fields}}}


def end(finish: str = "COMPLETE", **fields: Any) -> dict[str, Any]:
    return {"type": "message-end", "delta": {"finish_reason": finish, "usage": USAGE, **fields}}


@pytest.mark.parametrize("named", [True, False])
def test_stream_of_an_answer(named: bool) -> None:
    events = [
        START,
        content(0, type="thinking", thinking=""),
        content(0, thinking="wh"),
        content(0, thinking="y"),
        {"type": "content-end", "index": 0},
        content(1, type="text", text=""),
        content(1, text="h"),
        content(1, text="i \U0001f600\n"),
        {"type": "citation-start", "index": 0, "delta": {"message": {"citations": CITED}}},
        {"type": "citation-end", "index": 0},
        {"type": "content-end", "index": 1},
        {"type": "debug", "prompt": "?"},
        end(),
    ]
    plain = body(
        content=[{"type": "thinking", "thinking": "why"}, {"type": "text", "text": "hi \U0001f600\n"}],
        citations=[CITED],
    )
    check_stream(D, sse(*events, named=named, done=True), plain)


def test_stream_of_calls() -> None:
    def start(index: int, wired: Any) -> dict[str, Any]:
        return {"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": wired}}}

    def more(index: int, arguments: str) -> dict[str, Any]:
        wired = {"function": {"arguments": arguments}}
        return {"type": "tool-call-delta", "index": index, "delta": {"message": {"tool_calls": wired}}}

    second = {"id": "g_1", "type": "function", "function": {"name": "g", "arguments": ""}}
    events = [
        START,
        *({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": p}}} for p in ("I ", "will")),
        start(0, {**ASKED, "function": {"name": "f", "arguments": ""}}),
        more(0, '{"x":'),
        more(0, " 1}"),
        {"type": "tool-call-end", "index": 0},
        start(1, second),
        {"type": "citation-start", "index": 0, "delta": {"message": {"citations": {**CITED, "type": "PLAN"}}}},
        end("TOOL_CALL"),
    ]
    plain = body("TOOL_CALL", tool_plan="I will", tool_calls=[ASKED, second], citations=[{**CITED, "type": "PLAN"}])
    message = check_stream(D, sse(*events, named=True), plain)
    assert [(c.id, c.args) for c in message.tool_calls] == [("f_1", {"x": 1}), ("g_1", {})]


def test_stream_logprobs() -> None:
    token = {"text": "a", "token_ids": [1], "logprobs": [-0.5]}
    events = [START, content(0, type="text", text=""), {**content(0, text="a"), "logprobs": token}, end()]
    plain = {**body(content=[{"type": "text", "text": "a"}]), "logprobs": [token]}
    assert check_stream(D, sse(*events), plain).logprobs == [token]


def test_errors_in_streams() -> None:
    for last in (end("ERROR", error="broke"), {"message": "broke"}, {"type": "error", "message": "broke"}):
        with pytest.raises(ProviderError, match="broke"):
            events_of(D, [sse(START, last)])
    with pytest.raises(ProtocolError):
        events_of(D, [sse(START) + b"data: {x\n\n"])
    assert fold(events_of(D, [sse(START, end("ERROR"))])).finish_reason == "error"


# ---- recorded requests


def test_requests_come_back_as_they_were() -> None:
    document = {"type": "document", "document": {"id": "d", "data": {"output": "60"}}}
    request = {
        "model": "command-a-03-2025",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"},
                                         {"type": "image_url", "image_url": {"url": "https://a", "detail": "low"}},
                                         {"type": "new"}]},
            {"role": "assistant", "tool_plan": "p", "tool_calls": [ASKED]},
            {"role": "tool", "tool_call_id": "f_1", "content": [document]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "60"}],
             "citations": [CITED]},
            {"role": "user", "content": "u"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}],
        "documents": [{"id": "1", "data": {"text": "x"}}], "tool_choice": "REQUIRED", "p": 0.5, "k": 3,
        "stop_sequences": ["x"], "thinking": {"type": "enabled", "token_budget": 5}, "safety_mode": "OFF",
        "stream": True,
        "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
    }  # fmt: skip
    parsed = D.decode_request(request)
    again, warned = sent(D, parsed)
    assert again == request
    assert warned == []
    assert parsed.messages[3].text == "60"
    assert parsed.settings.reasoning_budget == 5
    with pytest.raises(UsageError):
        D.decode_request({"messages": "x"})
