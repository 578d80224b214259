"""`prompt | model | parser`: steps in a row, each called with what the one before gave.

A step is a prompt, a model (what has `invoke`, `ainvoke` and `batch`), a function, or a dict of steps (see `_parallel.py`).
The last model is the one that streams and takes settings. Knows no kind of prompt or model.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import partial
from inspect import isawaitable, iscoroutine
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, cast, overload

from chatmodels._errors import UsageError
from chatmodels._json import is_object
from chatmodels._messages import AIMessage

from ._base import Prompt

if TYPE_CHECKING:
    from chatmodels._model import ChatModel
    from chatmodels._typed import OutputModel

T = TypeVar("T")
U = TypeVar("U")
Errors = Literal["raise", "return"]


class Chain(Generic[T]):
    """Steps in a row. `chain | step` is a longer chain; a chain never changes.

    A function behind the model gets the whole answer. When streaming it is called once, at the end, unless it has a method
    `piece` (chunk -> what to yield, None for nothing), as `StrOutputParser` has.
    """

    __slots__ = ("_last", "steps")

    def __init__(self, steps: Iterable[Any]) -> None:
        self.steps: tuple[Any, ...] = tuple(_checked(step) for step in steps)
        models = [i for i, step in enumerate(self.steps) if _is_model(step) and getattr(step, "asks", True)]
        self._last = models[-1] if models else None

    @property
    def asks(self) -> bool:
        """Is there a model in it?"""
        return self._last is not None

    @overload
    def __or__(self, other: ChatModel) -> Chain[AIMessage]: ...
    @overload
    def __or__(self, other: OutputModel[U]) -> Chain[U]: ...
    @overload
    def __or__(self, other: Prompt) -> Chain[Any]: ...
    @overload
    def __or__(self, other: Mapping[str, Any]) -> Chain[dict[str, Any]]: ...
    @overload
    def __or__(self, other: Callable[[T], U]) -> Chain[U]: ...
    def __or__(self, other: Any) -> Chain[Any]:
        return Chain((*self.steps, *steps_of(other)))

    def __ror__(self, other: Callable[[Any], Any] | Mapping[str, Any]) -> Chain[T]:
        return cast("Chain[T]", Chain((other, *self.steps)))

    def pipe(self, *others: Any) -> Chain[Any]:
        """`chain | other | ...` as a method."""
        return Chain((*self.steps, *(s for other in others for s in steps_of(other))))

    def __repr__(self) -> str:
        return " | ".join(repr(step) for step in self.steps)

    def __reduce__(self) -> tuple[Any, ...]:
        return Chain, (self.steps,)

    # -- one input

    def __call__(self, input: Any = None, **settings: Any) -> T:
        """What the last step gives."""
        return self.invoke(input, **settings)

    def invoke(self, input: Any = None, config: Any = None, **settings: Any) -> T:
        """What the last step gives. `settings` go to the last model."""
        value = input
        for index, step in enumerate(self.steps):
            value = _step(step, value, self._options(index, config, settings))
        return cast(T, value)

    async def ainvoke(self, input: Any = None, config: Any = None, **settings: Any) -> T:
        """`invoke` in the async world; functions may be async too."""
        value = input
        for index, step in enumerate(self.steps):
            value = await _astep(step, value, self._options(index, config, settings))
        return cast(T, value)

    def _options(self, index: int, config: Any, settings: dict[str, Any]) -> dict[str, Any]:
        """What a step takes besides its input; only the last model takes anything."""
        if index != self._last:
            if settings and self._last is None:
                raise UsageError(
                    f"this chain has no model to take {', '.join(settings)}", argument=next(iter(settings))
                )
            return {}
        return settings if config is None else {"config": config, **settings}

    # -- as it comes

    def stream(self, input: Any = None, config: Any = None, **settings: Any) -> ChainStream[Any]:
        """The answer as it comes: chunks of the model, or what the steps behind it make of them."""
        value, last = input, self._last
        if last is None or not hasattr(self.steps[last], "stream"):
            return ChainStream(None, _Tail((partial(self._once, input, config, settings),)))
        for step in self.steps[:last]:
            value = _step(step, value, {})
        source = self.steps[last].stream(value, **self._options(last, config, settings))
        return ChainStream(source, _Tail(self.steps[last + 1 :]))

    def astream(self, input: Any = None, config: Any = None, **settings: Any) -> AsyncChainStream[Any]:
        """`stream` in the async world: `async for piece in chain.astream(...)`."""
        last = self._last
        if last is None or not hasattr(self.steps[last], "astream"):
            return AsyncChainStream(None, _Tail((partial(self._aonce, input, config, settings),)))

        async def start() -> Any:
            value = input
            for step in self.steps[:last]:
                value = await _astep(step, value, {})
            return self.steps[last].astream(value, **self._options(last, config, settings))

        return AsyncChainStream(start, _Tail(self.steps[last + 1 :]))

    def _once(self, input: Any, config: Any, settings: dict[str, Any], _: Any) -> T:
        return self.invoke(input, config, **settings)

    async def _aonce(self, input: Any, config: Any, settings: dict[str, Any], _: Any) -> T:
        return await self.ainvoke(input, config, **settings)

    # -- many inputs

    def batch(
        self,
        inputs: Iterable[Any],
        config: Any = None,
        *,
        max_concurrency: int = 50,
        errors: Errors = "raise",
        return_exceptions: bool = False,
        **settings: Any,
    ) -> list[T]:
        """What the last step gives for each input, in their order. Step by step: each model gets all items at once.

        Every item is tried to its end; see `ChatModel.batch` for `errors`.
        """
        from chatmodels._batch import checked, finished

        items: list[Any] = batch_items(inputs)
        limit = checked(max_concurrency, errors)
        for index, step in enumerate(self.steps):
            options = self._options(index, config, settings)
            good = _good(items)
            if _is_model(step):
                given = [items[i] for i in good]
                made: list[Any] = step.batch(given, max_concurrency=limit, errors="return", **options) if given else []
            else:
                made = [_caught(step, items[i]) for i in good]
            _put(items, good, made)
        return finished(items, "return" if return_exceptions else errors)

    async def abatch(
        self,
        inputs: Iterable[Any],
        config: Any = None,
        *,
        max_concurrency: int = 50,
        errors: Errors = "raise",
        return_exceptions: bool = False,
        **settings: Any,
    ) -> list[T]:
        """`batch` in the async world."""
        from chatmodels._batch import checked, finished

        items: list[Any] = batch_items(inputs)
        limit = checked(max_concurrency, errors)
        for index, step in enumerate(self.steps):
            options = self._options(index, config, settings)
            good = _good(items)
            if _is_model(step):
                given = [items[i] for i in good]
                made: list[Any] = (
                    await step.abatch(given, max_concurrency=limit, errors="return", **options) if given else []
                )
            else:
                made = [await _acaught(step, items[i]) for i in good]
            _put(items, good, made)
        return finished(items, "return" if return_exceptions else errors)


class _Tail:
    """The steps behind the model, for a stream."""

    def __init__(self, steps: tuple[Any, ...]) -> None:
        self.steps = steps
        self.by_piece = all(hasattr(step, "piece") for step in steps)

    def pieces(self, chunk: Any) -> list[Any]:
        """What one chunk gives: one thing, or nothing."""
        for step in self.steps:
            chunk = step.piece(chunk)
            if chunk is None:
                return []
        return [chunk]

    def whole(self, answer: Any) -> Any:
        """What the whole answer gives."""
        for step in self.steps:
            answer = _step(step, answer, {})
        return answer

    async def awhole(self, answer: Any) -> Any:
        """`whole` in the async world."""
        for step in self.steps:
            answer = await _astep(step, answer, {})
        return answer


class ChainStream(Generic[T]):
    """What a chain gives, as it comes. Leaving it closes the connection; `.message` is the model's answer so far."""

    def __init__(self, source: Any, tail: _Tail) -> None:
        self._source = source
        self._items = _pieces(source, tail)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        return cast(T, next(self._items))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def until_done(self) -> AIMessage:
        """Read to the end and give the model's whole answer."""
        for _ in self._items:
            pass
        return _whole(self.message)

    def close(self) -> None:
        """Stop: the connection is closed at once, `.message` keeps what came."""
        if self._source is not None:
            self._source.close()

    @property
    def message(self) -> AIMessage:
        """The model's answer so far; while `finish_reason` is None it is not complete."""
        return _message(self._source)


# The generators of both streams know no stream. Were they in a cycle with it, one that is dropped would be left to the garbage
# collector, which ends objects in any order: the socket could go, with a warning, before the generator that closes it.
def _pieces(source: Any, tail: _Tail) -> Iterator[Any]:
    if source is not None and tail.by_piece:
        for chunk in source:
            yield from tail.pieces(chunk)
        return
    yield tail.whole(None if source is None else _end(source))


class AsyncChainStream(Generic[T]):
    """`ChainStream` in the async world. The steps before the model run at the first piece."""

    def __init__(self, start: Callable[[], Any] | None, tail: _Tail) -> None:
        self._started: list[Any] = []  # the model's stream, once there is one
        self._items = _apieces(start, tail, self._started)

    def __aiter__(self) -> AsyncIterator[T]:
        return cast("AsyncIterator[T]", self._items)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def until_done(self) -> AIMessage:
        """Read to the end and give the model's whole answer."""
        async for _ in self._items:
            pass
        return _whole(self.message)

    async def aclose(self) -> None:
        """Stop: the connection is closed at once, `.message` keeps what came."""
        await cast(Any, self._items).aclose()

    close = aclose

    @property
    def message(self) -> AIMessage:
        """The model's answer so far; while `finish_reason` is None it is not complete."""
        return _message(self._started[0] if self._started else None)


async def _apieces(start: Callable[[], Any] | None, tail: _Tail, started: list[Any]) -> AsyncIterator[Any]:
    if start is None:
        yield await tail.awhole(None)
        return
    source = await start()
    started.append(source)
    try:
        if not tail.by_piece:
            yield await tail.awhole(await _aend(source))
            return
        async for chunk in source:
            for piece in tail.pieces(chunk):
                yield piece
    finally:
        await source.aclose()


def _message(source: Any) -> AIMessage:
    if source is None:
        raise UsageError("there is no answer yet: read the stream first", argument="stream")
    return cast(AIMessage, source.message)


def _whole(message: AIMessage) -> AIMessage:
    from chatmodels._stream import whole

    return whole(message)


def _end(source: Any) -> Any:
    """The whole answer of a model's stream: a message, or the value of a typed answer."""
    if hasattr(source, "until_done"):
        return source.until_done()
    return source.value


async def _aend(source: Any) -> Any:
    if hasattr(source, "until_done"):
        return await source.until_done()
    return await source.final()


def _is_model(step: Any) -> bool:
    return not isinstance(step, Prompt) and all(
        hasattr(step, name) for name in ("invoke", "ainvoke", "batch", "abatch")
    )


def steps_of(given: Any) -> tuple[Any, ...]:
    """The steps of a chain; of anything else, itself."""
    return cast("Chain[Any]", given).steps if isinstance(given, Chain) else (given,)


def _checked(step: Any) -> Any:
    if is_object(step) or isinstance(step, type):
        from ._parallel import RunnableParallel, RunnablePassthrough

        if is_object(step):
            return RunnableParallel(step)
        if step is RunnablePassthrough:  # left without its parentheses
            return RunnablePassthrough()
    if isinstance(step, Prompt) or _is_model(step) or callable(step):
        return step
    raise UsageError(
        f"a step is a prompt, a model, a function or a dict of them, not {type(step).__name__}", argument="step"
    )


def _step(step: Any, value: Any, options: dict[str, Any]) -> Any:
    if isinstance(step, Prompt) or _is_model(step):
        return step.invoke(value, **options)
    made = step(value)
    if isawaitable(made):
        if iscoroutine(made):
            made.close()
        raise UsageError(f"{_name(step)} is async: use ainvoke, astream or abatch", argument="step")
    return made


async def _astep(step: Any, value: Any, options: dict[str, Any]) -> Any:
    if isinstance(step, Prompt) or _is_model(step):
        return await step.ainvoke(value, **options)
    made = step(value)
    return await made if isawaitable(made) else made


def _name(step: Any) -> str:
    return getattr(step, "__name__", type(step).__name__)


def batch_items(inputs: Any) -> list[Any]:
    """The inputs of a batch as a list."""
    if isinstance(inputs, (str, bytes, dict)) or not isinstance(inputs, Iterable):
        raise UsageError(f"inputs is a list of inputs, not {type(cast(object, inputs)).__name__}", argument="inputs")
    return list(cast("Iterable[Any]", inputs))


def _good(items: list[Any]) -> list[int]:
    return [i for i, item in enumerate(items) if not isinstance(item, Exception)]


def _put(items: list[Any], places: list[int], made: list[Any]) -> None:
    for place, value in zip(places, made, strict=True):
        items[place] = value


def _caught(step: Any, value: Any) -> Any:
    try:
        return _step(step, value, {})
    except Exception as error:
        return error


async def _acaught(step: Any, value: Any) -> Any:
    try:
        return await _astep(step, value, {})
    except Exception as error:
        return error
