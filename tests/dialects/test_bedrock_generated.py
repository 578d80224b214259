"""Generated conversations through the Bedrock dialect: always a request that the service model takes, the
same one each time, and nothing that belongs to another provider in it.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as configure

from chatmodels._call import Call
from chatmodels._errors import UsageError
from chatmodels.dialects.bedrock import BedrockConverse

from .generated_turns import MARK, calls, marked

MODELS = [
    "anthropic.claude-3-5-sonnet-20240620-v1:0",
    "us.anthropic.claude-opus-4-6-v1",
    "us.amazon.nova-2-lite-v1:0",
    "meta.llama3-1-70b-instruct-v1:0",
    "openai.gpt-oss-20b-1:0",
    "amazon.titan-text-express-v1",
]
SERVER_BLOCK = {
    "toolUse": {
        "toolUseId": "s1",
        "name": "nova_grounding",
        "input": {"query": marked("bedrock")},
        "type": "server_tool_use",
    }
}
generated = calls(MODELS, "bedrock", {"guardContent": {"text": {"text": "checked"}}}, SERVER_BLOCK)
quick = configure(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def sent(call: Call) -> dict[str, Any] | None:
    """The body; None where the call is refused before anything is sent."""
    try:
        request = BedrockConverse().encode(call)
    except UsageError:
        return None
    assert BedrockConverse().encode(call) == request
    body: dict[str, Any] = json.loads(request.body)
    return body


@quick
@given(generated)
def test_nothing_of_another_provider_is_sent(call: Call) -> None:
    body = sent(call)
    if body is not None:
        assert MARK not in json.dumps(body).replace(marked("bedrock"), "")


@quick
@given(generated)
def test_turns_calls_and_results_fit_together(call: Call) -> None:
    body = sent(call)
    if body is None:
        return
    asked: set[str] = set()
    documents: list[str] = []
    for turn, following in zip(body["messages"], [*body["messages"][1:], None], strict=True):
        assert turn["content"]
        assert following is None or turn["role"] != following["role"]
        for block in turn["content"]:
            if "toolUse" in block and "type" not in block["toolUse"]:
                assert block["toolUse"]["toolUseId"] not in asked
                asked.add(block["toolUse"]["toolUseId"])
            documents += [block["document"]["name"]] if "document" in block else []
    assert len(set(documents)) == len(documents)
    assert not asked or body["toolConfig"]["tools"]


@quick
@given(generated)
def test_a_request_that_is_read_again_is_the_same_request(call: Call) -> None:
    body = sent(call)
    if body is None:
        return
    path = BedrockConverse().encode(call).path
    again = sent(BedrockConverse().decode_request(json.loads(json.dumps(body)), path))
    assert again == body


@pytest.fixture(scope="module")
def shape() -> Any:
    loaders = pytest.importorskip("botocore.loaders")
    model = pytest.importorskip("botocore.model")
    service = model.ServiceModel(loaders.Loader().load_service_model("bedrock-runtime", "service-2"))
    return service.operation_model("Converse").input_shape


def words(value: Any, shape: Any, path: str = "") -> list[str]:
    """Where a text breaks the pattern, the length or the list of words of its shape, which botocore does
    not check.
    """
    if shape.type_name == "structure" and not shape.is_document_type:
        return [w for k, v in value.items() for w in words(v, shape.members[k], f"{path}.{k}")]
    if shape.type_name == "list":
        return [w for i, v in enumerate(value) for w in words(v, shape.member, f"{path}[{i}]")]
    if shape.type_name != "string":
        return []
    rules = shape.metadata
    broken = len(value) > rules.get("max", len(value)) or ("enum" in rules and value not in rules["enum"])
    if "pattern" in rules and not re.fullmatch(rules["pattern"], value):
        broken = True
    return [f"{path}: {value!r}"] if broken else []


@quick
@given(call=generated)
def test_the_service_model_takes_every_request(shape: Any, call: Call) -> None:
    validate = pytest.importorskip("botocore.validate")
    body = sent(call)
    if body is None:
        return
    params = {"modelId": call.model, **body}
    report = validate.ParamValidator().validate(params, shape)
    assert not report.has_errors(), report.generate_report()
    assert words(params, shape) == []
