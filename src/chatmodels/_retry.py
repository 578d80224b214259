"""When to try again, and how long to wait first. Pure: the clock and the dice are arguments.

Never retried: what the provider says is wrong with the request (4xx), an account out of credit, a passed total deadline,
and a stream of which a part has been given out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias, cast

import msgspec

from ._errors import (
    BadRequestError,
    ChatModelError,
    DeadlineError,
    OutOfCreditError,
    ProtocolError,
    ProviderError,
    TransportError,
    UsageError,
)
from ._json import is_sequence

#: Which errors a policy is for: classes, or a function of the error.
On: TypeAlias = "tuple[type[BaseException], ...] | Callable[[ChatModelError], bool]"


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """`attempts` counts all tries. Waits are full jitter: a random share of `base` * 2^n seconds, at most `cap`.

    A Retry-After of the provider is waited for in full, but never more than `patience` seconds: then the error is raised.
    `on` says which errors are tried again, in place of the rule; a passed total deadline never is. `silent` is whether
    a provider that has said nothing in time is tried again.
    """

    attempts: int = 3
    base: float = 0.5
    cap: float = 20.0
    patience: float = 60.0
    on: On | None = None
    silent: bool = True


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


def wants_again(retry: Retry, error: ChatModelError) -> bool:
    """Does this policy try again after this error?"""
    if isinstance(error, DeadlineError) and error.phase in (("total",) if retry.silent else ("total", "first_token")):
        return False
    return is_retryable(error) if retry.on is None else wanted(retry.on, error)


def wanted(on: On, error: ChatModelError) -> bool:
    """Is it one of these errors? A bad request is only where that class, or one below it, is named."""
    if not isinstance(on, tuple):
        return bool(on(error))
    classes = cast("tuple[type[BaseException], ...]", on)
    if isinstance(error, BadRequestError):
        classes = tuple(c for c in classes if issubclass(c, BadRequestError))
    return isinstance(error, classes)


def checked_on(on: Any) -> On:
    """`on=` as users give it: an error class, several, or a function of an error that says yes or no."""
    if isinstance(on, type):
        on = (on,)
    if is_sequence(on):
        given: tuple[Any, ...] = tuple(on)
        if given and all(isinstance(c, type) and issubclass(c, BaseException) for c in given):
            return given
    elif callable(on):
        return cast("Callable[[ChatModelError], bool]", on)
    raise UsageError(
        "on is an error class, a list of them (such as [RateLimitError, OverloadedError]), or a function from an error to "
        f"True or False; got {on!r}",
        argument="on",
    )


def backoff(retry: Retry, tried: int, dice: float) -> float:
    """Seconds to wait after `tried` tries; `dice` is from [0, 1)."""
    ceiling: float = retry.base * 2.0 ** min(tried - 1, 64)  # a float ends at 2^1024
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
        return max(0.0, _date(value).timestamp() - wall_clock)
    except (TypeError, ValueError, OverflowError):
        return None


def _date(value: str) -> datetime:
    """An HTTP date. One whose zone is not said ("-0000") is UTC, not the time of this machine's place."""
    found = parsedate_to_datetime(value)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def why_not(asked: float | None, most: float, left: float | None) -> str:
    """What is put behind an error's text when its wait is not made: `left` seconds to the deadline, or `most` to wait."""
    if left is not None:
        wants = "" if asked is None else f"the provider asks to wait {asked:g} s, and "
        return f" (not tried again: {wants}{max(0.0, left):.3g} s of the deadline are left)"
    return f" (not tried again: the provider asks to wait {asked:g} s, and {most:g} s is the most: with_retry(patience=...))"


def _float(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
