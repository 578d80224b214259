"""Conversations of any order and any mix of providers go on at another one, and come back: generated from hand-made answers in
each provider's own wire format (these always run), and recorded requests where they lie beside the repository.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatmodels._call import Call, HTTPRequest
from chatmodels._errors import UsageError
from chatmodels._inputs import from_json
from chatmodels._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from chatmodels._parts import Opaque

from .. import portable_checks, portable_talks
from . import wire_records

NAMES = list(portable_talks.DIALECTS)
#: Read once: (the answer, the results of its calls) of each maker.
SAID: dict[str, list[tuple[AIMessage, list[Message]]]] = {
    maker: [
        (a, [ToolMessage(f"result {c.args['n']}", tool_call_id=c.id, name=c.name) for c in a.tool_calls])
        for a in portable_talks.answers(maker)
    ]
    for maker in NAMES
}


def sent(taker: str, messages: tuple[Message, ...]) -> HTTPRequest:
    request: HTTPRequest = portable_talks.DIALECTS[taker].encode(portable_talks.call(taker, messages))
    return request


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """Turns of several providers in any order, each with the results of its calls, in any order too."""
    turns = st.sampled_from([(maker, n) for maker in NAMES for n in range(4)])
    messages: list[Message] = [SystemMessage("be brief")] if draw(st.booleans()) else []
    for maker, n in draw(st.lists(turns, min_size=1, max_size=6)):
        answer, results = SAID[maker][n]
        messages += [HumanMessage(f"look, {maker}"), answer, *draw(st.permutations(results))]
    return (*messages, HumanMessage("thanks"))


def makers_of(messages: tuple[Message, ...]) -> set[str]:
    return {m.provider for m in messages if isinstance(m, AIMessage) and m.provider}


def unknown_to_its_sdk(messages: tuple[Message, ...], taker: str) -> bool:
    """Does the taker get a part of its own back that neither we nor its SDK know? Its types then refuse what it made itself."""
    return any(
        m.provider == taker and any(isinstance(p, Opaque) for p in m.parts)
        for m in messages
        if isinstance(m, AIMessage)
    )


@portable_checks.quiet
@settings(max_examples=25, deadline=None)
@given(conversations(), st.sampled_from(NAMES))
def test_any_conversation_goes_on_anywhere(messages: tuple[Message, ...], taker: str) -> None:
    request = sent(taker, messages)
    body = request.body.decode()
    for maker in makers_of(messages) - {taker}:
        assert portable_talks.mark(maker) not in body
        assert f"look, {maker}" in body
    found = portable_checks.pairs(taker, json.loads(body))
    assert len(found) == sum(isinstance(m, ToolMessage) for m in messages)
    assert all(f"result {json.loads(arguments)['n']}" in result for arguments, result in found)
    if not unknown_to_its_sdk(messages, taker):
        portable_checks.check(taker, portable_talks.MODELS[taker], json.loads(body))
    places = {w.partition(": ")[0] for w in request.warnings}
    assert all(re.match(r"messages\[\d+\]|ollama |tool ", p) for p in places), places


@settings(max_examples=25, deadline=None)
@given(conversations(), st.sampled_from(NAMES))
def test_each_maker_gets_its_own_back(messages: tuple[Message, ...], maker: str) -> None:
    """Stored as JSON in between, and with everybody else's turns around them."""
    stored = tuple(from_json(m.to_json()) for m in messages)
    assert stored == messages
    assert sent(maker, stored) == sent(maker, messages)
    own = {s for m in messages if isinstance(m, AIMessage) and m.provider == maker for s in secrets_in(maker, m)}
    alone = sent(maker, tuple(m for m in messages if not isinstance(m, AIMessage) or m.provider == maker)).body.decode()
    body = sent(maker, messages).body.decode()
    assert {s for s in own if s in body} == {s for s in own if s in alone}


def secrets_in(maker: str, message: AIMessage) -> set[str]:
    return {s for s in portable_talks.secrets(maker) if s in str(message.to_json())}


# ---- recorded requests

RECORDED = {
    "openai": "openai-chat",
    "openai-responses": "openai-responses",
    "anthropic": "anthropic-messages",
    "google": "google-generate",
    "bedrock": "bedrock-converse",
    "cohere": "cohere-chat-v2",
    "mistral": "mistral-chat",
    "ollama": "ollama-chat",
}
SAMPLE = 40
#: What the caller gave and a taker cannot carry is an error that names its place or itself, never left out in silence.
REFUSED = re.compile(r"messages\[\d+\]|media|image|audio|video|file|document|tool", re.IGNORECASE)


def recorded(maker: str) -> list[Call]:
    """Recorded conversations of more than one turn, the longest of each kind of content first."""
    calls: list[Call] = []
    for record in wire_records.records(RECORDED[maker]):
        request = record["request"]
        if request and isinstance(request["body"], dict) and record["status"] < 400:
            try:
                calls.append(portable_talks.DIALECTS[maker].decode_request(request["body"], request["path"]))
            except UsageError:  # a gateway's own shape
                continue
    rich: dict[Any, list[Call]] = {}
    for call in sorted(calls, key=lambda c: -len(c.messages)):
        if any(isinstance(m, AIMessage) for m in call.messages):
            kinds = frozenset(type(p).__name__ for m in call.messages for p in m.parts)
            rich.setdefault(kinds, []).append(call)
    found: list[Call] = []
    while len(found) < SAMPLE and any(rich.values()):
        found += [some.pop(0) for some in rich.values() if some]
    return found[:SAMPLE]


def hidden(maker: str, call: Call) -> set[str]:
    """Long tokens that only the maker understands, and that are no part of what was said."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, (list, tuple)):
            for inner in value:
                walk(inner)
        elif isinstance(value, str) and len(value) > 24 and not re.search(r"\s", value):
            found.add(value)

    answers = [m for m in call.messages if isinstance(m, AIMessage)]
    for message in answers:
        walk(message.provider_data)
        for part in message.parts:
            walk([part.provider_data, getattr(part, "signature", None), getattr(part, "encrypted", None)])
    said = "".join(
        [m.text + "".join(c.args_text + c.id for c in m.tool_calls) for m in answers]
        + [str(m.to_json()) for m in call.messages if not isinstance(m, AIMessage)]
    )
    return {value for value in found if value not in said}


def taken(taker: str, messages: tuple[Message, ...]) -> HTTPRequest | UsageError:
    try:
        return sent(taker, messages)
    except UsageError as error:
        return error


@pytest.mark.skipif(not wire_records.THERE, reason="the recorded traffic is not beside the repository")
@portable_checks.quiet
@pytest.mark.parametrize("maker", NAMES)
def test_recorded_conversations_go_on_elsewhere(maker: str) -> None:
    calls = recorded(maker)
    assert calls
    went = 0
    for call in calls:
        messages, secret = call.messages, hidden(maker, call)
        for taker in NAMES:
            if taker == maker:
                continue
            request = taken(taker, messages)
            if isinstance(request, UsageError):
                assert REFUSED.search(str(request)), taker
                continue
            went += 1
            body = request.body.decode()
            assert not {value for value in secret if value in body}, (maker, taker)
            portable_checks.check(taker, portable_talks.MODELS[taker], json.loads(body))
        stored = tuple(from_json(m.to_json()) for m in messages)
        assert sent(maker, stored) == sent(maker, messages)
    assert went > len(calls)
