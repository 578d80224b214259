"""Generated conversations through the Anthropic dialect: always a valid request, the same one each time,
and nothing that belongs to another provider in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as configure

from chatmodels._call import Call
from chatmodels._errors import UsageError
from chatmodels.dialects.anthropic import Anthropic

from .generated_turns import MARK, calls, marked

MODELS = ["claude-3-5-sonnet-20241022", "claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-5", "other-model"]
SERVER_BLOCK = {
    "type": "server_tool_use",
    "id": "srvtoolu_1",
    "name": "web_search",
    "input": {"query": marked("anthropic")},
}
generated = calls(MODELS, "anthropic", {"type": "container_upload", "file_id": "f"}, SERVER_BLOCK)
quick = configure(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def sent(call: Call) -> dict[str, Any] | None:
    """The body; None where the call is refused before anything is sent."""
    try:
        request = Anthropic().encode(call)
    except UsageError:
        return None
    assert Anthropic().encode(call) == request
    body: dict[str, Any] = json.loads(request.body)
    return body


@quick
@given(generated)
def test_nothing_of_another_provider_is_sent(call: Call) -> None:
    body = sent(call)
    if body is not None:
        assert MARK not in json.dumps(body).replace(marked("anthropic"), "")


@quick
@given(generated)
def test_turns_calls_and_results_fit_together(call: Call) -> None:
    body = sent(call)
    if body is None:
        return
    asked: set[str] = set()
    for turn, following in zip(body["messages"], [*body["messages"][1:], None], strict=True):
        assert turn["content"]
        assert following is None or turn["role"] != following["role"]
        for block in turn["content"] if isinstance(turn["content"], list) else ():
            if block["type"] == "tool_use":
                assert block["id"] not in asked
                asked.add(block["id"])


@quick
@given(generated)
def test_a_request_that_is_read_again_is_the_same_request(call: Call) -> None:
    body = sent(call)
    if body is None:
        return
    again = sent(Anthropic().decode_request(json.loads(json.dumps(body))))
    assert again == body


def whole(value: Any) -> Any:
    """The value with all that pydantic reads only on demand."""
    if hasattr(value, "model_dump"):
        return value.model_dump(exclude_unset=True)
    if isinstance(value, Mapping):
        return {k: whole(v) for k, v in value.items()}
    return value if isinstance(value, (str, bytes, int, float, type(None))) else [whole(v) for v in value]


@pytest.fixture(scope="module")
def sdk() -> Any:
    pydantic = pytest.importorskip("pydantic")
    params = pytest.importorskip("anthropic.types.message_create_params")
    return pydantic.TypeAdapter(params.MessageCreateParams)


#: Fields that the types of the SDK lack: those of the API version that ours asks for.
OLDER = ("temperature", "top_p", "top_k")


@quick
@given(call=generated)
def test_the_official_types_take_every_request(sdk: Any, call: Call) -> None:
    body = sent(call)
    if body is None:
        return
    known = {k: v for k, v in body.items() if k not in OLDER}
    read = whole(sdk.validate_python(known))
    # What the types do not know they leave out: so nothing is sent that they do not know.
    for tool in [*known.get("tools", ()), *read.get("tools", ())]:
        tool.pop("input_schema")
    assert read == known
