"""Chat Completions over generated conversations: valid by the official SDK's own types, deterministic, without leaks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatmodels._call import Call
from chatmodels._errors import UsageError
from chatmodels._messages import AIMessage, HumanMessage, Message
from chatmodels._parts import Opaque, Reasoning, Text, ToolCall
from chatmodels.dialects.openai_chat import OpenAIChat

from .. import strategies as made

OPENAI = {"cache_points": "breakpoint", "strict": True, "audio_formats": frozenset({"wav", "mp3"})}
often = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def request_type() -> Iterator[Any]:
    """The SDK's parameter types, closed to unknown fields, with their lazy iterables as lists: all parts are checked."""
    pydantic = pytest.importorskip("pydantic")
    pytest.importorskip("openai")
    from openai.types.chat import completion_create_params as params
    from typing_extensions import is_typeddict

    modules = [m for n, m in list(sys.modules.items()) if n.startswith("openai.types.") and m is not None]
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            for name in ("Iterable", "SequenceNotStr"):
                if hasattr(module, name):
                    patch.setattr(module, name, list)
            for value in list(vars(module).values()):
                if is_typeddict(value):
                    patch.setattr(value, "__pydantic_config__", {"extra": "forbid"}, raising=False)
        yield {
            False: pydantic.TypeAdapter(params.CompletionCreateParamsNonStreaming),
            True: pydantic.TypeAdapter(params.CompletionCreateParamsStreaming),
        }


def check(request_type: Any, body: dict[str, Any]) -> None:
    """Valid, or an error that names the first places (the SDK's own report is endless)."""
    from pydantic import ValidationError

    try:
        request_type[bool(body.get("stream"))].validate_python(body, strict=True)
    except ValidationError as error:
        places = [".".join(map(str, e["loc"])) + ": " + e["msg"] for e in error.errors()[:8]]
        raise AssertionError("\n".join([*places, json.dumps(body)[:2000]])) from None


def encoded(dialect: OpenAIChat, call: Call) -> dict[str, Any] | None:
    """The body; None where the call is refused, naming the part."""
    try:
        request = dialect.encode(call)
    except UsageError as error:
        refused = error
    else:
        refused = None
    if refused is not None:
        assert (refused.argument or "").startswith(("messages[", "tool_call_id", "strict")), refused
        return None
    assert dialect.encode(call) == request
    assert all(w and len(w) < 300 for w in request.warnings)
    body: dict[str, Any] = json.loads(request.body)
    return body


def test_the_types_are_closed_and_deep(request_type: Any) -> None:
    """The check itself: a wrong part deep inside is found, a right one is not."""
    right = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}
    check(request_type, right)
    for wrong in (
        {"type": "text", "text": 1},
        {"type": "text"},
        {"type": "text", "text": "x", "y": 1},
        {"type": "new", "text": "x"},
    ):
        with pytest.raises(AssertionError):
            check(request_type, {"model": "m", "messages": [{"role": "user", "content": [wrong]}]})
    with pytest.raises(AssertionError):
        check(request_type, {**right, "tools": [{"type": "function", "function": {"nom": "f"}}]})


@often
@given(made.calls())
def test_every_request_is_valid(request_type: Any, call: Call) -> None:
    body = encoded(OpenAIChat(**OPENAI), call)
    if body is not None:
        check(request_type, body)


@often
@given(st.lists(made.turns(), min_size=1, max_size=3))
def test_results_follow_their_calls(turns: list[list[Message]]) -> None:
    """Results stand right behind the answer that asked for them, in whatever form they were given, under its ids."""
    talk = [m for turn in turns for m in [HumanMessage("go on"), *turn]]
    body = encoded(OpenAIChat(**OPENAI), Call(model="m", messages=tuple(talk)))
    assert body is not None
    asked: list[str] = []
    behind_an_answer = False
    for message in body["messages"]:
        if message["role"] == "assistant":
            asked, behind_an_answer = [c["id"] for c in message.get("tool_calls", ())], True
        elif message["role"] == "tool":
            assert behind_an_answer
            asked.remove(message["tool_call_id"])
        else:
            assert message["role"] == "user"
            behind_an_answer = False


@often
@given(
    st.lists(st.tuples(made.words, made.opaque_data("rival"), made.opaque_data("rival")), min_size=1, max_size=3),
    made.texts,
)
def test_nothing_of_another_provider_leaks(kept: list[tuple[str, dict[str, Any], dict[str, Any]]], said: str) -> None:
    """No provider data, signature, encrypted working or opaque part of A is in the bytes for B; back at A all is there."""
    parts: list[Any] = [Reasoning("why", signature="secret-sign", encrypted="secret-enc", provider_data=kept[0][1])]
    parts += [Text(said, provider_data={"rival": {"extra": {"beside": d["rival"]["kept"]}}}) for _, d, _ in kept]
    parts += [
        ToolCall(w, w, {}, provider_data={"rival": {"extra": {"extra_content": d["rival"]["kept"]}}})
        for w, d, _ in kept
    ]
    parts += [Opaque(provider="rival", kind="x", data={"type": "x", **d["rival"]}) for _, d, _ in kept]
    answer = AIMessage(parts, provider="rival", provider_data={"rival": {"message": kept[-1][2]["rival"]}})
    call = Call(model="m", messages=(HumanMessage("hi"), answer, HumanMessage("go on")))
    other = OpenAIChat("openai", reasoning_field="reasoning", cache_points="cache_control").encode(call)
    assert b"secret" not in other.body
    assert b"why" not in other.body
    assert any("reasoning of another provider" in w for w in other.warnings)
    assert any("means nothing to openai" in w for w in other.warnings)
    home = OpenAIChat("rival", reasoning_field="reasoning").encode(call).body.decode()
    for _, first, _ in kept:
        assert home.count(first["rival"]["kept"]) >= 3  # beside the text, beside the call, in the opaque part
    assert kept[-1][2]["rival"]["kept"] in home


@often
@given(made.calls())
def test_requests_survive_parsing(call: Call) -> None:
    """encode -> decode_request -> encode gives the same bytes, without a warning."""
    ours = OpenAIChat("openai", sampling=frozenset({"top_k", "min_p"}), **OPENAI)
    try:
        first = ours.encode(call)
    except UsageError:
        return
    body = json.loads(first.body)
    again = ours.encode(ours.decode_request(body))
    assert normal(json.loads(again.body)) == normal(body)
    assert again.warnings == ()


def normal(body: dict[str, Any]) -> dict[str, Any]:
    """Nulls say nothing, nor does empty text in an answer; a text is the same as a list of it."""
    for message in body["messages"]:
        content = message["content"] or []
        content = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if message["role"] == "assistant":
            content = [p for p in content if p != {"type": "text", "text": ""}]
        message["content"] = content
    return {k: v for k, v in body.items() if v is not None}
