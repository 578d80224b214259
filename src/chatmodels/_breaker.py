"""A circuit breaker: a model that keeps failing is left alone for a while, then asked once to see whether it is back.

Pure: the clock is an argument, and the lock that makes a circuit safe between threads is given to it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import msgspec

from ._checks import number, whole
from ._errors import ChatModelError, OverloadedError, ProtocolError, RateLimitError, TransportError


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """When a circuit opens and for how long: after `failures` failed calls in a row, for `seconds`. Then it is half-open: one
    call is let through, and its end closes the circuit or opens it for as long again.

    A call counts as failed when the provider is to blame: overload, rate limits, connections, deadlines, broken answers.
    """

    failures: int = 5
    seconds: float = 30.0

    def __post_init__(self) -> None:
        whole("failures", self.failures)
        number("seconds", self.seconds, above=True)


class BreakerOpen(ChatModelError):
    """The model was not asked, because it has just failed too often. `retry_after` is in seconds."""

    def __init__(self, text: str, *, retry_after: float, **kw: Any) -> None:
        super().__init__(text, **kw)
        self.retry_after = retry_after


def is_failure(error: ChatModelError) -> bool:
    """Does this error say that the provider is in trouble (and not that this call is wrong)?"""
    return isinstance(error, (OverloadedError, RateLimitError, TransportError, ProtocolError))


#: Leave to ask: `True` when the call is the one that probes a half-open circuit.
Pass: TypeAlias = bool


class Circuit:
    """The state of one model. Each call that `enter` lets in says how it ended: `success`, `failure`, or `leave` (no verdict)."""

    __slots__ = ("_failed", "_lock", "_opened", "_probe")

    def __init__(self, lock: AbstractContextManager[Any]) -> None:
        self._lock = lock
        self._failed = 0
        self._opened: float | None = None
        self._probe: float | None = None

    def state(self, policy: Breaker, now: float) -> str:
        """One of "closed", "open" and "half-open"."""
        if self._opened is None:
            return "closed"
        return "open" if now < self._opened + policy.seconds else "half-open"

    def enter(self, policy: Breaker, now: float) -> tuple[Pass, float]:
        """(is it a probe, 0) when the model may be asked; else (False, seconds until it may be)."""
        with self._lock:
            if self._opened is None:
                return False, 0.0
            wait = self._opened + policy.seconds - now
            if wait <= 0 and self._probe is not None:  # a probe that never ended is given up after as long again
                wait = self._probe + policy.seconds - now
            if wait > 0:
                return False, wait
            self._probe = now
            return True, 0.0

    def success(self, probe: Pass) -> None:
        """The call was answered. Calls from before the circuit opened say nothing about how it is now."""
        with self._lock:
            if self._opened is None or probe:
                self._failed, self._opened, self._probe = 0, None, None

    def failure(self, policy: Breaker, now: float, probe: Pass) -> None:
        """The call failed."""
        with self._lock:
            if probe:
                self._opened, self._probe = now, None
            elif self._opened is None:
                self._failed += 1
                if self._failed >= policy.failures:
                    self._opened, self._probe = now, None

    def leave(self, probe: Pass) -> None:
        """The call was given up by its caller: another may probe."""
        with self._lock:
            if probe:
                self._probe = None
