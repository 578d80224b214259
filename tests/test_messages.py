"""Messages as values: how they print, what is derived from them, and that they survive every trip unchanged."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

import chatmodels
from chatmodels._errors import UsageError
from chatmodels._inputs import buffer_string, from_dict, from_json, messages_from_dict, messages_to_dict
from chatmodels._messages import (
    MESSAGE_TYPES,
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    Message,
    SystemMessage,
    ToolMessage,
    with_body,
)
from chatmodels._parts import (
    PART_TYPES,
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
from chatmodels._usage import Usage

from . import strategies as made

often = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


# ---- as in 2023


def test_they_print_as_the_page_shows() -> None:
    assert repr(AIMessage(content="J'aime programmer.", additional_kwargs={})) == (
        'AIMessage(content="J\'aime programmer.", additional_kwargs={})'
    )
    assert repr(HumanMessage(content="hi")) == "HumanMessage(content='hi', additional_kwargs={})"
    assert str(SystemMessage("s")) == "SystemMessage(content='s', additional_kwargs={})"
    assert (
        repr(ChatMessage(role="judge", content="x")) == "ChatMessage(content='x', additional_kwargs={}, role='judge')"
    )
    assert (
        repr(FunctionMessage(name="f", content="x")) == "FunctionMessage(content='x', additional_kwargs={}, name='f')"
    )
    assert (
        repr(ToolMessage("x", tool_call_id="c")) == "ToolMessage(content='x', additional_kwargs={}, tool_call_id='c')"
    )


def test_what_is_known_of_an_answer_does_not_print() -> None:
    answer = AIMessage(
        "hi", id="1", model="m", usage=Usage(input_tokens=1), finish_reason="stop", provider_data={"x": {}}
    )
    assert repr(answer) == "AIMessage(content='hi', additional_kwargs={})"
    assert (
        repr(HumanMessage("hi", example=True, name="ann"))
        == "HumanMessage(content='hi', additional_kwargs={}, example=True, name='ann')"
    )


def test_positional_as_in_2023_and_by_name() -> None:
    assert HumanMessage("hi") == HumanMessage(content="hi")
    assert AIMessage("hi", {"a": 1}) == AIMessage(content="hi", additional_kwargs={"a": 1})
    assert ToolMessage(content="22", tool_call_id="c") == ToolMessage("22", tool_call_id="c")


def test_buffer_string() -> None:
    talk = [
        SystemMessage("s"),
        HumanMessage("h"),
        AIMessage("a", {"function_call": {"name": "f"}}),
        FunctionMessage("22", name="f"),
        ToolMessage("t", tool_call_id="c"),
        ChatMessage("x", role="user"),
        AIMessage([Reasoning("hm"), Text("b"), Text("c")]),
    ]
    assert buffer_string(talk) == "System: s\nHuman: h\nAI: a{'name': 'f'}\nFunction: 22\nTool: t\nuser: x\nAI: bc"
    assert buffer_string(talk[1:3], human_prefix="User", ai_prefix="Bot") == "User: h\nBot: a{'name': 'f'}"
    assert buffer_string([]) == ""


# ---- what is derived


def test_derived_from_the_parts() -> None:
    calls = [ToolCall("c1", "f", {"a": 1}), InvalidToolCall("c2", "g", "{", "no JSON")]
    cited = Citation(url="u")
    answer = AIMessage([Reasoning("hm"), Text("a", (cited,)), *calls, Text("b"), Refusal("no"), Refusal("!")])
    assert (answer.text, answer.reasoning, answer.refusal) == ("ab", "hm", "no!")
    assert answer.tool_calls == calls
    assert answer.invalid_tool_calls == calls[1:]
    assert answer.citations == [cited]
    assert answer.raw is None
    bare = AIMessage("x")
    assert (bare.parts, bare.tool_calls, bare.reasoning, bare.refusal, bare.citations) == (
        [Text("x")],
        [],
        "",
        None,
        [],
    )
    assert AIMessage("").parts == []
    assert AIMessage(None).content == ""  # type: ignore[arg-type]


def test_roles() -> None:
    roles = [m.role for m in (SystemMessage(""), HumanMessage(""), AIMessage(""), ToolMessage(""), FunctionMessage(""))]
    assert roles == ["system", "user", "assistant", "tool", "function"]
    assert ChatMessage("x", role="judge").role == "judge"


def test_result_of_a_tool_message() -> None:
    message = ToolMessage([Text("x")], tool_call_id="c", is_error=True, name="f", provider_data={"p": {"a": 1}})
    assert message.result == ToolResult("c", [Text("x")], True, "f", provider_data={"p": {"a": 1}})


def test_pretty() -> None:
    assert HumanMessage("hi").pretty_repr() == f"{' User Message ':=^80}\n\nhi"


def test_media() -> None:
    image = Image(data=b"\x89PNG", media_type="image/png")
    assert image.base64 == "iVBORw=="
    assert image.data_url == "data:image/png;base64,iVBORw=="
    assert Image(url=image.data_url) == image
    assert repr(image) == "Image(data=<4 bytes>, media_type='image/png')"
    assert Image(url="https://e.com/i").data_url == "https://e.com/i"
    assert File(file_id="f").data_url is None


def test_media_from_a_path(tmp_path: Any) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF")
    assert File.from_path(path) == File(data=b"%PDF", media_type="application/pdf", name="a.pdf")
    assert File.from_path(str(path), media_type="x/y", cache=True).cache is True


MEDIA_ERRORS: list[tuple[type[Any], dict[str, Any], str, str]] = [
    (
        Image,
        {},
        "data",
        "exactly one of url, data (bytes) or file_id; got none. For a file on disk use Image.from_path(path)",
    ),
    (File, {"url": "u", "data": b"x"}, "data", "got url, data"),
    (Audio, {"data": "text"}, "data", "takes bytes, not str; decode base64 text first"),
    (Video, {"url": "data:video/mp4;base64,!!"}, "url", "does not hold base64"),
    (Audio, {"transcript": "la", "url": "u", "file_id": "f"}, "file_id", "got url, file_id"),
]


@pytest.mark.parametrize(("kind", "fields", "argument", "words"), MEDIA_ERRORS)
def test_media_that_cannot_be(kind: type[Any], fields: dict[str, Any], argument: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        kind(**fields)
    assert raised.value.argument == argument
    assert words in str(raised.value)


# ---- what they refuse

REFUSED: list[tuple[Any, str, str]] = [
    (lambda: HumanMessage({"a": 1}), "content", "put a part given as a dict into a list"),  # type: ignore[arg-type]
    (lambda: HumanMessage(5), "content", "a str or a list of parts, not int"),  # type: ignore[arg-type]
    (lambda: HumanMessage(b"x"), "content", "not bytes"),  # type: ignore[arg-type]
    (lambda: HumanMessage(None), "content", "content is None"),  # type: ignore[arg-type]
    (lambda: SystemMessage(None), "content", "content is None"),  # type: ignore[arg-type]
    (lambda: HumanMessage([5]), "content[0]", "content[0] is a part, a str or a dict with a 'type', not int"),  # type: ignore[list-item]
    (
        lambda: HumanMessage(["x", {"a": 1}]),
        "content[1]",
        "content[1]: a dict of type None that is neither one of our parts",
    ),  # type: ignore[list-item]
    (lambda: HumanMessage([{"type": "hologram"}]), "content[0]", "a dict of type 'hologram'"),  # type: ignore[list-item]
    (lambda: HumanMessage([{"type": "image_url"}]), "content[0]", "a dict of type 'image_url'"),  # type: ignore[list-item]
    (
        lambda: HumanMessage([{"type": "image"}]),
        "content[0]",
        "Image takes exactly one of url, data (bytes) or file_id",
    ),  # type: ignore[list-item]
    (lambda: HumanMessage([{"type": "input_audio", "input_audio": {"data": "é"}}]), "content[0]", "input_audio"),  # type: ignore[list-item]
    (lambda: HumanMessage("x", "ann"), "additional_kwargs", "additional_kwargs is a dict, not str"),  # type: ignore[arg-type]
    (lambda: ChatMessage("x"), "role", "ChatMessage needs a role"),
    (lambda: ChatMessage("x", role=5), "role", "ChatMessage needs a role"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("make", "argument", "words"), REFUSED, ids=[r[2][:40] for r in REFUSED])
def test_what_is_no_message(make: Any, argument: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        make()
    assert raised.value.argument == argument
    assert words in str(raised.value)


def test_calls_are_parts_of_the_content() -> None:
    """Given beside it, in any form, they become parts: one message has one spelling."""
    call = {"name": "f", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
    want = AIMessage([ToolCall("c1", "f", {"a": 1})])
    assert AIMessage(content="", tool_calls=[call]) == want == AIMessage(tool_calls=want.tool_calls)
    assert AIMessage("x", tool_calls=[]) == AIMessage("x")
    wire = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    both = AIMessage("Let me see.", tool_calls=[wire], name="n")
    assert (both.text, both.name, both.tool_calls[0].args) == ("Let me see.", "n", {"a": 1})
    assert pickle.loads(pickle.dumps(both)) == both == from_dict(both.to_dict())
    assert from_dict({"type": "ai", "content": "", "tool_calls": [call]}) == want
    assert messages_from_dict([{"type": "ai", "data": {"content": "", "tool_calls": [call]}}]) == [want]


@pytest.mark.parametrize(
    ("content", "calls", "words"),
    [
        ("", 5, "a list of dicts"),
        ("", ["x"], "holds dicts"),
        ([ToolCall("c", "f", {})], [ToolCall("d", "f", {})], "already"),
    ],
)
def test_wrong_calls_beside_the_content(content: Any, calls: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        AIMessage(content, tool_calls=calls)
    assert raised.value.argument == "tool_calls"


CONTENT: list[tuple[Any, Any]] = [
    ("x", "x"),
    ([], []),
    (("x",), [Text("x")]),
    (Text("x"), [Text("x")]),
    (["x", Image(url="u")], [Text("x"), Image(url="u")]),
    ([{"type": "text", "text": "x"}], [Text("x")]),
    ([{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}], [Text("x", cache="1h")]),
    ([{"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}], [Text("x", cache=True)]),
    (
        [{"type": "text", "text": "x", "citations": [{"type": "citation", "url": "u"}]}],
        [Text("x", (Citation(url="u"),))],
    ),
    ([{"type": "image_url", "image_url": {"url": "u", "detail": "low"}}], [Image(url="u", detail="low")]),
    (
        [{"type": "image_url", "image_url": "data:image/png;base64,iVBORw=="}],
        [Image(data=b"\x89PNG", media_type="image/png")],
    ),
    (
        [{"type": "input_audio", "input_audio": {"data": "UklG\nRg==", "format": "mp3"}}],
        [Audio(data=b"RIFF", media_type="audio/mpeg")],
    ),
    ([{"type": "file", "file": {"file_id": "f", "filename": "n"}}], [File(file_id="f", name="n")]),
    (
        [{"type": "file", "file": {"file_data": "JVBERg==", "filename": "n"}}],
        [File(data=b"%PDF", name="n", media_type="application/pdf")],
    ),
    ([{"type": "file", "file": {"file_data": "https://e.com/f.pdf"}}], [File(url="https://e.com/f.pdf")]),
    ([{"type": "file", "file_id": "f"}], [File(file_id="f")]),
    ([{"type": "audio_url", "audio_url": {"url": "u"}}], [Audio(url="u")]),
    ([{"type": "video_url", "video_url": {"url": "u"}}], [Video(url="u")]),
    ([{"type": "refusal", "refusal": "no"}], [Refusal("no")]),
    ([{"type": "image", "url": "u"}, {"type": "reasoning", "text": "hm"}], [Image(url="u"), Reasoning("hm")]),
    ([{"type": "tool_call", "id": "c", "name": "f", "args": {"a": 1}}], [ToolCall("c", "f", {"a": 1})]),
]


@pytest.mark.parametrize(("given_content", "content"), CONTENT)
def test_forms_of_content(given_content: Any, content: Any) -> None:
    assert HumanMessage(given_content).content == content


# ---- values


def test_frozen_equal_and_not_shared() -> None:
    one, other = HumanMessage("x"), HumanMessage("x")
    assert one == other
    assert one != AIMessage("x")
    with pytest.raises(AttributeError):
        one.content = "y"  # type: ignore[misc]
    one.additional_kwargs["a"] = 1
    assert other.additional_kwargs == {}
    assert HumanMessage("z").additional_kwargs == {}


def test_equality_ignores_the_wire_answer() -> None:
    answer = with_body(AIMessage("x"), b'{"a": 1}')
    assert answer.raw == {"a": 1}
    assert answer == AIMessage("x")
    assert pickle.loads(pickle.dumps(answer)).raw is None
    assert from_json(answer.to_json()) == answer
    assert from_json(answer.to_json()).raw is None  # type: ignore[union-attr]


@often
@given(made.messages)
def test_every_trip_is_the_identity(message: Message) -> None:
    assert from_dict(message.to_dict()) == message
    assert from_json(message.to_json()) == message
    assert json.loads(message.to_json()) == message.to_dict()
    assert messages_from_dict(messages_to_dict([message])) == [message]
    assert pickle.loads(pickle.dumps(message)) == message
    assert copy.deepcopy(message) == message
    assert copy.copy(message) == message
    assert msgspec.json.decode(msgspec.json.encode(message), type=Message) == message
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=Message) == message
    assert repr(message).startswith(type(message).__name__)


@often
@given(made.messages)
def test_the_2023_form(message: Message) -> None:
    (data,) = messages_to_dict([message])
    assert data.keys() == {"type", "data"}
    assert {"content", "additional_kwargs"} <= data["data"].keys()
    assert "v" not in data["data"]


def test_the_json_form_is_stable() -> None:
    """Stored conversations are read for ever: this text must not change while the version is 1."""
    message = AIMessage(
        [Reasoning("hm", signature="s"), Text("a", (Citation(url="u"),), cache="1h"),
         ToolCall("c", "f", {"x": 1}, text='{"x":1}'),
         Image(data=b"\x89PNG", media_type="image/png"), ServerTool(kind="web_search", result=[1]),
         Opaque(provider="p", kind="k", data={"a": 1})],
        model="m", usage=Usage(input_tokens=1, output_tokens=2), finish_reason="stop",
    )  # fmt: skip
    assert message.to_dict() == {
        "v": 1, "type": "ai", "model": "m", "finish_reason": "stop", "usage": {"input_tokens": 1, "output_tokens": 2},
        "content": [
            {"type": "reasoning", "text": "hm", "signature": "s"},
            {"type": "text", "cache": "1h", "text": "a", "citations": [{"type": "citation", "url": "u"}]},
            {"type": "tool_call", "id": "c", "name": "f", "args": {"x": 1}, "text": '{"x":1}'},
            {"type": "image", "data": "iVBORw==", "media_type": "image/png"},
            {"type": "server_tool", "kind": "web_search", "result": [1]},
            {"type": "opaque", "provider": "p", "kind": "k", "data": {"a": 1}},
        ],
    }  # fmt: skip


def test_every_kind_has_its_tag() -> None:
    assert [m.__struct_config__.tag for m in MESSAGE_TYPES] == ["system", "human", "ai", "tool", "chat", "function"]
    assert [p.__struct_config__.tag for p in PART_TYPES] == [
        "text", "image", "audio", "video", "file", "reasoning", "tool_call", "invalid_tool_call", "tool_result", "server_tool",
        "refusal", "opaque",
    ]  # fmt: skip


BAD_DATA: list[tuple[Any, str, str]] = [
    ({"v": 2, "type": "human"}, "v", "message data of version 2: this release reads version 1"),
    ({"type": "martian"}, "type", "needs a 'type' of system, human, ai, tool, chat, function; got 'martian'"),
    ({}, "type", "got None"),
    ({"type": "human", "content": 5}, "data", "message data of type 'human': Expected"),
    ({"type": "human", "content": [{"type": "image"}]}, "data", "Image takes exactly one of"),
    ({"type": "ai", "usage": "x"}, "data", "$.usage"),
]


@pytest.mark.parametrize(("data", "argument", "words"), BAD_DATA)
def test_what_is_no_message_data(data: Any, argument: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        from_dict(data)
    assert raised.value.argument == argument
    assert words in str(raised.value)
    with pytest.raises(UsageError):
        from_json("[]")


def test_fields_of_a_later_version_are_ignored() -> None:
    assert from_dict({"type": "human", "content": "x", "mood": "good"}) == HumanMessage("x")


def test_langchains_dicts() -> None:
    """What `messages_to_dict` of today's LangChain writes."""
    data = [
        {"type": "human", "data": {"content": "hi", "additional_kwargs": {}, "response_metadata": {}, "type": "human",
                                   "name": None, "id": None, "example": False}},
        {"type": "ai", "data": {"content": "see", "type": "ai", "id": "run-1", "usage_metadata": None,
                                "tool_calls": [{"name": "f", "args": {"a": 1}, "id": "c1", "type": "tool_call"}],
                                "invalid_tool_calls": [{"name": "g", "args": "{", "id": "c2", "error": None}]}},
        {"type": "tool", "data": {"content": "22", "type": "tool", "tool_call_id": "c1", "status": "error", "artifact": None}},
    ]  # fmt: skip
    human, answer, result = messages_from_dict(data)
    assert human == HumanMessage("hi")
    assert isinstance(answer, AIMessage)
    assert answer.text == "see"
    assert [(c.id, c.name, c.args) for c in answer.tool_calls] == [("c1", "f", {"a": 1}), ("c2", "g", "{")]
    assert result == ToolMessage("22", tool_call_id="c1", is_error=True)


def test_public_names() -> None:
    from chatmodels import schema

    assert schema.AIMessage is chatmodels.AIMessage is AIMessage
    assert schema.get_buffer_string([HumanMessage("x")]) == "Human: x"
