"""Record and replay: a layer that puts a cassette between every model and its transport, while a block runs.

What is recorded are the bodies as they go over the wire. Requests for tokens (`authorise`) are never recorded, and not
made where the answer is a recorded one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import msgspec

from .._call import Call, HTTPRequest, HTTPResponse
from .._errors import TransportError, UsageError
from .._flow import Abortable, Flow, Open, Send, Target
from .._layers import RECORD, Inner, InnerStream, Layer, _everywhere, around, everywhere
from .._messages import AIMessage
from .._plan import Plan, Streaming
from ._cassette import Cassette, Mode, Note, played
from ._cassette_data import Failure

if TYPE_CHECKING:
    from ._paced import Paced

F = TypeVar("F", bound=Callable[..., Any])

#: What a key is while nothing is sent.
_REPLAYED = "replayed"


class Block(AbstractContextManager[Cassette], AbstractAsyncContextManager[Cassette]):
    """`with`, `async with`, or a decorator of a function or a coroutine function, whose every call is a block of its own."""

    def __init__(self, made: Callable[[], AbstractContextManager[Cassette]]) -> None:
        self._made = made
        self._entered: list[AbstractContextManager[Cassette]] = []

    def __enter__(self) -> Cassette:
        block = self._made()
        found = block.__enter__()
        self._entered.append(block)
        return found

    def __exit__(self, *exc: Any) -> None:
        self._entered.pop().__exit__(*exc)

    async def __aenter__(self) -> Cassette:
        return self.__enter__()

    async def __aexit__(self, *exc: Any) -> None:
        self.__exit__(*exc)

    def __call__(self, function: F) -> F:
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            raise UsageError(
                f"{function.__name__} is a generator: its calls come after the block. Write `with` inside of it",
                argument="function",
            )
        if iscoroutinefunction(function):

            @wraps(function)
            async def later(*args: Any, **named: Any) -> Any:
                with self._made():
                    return await function(*args, **named)

            return cast(F, later)

        @wraps(function)
        def now(*args: Any, **named: Any) -> Any:
            with self._made():
                return function(*args, **named)

        return cast(F, now)


def cassette(
    path: str | os.PathLike[str],
    mode: Mode = "once",
    *,
    speed: float | None = None,
    ignore: tuple[str, ...] = (),
    repeat: bool = False,
) -> Block:
    """While the block runs, calls of all models are answered from the file, or recorded into it.

    `mode`: "none" replays only; "once" replays where the file exists, else records; "new" replays what is there and records
    the rest; "all" records everything anew. The file is written when the block ends, also by an error. `speed`: 1 replays in the
    time that it took, 2 twice as fast, None at once. `ignore` names fields of the body that may differ. `repeat`: a request
    may come more often than it was recorded. Where it only replays, no key is needed: meanwhile variables for keys that are
    not set hold the word "replayed".

    Raises `NotRecorded` (a `UsageError`) for a request that is not in the file. It holds for every thread of the process;
    a block inside of this one, or one in another task, has its own calls.
    """
    return Block(lambda: _running(Cassette(path, mode, speed=speed, ignore=ignore, repeat=repeat)))


@contextmanager
def _running(made: Cassette) -> Generator[Cassette]:
    layer = CassetteLayer(made)
    rank = CassetteLayer.rank
    if rank not in _everywhere:
        everywhere(rank, layer)
    keys = [] if made.records else _stand_ins()
    try:
        with around(layer):
            yield made
    finally:
        for name in keys:
            if os.environ.get(name) == _REPLAYED:
                del os.environ[name]
        if _everywhere.get(rank) is layer:
            everywhere(rank, None)
        made.save()


def _stand_ins() -> list[str]:
    """Set the variables for keys that are not set, and give their names."""
    from .._providers import providers

    rows = [row for row in providers().values() if row.key_env and not any(os.environ.get(n) for n in row.key_env)]
    names = [row.key_env[0] for row in rows]
    os.environ.update(dict.fromkeys(names, _REPLAYED))
    return names


def record(path: str | os.PathLike[str]) -> Block:
    """While the block runs, calls of all models are recorded; the file is written anew at its end.

    >>> with record("hello.json"):  # doctest: +SKIP
    ...     chat("Hello")
    """
    return cassette(path, "all")


def replay(
    path: str | os.PathLike[str], *, speed: float | None = None, ignore: tuple[str, ...] = (), repeat: bool = False
) -> Block:
    """While the block runs, calls of all models are answered from the file, and nothing is sent; no key is needed. See `cassette`.

    >>> with replay("hello.json"):  # doctest: +SKIP
    ...     chat("Hello")
    """
    if not Path(path).is_file():
        raise UsageError(f"there is no recording {os.fspath(path)!r}: make it with record()", argument="path")
    return cassette(path, "none", speed=speed, ignore=ignore, repeat=repeat)


class CassetteLayer(Layer):
    """Puts the cassette in front of the transport of every plan."""

    rank: ClassVar[int] = RECORD + 1  # beside what else is recorded, and outside of caches

    def __init__(self, made: Cassette) -> None:
        self.cassette = made

    def call(self, plan: Plan, call: Call, inner: Inner) -> Flow[AIMessage]:
        return inner(self._inside(plan), call)

    def stream(self, plan: Plan, call: Call, state: Streaming, inner: InnerStream) -> Flow[None]:
        return inner(self._inside(plan), call, state)

    def pickled(self) -> None:
        """Stays in its process."""

    def _inside(self, plan: Plan) -> Plan:
        if isinstance(plan.target.transport, CassetteTransport):  # a block inside of this one has it
            return plan
        return msgspec.structs.replace(plan, target=through(self.cassette, plan.target))


def through(made: Cassette, target: Target) -> Target:
    """The target, with the cassette in front of it."""
    authorise = target.authorise and Authorise(made, target)
    return msgspec.structs.replace(target, transport=CassetteTransport(made, target.transport), authorise=authorise)


class Authorise:
    """A target's authorisation, left out where the answer is a recorded one."""

    def __init__(self, made: Cassette, target: Target) -> None:
        self._cassette = made
        self._target = target

    def __call__(self, request: HTTPRequest) -> Flow[dict[str, str]]:
        asked, _ = self._cassette.asked(request, self._target.headers)
        if self._target.authorise is None or not self._cassette.records or self._cassette.has(asked):
            return {}
        return (yield from self._target.authorise(request))


class CassetteTransport:
    """Performs `Send` and `Open` from the cassette, else by the real transport, noting what comes."""

    def __init__(self, made: Cassette, inner: Any) -> None:
        self._cassette = made
        self._inner = inner

    def around(self, target: Target) -> Target:
        """The target of another model that is asked inside of the call (a fallback, a hedge), through the same cassette."""
        return through(self._cassette, target)

    def send(self, effect: Send) -> HTTPResponse:
        """The whole answer."""
        found = self._look(effect, stream=False)
        if not isinstance(found, Noting):
            return found.whole(effect)
        with found.watched():
            return found.whole(self._inner.send(effect))

    async def asend(self, effect: Send) -> HTTPResponse:
        """`send` in the async world."""
        found = self._look(effect, stream=False)
        if not isinstance(found, Noting):
            return await found.awhole(effect)
        with found.watched():
            return found.whole(await self._inner.asend(effect))

    def open(self, effect: Open) -> Any:
        """The answer as it comes."""
        found = self._look(effect, stream=True)
        if not isinstance(found, Noting):
            if found.silent:
                effect.hold[:] = [found]
                found.whole(effect)
            return found
        with found.watched():
            return found.opened(self._inner.open(found.holding(effect)))

    async def aopen(self, effect: Open) -> Any:
        """`open` in the async world."""
        found = self._look(effect, stream=True)
        if not isinstance(found, Noting):
            if found.silent:
                effect.hold[:] = [found]
                await found.awhole(effect)
            return found
        with found.watched():
            return found.opened(await self._inner.aopen(found.holding(effect)))

    def _look(self, effect: Send | Open, *, stream: bool) -> Paced | Noting:
        asked, scrubber = self._cassette.asked(effect.request, effect.target.headers)
        recorded = self._cassette.find(asked)
        if recorded is not None:
            return played(recorded, self._cassette.speed)
        return Noting(self._cassette.note(asked, scrubber, stream))


class Noting:
    """A real exchange, and its note. The rest of the open response passes through."""

    def __init__(self, note: Note) -> None:
        self._one = note.recorded
        self._began = monotonic()
        self._real: Any = None
        self._hold: list[Abortable] = []
        self._given_up = False

    @property
    def status(self) -> int:
        return int(self._real.status)

    @property
    def headers(self) -> dict[str, str]:
        found: dict[str, str] = self._real.headers
        return found

    @contextmanager
    def watched(self) -> Generator[None]:
        """An error of the transport is noted; or that the caller gave the exchange up."""
        try:
            yield
        except TransportError as error:
            self._one.left = self._given_up
            self._one.failure = None if self._given_up else Failure.of(error)
            self._one.seconds = self._one.seconds or self._now()
            raise
        except BaseException:  # cancelled, or interrupted
            self._one.left = True
            raise

    def holding(self, effect: Open) -> Open:
        """The effect as the real transport gets it: an `abort()` while the head is waited for goes through here."""
        effect.hold[:] = [self]
        return msgspec.structs.replace(effect, hold=self._hold)

    def whole(self, response: HTTPResponse) -> HTTPResponse:
        """A plain answer has come."""
        self._head(response.status, response.headers)
        self._one.pieces.append((self._one.seconds, response.body))
        return response

    def opened(self, real: Any) -> Noting:
        """The head of a stream has come."""
        self._real = real
        self._head(real.status, real.headers)
        self._one.left = True  # until it ends
        return self

    def read(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        with self.watched():
            return self._took(self._real.read(idle, deadline, phase))

    async def aread(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        with self.watched():
            return self._took(await self._real.aread(idle, deadline, phase))

    def finish(self) -> None:
        self._end()
        self._real.finish()

    async def afinish(self) -> None:
        self._end()
        await self._real.afinish()

    def abort(self) -> None:
        self._given_up = True
        for held in (self._real,) if self._real is not None else self._hold[-1:]:
            held.abort()

    def _took(self, data: bytes) -> bytes:
        if data:
            self._one.pieces.append((self._now(), data))
        else:
            self._end()
        return data

    def _end(self) -> None:
        self._one.left = False

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self._one.status, self._one.headers, self._one.seconds = status, dict(headers), self._now()

    def _now(self) -> float:
        return monotonic() - self._began
