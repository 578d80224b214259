"""What a provider's rate-limit headers leave: how many more calls it will take now, and when the next. Pure.

A header says what was left when the provider took that one call. Of the calls in flight any may have come after it: so all of them
are taken off, and only what is left then is sent. That holds however a provider counts: in buckets that fill evenly, in fixed
windows, in sliding ones. The clock is an argument.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from .._limits_headers import Kind
from .._limits_window import Quota

#: The longest wait for a limit to be whole again, in seconds; then one call goes and tells.
LONGEST = 60.0
#: Headers of calls that were sent within so many seconds may come in any order.
TOGETHER = 0.05
#: The newest answers count so much for the tokens that a call takes.
SHARE = 0.1


class Known:
    """Of one kind of limit: what is left for further calls, and how fast it comes back, for each second."""

    __slots__ = ("at", "began", "fill", "guessed", "left", "said", "whole_at")

    def __init__(self, began: float) -> None:
        self.began = began
        self.said = self.left = math.inf
        self.guessed = math.inf  # when one was sent last that only the filling left room for
        self.fill = self.at = self.whole_at = 0.0

    def has(self, now: float) -> float:
        """What there is now."""
        return self.left + self.fill * (now - self.at)


class Pace:
    """All limits that the headers told of. Without such headers it holds nobody up."""

    def __init__(self) -> None:
        self.tokens = 0.0  # that a call takes, on average
        self._parts: dict[Kind, float] = {}  # of them: what goes in, and what comes
        self._known: dict[Kind, Known] = {}
        #: These do not come back evenly: the provider has refused what should have been there.
        self._steps: set[Kind] = set()

    def wait(self, now: float) -> float:
        """Seconds until one more call may go, if nothing comes back before."""
        return max((self._wait(kind, now) for kind in self._known), default=0.0) if self._known else 0.0

    def _wait(self, kind: Kind, now: float) -> float:
        known, need = self._known[kind], self._need(kind)
        missing = need - known.has(now)
        # One at a time goes on the word that the limit fills evenly, until an answer has confirmed it.
        guessing = known.left < need and known.at <= known.guessed <= now
        if now >= known.whole_at or (missing <= 0 and not guessing):
            return 0.0
        # One at a time is sent on the word that the limit fills evenly: until an answer has confirmed it.
        if guessing or not known.fill:
            return known.whole_at - now
        return min(missing / known.fill, known.whole_at - now)

    def sent(self, now: float) -> None:
        """A call goes out."""
        for kind, known in self._known.items():
            need = self._need(kind)
            if known.has(now) < need and now >= known.whole_at:
                known.left, known.at = need, now  # one goes, and tells how things stand
                known.whole_at = now + LONGEST
            elif known.left < need:
                known.guessed = now
            known.left -= need

    def back(self) -> None:
        """A call needed no request."""
        for kind, known in self._known.items():
            known.left += self._need(kind)

    def took(self, tokens: int, given: int | None = None, made: int | None = None) -> None:
        """A call has taken so many; `given` went in, `made` came, where that is known."""
        self.tokens = _mean(self.tokens, tokens)
        parts: tuple[tuple[Kind, int | None], ...] = (("input_tokens", given), ("output_tokens", made))
        for kind, part in parts:
            if part is not None:
                self._parts[kind] = _mean(self._parts.get(kind, 0.0), part)

    def learn(self, quotas: Mapping[Kind, Quota], began: float, now: float, flying: int, *, refused: bool) -> None:
        """A try that began then has told; `flying` other calls are in flight. `refused`: it was turned away for overload."""
        for kind, quota in quotas.items():
            known = self._known.get(kind)
            if known is None:
                known = self._known[kind] = Known(-math.inf)
            elif refused and quota.left < self._need(kind) and began >= known.guessed:
                self._steps.add(kind)
            newer = began > known.began
            if not newer and (began < known.began - TOGETHER or quota.left >= known.said):
                continue
            known.began = max(began, known.began)
            known.said, known.at = quota.left, now
            known.left = quota.left - flying * self._need(kind)
            known.whole_at = min(quota.whole_at, now + LONGEST)
            fills = quota.limit is not None and quota.whole_at > now and kind not in self._steps
            known.fill = max(0.0, ((quota.limit or 0.0) - quota.left) / (quota.whole_at - now)) if fills else 0.0

    def _need(self, kind: Kind) -> float:
        if kind == "requests":
            return 1.0
        return max(1.0, self.tokens if kind == "tokens" else self._parts.get(kind, 0.0))


def _mean(so_far: float, newest: int) -> float:
    return (1 - SHARE) * so_far + SHARE * newest if so_far else float(newest)
