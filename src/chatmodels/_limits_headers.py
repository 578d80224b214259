"""What a response's headers say about rate limits: how many requests and tokens are left, and until when. Pure.

OpenAI's names are used by many hosts (docs: platform.openai.com, "Rate limits": resets as "1s", "6m0s"); Anthropic's resets are
RFC 3339 times (docs.anthropic.com, "Rate limits"), and it limits input and output tokens apart, too. All say when the limit will
be whole again. Cerebras names the minute. Read in November 2026, beside recorded answers.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Literal, TypeAlias

from ._limits_window import Quota

Kind: TypeAlias = Literal["requests", "tokens", "input_tokens", "output_tokens"]

#: (kind, left, limit, reset) by header names.
_NAMES: tuple[tuple[Kind, str, str, str], ...] = (
    ("requests", "x-ratelimit-remaining-requests", "x-ratelimit-limit-requests", "x-ratelimit-reset-requests"),
    ("tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-limit-tokens", "x-ratelimit-reset-tokens"),
    ("requests", "anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-limit",
     "anthropic-ratelimit-requests-reset"),
    ("tokens", "anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-limit",
     "anthropic-ratelimit-tokens-reset"),
    ("input_tokens", "anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-limit",
     "anthropic-ratelimit-input-tokens-reset"),
    ("output_tokens", "anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-limit",
     "anthropic-ratelimit-output-tokens-reset"),
    ("input_tokens", "x-ratelimit-remaining-input-tokens", "x-ratelimit-limit-input-tokens", "x-ratelimit-reset-input-tokens"),
    ("output_tokens", "x-ratelimit-remaining-output-tokens", "x-ratelimit-limit-output-tokens",
     "x-ratelimit-reset-output-tokens"),
    ("tokens", "x-ratelimit-remaining-tokens-minute", "x-ratelimit-limit-tokens-minute", "x-ratelimit-reset-tokens-minute"),
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
        limit = number(headers.get(limit_name))
        if left is not None and wait is not None and not (left < 0 and (limit or 0) < 0):  # -1 of -1: no limit
            found[kind] = Quota(left, limit, now + wait, now)
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
