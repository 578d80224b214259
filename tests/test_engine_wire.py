"""The embedded engine's bytes, without the engine: requests in, chunks out, schemas for the grammar."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmodels._engine_schema import BadSchema, for_grammar, grammar_pattern
from chatmodels._engine_wire import (
    BadRequest,
    StreamOut,
    WholeOut,
    error_body,
    error_status,
    is_overflow,
    read_request,
)

MESSAGES = [{"role": "user", "content": "hi"}]


def request(**fields: Any) -> Any:
    return read_request(json.dumps({"messages": MESSAGES, **fields}).encode())


def sent(**fields: Any) -> dict[str, Any]:
    return json.loads(request(**fields).body)


# ---- requests


def test_a_plain_request_is_streamed_inside_and_asks_for_its_usage() -> None:
    body = sent(max_tokens=3, stream_options={"include_usage": False})
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    assert body["return_progress"] is True
    assert (body["messages"], body["max_tokens"]) == (MESSAGES, 3)
    assert not request(max_tokens=3).stream


def test_a_stream_keeps_its_own_options() -> None:
    found = request(stream=True, stream_options={"include_usage": True}, n=2)
    assert (found.stream, found.usage, found.n, found.progress) == (True, True, 2, False)
    assert request(stream=True, return_progress=True).progress
    assert not request(stream=True).usage


def test_untouched_fields_keep_their_bytes() -> None:
    body = b'{"messages":[{"role":"user","content":"\\u00e9"}],"seed":12345678901234567890123,"top_p":0.10}'
    assert body[:-1] in read_request(body).body


def test_the_limit_is_the_first_that_is_given() -> None:
    assert request().limit is None
    assert request(max_tokens=5).limit == 5
    assert request(max_completion_tokens=4, max_tokens=5).limit == 4
    assert request(max_tokens=-1).limit is None
    assert request(max_tokens="many").limit is None


def test_a_wrong_type_for_stream_is_left_for_the_engine_to_refuse() -> None:
    assert sent(stream="yes")["stream"] == "yes"
    assert sent(stream=None)["stream"] is True


@pytest.mark.parametrize("field", ["tools", "response_format", "json_schema"])
def test_log_probabilities_with_a_parser_come_in_one_piece(field: str) -> None:
    found = request(logprobs=True, **{field: []})
    assert found.whole
    assert "stream" not in json.loads(found.body)
    assert not request(logprobs=True).whole
    assert not request(logprobs=True, stream=True, **{field: []}).whole


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a":\xff}', b'"text"', b"null"])
def test_what_is_no_request(body: bytes) -> None:
    with pytest.raises(BadRequest, match="JSON object"):
        read_request(body)


def test_bounds_that_exclude_each_other_are_refused() -> None:
    # llama.cpp never comes back from this one.
    schema = {"type": "object", "properties": {"a": {"type": "string", "minLength": 5, "maxLength": 2}}}
    with pytest.raises(BadRequest, match=r"response_format: minLength \(5\) is greater than maxLength \(2\)"):
        request(response_format={"type": "json_schema", "json_schema": {"schema": schema}})


# ---- answers


def chunk(index: int | None, delta: dict[str, Any] | None = None, **fields: Any) -> bytes:
    finish = fields.pop("finish", None)
    logprobs = fields.pop("logprobs", None)
    choice = {"finish_reason": finish, "index": index, "delta": delta or {}}
    if logprobs:
        choice["logprobs"] = {"content": logprobs}
    head = {"created": 7, "id": "c1", "model": "m", "system_fingerprint": "f", "object": "chat.completion.chunk"}
    choices = [] if index is None else [choice]
    return json.dumps({"choices": choices, **head, **fields}, separators=(",", ":")).encode()


def usage(prompt: int, completion: int) -> dict[str, int]:
    return {"completion_tokens": completion, "prompt_tokens": prompt, "total_tokens": prompt + completion}


def whole(*chunks: bytes) -> Any:
    out = WholeOut()
    for one in chunks:
        out.feed(one)
    return json.loads(out.close())


def test_a_whole_answer_is_put_together() -> None:
    body = whole(
        chunk(0, {"role": "assistant", "content": None}),
        chunk(0, {"reasoning_content": "Hm"}, logprobs=[{"token": "a"}]),
        chunk(0, {"reasoning_content": "m."}),
        chunk(0, {"content": "Hel"}),
        chunk(0, {"content": "lo"}, logprobs=[{"token": "b"}]),
        chunk(0, finish="stop"),
        chunk(None, usage=usage(5, 2), timings={"predicted_n": 2}),
    )
    assert body == {
        "choices": [
            {
                "finish_reason": "stop",
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "reasoning_content": "Hmm."},
                "logprobs": {"content": [{"token": "a"}, {"token": "b"}]},
            }
        ],
        "created": 7,
        "model": "m",
        "system_fingerprint": "f",
        "object": "chat.completion",
        "usage": usage(5, 2),
        "id": "c1",
        "timings": {"predicted_n": 2},
    }


def test_tool_calls_are_joined_by_their_index() -> None:
    first = {"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": "{"}}
    second = {"index": 1, "id": "y", "type": "function", "function": {"name": "g", "arguments": "{}"}}
    body = whole(
        chunk(0, {"role": "assistant", "content": None}),
        chunk(0, {"tool_calls": [first]}),
        chunk(0, {"tool_calls": [{"index": 0, "function": {"arguments": '"a":1}'}}]}),
        chunk(0, {"tool_calls": [second]}),
        chunk(0, finish="tool_calls"),
    )
    assert body["choices"][0]["message"]["tool_calls"] == [
        {"type": "function", "function": {"name": "f", "arguments": '{"a":1}'}, "id": "x"},
        {"type": "function", "function": {"name": "g", "arguments": "{}"}, "id": "y"},
    ]
    assert body["choices"][0]["finish_reason"] == "tool_calls"


def test_several_answers_are_told_apart_and_counted_together() -> None:
    body = whole(
        chunk(1, {"content": "b"}),
        chunk(0, {"content": "a"}),
        chunk(1, finish="stop"),
        chunk(None, usage=usage(5, 2)),
        chunk(0, {"content": "A"}),
        chunk(0, finish="length"),
        chunk(None, usage=usage(5, 3)),
    )
    assert [c["message"]["content"] for c in body["choices"]] == ["aA", "b"]
    assert [c["finish_reason"] for c in body["choices"]] == ["length", "stop"]
    assert body["usage"] == usage(5, 5)


def test_a_stream_of_several_answers_ends_with_one_usage() -> None:
    out = StreamOut(request(stream=True, n=2, stream_options={"include_usage": True}))
    assert out.feed(chunk(0, {"content": "a"})) == b"data: " + chunk(0, {"content": "a"}) + b"\n\n"
    assert out.feed(chunk(None, usage=usage(5, 2))) is None
    assert out.feed(chunk(None, usage=usage(5, 3))) is None
    event, done, rest = out.close().split(b"\n\n")
    assert json.loads(event.removeprefix(b"data: "))["usage"] == usage(5, 5)
    assert (done, rest) == (b"data: [DONE]", b"")


def test_a_stream_of_one_answer_passes_its_usage_on() -> None:
    out = StreamOut(request(stream=True, stream_options={"include_usage": True}))
    assert out.feed(chunk(None, usage=usage(5, 2))) is not None
    assert out.close() == b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (error_body(400, "invalid_request_error", "no"), 400),
        (b'{"error":{"code":503}}', 503),
        (b'{"error":{"code":"x"}}', 500),
        (b'{"error":{"code":200}}', 500),
        (b'{"error":"x"}', 500),
        (b"broken", 500),
    ],
)
def test_the_status_of_an_error(body: bytes, status: int) -> None:
    assert error_status(body) == status


def test_only_a_full_shared_context_is_an_overflow() -> None:
    assert is_overflow(b'{"error":{"code":500,"message":"Context size has been exceeded.","type":"server_error"}}')
    assert not is_overflow(b'{"error":{"code":400,"type":"exceed_context_size_error"}}')


# ---- schemas


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (r"^\d{4}-\d{2}$", "^[0-9]{4}-[0-9]{2}$"),
        (r"^[\w.-]+@[\w-]+\.[a-z]{2,}$", r"^[A-Za-z0-9_.-]+@[A-Za-z0-9_-]+\.[a-z]{2,}$"),
        (r"^a\/b\-c$", "^a/b-c$"),
        (r"^[\-\^a]$", r"^[\x2D\x5Ea]$"),
        (r"^\+?\d$", r"^\+?[0-9]$"),
        (r"^(?:a|b)+?$", "^(?:a|b)+$"),
        (r"^[^a]$", r"^[^a\x22\x5C\x00-\x1F]$"),
        (r"^\S$", r"^[^ \x22\x5C\x00-\x1F]$"),
        (r"^.$", r"^[^\x22\x5C\x00-\x1F\x7F]$"),
        ("^$", "^$"),
    ],
)
def test_patterns_in_the_grammars_words(pattern: str, found: str) -> None:
    assert grammar_pattern(pattern) == found


@pytest.mark.parametrize(
    "pattern",
    [
        *("abc", "^abc", "abc$", "^", r"^\bx$", r"^(?=a)b$", r"^(?P<n>a)$", r"^a\$", "^a^b$", "^a{3000}$", "^a{3,1}$"),
        *('^"$', r"^\\$", "^\n$", "^[a$", "^[]$", r"^[\b]$", r"^[\D]$", '^["]$', r"^(a)\1$", r"^\p{L}$"),
    ],
)
def test_patterns_that_it_has_no_words_for(pattern: str) -> None:
    assert grammar_pattern(pattern) is None


atoms = st.sampled_from(
    [r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", ".", "a", "é", r"\.", r"\-", r"\/", r"[a-c\d]", "[^b]"]
)
repeats = st.sampled_from(["", "*", "+", "?", "{2}", "{1,2}", "*?"])
regexes = st.lists(st.tuples(atoms, repeats).map("".join), min_size=1, max_size=4).map(lambda a: f"^{''.join(a)}$")
# Without what cannot stand bare in a JSON string, and the letters and spaces that `re` counts beyond ASCII.
texts = st.text(alphabet="abcdXYZ019_ .-/@", max_size=6)


@given(regexes, texts)
def test_a_translated_pattern_means_the_same(pattern: str, text: str) -> None:
    translated = grammar_pattern(pattern)
    assert translated is not None
    assert bool(re.fullmatch(translated[1:-1], text)) == bool(re.fullmatch(pattern[1:-1], text))


@given(regexes, st.sampled_from(['"', "\\", "\n", "\x00", 'a"', "\t"]))
def test_a_translated_pattern_lets_nothing_break_out_of_a_string(pattern: str, text: str) -> None:
    translated = grammar_pattern(pattern)
    assert translated is not None
    assert not re.fullmatch(translated[1:-1], text)


def test_only_schemas_are_touched() -> None:
    schema = {
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "pattern": r"\d"},
            "minLength": {"type": "integer"},
            "code": {"type": "string", "pattern": r"^\d$", "minLength": 5000, "default": {"pattern": "x"}},
        },
        "enum": [{"pattern": "x", "minLength": 2, "maxLength": 1}],
    }
    found = for_grammar(schema)
    assert found["properties"] == {
        "pattern": {"type": "string"},
        "minLength": {"type": "integer"},
        "code": {"type": "string", "pattern": "^[0-9]$", "minLength": 1000, "default": {"pattern": "x"}},
    }
    assert found["enum"] == schema["enum"]
    assert for_grammar(found) == found


@pytest.mark.parametrize("low", ["minLength", "minItems"])
def test_impossible_bounds(low: str) -> None:
    with pytest.raises(BadSchema, match="no value fits"):
        for_grammar([{"anyOf": [{low: 3, low.replace("min", "max"): 2}]}])
