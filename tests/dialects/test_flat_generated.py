"""Generated calls through Responses, Cohere and Mistral: encoding never fails but by a UsageError, is deterministic, leaks
nothing of another provider, and gives what the official SDK's own types take.
"""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from chatmodels._call import Call
from chatmodels._errors import UsageError
from chatmodels._parts import Citation, Image, Opaque, Part, Reasoning, ServerTool, Text, ToolCall
from chatmodels.dialects.cohere import Cohere
from chatmodels.dialects.mistral import Mistral
from chatmodels.dialects.openai_responses import OpenAIResponses

from . import flat_talks

often = settings(max_examples=75, deadline=None, suppress_health_check=list(HealthCheck))


def encoded(dialect: Any, call: Call) -> dict[str, Any] | None:
    """The request's JSON; None where the call cannot be sent and says so."""
    try:
        request = dialect.encode(call)
    except UsageError:
        return None
    assert dialect.encode(call) == request
    assert flat_talks.SECRET not in request.body.decode()
    body = json.loads(request.body)
    # and it can be read back: what is read is sent again in the same words
    again = dialect.encode(dialect.decode_request(body))
    assert dialect.encode(dialect.decode_request(json.loads(again.body))).body == again.body
    found: dict[str, Any] = body
    return found


# ---- Responses

SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
NOTE = {"type": "url_citation", "start_index": 0, "end_index": 1, "title": "t", "url": "https://a"}
RESPONSES: list[Part] = [
    Reasoning("s", summary=True, encrypted="e", provider_data={"openai-responses": {"extra": {"id": "rs_1"}}}),
    Reasoning("", provider_data={"openai-responses": {"extra": {"id": "rs_2"}}}),
    ServerTool(kind="web_search", provider_data={"openai-responses": {"item": SEARCH}}),
    Opaque(provider="openai-responses", kind="web_search_call", data=SEARCH),
    Text("m", provider_data={"openai-responses": {"message": {"id": "msg_2", "status": "completed"}}}),
    Text(
        "c",
        (
            Citation(
                url="https://a", title="t", start=0, end=1, provider_data={"openai-responses": {"type": "url_citation"}}
            ),
        ),
        provider_data={"openai-responses": {"message": {"id": "msg_3"}}},
    ),
    Image(
        data=flat_talks.PNG,
        provider_data={
            "openai-responses": {"item": {"type": "image_generation_call", "id": "ig_1", "status": "completed"}}
        },
    ),
    ToolCall(
        "call_1", "f", {"a": 1}, provider_data={"openai-responses": {"extra": {"id": "fc_1", "status": "completed"}}}
    ),
]


@pytest.fixture(scope="module")
def openai_types() -> Any:
    """The SDK's own parameter types, closed to unknown fields and with its lazy iterables as lists."""
    pydantic = pytest.importorskip("pydantic")
    pytest.importorskip("openai")
    import openai.types.responses.response_create_params as params
    from typing_extensions import is_typeddict

    modules = [m for n, m in list(sys.modules.items()) if n.startswith("openai.types.") and m is not None]
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            for name in ("Iterable", "SequenceNotStr"):
                if hasattr(module, name):
                    patch.setattr(module, name, list)
            for value in list(vars(module).values()):
                if is_typeddict(value):
                    patch.setattr(value, "__pydantic_config__", {"extra": "forbid"}, raising=False)
        yield pydantic.TypeAdapter(params.ResponseCreateParams)


@often
@given(
    flat_talks.calls(["gpt-5", "gpt-5.6", "gpt-4o"], "openai-responses", RESPONSES, {"type": "input_text", "text": "x"})
)
def test_responses(openai_types: Any, call: Call) -> None:
    body = encoded(OpenAIResponses(), call)
    if body is not None and "input" in body:
        openai_types.validate_python(body)


# ---- Cohere

CITED = {"start": 0, "end": 1, "text": "c", "sources": [{"type": "document", "id": "d", "document": {"id": "d"}}]}
COHERE: list[Part] = [
    Reasoning("plan", provider_data={"cohere": {"plan": True}}),
    Reasoning("why"),
    Text("c", (Citation(start=0, end=1, provider_data={"cohere": {"citation": CITED}}),)),
    Opaque(provider="cohere", kind="text", data={"type": "text", "text": "x"}),
]


@often
@given(flat_talks.calls(["command-a-03-2025"], "cohere", COHERE, {"type": "text", "text": "x"}))
def test_cohere(call: Call) -> None:
    pydantic = pytest.importorskip("pydantic")
    cohere = pytest.importorskip("cohere")
    body = encoded(Cohere(), call)
    if body is None:
        return
    known = inspect.signature(cohere.ClientV2.chat).parameters
    assert body.keys() - {"stream"} <= known.keys()
    kinds = {name: getattr(cohere, name) for name in ("UserChatMessageV2", "AssistantChatMessageV2")}
    kinds |= {name: getattr(cohere, name) for name in ("SystemChatMessageV2", "ToolChatMessageV2")}
    for message in body["messages"]:
        closed(kinds[f"{message['role'].title()}ChatMessageV2"].model_validate(message))
    for tool in body.get("tools", ()):
        closed(cohere.ToolV2.model_validate(tool))
    for key, kind in (("thinking", cohere.Thinking), ("response_format", cohere.ResponseFormatV2)):
        if key in body:
            closed(pydantic.TypeAdapter(kind).validate_python(body[key]))


def closed(model: Any) -> None:
    """No field that the SDK does not know, at any depth."""
    if isinstance(model, (list, tuple)):
        for item in model:
            closed(item)
    elif hasattr(model, "model_extra"):
        assert not model.model_extra, model
        for name in type(model).model_fields:
            closed(getattr(model, name))


# ---- Mistral

MISTRAL: list[Part] = [
    Reasoning("why", signature="s"),
    Text("c", (Citation(provider_data={"mistral": {"reference": {"type": "reference", "reference_ids": [0]}}}),)),
    Opaque(provider="mistral", kind="text", data={"type": "text", "text": "x"}),
    Image(url="https://a"),
]


@often
@given(flat_talks.calls(["mistral-small-latest"], "mistral", MISTRAL, {"type": "text", "text": "x"}))
def test_mistral(call: Call) -> None:
    pytest.importorskip("mistralai")
    from mistralai.client import models

    body = encoded(Mistral(), call)
    if body is None:
        return
    kind = models.ChatCompletionStreamRequest if body.get("stream") else models.ChatCompletionRequest
    told = kind.model_validate(body).model_dump(by_alias=True, mode="json", exclude_unset=True)
    assert covers(told, body), (told, body)
    ids = [c["id"] for m in body["messages"] for c in m.get("tool_calls", ())]
    assert all(len(i) == 9 and i.isalnum() for i in ids)


def covers(told: Any, given: Any) -> bool:
    """Has the SDK's own reading kept every field?"""
    if isinstance(given, dict):
        return isinstance(told, dict) and all(k in told and covers(told[k], v) for k, v in given.items())
    if isinstance(given, list):
        return isinstance(told, list) and len(told) == len(given) and all(map(covers, told, given))
    return bool(told == given)
