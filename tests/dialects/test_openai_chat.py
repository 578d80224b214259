"""Chat Completions requests, case by case: a call and its exact bytes, its warnings, its refusals; recorded ones parsed.

Facts only: the reference (checked 2026-11), and what real hosts were seen to take.
"""

# ruff: noqa: E501 (a body stands in one line, as it is sent)

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from chatmodels._call import Call, Settings
from chatmodels._errors import (
    UsageError,
)
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
from chatmodels._tools import Tool, as_tool
from chatmodels.dialects.openai_chat import OpenAIChat

PNG = b"\x89PNG\r\n\x1a\n"
H = HumanMessage("hi")


def call(*messages: Message, model: str = "m", **rest: Any) -> Call:
    return Call(model=model, messages=messages, **rest)


class Case(NamedTuple):
    """`options` of the dialect, the call, the exact body, the warnings."""

    name: str
    options: dict[str, Any]
    call: Call
    body: str
    warnings: list[str]


CASES = [
    Case(
        "text",
        {}, call(SystemMessage("Be brief."), H),
        '{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"}]}',
        [],
    ),
    Case(
        "no model",
        {}, call(H, model=""),
        '{"messages":[{"role":"user","content":"hi"}]}',
        [],
    ),
    Case(
        "developer and names",
        {}, call(ChatMessage("Obey.", role="developer"), HumanMessage("hi", name="ann"), AIMessage("ho", name="bot")),
        '{"model":"m","messages":[{"role":"developer","content":"Obey."},{"role":"user","content":"hi","name":"ann"},{"role":"assistant","content":"ho","name":"bot"}]}',
        [],
    ),
    Case(
        "name of 2023",
        {}, call(HumanMessage("hi", {"name": "ann"})),
        '{"model":"m","messages":[{"role":"user","content":"hi","name":"ann"}]}',
        [],
    ),
    Case(
        "roles by name",
        {}, call(ChatMessage("a", role="user"), ChatMessage("b", role="ai"), ChatMessage("c", role="critic")),
        '{"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"critic","content":"c"}]}',
        [],
    ),
    Case(
        "media",
        {}, call(HumanMessage(["see", Image(url="https://e.com/i.png", detail="low"), Image(data=PNG), Audio(data=b"RIFF", media_type="audio/x-wav"), File(data=b"%PDF-1"), File(data=b"x", media_type="text/plain"), File(file_id="file-1", name="a.pdf")])),
        '{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"https://e.com/i.png","detail":"low"}},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}},{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}},{"type":"file","file":{"filename":"file.pdf","file_data":"data:application/pdf;base64,JVBERi0x"}},{"type":"file","file":{"filename":"file.txt","file_data":"data:text/plain;base64,eA=="}},{"type":"file","file":{"file_id":"file-1","filename":"a.pdf"}}]}]}',
        [],
    ),
    Case(
        "media beyond",
        dict(media=frozenset({"video","file_url","audio_url"})), call(HumanMessage([Video(url="https://e.com/v.mp4"), File(url="https://e.com/f.pdf"), Audio(url="https://e.com/a.wav"), Audio(data=b"OggS")])),
        '{"model":"m","messages":[{"role":"user","content":[{"type":"video_url","video_url":{"url":"https://e.com/v.mp4"}},{"type":"file","file":{"filename":"file.pdf","file_data":"https://e.com/f.pdf"}},{"type":"audio_url","audio_url":{"url":"https://e.com/a.wav"}},{"type":"input_audio","input_audio":{"data":"T2dnUw==","format":"ogg"}}]}]}',
        [],
    ),
    Case(
        "cache control",
        dict(cache_points="cache_control"), call(SystemMessage([Text("s", cache="1h")]), HumanMessage([Text("t", cache=True), Image(url="https://e.com/i", cache=True)]), AIMessage([ToolCall("c1","f",{}, cache=True)]), ToolMessage("r", tool_call_id="c1")),
        '{"model":"m","messages":[{"role":"system","content":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}]},{"role":"user","content":[{"type":"text","text":"t","cache_control":{"type":"ephemeral"}},{"type":"image_url","image_url":{"url":"https://e.com/i"},"cache_control":{"type":"ephemeral"}}]},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"},"cache_control":{"type":"ephemeral"}}]},{"role":"tool","content":"r","tool_call_id":"c1"}]}',
        [],
    ),
    Case(
        "cache breakpoint",
        dict(cache_points="breakpoint"), call(SystemMessage([Text("s", cache="12h")]), HumanMessage([Text("t", cache=True), File(file_id="f", cache="30m")]), AIMessage([Text("a", cache="5m")]), model="gpt-5.6"),
        '{"model":"gpt-5.6","messages":[{"role":"system","content":[{"type":"text","text":"s","prompt_cache_breakpoint":{"mode":"explicit","ttl":"12h"}}]},{"role":"user","content":[{"type":"text","text":"t","prompt_cache_breakpoint":{"mode":"explicit"}},{"type":"file","file":{"file_id":"f"},"prompt_cache_breakpoint":{"mode":"explicit","ttl":"30m"}}]},{"role":"assistant","content":[{"type":"text","text":"a","prompt_cache_breakpoint":{"mode":"explicit"}}]}]}',
        [],
    ),
    Case(
        "parallel calls",
        {}, call(H, AIMessage([Text("let me see"), ToolCall("c1","f",{"a":1}), ToolCall("c2","g",{}, text='{ }'), InvalidToolCall("c3","h",'{"a"',"no JSON"), ToolCall("c4","free","any text",custom=True)]), ToolMessage("1", tool_call_id="c1"), ToolMessage("no", tool_call_id="c2", is_error=True), ToolMessage([Text("3")], tool_call_id="c3"), ToolMessage("4", tool_call_id="c4")),
        '{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"let me see","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\\"a\\":1}"}},{"id":"c2","type":"function","function":{"name":"g","arguments":"{ }"}},{"id":"c3","type":"function","function":{"name":"h","arguments":"{\\"a\\""}},{"id":"c4","type":"custom","custom":{"name":"free","input":"any text"}}]},{"role":"tool","content":"1","tool_call_id":"c1"},{"role":"tool","content":"[error] no","tool_call_id":"c2"},{"role":"tool","content":[{"type":"text","text":"3"}],"tool_call_id":"c3"},{"role":"tool","content":"4","tool_call_id":"c4"}]}',
        [],
    ),
    Case(
        "images of a result",
        {}, call(H, AIMessage([ToolCall("c1","f"), ToolCall("c2","f")]), ToolMessage([Text("see"), Image(url="https://e.com/i")], tool_call_id="c1"), ToolMessage([Image(url="https://e.com/j")], tool_call_id="c2"), HumanMessage("well?")),
        '{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":[{"type":"text","text":"see"}],"tool_call_id":"c1"},{"role":"tool","content":[{"type":"text","text":"(see the next message)"}],"tool_call_id":"c2"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://e.com/i"}},{"type":"image_url","image_url":{"url":"https://e.com/j"}}]},{"role":"user","content":"well?"}]}',
        ['messages[2]: images and files of a tool result are sent in a user message after it', 'messages[3]: images and files of a tool result are sent in a user message after it'],
    ),
    Case(
        "images in a result",
        dict(media=frozenset({"tool_images","tool_name"})), call(H, AIMessage([ToolCall("c1","f")]), ToolMessage([Image(url="https://e.com/i")], tool_call_id="c1", name="f")),
        '{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":[{"type":"image_url","image_url":{"url":"https://e.com/i"}}],"tool_call_id":"c1","name":"f"}]}',
        [],
    ),
    Case(
        "results as parts",
        {}, call(H, AIMessage([ToolCall("c1","f")]), HumanMessage([ToolResult("c1","22"), Text("and now?")])),
        '{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"22","tool_call_id":"c1"},{"role":"user","content":[{"type":"text","text":"and now?"}]}]}',
        [],
    ),
    Case(
        "ids of others",
        {}, call(H, AIMessage([ToolCall("","f"), ToolCall("","g")], provider="google"), ToolMessage("1", tool_call_id="", name="g"), ToolMessage("2", tool_call_id=""), AIMessage([ToolCall("x"*50,"f")], provider="bedrock"), ToolMessage("3", tool_call_id="x"*50)),
        '{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_0","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"call_1","type":"function","function":{"name":"g","arguments":"{}"}}]},{"role":"tool","content":"1","tool_call_id":"call_1"},{"role":"tool","content":"2","tool_call_id":"call_0"},{"role":"assistant","content":null,"tool_calls":[{"id":"xxxxxxxxxxxxxxxxxxxxxxx_77cf12060d47183e","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"3","tool_call_id":"xxxxxxxxxxxxxxxxxxxxxxx_77cf12060d47183e"}]}',
        [],
    ),
    Case(
        "function of 2023",
        {}, call(H, AIMessage("", {"function_call": {"name":"f","arguments":"{}"}}), FunctionMessage("22", name="f")),
        '{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"","function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"22"}]}',
        [],
    ),
    Case(
        "own legacy call",
        {}, call(H, AIMessage([ToolCall("","f",{},text="{}",provider_data={"openai":{"legacy":True}})], provider="openai"), FunctionMessage("22", name="f")),
        '{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"22"}]}',
        [],
    ),
    Case(
        "a function result for a call of today",
        {}, call(H, AIMessage([ToolCall("c1","f")]), FunctionMessage("22", name="f")),
        '{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"22","tool_call_id":"c1"}]}',
        [],
    ),
    Case(
        "refusal and audio",
        {}, call(H, AIMessage([Refusal("No.")]), AIMessage([Audio(file_id="audio_1", transcript="la")], provider="openai"), AIMessage([Audio(file_id="x", transcript="la")], provider="another")),
        '{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"refusal":"No."},{"role":"assistant","content":null,"audio":{"id":"audio_1"}},{"role":"assistant","content":"la"}]}',
        ['messages[3].content[0]: audio of another answer is sent as its transcript'],
    ),
    Case(
        "reasoning back",
        dict(reasoning_field="reasoning_content"), call(H, AIMessage([Reasoning("hm"), Text("ok")], provider="openai"), AIMessage([Reasoning("hm"), Text("ok")], provider="another")),
        '{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"ok","reasoning_content":"hm"},{"role":"assistant","content":"ok"}]}',
        ['messages[2].content[0]: the reasoning of another provider is not sent to openai'],
    ),
    Case(
        "reasoning details back",
        {}, call(H, AIMessage([Reasoning("hm", provider_data={"openai":{"reasoning_details":[{"type":"reasoning.text","text":"hm"}]}}), Text("ok")], provider="openai")),
        '{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"ok","reasoning_details":[{"type":"reasoning.text","text":"hm"}]}]}',
        [],
    ),
    Case(
        "thought signature back",
        {}, call(H, AIMessage([ToolCall("c1","f",{},text="{}",provider_data={"openai":{"extra":{"extra_content":{"google":{"thought_signature":"s"}}}}})], provider="openai"), ToolMessage("1", tool_call_id="c1")),
        '{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"s"}}}]},{"role":"tool","content":"1","tool_call_id":"c1"}]}',
        [],
    ),
    Case(
        "tools",
        {}, call(H, tools=(as_tool({"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"x":{"type":"string"}}},"strict":False}}), as_tool({"type":"custom","custom":{"name":"free"}}), as_tool({"type":"web_search"})), settings=Settings(tool_choice="free", parallel_tool_calls=False)),
        '{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"x":{"type":"string"}}},"strict":false}},{"type":"custom","custom":{"name":"free"}},{"type":"web_search"}],"tool_choice":{"type":"custom","custom":{"name":"free"}},"parallel_tool_calls":false}',
        [],
    ),
    Case(
        "strict tool",
        dict(strict=True), call(H, tools=(as_tool({"name":"f","input_schema":{"type":"object","properties":{"x":{"type":"string"}}}}, strict=True),), settings=Settings(tool_choice="f")),
        '{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"x":{"type":["string","null"]}},"required":["x"],"additionalProperties":false},"strict":true}}],"tool_choice":{"type":"function","function":{"name":"f"}}}',
        [],
    ),
    Case(
        "output",
        {}, call(H, output=Output.of({"type":"object","properties":{"a":{"type":"integer"}}}, name="made", description="d")),
        '{"model":"m","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"made","description":"d","schema":{"type":"object","properties":{"a":{"type":"integer"}}}}}}',
        [],
    ),
    Case(
        "strict output",
        dict(strict=True), call(H, output=Output.of({"type":"object","properties":{"a":{"type":"integer"}}}, name="made")),
        '{"model":"m","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"made","schema":{"type":"object","properties":{"a":{"type":["integer","null"]}},"required":["a"],"additionalProperties":false},"strict":true}}}',
        [],
    ),
    Case(
        "output by prompt",
        dict(json_schema=False), call(SystemMessage("s"), H, output=Output.of({"type":"object","properties":{"a":{"type":"integer"}}}, name="made")),
        '{"model":"m","messages":[{"role":"system","content":"Answer with JSON only, that fits this JSON schema:\\n{\\"type\\":\\"object\\",\\"properties\\":{\\"a\\":{\\"type\\":\\"integer\\"}}}"},{"role":"system","content":"s"},{"role":"user","content":"hi"}],"response_format":{"type":"json_object"}}',
        [],
    ),
    Case(
        "all settings",
        dict(sampling=frozenset({"top_k","min_p"}), max_tokens_field="max_completion_tokens"), call(H, settings=Settings(temperature=0.5, top_p=1.0, top_k=3, min_p=0.1, max_tokens=9, n=2, stop=("a","b"), seed=1, presence_penalty=0.5, frequency_penalty=-0.5, logprobs=True, top_logprobs=2, logit_bias={"50256":-100.0}, reasoning_effort="low", response_format={"type":"json_object"}, modalities=("text","audio"), audio={"voice":"alloy","format":"wav"}, service_tier="flex", verbosity="low", user="u", metadata={"k":"v"}, store=True, extra_body={"prompt_cache_key":"k"})),
        '{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0.5,"top_p":1.0,"top_k":3,"min_p":0.1,"max_completion_tokens":9,"n":2,"stop":["a","b"],"seed":1,"presence_penalty":0.5,"frequency_penalty":-0.5,"logprobs":true,"top_logprobs":2,"logit_bias":{"50256":-100},"reasoning_effort":"low","response_format":{"type":"json_object"},"modalities":["text","audio"],"audio":{"voice":"alloy","format":"wav"},"service_tier":"flex","verbosity":"low","user":"u","metadata":{"k":"v"},"store":true,"prompt_cache_key":"k"}',
        [],
    ),
    Case(
        "logprobs",
        {}, call(H, settings=Settings(top_logprobs=2, tool_choice="any")),
        '{"model":"m","messages":[{"role":"user","content":"hi"}],"logprobs":true,"top_logprobs":2,"tool_choice":"required"}',
        [],
    ),
    Case(
        "reasoning object",
        dict(reasoning_style="object"), call(H, settings=Settings(reasoning_effort="high", reasoning_budget=1024)),
        '{"model":"m","messages":[{"role":"user","content":"hi"}],"reasoning":{"effort":"high"}}',
        ['openai does not take reasoning_budget in chat completions: not sent'],
    ),
    Case(
        "reasoning off",
        dict(reasoning_style="object"), call(H, settings=Settings(reasoning_budget=0)),
        '{"model":"m","messages":[{"role":"user","content":"hi"}],"reasoning":{"effort":"none"}}',
        [],
    ),
    Case(
        "stream",
        {}, call(H, stream=True, settings=Settings(extra_body={"stream_options":{"include_obfuscation":False}})),
        '{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}',
        [],
    ),
    Case(
        "stream without usage",
        dict(usage_option=False), call(H, stream=True),
        '{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}',
        [],
    ),
    Case(
        "opaque",
        {}, call(HumanMessage([Opaque(provider="openai",kind="hologram",data={"type":"hologram","x":1})]), AIMessage([Text("a"), Opaque(provider="openai",kind="h",data={"type":"h"}), Opaque(provider="another",kind="h",data={"type":"h"})], provider="openai")),
        '{"model":"m","messages":[{"role":"user","content":[{"type":"hologram","x":1}]},{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"h"}]}]}',
        ['messages[1].content[2]: a h of another means nothing to openai: not sent'],
    ),
    Case(
        "empty answers",
        {}, call(H, AIMessage(""), AIMessage([]), AIMessage([Reasoning("hm")], provider="openai")),
        '{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":""},{"role":"assistant","content":""},{"role":"assistant","content":""}]}',
        [],
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_request(case: Case) -> None:
    ours = OpenAIChat(**case.options)
    request = ours.encode(case.call)
    assert request.body.decode() == case.body
    assert list(request.warnings) == case.warnings
    assert (request.method, request.path, request.stream) == ("POST", "/chat/completions", case.call.stream)
    assert ours.encode(case.call) == request


def test_headers_and_quirks() -> None:
    def quirk(body: dict[str, Any], warnings: list[str]) -> None:
        body["model"] = "other"
        warnings.append("renamed")

    request = OpenAIChat("x", (quirk,)).encode(call(H, settings=Settings(extra_headers={"x-a": "1"})))
    assert request.headers == {"x-a": "1"}
    assert json.loads(request.body)["model"] == "other"
    assert request.warnings == ("renamed",)


WARNED: list[tuple[dict[str, Any], Call, str]] = [
    ({}, call(H, settings=Settings(top_k=1)), "openai does not take top_k: not sent"),
    ({}, call(H, settings=Settings(reasoning_budget=9)), "openai does not take reasoning_budget in chat completions"),
    ({}, call(H, settings=Settings(reasoning_summary="auto")), "openai does not take reasoning_summary"),
    ({}, call(HumanMessage([Text("t", cache=True)])), "openai has no prompt-cache points"),
    ({"cache_points": "breakpoint"}, call(HumanMessage([Text("t", cache=True)]), model="gpt-4o"), "no prompt-cache points for gpt-4o"),
    ({"cache_points": "breakpoint"}, call(HumanMessage([Text("t", cache=True)]), model="ft:gpt-5.2"), ""),
    ({"cache_points": "breakpoint"}, call(HumanMessage([Text("t", cache="1h")]), model="gpt-6-astra"), "'1h' is sent as '12h'"),
    ({}, call(AIMessage([ToolCall("c", "f", {}, cache=True)])), "messages[0].content[0]: openai takes no prompt-cache point on a call"),
    ({}, call(HumanMessage([Reasoning("hm"), "x"])), "messages[0].content[0]: Reasoning has no place in this message"),
    ({}, call(HumanMessage([ToolCall("c", "f", {}), "x"])), "messages[0].content[0]: ToolCall has no place"),
    ({}, call(AIMessage([Reasoning("hm"), Text("x")])), "messages[0].content[0]: openai takes no reasoning back"),
    ({}, call(AIMessage([ServerTool(kind="web_search")], provider="openai")), "the web_search that the provider ran is not sent"),
    ({}, call(AIMessage([Image(url="https://e.com/i")])), "openai takes no images in an answer"),
    ({}, call(AIMessage([File(file_id="f")])), "File has no place in an answer"),
    ({}, call(AIMessage([Audio(file_id="a")], provider="another")), "audio of an answer cannot be sent back"),
    ({}, call(HumanMessage([Audio(transcript="la")])), "audio without its bytes is sent as its transcript"),
    ({}, call(FunctionMessage([Text("1"), Image(url="https://e.com/i")], name="f")), "Image has no place in this message"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "asked", "warning"), WARNED, ids=[w[2][:40] or "ok" for w in WARNED])
def test_what_cannot_be_said_is_said_so(options: dict[str, Any], asked: Call, warning: str) -> None:
    warnings = OpenAIChat(**options).encode(asked).warnings
    if warning:
        assert any(warning in w for w in warnings), warnings


def test_no_cache_point_before_its_family() -> None:
    ours = OpenAIChat(cache_points="breakpoint")
    for model in ("gpt-4o-mini", "gpt-5", "gpt-5.5-pro", "o3", "o4-mini", "openai/gpt-4.1", "gpt-3.5-turbo"):
        assert b"breakpoint" not in ours.encode(call(HumanMessage([Text("t", cache=True)]), model=model)).body
    for model in ("gpt-5.6", "gpt-5.6-terra", "gpt-5.10", "gpt-6-astra", "my-deployment"):
        assert b"breakpoint" in ours.encode(call(HumanMessage([Text("t", cache=True)]), model=model)).body


REFUSED: list[tuple[dict[str, Any], Call, str, str]] = [
    ({}, call(H, HumanMessage(["x", Video(url="https://e.com/v")])), "messages[1].content[1]", "does not take video"),
    ({}, call(HumanMessage([Image(file_id="f")])), "messages[0].content[0]", "an image by file id here; give url= or data="),
    ({}, call(HumanMessage([Audio(url="https://e.com/a")])), "messages[0].content[0]", "audio by URL or file id"),
    ({"audio_formats": frozenset({"wav", "mp3"})}, call(HumanMessage([Audio(data=b"OggS")])), "messages[0].content[0]", "audio of type audio/ogg here; convert it to mp3 or wav"),
    ({}, call(HumanMessage([File(url="https://e.com/f")])), "messages[0].content[0]", "a file by URL"),
    ({}, call(HumanMessage([File(data=b"??")])), "messages[0].content[0]", "needs media_type="),
    ({}, call(SystemMessage([Image(data=PNG)])), "messages[0].content[0]", "Image in a system message here; put it into a HumanMessage"),
    ({}, call(ChatMessage([File(file_id="f")], role="developer")), "messages[0].content[0]", "File in a developer message"),
    ({}, call(H, ToolMessage("1")), "tool_call_id", "messages[1]: a tool's result needs tool_call_id="),
    ({}, call(H, settings=Settings(temperature=float("nan"))), "temperature", "temperature is nan"),
    ({}, call(HumanMessage("\ud83d")), "messages[0].content", "lone surrogate"),
    ({}, call(HumanMessage("x", {"a": {"b": [object()]}})), "messages[0].a.b[0]", "cannot be written as JSON"),
    ({}, call(H, settings=Settings(extra_body={"odd": object()})), "odd", "cannot be written as JSON"),
    ({"strict": True}, call(H, tools=(Tool(name="f", parameters={"type": "object"}, strict=True),)), "strict", "tool f: strict mode cannot express"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "asked", "argument", "words"), REFUSED, ids=[r[3][:40] for r in REFUSED])
def test_refused_before_anything_is_sent(options: dict[str, Any], asked: Call, argument: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        OpenAIChat(**options).encode(asked)
    assert raised.value.argument == argument
    assert words in str(raised.value)


# ---- recorded requests


def test_request_parsed() -> None:
    body = {
        "model": "m",
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
            {"role": "user", "content": [{"type": "hologram", "x": 1}, {"type": "image_url", "image_url": {"url": "https://e.com/i"}}]},
            {"role": "assistant", "content": None, "reasoning_content": "hm", "prefix": True,
             "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{ }"}, "extra_content": {"g": 1}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "22", "name": "f"},
        ],
        "max_completion_tokens": 9,
        "stop": "a",
        "temperature": None,
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "provider": {"only": ["x"]},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}, "cache_control": {"type": "ephemeral"}}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    ours = OpenAIChat("host", cache_points="cache_control")
    asked = ours.decode_request(body)
    system, human, answer, result = asked.messages
    assert system == SystemMessage([Text("s", cache="1h")])
    assert human.parts[0] == Opaque(provider="host", kind="hologram", data={"type": "hologram", "x": 1})
    assert human.parts[1] == Image(url="https://e.com/i")
    assert isinstance(answer, AIMessage)
    assert (answer.reasoning, answer.provider) == ("hm", "host")
    assert answer.tool_calls == [
        ToolCall("c1", "f", {}, text="{ }", provider_data={"host": {"extra": {"extra_content": {"g": 1}}}})
    ]
    assert answer.provider_data == {"host": {"message": {"prefix": True}}}
    assert isinstance(result, ToolMessage)
    assert (result.tool_call_id, result.name) == ("c1", "f")
    assert asked.settings == Settings(
        max_tokens=9, stop=("a",), tool_choice="f", extra_body={"provider": {"only": ["x"]}}
    )
    assert asked.stream
    again = json.loads(ours.encode(asked).body)
    want = {k: v for k, v in body.items() if v is not None}
    assert again == {**want, "max_tokens": want.pop("max_completion_tokens"), "stop": ["a"]} or again == {
        **{k: v for k, v in want.items() if k != "max_completion_tokens"}, "max_tokens": 9, "stop": ["a"],
    }  # fmt: skip
    other = OpenAIChat("another").encode(asked)
    for secret in (b"hologram", b"extra_content", b"prefix", b'"hm"'):
        assert secret not in other.body


def test_fields_beside_a_known_part() -> None:
    """A host's own fields of a text, and of an image inside: they go back to it, and to nobody else."""
    parts = [{"type": "text", "text": "x", "weight": 2}, {"type": "image_url", "image_url": {"url": "u", "fps": 1}}]
    body = {"model": "m", "messages": [{"role": "user", "content": parts}]}
    asked = OpenAIChat("host").decode_request(body)
    assert asked.messages[0].text == "x"
    assert json.loads(OpenAIChat("host").encode(asked).body) == body
    other = OpenAIChat("other").encode(asked).body
    assert b"weight" not in other
    assert b"fps" not in other


def test_request_with_the_model_in_its_path() -> None:
    asked = OpenAIChat().decode_request(
        {"messages": [{"role": "user", "content": "hi"}]}, "/openai/deployments/my-gpt/chat/completions?api-version=1"
    )
    assert asked.model == "my-gpt"


@pytest.mark.parametrize(
    ("body", "argument"),
    [({}, "body"), ({"messages": "x"}, "body"), ({"messages": ["x"]}, "messages"), ({"messages": [{"content": "x"}]}, "messages"),
     ({"messages": [], "tools": ["x"]}, "tools")],
)  # fmt: skip
def test_what_is_no_request(body: dict[str, Any], argument: str) -> None:
    with pytest.raises(UsageError) as raised:
        OpenAIChat().decode_request(body)
    assert raised.value.argument == argument
