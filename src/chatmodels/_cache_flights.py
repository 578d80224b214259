"""Identical calls at the same time: one is made, the others wait for its answer, and none waits for ever.

Knows no store and no answer's form. A stream moves only as fast as its reader, so who waits for one watches that it moves.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from ._events import Event
from ._flow import NOW, Ask, Deliver, Effect, Emit, Flow

if TYPE_CHECKING:
    from ._plan import Streaming

#: Seconds for which a stream's reader may hold it up before one who waits makes the call anew.
PATIENCE = 0.25

#: Flights without an answer after which who has waited for them goes alone: one failure may be luck; after more, each further wait
#: would only add the time of one more failure.
FAILURES = 2

#: Is this code inside a plain call that others may be waiting for? What it asks waits for nobody: that might be for itself.
leading: ContextVar[bool] = ContextVar("chatmodels_leading", default=False)


class Flight(Protocol):
    """A call that is under way.

    `record` is its answer once it has `ended`. A stream counts its `moves`, and is `held` while the user's code has control.
    """

    record: bytes | None
    ended: bool
    streamed: bool
    held: bool
    moves: int

    def wait(self, seconds: float | None) -> bool:
        """Until it has ended, or that long, in this thread. False, at once, where it is this thread that must move it."""
        ...

    async def awaited(self, seconds: float | None) -> bool: ...

    def abort(self) -> None:
        """Wake those who wait, to look for themselves."""
        ...


class Flights(Protocol):
    """The calls that are under way, by key."""

    def join(self, key: str, streamed: bool) -> tuple[Flight, bool]:
        """(the flight, does the caller lead it). Who leads must `land` it."""
        ...

    def drop(self, key: str, flight: Flight) -> None:
        """Let nobody else wait for this one: the next to join leads."""
        ...

    def land(self, key: str, flight: Flight, record: bytes | None) -> None:
        """The flight has ended, with an answer or without: wake those who wait."""
        ...


def boarded(flights: Flights, key: str, total: float | None, state: Streaming | None = None) -> Flow[Flight | None]:
    """The flight that this call leads (it has no record), or one that has ended with an answer; None: go alone, or not at all.

    When a leader fails or is cancelled, one of those who waited leads next; after `FAILURES` of them all go alone. Nobody waits
    longer than `total` seconds.
    """
    if leading.get():
        return None
    until: float | None = None
    failures = 0
    while True:
        flight, leads = flights.join(key, state is not None)
        if leads:
            return flight
        if until is None and total is not None:
            now: float = yield NOW
            until = now + total
        stalled = yield from _waited(flight, until, state)
        if flight.record is not None:
            return flight
        failures += flight.ended
        if stalled:
            flights.drop(key, flight)
        elif not flight.ended or failures == FAILURES:
            return None


def _waited(flight: Flight, until: float | None, state: Streaming | None) -> Flow[bool]:
    """Until it has ended, or the time is over, or the stream is left; True when its reader holds the flight up."""
    if state is not None:
        state.hold[:] = [flight]
    moves = -1
    while not flight.ended and not (state is not None and state.left):
        now: float = yield NOW
        left = None if until is None else until - now
        if left is not None and left <= 0:
            return False
        if flight.held and flight.moves == moves:
            return True
        moves = flight.moves
        pause = (PATIENCE if left is None else min(left, PATIENCE)) if flight.streamed else left
        if not (yield Ask(flight.wait, (pause,), flight.awaited)):
            return False
    return False


def watched(flow: Flow[None], flight: Flight | None, see: Callable[[list[Event]], None]) -> Flow[None]:
    """A stream's flow as it is; `see` is shown its events, and the flight how it moves."""
    try:
        effect: Effect = next(flow)
        while True:
            if isinstance(effect, Deliver):
                see(effect.events)
            if flight is not None and isinstance(effect, (Deliver, Emit)):
                flight.moves += 1
                flight.held = True
            try:
                value = yield effect
            except Exception as error:
                effect = flow.throw(error)
            else:
                if flight is not None:
                    flight.held = False
                effect = flow.send(value)
    except StopIteration:
        return
    finally:
        flow.close()
