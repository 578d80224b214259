"""A model whose answers are values of a type: what `with_output` gives. Thin, as the model itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar

import msgspec

from ._batch import agather, checked, finished, gather
from ._call import Call
from ._checks import whole as whole_number
from ._drive import arun, run
from ._errors import UsageError
from ._events import Restarted
from ._flow import Flow
from ._inputs import Input
from ._json import is_object
from ._messages import AIMessage
from ._model_steps import Step
from ._output import Output, PartialJSON
from ._outputs import Typed, output_flow, value_of
from ._stream import AIMessageChunk, AsyncChatStream, ChatStream, whole

if TYPE_CHECKING:
    from ._layers import Layer, TryLayer
    from ._model import ChatModel
    from ._tool_loop import Approve
    from ._tool_loop_typed import TypedRun

T = TypeVar("T")


class OutputModel(Step[T]):
    """`model.with_output(T)`: calling it gives a `T`.

    Raises `OutputError` (with the message on it) when `attempts` answers in a row do not fit, at once when the answer was cut by
    a length limit (`truncated`) or refused.
    """

    __slots__ = ("_attempts", "_model", "_output")

    def __init__(self, model: ChatModel, output: Output[T], attempts: int) -> None:
        whole_number("attempts", attempts)
        self._model = model
        self._output = output
        self._attempts = attempts

    @property
    def output(self) -> Output[T]:
        """The type and its schema."""
        return self._output

    def __repr__(self) -> str:
        return f"{self._model!r}.with_output({self._output.name})"

    def _over(self, model: ChatModel) -> Self:
        return type(self)(model, self._output, self._attempts)

    def with_settings(self, **settings: Any) -> Self:
        """The same over other settings."""
        return self._over(self._model.with_settings(**settings))

    def with_model(self, model: str) -> Self:
        """The same over another model of the provider."""
        return self._over(self._model.with_model(model))

    def with_retry(self, **policy: Any) -> Self:
        """The same over another retry policy; this and what follows take what the model's own methods take."""
        return self._over(self._model.with_retry(**policy))

    def with_timeouts(self, **seconds: Any) -> Self:
        """The same with other deadlines."""
        return self._over(self._model.with_timeouts(**seconds))

    def with_fallback(self, *others: Any, **policy: Any) -> Self:
        """The same with other models to ask when the first fails; their answers are read as this type too.

        An answer that does not fit the type is no such failure: it is asked for again, as `attempts` says.
        """
        if any(isinstance(other, OutputModel) for other in others):
            raise UsageError(
                "give the models themselves, without with_output: their answers are read as this type",
                argument="others",
            )
        return self._over(self._model.with_fallback(*others, **policy))

    def with_limits(self, **limits: Any) -> Self:
        """The same within limits."""
        return self._over(self._model.with_limits(**limits))

    def with_hedge(self, after: float, **policy: Any) -> Self:
        """The same with a second try after so many seconds of silence."""
        return self._over(self._model.with_hedge(after, **policy))

    def with_cache(self, cache: Any = None, **options: Any) -> Self:
        """The same with a cache."""
        return self._over(self._model.with_cache(cache, **options))

    def with_budget(self, budget: Any = None, **limits: Any) -> Self:
        """The same within a budget."""
        return self._over(self._model.with_budget(budget, **limits))

    def with_layer(self, layer: Layer | TryLayer) -> Self:
        """The same with one more policy around its calls."""
        return self._over(self._model.with_layer(layer))

    def with_callbacks(self, *handlers: Any) -> Self:
        """The same, telling these handlers too."""
        return self._over(self._model.with_callbacks(*handlers))

    def _flow(self, given: Input, settings: dict[str, Any], plan: Any = None) -> Flow[Typed[T]]:
        settings = dict(settings)
        plan = self._model._plan() if plan is None else plan
        if (seconds := settings.pop("deadline", None)) is not None:
            from .control._deadline import within

            plan = within(plan, seconds)  # for all attempts together
        return output_flow(plan, self._call(given, settings), self._output, self._attempts)

    def _call(self, given: Input, settings: dict[str, Any], stream: bool = False) -> Call:
        call = self._model._call(given, None, settings, stream)
        return msgspec.structs.replace(call, output=self._output)

    def __call__(self, messages: Input, **settings: Any) -> T:
        """The value."""
        return self.typed(messages, **settings).value

    def invoke(self, input: Input, config: Any = None, **settings: Any) -> T:
        """The same as calling."""
        return self.typed(input, **settings).value

    async def ainvoke(self, input: Input, config: Any = None, **settings: Any) -> T:
        """`invoke` in the async world."""
        return (await self.atyped(input, **settings)).value

    def typed(self, input: Input, **settings: Any) -> Typed[T]:
        """The value with its message: usage, attempts, finish reason."""
        return run(self._flow(input, settings))

    async def atyped(self, input: Input, **settings: Any) -> Typed[T]:
        """`typed` in the async world."""
        return await arun(self._flow(input, settings))

    def batch(
        self,
        inputs: Iterable[Input],
        config: Any = None,
        *,
        max_concurrency: int = 50,
        errors: Literal["raise", "return"] = "raise",
        **settings: Any,
    ) -> list[T]:
        """The values of many inputs, in order; see `ChatModel.batch`."""
        limit, plan = checked(max_concurrency, errors), self._model._plan()
        results = gather(inputs, lambda given: self._flow(given, settings, plan), limit)
        return finished([_value(r) for r in results], errors)

    async def abatch(
        self,
        inputs: Any,
        config: Any = None,
        *,
        max_concurrency: int = 50,
        errors: Literal["raise", "return"] = "raise",
        **settings: Any,
    ) -> list[T]:
        """`batch` in the async world."""
        limit, plan = checked(max_concurrency, errors), self._model._plan()
        results = await agather(inputs, lambda given: self._flow(given, settings, plan), limit)
        return finished([_value(r) for r in results], errors)

    def with_tools(self, *tools: Any, **choice: Any) -> Self:
        """The same with tools, for `run_tools`; see `ChatModel.with_tools`."""
        return self._over(self._model.with_tools(*tools, **choice))

    def run_tools(
        self,
        input: Input,
        *,
        tools: Sequence[Any] = (),
        max_steps: int = 10,
        approve: Approve | None = None,
        **settings: Any,
    ) -> TypedRun[T]:
        """`ChatModel.run_tools` that ends with a value of the type: `.value`, beside what a `ToolRun` has.

        Raises `OutputError` when `attempts` values do not fit, or the model still calls tools after `max_steps` answers.

        >>> chat.with_tools(weather).with_output(Trip).run_tools("Plan a day in Paris.").value  # doctest: +SKIP
        Trip(...)
        """
        from ._run_tools_watch import RunSeen
        from ._tool_loop_typed import typed_tool_flow

        plan, loop = self._asking()._tools_of(input, tools, max_steps, approve, settings)
        with RunSeen(plan, loop):
            return run(typed_tool_flow(plan, loop, self._output, self._attempts))

    async def arun_tools(
        self,
        input: Input,
        *,
        tools: Sequence[Any] = (),
        max_steps: int = 10,
        approve: Approve | None = None,
        **settings: Any,
    ) -> TypedRun[T]:
        """`run_tools` in the async world."""
        from ._run_tools_watch import RunSeen
        from ._tool_loop_typed import typed_tool_flow

        plan, loop = self._asking()._tools_of(input, tools, max_steps, approve, settings)
        with RunSeen(plan, loop):
            return await arun(typed_tool_flow(plan, loop, self._output, self._attempts))

    def stream(self, input: Input, config: Any = None, **settings: Any) -> OutputStream[T]:
        """The value while it is written: an iterator of partial values (plain dicts, lists, strings); `.value` at the end."""
        self._model._call(input, None, {name: value for name, value in settings.items() if name != "deadline"})
        return OutputStream(self._asking().stream(input, **settings), self._output)

    def astream(self, input: Input, config: Any = None, **settings: Any) -> AsyncOutputStream[T]:
        """`stream` in the async world."""
        return AsyncOutputStream(self._asking().astream(input, **settings), self._output)

    def _asking(self) -> ChatModel:
        """The model that asks for the type, and does not read it."""
        return self._model._changed(output=self._output)


class _Reading(Generic[T]):
    """Chunks -> partial values."""

    def __init__(self, output: Output[T]) -> None:
        self.output = output
        self._partial = PartialJSON()

    def take(self, chunk: AIMessageChunk) -> bool:
        """Read a chunk; True when it brought something of the value."""
        if isinstance(chunk.event, Restarted):
            self._partial = PartialJSON()
        text = chunk.text or "".join(c.args for c in chunk.tool_call_chunks)
        if not text:
            return False
        self._partial.feed(text)
        return self._partial.value is not None

    @property
    def value(self) -> Any:
        """The partial value so far."""
        value = self._partial.value
        if self.output.wrapped and is_object(value):
            return value.get("value")
        return value


class OutputStream(Generic[T]):
    """Partial values as they come. `.value` is the whole value once the stream has ended; `.message` its message."""

    def __init__(self, stream: ChatStream, output: Output[T]) -> None:
        self._stream = stream
        self._reading = _Reading(output)

    def __iter__(self) -> Iterator[Any]:
        for chunk in self._stream:
            if self._reading.take(chunk):
                yield self._reading.value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stream.close()

    def close(self) -> None:
        """Stop: the connection is closed at once."""
        self._stream.close()

    @property
    def message(self) -> AIMessage:
        """The answer so far."""
        return self._stream.message

    @property
    def value(self) -> T:
        """The whole value; reads the stream to its end first. Raises OutputError when it does not fit."""
        for _ in self:
            pass
        return _checked(self._reading.output, whole(self._stream.message))


class AsyncOutputStream(Generic[T]):
    """`OutputStream` in the async world; the value comes from `await stream.final()`."""

    def __init__(self, stream: AsyncChatStream, output: Output[T]) -> None:
        self._stream = stream
        self._reading = _Reading(output)

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for chunk in self._stream:
            if self._reading.take(chunk):
                yield self._reading.value

    async def aclose(self) -> None:
        """Stop: the connection is closed at once."""
        await self._stream.aclose()

    @property
    def message(self) -> AIMessage:
        """The answer so far."""
        return self._stream.message

    async def final(self) -> T:
        """The whole value; reads the stream to its end first. Raises OutputError when it does not fit."""
        async for _ in self:
            pass
        return _checked(self._reading.output, whole(self._stream.message))


def _value(result: Any) -> Any:
    """The value of a typed answer; an error as it is."""
    return result if isinstance(result, Exception) else result.value


def _checked(output: Output[T], message: AIMessage) -> T:
    from ._errors import OutputError

    try:
        return value_of(output, message)
    except OutputError as error:
        error.partial, error.provider, error.model = message, message.provider, message.model
        raise
