"""What a model takes: every accepted form, every refused one with its message; OpenAI dicts in and out."""

# ruff: noqa: E501 (a form stands in one line)

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from chatmodels._call import Call
from chatmodels._errors import UsageError
from chatmodels._inputs import from_openai, messages_of, plain, tool_call
from chatmodels._messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    Message,
    SystemMessage,
    ToolMessage,
)
from chatmodels._parts import Audio, Image, InvalidToolCall, Reasoning, Refusal, Text, ToolCall
from chatmodels.dialects._openai_chat_dicts import to_openai
from chatmodels.dialects.openai_chat import OpenAIChat

from . import strategies as made


class PromptValue:
    """What a prompt template gives."""

    def to_messages(self) -> list[Message]:
        return [SystemMessage("s"), HumanMessage("h")]


ACCEPTED: list[tuple[str, Any, list[Message]]] = [
    ("str", "hi", [HumanMessage("hi")]),
    ("message", AIMessage("hi"), [AIMessage("hi")]),
    ("messages", [SystemMessage("s"), HumanMessage("h")], [SystemMessage("s"), HumanMessage("h")]),
    ("tuple of messages", (SystemMessage("s"), HumanMessage("h")), [SystemMessage("s"), HumanMessage("h")]),
    ("generator", (m for m in [HumanMessage("h")]), [HumanMessage("h")]),
    ("strs", ["a", "b"], [HumanMessage("a"), HumanMessage("b")]),
    ("prompt value", PromptValue(), [SystemMessage("s"), HumanMessage("h")]),
    ("pairs", [("system", "s"), ("human", "h"), ("user", "u"), ("ai", "a"), ("assistant", "b"), ("judge", "j")],
     [SystemMessage("s"), HumanMessage("h"), HumanMessage("u"), AIMessage("a"), AIMessage("b"), ChatMessage("j", role="judge")]),
    ("pair as list", [["human", "h"]], [HumanMessage("h")]),
    ("pair with parts", [("user", ["x", Image(url="u")])], [HumanMessage([Text("x"), Image(url="u")])]),
    ("OpenAI dicts", [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "h"}], "name": "ann"}],
     [SystemMessage("s"), HumanMessage([Text("h")], name="ann")]),
    ("OpenAI: developer", [{"role": "developer", "content": "s"}], [ChatMessage("s", role="developer")]),
    ("OpenAI: calls and results", [{"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                                   {"role": "tool", "tool_call_id": "c", "content": "22"}],
     [AIMessage([ToolCall("c", "f", {}, text="{}")]), ToolMessage("22", tool_call_id="c")]),
    ("OpenAI: 2023", [{"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}, {"role": "function", "name": "f", "content": "22"}],
     [AIMessage([ToolCall("", "f", {}, text="{}", provider_data={"openai-chat": {"legacy": True}})]), FunctionMessage("22", name="f")]),
    ("OpenAI: an answer dumped whole", [{"role": "assistant", "content": "a", "refusal": None, "annotations": [], "audio": None, "function_call": None, "tool_calls": None}],
     [AIMessage("a")]),
    ("OpenAI: refusal and audio", [{"role": "assistant", "content": None, "refusal": "no"}, {"role": "assistant", "audio": {"id": "a"}}],
     [AIMessage([Refusal("no")]), AIMessage([Audio(file_id="a")])]),
    ("OpenAI: beside", [{"role": "user", "content": "x", "weight": 1}, {"role": "assistant", "content": "x", "prefix": True}],
     [HumanMessage("x", {"weight": 1}), AIMessage("x", {"prefix": True})]),
    ("LangChain calls", [{"role": "assistant", "content": "", "tool_calls": [{"name": "f", "args": {"a": 1}, "id": "c"}]}],
     [AIMessage([ToolCall("c", "f", {"a": 1})])]),
    ("our dicts", [{"type": "human", "content": "x"}, HumanMessage("y").to_dict()], [HumanMessage("x"), HumanMessage("y")]),
    ("2023 dicts", [{"type": "human", "data": {"content": "x"}}], [HumanMessage("x")]),
    ("mixed", ["a", ("ai", "b"), {"role": "user", "content": "c"}, HumanMessage("d")],
     [HumanMessage("a"), AIMessage("b"), HumanMessage("c"), HumanMessage("d")]),
]  # fmt: skip


@pytest.mark.parametrize(("given_input", "messages"), [a[1:] for a in ACCEPTED], ids=[a[0] for a in ACCEPTED])
def test_accepted(given_input: Any, messages: list[Message]) -> None:
    assert messages_of(given_input) == messages


def test_the_list_given_is_not_the_list_kept() -> None:
    talk: list[Message] = [HumanMessage("x")]
    kept = messages_of(talk)
    talk.append(AIMessage("y"))
    assert len(kept) == 1


REFUSED: list[tuple[Any, str, str]] = [
    (None, "messages", "messages is a str, a message, a list of messages, (role, text) pairs or dicts, or a prompt value; got NoneType"),
    (5, "messages", "got int"),
    (b"hi", "messages", "got bytes"),
    ({"role": "user", "content": "x"}, "messages", "got dict"),
    ([], "messages", "messages is empty: give at least one message"),
    ([5], "messages[0]", "messages[0] is a message, a (role, text) pair, a dict with a 'role' or a str; got int"),
    (["a", None], "messages[1]", "messages[1] is a message"),
    ([("tool", "22")], "messages[0]", "a tool message needs its call: use ToolMessage(...)"),
    ([("a", "b", "c")], "messages[0]", "got tuple"),
    ([("user", 5)], "messages[0]", "messages[0]: content is a str or a list of parts, not int"),
    ([{"content": "x"}], "messages[0]", "messages[0]: message data needs a 'type'"),
    ([{"role": "", "content": "x"}], "messages[0]", "messages[0]: a message dict needs a 'role'"),
    ([{"role": "user", "content": 5}], "messages[0]", "messages[0]: content is a str or a list of parts, not int"),
    ([{"role": "user", "content": [{"type": "hologram"}]}], "messages[0]", "messages[0]: content[0]: a dict of type 'hologram'"),
    ([{"role": "assistant", "tool_calls": "x"}], "messages[0]", "tool_calls is a list of dicts, not str"),
    ([{"role": "assistant", "tool_calls": ["x"]}], "messages[0]", "tool_calls holds dicts, not str"),
    ([{"type": "martian", "content": "x"}], "messages[0]", "got 'martian'"),
    ([{"type": "human", "data": {"content": 5}}], "messages[0]", "message data of type 'human'"),
]  # fmt: skip


@pytest.mark.parametrize(("given_input", "argument", "words"), REFUSED, ids=[r[2][:30] for r in REFUSED])
def test_refused(given_input: Any, argument: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        messages_of(given_input)
    assert raised.value.argument == argument
    assert words in str(raised.value)


CALLS: list[tuple[Any, Any]] = [
    ('{"a": 1}', ToolCall("c", "f", {"a": 1}, text='{"a": 1}')),
    ({"a": 1}, ToolCall("c", "f", {"a": 1})),
    (None, ToolCall("c", "f", {})),
    ("", ToolCall("c", "f", {}, text="")),
    ("null", ToolCall("c", "f", {}, text="null")),
    (
        '{"a": ',
        InvalidToolCall("c", "f", '{"a": ', "the arguments are not JSON: Expecting value: line 1 column 7 (char 6)"),
    ),
    ("[1]", InvalidToolCall("c", "f", "[1]", "the arguments are not a JSON object but list")),
    ('{"a": "half \\ud83d"}', ToolCall("c", "f", {"a": "half \ufffd"}, text='{"a": "half \\ud83d"}')),
    ('{"a": "\\ud83d\\ude00"}', ToolCall("c", "f", {"a": "😀"}, text='{"a": "\\ud83d\\ude00"}')),
    ('{"a": "line\nbreak"}', ToolCall("c", "f", {"a": "line\nbreak"}, text='{"a": "line\nbreak"}')),
]


@pytest.mark.parametrize(("arguments", "call"), CALLS)
def test_calls_from_their_arguments(arguments: Any, call: Any) -> None:
    made_call = tool_call("c", "f", arguments)
    assert made_call == call
    AIMessage([made_call]).to_json()


def test_plain() -> None:
    assert plain([]) == ""
    assert plain([Text("x")]) == "x"
    assert plain([Text("x", cache=True)]) == [Text("x", cache=True)]
    assert plain([Text("x"), Text("y")]) == [Text("x"), Text("y")]


# ---- OpenAI dicts out


def test_to_openai() -> None:
    talk = [
        SystemMessage("s"),
        HumanMessage(["see", Image(url="https://e.com/i")], name="ann"),
        AIMessage([Reasoning("hm"), Text("a"), ToolCall("c", "f", {"x": 1})]),
        ToolMessage("22", tool_call_id="c", name="f"),
        ChatMessage("x", role="developer"),
    ]
    assert to_openai(talk) == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "https://e.com/i"}}], "name": "ann"},
        {"role": "assistant", "content": "a", "reasoning_content": "hm",
         "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}]},
        {"role": "tool", "content": "22", "tool_call_id": "c", "name": "f"},
        {"role": "developer", "content": "x"},
    ]  # fmt: skip


def test_what_openai_dicts_cannot_say_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="reasoning of another provider is not sent"):
        out = to_openai([AIMessage([Reasoning("hm"), Text("a")], provider="anthropic")])
    assert out == [{"role": "assistant", "content": "a"}]
    own = AIMessage(
        [ToolCall("c", "f", {}, provider_data={"openrouter": {"extra": {"sig": 1}}})], provider="openrouter"
    )
    assert to_openai([own], provider="openrouter")[0]["tool_calls"][0]["sig"] == 1
    assert "sig" not in to_openai([own])[0]["tool_calls"][0]
    with pytest.raises(UsageError):
        to_openai([HumanMessage([Image(file_id="f")])])


def test_dicts_with_a_hosts_own_data_go_back_as_they_came() -> None:
    """A history in OpenAI dicts, from a host that wants its signatures back: nothing is lost on the way through."""
    item = {
        "role": "assistant",
        "content": "a",
        "reasoning": "hm",
        "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s"}],
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{ }"}, "extra_content": {"google": {"thought_signature": "t"}}}],
        "extra_content": {"x": 1},
    }  # fmt: skip
    message = from_openai(item)
    assert isinstance(message, AIMessage)
    assert message.reasoning == "hm"
    sent = OpenAIChat("any-host").encode(Call(model="m", messages=(message,)))
    assert json.loads(sent.body)["messages"] == [item]
    assert to_openai([message]) == [item]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(made.conversations())
def test_out_and_in_again_means_the_same(talk: tuple[Message, ...]) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = to_openai(talk)
    except UsageError:
        return
    json.dumps(out)
    again = messages_of(json.loads(json.dumps(out)))
    assert normal(to_openai(again)) == normal(out)


def normal(out: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Text is the same as a list of it, and none in an answer the same as empty."""
    for message in out:
        content = message["content"] or []
        content = [{"type": "text", "text": content}] if isinstance(content, str) else content
        message["content"] = [p for p in content if p != {"type": "text", "text": ""} or message["role"] != "assistant"]
    return out
