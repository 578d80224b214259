"""Messages as fields of pydantic models and msgspec structs, in and out of JSON."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from chatmodels._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from chatmodels._parts import Image, Text, ToolCall
from chatmodels._usage import Usage

from . import strategies as made

pydantic = pytest.importorskip("pydantic")
often = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


class Talk(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    title: str
    messages: list[Message]
    last: AIMessage | None = None


class Stored(msgspec.Struct):
    title: str
    messages: list[Message]
    last: AIMessage | None = None


@often
@given(made.messages)
def test_pydantic_round_trips(message: Message) -> None:
    talk = Talk(title="t", messages=[message])
    assert talk.messages[0] is message
    assert Talk.model_validate(talk.model_dump()) == talk
    assert Talk.model_validate_json(talk.model_dump_json()) == talk
    assert talk.model_dump()["messages"] == [message.to_dict()]
    assert talk.model_copy(deep=True) == talk


@often
@given(made.messages)
def test_msgspec_round_trips(message: Message) -> None:
    stored = Stored("t", [message])
    assert msgspec.json.decode(msgspec.json.encode(stored), type=Stored) == stored
    assert msgspec.convert(msgspec.to_builtins(stored), Stored) == stored


def test_one_class_only() -> None:
    talk = Talk(title="t", messages=[HumanMessage("x")], last={"type": "ai", "content": "y"})
    assert talk.last == AIMessage("y")
    with pytest.raises(pydantic.ValidationError, match="not of class AIMessage"):
        Talk(title="t", messages=[], last=HumanMessage("x"))
    with pytest.raises(pydantic.ValidationError, match="not of class AIMessage"):
        Talk(title="t", messages=[], last={"type": "human", "content": "x"})


@pytest.mark.parametrize(
    "wrong", ["x", 5, None, {}, {"type": "martian"}, {"type": "human", "content": 5}, {"role": "user", "content": "x"}]
)
def test_what_is_no_message(wrong: Any) -> None:
    with pytest.raises(pydantic.ValidationError):
        Talk(title="t", messages=[wrong])


def test_json_schema() -> None:
    """Web frameworks ask for it."""
    for mode in ("validation", "serialization"):
        schema = Talk.model_json_schema(mode=mode)
        kinds = schema["properties"]["messages"]["items"]["anyOf"]
        assert [k["properties"]["type"]["const"] for k in kinds] == [
            "system",
            "human",
            "ai",
            "tool",
            "chat",
            "function",
        ]
        assert kinds[0]["title"] == "SystemMessage"


def test_whole_conversation() -> None:
    talk = Talk(
        title="t",
        messages=[
            SystemMessage("s"),
            HumanMessage([Text("x"), Image(data=b"\x89PNG", media_type="image/png")]),
            AIMessage([ToolCall("c", "f", {"a": 1})], usage=Usage(input_tokens=1, output_tokens=1)),
            ToolMessage("22", tool_call_id="c"),
        ],
    )
    again = Talk.model_validate_json(talk.model_dump_json())
    assert again == talk
    assert msgspec.json.decode(talk.model_dump_json(), type=Stored).messages == talk.messages
