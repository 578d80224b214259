"""Ollama's chat API: requests, answers, streams, errors, recorded requests read back; and generated conversations, held
against the types of the official client.
"""

from __future__ import annotations

import importlib.util
import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_with

from chatmodels._call import Call, HTTPResponse, Settings
from chatmodels._errors import IncompleteStream, NotFoundError, ProtocolError, ProviderError, UsageError
from chatmodels._events import End, Event, Start, TextDelta
from chatmodels._fold import fold
from chatmodels._messages import AIMessage, ChatMessage, FunctionMessage, HumanMessage, SystemMessage, ToolMessage
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
from chatmodels._tools import Tool
from chatmodels.dialects.ollama import Ollama

from .google_ollama_talk import SECRET, generated

PNG = b"\x89PNG\r\n\x1a\n"
PNG64 = b64encode(PNG).decode()
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool(name="weather", description="The weather.", parameters=SCHEMA)
HI = HumanMessage("hi")


def call(*messages: Any, **fields: Any) -> Call:
    known = {k: fields.pop(k) for k in ("tools", "output", "stream") if k in fields}
    return Call(model="qwen3", messages=messages, settings=Settings(**fields), **known)


def body(*messages: Any, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Ollama().encode(call(*messages, **fields)).body)
    return found


def sent(*messages: Any, **fields: Any) -> Any:
    return body(*messages, **fields)["messages"]


def warned(*messages: Any, **fields: Any) -> str:
    return " / ".join(Ollama().encode(call(*messages, **fields)).warnings)


# -- requests


def test_a_conversation() -> None:
    request = Ollama().encode(
        call(
            SystemMessage("Be brief."),
            ChatMessage("And kind.", role="developer"),
            HumanMessage([Text("What is "), Image(data=PNG), Text("this?")]),
            AIMessage(
                [
                    Reasoning("Hm."),
                    Text("Let me see."),
                    ToolCall("call_0", "look", {"a": 1}),
                    ToolCall("x7", "ask", {}),
                ],
                provider="ollama",
            ),
            ToolMessage([Text("a cat"), Image(data=PNG)], tool_call_id="call_0"),
            ToolMessage("no", tool_call_id="x7", is_error=True),
            tools=(WEATHER,),
            stream=True,
            extra_headers={"x-a": "b"},
        )
    )
    assert (request.path, request.stream, request.headers, request.warnings) == ("/api/chat", True, {"x-a": "b"}, ())
    assert json.loads(request.body) == {
        "model": "qwen3",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "system", "content": "And kind."},
            {"role": "user", "content": "What is this?", "images": [PNG64]},
            {
                "role": "assistant",
                "content": "Let me see.",
                "thinking": "Hm.",
                "tool_calls": [
                    {"function": {"name": "look", "arguments": {"a": 1}}},
                    {"id": "x7", "function": {"name": "ask", "arguments": {}}},
                ],
            },
            {"role": "tool", "content": "a cat", "images": [PNG64], "tool_name": "look"},
            {"role": "tool", "content": "[error] no", "tool_name": "ask", "tool_call_id": "x7"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters": SCHEMA}}
        ],
        "stream": True,
    }


@pytest.mark.parametrize(
    ("fields", "wire"),
    [
        (
            {
                "temperature": 0,
                "top_p": 0.5,
                "top_k": 3,
                "min_p": 0.1,
                "max_tokens": 9,
                "stop": ("a",),
                "seed": 1,
                "presence_penalty": 0.1,
                "frequency_penalty": 0.2,
                "extra_body": {"keep_alive": "5m", "options": {"num_ctx": 8192, "seed": 2}},
            },
            {
                "options": {
                    "temperature": 0,
                    "top_p": 0.5,
                    "top_k": 3,
                    "min_p": 0.1,
                    "num_predict": 9,
                    "stop": ["a"],
                    "seed": 2,
                    "presence_penalty": 0.1,
                    "frequency_penalty": 0.2,
                    "num_ctx": 8192,
                },
                "keep_alive": "5m",
            },
        ),
        ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"reasoning_effort": "high"}, {"think": "high"}),
        ({"reasoning_effort": "none"}, {"think": False}),
        ({"reasoning_budget": 0}, {"think": False}),
        ({"response_format": {"type": "json_object"}}, {"format": "json"}),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}, {"format": SCHEMA}),
        ({"response_format": {"type": "text"}}, {}),
        ({"output": Output(name="o", schema=SCHEMA)}, {"format": SCHEMA}),
        ({"output": Output(name="o", schema=SCHEMA, description="D")}, {"format": {**SCHEMA, "description": "D"}}),
        ({"tools": (WEATHER,), "tool_choice": "none"}, {}),
        ({"tools": (Tool(name="x", kind="provider", raw={"type": "x"}),)}, {"tools": [{"type": "x"}]}),
        ({"tool_choice": "auto", "parallel_tool_calls": True}, {}),
    ],
)
def test_settings(fields: dict[str, Any], wire: dict[str, Any]) -> None:
    messages = [{"role": "user", "content": "hi"}]
    assert body(HI, **fields) == {"model": "qwen3", "messages": messages, "stream": False, **wire}
    assert warned(HI, **fields) == ""


@pytest.mark.parametrize(
    ("fields", "wire", "warning"),
    [
        ({"reasoning_effort": "minimal"}, {"think": "low"}, "'low'"),
        ({"reasoning_effort": "xhigh"}, {"think": "max"}, "'max'"),
        ({"reasoning_budget": 100}, {"think": True}, "budget"),
        ({"reasoning_effort": "low", "reasoning_budget": 100}, {"think": "low"}, "budget"),
        ({"reasoning_summary": "auto"}, {}, "reasoning_summary"),
        ({"n": 2}, {}, "take n:"),
        ({"logit_bias": {"1": 1.0}}, {}, "logit_bias"),
        ({"user": "u"}, {}, "take user"),
        ({"tool_choice": "required"}, {}, "tool_choice"),
        ({"parallel_tool_calls": False}, {}, "parallel_tool_calls"),
        ({"response_format": {"type": "grammar"}}, {}, "grammar"),
    ],
)
def test_what_is_not_taken_is_said(fields: dict[str, Any], wire: dict[str, Any], warning: str) -> None:
    assert body(HI, **fields) == {**body(HI), **wire}
    assert warning in warned(HI, **fields)


def test_references_in_tools_are_put_in_place() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}, "$defs": {"N": {"type": "string"}}}
    function = body(HI, tools=(Tool(name="f", parameters=node, strict=True),))["tools"][0]["function"]
    assert function["parameters"] == {"type": "object", "properties": {"next": {"type": "string"}}}
    endless = {
        "type": "object",
        "properties": {"n": {"$ref": "#/$defs/N"}},
        "$defs": {"N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}},
    }
    assert "tool f" in warned(HI, tools=(Tool(name="f", parameters=endless),))
    assert "strict" in warned(HI, tools=(Tool(name="f", parameters=node, strict=True),))


@pytest.mark.parametrize(
    ("part", "remedy"),
    [
        (Image(url="https://e.com/a.png"), "give the bytes"),
        (Image(file_id="f"), "give the bytes"),
        (Audio(data=b"1", media_type="audio/wav"), "as text"),
        (Video(url="https://e.com/v"), "images"),
        (File(data=b"%PDF", media_type="application/pdf"), "send their text"),
        (File(data=b"\xff", media_type="text/plain"), "decode it yourself"),
    ],
)
def test_media_that_it_cannot_take_are_refused(part: Any, remedy: str) -> None:
    with pytest.raises(UsageError, match=remedy) as raised:
        Ollama().encode(call(HumanMessage([part])))
    assert raised.value.argument == "messages[0].content[0]"


@pytest.mark.parametrize(
    ("message", "wire", "warning"),
    [
        (HumanMessage([Refusal("no")]), {"role": "user", "content": "no"}, ""),
        (HumanMessage("a", name="Ann"), {"role": "user", "content": "a"}, "speaker's name"),
        (HumanMessage("a", {"odd": 1}), {"role": "user", "content": "a", "odd": 1}, ""),
        (HumanMessage([Text("a", cache=True)]), {"role": "user", "content": "a"}, "prompt-cache"),
        (HumanMessage([Image(data=PNG, detail="low")]), {"role": "user", "content": "", "images": [PNG64]}, "detail"),
        (
            HumanMessage([ToolResult("x", "1", name="f")]),
            {"role": "tool", "content": "1", "tool_name": "f", "tool_call_id": "x"},
            "",
        ),
        (HumanMessage([ToolCall("x", "f")]), {"role": "user", "content": ""}, "no place"),
        (HumanMessage([Audio(transcript="hello")]), {"role": "user", "content": "hello"}, "transcript"),
        (
            HumanMessage([File(data=b"words", media_type="text/plain", name="a.txt")]),
            {"role": "user", "content": "a.txt:\nwords\n"},
            "takes no files",
        ),
        (ChatMessage("a", role="critic"), {"role": "critic", "content": "a"}, ""),
        (ChatMessage("a", role="ai"), {"role": "assistant", "content": "a"}, ""),
        (FunctionMessage("1", name="f"), {"role": "tool", "content": "1", "tool_name": "f"}, ""),
        (AIMessage([Reasoning("mine")]), {"role": "assistant", "content": "", "thinking": "mine"}, ""),
        (
            AIMessage([Reasoning("theirs", signature="S"), Text("a", (Citation(url="u"),))], provider="other"),
            {"role": "assistant", "content": "a"},
            "the reasoning of other is not sent to ollama / messages[0].content[1]: citations",
        ),
        (AIMessage([ServerTool(kind="web_search")]), {"role": "assistant", "content": ""}, "web_search call"),
        (AIMessage([Opaque(provider="p", kind="k", data=1)]), {"role": "assistant", "content": ""}, "a k of p"),
        (
            AIMessage([InvalidToolCall("", "f", "{", "cut")]),
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"input": "{"}}}]},
            "only as an object",
        ),
        (
            AIMessage("", {"function_call": {"name": "f", "arguments": "{}"}}),
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
            "",
        ),
    ],
)  # fmt: skip
def test_messages(message: Any, wire: dict[str, Any], warning: str) -> None:
    assert sent(message) == [wire]
    assert warning in warned(message)
    assert bool(warning) == bool(warned(message))


# -- answers


def line(content: str = "", done: bool = False, **fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    message.update({k: fields.pop(k) for k in ("thinking", "tool_calls", "images") if k in fields})
    return {"model": "qwen3", "created_at": "2026-11-01T00:00:00Z", "message": message, "done": done, **fields}


COUNTS = {"prompt_eval_count": 5, "eval_count": 7, "total_duration": 9}
LAST = line("", True, done_reason="stop", **COUNTS)


def decode(body: Any) -> AIMessage:
    return Ollama().decode(HTTPResponse(status=200, body=json.dumps(body).encode()))


def test_an_answer() -> None:
    calls = [
        {"function": {"name": "f", "arguments": {"a": 1}}},
        {"id": "x7", "function": {"index": 1, "name": "g", "arguments": '{"b": 2}'}},
        {"function": {"name": "h"}},
        {"function": {"name": "i", "arguments": "{"}},
    ]
    message = decode(line(" a ", True, thinking="hm", tool_calls=calls, images=[PNG64], done_reason="stop", **COUNTS))
    assert message.parts[:-2] == [
        Reasoning("hm"),
        Text(" a "),
        ToolCall("call_0", "f", {"a": 1}, text='{"a":1}'),
        ToolCall("x7", "g", {"b": 2}, text='{"b": 2}'),
        ToolCall("call_2", "h", {}, text="{}"),
    ]
    broken, image = message.parts[-2:]
    assert isinstance(broken, InvalidToolCall)
    assert (broken.id, broken.args) == ("call_3", "{")
    assert image == Image(data=PNG)
    assert (message.model, message.provider, message.id) == ("qwen3", "ollama", None)
    assert (message.finish_reason, message.raw_finish_reason) == ("tool_calls", "stop")
    assert message.usage is not None
    assert (message.usage.input_tokens, message.usage.output_tokens) == (5, 7)
    assert message.usage.raw == COUNTS
    assert message.raw["done"] is True


@pytest.mark.parametrize(
    ("body", "text", "finish", "raw"),
    [
        (LAST, "", "stop", "stop"),
        (line("a", True, done_reason="length"), "a", "length", "length"),
        (line("a", True, done_reason="load"), "a", "other", "load"),
        (line("a", True), "a", "unknown", None),
        (line("a"), "a", "unknown", None),
        ({"message": {"content": None, "tool_calls": None, "images": "?"}, "done": True}, "", "unknown", None),
        ({"message": None, "done": True, "done_reason": "stop"}, "", "stop", "stop"),
        ({"message": {"tool_calls": ["?", {"function": None}]}, "done": True, "done_reason": "stop"}, "", "tool_calls", "stop"),
    ],
)  # fmt: skip
def test_ends(body: Any, text: str, finish: str, raw: str | None) -> None:
    message = decode(body)
    assert (message.text, message.finish_reason, message.raw_finish_reason) == (text, finish, raw)


def test_a_prompt_out_of_the_cache_has_no_count() -> None:
    usage = decode(line("a", True, done_reason="stop", eval_count=3)).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (None, 3)
    assert decode(line("a", True, done_reason="stop")).usage is None


def test_logprobs() -> None:
    tokens = [{"token": "a", "logprob": -0.1, "top_logprobs": [{"token": "b", "logprob": -2}]}]
    assert decode(line("a", True, logprobs=tokens)).logprobs == tokens
    assert fold(run(lines(line("a", logprobs=tokens), line("b", logprobs=tokens), LAST))).logprobs == tokens + tokens


def test_a_picture_that_cannot_be_read() -> None:
    assert decode(line("", True, images=["?"])).content == [Opaque(provider="ollama", kind="image", data="?")]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"message": ["text"], "done": true}'])
def test_an_answer_that_cannot_be_read(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        Ollama().decode(HTTPResponse(status=200, body=body))


# -- streams


def lines(*bodies: Any) -> bytes:
    return b"".join(json.dumps(b, ensure_ascii=False).encode() + b"\n" for b in bodies)


def run(*pieces: bytes) -> list[Event]:
    decoder = Ollama().stream_decoder()
    out: list[Event] = []
    for piece in pieces:
        out += decoder.feed(piece)
    out += decoder.close()
    if decoder.failed is not None:
        raise decoder.failed
    return out


CALL = {"function": {"name": "f", "arguments": {"a": "ü"}}}
STREAM = [line(thinking="H"), line(thinking="m"), line("Grüße "), line("👋"), line(tool_calls=[CALL]), line("!"), LAST]


@pytest.mark.parametrize("data", [lines(*STREAM), lines(*STREAM).replace(b"\n", b"\r\n"), lines(*STREAM)[:-1]])
def test_a_stream_cut_at_every_place_gives_the_same_events(data: bytes) -> None:
    whole = run(data)
    assert run(*[data[i : i + 1] for i in range(len(data))]) == whole
    for at in range(0, len(data), 7):
        assert run(data[:at], data[at:]) == whole


def test_a_stream_means_what_the_plain_answer_means() -> None:
    plain = decode(line("Grüße 👋!", True, thinking="Hm", tool_calls=[CALL], done_reason="stop", **COUNTS))
    folded = fold(run(lines(*STREAM)))
    assert {**folded.to_dict(), "provider": "ollama"} == plain.to_dict()


def test_events_come_early() -> None:
    events = run(lines(*STREAM))
    assert events[0] == Start(model="qwen3")
    assert [e for e in events if isinstance(e, TextDelta)] == [TextDelta(t, 1) for t in ("Grüße ", "👋", "!")]
    assert isinstance(events[-1], End)


def test_every_cut_before_the_end_raises() -> None:
    data = lines(*STREAM)
    for at in range(0, len(data) - 2, 3):
        with pytest.raises(IncompleteStream):
            run(data[:at])


def test_a_line_that_cannot_be_read() -> None:
    with pytest.raises(ProtocolError):
        run(lines(line("a")), b"{oops\n", lines(LAST))


def test_what_comes_after_the_end_is_nothing() -> None:
    assert fold(run(lines(line("a"), LAST, line("b")))).text == "a"


def test_a_plain_answer_in_place_of_a_stream() -> None:
    assert fold(run(json.dumps(line("a", True, done_reason="stop")).encode())).text == "a"


# -- errors


def test_http_errors() -> None:
    error = Ollama().decode_error(HTTPResponse(status=404, body=b'{"error": "model \'x\' not found"}'))
    assert isinstance(error, NotFoundError)
    assert (error.message, error.code, error.status) == ("model 'x' not found", None, 404)
    assert Ollama().decode_error(HTTPResponse(status=400, body=b'{"error": {"code": "c", "message": "m"}}')).code == "c"


def test_errors_inside_answers_and_streams() -> None:
    with pytest.raises(ProviderError, match="broken"):
        decode({"error": "broken"})
    decoder = Ollama().stream_decoder()
    assert decoder.feed(lines(line("a"), {"error": {"odd": 1}}))[-1] == TextDelta("a", 1)
    with pytest.raises(ProviderError, match="odd"):
        decoder.close()


# -- recorded requests


def test_a_request_read_back() -> None:
    made = call(
        SystemMessage("s"),
        HumanMessage([Text("look"), Image(data=PNG)]),
        AIMessage(
            [Reasoning("hm"), Text("so"), ToolCall("i", "weather", {"city": "P"}), ToolCall("call_1", "weather", {})],
            provider="ollama",
        ),
        ToolMessage("1", tool_call_id="i", name="weather"),
        ToolMessage("2", tool_call_id="call_1", name="weather"),
        ChatMessage("x", {"odd": 1}, role="critic"),
        tools=(WEATHER, Tool(name="x", kind="provider", raw={"type": "x"})),
        temperature=0.5,
        max_tokens=7,
        stop=("x",),
        reasoning_effort="low",
        logprobs=True,
        response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}},
        extra_body={"keep_alive": 0, "options": {"num_ctx": 5}},
        stream=True,
    )
    assert Ollama().decode_request(json.loads(Ollama().encode(made).body)) == made


@pytest.mark.parametrize(
    ("fields", "settings"),
    [
        ({"think": True}, Settings(extra_body={"think": True})),
        ({"think": False}, Settings(reasoning_budget=0)),
        ({"format": ""}, Settings()),
        ({"format": "json"}, Settings(response_format={"type": "json_object"})),
        ({"format": "xml", "options": 7}, Settings(extra_body={"format": "xml", "options": 7})),
        ({"options": {"stop": "x", "seed": None}, "keep_alive": None}, Settings(stop=("x",))),
    ],
)
def test_settings_read_back(fields: dict[str, Any], settings: Settings) -> None:
    read = Ollama().decode_request({"model": "m", "messages": [], **fields})
    assert (read.settings, read.stream, read.model) == (settings, True, "m")


def test_results_find_their_calls() -> None:
    calls = [{"function": {"name": n, "arguments": {}}} for n in ("f", "g", "f")]
    wire = [
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "content": "1", "tool_name": "g"},
        {"role": "tool", "content": "2"},
        {"role": "tool", "content": "3", "tool_call_id": "lost"},
    ]
    results = Ollama().decode_request({"messages": wire}).messages[1:]
    assert [(m.tool_call_id, m.name) for m in results if isinstance(m, ToolMessage)] == [
        ("call_1", "g"),
        ("call_0", "f"),
        ("lost", None),
    ]


@pytest.mark.parametrize(
    "body", [{}, {"messages": "hi"}, {"messages": [7]}, {"messages": [{"role": "user", "images": ["?"]}]}]
)
def test_what_is_no_request(body: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Ollama().decode_request(body)


# -- generated conversations

quick = run_with(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def encoded(call: Call) -> dict[str, Any] | None:
    """The body; None where the call is refused before anything is sent."""
    try:
        request = Ollama().encode(call)
    except UsageError:
        return None
    assert Ollama().encode(call) == request
    found: dict[str, Any] = json.loads(request.body)
    return found


@quick
@given(generated("ollama", ["qwen3"]))
def test_nothing_leaks(call: Call) -> None:
    assert SECRET not in json.dumps(encoded(call))


@pytest.mark.skipif(importlib.util.find_spec("ollama") is None, reason="the official client is not installed")
@quick
@given(generated("ollama", ["qwen3"]))
def test_the_official_types_take_it(call: Call) -> None:
    from ollama._types import ChatRequest, Message, Options

    body = encoded(call)
    if body is None:
        return
    fields = set(ChatRequest.model_fields)
    assert body.keys() <= fields
    ChatRequest.model_validate_json(json.dumps(body), strict=True)
    assert body.get("options", {}).keys() <= {*Options.model_fields, "min_p"}
    for message in body["messages"]:
        # The server's type knows the id of a result too (api/types.go).
        assert message.keys() <= {*Message.model_fields, "tool_call_id", "odd"}


@quick
@given(generated("ollama", ["qwen3"]))
def test_what_was_sent_can_be_read_and_sent_again(call: Call) -> None:
    body = encoded(call)
    if body is not None:
        again = json.loads(Ollama().encode(Ollama().decode_request(body)).body)
        assert again == body
