"""Recorded Gemini traffic, where it lies beside the repository: every answer read as the independent oracle reads it,
however the bytes are cut; every recorded request parsed and encoded again to the same meaning.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from chatmodels._call import HTTPResponse
from chatmodels._errors import ChatModelError, ProviderError
from chatmodels._events import Event
from chatmodels._fold import fold
from chatmodels._json import loads
from chatmodels._schema import for_google_json
from chatmodels.dialects._google_parse import json_schema
from chatmodels.dialects._google_wire import camel_key
from chatmodels.dialects.google import Google

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
RECORDS = SHARED / "wire" / "google-generate.jsonl"
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


def dialect(record: dict[str, Any]) -> Google:
    return Google(vertex="aiplatform" in record["host"])


def response(record: dict[str, Any], data: bytes) -> HTTPResponse:
    return HTTPResponse(status=record["status"], headers=record["response"].get("headers") or {}, body=data)


def events(dialect: Google, pieces: list[bytes]) -> list[Event]:
    decoder = dialect.stream_decoder()
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
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
    return {
        "text": message.text,
        "reasoning": message.reasoning,
        "model": message.model,
        "finish": message.finish_reason,
        "tool_calls": [{"id": c.id, "name": c.name, "args": c.args} for c in message.tool_calls],
        "usage": usage and {n: getattr(usage, n) for n in names},
    }


def wrong(score: Any, message: Any, expected: Any) -> list[str]:
    return [name for name, ok in score.compare(read(message), expected, "google-generate").items() if not ok]


def test_answers(records: list[dict[str, Any]], oracle: Any, score: Any) -> None:
    found = {"json": 0, "stream": 0, "error": 0}
    for record in records:
        data, expected = oracle.body_bytes(record), oracle.expected(record)
        kind = score.kind_of(record, expected)
        found[kind] += 1
        ours = dialect(record)
        if kind == "json":
            message = ours.decode(response(record, data))
            assert wrong(score, message, expected) == [], record["id"]
            assert message.provider == "google"
        elif kind == "stream":
            whole = events(ours, [data])
            assert wrong(score, fold(whole), expected) == [], record["id"]
            assert events(ours, cut(data, 7)) == whole, record["id"]
            if len(data) < 5000:
                assert events(ours, cut(data, 1)) == whole, record["id"]
    assert min(found.values()) > 20


def test_errors(records: list[dict[str, Any]], oracle: Any, score: Any) -> None:
    for record in records:
        data, expected = oracle.body_bytes(record), oracle.expected(record)
        if score.kind_of(record, expected) != "error":
            continue
        ours = dialect(record)
        if record["status"] >= 400:
            error = ours.decode_error(response(record, data))
            assert error.status == record["status"]
            assert score.has_message(score.all_text(error), expected["error"]["message"])
            continue
        with pytest.raises(ChatModelError) as raised:
            events(ours, [data])
        if expected["error"]:
            assert isinstance(raised.value, ProviderError)


def test_cut_streams_raise(records: list[dict[str, Any]], oracle: Any, score: Any) -> None:
    cuts = 0
    for record in records:
        expected = oracle.expected(record)
        if score.kind_of(record, expected) != "stream":
            continue
        for at in {score.cut_point(record, boundary) for boundary in (True, False)} - {None, 0}:
            cuts += 1
            with pytest.raises(ChatModelError):
                events(dialect(record), [oracle.body_bytes(record)[:at]])
    assert cuts > 100


# -- requests

#: What is deliberately not kept of a request, since it means the same:
#: - the spelling of field names (snake_case), lone objects in place of lists, nulls, empty objects and lists;
#: - the role of system instructions, role "function" (now "user"), a missing role; `model` in the body (it is in the path);
#: - one content that holds function responses and other parts becomes two;
#: - one tool object with several keys becomes several;
#: - schemas in the OpenAPI form are sent as JSON Schema (without the titles that say nothing to the model's grammar);
#: - parts that hold nothing but an empty text, beside others or in the instructions;
#: - `thought: false`; the type of a file by URL, which we add from its name; `includeThoughts: false`;
#: - the dummy thought signature that Gemini 3 wants on calls without one;
#: - the case of thinking levels and modalities.
DUMMY = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
FREE = {"args", "response", "labels", "properties", "$defs"}


def schema(value: Any) -> Any:
    found = for_google_json(json_schema(value))[0]
    return (
        found
        if found.get("properties") or found.keys() - {"type", "properties", "required", "additionalProperties"}
        else None
    )


def camel(value: Any) -> Any:
    if isinstance(value, list):
        return [camel(v) for v in value]
    if not isinstance(value, dict):
        return value
    out: dict[str, Any] = {}
    for key, inner in value.items():
        name = camel_key(key)
        name = name.replace("parametersJsonSchema", "parameters").replace("responseJsonSchema", "responseSchema")
        if name in ("parameters", "responseSchema"):
            inner = schema(inner) if isinstance(inner, dict) else inner
        elif name not in FREE:
            inner = camel(inner)
        if inner is not None:
            out[name] = inner
    return out


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def part(wire: dict[str, Any]) -> dict[str, Any]:
    wire = {k: v for k, v in wire.items() if not (k == "thought" and v is False)}
    if wire.get("thoughtSignature") == DUMMY:
        del wire["thoughtSignature"]
    if "fileData" in wire:
        wire["fileData"] = {"fileUri": wire["fileData"]["fileUri"], "mimeType": wire["fileData"].get("mimeType")}
    if "functionResponse" in wire:
        wire["functionResponse"] = {k: v for k, v in wire["functionResponse"].items() if v not in ({}, [])}
    return wire


def contents(value: Any) -> list[Any]:
    out: list[Any] = []
    for content in as_list(value):
        role = "model" if content.get("role") == "model" else "user"
        parts = [part(p) for p in as_list(content.get("parts"))]
        results = [p for p in parts if "functionResponse" in p]
        others = [p for p in parts if "functionResponse" not in p and p != {"text": ""}]
        if results and out and out[-1][0] == "results":
            out[-1][1].extend(results)
        elif results:
            out.append(("results", results))
        if others or not results:
            out.append((role, others or [{"text": ""}]))
    return out


def config(value: Any) -> Any:
    wire = dict(value or {})
    thinking = dict(wire.get("thinkingConfig") or {})
    if not thinking.get("includeThoughts"):
        thinking.pop("includeThoughts", None)
    if isinstance(thinking.get("thinkingLevel"), str):
        thinking["thinkingLevel"] = thinking["thinkingLevel"].upper()
    wire["thinkingConfig"] = thinking
    if wire.get("responseModalities"):
        wire["responseModalities"] = [m.upper() for m in wire["responseModalities"]]
    if wire.get("logprobs"):
        wire["responseLogprobs"] = True
    return {k: v for k, v in wire.items() if v not in ({}, [])}


def tools(value: Any) -> list[Any]:
    out: list[Any] = []
    for group in as_list(value):
        for key, inner in group.items():
            out += [(key, v) for v in (as_list(inner) if key == "functionDeclarations" else [inner])]
    return sorted(out, key=lambda item: json.dumps(item, sort_keys=True))


def normal(body: dict[str, Any]) -> dict[str, Any]:
    wire = camel(body)
    system = wire.pop("systemInstruction", None)
    said = system.get("parts") if isinstance(system, dict) else []
    out: dict[str, Any] = {
        "contents": contents(wire.pop("contents", None)),
        "system": [p for p in map(part, as_list(said)) if p != {"text": ""}],
        "config": config(wire.pop("generationConfig", None)),
        "tools": tools(wire.pop("tools", None)),
    }
    wire.pop("model", None)
    return {**out, **{k: v for k, v in wire.items() if v not in ({}, [], None)}}


def request_of(record: dict[str, Any]) -> dict[str, Any] | None:
    body = (record["request"] or {}).get("body")
    if isinstance(body, dict) and "b64" in body:
        body = loads(base64.b64decode(body["b64"]))
    return body if isinstance(body, dict) else None


def test_requests_survive(records: list[dict[str, Any]]) -> None:
    seen = 0
    for record in records:
        body = request_of(record)
        if body is None or "contents" not in body:
            continue
        seen += 1
        ours = dialect(record)
        path = record["request"]["path"]
        call = ours.decode_request(body, path)
        again = ours.encode(call)
        assert normal(loads(again.body)) == normal(body), record["id"]
        assert call.model, path
        assert again.path.split("?")[0].rpartition("/")[2] == path.split("?")[0].rpartition("/")[2]
        assert again.stream == ("streamGenerateContent" in path)
    assert seen > 300
