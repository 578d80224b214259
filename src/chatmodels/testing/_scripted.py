"""Models that answer as a test tells them: `ChatScripted` by a list, `ChatFunction` by a function. No key, no network.

They are a transport and a dialect, so everything else (callbacks, retries, layers, folding, deadlines) is the real thing.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Self, TypeAlias, Unpack, cast

import msgspec

from .._async import in_thread
from .._call import Call, HTTPResponse
from .._errors import ChatModelError, UsageError
from .._events import Event
from .._flow import Open, Send, Target
from .._fold import fold
from .._layers import sorted_layers
from .._messages import AIMessage
from .._model import ChatModel
from .._options import ModelOptions
from .._plan import Plan
from ._paced import Paced, Piece
from ._script_talk import CUT, Cut, Talk, WasCut, as_raised, completed, pieces_of, was_cut
from ._script_wire import ScriptDialect, ScriptRequest, event_lines

#: One answer: its text, the message, an error to raise, a list of pieces, or a function that gives any of these.
Response: TypeAlias = "str | AIMessage | BaseException | Iterable[Any] | Callable[..., Any]"


class Script:
    """The answers in their order, and the calls that were seen: shared by all variations of a model, safe between threads."""

    def __init__(self, responses: list[Any], cycle: bool, delay: float, chunk_size: int | None) -> None:
        self.responses = responses
        self.cycle = cycle
        self.delay = delay
        self.chunk_size = chunk_size
        self.calls: list[Call] = []
        self._lock = threading.Lock()

    def take(self, call: Call) -> Any:
        """Note the call, and give the answer whose turn it is."""
        with self._lock:
            number = len(self.calls)
            self.calls.append(call)
        count = len(self.responses)
        if number < count or self.cycle:
            return self.responses[number % count]
        raise UsageError(
            f"the script has no answer left: it has {count}, and this is call {number + 1} (each try counts as one). "
            "Give it more responses, or cycle=True",
            argument="responses",
        )

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())


class ScriptTransport:
    """Performs `Send` and `Open` by a script."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def send(self, effect: Send) -> HTTPResponse:
        """The whole answer."""
        return self._plain(effect, self._asked(effect)).whole(effect)

    def open(self, effect: Open) -> Paced:
        """The answer as it comes."""
        return self._stream(effect, self._asked(effect))

    async def asend(self, effect: Send) -> HTTPResponse:
        """`send` in the async world."""
        return await self._plain(effect, await self._aasked(effect)).awhole(effect)

    async def aopen(self, effect: Open) -> Paced:
        """`open` in the async world."""
        return self._stream(effect, await self._aasked(effect))

    def _asked(self, effect: Send | Open) -> Any:
        call = _call(effect)
        given = self._script.take(call)
        with _connection():
            if _is_function(given):
                given = _invoke(given, call)
                if inspect.isawaitable(given):
                    from .._portal import portal

                    given = portal().run(_awaited(given))
            return _checked(given)

    async def _aasked(self, effect: Send | Open) -> Any:
        call = _call(effect)
        given = self._script.take(call)
        with _connection():
            if inspect.iscoroutinefunction(given) or inspect.isasyncgenfunction(given):
                given = _invoke(given, call)
            elif _is_function(given):
                given = await in_thread(_invoke, given, call, cancel=getattr(given, "give_up", None))
            if inspect.isawaitable(given):
                given = await given
            return _checked(given)

    def _plain(self, effect: Send, given: Any) -> Paced:
        call, delay = _call(effect), self._script.delay
        if isinstance(given, (str, AIMessage)):
            return Paced(iter([(delay, msgspec.json.encode(completed(given, call)))]))
        if isinstance(given, AsyncIterator):
            return Paced(_agathered(cast("AsyncIterator[Any]", given), call, delay))
        return Paced(_gathered(given, call, delay), blocking=True)

    def _stream(self, effect: Open, given: Any) -> Paced:
        call, delay = _call(effect), self._script.delay
        if isinstance(given, (str, AIMessage)):
            items: list[Any] = list(pieces_of(completed(given, call), self._script.chunk_size))
            return Paced(_told(items, call, delay))
        if isinstance(given, AsyncIterator):
            return Paced(_atold(cast("AsyncIterator[Any]", given), call, delay))
        return Paced(_told(given, call, delay), blocking=not isinstance(given, (list, tuple)))


def _call(effect: Send | Open) -> Call:
    request = effect.request
    if not isinstance(request, ScriptRequest):
        raise UsageError("a scripted model answers calls of its own only", argument="responses")
    return request.call


def _is_function(given: Any) -> bool:
    return callable(given) and not isinstance(given, (str, AIMessage, BaseException, Cut))


def _invoke(function: Callable[..., Any], call: Call) -> Any:
    """Call it with the messages, and with what else it asks for by name."""
    offered = {
        "call": call,
        "settings": call.settings,
        "tools": list(call.tools),
        "output": call.output,
        "stream": call.stream,
        "model": call.model,
        **{name: getattr(call.settings, name) for name in call.settings.__struct_fields__},
    }
    takes = inspect.signature(function).parameters.values()
    named = {p.name for p in list(takes)[1:]}
    wanted = {name: value for name, value in offered.items() if name in named}
    if any(p.kind is p.VAR_KEYWORD for p in takes):
        wanted.update({name: v for name, v in msgspec.structs.asdict(call.settings).items() if v is not None})
    return function(list(call.messages), **wanted)


async def _awaited(given: Awaitable[Any]) -> Any:
    return await given


_NO_PIECES: tuple[type[Any], ...] = (bytes, bytearray, dict)


def _checked(given: object) -> Any:
    """The answer; an error is raised."""
    kind = type(given).__name__
    if isinstance(given, BaseException):
        raise as_raised(given)
    if isinstance(given, Cut):
        raise was_cut()
    if isinstance(given, (str, AIMessage, AsyncIterator)):
        return cast(Any, given)
    if isinstance(given, Iterable) and not isinstance(given, _NO_PIECES):
        return cast(Any, given)
    raise UsageError(
        "a scripted answer is a str, an AIMessage, an error, a list or generator of pieces, or a function that gives one of "
        f"these; got {kind}",
        argument="responses",
    )


@contextmanager
def _connection() -> Generator[None]:
    """An `OSError` of the author is what it would be on a real connection."""
    try:
        yield
    except ChatModelError:
        raise
    except OSError as error:
        raise as_raised(error) from error


def _events(items: Iterable[Any], call: Call) -> Iterator[list[Event]]:
    talk = Talk(call)
    with _connection():
        for item in items:
            yield talk.events(item)
    yield talk.end()


async def _aevents(items: AsyncIterator[Any], call: Call) -> AsyncIterator[list[Event]]:
    talk = Talk(call)
    with _connection():
        async for item in items:
            yield talk.events(item)
    yield talk.end()


def _told(items: Iterable[Any], call: Call, delay: float) -> Iterator[Piece]:
    with suppress(WasCut):
        for events in _events(items, call):
            if events:
                yield delay, event_lines(events)


async def _atold(items: AsyncIterator[Any], call: Call, delay: float) -> AsyncIterator[Piece]:
    with suppress(WasCut):
        async for events in _aevents(items, call):
            if events:
                yield delay, event_lines(events)


def _gathered(items: Iterable[Any], call: Call, delay: float) -> Iterator[Piece]:
    try:
        found = [event for events in _events(items, call) for event in events]
    except WasCut:
        raise was_cut() from None
    yield delay, msgspec.json.encode(fold(found))


async def _agathered(items: AsyncIterator[Any], call: Call, delay: float) -> AsyncIterator[Piece]:
    try:
        found = [event async for events in _aevents(items, call) for event in events]
    except WasCut:
        raise was_cut() from None
    yield delay, msgspec.json.encode(fold(found))


class ChatScripted(ChatModel):
    """A model that gives these answers, in order.

    `responses`: each is a str, an `AIMessage`, an error (raised, and tried again where a real one would be), a list of pieces (str,
    parts, events, chunks, errors, `CUT`), or a function as for `ChatFunction`. `cycle` begins anew at the end; else a call too
    many is a `UsageError`. `delay` is in seconds, before each piece. `chunk_size` is in characters; None: a word at a time.
    Each try takes one response. Usage that you do not give is estimated, and marked so.

    >>> chat = ChatScripted(["Hello!", "Bye."])
    >>> chat("Hi").text
    'Hello!'
    >>> chat.calls[0].messages
    (HumanMessage(content='Hi', additional_kwargs={}),)
    """

    __slots__ = ()

    def __new__(cls, *args: Any, **options: Any) -> Self:
        return object.__new__(cls)

    def __init__(
        self,
        responses: Sequence[Response],
        *,
        cycle: bool = False,
        delay: float = 0.0,
        chunk_size: int | None = None,
        model: str = "scripted",
        **options: Unpack[ModelOptions],
    ) -> None:
        self._play(_script(responses, cycle, delay, chunk_size), "scripted", model, dict(options))

    def _play(self, script: Script, name: str, model: str, options: dict[str, Any]) -> None:
        self._start(f"local:{model}", options, "local")  # reads the options; a local model needs no key
        config = msgspec.structs.replace(self._config, provider=name, provider_options={"script": script})
        self._hold(config, self._budget)

    @property
    def calls(self) -> list[Call]:
        """The calls so far, those of all variations of this model: each has `messages`, `settings`, `tools`, `output`, `stream`."""
        return self._script.calls

    @property
    def _script(self) -> Script:
        return cast("Script", self._config.provider_options["script"])

    def _own_plan(self) -> Plan:
        plan = self._plan_made
        if plan is None:
            config = self._config
            target = Target("", {}, config.timeouts, ScriptTransport(self._script))
            layers, tries = sorted_layers(config.layers)
            dialect = ScriptDialect(config.provider)
            plan = Plan(dialect, target, config.retry, self._budget, config.handlers, config.streaming, layers, tries)
            object.__setattr__(self, "_plan_made", plan)
        return plan


class ChatFunction(ChatScripted):
    """A model that is a function: `function(messages, ...)` gives a str, an `AIMessage`, pieces (a list or a generator), or raises.

    It may be a coroutine function or an async generator. Beside the messages it is given what it names: `settings`, `tools`,
    `output`, `stream`, `model`, `call`, or any setting (`temperature`, ...). A plain function that is called from async code
    runs in a thread. Deadlines hold for waits between pieces, not inside of a plain function, which nothing can stop.

    >>> ChatFunction(lambda messages: messages[-1].text.upper())("hi").text
    'HI'
    """

    __slots__ = ()

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        delay: float = 0.0,
        chunk_size: int | None = None,
        model: str = "function",
        **options: Unpack[ModelOptions],
    ) -> None:
        if not _is_function(function):
            raise UsageError(f"function is callable, not {type(function).__name__}", argument="function")
        self._play(_script([function], True, delay, chunk_size), "function", model, dict(options))


class FakeListChatModel(ChatScripted):
    """The name of 2023: `ChatScripted(responses, cycle=True)`, streamed a character at a time; `sleep` is in seconds."""

    __slots__ = ()

    def __init__(self, responses: Sequence[Response], *, sleep: float | None = None, **options: Any) -> None:
        super().__init__(responses, cycle=True, delay=sleep or 0.0, chunk_size=1, **options)


def _script(responses: Sequence[Response], cycle: bool, delay: float, chunk_size: int | None) -> Script:
    given = cast(object, responses)
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise UsageError(f"responses is a list of answers, not {type(given).__name__}", argument="responses")
    found = list(cast("Iterable[Any]", given))
    if not found and cycle:
        raise UsageError("responses is empty, and so there is nothing to cycle through", argument="responses")
    for one in found:
        if isinstance(one, type) and issubclass(one, BaseException):
            raise UsageError(f"give an error, such as {one.__name__}('why'), not its class", argument="responses")
        if isinstance(one, Iterator):
            raise UsageError(
                "a generator is spent after one call: give the function that makes it", argument="responses"
            )
    if delay < 0:
        raise UsageError(f"delay is in seconds, 0 or more; got {delay!r}", argument="delay")
    if chunk_size is not None and chunk_size < 1:
        raise UsageError(f"chunk_size is 1 or more characters, or None; got {chunk_size!r}", argument="chunk_size")
    return Script(found, cycle, delay, chunk_size)


__all__ = ["CUT", "ChatFunction", "ChatScripted", "FakeListChatModel", "Response"]
