"""What a request says, read without our own code: which result answers which call; and whether the official SDK's own types
(for Bedrock, the service model) take it.
"""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest


def _walk(value: Any) -> Any:
    """All mappings in the value, in order."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _walk(item)


def pairs(taker: str, body: dict[str, Any]) -> list[tuple[str, str]]:
    """For each result in the request: (arguments of the call that it answers, text of the result), as JSON texts."""
    return _PAIRS.get(taker, _by_id)(body)


def _by_id(body: dict[str, Any]) -> list[tuple[str, str]]:
    calls: dict[str, str] = {}
    found: list[tuple[str, str]] = []
    for item in _walk(body):
        ident, arguments = _call(item)
        if ident is not None:
            assert ident not in calls, f"two open calls with the id {ident!r}"
            calls[ident] = arguments
        ident, result = _result(item)
        if ident is not None:
            assert ident in calls, f"a result for {ident!r}, which is no call"
            found.append((calls.pop(ident), result))
    return found


def _call(item: dict[str, Any]) -> tuple[str | None, str]:
    if item.get("type") == "function_call":
        return item["call_id"], item["arguments"]
    if item.get("type") == "function" and "arguments" in item.get("function", {}):
        return item["id"], item["function"]["arguments"]
    if item.get("type") == "tool_use":
        return item["id"], json.dumps(item["input"])
    used = item.get("toolUse")
    if isinstance(used, dict) and "type" not in used:
        return used["toolUseId"], json.dumps(used["input"])
    return None, ""


def _result(item: dict[str, Any]) -> tuple[str | None, str]:
    given = item.get("toolResult")
    if isinstance(given, dict) and "type" not in given:
        return given["toolUseId"], json.dumps(given["content"])
    if item.get("role") == "tool":
        return item["tool_call_id"], json.dumps(item["content"])
    if item.get("type") == "tool_result":
        return item["tool_use_id"], json.dumps(item["content"])
    if item.get("type") == "function_call_output":
        return item["call_id"], json.dumps(item["output"])
    return None, ""


def _google(body: dict[str, Any]) -> list[tuple[str, str]]:
    """By id where there is one, else in order."""
    found: list[tuple[str, str]] = []
    open_calls: list[dict[str, Any]] = []
    for content in body["contents"]:
        calls = [p["functionCall"] for p in content["parts"] if "functionCall" in p]
        open_calls = calls or open_calls
        for response in [p["functionResponse"] for p in content["parts"] if "functionResponse" in p]:
            asked = next(c for c in open_calls if c.get("id") == response.get("id"))
            open_calls = [c for c in open_calls if c is not asked]
            assert asked["name"] == response["name"]
            found.append((json.dumps(asked["args"]), json.dumps(response["response"])))
    return found


def _ollama(body: dict[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    open_calls: list[dict[str, Any]] = []
    for message in body["messages"]:
        open_calls = message.get("tool_calls") or open_calls
        if message["role"] != "tool":
            continue
        asked = next(c for c in open_calls if c.get("id") == message.get("tool_call_id"))
        open_calls = [c for c in open_calls if c is not asked]
        assert asked["function"]["name"] == message["tool_name"]
        found.append((json.dumps(asked["function"]["arguments"]), message["content"]))
    return found


_PAIRS = {"google": _google, "ollama": _ollama}


# ---- the official types


def check(taker: str, model: str, body: dict[str, Any]) -> None:
    """Raises where the official types refuse the request; says nothing where the SDK is not installed."""
    if taker in _CHECKS:
        try:
            _CHECKS[taker](model, body)
        except ImportError:
            return


def _anthropic(model: str, body: dict[str, Any]) -> None:
    from anthropic.types.message_create_params import MessageCreateParamsNonStreaming

    _typed_dict(MessageCreateParamsNonStreaming, body)


def _responses(model: str, body: dict[str, Any]) -> None:
    from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming

    _typed_dict(ResponseCreateParamsNonStreaming, body)


def _openai(model: str, body: dict[str, Any]) -> None:
    from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

    _typed_dict(CompletionCreateParamsNonStreaming, body)


_adapters: dict[Any, Any] = {}


def _typed_dict(kind: Any, body: dict[str, Any]) -> None:
    from pydantic import TypeAdapter

    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    _read(_adapters[kind].validate_python(body))


def _read(value: Any) -> None:
    """pydantic checks the items of an Iterable only when they are taken out."""
    if isinstance(value, dict):
        for inner in value.values():
            _read(inner)
    elif not isinstance(value, (str, bytes, int, float, type(None))):
        for inner in value:
            _read(inner)


def _gemini(model: str, body: dict[str, Any]) -> None:
    from google.genai import types

    for content in [*body["contents"], *([body["systemInstruction"]] if "systemInstruction" in body else [])]:
        types.Content.model_validate_json(json.dumps(content))
    for tool in body["tools"]:
        types.Tool.model_validate_json(json.dumps(tool))


def _bedrock(model: str, body: dict[str, Any]) -> None:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel
    from botocore.validate import ParamValidator

    if "bedrock" not in _adapters:
        service = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))
        _adapters["bedrock"] = service.operation_model("Converse").input_shape
    report = ParamValidator().validate({"modelId": model, **body}, _adapters["bedrock"])
    assert not report.has_errors(), report.generate_report()


def _cohere(model: str, body: dict[str, Any]) -> None:
    import cohere

    assert body.keys() - {"stream"} <= inspect.signature(cohere.ClientV2.chat).parameters.keys()
    for message in body["messages"]:
        read = getattr(cohere, f"{message['role'].title()}ChatMessageV2").model_validate(message)
        assert not read.model_extra


def _mistral(model: str, body: dict[str, Any]) -> None:
    from mistralai.client import models

    models.ChatCompletionRequest.model_validate(body)


def _ollama_types(model: str, body: dict[str, Any]) -> None:
    from ollama._types import ChatRequest

    ChatRequest.model_validate_json(json.dumps(body), strict=True)


_CHECKS = {
    "openai": _openai,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "google": _gemini,
    "bedrock": _bedrock,
    "cohere": _cohere,
    "mistral": _mistral,
    "ollama": _ollama_types,
}

quiet = pytest.mark.filterwarnings("ignore")  # the SDKs' own, at their import
