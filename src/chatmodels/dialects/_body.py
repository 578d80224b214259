"""The body of a request, whatever its dialect: extra fields merged into it, and its bytes. Knows no wire format."""

from __future__ import annotations

from typing import Any

import msgspec

from .._errors import UsageError
from .._json import encode as to_json
from .._json import is_array, is_object


def merge(body: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """The body with the extra fields in it; mappings are merged, everything else is replaced."""
    out = dict(body)
    for key, value in extra.items():
        have = out.get(key)
        out[key] = merge(have, value) if is_object(have) and is_object(value) else value
    return out


def body_bytes(body: dict[str, Any]) -> bytes:
    """The body as JSON; a UsageError names what in it cannot be written."""
    try:
        return to_json(body)
    except UnicodeEncodeError as error:
        where = _culprit(body, "")
        raise UsageError(
            f"{where} holds a lone surrogate, which is not text and cannot be sent: {error}", argument=where
        ) from error
    except (TypeError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        where = _culprit(body, "")
        raise UsageError(f"{where} cannot be written as JSON: {error}", argument=where) from error


def _culprit(value: Any, path: str) -> str:
    """Where in the body the value stands that is no JSON: `messages[2].content[0].text`."""
    inner: list[tuple[str, Any]] = []
    if is_object(value):
        inner = [(f"{path}.{k}" if path else str(k), v) for k, v in value.items()]
    elif is_array(value):
        inner = [(f"{path}[{i}]", v) for i, v in enumerate(value)]
    for name, one in inner:
        try:
            to_json(one)
        except (TypeError, ValueError, OverflowError, msgspec.MsgspecError):
            return _culprit(one, name)
    return path or "the request"
