"""Many calls of a model at once, as methods: `batch`, `generate` and their kin. The model mixes them in."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from ._inputs import Input
from ._json import is_object
from ._messages import AIMessage
from ._results import LLMResult, result_of

if TYPE_CHECKING:
    from ._flow import Flow

Errors = Literal["raise", "return"]


def _at_once(config: Any, most: int) -> int:
    """The limit of calls in flight, which LangChain's users give as config={"max_concurrency": ...}."""
    given: Any = config.get("max_concurrency") if is_object(config) else None
    return most if given is None else given


class ManyCalls:
    """What a model needs for this is `_many`: the maker of one item's flow."""

    __slots__ = ()

    def _many(
        self, config: Any, settings: Any, stop: Any = None, callbacks: Any = None
    ) -> Callable[[Input], Flow[AIMessage]]:
        raise NotImplementedError

    def batch(
        self,
        inputs: Iterable[Input],
        config: Any = None,
        *,
        max_concurrency: int = 50,
        errors: Errors = "raise",
        return_exceptions: bool = False,
        progress: bool = False,
        **settings: Any,
    ) -> list[AIMessage]:
        """The answers to many inputs, in their order, `max_concurrency` at a time.

        Every item is tried to its end. With `errors="raise"` a `BatchError` comes after all have ended, with every result
        and error in `.results`; with "return" (or `return_exceptions=True`) errors stand in their items' places.
        `progress`: a bar on standard error where that is a terminal, else a line every ten seconds.
        """
        from ._batch import checked, finished, gather

        limit = checked(_at_once(config, max_concurrency), errors)
        many = self._many(config, settings)
        if progress:
            with _watched(inputs) as watched:
                results = gather(inputs, watched.many(many), limit)
        else:
            results = gather(inputs, many, limit)
        return finished(results, "return" if return_exceptions else errors)

    async def abatch(
        self,
        inputs: Iterable[Input] | AsyncIterable[Input],
        config: Any = None,
        *,
        max_concurrency: int = 50,
        errors: Errors = "raise",
        return_exceptions: bool = False,
        progress: bool = False,
        **settings: Any,
    ) -> list[AIMessage]:
        """`batch` in the async world; takes async iterables too."""
        from ._batch import agather, checked, finished

        limit = checked(_at_once(config, max_concurrency), errors)
        many = self._many(config, settings)
        if progress:
            with _watched(inputs) as watched:
                results = await agather(inputs, watched.many(many), limit)
        else:
            results = await agather(inputs, many, limit)
        return finished(results, "return" if return_exceptions else errors)

    def batch_as_completed(
        self, inputs: Iterable[Input], config: Any = None, *, max_concurrency: int = 50, **settings: Any
    ) -> Iterator[tuple[int, AIMessage | Exception]]:
        """(index, answer or error) pairs as the items end. Inputs are read as they are needed: memory is O(concurrency)."""
        from ._batch import as_completed, checked

        return as_completed(inputs, self._many(config, settings), checked(_at_once(config, max_concurrency)))

    def abatch_as_completed(
        self,
        inputs: Iterable[Input] | AsyncIterable[Input],
        config: Any = None,
        *,
        max_concurrency: int = 50,
        **settings: Any,
    ) -> AsyncIterator[tuple[int, AIMessage | Exception]]:
        """`batch_as_completed` in the async world."""
        from ._batch import aas_completed, checked

        return aas_completed(inputs, self._many(config, settings), checked(_at_once(config, max_concurrency)))

    def generate(
        self,
        messages: Iterable[Input],
        stop: str | list[str] | None = None,
        callbacks: Any = None,
        *,
        max_concurrency: int = 50,
        errors: Errors = "raise",
        progress: bool = False,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **settings: Any,
    ) -> LLMResult:
        """The answers to several lists of messages: `generations[i]` in their order, the summed tokens in `llm_output`.

        Runs concurrently and loses nothing: with `errors="raise"` a `BatchError` comes after all have ended; with "return"
        the failed items have no generations and their errors are in `.errors`. `tags` and `metadata` are taken for the
        sake of 2023 code.
        """
        from ._batch import checked, finished, gather

        limit = checked(max_concurrency, errors)
        many = self._many(None, settings, stop, callbacks)
        if progress:
            with _watched(messages) as watched:
                results = gather(messages, watched.many(many), limit)
        else:
            results = gather(messages, many, limit)
        return result_of(finished(results, errors))

    async def agenerate(
        self,
        messages: Iterable[Input],
        stop: str | list[str] | None = None,
        callbacks: Any = None,
        *,
        max_concurrency: int = 50,
        errors: Errors = "raise",
        progress: bool = False,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **settings: Any,
    ) -> LLMResult:
        """`generate` in the async world."""
        from ._batch import agather, checked, finished

        limit = checked(max_concurrency, errors)
        many = self._many(None, settings, stop, callbacks)
        if progress:
            with _watched(messages) as watched:
                results = await agather(messages, watched.many(many), limit)
        else:
            results = await agather(messages, many, limit)
        return result_of(finished(results, errors))

    def generate_prompt(self, prompts: Iterable[Any], stop: Any = None, callbacks: Any = None, **kw: Any) -> LLMResult:
        """`generate` over prompt values."""
        return self.generate(prompts, stop, callbacks, **kw)


def _watched(inputs: Any) -> Any:
    from .batch._progress import Watched

    return Watched(inputs)
