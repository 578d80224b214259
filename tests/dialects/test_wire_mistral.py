"""The Mistral dialect on recorded traffic, where that lies beside the repository."""

from __future__ import annotations

from typing import Any

import pytest

from chatmodels.dialects.mistral import Mistral

from .wire_checks import Recorded, without_nulls
from .wire_records import THERE

pytestmark = pytest.mark.skipif(not THERE, reason="the recorded traffic is not beside the repository")


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return Recorded("mistral-chat", Mistral())


def test_answers(recorded: Recorded) -> None:
    recorded.check_answers()


def test_streams(recorded: Recorded) -> None:
    recorded.check_streams()


def test_cut_streams(recorded: Recorded) -> None:
    recorded.check_cuts()


def test_errors(recorded: Recorded) -> None:
    recorded.check_errors()


def test_requests(recorded: Recorded) -> None:
    recorded.check_requests(normal, {}, 100)


def normal(body: Any) -> Any:
    """Content as text, defaults left out, `any` for `required`, and call ids by their order: those that are not nine
    letters (the recordings have `call_REDACTED_1`) are sent as others.
    """
    out = without_nulls(body)
    ids: dict[str, int] = {}
    for message in out["messages"]:
        message["content"] = normal_content(message)
        for call in message.get("tool_calls") or []:
            call["id"] = ids.setdefault(call["id"], len(ids))
            call.setdefault("type", "function")
        if message["role"] == "tool":
            message["tool_call_id"] = ids.setdefault(message["tool_call_id"], len(ids))
        for key in ("tool_calls", "prefix"):
            if not message.get(key):
                message.pop(key, None)
    for tool in out.get("tools") or []:
        tool.setdefault("type", "function")
    if out.get("tool_choice") == "required":
        out["tool_choice"] = "any"
    if not out.get("stream"):
        out.pop("stream", None)
    return out


def normal_content(message: dict[str, Any]) -> list[Any]:
    content = message.get("content") or []
    content = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for chunk in content:
        if chunk.get("type") == "image_url":
            image = chunk["image_url"]
            image = {"url": image} if isinstance(image, str) else image
            chunk["image_url"] = {k: v for k, v in image.items() if (k, v) != ("detail", "auto")}
    return [c for c in content if message["role"] != "assistant" or c != {"type": "text", "text": ""}]
