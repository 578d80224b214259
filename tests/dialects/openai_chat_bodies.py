"""The smallest bodies of Chat Completions: a plain answer, and a chunk of a stream."""

from __future__ import annotations

from typing import Any


def answer(message: dict[str, Any], finish: Any = "stop", **rest: Any) -> dict[str, Any]:
    """A plain body with one choice; `rest` stands in the choice."""
    return {"id": "c-1", "model": "m-1", "choices": [{"index": 0, "message": message, "finish_reason": finish, **rest}]}


def chunk(delta: Any, finish: Any = None, **rest: Any) -> dict[str, Any]:
    """A chunk with one choice; `rest` stands beside the choices."""
    return {"id": "c-1", "model": "m-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **rest}
