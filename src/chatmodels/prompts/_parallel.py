"""`{"question": ..., "context": ...} | prompt`: values computed side by side from one input; and the input itself as a value.

Each value is computed by a chain of its own. Knows chains; nothing of prompts and models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import copy_context
from typing import Any, Self, TypeVar, cast

from chatmodels._errors import UsageError
from chatmodels._json import is_object
from chatmodels._model_steps import Step

from ._base import Prompt
from ._pipe import Chain, Errors, batch_items

T = TypeVar("T")


class RunnableParallel(Step[dict[str, Any]]):
    """A dict of steps as one step: each is given the same input, and the dict of what they give comes out.

    A value is a function, a prompt, a model, a chain, another such dict, or anything else: a constant. A dict beside a `|` is
    made one: `{"question": RunnablePassthrough(), "today": "Sunday"} | prompt`. Where several values ask a model, they ask at
    the same time.

    >>> RunnableParallel(length=len, text=str.upper, language="French").invoke("abc")
    {'length': 3, 'text': 'ABC', 'language': 'French'}
    """

    __slots__ = ("_keep", "steps")

    def __init__(self, steps: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        given = {**(steps or {}), **more}
        odd = next((name for name in given if not isinstance(name, str)), None)
        if not given or odd is not None:
            raise UsageError("a dict of steps has names (str) and what computes their values", argument="steps")
        self.steps: dict[str, Chain[Any]] = {name: Chain((_entry(step),)) for name, step in given.items()}
        self._keep = False

    def _keeping(self) -> Self:
        self._keep = True
        return self

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{name!r}: {step!r}" for name, step in self.steps.items()) + "}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), self.steps, self._keep)

    def __call__(self, input: Any = None) -> dict[str, Any]:
        """The dict of what the steps give."""
        return self.invoke(input)

    def invoke(self, input: Any = None, config: Any = None) -> dict[str, Any]:
        """The dict of what the steps give."""
        begun, asking = self._begun(input), self._asking()
        if len(asking) < 2:
            return {**begun, **{name: step.invoke(input) for name, step in self.steps.items()}}
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(len(asking), "chatmodels-values")
        try:
            jobs = {name: pool.submit(copy_context().run, self.steps[name].invoke, input) for name in asking}
            plain = {name: step.invoke(input) for name, step in self.steps.items() if name not in jobs}
            return {**begun, **{name: jobs[name].result() if name in jobs else plain[name] for name in self.steps}}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    async def ainvoke(self, input: Any = None, config: Any = None) -> dict[str, Any]:
        """`invoke` in the async world, where all steps run at the same time."""
        from chatmodels._async import spawn

        begun, made = self._begun(input), dict[str, Any]()

        async def one(name: str, step: Chain[Any]) -> None:
            try:
                made[name] = await step.ainvoke(input)
            except Exception as error:
                made[name] = _Failed(error)

        tasks = [spawn(_bound(one, name, step)) for name, step in self.steps.items()]
        try:
            for task in tasks:
                await task.ended()
        finally:
            for task in tasks:
                task.cancel()
        return {**begun, **{name: _value(made[name]) for name in self.steps}}

    def batch(
        self,
        inputs: Iterable[Any],
        config: Any = None,
        *,
        max_concurrency: int = 50,
        errors: Errors = "raise",
        return_exceptions: bool = False,
    ) -> list[dict[str, Any]]:
        """The dict for each input, in their order; see `ChatModel.batch` for `errors`."""
        from chatmodels._batch import finished

        items = batch_items(inputs)
        columns = {
            name: step.batch(items, max_concurrency=max_concurrency, errors="return")
            for name, step in self.steps.items()
        }
        return finished(self._rows(items, columns), "return" if return_exceptions else errors)

    async def abatch(
        self,
        inputs: Iterable[Any],
        config: Any = None,
        *,
        max_concurrency: int = 50,
        errors: Errors = "raise",
        return_exceptions: bool = False,
    ) -> list[dict[str, Any]]:
        """`batch` in the async world."""
        from chatmodels._batch import finished

        items = batch_items(inputs)
        columns = {
            name: await step.abatch(items, max_concurrency=max_concurrency, errors="return")
            for name, step in self.steps.items()
        }
        return finished(self._rows(items, columns), "return" if return_exceptions else errors)

    def _rows(self, items: list[Any], columns: dict[str, list[Any]]) -> list[Any]:
        return [self._row(item, {name: column[i] for name, column in columns.items()}) for i, item in enumerate(items)]

    def _row(self, item: Any, made: dict[str, Any]) -> Any:
        """What one input gave: the dict, or the first error."""
        failed = next((value for value in made.values() if isinstance(value, Exception)), None)
        if failed is not None:
            return failed
        try:
            return {**self._begun(item), **made}
        except UsageError as error:
            return error

    def _begun(self, input: Any) -> dict[str, Any]:
        """What the dict begins with: with `assign`, all that was given."""
        if not self._keep:
            return {}
        if not isinstance(input, Mapping):
            raise UsageError(f"assign adds to a dict of values, not to {type(input).__name__}", argument="input")
        return dict(cast("Mapping[str, Any]", input))

    @property
    def asks(self) -> bool:
        """False: settings of a chain go to a model behind it."""
        return False

    def _asking(self) -> list[str]:
        return [name for name, step in self.steps.items() if step.asks]


class RunnablePassthrough(Step[Any]):
    """The input as it is; the name is LangChain's. `RunnablePassthrough.assign(...)` adds values to a dict.

    >>> ({"text": RunnablePassthrough(), "length": len} | RunnablePassthrough.assign(twice=lambda d: 2 * d["length"]))("abc")
    {'text': 'abc', 'length': 3, 'twice': 6}
    """

    __slots__ = ()

    def __call__(self, input: Any = None) -> Any:
        """The input."""
        return input

    def piece(self, chunk: Any) -> Any:
        """The chunk."""
        return chunk

    @staticmethod
    def assign(**steps: Any) -> RunnableParallel:
        """The dict that is given, with what the steps make of it beside its values."""
        return RunnableParallel(steps)._keeping()

    def __repr__(self) -> str:
        return "RunnablePassthrough()"


class RunnableLambda(Chain[T]):
    """A chain of one function, for code that names it so; a bare function beside a `|` will do as well.

    >>> (RunnableLambda(len) | str).invoke("abc")
    '3'
    """

    __slots__ = ()

    def __init__(self, func: Callable[[Any], T]) -> None:
        super().__init__((func,))


class _Constant:
    """A value that is no step."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, input: Any) -> Any:
        return self.value

    def __repr__(self) -> str:
        return repr(self.value)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Constant, (self.value,)


class _Failed:
    def __init__(self, error: Exception) -> None:
        self.error = error


def _value(made: Any) -> Any:
    if isinstance(made, _Failed):
        raise made.error
    return made


def _bound(function: Callable[..., Any], *args: Any) -> Callable[[], Any]:
    return lambda: function(*args)


def _entry(given: Any) -> Any:
    if callable(given) or isinstance(given, Prompt) or is_object(given):
        return given
    return _Constant(given)


def _unpickled(cls: type[RunnableParallel], steps: dict[str, Any], keep: bool) -> RunnableParallel:
    made = cls(steps)
    made._keep = keep
    return made
