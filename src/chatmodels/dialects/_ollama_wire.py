"""What we read of an Ollama answer: the wire structs, and the small readings that plain answers, streams and
recorded requests share. Unknown fields are ignored here and stay in `raw`.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from typing import Any

import msgspec

from .._inputs import tool_call
from .._parts import Image, InvalidToolCall, Opaque, Part, ToolCall
from .._schema_walk import is_array, is_object
from .._usage import Usage, make_usage
from ._open_calls import made_id

FINISH = {"stop": "stop", "length": "length"}


class Said(msgspec.Struct):
    """The `message` of an answer, or of one line of a stream."""

    content: Any = None
    thinking: Any = None
    tool_calls: Any = None
    images: Any = None


class Body(msgspec.Struct):
    """A whole answer, or one line of a stream: they have the same fields."""

    model: Any = None
    message: Said | None = None
    done: Any = None
    error: Any = None
    done_reason: Any = None
    logprobs: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    total_duration: Any = None
    load_duration: Any = None
    prompt_eval_duration: Any = None
    eval_duration: Any = None


decoder = msgspec.json.Decoder(Body)

_COUNTS = tuple(f for f in Body.__struct_fields__ if f.endswith(("_count", "_duration")))


def usage_of(body: Body) -> Usage | None:
    """The counts at the end; Ollama leaves `prompt_eval_count` out where the whole prompt was cached."""
    raw = {name: value for name in _COUNTS if (value := getattr(body, name)) is not None}
    return make_usage(_number(body.prompt_eval_count), _number(body.eval_count), raw=raw)


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def finish_of(body: Body, calls: bool) -> tuple[str, str | None]:
    """(the unified reason, Ollama's word). Old servers give no word: then the reason is not known."""
    raw = body.done_reason
    if not isinstance(raw, str) or not raw:
        return "unknown", None
    reason = FINISH.get(raw, "other")
    return ("tool_calls" if calls and reason == "stop" else reason), raw


def call_id(wire: dict[str, Any], position: int) -> str:
    """The id of a call; older servers give none, and then it is made of the call's place in the answer."""
    ident = wire.get("id")
    return ident if isinstance(ident, str) and ident else made_id(position)


def call_part(wire: dict[str, Any], position: int) -> ToolCall | InvalidToolCall:
    """One of `tool_calls`."""
    function = wire.get("function")
    inner = function if is_object(function) else {}
    return tool_call(call_id(wire, position), str(inner.get("name") or ""), inner.get("arguments"))


def image_part(provider: str, data: Any) -> Part:
    """An image that the model made."""
    try:
        return Image(data=b64decode(data, validate=True))
    except (Base64Error, ValueError, TypeError):
        return Opaque(provider=provider, kind="image", data=data)


def text(value: Any) -> str:
    """The value where it is text."""
    return value if isinstance(value, str) else ""


def tokens_of(value: Any) -> list[dict[str, Any]]:
    """Token log probabilities."""
    return [t for t in value if is_object(t)] if is_array(value) else []
