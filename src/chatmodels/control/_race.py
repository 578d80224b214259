"""Two flows at once: in threads for sync callers, as tasks for async ones. The policy itself is `_hedge.py`.

A request of a plain call is opened and read here piece by piece, so that one can be told when the first of it comes, and the
loser's connection closed.
"""

from __future__ import annotations

import queue
import threading
from contextvars import copy_context
from functools import partial
from time import monotonic
from typing import Any

from .._async import Task, mailbox, spawn, within
from .._call import HTTPResponse
from .._drive import _ASYNC, _AT_ONCE, _SYNC
from .._flow import Deliver, Open, Send, Sleep
from .._hedge import Lane, Race, Runners
from ._threads import begin

#: How long the winner waits for a loser to be gone, in seconds.
PARTING = 0.25


class Cancelled(BaseException):
    """The lane was given up. No `Exception`: its flow is not told, it is closed."""


# ---- in threads


def race(given: Race) -> Lane:
    """Run the lanes in threads, a new one after each silence."""
    ended: queue.SimpleQueue[Lane] = queue.SimpleQueue()
    gone: list[threading.Event] = []
    won: Lane | None = None
    try:
        _begin(given, ended, gone)
        failed = 0
        while failed < len(given.lanes):
            try:
                lane = ended.get(timeout=given.silence)
            except queue.Empty:
                if not given.held:
                    _begin(given, ended, gone)
                continue
            if lane.error is None:
                won = lane
                return lane
            failed += 1
        won = first = given.lanes[0]
        return first
    finally:
        _part(given, won, gone)


def _begin(given: Race, ended: queue.SimpleQueue[Lane], gone: list[threading.Event]) -> None:
    lane = given.start(len(given.lanes))
    given.lanes.append(lane)
    asleep, done = threading.Event(), threading.Event()
    lane.wake = asleep.set
    gone.append(done)

    def go() -> None:
        try:
            _advance(lane, asleep)
        except BaseException as error:
            lane.error = error
        try:
            _close(lane)
        finally:
            done.set()
            ended.put(lane)

    begin(partial(copy_context().run, go))


def _part(given: Race, won: Lane | None, gone: list[threading.Event]) -> None:
    until = monotonic() + PARTING
    for lane in given.lanes:
        if lane is not won and lane.error is None:
            lane.cancel()
    for lane, done in zip(given.lanes, gone, strict=True):
        if lane is not won and done.wait(max(0.0, until - monotonic())):
            _close(lane)


def _close(lane: Lane) -> None:
    """A lane that was given up ends here, even if it has something to say by now."""
    if lane.cancelled:
        lane.flow.close()
        if lane.error is None and lane.result is None:
            lane.error = Cancelled()


def _advance(lane: Lane, asleep: threading.Event) -> None:
    """Run a flow up to its first events, or to its end."""
    flow = lane.flow
    try:
        effect = next(flow)
        while not isinstance(effect, Deliver):
            if lane.cancelled and effect.__class__ not in _AT_ONCE:
                raise Cancelled
            try:
                value = _perform(lane, effect, asleep)
            except Exception as error:
                if lane.cancelled and not lane.streams:
                    raise Cancelled from error
                effect = flow.throw(error)
            else:
                effect = flow.send(value)
        lane.effect = effect
    except StopIteration as stop:
        lane.result = stop.value


def _perform(lane: Lane, effect: Any, asleep: threading.Event) -> Any:
    if isinstance(effect, Sleep):
        if asleep.wait(effect.seconds):
            raise Cancelled
        return None
    if not isinstance(effect, Send):
        lane.sent = lane.sent or isinstance(effect, Open)
        return _SYNC[effect.__class__](effect)
    lane.sent = True
    opened = effect.target.transport.open(Open(effect.target, effect.request, effect.deadline, lane.hold))
    lane.hold[:] = [opened]
    lane.opened = opened.status < 300
    pieces: list[bytes] = []
    while piece := opened.read(None, effect.deadline, "total"):
        pieces.append(piece)
    return HTTPResponse(status=opened.status, headers=opened.headers, body=b"".join(pieces))


# ---- as tasks


async def arace(given: Race) -> Lane:
    """Run the lanes as tasks, a new one after each silence."""
    put, get = mailbox()
    tasks: list[Task] = []
    won: Lane | None = None
    try:
        _spawn(given, put, tasks)
        failed = 0
        while failed < len(given.lanes):
            try:
                silence = given.silence
                lane: Lane = await within(None if silence is None else monotonic() + silence, get)
            except TimeoutError:
                if not given.held:
                    _spawn(given, put, tasks)
                continue
            if lane.error is None:
                won = lane
                return lane
            failed += 1
        won = first = given.lanes[0]
        return first
    finally:
        for lane, task in zip(given.lanes, tasks, strict=True):
            if lane is not won and lane.error is None:
                lane.cancelled = True
                task.cancel()
        for lane, task in zip(given.lanes, tasks, strict=True):
            if lane is not won:
                await task.ended()
                _close(lane)


def _spawn(given: Race, put: Any, tasks: list[Task]) -> None:
    lane = given.start(len(given.lanes))
    given.lanes.append(lane)

    async def go() -> None:
        try:
            await _aadvance(lane)
        except Exception as error:
            lane.error = error
        finally:
            _close(lane)
            put(lane)

    tasks.append(spawn(go))


async def _aadvance(lane: Lane) -> None:
    flow = lane.flow
    try:
        effect = next(flow)
        while not isinstance(effect, Deliver):
            try:
                value = await _aperform(lane, effect)
            except Exception as error:
                effect = flow.throw(error)
            else:
                effect = flow.send(value)
        lane.effect = effect
    except StopIteration as stop:
        lane.result = stop.value


async def _aperform(lane: Lane, effect: Any) -> Any:
    at_once = _AT_ONCE.get(effect.__class__)
    if at_once is not None:
        return at_once(effect)
    if not isinstance(effect, Send):
        lane.sent = lane.sent or isinstance(effect, Open)
        return await _ASYNC[effect.__class__](effect)
    lane.sent = True
    opened = await effect.target.transport.aopen(Open(effect.target, effect.request, effect.deadline, lane.hold))
    done = False
    try:
        lane.opened = opened.status < 300
        pieces: list[bytes] = []
        while piece := await opened.aread(None, effect.deadline, "total"):
            pieces.append(piece)
        done = True
    finally:
        if not done:
            opened.abort()
    return HTTPResponse(status=opened.status, headers=opened.headers, body=b"".join(pieces))


RUNNERS = Runners(race, arace)
