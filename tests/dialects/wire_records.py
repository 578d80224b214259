"""Recorded traffic, where it lies beside the repository, and the independent oracle that reads it."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from chatmodels._call import HTTPResponse
from chatmodels._events import Event

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
THERE = (SHARED / "wire").is_dir() and (SHARED / "score" / "oracle.py").is_file()


def load(name: str) -> Any:
    """A module of the scorer, by its file name."""
    spec = importlib.util.spec_from_file_location(f"recorded_{name}", SHARED / "score" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(SHARED / "score"))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


def records(api: str) -> list[dict[str, Any]]:
    with (SHARED / "wire" / f"{api}.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def response(record: dict[str, Any], data: bytes) -> HTTPResponse:
    return HTTPResponse(status=record["status"], headers=record["response"].get("headers") or {}, body=data)


def events(dialect: Any, pieces: list[bytes]) -> list[Event]:
    """All events of a stream; raises what the stream ends with."""
    decoder = dialect.stream_decoder()
    out: list[Event] = []
    for piece in pieces:
        out += decoder.feed(piece)
    if decoder.failed is None:
        out += decoder.close()
    if decoder.failed is not None:
        raise decoder.failed
    return out


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def read(message: Any) -> dict[str, Any]:
    """A message as the scorer compares it."""
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
