"""Fallback: when a model fails, the next one is asked the same. Pure flow; a layer around whole calls, their retries included.

Knows plans, calls and errors, and the breaker's rules. It must not know a clock or a lock: circuits come from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, TypeAlias

import msgspec
from msgspec.structs import force_setattr

from ._breaker import Breaker, BreakerOpen, Circuit, is_failure
from ._call import Call
from ._calls import layered, layered_stream
from ._errors import (
    ChatModelError,
    ContextTooLongError,
    OutOfCreditError,
    OverloadedError,
    ProtocolError,
    RateLimitError,
    TransportError,
    UsageError,
)
from ._events import Restarted
from ._fallback_other import Other, renumbered, with_total
from ._flow import NOW, Deliver, Emit, Flow
from ._layers import FALLBACK, Inner, InnerStream, Layer
from ._limits_book import LimitError
from ._messages import AIMessage
from ._plan import Plan, Streaming
from ._retry import On, wanted

#: The errors after which another model is asked, unless the user says otherwise. A refusal and a bad request never are; an account
#: that is used up is no fault of the request, and another one may have money.
DEFAULT: tuple[type[ChatModelError], ...] = (
    OverloadedError, RateLimitError, OutOfCreditError, TransportError, ProtocolError, ContextTooLongError,
)  # fmt: skip

Ask: TypeAlias = "Callable[[int, Plan, Call], Flow[Any]]"


class FallbackError(ChatModelError):
    """No model gave an answer. `errors` has what each said, in the order in which they were asked; the first is `__cause__`."""

    def __init__(self, text: str, *, errors: tuple[ChatModelError, ...] = (), **kw: Any) -> None:
        super().__init__(text, **kw)
        self.errors = errors


class Fallback(Layer):
    """The model's own answer, or that of the first of `others` that gives one."""

    rank: ClassVar[int] = FALLBACK

    def __init__(
        self, others: Sequence[Other], on: On, breaker: Breaker | None, circuits: Callable[[Any], Circuit]
    ) -> None:
        self.others = tuple(others)
        self.on = on
        self.breaker = breaker
        self.circuits = circuits

    def call(self, plan: Plan, call: Call, inner: Inner) -> Flow[AIMessage]:
        """The answer of the first model that gives one."""
        walk = _Walk(plan)

        def ask(place: int, chosen: Plan, asked: Call) -> Flow[AIMessage]:
            return layered(chosen, asked) if place else inner(chosen, asked)

        return walk.stamp((yield from self._each(walk, call, ask, None)))

    def stream(self, plan: Plan, call: Call, state: Streaming, inner: InnerStream) -> Flow[None]:
        """The events of the first model that gives a whole answer; `Restarted` where one broke off in the middle."""
        walk = _Walk(plan)
        outer = state.stamp

        def stamp(message: AIMessage) -> AIMessage:
            message = walk.stamp(message)
            return message if outer is None else outer(message)

        def ask(place: int, chosen: Plan, asked: Call) -> Flow[None]:
            state.stamp = stamp  # layers inside put theirs around it
            return layered_stream(chosen, asked, state) if place else inner(chosen, asked, state)

        yield from self._each(walk, call, ask, state)

    def _each(self, walk: _Walk, call: Call, ask: Ask, state: Streaming | None) -> Flow[Any]:
        now = walk.began = yield NOW
        for place in range(len(self.others) + 1):
            if place:
                now = yield NOW
            turn = self._turn(walk, call, place, now)
            if turn is None:
                continue
            if place and walk.errors:
                yield from _tell(walk, turn.plan, turn.call, state)
            done, result = yield from self._ask(walk, turn, partial(ask, place))
            if done:
                return result
        raise walk.failed()

    def _turn(self, walk: _Walk, call: Call, place: int, now: float) -> _Turn | None:
        """What to ask the model at this place; None when it cannot be asked."""
        other = self.others[place - 1] if place else None
        plan = walk.plan if other is None else other.plan(walk.plan)
        asked = call if other is None else other.call(call, plan)
        timely = with_total(plan, walk.plan, now - walk.began)
        if timely is None:
            return None
        plan = timely
        if place < len(self.others):
            plan = msgspec.structs.replace(plan, retry=msgspec.structs.replace(plan.retry, silent=False))
        turn = _Turn(plan, asked)
        if self.breaker is None:
            return turn
        turn.circuit = self.circuits((plan.dialect.provider, plan.target.base_url, asked.model))
        turn.probe, wait = turn.circuit.enter(self.breaker, now)
        if not wait:
            return turn
        text = f"it was not asked: it has just failed too often (asked again in {wait:.3g} s)"
        walk.errors.append(BreakerOpen(text, retry_after=wait, provider=plan.dialect.provider, model=asked.model))
        return None

    def _ask(self, walk: _Walk, turn: _Turn, ask: Callable[[Plan, Call], Flow[Any]]) -> Flow[tuple[bool, Any]]:
        verdict = walk.between = False
        try:
            result = yield from ask(turn.plan, turn.call)
            verdict = True
            turn.success()
        except ChatModelError as error:
            now: float = yield NOW
            verdict = not isinstance(error, LimitError)  # that is ours: it says nothing about the provider
            if self.breaker is not None and verdict and is_failure(error):
                turn.failure(self.breaker, now)
            elif verdict:
                turn.success()
            first = not walk.errors
            walk.take(error)
            if self._goes_on(error, first=first):
                return False, None
            raise walk.last(error) from error.__cause__
        finally:
            if not verdict:
                turn.leave()
        walk.model = turn.call.model
        return True, result

    def _goes_on(self, error: ChatModelError, *, first: bool) -> bool:
        if isinstance(error, UsageError):  # another model that cannot take this call is passed over
            return not first
        return isinstance(error, FallbackError) or wanted(self.on, error)


class _Turn:
    """One model's turn: what to ask it, and its circuit."""

    __slots__ = ("call", "circuit", "plan", "probe")

    def __init__(self, plan: Plan, call: Call) -> None:
        self.plan = plan
        self.call = call
        self.circuit: Circuit | None = None
        self.probe = False

    def success(self) -> None:
        if self.circuit is not None:
            self.circuit.success(self.probe)

    def failure(self, breaker: Breaker, now: float) -> None:
        if self.circuit is not None:
            self.circuit.failure(breaker, now, self.probe)

    def leave(self) -> None:
        if self.circuit is not None:
            self.circuit.leave(self.probe)


class _Walk:
    """One call's way through the models: what each said so far."""

    __slots__ = ("attempts", "began", "between", "errors", "model", "plan")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.began = 0.0
        self.errors: list[ChatModelError] = []
        self.attempts: tuple[Any, ...] = ()
        self.model: str | None = None
        self.between = False  # no model is being asked: all tries are in `attempts`

    def take(self, error: ChatModelError) -> None:
        """A model has failed."""
        self.between = True
        self.errors.append(error)
        self.attempts = renumbered(self.attempts, error.attempts)

    def stamp(self, message: AIMessage) -> AIMessage:
        """The answer, with the tries of the models before it."""
        if self.attempts:
            force_setattr(message, "attempts", renumbered(self.attempts, () if self.between else message.attempts))
        if message.model is None and self.model is not None:
            force_setattr(message, "model", self.model)
        return message

    def last(self, error: ChatModelError) -> ChatModelError:
        """The error that ends the walk, with the ones before it."""
        error.attempts = self.attempts
        if error.partial is None:
            error.partial = self._newest_part()
        if len(self.errors) > 1:
            error.errors = tuple(self.errors)  # type: ignore[attr-defined]
            if error.__cause__ is None:
                error.__cause__ = self.errors[0]
        return error

    def _newest_part(self) -> Any:
        return next((e.partial for e in reversed(self.errors) if e.partial is not None), None)

    def failed(self) -> ChatModelError:
        """All have failed: the error that says what each said."""
        if len(self.errors) == 1 and not isinstance(self.errors[0], BreakerOpen):
            return self.last(self.errors[0])
        said = "; ".join(f"{e.provider}:{e.model}: {type(e).__name__}: {e}" for e in self.errors)
        newest = self.errors[-1]
        error = FallbackError(
            f"no model gave an answer. {said}",
            errors=tuple(self.errors),
            provider=newest.provider,
            model=newest.model,
            attempts=self.attempts,
            partial=self._newest_part(),
        )
        error.request_id = newest.request_id
        error.__cause__ = self.errors[0]
        return error


def _tell(walk: _Walk, plan: Plan, call: Call, state: Streaming | None) -> Flow[None]:
    """Say that another model is asked now: to the handlers, and to the stream when it has given something out."""
    error, provider = walk.errors[-1], plan.dialect.provider
    if plan.handlers:
        yield Emit(plan.handlers, "on_fallback", (error,), {"provider": provider, "model": call.model})
    if state is not None and state.fold.started:
        first = walk.errors[0]
        yield Deliver([Restarted(f"{type(first).__name__}: {first}", provider, call.model)])
