"""Recorded Ollama traffic, where it lies beside the repository: every answer read as the independent oracle reads it,
however the bytes are cut; every recorded request parsed and encoded again to the same meaning.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from chatmodels._call import HTTPResponse
from chatmodels._errors import ChatModelError
from chatmodels._events import Event
from chatmodels._fold import fold
from chatmodels._json import loads
from chatmodels.dialects.ollama import Ollama

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
RECORDS = SHARED / "wire" / "ollama-chat.jsonl"
pytestmark = pytest.mark.skipif(not RECORDS.exists(), reason="the recorded traffic is not beside the repository")


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"wire_{name}", SHARED / "score" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(SHARED / "score"))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


@pytest.fixture(scope="module")
def oracle() -> Any:
    return _load("oracle")


@pytest.fixture(scope="module")
def score() -> Any:
    return _load("score")


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    with RECORDS.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def dialect(record: dict[str, Any]) -> Ollama:
    return Ollama()


def events(pieces: list[bytes]) -> list[Event]:
    decoder = Ollama().stream_decoder()
    out: list[Event] = []
    for piece in pieces:
        out += decoder.feed(piece)
    if decoder.failed is None:
        out += decoder.close()
    if decoder.failed is not None:
        raise decoder.failed
    return out


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def read(message: Any) -> dict[str, Any]:
    usage = message.usage
    return {
        "text": message.text,
        "reasoning": message.reasoning,
        "model": message.model,
        "finish": message.finish_reason,
        "tool_calls": [{"id": c.id, "name": c.name, "args": c.args} for c in message.tool_calls],
        "usage": usage and {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
    }


def wrong(score: Any, message: Any, expected: Any) -> list[str]:
    return [name for name, ok in score.compare(read(message), expected, "ollama-chat").items() if not ok]


def test_answers(records: list[dict[str, Any]], oracle: Any, score: Any) -> None:
    found = {"json": 0, "stream": 0, "error": 0}
    for record in records:
        data, expected = oracle.body_bytes(record), oracle.expected(record)
        kind = score.kind_of(record, expected)
        found[kind] += 1
        if kind == "json":
            message = Ollama().decode(HTTPResponse(status=200, body=data))
            assert wrong(score, message, expected) == [], record["id"]
        elif kind == "stream":
            whole = events([data])
            assert wrong(score, fold(whole), expected) == [], record["id"]
            assert events(cut(data, 7)) == whole, record["id"]
        else:
            error = Ollama().decode_error(HTTPResponse(status=record["status"], body=data))
            assert (error.status, error.message) == (record["status"], expected["error"]["message"])
            assert error.code is None
    assert min(found.values()) >= 1


def test_cut_streams_raise(records: list[dict[str, Any]], oracle: Any, score: Any) -> None:
    cuts = 0
    for record in records:
        expected = oracle.expected(record)
        if score.kind_of(record, expected) != "stream":
            continue
        for at in {score.cut_point(record, boundary) for boundary in (True, False)} - {None, 0}:
            cuts += 1
            with pytest.raises(ChatModelError):
                events([oracle.body_bytes(record)[:at]])
    assert cuts > 30


# -- requests

#: What is deliberately not kept of a request, since it means the same: nulls, empty objects and lists, `format: ""`;
#: `type` and `index` of a tool call; what stands beside `function` in a tool; `stream` is always said (true when it was not);
#: the name of the tool that a result answers is added; properties of a tool's parameters without any are said as {}.


def message(wire: dict[str, Any]) -> dict[str, Any]:
    out = {k: v for k, v in wire.items() if v not in (None, [], "") and k != "tool_name"}
    calls = [{"id": c.get("id"), "function": {**c["function"], "index": None}} for c in wire.get("tool_calls") or []]
    return {**out, "tool_calls": calls, "content": wire.get("content") or ""}


def normal(body: dict[str, Any]) -> dict[str, Any]:
    out = {k: v for k, v in body.items() if v not in (None, {}, [], "")}
    out["messages"] = [message(m) for m in body["messages"]]
    out["stream"] = body.get("stream") is not False
    if "tools" in out:
        out["tools"] = [t["function"] for t in body["tools"]]
    return out


def request_of(record: dict[str, Any]) -> dict[str, Any] | None:
    body = (record["request"] or {}).get("body")
    return body if isinstance(body, dict) else None


def test_requests_survive(records: list[dict[str, Any]]) -> None:
    seen = 0
    for record in records:
        body = request_of(record)
        if body is None:
            continue
        seen += 1
        again = Ollama().encode(Ollama().decode_request(body, "/api/chat"))
        assert normal(loads(again.body)) == normal(body), record["id"]
        names = [
            (a.get("tool_name"), b.get("tool_name"))
            for a, b in zip(loads(again.body)["messages"], body["messages"], strict=True)
        ]
        assert all(theirs in (None, ours) for ours, theirs in names)
    assert seen > 30
