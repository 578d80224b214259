"""What a response's headers say about rate limits: how many requests and tokens are left, and until when. Pure.

OpenAI's names are used by many hosts (docs: platform.openai.com, "Rate limits": resets as "1s", "6m0s"); Anthropic's resets are
RFC 3339 times (docs.anthropic.com, "Rate limits"). Both say when the limit will be whole again. Read in November 2026.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Literal, TypeAlias

from ._limits_window import Quota

Kind: TypeAlias = Literal["requests", "tokens"]

#: (kind, left, limit, reset) by header names.
_NAMES: tuple[tuple[Kind, str, str, str], ...] = (
    ("requests", "x-ratelimit-remaining-requests", "x-ratelimit-limit-requests", "x-ratelimit-reset-requests"),
    ("tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-limit-tokens", "x-ratelimit-reset-tokens"),
    ("requests", "anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-limit",
     "anthropic-ratelimit-requests-reset"),
    ("tokens", "anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-limit",
     "anthropic-ratelimit-tokens-reset"),
)  # fmt: skip
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")


def says_quota(headers: dict[str, str]) -> bool:
    """Is there anything to read? Cheap: it is asked after every try."""
    return any(left in headers for _, left, _, _ in _NAMES)


def quotas(headers: dict[str, str], now: float, wall_clock: float) -> dict[Kind, Quota]:
    """What is left, by kind; `now` is the clock that waits are measured on, `wall_clock` the time of day."""
    found: dict[Kind, Quota] = {}
    for kind, left_name, limit_name, reset_name in _NAMES:
        left = number(headers.get(left_name))
        wait = seconds_until(headers.get(reset_name), wall_clock)
        if left is not None and wait is not None:
            found[kind] = Quota(left, number(headers.get(limit_name)), now + wait, now)
    return found


def number(text: str | None) -> float | None:
    """A header's number; None when it is none."""
    try:
        value = float(text) if text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def seconds_until(text: str | None, wall_clock: float) -> float | None:
    """Seconds from "1.5s", "6m0s", "120ms", "30" or an RFC 3339 time; None when it says nothing that is understood."""
    if not text:
        return None
    plain = number(text)
    if plain is not None:
        return max(0.0, plain)
    match = _DURATION.fullmatch(text.strip())
    if match:
        hours, minutes, seconds, milliseconds = (float(g or 0) for g in match.groups())
        return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
    try:
        return max(0.0, datetime.fromisoformat(text).timestamp() - wall_clock)
    except ValueError:
        return None
