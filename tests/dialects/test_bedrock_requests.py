"""Bedrock Converse requests: the whole body of a conversation, then settings of each maker, tools, media, what other
providers leave behind, and recorded requests read back.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from chatmodels._call import Call, Settings
from chatmodels._errors import (
    UsageError,
)
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


def encoded(messages: list[Any], model: str = CLAUDE, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    dialect = fields.pop("dialect", BedrockConverse())
    request = dialect.encode(Call(model=model, messages=tuple(messages), **fields))
    return json.loads(request.body), request.warnings


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
            max_tokens=9,
            temperature=0.5,
            top_p=0.9,
            stop=("END",),
            tool_choice="required",
            service_tier="flex",
            metadata={"team": "a"},
            top_k=4,
            extra_headers={"x-a": "b"},
        ),
        tools=(WEATHER, Tool(name="g", kind="provider", raw={"systemTool": {"name": "nova_grounding"}})),
        stream=True,
    )
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
        (
            "anthropic.claude-opus-5",
            {"temperature": 0.5, "max_tokens": 3},
            {"inferenceConfig": {"maxTokens": 3}},
            ("anthropic.claude-opus-5 does not take temperature: not sent",),
        ),
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
        (
            "openai.gpt-oss-20b-1:0",
            {"reasoning_effort": "low"},
            {"additionalModelRequestFields": {"reasoning_effort": "low"}},
            (),
        ),
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
        (
            CLAUDE,
            {"extra_body": {"performanceConfig": {"latency": "optimized"}}},
            {"performanceConfig": {"latency": "optimized"}},
            (),
        ),
        (
            CLAUDE,
            {"response_format": {"type": "json_object"}},
            {"system": [{"text": "Answer with one JSON object only, without any text around it."}]},
            ("bedrock has no response_format 'json_object': asked for in the instructions",),
        ),
    ],
)
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
        (
            Image(url="s3://bucket/a.webp"),
            {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://bucket/a.webp"}}}},
        ),
        (
            Video(data=b"0000", media_type="video/3gpp"),
            {"video": {"format": "three_gp", "source": {"bytes": b64(b"0000")}}},
        ),
        (Audio(data=b"ID30", media_type="audio/mpeg"), {"audio": {"format": "mp3", "source": {"bytes": b64(b"ID30")}}}),
        (
            File(data=b"a,b", media_type="text/csv", name="t_1.v2.csv"),
            {"document": {"format": "csv", "name": "t_1 v2", "source": {"bytes": b64(b"a,b")}}},
        ),
        (
            File(data=b"{}", media_type="application/json"),
            {"document": {"format": "txt", "name": "document", "source": {"bytes": b64(b"{}")}}},
        ),
        (File(data=PNG, media_type="image/png"), {"image": {"format": "png", "source": {"bytes": b64(PNG)}}}),
    ],
)
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
        "A",
        "a-2",
        "document",
        "document-2",
        "gr e 5",
    ]


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
                    {
                        "document": {
                            "format": "txt",
                            "name": "d",
                            "source": {"text": "plain"},
                            "citations": {"enabled": True},
                        }
                    },
                    {
                        "image": {
                            "format": "png",
                            "source": {"s3Location": {"uri": "s3://bkt/a", "bucketOwner": "123456789012"}},
                        }
                    },
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
        "toolConfig": {
            "tools": [SPEC, {"cachePoint": {"type": "default"}}],
            "toolChoice": {"tool": {"name": "weather"}},
        },
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "DRAFT"},
        "inferenceConfig": {"maxTokens": 3},
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        "outputConfig": {"effort": "low"},
    }
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
