"""History: trimming never orphans a call or a result, whatever the conversation; repair, merge, summaries and data."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatmodels import (
    AIMessage,
    File,
    HumanMessage,
    Image,
    OutputError,
    Reasoning,
    SystemMessage,
    Text,
    ToolCall,
    ToolMessage,
    Usage,
    UsageError,
)
from chatmodels._messages import ChatMessage, FunctionMessage, Message
from chatmodels._parts import Refusal, ToolResult
from chatmodels.history import (
    asummarize_messages,
    from_openai,
    get_buffer_string,
    merge_messages,
    messages_from_dict,
    messages_from_json,
    messages_to_dict,
    messages_to_json,
    repair_messages,
    summarize_messages,
    to_openai,
    trim_messages,
    validate_messages,
)
from chatmodels.tokens import estimate_tokens

from . import strategies
from .conftest import chat
from .servers import Server, answer, plain

SYSTEM = SystemMessage("Be brief.")


def asks(*ids: str, text: str = "") -> AIMessage:
    return AIMessage([*([Text(text)] if text else []), *(ToolCall(i, "f", {}) for i in ids)])


def gives(ident: str, text: str = "22") -> ToolMessage:
    return ToolMessage(text, tool_call_id=ident)


def words(messages: list[Message]) -> int:
    return sum(len(m.text.split()) for m in messages)


# ---- any conversation, broken ones too

loose = st.lists(
    st.one_of(
        strategies.systems,
        strategies.humans,
        st.sampled_from([asks("a"), asks("b"), asks("a", "b"), gives("a"), gives("b"), AIMessage("ok")]),
        st.builds(lambda i: HumanMessage([ToolResult(i, "x"), Text("and so")]), st.sampled_from(["a", "c"])),
        st.just(FunctionMessage("x", name="f")),
    ),
    min_size=3,
    max_size=9,
)  # fmt: skip
any_conversation = st.one_of(
    loose, st.lists(strategies.conversations(), max_size=2).map(lambda c: [m for t in c for m in t])
)


def is_subsequence(part: list[Message], whole: list[Message]) -> bool:
    rest = iter(whole)
    return all(any(one is other for other in rest) for one in part)


@settings(max_examples=30)
@given(
    any_conversation,
    st.integers(1, 400),
    st.sampled_from(["last", "first"]),
    st.booleans(),
    st.none() | st.integers(1, 3),
)
def test_what_is_left_is_sound_fits_and_is_part_of_it(
    messages: list[Message], most: int, strategy: Any, keep: bool, turns: int | None
) -> None:
    options: dict[str, Any] = {"strategy": strategy, "keep_system": keep, "max_turns": turns}
    whole = trim_messages(messages, max_tokens=10**6, **options)
    try:
        left = trim_messages(messages, max_tokens=most, **options)
    except UsageError as error:
        if estimate_tokens(whole) <= most or "even the least" not in str(error):
            raise
        return
    assert validate_messages(left) == []
    assert is_subsequence(left, messages)
    assert estimate_tokens(left) <= most
    if keep:
        assert [m for m in messages if isinstance(m, SystemMessage)] == [
            m for m in left if isinstance(m, SystemMessage)
        ]
    if estimate_tokens(whole) <= most:
        assert left == whole


@settings(max_examples=30)
@given(any_conversation)
def test_what_is_repaired_is_sound(messages: list[Message]) -> None:
    mended = repair_messages(messages)
    assert validate_messages(mended) == []
    if not validate_messages(messages):
        assert mended == messages
    said = [m for m in messages if isinstance(m, (SystemMessage, AIMessage))]
    assert said == [m for m in mended if isinstance(m, (SystemMessage, AIMessage))]


@settings(max_examples=10)
@given(st.lists(strategies.messages, max_size=5))
def test_json_brings_every_message_back(messages: list[Message]) -> None:
    text = messages_to_json(messages)
    assert messages_from_json(text) == messages
    assert messages_to_json(messages_from_json(text)) == text
    assert messages_from_dict(json.loads(json.dumps(messages_to_dict(messages)))) == messages


# ---- trimming, by example


def talk() -> list[Message]:
    return [
        SYSTEM,
        HumanMessage("one two three"),
        AIMessage("four five"),
        HumanMessage("six"),
        asks("a", "b", text="seven"),
        gives("b", "eight nine"),
        gives("a", "ten"),
        AIMessage([Reasoning("hm", signature="s"), Text("eleven")]),
    ]


def test_the_newest_whole_turns_stay() -> None:
    messages = talk()
    assert trim_messages(messages, max_tokens=13, counter=words) == messages
    assert trim_messages(messages, max_tokens=12, counter=words) == [SYSTEM, *messages[3:]]
    assert trim_messages(messages, max_turns=1) == [SYSTEM, *messages[3:]]
    assert trim_messages(messages, max_turns=1, keep_system=False) == messages[3:]
    assert trim_messages(messages, max_turns=2, max_tokens=12, counter=words) == [SYSTEM, *messages[3:]]
    assert trim_messages([], max_turns=1) == []


def test_a_long_turn_loses_its_oldest_exchanges_whole_and_keeps_the_question() -> None:
    messages = talk()
    left = trim_messages(messages, max_tokens=7, counter=words)
    assert left == [SYSTEM, messages[3], messages[7]]
    assert left[2] is messages[7]  # its reasoning with its signature
    with pytest.raises(UsageError, match="even the least") as caught:
        trim_messages(messages, max_tokens=3, counter=words)
    assert caught.value.argument == "max_tokens"


def test_the_first_turns_stay_where_that_is_asked_for() -> None:
    messages = talk()
    assert trim_messages(messages, max_tokens=7, counter=words, strategy="first") == messages[:3]
    assert trim_messages(messages, max_tokens=5, counter=words, strategy="first") == messages[:2]
    assert trim_messages(messages, max_turns=1, strategy="first") == messages[:3]


def test_what_no_provider_takes_is_left_out_of_any_trim() -> None:
    lost = [gives("z"), HumanMessage("q"), asks("a", "b"), gives("a"), HumanMessage("so?"), gives("b"), asks("c")]
    assert trim_messages(lost, max_turns=9) == [lost[1], lost[4], lost[6]]


def test_a_model_counts_for_trimming(server: Server) -> None:
    model, messages = chat(server.route()), talk()
    most = model.count_tokens([SYSTEM, *messages[3:]]).value
    assert trim_messages(messages, max_tokens=most, counter=model) == [SYSTEM, *messages[3:]]


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_turns": True}, "max_turns"),
        ({"max_turns": 1, "strategy": "middle"}, "strategy"),
        ({"max_tokens": 5, "counter": 7}, "counter"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], argument: str) -> None:
    with pytest.raises(UsageError) as caught:
        trim_messages([HumanMessage("hi")], **options)
    assert caught.value.argument == argument


# ---- problems and repair


def test_problems_have_names_and_places() -> None:
    late = [HumanMessage("q"), asks("a", "b"), gives("a"), HumanMessage("so?"), gives("b"), gives("a")]
    found = [(p.kind, p.index, p.call_id) for p in validate_messages(late)]
    assert found == [("unanswered_call", 1, "b"), ("orphan_result", 4, "b"), ("duplicate_result", 5, "a")]
    assert validate_messages([HumanMessage("q"), asks("a", "b"), gives("b")]) == []  # the last calls are open
    assert repair_messages(late) == [late[0], late[1], gives("a"), gives("b"), late[3]]


def test_a_call_that_nobody_answered_gets_a_result_that_says_so() -> None:
    broken = [HumanMessage("q"), asks("a"), HumanMessage([ToolResult("z", "?"), Text("go on")])]
    mended = repair_messages(broken)
    assert [type(m) for m in mended] == [HumanMessage, AIMessage, ToolMessage, HumanMessage]
    assert isinstance(mended[2], ToolMessage)
    assert mended[2].is_error
    assert mended[2].tool_call_id == "a"
    assert mended[3].text == "go on"


def test_a_result_is_not_moved_past_a_newer_call_of_the_same_id() -> None:
    messages = [asks("a"), HumanMessage("q"), asks("a"), gives("a", "new")]
    mended = repair_messages(messages)
    assert [m.text for m in mended if isinstance(m, ToolMessage)][1] == "new"
    assert mended[-1] == gives("a", "new")


# ---- merging


def test_neighbours_of_one_role_become_one() -> None:
    said = [HumanMessage("a"), HumanMessage([Text("b")]), AIMessage("c", usage=Usage(input_tokens=1, output_tokens=2)),
            AIMessage("d", usage=Usage(input_tokens=3, output_tokens=4), finish_reason="stop")]  # fmt: skip
    merged = merge_messages(said, separator=" ")
    assert [m.text for m in merged] == ["a b", "c d"]
    assert isinstance(merged[1], AIMessage)
    assert merged[1].usage == Usage(input_tokens=4, output_tokens=6)
    assert merged[1].finish_reason == "stop"


def test_what_would_lose_something_is_not_merged() -> None:
    apart: list[Message] = [
        HumanMessage("a", name="ann"),
        HumanMessage("b", name="bob"),
        asks("x"),
        gives("x"),
        gives("x"),
        AIMessage("c", provider_data={"openai": {"k": 1}}),
        AIMessage("d"),
        ChatMessage("e", role="developer"),
        ChatMessage("f", role="developer"),
    ]
    assert merge_messages(apart) == apart


# ---- summaries


def test_older_turns_are_told_by_a_model(server: Server) -> None:
    route = server.route(plain(answer("They counted to five.")))
    messages = talk()
    short = summarize_messages(messages, chat(route), keep_turns=1)
    assert short[0] == SYSTEM
    assert short[1].text == "Summary of the conversation so far:\nThey counted to five."
    assert short[2:] == messages[3:]
    asked = route.requests[0].json["messages"]
    assert "one two three" in asked[1]["content"]
    assert "eleven" not in asked[1]["content"]
    again = asyncio.run(asummarize_messages([*short, HumanMessage("more")], chat(route), keep_turns=1))
    assert [m.text for m in again] == ["Be brief.", short[1].text, "more"]  # told anew, not twice
    assert "counted to five" in route.requests[1].json["messages"][1]["content"]
    assert "AI calls f: {}" in route.requests[1].json["messages"][1]["content"]
    assert summarize_messages(messages, chat(route), keep_turns=2) == messages
    assert len(route.requests) == 2
    chat(route)(short)
    assert "summary" not in json.dumps([m for m in route.requests[2].json["messages"] if "provider_data" in m])


def test_a_summary_that_was_cut_is_an_error(server: Server) -> None:
    body = answer("They")
    body["choices"][0]["finish_reason"] = "length"
    with pytest.raises(OutputError) as caught:
        summarize_messages(talk(), chat(server.route(plain(body))), keep_turns=0)
    assert caught.value.truncated


# ---- data


def test_conversations_of_a_strange_form_are_named() -> None:
    for text, said in [
        ("{", "not JSON"),
        ('{"v": 2}', "version 2"),
        ("3", "array"),
        ('[{"type": "x"}]', r"messages\[0\]"),
        ("[1]", r"\[0\]"),
    ]:
        with pytest.raises(UsageError, match=said):
            messages_from_json(text)


def test_openai_dicts_go_in_and_out() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    dicts = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "22"},
    ]  # fmt: skip
    messages = from_openai(dicts)
    assert [type(m).__name__ for m in messages] == ["SystemMessage", "HumanMessage", "AIMessage", "ToolMessage"]
    again = to_openai(messages)
    assert from_openai(again) == messages
    assert again[3] == dicts[3]
    with pytest.raises(UsageError, match=r"messages\[0\]"):
        from_openai(["no"])  # type: ignore[list-item]


def test_the_buffer_string_of_2023() -> None:
    assert get_buffer_string([HumanMessage("Hi"), AIMessage("Yo"), SYSTEM]) == "Human: Hi\nAI: Yo\nSystem: Be brief."
    assert AIMessage([Refusal("no")]).text == ""


def test_dicts_of_other_libraries_are_read() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    call = {"name": "weather", "args": {"city": "Oslo"}, "id": "c1", "type": "tool_call"}
    kept = [
        {"type": "human", "data": {"content": [{"type": "text", "text": "Look:"}, picture], "example": False}},
        {"type": "AIMessageChunk", "data": {"content": "", "tool_calls": [call], "response_metadata": {}}},
        {"type": "tool", "data": {"content": "22", "tool_call_id": "c1", "status": "success", "artifact": None}},
    ]
    assert messages_from_dict(kept) == [
        HumanMessage(["Look:", Image(url="https://example.org/a.png")]),
        AIMessage([ToolCall("c1", "weather", {"city": "Oslo"})]),
        ToolMessage("22", tool_call_id="c1"),
    ]
    with pytest.raises(UsageError, match=r"content\[0\]"):
        messages_from_dict([{"type": "human", "data": {"content": [{"type": "hologram"}]}}])


def test_conversations_of_dicts_are_checked_too() -> None:
    stray = [{"role": "user", "content": "Hi"}, {"role": "tool", "tool_call_id": "c9", "content": "22"}]
    assert [(p.kind, p.index) for p in validate_messages(stray)] == [("orphan_result", 1)]
    assert validate_messages([]) == []


def test_text_that_is_no_conversation_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="nested too deeply"):
        messages_from_json("[" * 100_000)
    with pytest.raises(UsageError, match="lone surrogate") as caught:
        messages_to_json([HumanMessage("fine"), HumanMessage("\ud83d")])
    assert caught.value.argument == "messages[1]"


def test_a_counter_gives_numbers() -> None:
    async def later(messages: list[Message]) -> int:
        return 1

    for counter, said in ((lambda messages: "5", "gave str"), (later, "gave coroutine")):
        with pytest.raises(UsageError, match=said) as caught:
            trim_messages(talk(), max_tokens=5, counter=counter)
        assert caught.value.argument == "counter"


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            {"type": "image", "base64": "aGk=", "mime_type": "image/png", "id": "lc_1"},
            Image(data=b"hi", media_type="image/png"),
        ),
        (
            {
                "type": "file",
                "source_type": "base64",
                "data": "aGk=",
                "mime_type": "text/plain",
                "metadata": {"filename": "a.txt"},
            },
            File(data=b"hi", media_type="text/plain", name="a.txt"),
        ),
        (
            {"type": "image", "source_type": "url", "url": "https://x.example/a.png"},
            Image(url="https://x.example/a.png"),
        ),
        ({"type": "file", "source_type": "id", "id": "file-1"}, File(file_id="file-1")),
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, Reasoning("hm", signature="s")),
    ],
)
def test_blocks_of_langchain_in_stored_messages(block: dict[str, Any], part: Any) -> None:
    stored = {"type": "ai", "data": {"content": [block, {"type": "text", "text": "and"}], "type": "ai", "id": None}}
    assert messages_from_dict([stored])[0].content == [part, Text("and")]
    assert HumanMessage([block]).content == [part]
