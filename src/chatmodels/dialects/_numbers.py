"""Numbers in settings that JSON has no words for."""

from __future__ import annotations

from math import isfinite
from typing import Any

from .._errors import UsageError


def check_finite(name: str, value: Any) -> None:
    """A UsageError for NaN and the infinities, which would be sent as null."""
    if isinstance(value, float) and not isfinite(value):
        raise UsageError(f"{name} is {value}, which is no JSON number", argument=name)
