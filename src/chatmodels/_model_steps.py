"""`model | function`: what a model, a typed model and an `LLMChain` have in common as steps of a chain. Knows no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from ._messages import AIMessage
    from ._model import ChatModel
    from ._typed import OutputModel
    from .prompts import Chain, Prompt

T = TypeVar("T")
U = TypeVar("U")


class Step(Generic[T]):
    """Gives a `T`. `step | other` is a chain, as is `function | step`."""

    __slots__ = ()

    @overload
    def __or__(self, other: ChatModel) -> Chain[AIMessage]: ...
    @overload
    def __or__(self, other: OutputModel[U]) -> Chain[U]: ...
    @overload
    def __or__(self, other: Chain[U]) -> Chain[U]: ...
    @overload
    def __or__(self, other: Prompt) -> Chain[Any]: ...
    @overload
    def __or__(self, other: Mapping[str, Any]) -> Chain[dict[str, Any]]: ...
    @overload
    def __or__(self, other: Callable[[T], U]) -> Chain[U]: ...
    def __or__(self, other: Any) -> Chain[Any]:
        """A chain of this and then the other."""
        return self.pipe(other)

    def __ror__(self, other: Callable[[Any], Any] | Mapping[str, Any]) -> Chain[T]:
        from .prompts import Chain

        return Chain((other, self))

    def pipe(self, *others: Any) -> Chain[Any]:
        """`step | other | ...` as a method."""
        from .prompts import Chain

        return Chain((self,)).pipe(*others)
