"""The Responses dialect on hand-written requests, answers and streams. Shapes: the API reference, 2026-11."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatmodels._call import Call, HTTPResponse, Settings
from chatmodels._errors import (
    AuthenticationError,
    ContextTooLongError,
    OutOfCreditError,
    OverloadedError,
    ProtocolError,
    ProviderError,
    RateLimitError,
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
from chatmodels.dialects.openai_responses import OpenAIResponses

from .stream_checks import check_cuts, check_stream, events_of, plain_of, sent, sse

D = OpenAIResponses()
OWN = "openai-responses"
PNG = b"\x89PNG\r\n\x1a\n0000"
PNG64 = "iVBORw0KGgowMDAw"


def call(*messages: Message, model: str = "gpt-5", **fields: Any) -> Call:
    settings = fields.pop("settings", Settings())
    return Call(model=model, messages=messages, settings=settings, **fields)


def items(*messages: Message, **fields: Any) -> Any:
    return sent(D, call(*messages, **fields))[0].get("input")


def warnings(*messages: Message, **fields: Any) -> list[str]:
    return sent(D, call(*messages, **fields))[1]


# ---- requests: messages

USER_PARTS: list[tuple[Any, dict[str, Any]]] = [
    (Text("hi"), {"type": "input_text", "text": "hi"}),
    (Image(url="https://a/b.png"), {"type": "input_image", "detail": "auto", "image_url": "https://a/b.png"}),
    (
        Image(data=PNG, detail="low"),
        {"type": "input_image", "detail": "low", "image_url": f"data:image/png;base64,{PNG64}"},
    ),
    (Image(file_id="file_1"), {"type": "input_image", "detail": "auto", "file_id": "file_1"}),
    (
        File(data=b"%PDF-1", name="a.pdf"),
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"},
    ),
    (File(url="https://a/b.pdf"), {"type": "input_file", "file_url": "https://a/b.pdf"}),
    (File(file_id="file_2"), {"type": "input_file", "file_id": "file_2"}),
    (Refusal("no"), {"type": "input_text", "text": "no"}),
    (Audio(transcript="said"), {"type": "input_text", "text": "said"}),
]


@pytest.mark.parametrize(("part", "wire"), USER_PARTS)
def test_user_parts(part: Any, wire: dict[str, Any]) -> None:
    assert items(HumanMessage([part])) == [{"role": "user", "content": [wire]}]


def test_messages_become_items_in_order() -> None:
    got = items(
        SystemMessage("s"),
        ChatMessage("d", role="developer"),
        HumanMessage("u"),
        AIMessage([Text("a"), ToolCall("call_1", "f", {"x": 1})]),
        ToolMessage("r", tool_call_id="call_1"),
        ChatMessage("b", role="assistant"),
    )
    assert got == [
        {"role": "system", "content": "s"},
        {"role": "developer", "content": "d"},
        {"role": "user", "content": "u"},
        {"type": "message", "role": "assistant", "content": "a"},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"x":1}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "r"},
        {"type": "message", "role": "assistant", "content": "b"},
    ]


def test_instructions() -> None:
    body, _ = sent(OpenAIResponses(instructions=True), call(SystemMessage("a"), SystemMessage("b"), HumanMessage("u")))
    assert body["instructions"] == "a\n\nb"
    assert body["input"] == [{"role": "user", "content": "u"}]


def test_tool_results() -> None:
    got = items(
        AIMessage([ToolCall("c1", "f", {}), ToolCall("c2", "g", "text", custom=True)]),
        ToolMessage("broke", tool_call_id="c1", is_error=True),
        HumanMessage([ToolResult("c2", [Text("t"), Image(data=PNG)]), Text("next")]),
    )
    assert got[1] == {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "text"}
    assert got[2] == {"type": "function_call_output", "call_id": "c1", "output": "[error] broke"}
    assert got[3]["type"] == "custom_tool_call_output"
    assert [p["type"] for p in got[3]["output"]] == ["input_text", "input_image"]
    assert got[4] == {"role": "user", "content": [{"type": "input_text", "text": "next"}]}


def test_calls_without_ids_are_answered_in_order() -> None:
    got = items(
        AIMessage([ToolCall("", "f", {"n": 1}), ToolCall("", "f", {"n": 2})]),
        ToolMessage("one", name="f"),
        FunctionMessage("two", name="f"),
    )
    assert got[0]["call_id"] != got[1]["call_id"]
    assert [i["call_id"] for i in got[2:]] == [got[0]["call_id"], got[1]["call_id"]]


def test_long_ids_of_others_are_shortened_on_both_sides() -> None:
    got = items(AIMessage([ToolCall("x" * 100, "f", {})]), ToolMessage("r", tool_call_id="x" * 100))
    assert len(got[0]["call_id"]) <= 64
    assert got[1]["call_id"] == got[0]["call_id"]


def test_functions_of_2023() -> None:
    got = items(
        AIMessage("", {"function_call": {"name": "f", "arguments": '{"x": 1}'}}),
        FunctionMessage("r", name="f"),
        FunctionMessage("alone", name="g"),
    )
    assert got[0]["type"] == "function_call"
    assert got[1] == {"type": "function_call_output", "call_id": got[0]["call_id"], "output": "r"}
    assert got[2] == {"role": "user", "content": "alone"}


def test_own_tools_that_the_caller_runs() -> None:
    answer = plain_of(D, body(
        {"type": "shell_call", "id": "sh", "call_id": "c1", "status": "completed", "action": {"commands": ["ls"]}},
        {"type": "local_shell_call", "id": "ls", "call_id": "c2", "action": {"type": "exec", "command": ["ls"]}},
        {"type": "apply_patch_call", "id": "ap", "call_id": "c3", "status": "completed",
         "operation": {"type": "delete_file", "path": "a"}},
        {"type": "computer_call", "id": "cu", "call_id": "c4", "action": {"type": "click"}, "status": "completed"},
        {"type": "tool_search_call", "id": "ts", "call_id": "c5", "execution": "client", "arguments": {"q": 1}},
        {"type": "mcp_approval_request", "id": "mcpr_1", "name": "t", "arguments": "{}", "server_label": "s"},
    ))  # fmt: skip
    assert [(c.name, c.args) for c in answer.tool_calls][:2] == [
        ("shell", {"commands": ["ls"]}),
        ("local_shell", {"type": "exec", "command": ["ls"]}),
    ]
    assert answer.finish_reason == "tool_calls"
    got = items(
        answer,
        ToolMessage("out", tool_call_id="c1"),
        ToolMessage("{}", tool_call_id="c2"),
        ToolMessage("", tool_call_id="c3", is_error=True),
        ToolMessage([Image(data=PNG)], tool_call_id="c4"),
        ToolMessage('[{"type": "function", "name": "f"}]', tool_call_id="c5"),
        ToolMessage("too risky", tool_call_id="mcpr_1", is_error=True),
    )
    assert got[6:] == [
        {"type": "shell_call_output", "call_id": "c1",
         "output": [{"stdout": "out", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]},
        {"type": "local_shell_call_output", "id": "c2", "output": "{}"},
        {"type": "apply_patch_call_output", "call_id": "c3", "status": "failed"},
        {"type": "computer_call_output", "call_id": "c4",
         "output": {"type": "computer_screenshot", "image_url": f"data:image/png;base64,{PNG64}"}},
        {"type": "tool_search_output", "call_id": "c5", "execution": "client", "status": "completed",
         "tools": [{"type": "function", "name": "f"}]},
        {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": False, "reason": "too risky"},
    ]  # fmt: skip
    with pytest.raises(UsageError, match="screenshot"):
        D.encode(call(answer, ToolMessage("seen", tool_call_id="c4")))
    with pytest.raises(UsageError, match="list of tools"):
        D.encode(call(answer, ToolMessage("none", tool_call_id="c5")))


def test_what_cannot_be_sent_is_an_error_or_a_warning() -> None:
    for part in (Audio(data=b"x"), Video(url="https://a/b.mp4"), File(data=b"??")):
        with pytest.raises(UsageError):
            D.encode(call(HumanMessage([part])))
    foreign = AIMessage(
        [
            Reasoning("why", signature="s"),
            ServerTool(kind="web_search", provider_data={"anthropic": {"block": {}}}),
            Opaque(provider="google", kind="x", data={"secret": 1}),
            Image(data=PNG),
            Text("t", (Citation(url="https://a"),), cache=True),
        ],
        provider="anthropic",
    )
    body, warned = sent(D, call(foreign, HumanMessage("u", name="bob"), ChatMessage("c", role="critic")))
    assert body["input"][0] == {"type": "message", "role": "assistant", "content": "t"}
    assert body["input"][2]["role"] == "user"
    for word in ("reasoning", "web_search", "x of google", "image", "citations", "cache", "speaker", "critic"):
        assert any(word in w for w in warned), (word, warned)


def test_audio_where_the_host_takes_it() -> None:
    body, _ = sent(OpenAIResponses(audio=True), call(HumanMessage([Audio(data=b"x", media_type="audio/mpeg")])))
    assert body["input"][0]["content"] == [{"type": "input_audio", "input_audio": {"data": "eA==", "format": "mp3"}}]


# ---- requests: settings, tools, output


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
        ({"max_tokens": 7}, {"max_output_tokens": 7}),
        ({"reasoning_effort": "low", "reasoning_summary": "auto"}, {"reasoning": {"effort": "low", "summary": "auto"}}),
        ({"reasoning_budget": 0}, {"reasoning": {"effort": "none"}}),
        ({"tool_choice": "required"}, {"tool_choice": "required"}),
        ({"tool_choice": "any"}, {"tool_choice": "required"}),
        ({"tool_choice": "f"}, {"tool_choice": {"type": "function", "name": "f"}}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            {"tool_choice": {"type": "function", "name": "f"}},
        ),
        ({"verbosity": "low"}, {"text": {"verbosity": "low"}}),
        ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}}},
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}}},
        ),
        ({"logprobs": True, "top_logprobs": 2}, {"top_logprobs": 2, "include": ["message.output_text.logprobs"]}),
        ({"store": True, "user": "u", "metadata": {"a": "b"}}, {"store": True, "user": "u", "metadata": {"a": "b"}}),
        ({"store": False}, {"store": False, "include": ["reasoning.encrypted_content"]}),
        (
            {"store": False, "extra_body": {"include": ["file_search_call.results"]}},
            {"store": False, "include": ["file_search_call.results"]},
        ),
        ({"service_tier": "flex"}, {"service_tier": "flex"}),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ({"extra_body": {"previous_response_id": "r", "reasoning": {"mode": "pro"}}, "reasoning_effort": "low"},
         {"previous_response_id": "r", "reasoning": {"effort": "low", "mode": "pro"}}),
        ({"n": 1, "modalities": ("text",)}, {}),
    ],
)  # fmt: skip
def test_settings(settings: dict[str, Any], fields: dict[str, Any]) -> None:
    body, warned = sent(D, call(HumanMessage("u"), settings=Settings(**settings)))
    assert body == {"model": "gpt-5", "input": [{"role": "user", "content": "u"}], **fields}
    assert warned == []


def test_settings_that_have_no_place() -> None:
    odd = {
        "top_k": 1,
        "min_p": 0.1,
        "n": 2,
        "stop": ("x",),
        "seed": 1,
        "presence_penalty": 1.0,
        "logit_bias": {"1": 1.0},
    }
    more = {"frequency_penalty": 1.0, "reasoning_budget": 5, "audio": {"voice": "a"}, "modalities": ("audio",)}
    body, warned = sent(D, call(HumanMessage("u"), settings=Settings(**odd, **more)))
    assert set(body) == {"model", "input"}
    for name in (*odd, *more):
        assert any(name in w for w in warned), name


def test_models_without_reasoning_are_not_asked_for_it() -> None:
    off = Settings(store=False)
    assert "include" not in sent(D, call(HumanMessage("u"), model="gpt-4o", settings=off))[0]
    assert "include" not in sent(OpenAIResponses(encrypted_reasoning=False), call(HumanMessage("u"), settings=off))[0]


def test_tools() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "string"}}, "required": ["x"]}
    tools = (
        as_tool({"name": "f", "description": "d", "input_schema": schema}),
        as_tool({"name": "g", "input_schema": schema, "strict": True}),
        as_tool({"type": "web_search"}),
        as_tool({"type": "custom", "name": "grep", "format": {"type": "text"}}),
        as_tool({"type": "function", "name": "h", "parameters": schema, "defer_loading": True}),
    )
    body, _ = sent(D, call(HumanMessage("u"), tools=tools, settings=Settings(tool_choice="grep")))
    first, strict, search, custom, deferred = body["tools"]
    assert first == {"type": "function", "name": "f", "description": "d", "parameters": schema, "strict": False}
    assert strict["strict"] is True
    assert strict["parameters"]["required"] == ["x", "y"]
    assert strict["parameters"]["additionalProperties"] is False
    assert search == {"type": "web_search"}
    assert custom["type"] == "custom"
    assert deferred["defer_loading"] is True
    assert body["tool_choice"] == {"type": "custom", "name": "grep"}
    chosen = sent(D, call(HumanMessage("u"), tools=tools, settings=Settings(tool_choice="web_search")))[0]
    assert chosen["tool_choice"] == {"type": "web_search"}


def test_output() -> None:
    strict = sent(D, call(HumanMessage("u"), output=Output.of(list[int], name="numbers")))[0]["text"]["format"]
    assert (strict["type"], strict["name"], strict["strict"]) == ("json_schema", "numbers", True)
    free = sent(D, call(HumanMessage("u"), output=Output.of(dict[str, int], name="n")))[0]["text"]["format"]
    assert free["strict"] is False


def test_cache_points() -> None:
    message = HumanMessage([Text("a", cache=True), Text("b", cache="1h"), Text("c", cache="12h")])
    body, warned = sent(D, call(message, model="gpt-5.6"))
    points = [p["prompt_cache_breakpoint"] for p in body["input"][0]["content"]]
    assert points == [{"mode": "explicit"}, {"mode": "explicit", "ttl": "12h"}, {"mode": "explicit", "ttl": "12h"}]
    assert any("1h" in w for w in warned)
    body, warned = sent(D, call(message, model="gpt-5.1"))
    assert "prompt_cache_breakpoint" not in json.dumps(body)
    assert any("cache points" in w for w in warned)


def test_streams_and_extras() -> None:
    request = D.encode(call(HumanMessage("u"), stream=True, settings=Settings(extra_headers={"x-a": "1"})))
    assert request.path == "/responses"
    assert request.stream
    assert request.headers == {"x-a": "1"}
    assert json.loads(request.body)["stream"] is True


# ---- answers


def body(*output: Any, **fields: Any) -> dict[str, Any]:
    usage = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
             "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 17}  # fmt: skip
    return {"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-5-2026-01-01",
            "output": list(output), "usage": usage, "error": None, "incomplete_details": None, **fields}  # fmt: skip


def said(text: str, ident: str = "msg_1", **fields: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {"id": ident, "type": "message", "status": "completed", "role": "assistant", "content": content, **fields}


def test_plain_answer() -> None:
    answer = plain_of(D, body(said(" hi\n")))
    assert answer.content == " hi\n"
    assert (answer.id, answer.model, answer.provider) == ("resp_1", "gpt-5-2026-01-01", OWN)
    assert (answer.finish_reason, answer.raw_finish_reason) == ("stop", "completed")
    usage = answer.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (10, 7, 3)
    assert (usage.cache_read_tokens, usage.cache_write_tokens, usage.uncached_input_tokens) == (4, 2, 4)
    assert answer.raw["status"] == "completed"


REASONING = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "**A**\n\nb"},
             {"type": "summary_text", "text": "c"}], "encrypted_content": "gAAA", "status": None}  # fmt: skip
CALL = {"id": "fc_1", "type": "function_call", "status": "completed", "arguments": '{"x": 1}', "call_id": "call_1",
        "name": "f"}  # fmt: skip
SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}
CITED = {"type": "url_citation", "start_index": 0, "end_index": 2, "url": "https://a", "title": "A"}
IMAGE = {"id": "ig_1", "type": "image_generation_call", "status": "completed", "output_format": "webp",
         "result": "eA==", "revised_prompt": "p"}  # fmt: skip


def test_items_become_parts_and_go_back_as_they_came() -> None:
    cited = said("hi", "msg_2", phase="final_answer")
    cited["content"][0]["annotations"] = [CITED]
    refusing = {**said("", "msg_3"), "content": [{"type": "refusal", "refusal": "no"}]}
    strange = {"id": "n_1", "type": "new_thing", "deep": {"a": [1]}}
    output = [REASONING, SEARCH, said("so", phase="commentary"), CALL, IMAGE, cited, refusing, strange]
    answer = plain_of(D, body(*output))
    kinds = [type(p) for p in answer.parts]
    assert kinds == [Reasoning, ServerTool, Text, ToolCall, Image, Text, Refusal, Opaque]
    reasoning, search, _, asked, image, text, _, opaque = answer.parts
    assert isinstance(reasoning, Reasoning)
    assert (reasoning.text, reasoning.summary, reasoning.encrypted) == ("**A**\n\nb\n\nc", True, "gAAA")
    assert isinstance(search, ServerTool)
    assert (search.kind, search.args) == ("web_search", {"type": "search", "query": "q"})
    assert isinstance(asked, ToolCall)
    assert (asked.id, asked.name, asked.args, asked.args_text) == ("call_1", "f", {"x": 1}, '{"x": 1}')
    assert isinstance(image, Image)
    assert (image.data, image.media_type) == (b"x", "image/webp")
    assert isinstance(text, Text)
    assert [(c.url, c.title, c.start, c.end) for c in text.citations] == [("https://a", "A", 0, 2)]
    assert isinstance(opaque, Opaque)
    assert opaque.kind == "new_thing"
    # through JSON and back to the provider: everything but nulls and log probabilities
    back = items(from_json(answer.to_json()))
    for before, after in zip(output, back, strict=True):
        want = {k: v for k, v in before.items() if v is not None}
        for part in after.get("content", ()):
            part.setdefault("logprobs", [])
        for part in want.get("content", ()):
            part.setdefault("logprobs", [])
        assert after == want


def test_nothing_of_ours_goes_to_another_row() -> None:
    output = [REASONING, SEARCH, said("so"), CALL, IMAGE, {"type": "new_thing", "secret": 1}]
    answer = plain_of(D, body(*output))
    body_, warned = sent(OpenAIResponses("azure"), call(answer, ToolMessage("r", tool_call_id="call_1")))
    assert body_["input"] == [
        {"type": "message", "role": "assistant", "content": "so"},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"x": 1}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "r"},
    ]
    assert len(warned) == 4


def test_reasoning_without_store() -> None:
    known = plain_of(D, body(REASONING, said("a")))
    unknown = plain_of(D, body({**REASONING, "encrypted_content": None}, said("a")))
    off = Settings(store=False)
    assert [i.get("type") for i in items(known, settings=off)] == ["reasoning", "message"]
    assert [i.get("type") for i in items(unknown, settings=off)] == ["message"]
    assert any("encrypted" in w for w in warnings(unknown, settings=off))
    assert [i.get("type") for i in items(unknown)] == ["reasoning", "message"]
    open_text = plain_of(D, body({"id": "rs", "type": "reasoning", "summary": [],
                                  "content": [{"type": "reasoning_text", "text": "why"}]}, said("a")))  # fmt: skip
    assert open_text.reasoning == "why"
    assert items(open_text, settings=off)[0]["content"] == [{"type": "reasoning_text", "text": "why"}]
    by_hand = AIMessage([Reasoning("why"), Text("a")])
    assert sent(OpenAIResponses(plain_reasoning=True), call(by_hand))[0]["input"][0]["type"] == "reasoning"


def test_a_silent_message_keeps_its_item() -> None:
    answer = plain_of(D, body(IMAGE, said("")))
    assert [type(p) for p in answer.parts] == [Image]
    assert [i["type"] for i in items(answer)] == ["image_generation_call", "message"]


@pytest.mark.parametrize(
    ("fields", "reason", "raw"),
    [
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "length",
            "max_output_tokens",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
            "content_filter",
        ),
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, "other", "steered"),
        ({"status": "incomplete"}, "other", "incomplete"),
        ({"status": "complete"}, "stop", "complete"),
        ({"status": "cancelled"}, "other", "cancelled"),
        ({"status": "queued", "output": []}, "unknown", "queued"),
        ({"status": None}, "unknown", None),
    ],
)
def test_finish(fields: dict[str, Any], reason: str, raw: str | None) -> None:
    answer = plain_of(D, body(said("a"), **fields))
    assert (answer.finish_reason, answer.raw_finish_reason) == (reason, raw)


def test_refusal_and_calls_name_the_finish() -> None:
    assert plain_of(D, body(CALL)).finish_reason == "tool_calls"
    refused = plain_of(D, body({**said(""), "content": [{"type": "refusal", "refusal": "no"}]}))
    assert (refused.finish_reason, refused.refusal) == ("refusal", "no")


@pytest.mark.parametrize(
    ("arguments", "args"),
    [("", {}), (None, {}), ("null", {}), ("{}", {}), ({"x": 1}, {"x": 1}), ('{"x": 1', '{"x": 1'), ("[1]", "[1]")],
)
def test_arguments(arguments: Any, args: Any) -> None:
    found = plain_of(D, body({**CALL, "arguments": arguments})).tool_calls[0]
    assert found.args == args
    assert isinstance(found, InvalidToolCall) == isinstance(args, str)


def test_odd_shapes_never_fail() -> None:
    odd: list[Any] = [
        None, 3, {}, {"type": None}, {"type": "message"}, {"type": "message", "content": None},
        {"type": "message", "content": [None, 4, {}, {"type": "output_text"}, {"type": "output_text", "text": None}]},
        {"type": "reasoning"}, {"type": "reasoning", "summary": None, "content": "plain"},
        {"type": "function_call"}, {"type": "function_call", "arguments": 5}, {"type": "custom_tool_call"},
        {"type": "web_search_call", "action": "search"}, {"type": "image_generation_call", "result": "not base64!"},
        {"type": "shell_call", "environment": {"type": "container_reference"}},
        {"type": "computer_call", "actions": []},
    ]  # fmt: skip
    answer = plain_of(D, body(*odd))
    assert from_json(answer.to_json()) == answer
    D.encode(call(answer))
    for fields in ({"output": None}, {"usage": None}, {"usage": []}, {"model": None, "id": 5}, {"output": {}}):
        assert plain_of(D, body(**fields)).content == ""


def test_logprobs() -> None:
    message = said("a")
    message["content"][0]["logprobs"] = [{"token": "a", "logprob": -0.5, "top_logprobs": []}]
    assert plain_of(D, body(message)).logprobs == [{"token": "a", "logprob": -0.5, "top_logprobs": []}]


# ---- streams


def deltas(item: dict[str, Any], at: int, kind: str, pieces: list[str], **fields: Any) -> list[dict[str, Any]]:
    opened = {k: v for k, v in item.items() if k in ("id", "type", "role", "call_id", "name")}
    added = {"type": "response.output_item.added", "output_index": at, "item": {**opened, "status": "in_progress"}}
    told = [{"type": kind, "item_id": item["id"], "output_index": at, "delta": p, **fields} for p in pieces]
    return [added, *told, {"type": "response.output_item.done", "output_index": at, "item": item}]


def stream(*events: dict[str, Any], final: dict[str, Any], kind: str = "response.completed") -> list[dict[str, Any]]:
    opened = {**final, "status": "in_progress", "output": [], "usage": None}
    created = [{"type": t, "response": opened} for t in ("response.created", "response.in_progress")]
    return [*created, *events, {"type": kind, "response": final}]


@pytest.mark.parametrize("named", [True, False])
def test_stream_of_everything(named: bool) -> None:
    cited = said("h\u00e9llo \U0001f600", "msg_2")
    cited["content"][0]["annotations"] = [CITED]
    custom = {"id": "ct_1", "type": "custom_tool_call", "call_id": "call_2", "name": "g", "input": "a b"}
    refusing = {**said("", "msg_3"), "content": [{"type": "refusal", "refusal": "no!"}]}
    output = [REASONING, SEARCH, said("so"), CALL, custom, IMAGE, cited, refusing]
    final = body(*output)
    events = [
        *deltas(REASONING, 0, "response.reasoning_summary_text.delta", ["**A**", "\n\nb"], summary_index=0)[:-1],
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 1, "delta": "c"},
        {"type": "response.output_item.done", "output_index": 0, "item": REASONING},
        *deltas(SEARCH, 1, "response.web_search_call.searching", [""]),
        *deltas(output[2], 2, "response.output_text.delta", ["s", "o"], content_index=0, logprobs=[]),
        *deltas(CALL, 3, "response.function_call_arguments.delta", ['{"x"', ": 1}"]),
        *deltas(custom, 4, "response.custom_tool_call_input.delta", ["a ", "b"]),
        {
            "type": "response.output_item.added",
            "output_index": 5,
            "item": {"id": "ig_1", "type": "image_generation_call"},
        },
        {"type": "response.image_generation_call.partial_image", "output_index": 5, "partial_image_b64": "eQ=="},
        {"type": "response.output_item.done", "output_index": 5, "item": IMAGE},
        *deltas(cited, 6, "response.output_text.delta", ["h\u00e9", "llo ", "\U0001f600"], content_index=0)[:-1],
        {"type": "response.output_text.annotation.added", "output_index": 6, "content_index": 0, "annotation": CITED},
        {"type": "response.output_item.done", "output_index": 6, "item": cited},
        *deltas(refusing, 7, "response.refusal.delta", ["no", "!"], content_index=0),
        {"type": "response.new_kind.delta", "delta": "?"},
    ]
    message = check_stream(D, sse(*stream(*events, final=final), named=named, done=not named), final)
    assert message.text == "soh\u00e9llo \U0001f600"
    assert message.finish_reason == "tool_calls"


@pytest.mark.parametrize("told", ["items", "final"])
def test_what_never_came_as_a_delta(told: str) -> None:
    output = [REASONING, said("so"), CALL]
    final = body(*output)
    done = [{"type": "response.output_item.done", "output_index": n, "item": i} for n, i in enumerate(output)]
    if told == "items":  # as chatgpt.com, whose last event has no items
        data = sse(*stream(*done, final={**final, "output": []}))
    else:
        data = sse(*stream(final=final))
    check_stream(D, data, final)


def test_the_last_event_may_tell_an_item_anew() -> None:
    fresh = {**REASONING, "encrypted_content": "gBBB"}
    final = body(fresh, said("so"))
    events = [
        *deltas(REASONING, 0, "response.reasoning_summary_text.delta", ["**A**\n\nb"], summary_index=0),
        *deltas(said("so"), 1, "response.output_text.delta", ["so"], content_index=0),
    ]
    message = check_stream(D, sse(*stream(*events, final=final)), final)
    assert isinstance(message.parts[0], Reasoning)
    assert message.parts[0].encrypted == "gBBB"


def test_deltas_that_differ_from_the_item() -> None:
    final = body(said("right"), {**CALL, "arguments": '{"x": 2}'})
    events = [
        *deltas(said("right"), 0, "response.output_text.delta", ["wrong"], content_index=0),
        *deltas(final["output"][1], 1, "response.function_call_arguments.delta", ['{"y"']),
    ]
    message = check_stream(D, sse(*stream(*events, final=final)), final)
    assert message.text == "right"
    assert message.tool_calls[0].args == {"x": 2}


def test_several_texts_in_one_message_and_items_out_of_order() -> None:
    two = said("a")
    two["content"].append({"type": "output_text", "text": "b", "annotations": [], "logprobs": []})
    final = body(two, CALL)
    text = {"type": "response.output_text.delta", "output_index": 0}
    events = [
        {"type": "response.output_item.added", "output_index": 0, "item": {"id": "msg_1", "type": "message"}},
        {**text, "content_index": 0, "delta": "a"},
        {**text, "content_index": 1, "delta": "b"},
        {"type": "response.output_item.added", "output_index": 1, "item": {**CALL, "arguments": ""}},
        {"type": "response.output_item.done", "output_index": 1, "item": CALL},
        {"type": "response.output_item.done", "output_index": 0, "item": two},
    ]
    check_stream(D, sse(*stream(*events, final=final)), final)


def test_events_without_an_index_go_by_the_items_id() -> None:
    final = body(CALL, {**CALL, "id": "fc_2", "call_id": "call_2", "arguments": '{"x": 2}'})
    events: list[dict[str, Any]] = []
    for item in final["output"]:
        events += deltas(item, 0, "response.function_call_arguments.delta", [item["arguments"]])
    for event in events:
        del event["output_index"]
    message = fold(events_of(D, [sse(*stream(*events, final=final))]))
    assert [(c.id, c.args) for c in message.tool_calls] == [("call_1", {"x": 1}), ("call_2", {"x": 2})]


def test_an_incomplete_answer_is_an_answer() -> None:
    fields: dict[str, Any] = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    final = body(said("a"), **fields)
    events = deltas(said("a"), 0, "response.output_text.delta", ["a"], content_index=0)
    data = sse(*stream(*events, final=final, kind="response.incomplete"))
    assert check_stream(D, data, final).finish_reason == "length"


def test_done_alone_completes_nothing() -> None:
    events = stream(*deltas(said("a"), 0, "response.output_text.delta", ["a"], content_index=0), final=body(said("a")))
    check_cuts(D, sse(*events[:-1], events[-1]))
    with pytest.raises(ProtocolError):
        events_of(D, [sse(*events[:-1], done=True)])


def test_a_plain_answer_to_a_stream_request() -> None:
    final = body(said("a"), CALL)
    message = fold(events_of(D, [json.dumps(final).encode()]))
    assert message.text == "a"
    assert message.tool_calls[0].id == "call_1"


# ---- errors

FAILED = {**body(), "status": "failed", "error": {"code": "server_error", "message": "broke"}, "usage": None}


def test_failed_answers_raise() -> None:
    with pytest.raises(OverloadedError, match="broke"):
        plain_of(D, FAILED)
    with pytest.raises(ProviderError, match="does not say why"):
        plain_of(D, {**FAILED, "error": None})
    for data in (b"", b"<html>", b"[1]", b'"x"'):
        with pytest.raises(ProtocolError):
            plain_of(D, data)


@pytest.mark.parametrize(
    ("event", "cls", "code"),
    [
        (
            {"type": "error", "error": {"code": "rate_limit_exceeded", "message": "slow"}},
            RateLimitError,
            "rate_limit_exceeded",
        ),
        ({"type": "error", "code": "server_error", "message": "broke"}, OverloadedError, "server_error"),
        ({"type": "response.failed", "response": FAILED}, OverloadedError, "server_error"),
        ({"error": {"code": "insufficient_quota", "message": "pay"}}, OutOfCreditError, "insufficient_quota"),
    ],
)
def test_errors_in_streams(event: dict[str, Any], cls: type[ProviderError], code: str) -> None:
    opened = stream(final=body())[:2]
    for size in (1, 7, 10_000):
        data = sse(*opened, event)
        with pytest.raises(cls) as raised:
            events_of(D, [data[i : i + size] for i in range(0, len(data), size)])
        assert raised.value.code == code
    decoder = D.stream_decoder()
    assert decoder.feed(data)  # the events before the error come first
    with pytest.raises(cls):
        decoder.close()


@pytest.mark.parametrize(
    ("status", "wire", "cls", "message"),
    [
        (401, {"error": {"message": "bad key", "code": "invalid_api_key"}}, AuthenticationError, "bad key"),
        (400, {"error": {"message": "too long", "code": "context_length_exceeded"}}, ContextTooLongError, "too long"),
        (401, {"detail": "no token"}, AuthenticationError, "no token"),
        (400, {"code": "invalid-argument", "error": "no model"}, ProviderError, "no model"),
        (503, "down", OverloadedError, "down"),
    ],
)
def test_http_errors(status: int, wire: Any, cls: type[ProviderError], message: str) -> None:
    data = wire.encode() if isinstance(wire, str) else json.dumps(wire).encode()
    error = D.decode_error(HTTPResponse(status=status, headers={"x-request-id": "req_1"}, body=data))
    assert isinstance(error, cls)
    assert (error.status, error.message, error.request_id) == (status, message, "req_1")


def test_an_event_that_is_not_json_is_a_protocol_error() -> None:
    data = sse(*stream(final=body())[:2]) + b"data: {broken\n\n"
    with pytest.raises(ProtocolError):
        events_of(D, [data])


# ---- recorded requests


REQUEST = {
    "model": "gpt-5.6",
    "instructions": "be brief",
    "input": [
        {"role": "developer", "content": "d"},
        {"role": "user", "content": [
            {"type": "input_text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "input_image", "image_url": "https://a/b.png", "detail": "low"},
            {"type": "input_file", "file_id": "file_1"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"},
            {"type": "input_new", "x": 1}]},
        {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
        {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "phase": "commentary",
         "content": [{"type": "output_text", "text": "so", "annotations": [CITED]}]},
        CALL,
        {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x"},
        SEARCH,
        {"type": "function_call_output", "call_id": "call_1", "output": "r", "id": "fco_1"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "r2"},
        {"type": "item_reference", "id": "msg_0"},
        {"type": "additional_tools", "role": "developer", "tools": []},
        {"type": "mcp_approval_response", "approval_request_id": "m1", "approve": True},
        {"type": "local_shell_call_output", "id": "c9", "output": "{}"},
        {"type": "message", "role": "assistant", "content": "a"},
        {"type": "message", "role": "assistant", "content": "b"},
    ],
    "tools": [
        {"type": "function", "name": "f", "description": "", "parameters": {"type": "object", "properties": {}},
         "strict": False},
        {"type": "web_search", "search_context_size": "low"},
        {"type": "namespace", "name": "n", "tools": []},
    ],
    "tool_choice": {"type": "function", "name": "f"},
    "reasoning": {"effort": "low", "summary": "auto", "context": "all_turns"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True},
             "verbosity": "low"},
    "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    "max_output_tokens": 5, "temperature": 1, "store": False, "truncation": "auto", "stream": True,
    "previous_response_id": "resp_0", "prompt_cache_key": "k",
}  # fmt: skip


def test_requests_come_back_as_they_were() -> None:
    parsed = D.decode_request(REQUEST)
    again, warned = sent(D, parsed)
    assert warned == []
    assert again == REQUEST
    assert [type(m) for m in parsed.messages[:3]] == [SystemMessage, ChatMessage, HumanMessage]
    answer = parsed.messages[3]
    assert isinstance(answer, AIMessage)
    assert [type(p) for p in answer.parts] == [Reasoning, Text, ToolCall, ToolCall, ServerTool]
    assert parsed.settings.reasoning_effort == "low"
    assert parsed.settings.tool_choice == "f"


def test_a_request_of_one_text() -> None:
    parsed = D.decode_request({"model": "gpt-5", "input": "hi"})
    assert parsed.messages == (HumanMessage("hi"),)
    with pytest.raises(UsageError):
        D.decode_request({"input": ["x"]})
    with pytest.raises(UsageError):
        D.decode_request({"input": "x", "tools": [3]})


def test_requests_read_for_another_provider_carry_no_secrets() -> None:
    parsed = D.decode_request(REQUEST)
    answer = parsed.messages[3]
    assert isinstance(answer, AIMessage)
    assert answer.provider == OWN
    other, warned = sent(OpenAIResponses("azure"), parsed)
    text = json.dumps(other)
    assert "gAAA" not in text
    assert "ws_1" not in text
    assert warned
