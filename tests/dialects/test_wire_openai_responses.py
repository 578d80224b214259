"""The Responses dialect on recorded traffic, where that lies beside the repository."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatmodels._call import Call, HTTPResponse
from chatmodels._fold import fold
from chatmodels._messages import HumanMessage
from chatmodels.dialects.openai_responses import OpenAIResponses

from .wire_checks import Recorded, without_nulls
from .wire_records import THERE, events, response

pytestmark = pytest.mark.skipif(not THERE, reason="the recorded traffic is not beside the repository")

#: Four whole answers one after the other: the oracle mixes their items, we read the first.
UNREAD = {"openai-responses-2d02e242f78c": "four answers in one recording"}
#: A strict tool that is not strict; the API refused it (400), we mend its schema.
NOT_KEPT = {"openai-responses-3f3bc377f777": "an optional argument of a strict tool becomes nullable"}


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return Recorded("openai-responses", OpenAIResponses(), UNREAD)


def test_answers(recorded: Recorded) -> None:
    recorded.check_answers()


def test_streams(recorded: Recorded) -> None:
    recorded.check_streams()


def test_cut_streams(recorded: Recorded) -> None:
    recorded.check_cuts()


def test_errors(recorded: Recorded) -> None:
    recorded.check_errors()


def test_requests(recorded: Recorded) -> None:
    recorded.check_requests(normal, NOT_KEPT, 200)


def normal(body: Any) -> Any:
    """Spellings of the same request: `input` as text, content as text, what is the default, empty lists, and log
    probabilities of earlier answers, which are not sent back.
    """
    out = without_nulls(body)
    given = out.get("input") or []
    given = [{"role": "user", "content": given}] if isinstance(given, str) else given
    out["input"] = [normal_item(item) for item in given]
    for key in ("include", "stream", "tools", "text", "instructions"):
        if not out.get(key):
            out.pop(key, None)
    return out


def normal_item(item: dict[str, Any]) -> dict[str, Any]:
    out = {k: v for k, v in item.items() if (k, v) not in (("type", "message"), ("status", "completed"))}
    if "role" in out and isinstance(out.get("content"), str):
        out["content"] = [{"type": "input_text", "text": out["content"]}]
    if "role" in out and "content" in out:
        out["content"] = [normal_part(part) for part in out["content"]]
    return out


def normal_part(part: dict[str, Any]) -> dict[str, Any]:
    defaults = (("detail", "auto"), ("annotations", []))
    out = {k: v for k, v in part.items() if (k, v) not in defaults and k != "logprobs"}
    return {**out, "type": "input_text"} if out.get("type") == "output_text" else out


def test_the_fold_of_a_stream_is_its_plain_answer(recorded: Recorded) -> None:
    for record, data, _ in recorded.of("stream"):
        final, items = None, dict[int, Any]()
        for payload in _payloads(data):
            if payload.get("type") == "response.output_item.done":
                items[payload.get("output_index", len(items))] = payload["item"]
            if payload.get("type") in ("response.completed", "response.incomplete"):
                final = payload["response"]
        if final is None:
            continue
        if len(final.get("output") or []) < len(items):
            final = {**final, "output": [items[k] for k in sorted(items)]}
        plain = recorded.dialect.decode(HTTPResponse(status=200, body=json.dumps(final).encode())).to_dict()
        plain.pop("provider")
        assert fold(events(recorded.dialect, [data])).to_dict() == plain, record["id"]


def _payloads(data: bytes) -> list[dict[str, Any]]:
    told = [line[5:].strip() for line in data.decode().split("\n") if line.startswith("data:")]
    return [json.loads(payload) for payload in told if payload[:1] == "{"]


def test_answers_go_back_as_they_came(recorded: Recorded) -> None:
    for record, data, _ in recorded.of("json"):
        wire = json.loads(data)
        answer = recorded.dialect.decode(response(record, data))
        request = recorded.dialect.encode(Call(model="gpt-5", messages=(HumanMessage("u"), answer)))
        assert request.warnings == (), record["id"]
        if wire.get("output"):
            sent = {"input": json.loads(request.body)["input"][1:]}
            assert normal(sent) == normal({"input": wire["output"]}), record["id"]
