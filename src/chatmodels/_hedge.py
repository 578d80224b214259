"""Hedged requests: when nothing has come for a while, a second try beside the first; the first to answer wins. Pure flow.

Two flows at once need threads or tasks: the runners are handed in. A lane is one of the flows, and what is known of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from msgspec.structs import force_setattr

from ._call import Call
from ._calls import layered, layered_stream
from ._errors import ChatModelError
from ._fallback_other import Other, renumbered, with_total
from ._flow import NOW, Abortable, Ask, Deliver, Flow, passed_on
from ._layers import HEDGE, Inner, InnerStream, Layer, TryLayer
from ._messages import AIMessage
from ._plan import Ledger, Plan, Streaming
from ._usage import Attempt

#: How soon to look again at a lane that has not sent yet, in seconds, where no longer silence is asked for.
LOOK = 0.01


class Hold(list[Abortable]):
    """The response of a lane while it is open or being opened. One that comes after the lane was given up is given up too."""

    def __init__(self) -> None:
        super().__init__()
        self.given_up = False

    def append(self, opened: Abortable, /) -> None:
        """Hold the response, in whatever thread it is opened."""
        super().append(opened)
        if self.given_up:
            opened.abort()


class Lane:
    """One of the flows. A runner takes it up to its first `Deliver` (`effect`), its end (`result`) or its `error`."""

    __slots__ = ("cancelled", "effect", "error", "flow", "hold", "opened", "result", "sent", "streams", "wake", "watch")

    def __init__(self, flow: Flow[Any], hold: Hold, watch: Watch, *, streams: bool) -> None:
        self.flow = flow
        self.hold = hold
        self.watch = watch
        self.streams = streams
        self.sent = False  # a request is out: before that, silence is not the provider's
        self.opened = False  # the first of a plain answer has come
        self.cancelled = False
        self.effect: Any = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.wake: Callable[[], object] | None = None

    def cancel(self) -> None:
        """Give it up, from any thread: its connection is closed."""
        self.cancelled = self.hold.given_up = True
        for opened in self.hold[-1:]:
            opened.abort()
        if self.wake is not None:
            self.wake()


class Watch(TryLayer):
    """Knows the ledger of the lane that it is in."""

    rank: ClassVar[int] = -1

    def __init__(self) -> None:
        self.ledger: Ledger | None = None
        self.noted = 0  # tries in the ledger when the newest began

    def attempt(self, plan: Plan, call: Call, ledger: Ledger, inner: Callable[[], Flow[Any]]) -> Flow[Any]:
        """One try, as it is."""
        self.ledger, self.noted = ledger, len(ledger.attempts)
        return inner()

    def given_up(self, now: float | None) -> tuple[Attempt, ...]:
        """The tries of a lane that lost, the one under way among them; `now` is None where no clock can be asked."""
        ledger = self.ledger
        if ledger is None:
            return ()
        done = list(ledger.attempts)
        if done and done[-1].outcome == "left":  # a stream books that itself
            seconds = None if now is None else now - ledger.began
            return (*done[:-1], msgspec.structs.replace(done[-1], outcome="cancelled", seconds=seconds))
        if len(done) > self.noted:  # it was waiting for its next try
            return tuple(done)
        under_way = Attempt(
            number=len(done) + 1,
            outcome="cancelled",
            provider=ledger.provider,
            model=ledger.model,
            waited=ledger.waited,
            seconds=None if now is None else max(0.0, now - ledger.began),
            request_id=ledger.request_id,
            usage=ledger.usage,
        )
        return (*done, under_way)


class Race:
    """What the runners run: `start(n)` makes lane n, of `count`; one more after each `after` seconds in which none has anything."""

    def __init__(self, after: float, start: Callable[[int], Lane], count: int) -> None:
        self.after = after
        self.start = start
        self.count = count
        self.lanes: list[Lane] = []

    def abort(self) -> None:
        """Give up all lanes."""
        for lane in list(self.lanes):
            lane.cancel()

    @property
    def silence(self) -> float | None:
        """Seconds of silence after which to look whether another lane shall begin; None when none will."""
        if len(self.lanes) >= self.count:
            return None
        return max(self.after, LOOK) if self.held else self.after

    @property
    def held(self) -> bool:
        """Does a lane wait for something else than the provider's first words?"""
        return any(lane.opened or not lane.sent for lane in self.lanes)


class Runners(msgspec.Struct, frozen=True):
    """Run a race until a lane has won, or all have failed, in each world -> that lane, or the first one."""

    race: Callable[[Race], Lane]
    arace: Any


class _Side(Streaming):
    """The state of a lane's stream: the fold and the wish to leave are the caller's."""

    __slots__ = ("_gone", "_outer", "lane")

    def __init__(self, outer: Streaming) -> None:
        self._outer = outer
        self._gone = False
        super().__init__()
        self.fold = outer.fold
        self.lane: Lane | None = None

    @property
    def left(self) -> bool:
        """No more is wanted, of this lane or of all."""
        return self._gone or self._outer.left or (self.lane is not None and self.lane.cancelled)

    @left.setter
    def left(self, value: bool) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._gone = value


class Hedge(Layer):
    """A further try of the same call (on `other`, where given) after each `after` seconds of silence, `most` of them."""

    rank: ClassVar[int] = HEDGE

    def __init__(self, after: float, other: Other | None, most: int, runners: Runners) -> None:
        self.after = after
        self.other = other
        self.most = most
        self.runners = runners

    def call(self, plan: Plan, call: Call, inner: Inner) -> Flow[AIMessage]:
        """The first answer."""

        def make(number: int) -> Lane:
            watch, chosen, asked = self._turn(plan, call, number)
            flow = layered(chosen, asked) if number and self.other else inner(chosen, asked)
            return Lane(flow, Hold(), watch, streams=False)

        race = self._race(make)
        winner: Lane = yield Ask(self.runners.race, (race,), self.runners.arace)
        now: float = yield NOW
        if winner.error is not None:
            raise self._lost(race, winner, winner.error, now)
        message: AIMessage = winner.result
        force_setattr(message, "attempts", renumbered(_others(race, winner, now), message.attempts))
        return message

    def stream(self, plan: Plan, call: Call, state: Streaming, inner: InnerStream) -> Flow[None]:
        """The events of the first stream that begins."""
        sides: dict[int, _Side] = {}

        def make(number: int) -> Lane:
            watch, chosen, asked = self._turn(plan, call, number)
            side = sides[number] = _Side(state)
            go = layered_stream if number and self.other else inner
            side.hold = hold = Hold()
            lane = side.lane = Lane(go(chosen, asked, side), hold, watch, streams=True)
            return lane

        race = self._race(make)
        state.hold[:] = [race]
        try:
            winner: Lane = yield Ask(self.runners.race, (race,), self.runners.arace)
        except GeneratorExit:  # cancelled: no clock can be asked any more
            state.stamp = _also(_others(race, None, None), state.stamp, None)
            raise
        now: float = yield NOW
        if state.left:  # the user wanted no more: what is under way is booked as left
            state.stamp = _also(_others(race, None, now), state.stamp, None)
            return
        if winner.error is not None:
            raise self._lost(race, winner, winner.error, now)
        losers, outer = _others(race, winner, now), state.stamp
        side = sides[race.lanes.index(winner)]
        state.hold, state.ledger = side.hold, side.ledger
        state.stamp = _also(losers, outer, side)
        try:
            yield from _resumed(winner)
        except ChatModelError as error:
            error.attempts = renumbered(losers, error.attempts)
            raise

    def _race(self, make: Callable[[int], Lane]) -> Race:
        return Race(self.after, make, self.most + 1)

    def _turn(self, plan: Plan, call: Call, number: int) -> tuple[Watch, Plan, Call]:
        watch = Watch()
        if number:
            chosen = plan if self.other is None else self.other.plan(plan)
            asked = call if self.other is None else self.other.call(call, chosen)
            plan, call = with_total(chosen, plan, number * self.after) or chosen, asked
        return watch, msgspec.structs.replace(plan, tries=(watch, *plan.tries)), call

    def _lost(self, race: Race, first: Lane, error: BaseException, now: float) -> BaseException:
        if isinstance(error, ChatModelError):
            error.attempts = renumbered(_others(race, first, now), error.attempts)
        return error


def _others(race: Race, but: Lane | None, now: float | None) -> tuple[Attempt, ...]:
    """The tries of the lanes that did not win, in the order in which they began."""
    found: tuple[Attempt, ...] = ()
    for lane in race.lanes:
        if lane is not but:
            found = renumbered(found, _tries(lane, now))
    return found


def _tries(lane: Lane, now: float | None) -> tuple[Attempt, ...]:
    if isinstance(lane.error, ChatModelError):
        return lane.error.attempts
    if isinstance(lane.result, AIMessage):  # it was a moment too late
        return lane.result.attempts
    return lane.watch.given_up(now)


def _also(
    losers: tuple[Attempt, ...], outer: Callable[[AIMessage], AIMessage] | None, side: Streaming | None
) -> Callable[[AIMessage], AIMessage]:
    """Puts the losers' tries on a message, before its own."""

    def stamp(message: AIMessage) -> AIMessage:
        if side is not None and side.stamp is not None:
            message = side.stamp(message)
        force_setattr(message, "attempts", renumbered(losers, message.attempts))
        return message if outer is None else outer(message)

    return stamp


def _resumed(lane: Lane) -> Flow[None]:
    """The rest of a stream that was run up to its first events."""
    if isinstance(lane.effect, Deliver):
        yield from passed_on(lane.flow, lambda effect: False, lane.effect)
