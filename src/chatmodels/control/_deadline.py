"""Deadlines from outside a model: of one call (`deadline=`), and of all calls of a block. A layer gives each call what is left."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic
from typing import Any, ClassVar

import msgspec

from .._call import Call
from .._checks import MOST_SECONDS
from .._errors import DeadlineError, UsageError
from .._flow import NOW, Flow
from .._layers import CACHE, FALLBACK, TRACKING, Inner, InnerStream, Layer, around, with_ambient
from .._messages import AIMessage
from .._plan import Plan, Streaming


class Until(Layer):
    """Calls end at this point of the monotonic clock, or when their own total deadline passes, whichever is first."""

    rank: ClassVar[int] = TRACKING

    def __init__(self, until: float, seconds: float) -> None:
        self.until = until
        self.seconds = seconds

    def call(self, plan: Plan, call: Call, inner: Inner) -> Flow[AIMessage]:
        """The answer, in the time that is left."""
        now: float = yield NOW
        return (yield from inner(self._within(plan, call, now), call))

    def stream(self, plan: Plan, call: Call, state: Streaming, inner: InnerStream) -> Flow[None]:
        """The events, in the time that is left."""
        now: float = yield NOW
        yield from inner(self._within(plan, call, now), call, state)

    def _left(self, now: float) -> float:
        return self.until - now

    def _within(self, plan: Plan, call: Call, now: float) -> Plan:
        left, timeouts = self._left(now), plan.target.timeouts
        if left <= 0:
            raise DeadlineError(
                f"the deadline of {self.seconds:g} s around this call had passed before it began",
                phase="total", seconds=self.seconds, provider=plan.dialect.provider, model=call.model,
            )  # fmt: skip
        if timeouts.total is not None and timeouts.total <= left:
            return plan
        timeouts = msgspec.structs.replace(timeouts, total=left)
        return msgspec.structs.replace(plan, target=msgspec.structs.replace(plan.target, timeouts=timeouts))


class Within(Until):
    """The same, from when the first call begins: for one call with its tries, or a loop of calls."""

    def __init__(self, seconds: float) -> None:
        super().__init__(math.inf, seconds)

    def _left(self, now: float) -> float:
        if self.until == math.inf:
            self.until = now + self.seconds
            return self.seconds
        return self.until - now


class Again(Layer):
    """Inside a cache the time is looked at once more: it may have gone by in waiting for somebody else's answer."""

    rank: ClassVar[int] = FALLBACK

    def __init__(self, until: Until) -> None:
        self.until = until

    def call(self, plan: Plan, call: Call, inner: Inner) -> Flow[AIMessage]:
        """The answer, in the time that is left."""
        return self.until.call(plan, call, inner)

    def stream(self, plan: Plan, call: Call, state: Streaming, inner: InnerStream) -> Flow[None]:
        """The events, in the time that is left."""
        return self.until.stream(plan, call, state, inner)


def within(plan: Plan, seconds: Any) -> Plan:
    """The plan with `seconds` for all that is done by it, from its first call on."""
    until = Within(_checked(seconds, "deadline"))
    cached = any(layer.rank == CACHE for layer in plan.layers)
    layers = (until, Again(until)) if cached else (until,)
    return msgspec.structs.replace(plan, layers=with_ambient(plan.layers, layers))


def _checked(seconds: Any, argument: str) -> float:
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not number or not 0 < seconds <= MOST_SECONDS:
        raise UsageError(f"deadline: a number of seconds above 0, not {seconds!r}", argument=argument)
    return float(seconds)


@contextmanager
def deadline(seconds: float) -> Generator[None]:
    """All calls that begin in this block share one total deadline, counted from here; their own deadlines hold too.

    Holds in the context: also for threads and tasks that the library starts from it. Raises `DeadlineError` (phase "total").

    >>> with deadline(20):
    ...     pass  # answer = chat(...); check = other(answer.text)
    """
    seconds = _checked(seconds, "seconds")
    until = Until(monotonic() + seconds, seconds)
    with around(until), around(Again(until)):
        yield
