"""Policies as generators: each yields effects (what it wants done), is sent their results, and returns a value.

Two drivers run them, one sync and one async (`_drive.py`); so every policy is written once. Nothing here does I/O, reads a
clock or draws a random number: those are effects too.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Protocol, TypeAlias, TypeVar

import msgspec

from ._call import HTTPRequest
from ._events import Event

T = TypeVar("T")


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Deadlines in seconds; None switches one off.

    `connect`: until the connection stands. `first_token`: from sending until the first event of a stream (or, of a plain
    answer, its first byte). `idle`: between two pieces of a stream. `total`: the whole call, retries and waits included.
    """

    connect: float | None = 10.0
    first_token: float | None = 300.0
    idle: float | None = 120.0
    total: float | None = 900.0


class Target(msgspec.Struct, frozen=True):
    """Where requests go and how: the base URL, the headers of every request (with the key), and the pool to use.

    `authorise` is for keys that do not stand in a fixed header: a flow that gives the headers to add to one request
    (a signature, a token that must be fetched and renewed).
    """

    base_url: str
    headers: dict[str, str]
    timeouts: Timeouts
    transport: Any
    authorise: Callable[[HTTPRequest], Generator[Any, Any, dict[str, str]]] | None = None


class Abortable(Protocol):
    """A request that is under way. `abort()` may be called at any time, and closes its connection."""

    def abort(self) -> None: ...


class Opened(Abortable, Protocol):
    """An open response."""

    status: int
    headers: dict[str, str]


class Send(msgspec.Struct, frozen=True):
    """Send and read the whole answer -> HTTPResponse. `deadline` is a point on the clock of `Now`, or None."""

    target: Target
    request: HTTPRequest
    deadline: float | None


class Open(msgspec.Struct, frozen=True):
    """Send and give the response as soon as its head is there -> Opened.

    Into `hold` a transport may put what `abort()` can be called on from another thread while the head is waited for.
    """

    target: Target
    request: HTTPRequest
    deadline: float | None
    hold: list[Abortable] = []


class Read(msgspec.Struct, frozen=True):
    """The next bytes of an open response -> bytes, empty at its end.

    `idle` is how long to wait for them in seconds; `deadline` a point on the clock of `Now`, `phase` its name.
    """

    opened: Opened
    idle: float | None
    deadline: float | None
    phase: str


class Finish(msgspec.Struct, frozen=True):
    """Read the rest of a response that has said all, so that its connection can serve again -> None."""

    opened: Opened


class Deliver(msgspec.Struct, frozen=True):
    """Give these events to the caller of a stream -> None, once they have been taken."""

    events: list[Event]


class Sleep(msgspec.Struct, frozen=True):
    """Wait -> None."""

    seconds: float


class Emit(msgspec.Struct, frozen=True):
    """Tell the callback handlers -> None."""

    handlers: tuple[Any, ...]
    event: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Now(msgspec.Struct, frozen=True):
    """The monotonic clock -> float, seconds."""


class WallClock(msgspec.Struct, frozen=True):
    """The time of day -> float, seconds since 1970."""


class Random(msgspec.Struct, frozen=True):
    """A number from [0, 1) -> float."""


class Ask(msgspec.Struct, frozen=True):
    """Call a function that may wait (a cache, a limiter, a token source) -> what it returns.

    `function` serves the sync world; `afunction`, where given, the async one (else the sync one runs in a thread).
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    afunction: Callable[..., Any] | None = None


NOW, WALL_CLOCK, RANDOM = Now(), WallClock(), Random()

Effect: TypeAlias = Send | Open | Read | Finish | Deliver | Sleep | Emit | Now | WallClock | Random | Ask
Flow: TypeAlias = Generator[Effect, Any, T]


def passed_on(flow: Flow[None], take: Callable[[Effect], bool], first: Effect | None = None) -> Flow[None]:
    """Run a flow inside another one. An effect that `take` says True of is done with; every other one is passed on.

    `first` is the effect at which a flow stands that was begun elsewhere.
    """
    try:
        effect = next(flow) if first is None else first
        while True:
            if take(effect):
                effect = flow.send(None)
                continue
            try:
                value = yield effect
            except Exception as error:
                effect = flow.throw(error)
            else:
                effect = flow.send(value)
    except StopIteration:
        return
    finally:
        flow.close()
