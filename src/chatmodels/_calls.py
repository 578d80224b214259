"""The flows of one call, plain and streamed: encode, send, read, try again, and say how it went.

Order from outside in: callbacks, the plan's layers, retry, the layers of each try, send. A flow knows a dialect, a target and
policies; no HTTP client, no clock.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from ._auth import authorised
from ._call import Call, HTTPRequest, HTTPResponse
from ._errors import ChatModelError, DeadlineError, IncompleteStream, ProtocolError, TransportError
from ._events import Event, Start, TextDelta, UsageSoFar
from ._flow import NOW, Deliver, Effect, Emit, Finish, Flow, Open, Opened, Read, Send, passed_on
from ._fold import Fold, fold
from ._layers import InnerStream, through, through_stream, tried
from ._messages import AIMessage
from ._plan import Ledger, Plan, Streaming
from ._plan_asked import asked_of, missing, note_missing
from ._results import result_of
from ._tries import begin, failed, measure
from .dialects._errors import request_id

#: An error's body is read up to this size, in bytes.
ERROR_LIMIT = 1_000_000


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
    ledger.asked = asked_of(call, request)
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
    if ledger.asked > 1:
        note_missing(plan.dialect.provider, message, ledger.asked)
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
    ledger.asked = asked_of(call, request)
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
    measure(plan, error, ledger)
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
        fewer = missing(plan.dialect.provider, events, ledger.asked) if ledger.asked > 1 else None
        if read is not later and events:
            heads += events
            if all(e.__class__ in _HEADS for e in events):
                events = []
            else:
                events, read = heads.copy(), later
        if events:
            yield from _deliver(plan, events)
        failure = decoder.failed or fewer
        if failure is not None:
            raise failure
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
