"""The cache around a call: look, else ask and keep; of identical calls at the same time one is made for all.

Knows a store only by `Store`, which is called through effects (`Ask`). What is the same call says `_cache_key.py`, what is
kept of an answer `_cache_record.py`, who waits for whom `_cache_flights.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from traceback import format_tb
from typing import Any, ClassVar, Protocol, Self, TypeVar

import msgspec
from msgspec.structs import force_setattr

from ._cache_flights import Flight, Flights, boarded, leading, watched
from ._cache_key import Question, asked_in_words, question_of, setting_of
from ._cache_record import Record, events_in, marked, read, worth_keeping, written
from ._call import Call
from ._calls import _deliver
from ._errors import UsageError
from ._events import Event
from ._flow import Ask, Flow
from ._layers import CACHE, FALLBACK, HEDGE, Inner, InnerStream, Layer, TryLayer
from ._messages import AIMessage
from ._plan import Ledger, Plan, Streaming
from ._secret_looks import ANY
from ._usage import Attempt

log = logging.getLogger("chatmodels")

T = TypeVar("T")

HIT, SHARED, SIMILAR = "cache hit", "shared call", "semantic cache hit"


class Store(Protocol):
    """Where answers are kept, by key. Async calls ask it `beside` them, or its `aget` and `aset` where it has them."""

    #: Never waits, so that no thread is needed.
    instant: ClassVar[bool]
    #: Gives answers to similar questions too: it has `near` and `learn`.
    semantic: ClassVar[bool]

    @property
    def flights(self) -> Flights: ...

    def get(self, key: str) -> bytes | str | None: ...

    def set(self, key: str, value: bytes, ttl: float | None) -> None: ...

    async def beside(self, function: Callable[..., Any], *args: Any) -> Any: ...

    def pickled(self) -> Self | None: ...


class SemanticStore(Store, Protocol):
    """A store that finds the answer to a similar question among those of one setting (all but the question's words)."""

    def near(self, setting: str, words: str) -> tuple[Sequence[float], bytes | str | None, float]:
        """(the words' vector, the answer to the nearest question if it is near enough, their similarity)."""
        ...

    def learn(self, setting: str, key: str, vector: Sequence[float], ttl: float | None) -> None: ...


class _Own(TryLayer):
    """Knows whether the model itself has answered: it does not go along to one that is asked in its place, whose name and provider
    may be the same."""

    rank: ClassVar[int] = -2

    def __init__(self) -> None:
        self.answered = False

    def attempt(self, plan: Plan, call: Call, ledger: Ledger, inner: Callable[[], Flow[T]]) -> Flow[T]:
        result = yield from inner()
        self.answered = True
        return result


class _Asked:
    """One question on its way: what is known of it, and what must be said on the answer. `inside` is the plan for the inside."""

    __slots__ = (
        "call", "inside", "key", "notes", "outcome", "own", "plan", "question", "setting", "similarity", "unread", "vector",
    )  # fmt: skip

    def __init__(self, plan: Plan, call: Call) -> None:
        self.plan = self.inside = plan
        self.call = call
        self.own: _Own | None = None
        if any(layer.rank in (FALLBACK, HEDGE) for layer in plan.layers):
            self.own = _Own()
            self.inside = msgspec.structs.replace(plan, tries=(self.own, *plan.tries))
        self.question: Question = question_of(plan, call)
        self.key = self.question.key
        self.notes: list[str] = []
        self.unread = False
        self.outcome = HIT
        self.setting: str | None = None
        self.similarity: float | None = None
        self.vector: Sequence[float] | None = None

    def trouble(self, doing: str, error: Exception) -> None:
        """The cache failed: the call goes on without it, and says so."""
        said = ANY.sub("[hidden]", str(error))  # of a server's address, of an embedding's provider
        note = f"the cache could not be {doing}: {type(error).__name__}: {said}"
        if note not in self.notes:
            self.notes.append(note)
            log.warning("%s", note)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s\n%s", note, "".join(format_tb(error.__traceback__)))

    def marked(self, message: AIMessage) -> AIMessage:
        provider, model = self.plan.dialect.provider, self.call.model
        attempt = Attempt(number=1, outcome=self.outcome, provider=provider, model=model, similarity=self.similarity)
        return marked(message, attempt, self.question.warnings, self.notes)

    def noted(self, message: AIMessage) -> AIMessage:
        if self.notes:
            force_setattr(message, "warnings", (*message.warnings, *self.notes))
        return message


class CacheLayer(Layer):
    """Answers from a store. `everywhere` marks the one of the whole process, which stands aside for a model's own; a layer
    without a store is a model's word that it wants none, or, with `required`, that it wants the process's."""

    rank: ClassVar[int] = CACHE

    def __init__(
        self, store: Store | None, ttl: float | None = None, *, everywhere: bool = False, required: bool = False
    ) -> None:
        self.store, self.ttl, self.everywhere, self.required = store, ttl, everywhere, required

    def pickled(self) -> CacheLayer | None:
        if self.store is None:
            return self
        store = self.store.pickled()
        return None if store is None else CacheLayer(store, self.ttl)

    def call(self, plan: Plan, call: Call, inner: Inner) -> Flow[AIMessage]:
        store = self._acting(plan)
        return inner(plan, call) if store is None else self._call(store, _Asked(plan, call), inner)

    def stream(self, plan: Plan, call: Call, state: Streaming, inner: InnerStream) -> Flow[None]:
        store = self._acting(plan)
        if store is None:
            return inner(plan, call, state)
        return self._stream(store, _Asked(plan, call), state, inner)

    def _acting(self, plan: Plan) -> Store | None:
        """The store, when this layer is the one that serves this plan."""
        others = [layer for layer in plan.layers if isinstance(layer, CacheLayer) and layer is not self]
        if self.everywhere:
            return None if any(not (o.everywhere or o.required) for o in others) else self.store
        if self.required and not any(o.everywhere for o in others):
            raise UsageError(
                "cache=True asks for the cache of the whole process, and there is none: call "
                "chatmodels.set_llm_cache(cache) first, or give the cache itself, as with_cache(cache)",
                argument="cache",
            )
        return self.store

    def _call(self, store: Store, asked: _Asked, inner: Inner) -> Flow[AIMessage]:
        found = yield from _look(store, asked)
        flight: Flight | None = None
        if found is None:
            flight = yield from boarded(store.flights, asked.key, asked.plan.target.timeouts.total)
            found = _shared(asked, flight)
        if found is not None:
            return asked.marked(found.message)
        if flight is None:
            message = yield from inner(asked.inside, asked.call)
            yield from self._keep(store, asked, message, None)
            return asked.noted(message)
        return (yield from self._lead(store, asked, inner, flight))

    def _lead(self, store: Store, asked: _Asked, inner: Inner, flight: Flight) -> Flow[AIMessage]:
        record: bytes | None = None
        leading.set(True)
        try:
            found = yield from _exact(store, asked)  # it may have been kept between the look and the boarding
            if found is not None:
                record = written(found.message, found.events, asked.question)
                return asked.marked(found.message)
            message = yield from inner(asked.inside, asked.call)
            record = yield from self._keep(store, asked, message, None)
            return asked.noted(message)
        finally:
            leading.set(False)
            store.flights.land(asked.key, flight, record)

    def _stream(self, store: Store, asked: _Asked, state: Streaming, inner: InnerStream) -> Flow[None]:
        found = yield from _look(store, asked)
        flight: Flight | None = None
        if found is None:
            flight = yield from boarded(store.flights, asked.key, asked.plan.target.timeouts.total, state)
            found = _shared(asked, flight)
        if found is not None:
            yield from _replayed(asked, state, found)
        elif flight is not None:
            yield from self._lead_stream(store, asked, state, inner, flight)
        elif not state.left:
            yield from self._streamed(store, asked, state, inner, None)

    def _lead_stream(
        self, store: Store, asked: _Asked, state: Streaming, inner: InnerStream, flight: Flight
    ) -> Flow[None]:
        record: bytes | None = None
        try:
            found = yield from _exact(store, asked)
            if found is not None:
                record = written(found.message, found.events, asked.question)
                store.flights.land(asked.key, flight, record)  # nobody need wait for this reader
                yield from _replayed(asked, state, found)
            else:
                record = yield from self._streamed(store, asked, state, inner, flight)
        finally:
            store.flights.land(asked.key, flight, record)

    def _streamed(
        self, store: Store, asked: _Asked, state: Streaming, inner: InnerStream, flight: Flight | None
    ) -> Flow[bytes | None]:
        """Ask, and keep what came. A stream that is left is closed, or ends with `state.left`: nothing is kept of it."""
        record: bytes | None = None
        seen: list[Event] = []
        yield from watched(inner(asked.inside, asked.call, state), flight, seen.extend)
        if not state.left:
            record = yield from self._keep(store, asked, state.message(), seen)
        if asked.notes:
            before = state.stamp
            state.stamp = lambda message: asked.noted(message if before is None else before(message))
        return record

    def _keep(self, store: Store, asked: _Asked, message: AIMessage, events: list[Event] | None) -> Flow[bytes | None]:
        """The record of the answer, None where there can be none; it is stored if it is worth it. No answer is lost by it."""
        if message.finish_reason is None:
            return None
        record: bytes | None = None
        try:
            record = written(message, events, asked.question)
            if (asked.own is None or asked.own.answered) and worth_keeping(asked.plan, asked.call, message):
                yield from _put(store, asked, record, self.ttl)
        except Exception as error:
            asked.trouble("written", error)
        return record


def _ask(store: Store, twin: str, function: Callable[..., Any], *args: Any) -> Ask:
    """Ask the store; in the async world its async twin, where it has one."""
    return Ask(function, args, getattr(store, twin, None) or partial(store.beside, function))


def _put(store: Store, asked: _Asked, record: bytes, ttl: float | None) -> Flow[None]:
    if store.instant:
        store.set(asked.key, record, ttl)
    else:
        yield _ask(store, "aset", store.set, asked.key, record, ttl)
    if asked.setting is not None and asked.vector is not None:
        similar: Any = store
        yield _ask(store, "alearn", similar.learn, asked.setting, asked.key, asked.vector, ttl)


def _look(store: Store, asked: _Asked) -> Flow[Record | None]:
    """What the store has for this question, or for a similar one."""
    found = yield from _exact(store, asked)
    if found is not None or asked.unread or not store.semantic:
        return found
    words = asked_in_words(asked.call)
    if words is None:
        return None
    similar: Any = store
    asked.setting = setting_of(asked.plan, asked.call)
    try:
        asked.vector, data, likeness = yield _ask(store, "anear", similar.near, asked.setting, words)
    except UsageError:
        raise
    except Exception as error:
        asked.trouble("read", error)
        return None
    found = None if data is None else _readable(asked, data)
    if found is not None:
        asked.outcome, asked.similarity = SIMILAR, min(1.0, likeness)
        asked.notes.append(
            f"this is the answer to a similar question (similarity {likeness:.3f}), from a semantic cache"
        )
    return found


def _exact(store: Store, asked: _Asked) -> Flow[Record | None]:
    if asked.unread:  # the store has just failed: to wait for it once more would only cost time
        return None
    try:
        if store.instant:
            data = store.get(asked.key)
        else:
            data = yield _ask(store, "aget", store.get, asked.key)
    except UsageError:  # a file that is no cache: nothing was sent yet, and it will not mend itself
        raise
    except Exception as error:
        asked.unread = True
        asked.trouble("read", error)
        return None
    _check(store, data)
    return None if data is None else _readable(asked, data)


def _check(store: Store, data: Any) -> None:
    """A cache of the user's own that gives something else will give it always: nothing was sent yet."""
    if data is None or isinstance(data, (bytes, str, bytearray, memoryview)):
        return
    more = ""
    if hasattr(data, "close") and hasattr(data, "send"):  # a coroutine
        data.close()
        more = "; get is a plain function, and its async twin is called aget"
    raise UsageError(
        f"{type(store).__name__}.get gave a {type(data).__name__}: a cache gives the bytes (or str) that set was given, or None"
        + more,
        argument="cache",
    )


def _shared(asked: _Asked, flight: Flight | None) -> Record | None:
    """The answer of a flight that has ended."""
    if flight is None or flight.record is None:
        return None
    asked.outcome = SHARED
    return _readable(asked, flight.record)


def _readable(asked: _Asked, data: bytes | str | None) -> Record | None:
    if data is None:
        return None
    try:
        return read(data)
    except ValueError as error:
        asked.trouble("read", error)
        return None


def _replayed(asked: _Asked, state: Streaming, record: Record) -> Flow[None]:
    """The recorded events as a stream; what a message says about its call is put on the folded one."""
    kept = record.message

    def stamp(message: AIMessage) -> AIMessage:
        for one in (message, *message.alternatives):
            force_setattr(one, "provider", kept.provider)
        force_setattr(message, "request_id", kept.request_id)
        return asked.marked(message)

    state.stamp = stamp
    yield from _deliver(asked.plan, events_in(record))
