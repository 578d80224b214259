"""What all prompts share: variables, partials, filling in under every name, `|`, saving. Knows no kind of prompt."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast, overload

from chatmodels._errors import UsageError
from chatmodels._json import is_object
from chatmodels._messages import AIMessage

from ._values import PromptValue
from ._variables import Variables

if TYPE_CHECKING:
    from chatmodels._model import ChatModel
    from chatmodels._typed import OutputModel

    from ._pipe import Chain

T = TypeVar("T")


class Prompt:
    """A prompt with variables. Calling it means filling it in; `prompt | model` is a chain."""

    __slots__ = ("_variables",)

    _variables: Variables

    @property
    def input_variables(self) -> list[str]:
        """The names of the variables that must be given, sorted."""
        return sorted(self._variables.open)

    @property
    def optional_variables(self) -> list[str]:
        """The names of the variables that may be given, sorted."""
        return sorted(self._variables.optional)

    @property
    def partial_variables(self) -> dict[str, Any]:
        """The values that are in place already."""
        return dict(self._variables.partials)

    @abstractmethod
    def _value(self, values: Mapping[str, Any], /) -> PromptValue:
        """The prompt value; the values have been checked."""
        raise NotImplementedError

    async def _avalue(self, values: Mapping[str, Any], /) -> PromptValue:
        return self._value(values)

    @abstractmethod
    def _with(self, variables: Variables) -> Self:
        """The same prompt with these variables."""
        raise NotImplementedError

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The prompt as plain data; `from_dict` reads it."""
        raise NotImplementedError

    def partial(self, /, **values: Any) -> Self:
        """The same prompt with some values in place. A function without arguments is called at each use."""
        return self._with(self._variables.with_partials(values))

    def format_prompt(self, /, **values: Any) -> PromptValue:
        """The filled-in prompt: what models take, with `to_messages()` and `to_string()`.

        Raises UsageError that names missing and extra variables.
        """
        return self._value(self._variables.fill(values))

    async def aformat_prompt(self, /, **values: Any) -> PromptValue:
        """`format_prompt` in the async world, where an embedding of a selector may be async too."""
        return await self._avalue(self._variables.fill(values))

    def format(self, /, **values: Any) -> str:
        """The filled-in prompt as text."""
        return self.format_prompt(**values).to_string()

    def invoke(self, input: Any = None, config: Any = None) -> PromptValue:
        """`format_prompt` of a dict of values; where one variable is open, its value alone does as well."""
        return self._value(self._variables.fill(self._values(input)))

    async def ainvoke(self, input: Any = None, config: Any = None) -> PromptValue:
        """`invoke` in the async world."""
        return await self._avalue(self._variables.fill(self._values(input)))

    def batch(self, inputs: Iterable[Any], config: Any = None) -> list[PromptValue]:
        """`invoke` of each."""
        return [self.invoke(item) for item in inputs]

    async def abatch(self, inputs: Iterable[Any], config: Any = None) -> list[PromptValue]:
        """`batch` in the async world."""
        return [await self.ainvoke(item) for item in inputs]

    def _values(self, given: Any) -> dict[str, Any]:
        if given is None:
            return {}
        if is_object(given):
            return given
        if isinstance(given, Mapping):
            return dict(cast("Mapping[str, Any]", given))
        names = self.input_variables
        if len(names) == 1:
            return {names[0]: given}
        raise UsageError(
            f"a prompt with the variables {', '.join(names) or 'none'} takes a dict of them, not {type(given).__name__}",
            argument="input",
        )

    def save(self, path: str | Path) -> None:
        """Write the prompt to a file, by its ending: .json, .yaml (or .yml), .toml. Data only; `load_prompt` reads it."""
        from ._files import write_prompt

        write_prompt(self, path)

    @overload
    def __or__(self, other: ChatModel) -> Chain[AIMessage]: ...
    @overload
    def __or__(self, other: OutputModel[T]) -> Chain[T]: ...
    @overload
    def __or__(self, other: Mapping[str, Any]) -> Chain[dict[str, Any]]: ...
    @overload
    def __or__(self, other: Callable[[Any], T]) -> Chain[T]: ...
    def __or__(self, other: Any) -> Chain[Any]:
        return self.pipe(other)

    def __ror__(self, other: Callable[[Any], Any] | Mapping[str, Any]) -> Chain[PromptValue]:
        from ._pipe import Chain

        return Chain((other, self))

    def pipe(self, *others: Any) -> Chain[Any]:
        """`prompt | other | ...` as a method."""
        from ._pipe import Chain

        return Chain((self,)).pipe(*others)
