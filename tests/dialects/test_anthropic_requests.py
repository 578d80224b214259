"""Anthropic Messages requests: the whole body of a conversation, then settings, tools, media, what other providers
leave behind, and recorded requests read back.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from msgspec.structs import replace

from chatmodels._call import Call, Settings
from chatmodels._errors import (
    UsageError,
)
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


def encoded(
    messages: list[Any], model: str = "claude-opus-4-6", **fields: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    dialect = fields.pop("dialect", Anthropic())
    request = dialect.encode(Call(model=model, messages=tuple(messages), **fields))
    return json.loads(request.body), request.warnings


def said(body: dict[str, Any]) -> Any:
    """What a body says beside what every body has."""
    return {k: v for k, v in body.items() if k not in ("model", "max_tokens", "messages")}


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
        (
            "claude-opus-4-6",
            {"temperature": 0.5, "top_p": 0.9, "top_k": 3},
            {"temperature": 0.5, "top_p": 0.9, "top_k": 3},
            (),
        ),
        (
            "claude-opus-5",
            {"temperature": 1, "top_k": 3},
            {"temperature": 1},
            ("claude-opus-5 does not take top_k: not sent",),
        ),
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
            ("claude-opus-5 decides itself how much to think: reasoning_budget is not sent (give reasoning_effort)",),
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
        (
            "claude-opus-4-6",
            {"extra_body": {"speed": "fast", "output_config": {"effort": "max"}}},
            {"speed": "fast", "output_config": {"effort": "max"}},
            (),
        ),
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
)
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
        (
            Image(data=b"\xff\xd8\xff0"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": b64(b"\xff\xd8\xff0")}},
        ),
        (Image(file_id="file_1"), {"type": "image", "source": {"type": "file", "file_id": "file_1"}}),
        (
            Image(url=f"data:image/webp;base64,{b64(b'RIFF')}"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": b64(b"RIFF")}},
        ),
        (
            File(url="https://a.example/a.pdf"),
            {"type": "document", "source": {"type": "url", "url": "https://a.example/a.pdf"}},
        ),
        (
            File(data="é".encode(), media_type="text/markdown", name="n"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é"}, "title": "n"},
        ),
        (
            File(data=PNG, media_type="image/png"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": b64(PNG)}},
        ),
        (
            File(data=PDF, provider_data={"anthropic": {"extra": {"citations": {"enabled": True}}}}),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": b64(PDF)},
                "citations": {"enabled": True},
            },
        ),
    ],
)
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
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "", "signature": "S"}, {"type": "text", "text": "a"}],
            },
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
        "tools": [
            {"name": "f", "input_schema": SCHEMA, "defer_loading": True},
            {"type": "bash_20250124", "name": "bash"},
        ],
        "thinking": {"type": "disabled"},
        "output_config": {"effort": "high", "task_budget": {"type": "tokens", "total": 5}},
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": False},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": "u"},
    }
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
