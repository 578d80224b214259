"""One deadline for all calls of a block: an ambient layer that gives each call what is left of it."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic
from typing import ClassVar

import msgspec

from .._call import Call
from .._calls import Plan, Streaming
from .._errors import DeadlineError, UsageError
from .._flow import NOW, Flow
from .._layers import TRACKING, Inner, InnerStream, Layer, around
from .._messages import AIMessage


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

    def _within(self, plan: Plan, call: Call, now: float) -> Plan:
        left, timeouts = self.until - now, plan.target.timeouts
        if left <= 0:
            raise DeadlineError(
                f"the deadline of {self.seconds:g} s around this call had passed before it began",
                phase="total", seconds=self.seconds, provider=plan.dialect.provider, model=call.model,
            )  # fmt: skip
        if timeouts.total is not None and timeouts.total <= left:
            return plan
        timeouts = msgspec.structs.replace(timeouts, total=left)
        return msgspec.structs.replace(plan, target=msgspec.structs.replace(plan.target, timeouts=timeouts))


@contextmanager
def deadline(seconds: float) -> Generator[None]:
    """All calls that begin in this block share one total deadline, counted from here; their own deadlines hold too.

    Holds in the context: also for threads and tasks that the library starts from it. Raises `DeadlineError` (phase "total").

    >>> with deadline(20):
    ...     pass  # answer = chat(...); check = other(answer.text)
    """
    if not seconds > 0 or not math.isfinite(seconds):
        raise UsageError(f"deadline: a number of seconds above 0, not {seconds!r}", argument="seconds")
    with around(Until(monotonic() + seconds, seconds)):
        yield
