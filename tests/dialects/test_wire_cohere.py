"""The Cohere dialect on recorded traffic, where that lies beside the repository."""

from __future__ import annotations

from typing import Any

import pytest

from chatmodels.dialects.cohere import Cohere

from .wire_checks import Recorded, without_nulls
from .wire_records import THERE

pytestmark = pytest.mark.skipif(not THERE, reason="the recorded traffic is not beside the repository")


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return Recorded("cohere-chat-v2", Cohere())


def test_answers(recorded: Recorded) -> None:
    recorded.check_answers()


def test_streams(recorded: Recorded) -> None:
    recorded.check_streams()


def test_cut_streams(recorded: Recorded) -> None:
    recorded.check_cuts()


def test_errors(recorded: Recorded) -> None:
    recorded.check_errors()


def test_requests(recorded: Recorded) -> None:
    recorded.check_requests(normal, {}, 50)


def normal(body: Any) -> Any:
    """Content as text, and what says nothing: empty texts and lists in an answer, `stream: false`."""
    out = without_nulls(body)
    for message in out["messages"]:
        if isinstance(message.get("content"), str):
            message["content"] = [{"type": "text", "text": message["content"]}]
        if message["role"] == "assistant":
            message["content"] = [c for c in message.get("content", []) if c != {"type": "text", "text": ""}]
            for key in ("content", "citations", "tool_calls", "tool_plan"):
                if not message.get(key):
                    message.pop(key, None)
    if not out.get("stream"):
        out.pop("stream", None)
    return out
