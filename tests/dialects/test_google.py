"""Google generateContent: requests, answers, streams, errors, and recorded requests read back. Literal cases."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from chatmodels._call import Call, HTTPResponse, Settings
from chatmodels._errors import (
    AuthenticationError,
    ChatModelError,
    ContextTooLongError,
    IncompleteStream,
    NotFoundError,
    OverloadedError,
    ProtocolError,
    RateLimitError,
    UsageError,
)
from chatmodels._events import End, Event, Start, TextDelta, ToolCallDelta, UsageSoFar
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
from chatmodels.dialects.google import Google

PNG = b"\x89PNG\r\n\x1a\n"
PNG64 = b64encode(PNG).decode()
DUMMY = b64encode(b"skip_thought_signature_validator").decode()
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool(name="weather", description="The weather.", parameters=SCHEMA)


def call(*messages: Any, model: str = "gemini-2.5-flash", **fields: Any) -> Call:
    names = ("tools", "output", "stream")
    known = {k: fields.pop(k) for k in names if k in fields}
    return Call(model=model, messages=messages, settings=Settings(**fields), **known)


def body(*messages: Any, dialect: Google | None = None, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((dialect or Google()).encode(call(*messages, **fields)).body)
    return found


def sent(*messages: Any, **fields: Any) -> Any:
    return body(*messages, **fields)["contents"]


def warned(*messages: Any, **fields: Any) -> str:
    return " / ".join(Google().encode(call(*messages, **fields)).warnings)


HI = HumanMessage("hi")


# -- paths


@pytest.mark.parametrize(
    ("options", "model", "stream", "path"),
    [
        ({}, "gemini-2.5-flash", False, "/v1beta/models/gemini-2.5-flash:generateContent"),
        ({}, "models/gemini-2.5-flash", True, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
        ({}, "tunedModels/mine-1", False, "/v1beta/tunedModels/mine-1:generateContent"),
        ({"version": "v1"}, "a b?c", False, "/v1/models/a%20b%3Fc:generateContent"),
        (
            {"vertex": True, "project": "p-1", "location": "us-central1"},
            "gemini-2.5-pro",
            True,
            "/v1/projects/p-1/locations/us-central1/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        ),
        ({"vertex": True}, "gemini-2.5-pro", False, "/v1/publishers/google/models/gemini-2.5-pro:generateContent"),
        (
            {"vertex": True, "project": "p", "version": "v1beta1"},
            "endpoints/123",
            False,
            "/v1beta1/projects/p/locations/global/endpoints/123:generateContent",
        ),
        (
            {"vertex": True, "project": "p"},
            "projects/q/locations/us/endpoints/1",
            False,
            "/v1/projects/q/locations/us/endpoints/1:generateContent",
        ),
    ],
)
def test_paths(options: dict[str, Any], model: str, stream: bool, path: str) -> None:
    request = Google(**options).encode(call(HI, model=model, stream=stream))
    assert (request.path, request.stream) == (path, stream)


@pytest.mark.parametrize("model", ["../secrets", "a/../b", ""])
def test_a_model_that_leaves_its_path_is_refused(model: str) -> None:
    with pytest.raises(UsageError, match="model"):
        Google().encode(call(HI, model=model))


# -- messages


def test_a_conversation() -> None:
    got = body(
        SystemMessage("Be brief."),
        ChatMessage("And kind.", role="developer"),
        HumanMessage("Weather in Paris?"),
        AIMessage(
            [Text("Let me see."), ToolCall("call_0", "weather", {"city": "Paris"}), ToolCall("x7", "weather", {})],
            provider="google",
        ),
        ToolMessage('{"celsius": 22}', tool_call_id="x7"),
        ToolMessage("no such city", tool_call_id="call_0", is_error=True),
        HumanMessage([Text("Thanks."), Image(data=PNG)]),
    )
    assert got == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "And kind."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Weather in Paris?"}]},
            {
                "role": "model",
                "parts": [
                    {"text": "Let me see."},
                    {"functionCall": {"name": "weather", "args": {"city": "Paris"}}},
                    {"functionCall": {"name": "weather", "args": {}, "id": "x7"}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "weather", "response": {"error": "no such city"}}},
                    {"functionResponse": {"name": "weather", "id": "x7", "response": {"celsius": 22}}},
                ],
            },
            {
                "role": "user",
                "parts": [{"text": "Thanks."}, {"inlineData": {"mimeType": "image/png", "data": PNG64}}],
            },
        ],
    }


@pytest.mark.parametrize(
    ("part", "wire"),
    [
        (Text("a"), {"text": "a"}),
        (Refusal("no"), {"text": "no"}),
        (Image(data=PNG, media_type="image/x"), {"inlineData": {"mimeType": "image/x", "data": PNG64}}),
        (
            Image(url="https://e.com/a.jpg?x=1"),
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://e.com/a.jpg?x=1"}},
        ),
        (Video(url="https://youtu.be/abc"), {"fileData": {"fileUri": "https://youtu.be/abc"}}),
        (
            File(file_id="files/abc", media_type="application/pdf"),
            {
                "fileData": {
                    "mimeType": "application/pdf",
                    "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc",
                }
            },
        ),
        (File(data=b"%PDF-1"), {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0x"}}),
        (Audio(data=b"RIFF0000WAVE"), {"inlineData": {"mimeType": "audio/wav", "data": "UklGRjAwMDBXQVZF"}}),
        (Audio(transcript="hello"), {"text": "hello"}),
        (
            Video(
                url="gs://b/v.mp4",
                provider_data={"google": {"videoMetadata": {"fps": 2}}, "other": {"secret": 1}},
            ),
            {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/v.mp4"}, "videoMetadata": {"fps": 2}},
        ),
        (Opaque(provider="google", kind="new", data={"new": 1}), {"new": 1}),
    ],
)
def test_user_parts(part: Any, wire: dict[str, Any]) -> None:
    assert sent(HumanMessage([part]))[0]["parts"] == [wire]


def test_vertex_keeps_the_names_of_files() -> None:
    file = File(data=b"x", media_type="text/plain", name="a.txt")
    got = body(HumanMessage([file]), dialect=Google("vertex", vertex=True))
    assert got["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "text/plain", "data": "eA==", "displayName": "a.txt"}}
    ]
    assert "displayName" not in json.dumps(sent(HumanMessage([file])))


def test_bytes_of_an_unknown_kind_need_a_type() -> None:
    with pytest.raises(UsageError, match="media_type") as raised:
        Google().encode(call(HumanMessage([Text("see"), Image(data=b"??")])))
    assert raised.value.argument == "messages[0].content[1]"


def test_signatures_go_back_where_they_came_from() -> None:
    answer = AIMessage(
        [
            Reasoning("hm", signature="S1"),
            Text("a", provider_data={"google": {"thoughtSignature": "S2"}}),
            ToolCall("i", "f", {}, provider_data={"google": {"thoughtSignature": "S3"}}),
        ],
        provider="google",
    )
    assert sent(HI, answer, model="gemini-3-pro-preview")[1]["parts"] == [
        {"text": "hm", "thought": True, "thoughtSignature": "S1"},
        {"text": "a", "thoughtSignature": "S2"},
        {"functionCall": {"name": "f", "args": {}, "id": "i"}, "thoughtSignature": "S3"},
    ]


def test_nothing_of_another_provider_leaks() -> None:
    answer = AIMessage(
        [
            Reasoning("thoughts", signature="X", encrypted="X"),
            Text("a", (Citation(url="u"),), provider_data={"other": {"X": 1}}),
            ToolCall("i", "f", {}, provider_data={"other": {"thoughtSignature": "X"}}),
            ServerTool(phase="result", kind="web_search", provider_data={"other": {"X": 1}}),
            Opaque(provider="other", kind="secret_block", data={"X": 1}),
        ],
        provider="other",
    )
    said = sent(HI, answer)
    assert "X" not in json.dumps(said)
    assert said[1]["parts"] == [{"text": "a"}, {"functionCall": {"name": "f", "args": {}, "id": "i"}}]
    for name in ("the reasoning of other", "citations", "web_search result", "secret_block of other"):
        assert name in warned(HI, answer)


def test_gemini_3_gets_a_signature_for_the_calls_of_others() -> None:
    calls = AIMessage([ToolCall("a", "f", {}), ToolCall("b", "f", {})], provider="other")
    parts = sent(HI, calls, model="gemini-3-flash-preview")[1]["parts"]
    assert [p.get("thoughtSignature") for p in parts] == [DUMMY, None]
    assert "thoughtSignature" not in json.dumps(sent(HI, calls, model="gemini-2.5-pro"))


def test_hand_made_reasoning_is_sent_without_its_signature() -> None:
    answer = AIMessage([Reasoning("hm", signature="X"), Text("a")])
    assert sent(HI, answer)[1]["parts"] == [{"text": "hm", "thought": True}, {"text": "a"}]


def test_server_tools_go_back_as_they_came() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "S"}
    search = {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "q"}}
    answer = AIMessage(
        [
            ServerTool(kind="code_execution", provider_data={"google": code}),
            ServerTool(kind="web_search", provider_data={"google": search}),
        ],
        provider="google",
    )
    assert sent(HI, answer, model="gemini-3-flash")[1]["parts"] == [code, search]
    assert sent(HI, answer)[1]["parts"] == [code]
    assert "newer" in warned(HI, answer)


def test_media_of_tool_results() -> None:
    asked = AIMessage([ToolCall("x", "look", {})], provider="google")
    found = ToolMessage([Text("see"), Image(data=PNG)], tool_call_id="x")
    media = {"inlineData": {"mimeType": "image/png", "data": PNG64}}
    response = {"name": "look", "id": "x", "response": {"output": "see"}}
    assert sent(HI, asked, found, model="gemini-3-pro")[2:] == [
        {"role": "user", "parts": [{"functionResponse": {**response, "parts": [media]}}]}
    ]
    assert sent(HI, asked, found)[2:] == [
        {"role": "user", "parts": [{"functionResponse": response}]},
        {"role": "user", "parts": [media]},
    ]
    assert "in a message after it" in warned(HI, asked, found)


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("22", {"output": "22"}),
        ('{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        ('{"a": NaN}', {"output": '{"a": NaN}'}),
        ("{not json", {"output": "{not json"}),
        ("[1]", {"output": "[1]"}),
        ("", {"output": ""}),
    ],
)
def test_what_a_tool_said(text: str, response: dict[str, Any]) -> None:
    asked = AIMessage([ToolCall("x", "f", {})])
    part = sent(asked, ToolMessage(text, tool_call_id="x"))[1]["parts"][0]
    assert part["functionResponse"]["response"] == response


def test_results_without_a_known_call() -> None:
    said = sent(FunctionMessage("1", name="f"), HumanMessage([ToolResult("lost", "2"), Text("and?")]))
    assert said == [
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"output": "1"}}},
                {"functionResponse": {"name": "lost", "id": "lost", "response": {"output": "2"}}},
            ],
        },
        {"role": "user", "parts": [{"text": "and?"}]},
    ]
    assert "answers calls by name" in warned(HumanMessage([ToolResult("lost", "2")]))


def test_arguments_that_are_no_object() -> None:
    answer = AIMessage([ToolCall("a", "f", "free", custom=True), InvalidToolCall("b", "g", '{"x":', "cut")])
    assert [p["functionCall"]["args"] for p in sent(HI, answer)[1]["parts"]] == [{"input": "free"}, {"input": '{"x":'}]
    assert "only as an object" in warned(HI, answer)


@pytest.mark.parametrize(
    ("messages", "said", "warning"),
    [
        ([HumanMessage("")], [{"role": "user", "parts": [{"text": ""}]}], ""),
        ([AIMessage("")], [{"role": "model", "parts": [{"text": ""}]}], ""),
        ([SystemMessage("only")], [{"role": "user", "parts": [{"text": "only"}]}], "only system messages"),
        ([ChatMessage("a", role="assistant")], [{"role": "model", "parts": [{"text": "a"}]}], ""),
        ([ChatMessage("a", role="critic")], [{"role": "user", "parts": [{"text": "a"}]}], "no role 'critic'"),
        ([HumanMessage("a", name="Ann")], [{"role": "user", "parts": [{"text": "a"}]}], "speaker's name"),
        ([HumanMessage("a", {"x": 1})], [{"role": "user", "parts": [{"text": "a"}]}], "additional_kwargs (x)"),
        ([HumanMessage([Text("a", cache=True)])], [{"role": "user", "parts": [{"text": "a"}]}], "prompt-cache"),
        (
            [AIMessage("", {"function_call": {"name": "f", "arguments": '{"a": 1}'}})],
            [{"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}]}],
            "",
        ),
    ],
)
def test_odd_messages(messages: list[Any], said: Any, warning: str) -> None:
    assert sent(*messages) == said
    assert warning in warned(*messages)
    assert bool(warned(*messages)) == bool(warning)


def test_system_messages_move_to_the_front() -> None:
    got = body(HI, SystemMessage("late"))
    assert got["systemInstruction"] == {"parts": [{"text": "late"}]}
    assert "moved there" in warned(HI, SystemMessage("late"))


# -- tools, settings, outputs


def test_tools() -> None:
    got = body(
        HI,
        tools=(
            Tool(name="google_search", kind="provider", raw={"google_search": {}}),
            WEATHER,
            Tool(name="ping", parameters={"type": "object", "properties": {}}),
        ),
        tool_choice="weather",
    )
    assert got["tools"] == [
        {"google_search": {}},
        {
            "functionDeclarations": [
                {"name": "weather", "description": "The weather.", "parametersJsonSchema": SCHEMA},
                {"name": "ping"},
            ]
        },
    ]
    assert got["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}}


def test_functions_beside_tools_that_google_runs() -> None:
    search = Tool(name="googleSearch", kind="provider", raw={"googleSearch": {}})
    both: dict[str, Any] = {"tools": (search, WEATHER), "tool_choice": "auto"}
    assert body(HI, model="gemini-3-pro", **both)["toolConfig"] == {
        "includeServerSideToolInvocations": True,
        "functionCallingConfig": {"mode": "AUTO"},
    }
    assert "includeServerSideToolInvocations" not in json.dumps(body(HI, **both))
    assert "toolConfig" not in body(HI, model="gemini-3-pro", tools=(search,))


def test_the_older_form_of_schemas() -> None:
    dialect = Google(json_schema=False)
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"]}, "b": {"const": "x"}}}
    got = body(HI, dialect=dialect, tools=(Tool(name="f", parameters=schema),), output=None)
    assert got["tools"][0]["functionDeclarations"][0]["parameters"]["properties"] == {
        "a": {"type": "string", "nullable": True},
        "b": {"type": "string", "enum": ["x"]},
    }
    got = body(HI, dialect=dialect, output=Output(name="o", schema=SCHEMA))
    assert got["generationConfig"] == {"responseMimeType": "application/json", "responseSchema": SCHEMA}


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "f"}}, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        ({"type": "any"}, {"mode": "ANY"}),
        ({"mode": "VALIDATED"}, {"mode": "VALIDATED"}),
        ({"functionCallingConfig": {"mode": "AUTO"}}, {"mode": "AUTO"}),
    ],
)
def test_tool_choice(choice: Any, wire: dict[str, Any]) -> None:
    assert body(HI, tools=(WEATHER,), tool_choice=choice)["toolConfig"] == {"functionCallingConfig": wire}


def test_settings() -> None:
    got = body(
        HI,
        temperature=0,
        top_p=0.5,
        top_k=3,
        max_tokens=9,
        n=2,
        stop=("a", "b"),
        seed=1,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        logprobs=True,
        top_logprobs=4,
        modalities=("text", "audio"),
        audio={"voice": "Kore"},
        service_tier="flex",
        metadata={"team": "a"},
        store=False,
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
        extra_body={"generationConfig": {"topK": 7, "mediaResolution": "X"}, "safetySettings": []},
    )
    assert got == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {
            "temperature": 0,
            "topP": 0.5,
            "topK": 7,
            "maxOutputTokens": 9,
            "candidateCount": 2,
            "stopSequences": ["a", "b"],
            "seed": 1,
            "presencePenalty": 0.1,
            "frequencyPenalty": 0.2,
            "responseLogprobs": True,
            "logprobs": 4,
            "responseModalities": ["TEXT", "AUDIO"],
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
            "responseMimeType": "application/json",
            "responseJsonSchema": SCHEMA,
            "mediaResolution": "X",
        },
        "serviceTier": "flex",
        "labels": {"team": "a"},
        "store": False,
        "safetySettings": [],
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("min_p", 0.1), ("logit_bias", {"1": 1.0}), ("verbosity", "low"), ("user", "u"), ("parallel_tool_calls", False)],
)
def test_what_is_not_taken_is_said(name: str, value: Any) -> None:
    assert name in warned(HI, **{name: value})
    assert body(HI, **{name: value}) == body(HI)


def test_settings_in_odd_shapes() -> None:
    speech = {"multiSpeakerVoiceConfig": {}}
    assert body(HI, audio=speech)["generationConfig"] == {"speechConfig": speech}
    assert "audio.format" in warned(HI, audio={"voice": "Kore", "format": "wav"})
    assert "'grammar'" in warned(HI, response_format={"type": "grammar"})
    assert body(HI, response_format={"type": "text"}) == body(HI)
    assert "without tools" in warned(HI, tool_choice="required")
    strict = Tool(name="f", parameters=SCHEMA, strict=True)
    assert body(HI, model="gemini-3-pro", tools=(strict,))["toolConfig"] == {
        "functionCallingConfig": {"mode": "VALIDATED"}
    }
    assert "strict" in warned(HI, tools=(strict,))


def test_parts_without_a_place() -> None:
    odd = HumanMessage([ToolCall("a", "f"), Reasoning("x"), Image(data=PNG, detail="low")])
    assert len(sent(odd)[0]["parts"]) == 2
    assert "Reasoning has no place" in warned(odd)
    assert "detail" in warned(odd)
    asked = AIMessage([Reasoning(""), ToolCall("x", "f", {})])
    result = ToolMessage([Text("a"), Audio(transcript="b"), Reasoning("c")], tool_call_id="x")
    assert sent(asked, result)[1]["parts"][0]["functionResponse"]["response"] == {"output": "ab"}
    assert "Reasoning has no place" in warned(asked, result)


def test_store_is_not_for_vertex() -> None:
    request = Google("vertex", vertex=True).encode(call(HI, store=True))
    assert "store" not in json.loads(request.body)
    assert request.warnings == ("vertex does not take store: not sent",)


@pytest.mark.parametrize(
    ("model", "fields", "wire", "warning"),
    [
        ("gemini-2.5-pro", {"reasoning_effort": "low"}, {"thinkingBudget": 1024, "includeThoughts": True}, ""),
        ("gemini-2.5-pro", {"reasoning_effort": "none"}, {"thinkingBudget": 0}, ""),
        ("gemini-2.5-pro", {"reasoning_effort": "xhigh"}, {"thinkingBudget": 24576, "includeThoughts": True}, "'high'"),
        ("gemini-2.5-pro", {"reasoning_budget": 0}, {"thinkingBudget": 0}, ""),
        ("gemini-2.5-pro", {"reasoning_summary": "none"}, {"includeThoughts": False}, ""),
        ("gemini-3-pro", {"reasoning_effort": "low"}, {"thinkingLevel": "LOW", "includeThoughts": True}, ""),
        ("gemini-3-pro", {"reasoning_effort": "minimal"}, {"thinkingLevel": "LOW", "includeThoughts": True}, "'low'"),
        ("gemini-flash-latest", {"reasoning_effort": "none"}, {"thinkingLevel": "MINIMAL", "includeThoughts": True}, "minimal"),
        (
            "gemini-3-pro",
            {"reasoning_effort": "low", "reasoning_budget": 5, "reasoning_summary": "auto"},
            {"thinkingBudget": 5, "includeThoughts": True},
            "only the budget",
        ),
    ],
)  # fmt: skip
def test_reasoning(model: str, fields: dict[str, Any], wire: dict[str, Any], warning: str) -> None:
    assert body(HI, model=model, **fields)["generationConfig"] == {"thinkingConfig": wire}
    assert warning in warned(HI, model=model, **fields)


def test_outputs() -> None:
    output = Output(name="o", schema=SCHEMA, description="A city.")
    wanted = {"responseMimeType": "application/json", "responseJsonSchema": {**SCHEMA, "description": "A city."}}
    assert body(HI, output=output)["generationConfig"] == wanted
    assert body(HI, output=output, tools=(WEATHER,), model="gemini-3-pro")["generationConfig"] == wanted
    old = body(HI, output=output, tools=(WEATHER,))
    assert "generationConfig" not in old
    assert json.dumps(SCHEMA, separators=(",", ":")) in old["systemInstruction"]["parts"][0]["text"]


def test_schema_notes_are_warnings() -> None:
    tool = Tool(name="f", parameters={"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}})
    assert warned(HI, tools=(tool,)) == "tool f: a: pattern is sent only as text"


def test_the_same_call_gives_the_same_bytes() -> None:
    one, two = (Google().encode(call(SystemMessage("s"), HI, tools=(WEATHER,), top_k=1)) for _ in range(2))
    assert one == two


# -- answers


def chunk(*parts: Any, **fields: Any) -> dict[str, Any]:
    """One `GenerateContentResponse`; `finish` and `meta` are the candidate's."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if "finish" in fields:
        candidate["finishReason"] = fields.pop("finish")
    candidate.update(fields.pop("meta", {}))
    return {"candidates": [candidate], **fields}


def decode(body: Any, dialect: Google | None = None) -> AIMessage:
    return (dialect or Google()).decode(HTTPResponse(status=200, body=json.dumps(body).encode()))


def test_an_answer() -> None:
    message = decode(
        chunk(
            {"text": "Let me think.", "thought": True},
            {"text": "Hello ", "thoughtSignature": "S"},
            {"text": "there"},
            {"text": "."},
            {"functionCall": {"name": "f", "args": {"a": 1}, "id": "i1"}, "thoughtSignature": "T"},
            {"functionCall": {"name": "g"}},
            finish="STOP",
            responseId="r",
            modelVersion="m",
            usageMetadata={
                "promptTokenCount": 10,
                "candidatesTokenCount": 5,
                "thoughtsTokenCount": 3,
                "toolUsePromptTokenCount": 2,
                "cachedContentTokenCount": 4,
                "totalTokenCount": 20,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}, {"modality": "AUDIO", "tokenCount": 6}],
            },
        )
    )
    assert message.content == [
        Reasoning("Let me think.", summary=True),
        Text("Hello ", provider_data={"google": {"thoughtSignature": "S"}}),
        Text("there."),
        ToolCall("i1", "f", {"a": 1}, text='{"a":1}', provider_data={"google": {"thoughtSignature": "T"}}),
        ToolCall("call_1", "g", {}, text="{}"),
    ]
    assert (message.id, message.model, message.provider) == ("r", "m", "google")
    assert (message.finish_reason, message.raw_finish_reason) == ("tool_calls", "STOP")
    usage = message.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (12, 8, 3)
    assert (usage.cache_read_tokens, usage.input_audio_tokens, usage.output_audio_tokens) == (4, 6, None)
    assert usage.raw is not None
    assert usage.raw["totalTokenCount"] == 20
    assert message.raw["responseId"] == "r"


WAV = b64encode(b"RIFFxxxxWAVE").decode()
PCM = b64encode(b"\x01\x02").decode()


@pytest.mark.parametrize(
    ("wire", "part"),
    [
        (
            {"inlineData": {"mimeType": "image/png", "data": PNG64}, "thought": True},
            Image(data=PNG, media_type="image/png", provider_data={"google": {"thought": True}}),
        ),
        ({"inlineData": {"mimeType": "audio/wav", "data": WAV}}, Audio(data=b"RIFFxxxxWAVE", media_type="audio/wav")),
        (
            {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": PCM}},
            Audio(data=b"\x01\x02", media_type="audio/L16;rate=24000"),
        ),
        ({"inlineData": {"mimeType": "x/y", "data": "-_8="}}, File(data=b"\xfb\xff", media_type="x/y")),
        (
            {"inlineData": {"mimeType": "image/png", "data": "not base64"}},
            Opaque(
                provider="google",
                kind="inlineData",
                data={"inlineData": {"mimeType": "image/png", "data": "not base64"}},
            ),
        ),
        (
            {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://v"}},
            Video(url="gs://v", media_type="video/mp4"),
        ),
        (
            {"executableCode": {"id": "c", "language": "PYTHON", "code": "1"}, "thoughtSignature": "S"},
            ServerTool(
                phase="call",
                kind="code_execution",
                id="c",
                args={"language": "PYTHON", "code": "1"},
                provider_data={
                    "google": {
                        "executableCode": {"id": "c", "language": "PYTHON", "code": "1"},
                        "thoughtSignature": "S",
                    }
                },
            ),
        ),
        (
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
            ServerTool(
                phase="result",
                kind="code_execution",
                result={"outcome": "OUTCOME_OK", "output": "1"},
                provider_data={"google": {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}},
            ),
        ),
        (
            {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "q", "args": {"queries": ["x"]}}},
            ServerTool(
                phase="call",
                kind="web_search",
                id="q",
                name="GOOGLE_SEARCH_WEB",
                args={"queries": ["x"]},
                provider_data={
                    "google": {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "q", "args": {"queries": ["x"]}}}
                },
            ),
        ),
        (
            {"toolResponse": {"toolType": "NEW_TOOL", "id": "q"}},
            ServerTool(
                phase="result",
                kind="new_tool",
                id="q",
                name="NEW_TOOL",
                provider_data={"google": {"toolResponse": {"toolType": "NEW_TOOL", "id": "q"}}},
            ),
        ),
        ({"holograph": {"x": 1}}, Opaque(provider="google", kind="holograph", data={"holograph": {"x": 1}})),
        ({"text": 7}, Opaque(provider="google", kind="text", data={"text": 7})),
        ({"fileData": {"fileUri": 7}}, Opaque(provider="google", kind="fileData", data={"fileData": {"fileUri": 7}})),
        ({"toolCall": 7}, Opaque(provider="google", kind="toolCall", data={"toolCall": 7})),
        ({"inlineData": {"data": PNG64, "displayName": 7}}, File(data=PNG)),
        ("bare", Opaque(provider="google", kind="", data="bare")),
        ({"functionCall": {"args": {}}}, Opaque(provider="google", kind="functionCall", data={"functionCall": {"args": {}}})),
    ],
)  # fmt: skip
def test_parts_of_an_answer(wire: Any, part: Any) -> None:
    message = decode(chunk(wire, finish="STOP"))
    assert message.content == [part]
    if isinstance(wire, dict):
        sent_back = sent(HI, message, model="gemini-3-pro")[1]["parts"]
        assert sent_back == [wire] or "inlineData" in wire


@pytest.mark.parametrize(
    ("body", "text", "finish", "raw"),
    [
        (chunk({"text": " a "}, finish="STOP"), " a ", "stop", "STOP"),
        (chunk({"text": "a"}, finish="MAX_TOKENS"), "a", "length", "MAX_TOKENS"),
        (chunk({"text": "a"}, finish=3), "a", "content_filter", "SAFETY"),
        (chunk({"text": "a"}, finish="NEW"), "a", "other", "NEW"),
        (chunk({"text": "a"}, finish="MALFORMED_FUNCTION_CALL"), "a", "error", "MALFORMED_FUNCTION_CALL"),
        (chunk({}, {"text": "", "thought": False}, None, finish="STOP"), "", "stop", "STOP"),
        ({"candidates": [{"finishReason": "RECITATION"}]}, "", "content_filter", "RECITATION"),
        ({"candidates": [{"content": {}, "finishReason": "STOP"}]}, "", "stop", "STOP"),
        ({"candidates": [{"content": {"parts": {"text": "a"}}}]}, "a", "unknown", None),
        ({"candidates": [{"content": None, "finishReason": "FINISH_REASON_UNSPECIFIED"}]}, "", "unknown", None),
        ({"promptFeedback": "?"}, "", "unknown", None),
        (chunk({"functionCall": {}}, {"text": "a"}, finish="STOP"), "a", "stop", "STOP"),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "", "content_filter", "SAFETY"),
        ({"promptFeedback": {"blockReason": 4}}, "", "content_filter", "PROHIBITED_CONTENT"),
        ([chunk({"text": "a"}), chunk({"text": "b"}, finish="STOP")], "ab", "stop", "STOP"),
    ],
)
def test_ends(body: Any, text: str, finish: str, raw: str | None) -> None:
    message = decode(body)
    assert (message.text, message.finish_reason, message.raw_finish_reason) == (text, finish, raw)


def test_numbers_mean_other_things_on_vertex() -> None:
    body = chunk({"text": "a"}, finish=9)
    assert decode(body).raw_finish_reason == "SPII"
    assert decode(body, Google("vertex", vertex=True)).raw_finish_reason == "MALFORMED_FUNCTION_CALL"


@pytest.mark.parametrize(
    ("wire", "counts"),
    [
        ({"promptTokenCount": 5}, (5, 0, None)),
        ({"promptTokenCount": "5", "candidatesTokenCount": 2.0}, (5, 2, None)),
        ({"promptTokenCount": 5, "candidatesTokenCount": 9, "thoughtsTokenCount": 4, "totalTokenCount": 18}, (5, 13, 4)),
        ({"promptTokenCount": 5, "candidatesTokenCount": 9, "thoughtsTokenCount": 4, "totalTokenCount": 14}, (5, 9, 4)),
        ({"trafficType": "ON_DEMAND"}, None),
        ({"promptTokenCount": None, "candidatesTokenCount": 2}, (None, 2, None)),
    ],
)  # fmt: skip
def test_usage(wire: dict[str, Any], counts: Any) -> None:
    usage = decode(chunk({"text": "a"}, finish="STOP", usageMetadata=wire)).usage
    assert (usage and (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens)) == counts


def test_several_candidates() -> None:
    message = decode(
        {"candidates": [{"content": {"parts": [{"text": t}]}, "finishReason": f} for t, f in (("a", "STOP"), ("b", 2))]}
    )
    assert (message.text, message.finish_reason) == ("a", "stop")
    assert [(m.text, m.finish_reason, m.provider) for m in message.alternatives] == [("b", "length", "google")]


def test_what_stands_beside_the_content_is_kept() -> None:
    meta = {"safetyRatings": [{"category": "X"}], "avgLogprobs": -0.5, "finishMessage": "m", "newField": {"a": 1}}
    body = chunk({"text": "a"}, finish="STOP", meta=meta, promptFeedback={"safetyRatings": [1]})
    assert decode(body).provider_data == {"google": {**meta, "promptFeedback": {"safetyRatings": [1]}}}


def test_logprobs() -> None:
    result = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.1}, {"token": "b", "logProbability": -0.2}],
        "topCandidates": [{"candidates": [{"token": "c", "logProbability": -3.0}]}, {}],
    }
    assert decode(chunk({"text": "ab"}, finish="STOP", meta={"logprobsResult": result})).logprobs == [
        {"token": "a", "logProbability": -0.1, "topCandidates": [{"token": "c", "logProbability": -3.0}]},
        {"token": "b", "logProbability": -0.2},
    ]


def test_citations_are_placed_in_characters() -> None:
    meta = {
        "groundingMetadata": {
            "groundingChunks": [
                {"web": {"uri": "https://a", "title": "A"}},
                {"retrievedContext": {"text": "source", "fileSearchStore": "store/1"}},
                {"web": {"uri": "https://unused"}},
            ],
            "groundingSupports": [
                {"segment": {"endIndex": 7, "text": "größe"}, "groundingChunkIndices": [0], "confidenceScores": [0.5]},
                {"segment": {"startIndex": 99, "endIndex": 120, "text": "second"}, "groundingChunkIndices": [1, 8]},
                {"segment": {"startIndex": 500, "endIndex": 600, "text": "nowhere"}, "groundingChunkIndices": [0]},
            ],
        }
    }
    message = decode(
        chunk({"text": "größe "}, {"text": "", "thoughtSignature": "S"}, {"text": "second"}, finish="STOP", meta=meta)
    )

    def data(n: int, **more: Any) -> dict[str, Any]:
        return {"google": {"groundingChunkIndex": n, **more}}

    assert [p.citations for p in message.parts if isinstance(p, Text)] == [
        (
            Citation(url="https://a", title="A", start=0, end=5, provider_data=data(0, confidenceScore=0.5)),
            Citation(url="https://a", title="A", provider_data=data(0)),
            Citation(url="https://unused", provider_data=data(2)),
        ),
        (),
        (Citation(cited_text="source", file_id="store/1", start=0, end=6, provider_data=data(1)),),
    ]
    assert message.provider_data == {"google": meta}


def test_sources_without_text() -> None:
    meta = {
        "groundingMetadata": {
            "groundingChunks": [{"maps": {"uri": "u", "title": "T"}}, "?"],
            "groundingSupports": [{"segment": {"endIndex": 3}, "groundingChunkIndices": [0]}],
        }
    }
    found = decode(chunk(finish="STOP", meta=meta)).citations
    assert [(c.url, c.title, c.start) for c in found] == [("u", "T", None), (None, None, None)]


def test_citations_of_old_streams_come_in_pieces() -> None:
    def cited(*sources: str) -> dict[str, Any]:
        return {"citationMetadata": {"citations": [{"uri": u} for u in sources]}}

    stream = [
        chunk({"text": "a"}, finish="STOP", meta=cited("u")),
        chunk({"text": "b"}, finish="STOP", meta=cited("u", "v")),
    ]
    assert [c.url for c in fold(run(sse(*stream))).citations] == ["u", "v"]


def test_recitation() -> None:
    meta = {"citationMetadata": {"citationSources": [{"startIndex": 1, "endIndex": 2, "uri": "u", "license": "mit"}]}}
    message = decode(chunk({"text": "äb"}, finish="STOP", meta=meta))
    # The bytes end within a character: the place is not known.
    assert message.citations == [Citation(url="u", provider_data={"google": {"license": "mit"}})]


# -- streams


def sse(*chunks: Any, end: bytes = b"\r\n\r\n") -> bytes:
    return b"".join(b"data: " + json.dumps(c, ensure_ascii=False).encode() + end for c in chunks)


def array(*chunks: Any) -> bytes:
    return b"[" + b",\r\n".join(json.dumps(c, indent=1).encode() for c in chunks) + b"]"


def run(*pieces: bytes, dialect: Google | None = None) -> list[Event]:
    decoder = (dialect or Google()).stream_decoder()
    out: list[Event] = []
    for piece in pieces:
        out += decoder.feed(piece)
    out += decoder.close()
    if decoder.failed is not None:
        raise decoder.failed
    return out


STREAM = [
    chunk({"text": "Hm", "thought": True}, responseId="r", modelVersion="m", usageMetadata={"promptTokenCount": 3}),
    chunk({"text": "m.", "thought": True}, responseId="r", modelVersion="m"),
    chunk({"text": "Grüße, "}, responseId="r", modelVersion="m"),
    chunk({"text": "Welt 👋"}, responseId="r", modelVersion="m", usageMetadata={"candidatesTokenCount": 4}),
    chunk({"executableCode": {"language": "PYTHON", "code": "1"}}, responseId="r", modelVersion="m"),
    chunk({"functionCall": {"name": "f", "args": {"a": [1]}}}, responseId="r", modelVersion="m"),
    chunk({"text": "", "thoughtSignature": "S"}, finish="STOP", responseId="r", modelVersion="m"),
]
MESSAGE = AIMessage(
    [
        Reasoning("Hmm.", summary=True),
        Text("Grüße, Welt 👋"),
        ServerTool(
            kind="code_execution",
            args={"language": "PYTHON", "code": "1"},
            provider_data={"google": {"executableCode": {"language": "PYTHON", "code": "1"}}},
        ),
        ToolCall("call_0", "f", {"a": [1]}, text='{"a":[1]}'),
        Text("", provider_data={"google": {"thoughtSignature": "S"}}),
    ],
    id="r",
    model="m",
    finish_reason="tool_calls",
    raw_finish_reason="STOP",
)


def plain(message: AIMessage) -> dict[str, Any]:
    found = message.to_dict()
    for name in ("usage", "provider"):
        found.pop(name, None)
    return found


@pytest.mark.parametrize("data", [sse(*STREAM), sse(*STREAM, end=b"\n\n"), array(*STREAM), sse(*STREAM)[:-4]])
def test_a_stream_cut_at_every_place_gives_the_same_events(data: bytes) -> None:
    whole = run(data)
    assert plain(fold(whole)) == plain(MESSAGE)
    assert run(*[data[i : i + 1] for i in range(len(data))]) == whole
    for at in range(0, len(data), 3):
        assert run(data[:at], data[at:]) == whole


def test_a_stream_means_what_the_plain_answer_means() -> None:
    parts = [p for c in STREAM for p in c["candidates"][0]["content"]["parts"]]
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 4}
    message = decode(chunk(*parts, finish="STOP", responseId="r", modelVersion="m", usageMetadata=usage))
    folded = fold(run(sse(*STREAM)))
    assert plain(folded) == plain(message)
    assert folded.usage == message.usage


def test_events_come_early() -> None:
    events = run(sse(*STREAM))
    assert events[0] == Start(id="r", model="m")
    assert isinstance(events[2], UsageSoFar)
    assert [e for e in events if isinstance(e, TextDelta)] == [TextDelta("Grüße, ", 1), TextDelta("Welt 👋", 1)]
    assert isinstance(events[-1], End)


def test_a_plain_answer_in_place_of_a_stream() -> None:
    data = json.dumps(chunk({"text": "a"}, finish="STOP"), indent=2).encode()
    assert fold(run(*[data[i : i + 5] for i in range(0, len(data), 5)])).text == "a"
    with pytest.raises(IncompleteStream):
        run(data[:-4])


@pytest.mark.parametrize("whole", [sse(*STREAM), array(*STREAM)])
def test_every_cut_before_the_end_raises(whole: bytes) -> None:
    last = whole.rindex(b"finishReason")
    for at in [*range(0, last, 5), last - 1]:
        with pytest.raises(IncompleteStream):
            run(whole[:at])


def test_an_array_that_is_not_closed_raises() -> None:
    with pytest.raises(IncompleteStream):
        run(array(*STREAM)[:-1])


def test_a_cut_event_after_a_finish_reason_raises() -> None:
    # Old models give a finish reason on every chunk: what is cut off behind one may be text.
    data = sse(chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, finish="STOP"))
    assert fold(run(data)).text == "ab"
    with pytest.raises(IncompleteStream):
        run(data[:-30])


def test_no_finish_reason_raises_and_keeps_the_partial() -> None:
    decoder = Google().stream_decoder()
    events = decoder.feed(sse(chunk({"text": "half"}, usageMetadata={"promptTokenCount": 3})))
    with pytest.raises(IncompleteStream):
        decoder.close()
    message = fold(events)
    assert (message.text, message.finish_reason) == ("half", None)
    assert message.usage is not None
    assert message.usage.input_tokens == 3


def test_a_refused_prompt_ends_a_stream() -> None:
    message = fold(run(sse({"promptFeedback": {"blockReason": "SAFETY"}})))
    assert (message.finish_reason, message.raw_finish_reason) == ("content_filter", "SAFETY")


def test_arguments_that_come_in_pieces() -> None:
    def piece(path: str, **value: Any) -> dict[str, Any]:
        return {"jsonPath": path, **value}

    def more(*pieces: Any, **fields: Any) -> dict[str, Any]:
        return chunk({"functionCall": {"partialArgs": list(pieces), **fields}})

    events = run(
        sse(
            chunk({"functionCall": {"name": "f", "willContinue": True}, "thoughtSignature": "S"}),
            more(piece("$.city", stringValue="Par", willContinue=True), willContinue=True),
            more(piece("$.city", stringValue="is"), willContinue=True),
            more(piece("$.days[0].n", numberValue=2), piece("$['odd key'][1]", boolValue=True), willContinue=True),
            more(piece("$.none", nullValue="NULL_VALUE"), willContinue=True),
            chunk({"functionCall": {}}),
            chunk({"functionCall": {"name": "g", "partialArgs": [piece("$.a", stringValue="b")]}}),
            chunk({"functionCall": {"name": "h", "willContinue": True}}),
            chunk({"text": ""}, finish="STOP"),
        )
    )
    assert fold(events).tool_calls == [
        ToolCall(
            "call_0",
            "f",
            {"city": "Paris", "days": [{"n": 2}], "odd key": [None, True], "none": None},
            text='{"city":"Paris","days":[{"n":2}],"odd key":[null,true],"none":null}',
            provider_data={"google": {"thoughtSignature": "S"}},
        ),
        ToolCall("call_1", "g", {"a": "b"}, text='{"a":"b"}'),
        ToolCall("call_2", "h", {}, text="{}"),
    ]
    first = next(e for e in events if isinstance(e, ToolCallDelta))
    assert first == ToolCallDelta(0, "call_0", "f")


@pytest.mark.parametrize("path", ["nowhere", "$.a[9999999999]", "$[0]", None])
def test_arguments_that_name_no_place_are_a_protocol_error(path: Any) -> None:
    data = sse(
        chunk({"functionCall": {"name": "f", "partialArgs": [{"jsonPath": path, "stringValue": "x"}]}}, finish="STOP")
    )
    with pytest.raises(ProtocolError, match="partialArgs"):
        run(data)


def test_sound_in_pieces_is_one_part() -> None:
    sound = {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": PCM}}
    picture = {"inlineData": {"mimeType": "image/png", "data": PNG64}}
    message = fold(run(sse(chunk(sound), chunk(sound), chunk(picture), chunk(picture, finish="STOP"))))
    assert message.content == [
        Audio(data=b"\x01\x02\x01\x02", media_type="audio/L16;codec=pcm;rate=24000"),
        Image(data=PNG, media_type="image/png"),
        Image(data=PNG, media_type="image/png"),
    ]


def test_a_character_split_over_two_chunks() -> None:
    halves = b'data: {"candidates": [{"content": {"parts": [{"text": "\\ud83d"}]}}]}\n\n'
    rest = b'data: {"candidates": [{"content": {"parts": [{"text": "\\udc4b"}]}, "finishReason": "STOP"}]}\n\n'
    assert fold(run(halves, rest)).text == "👋"
    args = b'{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"a": "\\ud83d"}}}]}}]}'
    assert Google().decode(HTTPResponse(status=200, body=args)).tool_calls[0].args == {"a": "\ufffd"}


def test_grounding_of_a_stream_is_placed_at_its_end() -> None:
    support = {"segment": {"startIndex": 2, "endIndex": 4, "text": "bc"}, "groundingChunkIndices": [0]}
    meta = {"groundingMetadata": {"groundingChunks": [{"web": {"uri": "u"}}], "groundingSupports": [support]}}
    stream = [
        chunk({"text": "a "}, meta={"groundingMetadata": {}}),
        chunk({"text": "bc"}, meta=meta),
        chunk(finish="STOP"),
    ]
    citation = Citation(url="u", start=2, end=4, provider_data={"google": {"groundingChunkIndex": 0}})
    assert fold(run(sse(*stream))).content == [Text("a bc", (citation,))]


@pytest.mark.parametrize("data", [b"data: {oops\n\n", b"data: 7\n\n", b"[1]", b"<html>", b"data: null\n\n"])
def test_what_cannot_be_read(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        run(data)


def test_markers_of_gateways_are_skipped() -> None:
    assert fold(run(sse(chunk({"text": "a"}, finish="STOP")) + b"data: [DONE]\n\ndata:\n\n")).text == "a"


# -- errors


def problem(code: int, status: str, message: str, *details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "status": status, "message": message, "details": list(details)}}


KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
LATER = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "laters"}
WAIT = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "48.9s"}


@pytest.mark.parametrize(
    ("status", "body", "cls", "code", "wait"),
    [
        (400, problem(400, "INVALID_ARGUMENT", "API key not valid.", KEY), AuthenticationError, "INVALID_ARGUMENT", None),
        (429, problem(429, "RESOURCE_EXHAUSTED", "quota", WAIT), RateLimitError, "RESOURCE_EXHAUSTED", 48.9),
        (503, problem(503, "UNAVAILABLE", "later", LATER), OverloadedError, "UNAVAILABLE", None),
        (404, problem(404, "NOT_FOUND", "no such model"), NotFoundError, "NOT_FOUND", None),
        (503, [problem(503, "UNAVAILABLE", "overloaded")], OverloadedError, "UNAVAILABLE", None),
        (
            400,
            problem(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8)."),
            ContextTooLongError,
            "INVALID_ARGUMENT",
            None,
        ),
    ],
)  # fmt: skip
def test_http_errors(status: int, body: Any, cls: type[ChatModelError], code: str, wait: float | None) -> None:
    error = Google().decode_error(HTTPResponse(status=status, body=json.dumps(body).encode()))
    assert type(error) is cls
    assert (error.status, error.code, error.retry_after) == (status, code, wait)


def test_an_error_page() -> None:
    error = Google().decode_error(HTTPResponse(status=404, body=b"<html>Not Found</html>"))
    assert isinstance(error, NotFoundError)
    assert error.message == "<html>Not Found</html>"


def test_errors_inside_answers_and_streams() -> None:
    body = problem(429, "RESOURCE_EXHAUSTED", "slow down", WAIT)
    with pytest.raises(RateLimitError, match="slow down") as raised:
        decode(body)
    assert (raised.value.status, raised.value.retry_after) == (429, 48.9)
    for data in (sse(chunk({"text": "a"}), body), array(chunk({"text": "a"}), body)):
        decoder = Google().stream_decoder()
        assert [e for e in decoder.feed(data) if isinstance(e, TextDelta)] == [TextDelta("a")]
        with pytest.raises(RateLimitError):
            decoder.close()


def test_an_answer_that_is_not_json() -> None:
    with pytest.raises(ProtocolError, match="not JSON"):
        Google().decode(HTTPResponse(status=200, body=b"<html>"))


# -- recorded requests


def test_a_request_read_back() -> None:
    made = call(
        SystemMessage("s"),
        HumanMessage([Text("look"), Image(data=PNG, media_type="image/png"), File(url="gs://b/f", media_type="a/b")]),
        AIMessage(
            [
                Reasoning("hm", summary=True, signature="S"),
                Text("so"),
                Text("on", provider_data={"google": {"thoughtSignature": "S"}}),
                ToolCall("i", "weather", {"city": "P"}, text='{"city":"P"}'),
            ],
            provider="google",
        ),
        ToolMessage("22", tool_call_id="i", name="weather"),
        tools=(WEATHER, Tool(name="googleSearch", kind="provider", raw={"googleSearch": {}})),
        temperature=0.5,
        stop=("x",),
        tool_choice="required",
        reasoning_budget=9,
        reasoning_summary="auto",
        response_format={"type": "json_object"},
        metadata={"a": "b"},
        extra_body={"safetySettings": [{"category": "C", "threshold": "T"}]},
        stream=True,
    )
    request = Google().encode(made)
    assert Google().decode_request(json.loads(request.body), request.path) == made


def test_the_other_spelling_of_a_request() -> None:
    body = {
        "system_instruction": {"parts": {"text": "s"}},
        "contents": [
            {"parts": [{"text": "hi"}]},
            {"role": "model", "parts": [{"function_call": {"name": "f", "args": {"snake_case": 1}}}]},
            {"role": "function", "parts": [{"function_response": {"name": "f", "response": {"error": "no"}}}, {"text": "?"}]},
        ],
        "tools": {"function_declarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {
            "a_b": {"type": "STRING", "nullable": True, "any_of": [], "min_length": "1"}}}}]},
        "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
        "generation_config": {"max_output_tokens": 5, "thinking_config": {"thinking_level": "LOW"}},
        "safety_settings": None,
    }  # fmt: skip
    read = Google().decode_request(
        body, "/v1/projects/p/locations/l/publishers/google/models/gemini-3-pro:generateContent"
    )
    assert read == call(
        SystemMessage("s"),
        HumanMessage("hi"),
        AIMessage([ToolCall("call_0", "f", {"snake_case": 1}, text='{"snake_case":1}')], provider="google"),
        ToolMessage("no", tool_call_id="call_0", is_error=True, name="f"),
        HumanMessage("?"),
        model="gemini-3-pro",
        tools=(
            Tool(
                name="f",
                parameters={
                    "type": "object",
                    "properties": {"a_b": {"type": ["string", "null"], "anyOf": [], "minLength": 1}},
                },
            ),
        ),
        tool_choice="f",
        max_tokens=5,
        reasoning_effort="low",
        reasoning_summary="none",
    )


SCHEMA_READ = {"type": ["string", "null"], "enum": ["a", None]}
JSON_MODE = {"responseMimeType": "application/json"}
READ = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA_READ}}
VOICE = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}
AUTO = {"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}}


def config(**fields: Any) -> dict[str, Any]:
    return {"generationConfig": fields}


@pytest.mark.parametrize(
    ("fields", "settings"),
    [
        ({}, Settings()),
        (config(responseMimeType="text/x.enum"), Settings(extra_body=config(responseMimeType="text/x.enum"))),
        (config(**JSON_MODE), Settings(response_format={"type": "json_object"})),
        (
            config(**JSON_MODE, responseSchema={"type": "STRING", "nullable": True, "enum": ["a"]}),
            Settings(response_format=READ),
        ),
        (
            config(**JSON_MODE, responseJsonSchema=True),
            Settings(extra_body=config(**JSON_MODE, responseJsonSchema=True)),
        ),
        (config(thinkingConfig={"includeThoughts": True}), Settings(reasoning_summary="auto")),
        (config(thinkingConfig={"thinkingBudget": 0}), Settings(reasoning_budget=0)),
        (
            config(thinkingConfig={"thinkingLevel": "LOW"}),
            Settings(extra_body=config(thinkingConfig={"thinkingLevel": "LOW"})),
        ),
        (config(thinkingConfig={"new": 1}), Settings(extra_body=config(thinkingConfig={"new": 1}))),
        (config(speechConfig=VOICE), Settings(audio={"voice": "Kore"})),
        (config(speechConfig={"languageCode": "de"}), Settings(audio={"languageCode": "de"})),
        (AUTO, Settings(extra_body=AUTO)),
        (
            {"serviceTier": "flex", "labels": {"a": 1}, "store": True},
            Settings(service_tier="flex", store=True, extra_body={"labels": {"a": 1}}),
        ),
        ({"cachedContent": "c", "safetySettings": None}, Settings(extra_body={"cachedContent": "c"})),
    ],
)
def test_settings_read_back(fields: dict[str, Any], settings: Settings) -> None:
    read = Google().decode_request({"contents": [], "model": "models/gemini-2.5-pro", **fields})
    assert (read.settings, read.model) == (settings, "gemini-2.5-pro")


@pytest.mark.parametrize(
    ("calling", "choice"),
    [
        ({"mode": "NONE"}, "none"),
        ({"mode": "ANY", "allowedFunctionNames": ["auto"]}, None),
        ({"mode": "VALIDATED"}, None),
        ({"mode": "ANY", "allowedFunctionNames": ["a", "b"]}, None),
        ({"mode": "AUTO", "streamFunctionCallArguments": True}, None),
    ],
)
def test_tool_choice_read_back(calling: dict[str, Any], choice: Any) -> None:
    tools = [
        {"functionDeclarations": [{"name": "f", "behavior": "BLOCKING"}, 7], "codeExecution": {}, "googleSearch": None}
    ]
    body = {"contents": [], "tools": tools, "toolConfig": {"functionCallingConfig": calling}}
    read = Google().decode_request(body, "/v1beta/models/gemini-2.5-pro:generateContent")
    assert read.settings.tool_choice == choice or read.settings.tool_choice == {"functionCallingConfig": calling}
    assert [(t.name, t.kind, t.provider_data) for t in read.tools] == [
        ("f", "function", {"google": {"behavior": "BLOCKING"}}),
        ("codeExecution", "provider", None),
    ]
    again = json.loads(Google().encode(read).body)
    assert again["tools"] == [{"functionDeclarations": [{"name": "f", "behavior": "BLOCKING"}]}, {"codeExecution": {}}]
    assert again["toolConfig"] == {"functionCallingConfig": calling}


def test_results_read_back() -> None:
    part = {
        "functionResponse": {
            "name": "f",
            "response": {"output": "see"},
            "scheduling": "WHEN_IDLE",
            "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG64}}],
        },
        "thoughtSignature": "S",
    }
    contents = [
        {
            "role": "user",
            "parts": [part, {"functionResponse": {"name": "g"}}, {"functionResponse": {"name": "h", "response": 7}}],
        }
    ]
    body = {"systemInstruction": "s", "contents": contents}
    read = Google().decode_request(body, "/v1beta/models/gemini-3-pro:generateContent")
    assert read.messages == (
        SystemMessage("s"),
        ToolMessage(
            [Text("see"), Image(data=PNG, media_type="image/png")],
            name="f",
            provider_data={"google": {"thoughtSignature": "S", "functionResponse": {"scheduling": "WHEN_IDLE"}}},
        ),
        ToolMessage("", name="g"),
        ToolMessage("7", name="h"),
    )
    assert json.loads(Google().encode(read).body)["contents"][0]["parts"][0] == part


@pytest.mark.parametrize("body", [{}, {"contents": "hi"}, {"contents": [7]}])
def test_what_is_no_request(body: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Google().decode_request(body)
