"""Events to a message: the one way in which a stream becomes an answer."""

# ruff: noqa: E501 (events and what they make stand in one line)

from __future__ import annotations

import sys
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatmodels._events import (
    AudioDelta,
    ChoiceFinish,
    End,
    Event,
    LogprobsDelta,
    MessageInfo,
    PartDone,
    PartInfo,
    ReasoningDelta,
    RefusalDelta,
    Restarted,
    Start,
    TextDelta,
    ToolCallDelta,
    UsageSoFar,
    Warned,
)
from chatmodels._fold import Fold, fold, merge_data
from chatmodels._messages import AIMessage
from chatmodels._parts import Audio, Citation, Image, InvalidToolCall, Opaque, Reasoning, Refusal, Text, ToolCall
from chatmodels._usage import Usage
from chatmodels.dialects._base import events_of

from . import strategies as made

often = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def parts(*events: Event) -> list[Any]:
    return fold(events).parts


def test_a_whole_answer() -> None:
    usage = Usage(input_tokens=1, output_tokens=2)
    message = fold([
        Start(id="a", model="m"), ReasoningDelta("hm"), TextDelta("Hi", 1), TextDelta(" you", 1), ToolCallDelta(2, "c", "f", '{"x":'),
        ToolCallDelta(2, args=" 1}"), UsageSoFar(Usage(input_tokens=1)), Warned("w"), LogprobsDelta([{"token": "Hi"}]),
        MessageInfo({"p": {"a": 1}}), End(finish_reason="tool_calls", raw_finish_reason="tool_use", usage=usage),
    ])  # fmt: skip
    assert message == AIMessage(
        [Reasoning("hm"), Text("Hi you"), ToolCall("c", "f", {"x": 1}, text='{"x": 1}')],
        id="a", model="m", finish_reason="tool_calls", raw_finish_reason="tool_use", usage=usage, warnings=("w",),
        logprobs=[{"token": "Hi"}], provider_data={"p": {"a": 1}},
    )  # fmt: skip


def test_nothing() -> None:
    assert fold([]) == AIMessage("")
    assert not Fold().started
    assert fold([End(finish_reason="stop")]).finish_reason == "stop"


def test_partial_at_any_time() -> None:
    folding = Fold()
    folding.add(TextDelta("a"))
    first = folding.message()
    folding.add(TextDelta("b"))
    assert (first.text, folding.message().text, folding.message().finish_reason) == ("a", "ab", None)
    folding.add(ToolCallDelta(1, "c", "f", '{"x'))
    assert isinstance(folding.message().tool_calls[0], InvalidToolCall)
    assert folding.started


def test_parts_stand_in_the_order_of_their_index() -> None:
    assert parts(TextDelta("b", 3), ReasoningDelta("a", 1), TextDelta("c", 3)) == [Reasoning("a"), Text("bc")]


def test_texts_in_turn() -> None:
    """The quick way for one text gives up nothing when several grow by turns."""
    assert parts(TextDelta("a"), TextDelta("x", 1), TextDelta("b"), TextDelta("y", 1)) == [Text("ab"), Text("xy")]
    assert parts(TextDelta("a"), PartDone(Text("z")), TextDelta("b", 1)) == [Text("z"), Text("b")]


def test_infos() -> None:
    cited = Citation(url="u")
    assert parts(ReasoningDelta("a"), PartInfo(signature="s1"), PartInfo(signature="s2", encrypted="e")) == [
        Reasoning("a", signature="s1s2", encrypted="e")
    ]
    assert parts(PartInfo(encrypted="e")) == [Reasoning("", encrypted="e")]
    assert parts(TextDelta("a"), PartInfo(citations=(cited,)), PartInfo(citations=(cited,))) == [
        Text("a", (cited, cited))
    ]
    assert parts(PartInfo(citations=(cited,))) == [Text("", (cited,))]
    assert parts(PartDone(Image(url="u")), PartInfo(provider_data={"p": {"a": 1}})) == [
        Image(url="u", provider_data={"p": {"a": 1}})
    ]
    data = [PartInfo(provider_data={"p": {"a": 1}}), PartInfo(provider_data={"p": {"b": 2}, "q": 3})]
    assert parts(TextDelta("a"), *data) == [Text("a", provider_data={"p": {"a": 1, "b": 2}, "q": 3})]
    assert parts(ReasoningDelta("a", summary=True), ReasoningDelta("b")) == [Reasoning("ab", summary=True)]


def test_calls() -> None:
    assert parts(ToolCallDelta(0, "c", "f"), End(finish_reason="stop")) == [ToolCall("c", "f", {}, text="")]
    assert parts(ToolCallDelta(0, "c", "f")) == [
        InvalidToolCall("c", "f", "", "the answer broke off before the arguments")
    ]
    assert parts(ToolCallDelta(0, "c", "f", "SEL", custom=True), ToolCallDelta(0, args="ECT")) == [
        ToolCall("c", "f", "SELECT", custom=True)
    ]
    assert parts(ToolCallDelta(0, "c", "f", "{}"), ToolCallDelta(0, args='{"a":1}', whole=True)) == [
        ToolCall("c", "f", {"a": 1}, text='{"a":1}')
    ]
    assert parts(ToolCallDelta(0, "", "f", "{}"), ToolCallDelta(0, "late", "g")) == [
        ToolCall("late", "f", {}, text="{}")
    ]


def test_sound() -> None:
    pieces = [AudioDelta(0, b"RI", "l", id="a"), AudioDelta(0, b"FF", "a", media_type="audio/wav")]
    assert parts(*pieces) == [Audio(data=b"RIFF", media_type="audio/wav", transcript="la")]
    assert parts(AudioDelta(0, id="a")) == [Audio(file_id="a")]
    assert parts(AudioDelta(0, transcript="la")) == [Audio(transcript="la")]
    assert parts(AudioDelta(0)) == []


def test_what_is_empty() -> None:
    assert parts(TextDelta("")) == []
    assert parts(RefusalDelta("")) == [Refusal("")]
    assert parts(ReasoningDelta("")) == [Reasoning("")]


def test_halves_of_emoji() -> None:
    assert fold([TextDelta("\ud83d"), TextDelta("\ude00")]).text == "😀"
    assert fold([TextDelta("a\ud83d")]).text == "a\ufffd"
    assert fold([ReasoningDelta("\ud83d"), ReasoningDelta("\ude00")]).reasoning == "😀"
    assert fold([AudioDelta(transcript="\ud83d"), AudioDelta(transcript="\ude00")]).parts == [Audio(transcript="😀")]
    call = fold([ToolCallDelta(0, "c", "f", '{"a": "\ud83d'), ToolCallDelta(0, args='\ude00"}')]).tool_calls[0]
    assert call.args == {"a": "😀"}


def test_several_choices() -> None:
    usage = Usage(output_tokens=3)
    message = fold([
        TextDelta("b", 0, 1), TextDelta("a"), TextDelta("B", 0, 1), TextDelta("A"), LogprobsDelta([{"t": 1}], 1), MessageInfo({"p": 1}, 1),
        End(finish_reason="stop", usage=usage, others={1: ChoiceFinish("length", "max_tokens")}),
    ])  # fmt: skip
    assert (message.text, message.finish_reason, message.usage) == ("aA", "stop", usage)
    (other,) = message.alternatives
    assert (other.text, other.finish_reason, other.raw_finish_reason) == ("bB", "length", "max_tokens")
    assert (other.logprobs, other.provider_data, other.usage) == ([{"t": 1}], {"p": 1}, None)


def test_a_restart_forgets_the_answer_but_not_the_warnings() -> None:
    message = fold([Start(id="1", model="a"), TextDelta("half"), UsageSoFar(Usage(input_tokens=9)), Warned("w"), Restarted("broke"),
                    Start(model="b"), TextDelta("whole"), End(finish_reason="stop")])  # fmt: skip
    assert (message.text, message.id, message.model, message.usage, message.warnings) == (
        "whole",
        None,
        "b",
        None,
        ("w",),
    )


def test_the_end_overrides_the_usage_so_far() -> None:
    assert fold([UsageSoFar(Usage(input_tokens=1)), End(finish_reason="stop")]).usage == Usage(input_tokens=1)
    assert fold(
        [UsageSoFar(Usage(input_tokens=1)), End(finish_reason="stop", usage=Usage(input_tokens=2))]
    ).usage == Usage(input_tokens=2)


def test_merging() -> None:
    assert merge_data(None, None) is None
    assert merge_data({"a": 1}, None) == {"a": 1}
    assert merge_data({"p": {"x": {"y": 1}}}, {"p": {"x": 2, "z": 3}, "q": 4}) == {"p": {"x": 2, "z": 3}, "q": 4}


def test_memory_is_that_of_the_text() -> None:
    """Pieces are joined as they come, not kept."""
    folding = Fold()
    for _ in range(100_000):
        folding.add(TextDelta("word "))
    held = folding.choice(0).parts[0].out.getvalue()
    assert len(held) == 500_000
    assert sys.getsizeof(held) < 600_000
    assert len(folding.choice(0).parts) == 1


@often
@given(made.whole_answers())
def test_an_answer_given_as_a_stream_is_the_answer(message: AIMessage) -> None:
    """What a cache gives out as events folds to what it holds (less what only the call knows)."""
    again = fold(events_of(message))
    names = ("id", "model", "usage", "logprobs", "warnings", "provider_data", "raw_finish_reason")
    assert [getattr(again, n) or None for n in names] == [getattr(message, n) or None for n in names]
    assert again.finish_reason == (message.finish_reason or "unknown")
    assert [p for p in again.parts if p != Text("")] == [p for p in message.parts if p != Text("")]
    assert [a.text for a in again.alternatives] == [a.text for a in message.alternatives]


pieces = st.one_of(
    st.builds(TextDelta, made.texts, st.integers(0, 2), st.integers(0, 1)),
    st.builds(ReasoningDelta, made.texts, st.integers(3, 4), st.integers(0, 1)),
    st.builds(ToolCallDelta, st.integers(5, 6), made.maybe(made.idents), made.maybe(made.words), made.texts),
    st.builds(PartDone, made.opaques(), st.integers(7, 8)),
    st.builds(LogprobsDelta, st.lists(made.json_objects, max_size=2)),
    st.builds(MessageInfo, made.opaque_data("p")),
)


@often
@given(st.lists(pieces, max_size=12))
def test_every_prefix_is_a_partial_answer(events: list[Event]) -> None:
    folding = Fold()
    text = ""
    for event in events:
        folding.add(event)
        so_far = folding.message()
        assert so_far.finish_reason is None
        assert all(len(p.text) for p in so_far.parts if isinstance(p, Text))
        if isinstance(event, TextDelta) and not event.choice:
            text += event.text
        assert sorted(so_far.text) == sorted(text)
    assert folding.message() == fold(events)
    assert isinstance(fold([*events, PartDone(Opaque(provider="p", kind="k"), 99)]).parts[-1], Opaque)
