"""Answers and streams with one field missing, or of another type than it should be: read as well as they can be, or an error
of ours, never another exception.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatmodels._call import Call, HTTPResponse
from chatmodels._errors import ChatModelError
from chatmodels._fold import fold
from chatmodels._inputs import from_json
from chatmodels._messages import AIMessage, HumanMessage
from chatmodels.dialects.cohere import Cohere
from chatmodels.dialects.openai_responses import OpenAIResponses

from . import test_cohere, test_openai_responses
from .stream_checks import events_of, sse

ODD: list[Any] = [None, "", 0, -1, True, [], {}, "x", [None], {"a": 1}, 3.5, [[]], {"type": "x"}]


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places in a JSON value."""
    found = [here] if here else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, sub in inner:
        found += paths(sub, (*here, key))
    return found


def changed(value: Any, path: tuple[Any, ...], new: Any, *, gone: bool) -> Any:
    """The value with another one at that place, or none."""
    out = copy.deepcopy(value)
    target = out
    for step in path[:-1]:
        target = target[step]
    if gone:
        del target[path[-1]]
    else:
        target[path[-1]] = new
    return out


def changes(value: Any) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda path, new, gone: changed(value, path, new, gone=gone),
        st.sampled_from(paths(value)),
        st.sampled_from(ODD),
        st.booleans(),
    )


_R = test_openai_responses
RESPONSE = _R.body(_R.REASONING, _R.SEARCH, _R.said("so"), _R.CALL, _R.IMAGE)
RESPONSE_STREAM = _R.stream(
    *_R.deltas(_R.REASONING, 0, "response.reasoning_summary_text.delta", ["a"], summary_index=0),
    *_R.deltas(_R.said("so"), 1, "response.output_text.delta", ["s", "o"], content_index=0, logprobs=[]),
    {"type": "response.output_text.annotation.added", "output_index": 1, "content_index": 0, "annotation": _R.CITED},
    *_R.deltas(_R.CALL, 2, "response.function_call_arguments.delta", ['{"x": 1}']),
    final=_R.body(_R.REASONING, _R.said("so"), _R.CALL),
)
_C = test_cohere
COHERE = _C.body(
    tool_plan="p",
    content=[{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "hi"}],
    citations=[_C.CITED],
    tool_calls=[_C.ASKED],
)
COHERE_STREAM = [
    _C.START,
    {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "p"}}},
    _C.content(0, type="text", text=""),
    _C.content(0, text="hi"),
    {"type": "citation-start", "index": 0, "delta": {"message": {"citations": _C.CITED}}},
    {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": _C.ASKED}}},
    {"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": {"function": {"arguments": ""}}}}},
    _C.end("TOOL_CALL"),
]
CASES = [
    pytest.param(OpenAIResponses(), changes(RESPONSE), changes(RESPONSE_STREAM), id="responses"),
    pytest.param(Cohere(), changes(COHERE), changes(COHERE_STREAM), id="cohere"),
]


def sound(dialect: Any, message: AIMessage) -> None:
    """The message survives JSON and can be sent back."""
    assert from_json(message.to_json()) == message
    dialect.encode(Call(model="m", messages=(HumanMessage("u"), message)))


@pytest.mark.parametrize(("dialect", "bodies", "streams"), CASES)
def test_answers_and_streams(dialect: Any, bodies: Any, streams: Any) -> None:
    @settings(max_examples=75, deadline=None)
    @given(bodies)
    def answers(body: Any) -> None:
        try:
            message = dialect.decode(HTTPResponse(status=200, body=json.dumps(body).encode()))
        except ChatModelError:
            return
        sound(dialect, message)

    @settings(max_examples=75, deadline=None)
    @given(streams)
    def streamed(events: list[Any]) -> None:
        data = b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in events)
        try:
            message = fold(events_of(dialect, [data]))
        except ChatModelError:
            return
        sound(dialect, message)

    answers()
    streamed()


def test_the_streams_are_whole_as_they_are() -> None:
    assert fold(events_of(OpenAIResponses(), [sse(*RESPONSE_STREAM)])).text == "so"
    assert fold(events_of(Cohere(), [sse(*COHERE_STREAM)])).text == "hi"
