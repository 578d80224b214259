"""The layer that watches calls for observers: when one begins, when its first events come, and how it ends.

Knows no tracing library. An observer's own error is logged and changes nothing.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar, Protocol

from .._call import Call
from .._events import Event, ReasoningDelta, TextDelta, ToolCallDelta
from .._flow import Deliver, Flow
from .._layers import TELEMETRY, Inner, InnerStream, Layer, everywhere, relayed
from .._messages import AIMessage
from .._plan import Plan, Streaming
from .._run_tools_watch import ToolSeen, observers, tell


class Seen:
    """One call as it is watched.

    `began`, `first`, `last` and `ended` are on the clock of `time.perf_counter` (seconds); `first` and `last` are of the pieces of
    a stream that hold content, `pieces` is their number, `gaps` the seconds between them. `message` is the answer (the partial
    one of a stream that broke), `error` what was raised. With `left` the caller left or cancelled the call. `of` is for observers:
    what each keeps of it.
    """

    __slots__ = (
        "began",
        "call",
        "ended",
        "error",
        "first",
        "gaps",
        "last",
        "left",
        "message",
        "of",
        "pieces",
        "plan",
        "streamed",
    )

    def __init__(self, plan: Plan, call: Call, streamed: bool) -> None:
        self.plan = plan
        self.call = call
        self.streamed = streamed
        self.message: AIMessage | None = None
        self.error: Exception | None = None
        self.left = False
        self.pieces = 0
        self.first: float | None = None
        self.last: float | None = None
        self.gaps: list[float] = []
        self.ended: float | None = None
        self.of: dict[Any, Any] = {}
        self.began = time.perf_counter()

    @property
    def provider(self) -> str:
        """The provider's name: the one that answered, where another one stepped in."""
        return (self.message and self.message.provider) or self.plan.dialect.provider

    @property
    def seconds(self) -> float:
        """How long the call took, or takes so far."""
        return (time.perf_counter() if self.ended is None else self.ended) - self.began

    def take(self, events: list[Event]) -> None:
        """Events have been delivered."""
        count = sum(isinstance(event, (TextDelta, ReasoningDelta, ToolCallDelta)) for event in events)
        if not count:
            return
        now = time.perf_counter()
        if self.last is None:
            self.first = now
        else:
            self.gaps.append(now - self.last)
        self.gaps.extend([0.0] * (count - 1))  # pieces that came together
        self.last = now
        self.pieces += count


class Observer(Protocol):
    """Is told of every call."""

    def begin(self, seen: Seen) -> None:
        """A call begins."""

    def end(self, seen: Seen) -> None:
        """It has ended: with an answer, an error, or because it was left."""


class CurrentObserver(Observer, Protocol):
    """Is told, too, when what a call does (its requests, waits, handlers) begins and ends to run, in the context in which it runs.

    Of a stream that is between every two pieces that are given out: the caller's own code is outside.
    """

    def enter(self, seen: Seen) -> None:
        """The call goes on."""

    def leave(self, seen: Seen) -> None:
        """It rests, or has ended."""


class ToolObserver(Observer, Protocol):
    """Is told of every tool that `run_tools` and `stream_tools` run, too, in the context in which it runs."""

    def begin_tool(self, seen: ToolSeen) -> None:
        """A tool begins."""

    def end_tool(self, seen: ToolSeen) -> None:
        """It has ended: with a result, an error, or because it was cancelled."""


class Watch(Layer):
    """Shows every call to the observers."""

    rank: ClassVar[int] = TELEMETRY

    def __init__(self) -> None:
        self.observers: tuple[Observer, ...] = ()
        self.around: tuple[Observer, ...] = ()  # of them: those with `enter` and `leave`

    def call(self, plan: Plan, call: Call, inner: Inner) -> Flow[AIMessage]:
        seen, those = Seen(plan, call, False), self.observers
        around = self.around
        tell(those, "begin", seen)
        tell(around, "enter", seen)
        try:
            seen.message = yield from inner(plan, call)
        except Exception as error:
            seen.error, seen.message = error, getattr(error, "partial", None)
            raise
        except GeneratorExit:
            seen.left = True
            raise
        finally:
            tell(around, "leave", seen)
            _end(those, seen)
        return seen.message

    def stream(self, plan: Plan, call: Call, state: Streaming, inner: InnerStream) -> Flow[None]:
        seen, those = Seen(plan, call, True), self.observers
        tell(those, "begin", seen)
        try:
            flow = relayed(inner(plan, call, state), seen.take)
            yield from _entered(flow, self.around, seen) if self.around else flow
            seen.left = state.left
        except Exception as error:
            seen.error = error
            raise
        except GeneratorExit:
            seen.left = True
            raise
        finally:
            seen.message = state.message()
            _end(those, seen)


def _entered(flow: Flow[None], those: tuple[Observer, ...], seen: Seen) -> Flow[None]:
    """The stream's flow as it is; what it does is inside, and whoever takes its events is not."""
    try:
        effect = next(flow)
        while True:
            inside = not isinstance(effect, Deliver)
            if inside:
                tell(those, "enter", seen)
            value: Any = None
            failure: Exception | None = None
            try:
                value = yield effect
            except Exception as error:
                failure = error
            finally:
                if inside:
                    tell(those, "leave", seen)
            effect = flow.send(value) if failure is None else flow.throw(failure)
    except StopIteration:
        return
    finally:
        flow.close()


def _end(those: tuple[Observer, ...], seen: Seen) -> None:
    seen.ended = time.perf_counter()
    tell(those, "end", seen)


_watch = Watch()


def watch(observer: Observer, *, on: bool = True) -> None:
    """Show every call of this process to the observer, from now on; `on=False` stops it (an equal one is taken away)."""
    others = tuple(o for o in _watch.observers if o != observer)
    _watch.observers = (*others, observer) if on else others
    _watch.around = tuple(o for o in _watch.observers if hasattr(o, "enter"))
    observers[:] = [o for o in _watch.observers if hasattr(o, "begin_tool")]
    everywhere(TELEMETRY, _watch if _watch.observers else None)
