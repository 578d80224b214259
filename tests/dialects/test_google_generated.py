"""Generated conversations to Google: what is sent is deterministic, fits the official SDK's own types, and holds
nothing that belongs to another provider.
"""

from __future__ import annotations

import functools
import json
import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_with

from chatmodels._call import Call
from chatmodels._errors import UsageError
from chatmodels.dialects.google import Google

from .google_ollama_talk import SECRET, generated

MODELS = ["gemini-2.5-flash", "gemini-3-pro-preview", "gemini-flash-latest", "tunedModels/x"]
TOP = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier", "labels", "store"}
quick = run_with(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@functools.cache
def sdk() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from google.genai import types
    return types


def encoded(call: Call, **options: Any) -> dict[str, Any] | None:
    """The body; None where the call is refused before anything is sent."""
    try:
        request = Google(**options).encode(call)
    except UsageError:
        return None
    assert Google(**options).encode(call) == request
    found: dict[str, Any] = json.loads(request.body)
    return found


@quick
@given(generated("google", MODELS))
def test_nothing_leaks_and_every_content_is_whole(call: Call) -> None:
    body = encoded(call)
    if body is None:
        return
    assert SECRET not in json.dumps({**body, "contents": [c for c in body["contents"] if not hand_made(c)]})
    assert body["contents"]
    assert body.keys() <= TOP
    for content in body["contents"]:
        assert content["role"] in ("user", "model")
        assert content["parts"]
        responses = ["functionResponse" in part for part in content["parts"]]
        assert all(responses) or not any(responses)


def hand_made(content: dict[str, Any]) -> bool:
    """Does a thought of the model's stand in it? A signature on one that claims to be Google's own goes back to it."""
    return content["role"] == "model" and any(p.get("thought") for p in content["parts"])


@quick
@given(generated("google", MODELS))
def test_the_official_types_take_it(call: Call) -> None:
    pytest.importorskip("google.genai", reason="google-genai is not installed")
    for options in ({}, {"vertex": True, "project": "p"}, {"json_schema": False}):
        body = encoded(call, **options)
        if body is not None:
            check(body)


def check(body: dict[str, Any]) -> None:
    types = sdk()

    def fits(model: Any, value: Any) -> None:
        model.model_validate_json(json.dumps(value))  # extra fields are forbidden there

    for content in [*body["contents"], *([body["systemInstruction"]] if "systemInstruction" in body else [])]:
        fits(types.Content, content)
    for tool in body.get("tools", []):
        fits(types.Tool, tool)
    fits(types.ToolConfig, body.get("toolConfig", {}))
    fits(types.GenerationConfig, body.get("generationConfig", {}))
    if "serviceTier" in body:
        assert body["serviceTier"] in [tier.value for tier in types.ServiceTier]


@quick
@given(generated("google", MODELS))
def test_what_was_sent_can_be_read_and_sent_again(call: Call) -> None:
    try:
        request = Google().encode(call)
    except UsageError:
        return
    read = Google().decode_request(json.loads(request.body), request.path)
    again = Google().encode(read)
    assert json.loads(again.body) == json.loads(request.body)
    assert again.path == request.path
