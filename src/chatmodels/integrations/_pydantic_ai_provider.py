"""A model of pydantic-ai as a provider of ours: a row, a dialect over JSON, and a transport that asks the model.

So it has all that other providers have: retries, fallback, caches, limits and recordings work on the encoded call.
Needs pydantic-ai to be imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

from msgspec.structs import replace

from chatmodels._call import Call, HTTPRequest, HTTPResponse
from chatmodels._config import Config
from chatmodels._errors import ProviderError, UsageError
from chatmodels._inputs import plain
from chatmodels._json import encode, is_object, loads, mapping, string
from chatmodels._messages import AIMessage
from chatmodels._model import ChatModel
from chatmodels._parts import Opaque, Part, ToolCall
from chatmodels._providers import Provider, register
from chatmodels._tools import Tool
from chatmodels._usage import Usage, make_usage
from chatmodels.dialects._base import Dialect, StreamDecoder
from chatmodels.dialects._errors import http_error

from ._pydantic_ai_messages import NAME, answer_part, core, part_of
from ._pydantic_ai_read import PydanticAIStream
from ._pydantic_ai_requests import settings_of
from ._pydantic_ai_transport import PydanticAITransport

_pa: Any = import_module("pydantic_ai.messages")
_models: Any = import_module("pydantic_ai.models")


class PydanticAIBacked(ChatModel):
    """A ChatModel over a model of pydantic-ai; made by `from_pydantic_ai`."""

    __slots__ = ()

    provider_name: ClassVar[str | None] = NAME
    own_options: ClassVar[frozenset[str]] = frozenset({"pydantic_ai_model"})


def model_over(model: Any) -> ChatModel:
    """The ChatModel over a model of pydantic-ai, or over the one that a name such as "openai:gpt-4o" means there."""
    if isinstance(model, str):
        try:
            model = _models.infer_model(model)
        except import_module("pydantic_ai.exceptions").UserError as error:
            raise UsageError(f"pydantic-ai: {error}", argument="model") from error
    if not isinstance(model, _models.Model):
        raise UsageError(f"model is a Model of pydantic-ai or its name, not {type(model).__name__}", argument="model")
    options: dict[str, Any] = {"pydantic_ai_model": model}
    return PydanticAIBacked(model.model_name, **options)


def transport_of(config: Config) -> PydanticAITransport:
    """The transport of a model's configuration."""
    model = config.provider_options.get("pydantic_ai_model")
    if model is None:
        raise UsageError("a pydantic-ai model is made by from_pydantic_ai(model)", argument="model")
    if config.model != model.model_name:
        raise UsageError(
            f"this model of pydantic-ai is {model.model_name!r} and answers under no other name: "
            "make another with from_pydantic_ai(...)",
            argument="model",
        )
    return PydanticAITransport(model)


register(
    Provider(
        name=NAME,
        dialect=f"{__name__}:PydanticAIDialect",
        transport=f"{__name__}:transport_of",
        auth="none",
        needs_key=False,
        docs="https://ai.pydantic.dev/models/overview/",
    )
)


class PydanticAIDialect(Dialect):
    """Calls as JSON with our messages in it, answers as one `ModelResponse`, streams as lines with an event each."""

    def __init__(self, provider: str = NAME) -> None:
        self.provider = provider

    def encode(self, call: Call) -> HTTPRequest:
        settings, warnings = settings_of(call.settings)
        body: dict[str, Any] = {
            "model": call.model,
            "messages": [_asked(m.to_dict()) for m in call.messages],
            "settings": settings,
        }
        if call.tools:
            body["tools"] = [_definition(t) for t in call.tools if t.raw is None]
            body["native_tools"] = [t.raw for t in call.tools if t.raw is not None]
        if call.output is not None:
            output = call.output
            body["output"] = {"name": output.name, "description": output.description, "schema": output.schema,
                              "strict": output.strict}  # fmt: skip
        return HTTPRequest(path="/request", body=encode(body), stream=call.stream, warnings=tuple(warnings))

    def decode(self, response: HTTPResponse) -> AIMessage:
        return answer_of(_pa.ModelMessagesTypeAdapter.validate_python([loads(response.body)])[0])

    def decode_error(self, response: HTTPResponse) -> ProviderError:
        return http_error(self.provider, response)

    def stream_decoder(self) -> StreamDecoder:
        return PydanticAIStream(self, answer_of)


#: What of an earlier answer is no part of the question, and would make each request's bytes its own.
_NOT_ASKED = ("usage", "attempts", "raw", "request_id", "finish_reason", "raw_finish_reason", "logprobs", "warnings",
              "from_cache", "alternatives")  # fmt: skip


def _asked(message: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in message.items() if k not in _NOT_ASKED}


def _definition(tool: Tool) -> dict[str, Any]:
    definition: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters or {"type": "object", "properties": {}},
    }
    return definition if tool.strict is None else {**definition, "strict": tool.strict}


# ---- answers

_REASONS = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_call": "tool_calls",
    "error": "error",
}


def answer_of(response: Any) -> AIMessage:
    """A `ModelResponse` as our answer."""
    parts = [part_with_data(part) for part in response.parts]
    details = mapping(response.provider_details)
    kept = {"provider_name": response.provider_name, "provider_details": response.provider_details}
    message = AIMessage(
        plain(parts),
        id=response.provider_response_id,
        model=response.model_name,
        usage=_usage(response.usage),
        raw_finish_reason=string(details.get("finish_reason")),
        provider_data={NAME: {k: v for k, v in kept.items() if v}} if any(kept.values()) else None,
    )
    called = any(isinstance(p, ToolCall) for p in parts)
    return replace(message, finish_reason=_reason(response, called), logprobs=_logprobs(details))


def _logprobs(details: dict[str, Any]) -> list[dict[str, Any]] | None:
    found = details.get("logprobs")
    return found if isinstance(found, list) else None  # pyright: ignore[reportUnknownVariableType]


def _reason(response: Any, called: bool) -> str:
    if getattr(response, "state", "complete") == "suspended":
        return "pause"
    if response.finish_reason is None:
        return "tool_calls" if called else "unknown"
    reason = _REASONS.get(response.finish_reason, "other")
    return "tool_calls" if reason == "stop" and called else reason


def part_with_data(part: Any) -> Part:
    """One part as ours, with pydantic-ai's own data where ours cannot say all of it."""
    data = data_of_part(part)
    made = answer_part(part)
    if made is None:
        return Opaque(provider=NAME, kind=part.part_kind, data=data)
    again = part_of(made, part.provider_name if hasattr(part, "provider_name") else None)
    if again is not None and core(made) is not None and _said(data) == _said(data_of_part(again)):
        return made
    return replace(made, provider_data={NAME: data})


def _said(data: dict[str, Any]) -> dict[str, Any]:
    """What matters when the part goes back; who said a plain text does not."""
    beside = ("timestamp", "provider_name") if data["part_kind"] == "text" else ("timestamp",)
    return {k: v for k, v in data.items() if v is not None and k not in beside}


def data_of_part(part: Any) -> dict[str, Any]:
    """A part of an answer as JSON data."""
    dumped = _pa.ModelMessagesTypeAdapter.dump_python([_pa.ModelResponse(parts=[part])], mode="json")
    data: dict[str, Any] = dumped[0]["parts"][0]
    return data


def _usage(usage: Any) -> Usage | None:
    """Token counts; None where the model gave none."""
    if not usage.has_values():
        return None
    details = mapping(usage.details)
    reasoning = details.get("reasoning_tokens")
    return make_usage(
        usage.input_tokens,
        usage.output_tokens,
        raw={"details": dict(details)} if is_object(usage.details) and details else None,
        cache_read_tokens=usage.cache_read_tokens or None,
        cache_write_tokens=usage.cache_write_tokens or None,
        reasoning_tokens=reasoning if isinstance(reasoning, int) else None,
        input_audio_tokens=usage.input_audio_tokens or None,
        output_audio_tokens=getattr(usage, "output_audio_tokens", None) or None,
    )
