"""Masks what looks like a key or a password in text and data that are about to be written down."""

from __future__ import annotations

import re
from typing import Any

from .._json import is_array, is_object
from .._secret_looks import ANY

#: What stands where a secret stood.
MASK = "[hidden]"

#: Characters beyond the cut that are looked at: a key that is cut there is still known by what follows.
_BEYOND = 1000

#: Names of fields that hold a secret. ("token" and "key" in a longer name mostly do not: max_tokens, prompt_cache_key.)
_NAMES = re.compile(
    r"(?:.*[-_])?(?:api[-_]?key|authorization|(?:access|auth|refresh|session|security|id|bearer)[-_]?token|password|passwd|"
    r"secret(?:[-_](?:access[-_])?key)?|private[-_]key|credentials?|cookie)|token|apikey|auth",
    re.IGNORECASE,
)


def redacted(text: str, most: int = 500) -> str:
    """The text with what looks like a key masked, and not longer than `most` characters."""
    masked = ANY.sub(MASK, text[: most + _BEYOND])
    return masked if len(masked) <= most else masked[:most] + f"... ({len(text):,} characters)"


def redacted_data(data: Any) -> Any:
    """JSON data with what looks like a key masked, and what stands under the name of one."""
    if isinstance(data, str):
        return ANY.sub(MASK, data)
    if is_array(data):
        return [redacted_data(one) for one in data]
    if is_object(data):
        return {
            name: MASK if isinstance(one, str) and one and _NAMES.fullmatch(name) else redacted_data(one)
            for name, one in data.items()
        }
    return data
