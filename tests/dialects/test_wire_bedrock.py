"""Recorded Bedrock Converse traffic, where it lies beside the repository: every answer read as the
independent oracle reads it and as botocore does, however the bytes are cut; every recorded request read and
written again to the same meaning.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from msgspec.structs import replace

from chatmodels._errors import IncompleteStream, ProviderError
from chatmodels._fold import fold
from chatmodels._messages import AIMessage
from chatmodels._schema import for_anthropic
from chatmodels.dialects._base import events_of
from chatmodels.dialects._kept import mapping
from chatmodels.dialects.bedrock import BedrockConverse

from . import wire_records as wire

API = "bedrock-converse"
pytestmark = pytest.mark.skipif(not wire.THERE, reason="the recorded traffic is not beside the repository")


@pytest.fixture(scope="module")
def oracle() -> Any:
    return wire.load("oracle")


@pytest.fixture(scope="module")
def score() -> Any:
    return wire.load("score")


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return wire.records(API)


def wrong(score: Any, message: AIMessage, expected: Any) -> list[str]:
    return [name for name, ok in score.compare(wire.read(message), expected, API).items() if not ok]


def test_answers(records: list[dict[str, Any]], oracle: Any, score: Any) -> None:
    dialect = BedrockConverse()
    found = {"json": 0, "stream": 0, "error": 0}
    for record in records:
        data, expected = oracle.body_bytes(record), oracle.expected(record)
        kind = score.kind_of(record, expected)
        found[kind] += 1
        if kind == "json":
            message = dialect.decode(wire.response(record, data))
            assert wrong(score, message, expected) == [], record["id"]
            again = fold(events_of(message))
            assert replace(again, provider="bedrock") == message, record["id"]
        elif kind == "stream":
            whole = wire.events(dialect, [data])
            assert wrong(score, fold(whole), expected) == [], record["id"]
            assert wire.events(dialect, wire.pieces(data, 7)) == whole, record["id"]
            if len(data) < 5000:
                assert wire.events(dialect, wire.pieces(data, 1)) == whole, record["id"]
    assert min(found.values()) > 5


def test_errors(records: list[dict[str, Any]], oracle: Any, score: Any) -> None:
    for record in records:
        data, expected = oracle.body_bytes(record), oracle.expected(record)
        if record["status"] < 400:
            continue
        error = BedrockConverse().decode_error(wire.response(record, data))
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
                    wire.events(BedrockConverse(), [oracle.body_bytes(record)[:cut]])


def test_frames_as_botocore_reads_them(records: list[dict[str, Any]], oracle: Any) -> None:
    """botocore's own parser of frames sees the same texts, arguments and reasoning, in the same order."""
    stream = pytest.importorskip("botocore.eventstream")
    for record in records:
        if not record["stream"] or record["status"] >= 400:
            continue
        data = oracle.body_bytes(record)
        buffer = stream.EventStreamBuffer()
        buffer.add_data(data)
        said = {"text": "", "reasoning": "", "arguments": ""}
        for message in buffer:
            if message.headers.get(":event-type") == "contentBlockDelta":
                delta = json.loads(message.payload)["delta"]
                said["text"] += delta.get("text") or ""
                said["reasoning"] += (delta.get("reasoningContent") or {}).get("text") or ""
                said["arguments"] += (delta.get("toolUse") or {}).get("input") or ""
        ours = fold(wire.events(BedrockConverse(), [data]))
        arguments = "".join(c.args_text for c in ours.tool_calls)
        assert {"text": ours.text, "reasoning": ours.reasoning, "arguments": arguments} == said, record["id"]


# ---- requests


def blocks(content: Any) -> list[Any]:
    """Blocks in one form: without empty texts, nulls, the "type" that SDKs add to a text, and `status:
    success`.
    """
    found = []
    for block in content or ():
        block = {k: v for k, v in block.items() if v is not None}
        if "text" in block:
            block = {"text": block["text"]}
        if block == {"text": ""}:
            continue
        if mapping(block.get("toolUse")).get("type") == "tool_use":
            block = {"toolUse": {k: v for k, v in block["toolUse"].items() if k != "type"}}
        if "toolResult" in block:
            inner = dict(block["toolResult"])
            inner["content"] = blocks(inner.get("content"))
            if inner.get("status") == "success" and "type" not in inner:
                del inner["status"]
            block = {"toolResult": inner}
        found.append(block)
    return found


def meaning(body: dict[str, Any]) -> dict[str, Any]:
    """A request in one form. Not told apart: empty lists and objects and nothing; the model in the body and
    in the path; turns of one role that follow each other, which ours makes one (the documentation wants
    them to alternate); a schema and what structured outputs make of it.
    """
    body = {k: v for k, v in body.items() if k != "modelId"}
    body["system"] = blocks(body.get("system"))
    turns: list[Any] = []
    for message in body["messages"]:
        turn = {**message, "content": blocks(message["content"])}
        if turns and turns[-1]["role"] == turn["role"]:
            turns[-1]["content"] += turn["content"]
        else:
            turns.append(turn)
    body["messages"] = turns
    config = body.get("inferenceConfig") or {}
    body["inferenceConfig"] = {k: v for k, v in config.items() if v != []}
    definition = body.get("outputConfig", {}).get("textFormat", {}).get("structure", {}).get("jsonSchema")
    if definition:
        definition["schema"] = for_anthropic(json.loads(definition["schema"]))[0]
    for tool in (body.get("toolConfig") or {}).get("tools", ()):
        spec = tool.get("toolSpec", {})
        if spec.get("strict"):
            spec["inputSchema"]["json"] = for_anthropic(spec["inputSchema"]["json"])[0]
    return {k: v for k, v in body.items() if v}


def test_requests(records: list[dict[str, Any]]) -> None:
    """Nothing is lost: there is no list of exceptions."""
    seen = 0
    for record in records:
        request = record["request"]
        if not request or not isinstance(request["body"], dict):
            continue
        body = request["body"]
        if "b64" in body:
            body = json.loads(base64.b64decode(body["b64"]))
        seen += 1
        call = BedrockConverse().decode_request(json.loads(json.dumps(body)), request["path"])
        again = BedrockConverse().encode(call)
        assert meaning(json.loads(again.body)) == meaning(json.loads(json.dumps(body))), record["id"]
        assert again.path == request["path"].replace(":", "%3A")
        assert again.warnings == (), record["id"]
    assert seen > 150
