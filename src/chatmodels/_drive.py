"""The two drivers: they perform a flow's effects, one in the sync world, one in the async one.

A driver throws what goes wrong back into the flow, and closes the flow in the end, so that leaving early or being
cancelled runs its clean-up (which closes the connection). No policy lives here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from random import random as _dice  # full jitter of waits, not a secret
from typing import Any, TypeVar

from ._flow import Ask, Deliver, Emit, Finish, Flow, Now, Open, Random, Read, Send, Sleep, WallClock
from ._plan import Streaming
from ._stream import AIMessageChunk

T = TypeVar("T")
log = logging.getLogger("chatmodels")

_SYNC: dict[type[Any], Callable[[Any], Any]] = {
    Send: lambda e: e.target.transport.send(e),
    Open: lambda e: e.target.transport.open(e),
    Read: lambda e: e.opened.read(e.idle, e.deadline, e.phase),
    Finish: lambda e: e.opened.finish(),
    Now: lambda e: time.monotonic(),
    WallClock: lambda e: time.time(),
    Random: lambda e: _dice(),
    Sleep: lambda e: time.sleep(e.seconds),
    Emit: lambda e: tell(e),
    Ask: lambda e: e.function(*e.args),
}

# What the async driver does without waiting.
_AT_ONCE: dict[type[Any], Callable[[Any], Any]] = {k: _SYNC[k] for k in (Now, WallClock, Random)}

_ASYNC: dict[type[Any], Callable[[Any], Awaitable[Any]]] = {
    Send: lambda e: e.target.transport.asend(e),
    Open: lambda e: e.target.transport.aopen(e),
    Read: lambda e: e.opened.aread(e.idle, e.deadline, e.phase),
    Finish: lambda e: e.opened.afinish(),
    Sleep: lambda e: _sleep(e.seconds),
    Emit: lambda e: atell(e),
    Ask: lambda e: _ask(e),
}


def run(flow: Flow[T]) -> T:
    """Perform a flow to its end, in this thread."""
    try:
        effect = next(flow)
        while True:
            try:
                value = _SYNC[effect.__class__](effect)
            except Exception as error:
                effect = flow.throw(error)
            else:
                effect = flow.send(value)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        flow.close()


async def arun(flow: Flow[T]) -> T:
    """Perform a flow to its end, in this task."""
    try:
        effect = next(flow)
        while True:
            try:
                at_once = _AT_ONCE.get(effect.__class__)
                value = at_once(effect) if at_once is not None else await _ASYNC[effect.__class__](effect)
            except Exception as error:
                effect = flow.throw(error)
            else:
                effect = flow.send(value)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        flow.close()


def chunks(flow: Flow[None], state: Streaming) -> Generator[AIMessageChunk, None, None]:
    """Perform a stream's flow, giving each event out as a chunk."""
    add = state.fold.add
    try:
        effect = next(flow)
        while True:
            if isinstance(effect, Deliver):
                for event in effect.events:
                    add(event)
                    yield AIMessageChunk(event)
                effect = flow.send(None)
                continue
            try:
                value = _SYNC[effect.__class__](effect)
            except Exception as error:
                effect = flow.throw(error)
            else:
                effect = flow.send(value)
    except StopIteration:
        return
    finally:
        flow.close()


async def achunks(flow: Flow[None], state: Streaming) -> AsyncGenerator[AIMessageChunk, None]:
    """Perform a stream's flow, giving each event out as a chunk."""
    add = state.fold.add
    try:
        effect = next(flow)
        while True:
            if isinstance(effect, Deliver):
                for event in effect.events:
                    add(event)
                    yield AIMessageChunk(event)
                effect = flow.send(None)
                continue
            try:
                at_once = _AT_ONCE.get(effect.__class__)
                value = at_once(effect) if at_once is not None else await _ASYNC[effect.__class__](effect)
            except Exception as error:
                effect = flow.throw(error)
            else:
                effect = flow.send(value)
    except StopIteration:
        return
    finally:
        flow.close()


def tell(effect: Emit) -> None:
    """Call the handlers; an error of theirs is logged, or raised when the handler says `raise_error = True`.

    A coroutine function among them is run to its end, in the portal's loop: there may be a loop running in this thread.
    """
    for handler in effect.handlers:
        method = getattr(handler, effect.event, None)
        if method is None:
            continue
        try:
            told = method(*effect.args, **effect.kwargs)
            if hasattr(told, "__await__"):
                from ._portal import portal

                portal().run(_awaited(told))
        except Exception:
            if getattr(handler, "raise_error", False):
                raise
            log.warning("callback %s.%s failed", type(handler).__name__, effect.event, exc_info=True)


async def _awaited(told: Awaitable[Any]) -> Any:
    return await told


async def atell(effect: Emit) -> None:
    """`tell`, where handlers may be coroutine functions."""
    for handler in effect.handlers:
        method = getattr(handler, effect.event, None)
        if method is None:
            continue
        try:
            told = method(*effect.args, **effect.kwargs)
            if hasattr(told, "__await__"):
                await told
        except Exception:
            if getattr(handler, "raise_error", False):
                raise
            log.warning("callback %s.%s failed", type(handler).__name__, effect.event, exc_info=True)


async def _sleep(seconds: float) -> None:
    from ._async import sleep

    await sleep(seconds)


async def _ask(effect: Ask) -> Any:
    if effect.afunction is not None:
        return await effect.afunction(*effect.args)
    from ._async import in_thread

    return await in_thread(effect.function, *effect.args)
