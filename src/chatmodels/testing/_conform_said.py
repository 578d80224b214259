"""The check that nothing that is asked for is lost: it changes the request, or is refused, or is warned of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from .._call import Call, HTTPRequest, Settings
from .._errors import UsageError
from .._messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from .._output import Output
from .._parts import Image, Text, ToolCall
from .._tools import as_tool
from ._conform_dialect import claim

_HI = HumanMessage("Hi")
_TOOL = as_tool(
    {"name": "weather", "description": "The weather.", "input_schema": {"type": "object", "properties": {}}}
)
_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def _call(*messages: Any, **fields: Any) -> Call:
    return Call(model="m", messages=messages or (_HI,), **fields)


def _exchange(city: str = "Oslo", result: str = "Rain", ident: str = "call_abc1") -> Call:
    asked = AIMessage([Text("Let me see."), ToolCall(ident, "weather", {"city": city})])
    return _call(_HI, asked, ToolMessage(result, tool_call_id=ident, name="weather"), tools=(_TOOL,))


def _picture(byte: bytes) -> HumanMessage:
    return HumanMessage([Text("What is it?"), Image(data=b"\x89PNG\r\n\x1a\n" + byte, media_type="image/png")])


#: What is asked for, without it, and with it.
PAIRS: tuple[tuple[str, Call, Call], ...] = (
    ("another text", _call(), _call(HumanMessage("Ho"))),
    ("a system message", _call(), _call(SystemMessage("Be brief."), _HI)),
    ("an earlier answer", _call(_HI, AIMessage("Hello."), _HI), _call(_HI, AIMessage("Good day."), _HI)),
    (
        "the newest of several messages",
        _call(_HI, AIMessage("Hello."), _HI),
        _call(_HI, AIMessage("Hello."), _picture(b"0")),
    ),
    ("a picture", _call(_picture(b"0")), _call(_picture(b"1"))),
    ("temperature", _call(), _call(settings=Settings(temperature=0.5))),
    ("temperature=0", _call(), _call(settings=Settings(temperature=0))),
    ("max_tokens", _call(), _call(settings=Settings(max_tokens=9))),
    ("stop", _call(), _call(settings=Settings(stop=("END",)))),
    ("extra_body", _call(), _call(settings=Settings(extra_body={"x_kit": 1}))),
    ("a tool", _call(), _call(tools=(_TOOL,))),
    ("a tool call's arguments", _exchange(), _exchange(city="Rome")),
    ("a tool's result", _exchange(), _exchange(result="Sun")),
    ("a schema of the answer", _call(), _call(output=Output.of(_SCHEMA, name="place"))),
)


def check_said(dialect: Any) -> None:
    """Two calls that ask for different things are different requests; what cannot be said is a `UsageError` or a warning."""
    for what, without, with_it in PAIRS:
        plain, asked = _encoded(dialect.encode, without), _encoded(dialect.encode, with_it)
        if plain is None or asked is None:
            continue
        same = (plain.path, plain.body, plain.headers) == (asked.path, asked.body, asked.headers)
        claim(
            not same or bool(asked.warnings),
            f"encode loses {what}: the request is the same without it; say it, refuse it with a UsageError, or name it in "
            "warnings=",
        )
    other = _encoded(dialect.encode, msgspec.structs.replace(_call(), model="m2"))
    plain = _encoded(dialect.encode, _call())
    if plain is not None and other is not None:
        claim((plain.path, plain.body) != (other.path, other.body), "encode loses the model's name")


def _encoded(encode: Callable[[Call], HTTPRequest], call: Call) -> HTTPRequest | None:
    """The request; None for a call that is refused."""
    try:
        return encode(call)
    except UsageError:
        return None
