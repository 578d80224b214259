"""What a Responses body says as a whole: status, usage, errors, and what of it must be known later. Pure
readings that plain answers and streams share.
"""

from __future__ import annotations

from typing import Any

from .._errors import ProviderError
from .._parts import InvalidToolCall, Part, Refusal, ToolCall
from .._schema_walk import is_object
from .._usage import Usage, make_usage
from ._errors import make_error, read_error
from ._kept import count, mapping

#: Fields of the answer that matter after it: which tier served it, which conversation it belongs to, what filters and
#: moderation found; and the working that small hosts put beside the items, as one text. (The others repeat the request.)
_KEPT = (
    "service_tier",
    "conversation",
    "previous_response_id",
    "content_filters",
    "moderation",
    "system_fingerprint",
    "billing",
)


def usage_of(wire: Any) -> Usage | None:
    """Token counts; cached tokens are part of the input, reasoning tokens of the output."""
    if not is_object(wire):
        return None
    inputs = mapping(wire.get("input_tokens_details"))
    outputs = mapping(wire.get("output_tokens_details"))
    return make_usage(
        count(wire.get("input_tokens")),
        count(wire.get("output_tokens")),
        raw=wire,
        cache_read_tokens=count(inputs.get("cached_tokens")),
        cache_write_tokens=count(inputs.get("cache_write_tokens")),
        reasoning_tokens=count(outputs.get("reasoning_tokens")),
        input_audio_tokens=count(inputs.get("audio_tokens")),
        output_audio_tokens=count(outputs.get("audio_tokens")),
    )


def is_error(response: dict[str, Any]) -> bool:
    """Does the body say that the answer failed?"""
    return response.get("status") == "failed" or bool(response.get("error"))


def failure(provider: str, error: Any, body: Any) -> ProviderError:
    """The error of an answer that failed."""
    message, code, kind = read_error({"error": error} if error else None)
    return make_error(
        provider,
        message or "the answer failed, and the provider does not say why",
        code=code,
        kind=kind,
        body=body,
    )


def ending(response: dict[str, Any], parts: list[Part]) -> tuple[str, str | None]:
    """The unified finish reason and the provider's word."""
    status = response.get("status")
    reason = mapping(response.get("incomplete_details")).get("reason")
    raw = reason or status
    return _unified(status, reason, parts), str(raw) if raw is not None else None


def _unified(status: Any, reason: Any, parts: list[Part]) -> str:
    if status == "incomplete":
        return {"max_output_tokens": "length", "content_filter": "content_filter"}.get(str(reason), "other")
    if status in ("completed", "complete"):
        if any(isinstance(p, (ToolCall, InvalidToolCall)) for p in parts):
            return "tool_calls"
        return "refusal" if any(isinstance(p, Refusal) for p in parts) else "stop"
    return "other" if status == "cancelled" else "unknown"


def message_data(response: dict[str, Any]) -> dict[str, Any]:
    """What is kept beside the message."""
    data = {k: response[k] for k in _KEPT if response.get(k) is not None}
    if isinstance(response.get("reasoning"), str):
        data["reasoning"] = response["reasoning"]
    return data
