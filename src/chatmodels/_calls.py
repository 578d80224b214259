"""The flows of one call, plain and streamed: encode, send, read, try again, and say how it went.

Order from outside in: callbacks, the plan's layers, retry, the layers of each try, send. A flow knows a dialect, a target and
policies; no HTTP client, no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from ._auth import authorised
from ._call import Call, HTTPRequest, HTTPResponse
from ._errors import ChatModelError, DeadlineError, IncompleteStream, ProtocolError, ProviderError, TransportError
from ._events import Event, Start, TextDelta, UsageSoFar
from ._flow import (
    NOW,
    RANDOM,
    WALL_CLOCK,
    Abortable,
    Deliver,
    Effect,
    Emit,
    Finish,
    Flow,
    Open,
    Opened,
    Read,
    Send,
    Sleep,
    Target,
    passed_on,
)
from ._fold import Fold, fold
from ._layers import InnerStream, Layer, TryLayer, through, through_stream, tried
from ._mask import mask
from ._messages import AIMessage
from ._results import result_of
from ._retry import Budget, Retry, backoff, retry_after, wants_again, why_not
from ._usage import Attempt, Usage
from .dialects._base import Dialect, request_id

#: An error's body is read up to this size, in bytes.
ERROR_LIMIT = 1_000_000


class Plan(msgspec.Struct, frozen=True):
    """All that a call needs besides what is asked: where, in which dialect, under which policies."""

    dialect: Dialect
    target: Target
    retry: Retry
    budget: Budget
    handlers: tuple[Any, ...] = ()
    stream_calls: bool = False
    layers: tuple[Layer, ...] = ()
    tries: tuple[TryLayer, ...] = ()


class Ledger:
    """The tries of one call so far, and what a good answer is stamped with.

    `headers` and `usage` are those of the newest try, as far as they are known.
    """

    __slots__ = ("attempts", "began", "deadline", "headers", "model", "provider", "request_id", "usage", "waited",
                 "warnings")  # fmt: skip

    def __init__(self, plan: Plan, call: Call, warnings: tuple[str, ...]) -> None:
        self.provider = plan.dialect.provider
        self.model = call.model
        self.warnings = warnings
        self.attempts: list[Attempt] = []
        self.request_id: str | None = None
        self.headers: dict[str, str] = {}
        self.usage: Usage | None = None
        self.waited = 0.0
        self.began = 0.0
        self.deadline: float | None = None

    def note(self, now: float | None, error: ChatModelError | None, usage: Usage | None, outcome: str = "ok") -> None:
        """Write the try that has just ended into the ledger."""
        self.attempts.append(
            Attempt(
                number=len(self.attempts) + 1,
                outcome=outcome if error is None else type(error).__name__,
                provider=self.provider,
                model=self.model,
                status=getattr(error, "status", None),
                waited=self.waited,
                seconds=None if now is None else now - self.began,
                request_id=getattr(error, "request_id", None) or self.request_id,
                error=None if error is None else str(error),
                usage=usage,
            )
        )

    def stamp(self, message: AIMessage) -> AIMessage:
        """Put on the answer what only the call knows."""
        for one in (message, *message.alternatives):
            force_setattr(one, "provider", self.provider)
        force_setattr(message, "attempts", tuple(self.attempts))
        force_setattr(message, "request_id", self.request_id)
        if self.warnings:
            force_setattr(message, "warnings", (*self.warnings, *message.warnings))
        return message

    def blame(self, error: ChatModelError) -> ChatModelError:
        """Put on the error what only the call knows."""
        error.provider = error.provider or self.provider
        error.model = error.model or self.model
        error.request_id = error.request_id or self.request_id
        error.attempts = tuple(self.attempts)
        return error


class Streaming:
    """The state that a stream and its flow share: the fold, and the ledger once the flow has begun.

    `heads` are events that say nothing yet (id, model, usage) and are held back until the first that does: while
    only they have come, the call can still be tried again unseen. `hold` has the response while it is open or being
    opened, and `left` says that the user wants no more. `stamp` is what a layer puts on the answer that it gave itself.
    """

    __slots__ = ("fold", "heads", "hold", "ledger", "left", "stamp")

    def __init__(self) -> None:
        self.fold = Fold()
        self.heads: list[Event] = []
        self.ledger: Ledger | None = None
        self.hold: list[Abortable] = []
        self.left = False
        self.stamp: Callable[[AIMessage], AIMessage] | None = None

    def leave(self) -> None:
        """End the stream from outside, while it waits: its connection is closed, and it ends as if no more came."""
        self.left = True
        for opened in self.hold[-1:]:
            opened.abort()

    def message(self) -> AIMessage:
        """The answer so far."""
        message = self.fold.message()
        if self.ledger is not None:
            self.ledger.stamp(message)
        return message if self.stamp is None else self.stamp(message)


def call_flow(plan: Plan, call: Call) -> Flow[AIMessage]:
    """One call, whole: the answer, or the error after the last try."""
    if plan.stream_calls and not call.stream:
        call = msgspec.structs.replace(call, stream=True)
    if not plan.handlers:
        return (yield from layered(plan, call))
    yield Emit(plan.handlers, "on_chat_model_start", ({"model": call.model}, [list(call.messages)]), {})
    try:
        message = yield from layered(plan, call)
    except ChatModelError as error:
        yield Emit(plan.handlers, "on_llm_error", (error,), {})
        raise
    yield Emit(plan.handlers, "on_llm_end", (result_of([message]),), {})
    return message


def layered(plan: Plan, call: Call) -> Flow[AIMessage]:
    """`call_flow` without telling the handlers."""
    if call.stream:
        return (yield from _collected(plan, call, layered_stream))
    return (yield from (through(plan, call, _plain) if plan.layers else _plain(plan, call)))


def _collected(plan: Plan, call: Call, stream: InnerStream) -> Flow[AIMessage]:
    state = Streaming()
    yield from collected(stream(plan, call, state), state.fold)
    return state.message()


def _plain(plan: Plan, call: Call) -> Flow[AIMessage]:
    if call.stream:  # a layer asked for it
        return (yield from _collected(plan, call, _stream))
    request = plan.dialect.encode(call)
    ledger = Ledger(plan, call, request.warnings)
    yield from begin(plan, ledger)
    while True:
        ledger.request_id = None
        try:
            if plan.tries:
                message = yield from tried(plan, call, ledger, partial(_one_plain, plan, request, ledger))
            else:
                message = yield from _one_plain(plan, request, ledger)
        except ChatModelError as error:
            yield from failed(plan, ledger, error, None)
        else:
            now: float = yield NOW
            ledger.note(now, None, message.usage)
            plan.budget.give()
            return ledger.stamp(message)


def _one_plain(plan: Plan, request: HTTPRequest, ledger: Ledger) -> Flow[AIMessage]:
    signed = request if plan.target.authorise is None else (yield from authorised(plan.target, request))
    response: HTTPResponse = yield Send(plan.target, signed, ledger.deadline)
    ledger.headers = response.headers
    ledger.request_id = request_id(response.headers)
    if response.status >= 300:
        raise plan.dialect.decode_error(response)
    try:
        message = plan.dialect.decode(response)
    except ChatModelError:
        raise
    except _UNREAD as error:
        raise _unread(plan, error, response.body) from error
    ledger.usage = message.usage
    return message


#: What reading an answer may raise where one of its values is out of all bounds, such as a number of a thousand digits.
_UNREAD = (ValueError, ArithmeticError, RecursionError)


def _unread(plan: Plan, error: Exception, data: bytes) -> ChatModelError:
    name = plan.dialect.provider
    return ProtocolError(
        f"{name}: the answer cannot be read: {type(error).__name__}: {error}", data=data, provider=name
    )


def stream_flow(plan: Plan, call: Call, state: Streaming) -> Flow[None]:
    """One call, streamed: events are delivered as they come; `state` holds what came."""
    if not plan.handlers:
        yield from layered_stream(plan, call, state)
        return
    yield Emit(plan.handlers, "on_chat_model_start", ({"model": call.model}, [list(call.messages)]), {})
    try:
        yield from layered_stream(plan, call, state)
    except ChatModelError as error:
        yield Emit(plan.handlers, "on_llm_error", (error,), {})
        raise
    yield Emit(plan.handlers, "on_llm_end", (result_of([state.message()]),), {})


def layered_stream(plan: Plan, call: Call, state: Streaming) -> Flow[None]:
    """`stream_flow` without telling the handlers that the call begins or ends."""
    return through_stream(plan, call, state, _stream) if plan.layers else _stream(plan, call, state)


def _stream(plan: Plan, call: Call, state: Streaming) -> Flow[None]:
    request = plan.dialect.encode(call)
    ledger = state.ledger = Ledger(plan, call, request.warnings)
    yield from begin(plan, ledger)
    while not state.left:
        ledger.request_id = None
        state.heads.clear()
        try:
            if plan.tries:
                yield from tried(plan, call, ledger, partial(_one_stream, plan, request, ledger, state))
            else:
                yield from _one_stream(plan, request, ledger, state)
        except ChatModelError as error:
            if state.left:
                break
            if _given_out(state):
                raise (yield from _broken(plan, ledger, error, state)) from error.__cause__
            so_far = fold(state.heads)
            if state.heads or isinstance(error, IncompleteStream):
                error.partial = ledger.stamp(so_far)
            yield from failed(plan, ledger, error, so_far.usage)
        except GeneratorExit:
            ledger.note(None, None, state.fold.usage, "left")
            raise
        else:
            now: float = yield NOW
            ledger.note(now, None, state.fold.usage)
            plan.budget.give()
            return
    now = yield NOW
    ledger.note(now, None, state.fold.usage, "left")


def _given_out(state: Streaming) -> bool:
    """Has any of the answer reached the user?"""
    return bool(state.fold.started)


def _broken(plan: Plan, ledger: Ledger, error: ChatModelError, state: Streaming) -> Flow[ChatModelError]:
    """The error of a stream that broke after its first event: it carries the partial answer."""
    now: float = yield NOW
    _measure(plan, error)
    ledger.note(now, error, state.fold.usage)
    if isinstance(error, TransportError) and not isinstance(error, DeadlineError):
        cut = IncompleteStream(f"the connection broke before the answer was complete: {error}")
        cut.__cause__ = error
        error = cut
    ledger.blame(error)
    error.partial = state.message()
    return error


def _one_stream(plan: Plan, request: HTTPRequest, ledger: Ledger, state: Streaming) -> Flow[None]:
    state.hold.clear()
    signed = request if plan.target.authorise is None else (yield from authorised(plan.target, request))
    opened: Opened = yield Open(plan.target, signed, ledger.deadline, state.hold)
    state.hold[:] = [opened]
    done = False
    try:
        ledger.headers = opened.headers
        ledger.request_id = request_id(opened.headers)
        if opened.status >= 300:
            body = yield from _rest(plan, opened, ledger)
            raise plan.dialect.decode_error(HTTPResponse(status=opened.status, headers=opened.headers, body=body))
        yield from _events(plan, opened, ledger, state.heads)
        done = True
    finally:
        ledger.usage = state.fold.usage
        if not done:
            opened.abort()


def _rest(plan: Plan, opened: Opened, ledger: Ledger) -> Flow[bytes]:
    """The body of an error. Its status says enough, so a body that breaks off is taken as it is."""
    read = Read(opened, plan.target.timeouts.idle, ledger.deadline, "total")
    body = b""
    try:
        while len(body) < ERROR_LIMIT and (piece := (yield read)):
            body += piece
    except TransportError:
        return body
    return body


def _events(plan: Plan, opened: Opened, ledger: Ledger, heads: list[Event]) -> Flow[None]:
    decoder: Any = plan.dialect.stream_decoder()
    feed = decoder.feed
    read = _first_read(plan, opened, ledger)
    later = Read(opened, plan.target.timeouts.idle, ledger.deadline, "total")
    while True:
        data: bytes = yield read
        try:
            events = feed(data) if data else decoder.close()
        except ChatModelError:
            raise
        except _UNREAD as error:
            raise _unread(plan, error, data) from error
        if read is not later and events:
            heads += events
            if all(e.__class__ in _HEADS for e in events):
                events = []
            else:
                events, read = heads.copy(), later
        if events:
            yield from _deliver(plan, events)
        if decoder.failed is not None:
            raise decoder.failed
        if not data or decoder.ended:
            break
    yield Finish(opened)


_HEADS = (Start, UsageSoFar)


def _first_read(plan: Plan, opened: Opened, ledger: Ledger) -> Read:
    limit = plan.target.timeouts.first_token
    if limit is not None and (ledger.deadline is None or ledger.began + limit < ledger.deadline):
        return Read(opened, None, ledger.began + limit, "first_token")
    return Read(opened, None, ledger.deadline, "total")


def _deliver(plan: Plan, events: list[Event]) -> Flow[None]:
    if not plan.handlers:
        yield Deliver(events)
        return
    for event in events:
        if isinstance(event, TextDelta):
            yield Emit(plan.handlers, "on_llm_new_token", (event.text,), {"chunk": event})
        yield Deliver([event])


def collected(flow: Flow[None], folding: Fold) -> Flow[None]:
    """Run a stream's flow, taking its events into the fold instead of giving them out."""

    def taken(effect: Effect) -> bool:
        if not isinstance(effect, Deliver):
            return False
        for event in effect.events:
            folding.add(event)
        return True

    return passed_on(flow, taken)


# ---- tries


def begin(plan: Plan, ledger: Ledger) -> Flow[None]:
    """The first try begins: the deadline is set."""
    ledger.began = yield NOW
    total = plan.target.timeouts.total
    ledger.deadline = None if total is None else ledger.began + total


def failed(plan: Plan, ledger: Ledger, error: ChatModelError, usage: Usage | None) -> Flow[None]:
    """A try has failed: wait and return for the next one, or raise."""
    now: float = yield NOW
    yield from _read_retry_after(error)
    _measure(plan, error)
    ledger.note(now, error, usage)
    wait = yield from _wait(plan, ledger, error, now)
    if wait is None:
        raise ledger.blame(error)
    if plan.handlers:
        yield Emit(plan.handlers, "on_retry", (ledger.attempts[-1],), {"wait": wait, "error": error})
    if wait > 0:
        yield Sleep(wait)
    ledger.waited = wait
    ledger.began = yield NOW
    if ledger.deadline is not None and ledger.began >= ledger.deadline:
        raise ledger.blame(error)


def _read_retry_after(error: ChatModelError) -> Flow[None]:
    if isinstance(error, ProviderError) and error.retry_after is None and error.headers:
        headers = error.headers
        if "retry-after" in headers or "retry-after-ms" in headers:
            error.retry_after = retry_after(headers, (yield WALL_CLOCK))


def _measure(plan: Plan, error: ChatModelError) -> None:
    """A passed deadline says its length, and no error says the key."""
    mask(error, plan.target.headers, plan.target.authorise)
    if isinstance(error, DeadlineError) and error.seconds is None:
        error.seconds = getattr(plan.target.timeouts, error.phase, None)


def _wait(plan: Plan, ledger: Ledger, error: ChatModelError, now: float) -> Flow[float | None]:
    """Seconds to wait before the next try; None: do not try again."""
    retry = plan.retry
    tried = len(ledger.attempts)
    if tried >= retry.attempts or not wants_again(retry, error):
        return None
    asked = getattr(error, "retry_after", None)
    if asked is not None and asked > retry.patience:
        error.text += why_not(asked, retry.patience, None)
        return None
    dice: float = yield RANDOM
    # "0", and a date that is past by our clock, are no leave to ask at once and without end.
    wait = asked + dice * min(0.25, asked * 0.1) if asked else backoff(retry, tried, dice)
    if ledger.deadline is not None and now + wait >= ledger.deadline:
        error.text += why_not(asked, retry.patience, ledger.deadline - now)
        return None
    return wait if plan.budget.take() else None
