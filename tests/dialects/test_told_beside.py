"""What hosts tell beside the answer is kept for the user, plain and streamed alike, and never sent back."""

from __future__ import annotations

import json
from typing import Any

from chatmodels._call import Call, HTTPResponse
from chatmodels._fold import fold
from chatmodels._messages import AIMessage, HumanMessage
from chatmodels.dialects.google import Google
from chatmodels.dialects.openai_chat import OpenAIChat
from chatmodels.dialects.openai_responses import OpenAIResponses

from .wire_records import events

TOLD: dict[str, Any] = {"service_tier": "flex", "provider": "Upstream", "timings": {"prompt_n": 9}}
SOURCES = {"web_search_citations": [{"url": "https://a.example", "title": "t", "content": "c", "date": "2026-01-01"}]}


def plain(dialect: Any, body: dict[str, Any]) -> AIMessage:
    message: AIMessage = dialect.decode(HTTPResponse(status=200, body=json.dumps(body).encode()))
    return message


def streamed(dialect: Any, *chunks: dict[str, Any]) -> AIMessage:
    return fold(events(dialect, [b"".join(b"data: %s\n\n" % json.dumps(c).encode() for c in chunks)]))


def test_chat_completions() -> None:
    dialect = OpenAIChat("venice")
    ending = {"index": 0, "finish_reason": "stop", "native_finish_reason": "end_turn"}
    said = {"role": "assistant", "content": "Hi"}
    body = {**TOLD, "venice_parameters": SOURCES, "choices": [{**ending, "message": said}]}
    last = {**TOLD, "venice_parameters": SOURCES, "choices": [{**ending, "delta": {}}]}
    first = {"choices": [{"index": 0, "delta": said}]}
    one, other = plain(dialect, body), streamed(dialect, first, last)
    told = {**TOLD, "venice_parameters": SOURCES, "native_finish_reason": "end_turn"}
    for message in (one, other):
        assert message.provider_data == {"venice": {"answer": told}}
        assert [(c.url, c.cited_text, c.provider_data) for c in message.citations] == [
            ("https://a.example", "c", {"venice": {"date": "2026-01-01"}})
        ]
    sent = dialect.encode(Call(model="m", messages=(HumanMessage("a"), one, HumanMessage("b")))).body.decode()
    assert "flex" not in sent
    assert "Upstream" not in sent


def test_responses() -> None:
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
    kept = {"moderation": {"input": {"flagged": False}}, "content_filters": [{"blocked": False}], "reasoning": "hm"}
    body = {"id": "r", "status": "completed", "output": [item], "truncation": "disabled", **kept}
    one = plain(OpenAIResponses(), body)
    other = streamed(OpenAIResponses(), {"type": "response.completed", "response": body})
    for message in (one, other):
        own = (message.provider_data or {})["openai-responses"]
        assert {k: own[k] for k in kept} == kept
        assert "truncation" not in own


def test_a_blocked_prompt_without_counts() -> None:
    usage = {"trafficType": "ON_DEMAND"}
    message = plain(Google(), {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": usage})
    assert message.usage is None
    assert (message.provider_data or {})["google"]["usageMetadata"] == usage
