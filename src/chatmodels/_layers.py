"""Policies around a call: each is a layer that may look at a call, change it, answer it itself, or ask the layer inside it.

A layer is a pair of generators, for plain and for streamed calls, so that both drivers run it. Outermost is the lowest rank:
tracking, cache, fallback, hedging, then the tries, and around each single try the `TryLayer`s (limits).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias, TypeVar

from ._flow import Deliver, Effect, Flow, passed_on

if TYPE_CHECKING:
    from ._call import Call
    from ._events import Event
    from ._messages import AIMessage
    from ._plan import Ledger, Plan, Streaming

T = TypeVar("T")

#: Ranks of the layers that are known, from outside in.
TELEMETRY, TRACKING, BUDGET, RECORD, CACHE, FALLBACK, HEDGE, ANSWER = 5, 10, 20, 30, 40, 50, 60, 90

Inner: TypeAlias = "Callable[[Plan, Call], Flow[AIMessage]]"
InnerStream: TypeAlias = "Callable[[Plan, Call, Streaming], Flow[None]]"


class Layer:
    """A policy around whole calls, their retries included. Both methods ask the inside unless they are overridden.

    `stream` relays what the inside yields (`yield from inner(...)`), or delivers events itself with the `Deliver` effect; what it
    delivers is folded into `state.fold`, and `state.message()` is the answer (a stream that the user left ends normally, with
    `state.left`, or is closed). Give `inner` the same `state`. A layer must be safe to share between threads,
    tasks and forks, and picklable where its model shall be.
    """

    rank: ClassVar[int] = ANSWER

    def call(self, plan: Plan, call: Call, inner: Inner) -> Flow[AIMessage]:
        """The answer to a plain call."""
        return inner(plan, call)

    def stream(self, plan: Plan, call: Call, state: Streaming, inner: InnerStream) -> Flow[None]:
        """The events of a streamed call."""
        return inner(plan, call, state)

    def pickled(self) -> Self | None:
        """What takes this layer's place in a pickle of its model; None leaves it out."""
        return self


class TryLayer:
    """A policy around each single try, plain or streamed: `inner()` sends it. The ledger has what is known of it afterwards
    (`headers`, `usage`); a try that fails raises. When a stream is left, the generator is closed: clean up in `finally`."""

    rank: ClassVar[int] = 0
    #: Is it around the tries of a model that is asked in this one's place (a fallback, a hedge) too?
    goes_along: ClassVar[bool] = False

    def attempt(self, plan: Plan, call: Call, ledger: Ledger, inner: Callable[[], Flow[T]]) -> Flow[T]:
        """One try."""
        return inner()

    def pickled(self) -> Self | None:
        """What takes this layer's place in a pickle of its model; None leaves it out."""
        return self


#: Layers of everything that is called in a context (usage tracking); set through `around`.
_ambient: ContextVar[tuple[Layer, ...]] = ContextVar("chatmodels_layers", default=())
#: Layers of everything that is called in this process (the global cache of 2023), by their rank.
_everywhere: dict[int, Layer] = {}


def ambient() -> tuple[Layer, ...]:
    """The layers that hold here and now for every model."""
    return (*_everywhere.values(), *_ambient.get()) if _everywhere else _ambient.get()


@contextmanager
def around(layer: Layer) -> Generator[None]:
    """In this context (and the threads and tasks that the library starts from it) the layer is around every call."""
    token = _ambient.set((*_ambient.get(), layer))
    try:
        yield
    finally:
        _ambient.reset(token)


def everywhere(rank: int, layer: Layer | None) -> None:
    """Put a layer around every call of this process, in the place of the one of this rank; None takes it away."""
    if layer is None:
        _everywhere.pop(rank, None)
    else:
        _everywhere[rank] = layer


def with_ambient(layers: tuple[Layer, ...], here: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """A plan's layers and those that hold here; of equal rank the ambient ones are outside, the newest outermost."""
    return tuple(sorted((*reversed(here), *layers), key=lambda layer: layer.rank))


def sorted_layers(layers: Iterable[Layer | TryLayer]) -> tuple[tuple[Layer, ...], tuple[TryLayer, ...]]:
    """(those around the call, those around each try), each from outside in; of equal rank the newer is outside."""
    ordered = sorted(reversed(list(layers)), key=lambda layer: layer.rank)
    calls = tuple(layer for layer in ordered if isinstance(layer, Layer))
    return calls, tuple(layer for layer in ordered if isinstance(layer, TryLayer))


def through(plan: Plan, call: Call, answer: Inner, depth: int = 0) -> Flow[AIMessage]:
    """A plain call through the plan's layers; `answer` is what is inside them all."""
    if depth == len(plan.layers):
        return answer(plan, call)
    return plan.layers[depth].call(plan, call, lambda plan, call: through(plan, call, answer, depth + 1))


def through_stream(plan: Plan, call: Call, state: Streaming, answer: InnerStream, depth: int = 0) -> Flow[None]:
    """A streamed call through the plan's layers."""
    if depth == len(plan.layers):
        return answer(plan, call, state)
    layer = plan.layers[depth]
    return layer.stream(
        plan, call, state, lambda plan, call, state: through_stream(plan, call, state, answer, depth + 1)
    )


def relayed(flow: Flow[None], see: Callable[[list[Event]], None]) -> Flow[None]:
    """A stream's flow as it is; `see` is shown the events that it delivers."""

    def shown(effect: Effect) -> bool:
        if isinstance(effect, Deliver):
            see(effect.events)
        return False

    return passed_on(flow, shown)


def tried(plan: Plan, call: Call, ledger: Ledger, one: Callable[[], Flow[Any]], depth: int = 0) -> Flow[Any]:
    """One try through the layers that are around each."""
    if depth == len(plan.tries):
        return one()
    return plan.tries[depth].attempt(plan, call, ledger, lambda: tried(plan, call, ledger, one, depth + 1))
