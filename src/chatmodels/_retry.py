"""When to try again, and how long to wait first. Pure: the clock and the dice are arguments.

Never retried: what the provider says is wrong with the request (4xx), an account out of credit, a passed total deadline,
and a stream of which a part has been given out.
"""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime

import msgspec

from ._errors import ChatModelError, DeadlineError, OutOfCreditError, ProtocolError, ProviderError, TransportError


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """`attempts` counts all tries. Waits are full jitter: a random share of `base` * 2^n seconds, at most `cap`.

    A Retry-After of the provider is waited for in full, but never more than `patience` seconds: then the error is raised.
    """

    attempts: int = 3
    base: float = 0.5
    cap: float = 20.0
    patience: float = 60.0


class Budget:
    """Bounds the share of retries over many calls, so that an outage is not made worse by everyone asking thrice.

    A retry takes 5, a success gives 1 back, up to `capacity`.
    """

    __slots__ = ("_left", "capacity")

    def __init__(self, capacity: int = 500) -> None:
        self.capacity = capacity
        self._left = capacity

    def take(self) -> bool:
        """May one more retry be made?"""
        if self._left < 5:
            return False
        self._left -= 5
        return True

    def give(self) -> None:
        """A call has succeeded."""
        if self._left < self.capacity:
            self._left += 1


def is_retryable(error: ChatModelError) -> bool:
    """Would the same request have a chance if it were sent again?"""
    if isinstance(error, ProviderError):
        return error.retryable and not isinstance(error, OutOfCreditError)
    if isinstance(error, DeadlineError) and error.phase == "total":
        return False
    return isinstance(error, (TransportError, ProtocolError)) and error.retryable


def backoff(retry: Retry, tried: int, dice: float) -> float:
    """Seconds to wait after `tried` tries; `dice` is from [0, 1)."""
    ceiling: float = retry.base * 2.0 ** (tried - 1)
    return dice * min(retry.cap, ceiling)


def retry_after(headers: dict[str, str], wall_clock: float) -> float | None:
    """Seconds that the provider asks to wait: `retry-after-ms`, or `retry-after` in seconds or as an HTTP date."""
    milliseconds = _float(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _float(value)
    if seconds is not None:
        return max(0.0, seconds)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - wall_clock)
    except (TypeError, ValueError):
        return None


def _float(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
