"""Recorded Anthropic traffic, where it lies beside the repository: every answer read as the independent
oracle reads it and as the official SDK does, however the bytes are cut; every recorded request read and
written again to the same meaning.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from chatmodels._call import Call
from chatmodels._errors import ChatModelError, IncompleteStream, ProviderError, UsageError
from chatmodels._fold import fold
from chatmodels._messages import AIMessage, HumanMessage
from chatmodels._parts import InvalidToolCall, Part, ToolCall
from chatmodels._schema import for_anthropic
from chatmodels.dialects._base import events_of
from chatmodels.dialects.anthropic import VERTEX, Anthropic

from . import wire_records as wire

API = "anthropic-messages"
pytestmark = pytest.mark.skipif(not wire.THERE, reason="the recorded traffic is not beside the repository")

#: Where the oracle is not right: the model of an answer that another model took over in the middle of the
#: stream. The official SDK names the model that took over ("relabels"), as a plain answer does; the oracle
#: the one that began.
ORACLE_WRONG = {"anthropic-messages-e1228ecc7b00": ["model"]}
#: Two answers in one recording: the oracle says itself that no reading is right.
TWO_ANSWERS = "anthropic-messages-932768407747"

#: Requests that are not kept as they were, and why. Both were refused by the provider.
NOT_KEPT = {
    "anthropic-messages-43330012ab4e": "a strict tool whose schema cannot be strict: it is sent as one that is not",
    "anthropic-messages-edbb9fbdcbc5": "messages that are no objects: a UsageError",
}


@pytest.fixture(scope="module")
def oracle() -> Any:
    return wire.load("oracle")


@pytest.fixture(scope="module")
def score() -> Any:
    return wire.load("score")


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return [r for r in wire.records(API) if r["id"] != TWO_ANSWERS]


def wrong(score: Any, message: AIMessage, expected: Any) -> list[str]:
    return [name for name, ok in score.compare(wire.read(message), expected, API).items() if not ok]


def test_answers(records: list[dict[str, Any]], oracle: Any, score: Any) -> None:
    dialect = Anthropic()
    found = {"json": 0, "stream": 0, "error": 0}
    for record in records:
        data, expected = oracle.body_bytes(record), oracle.expected(record)
        kind = score.kind_of(record, expected)
        found[kind] += 1
        known = ORACLE_WRONG.get(record["id"], [])
        if kind == "json":
            message = dialect.decode(wire.response(record, data))
            assert wrong(score, message, expected) == known, record["id"]
            again = fold(events_of(message))
            assert replace(again, provider="anthropic") == message, record["id"]
        elif kind == "stream":
            whole = wire.events(dialect, [data])
            assert wrong(score, fold(whole), expected) == known, record["id"]
            assert wire.events(dialect, wire.pieces(data, 7)) == whole, record["id"]
            if len(data) < 5000:
                assert wire.events(dialect, wire.pieces(data, 1)) == whole, record["id"]
    assert min(found.values()) > 10


def test_errors(records: list[dict[str, Any]], oracle: Any, score: Any) -> None:
    for record in records:
        data, expected = oracle.body_bytes(record), oracle.expected(record)
        if record["status"] < 400:
            continue
        error = Anthropic().decode_error(wire.response(record, data))
        assert isinstance(error, ProviderError)
        assert error.status == record["status"]
        assert score.has_message(error.message, expected["error"]["message"]), record["id"]
        assert type(error) is not ProviderError, record["id"]


def test_cut_streams(records: list[dict[str, Any]], oracle: Any, score: Any) -> None:
    for record in records:
        if not record["stream"] or record["status"] >= 400:
            continue
        for boundary in (False, True):
            cut = score.cut_point(record, boundary)
            if cut:
                with pytest.raises(IncompleteStream):
                    wire.events(Anthropic(), [oracle.body_bytes(record)[:cut]])


def bare(message: AIMessage) -> AIMessage:
    """Without what only one of the two forms has: the text of arguments, the raw usage, who answered."""

    def part(p: Part) -> Part:
        if isinstance(p, InvalidToolCall):
            return replace(p, error="")
        return replace(p, text=None) if isinstance(p, ToolCall) else p

    content = message.content if isinstance(message.content, str) else [part(p) for p in message.content]
    usage = message.usage and replace(message.usage, raw=None)
    return replace(message, content=content, usage=usage, provider=None)


def test_streams_as_the_official_sdk_reads_them(records: list[dict[str, Any]], oracle: Any) -> None:
    """The SDK folds the stream into a plain answer: ours of that is ours of the stream."""
    streaming = pytest.importorskip("anthropic.lib.streaming._beta_messages")
    sdk = pytest.importorskip("anthropic")
    models = pytest.importorskip("anthropic._models")
    types = pytest.importorskip("anthropic.types.beta")
    for record in records:
        if not record["stream"] or record["status"] >= 400:
            continue
        data = oracle.body_bytes(record)
        snapshot: Any = None
        buffers: dict[int, bytes] = {}
        for _, event in oracle.sse_json(data, []):
            if event is None or event["type"] == "ping":
                continue
            typed = models.construct_type(type_=types.BetaRawMessageStreamEvent, value=event)
            snapshot = streaming.accumulate_event(
                event=typed,
                current_snapshot=snapshot,
                json_bufs=buffers,
                output_format=sdk.NOT_GIVEN,
                request_headers=None,
            )
        body = snapshot.to_dict(mode="json")
        for block in body["content"]:
            block.pop("parsed_output", None)
        theirs = Anthropic().decode(wire.response(record, json.dumps(body).encode()))
        assert bare(fold(wire.events(Anthropic(), [data]))) == bare(theirs), record["id"]


# ---- requests


def blocks(content: Any) -> list[Any]:
    """Content in one form: text as a block, without empty texts, nulls and `is_error: false`."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    found = []
    for block in content or ():
        if block.get("type") == "text" and not block.get("text"):
            continue
        block = {k: v for k, v in block.items() if v is not None}
        if block.get("type") == "tool_result":
            block["content"] = blocks(block.get("content"))
            if block.get("is_error") is False:
                del block["is_error"]
        found.append(block)
    return found


def meaning(body: dict[str, Any]) -> dict[str, Any]:
    """A request in one form. Not told apart, because the API does not: text and a list of one text; turns
    of one role that follow each other; `stream: false`, nulls and empty lists and nothing; a tool's type
    "custom" and none; the old `output_format` and `output_config.format`; a schema and what structured
    outputs make of it.
    """
    body = {k: v for k, v in body.items() if v is not None and v is not False and v != []}
    if "system" in body:
        body["system"] = blocks(body["system"])
    turns: list[Any] = []
    for message in body["messages"]:
        turn = {**message, "content": blocks(message["content"])}
        if turns and turns[-1]["role"] == turn["role"] != "system":
            turns[-1]["content"] += turn["content"]
        else:
            turns.append(turn)
    body["messages"] = turns
    if "output_format" in body:
        body["output_config"] = {**body.get("output_config", {}), "format": body.pop("output_format")}
    wanted = body.get("output_config", {}).get("format")
    if wanted:
        wanted["schema"] = for_anthropic(wanted["schema"])[0]
    for tool in body.get("tools", ()):
        if tool.get("type") == "custom":
            del tool["type"]
        if tool.get("description") == "":
            del tool["description"]
        if tool.get("strict"):
            tool["input_schema"] = for_anthropic(tool["input_schema"])[0]
    return {k: v for k, v in body.items() if v != []}


def test_requests(records: list[dict[str, Any]]) -> None:
    seen = 0
    for record in records:
        request = record["request"]
        if not request or not isinstance(request["body"], dict) or "messages" not in request["body"]:
            continue
        seen += 1
        vertex = "RawPredict" in request["path"] or "rawPredict" in request["path"]
        dialect = Anthropic(**VERTEX) if vertex else Anthropic()
        kept = record["id"] not in NOT_KEPT
        try:
            call = dialect.decode_request(json.loads(json.dumps(request["body"])), request["path"])
        except UsageError:
            assert not kept, record["id"]
            continue
        again = dialect.encode(call)
        same = meaning(json.loads(again.body)) == meaning(json.loads(json.dumps(request["body"])))
        assert same == kept, record["id"]
        if vertex:
            assert request["path"].endswith(again.path)
    assert seen > 300


def test_answers_go_back_as_they_came(records: list[dict[str, Any]], oracle: Any) -> None:
    """Every block of an answer is sent back, in order; only empty texts are left out."""
    for record in records:
        if record["stream"] or record["status"] >= 400:
            continue
        body = json.loads(oracle.body_bytes(record))
        try:
            message = Anthropic().decode(wire.response(record, oracle.body_bytes(record)))
        except ChatModelError:
            continue
        call = Call(model="claude-opus-5", messages=(HumanMessage("go"), message, HumanMessage("on")))
        sent = json.loads(Anthropic().encode(call).body)["messages"]
        expected = blocks(body["content"])
        for block in expected:
            if not block.get("citations", True):
                del block["citations"]
        assert (blocks(sent[1]["content"]) if len(sent) == 3 else []) == expected, record["id"]
