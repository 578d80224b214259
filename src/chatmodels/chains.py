"""Chains as in 2023: `LLMChain`, a prompt and a model with one name each; and the parser that gives an answer's text.

Thin: filling in is the prompt's, calling the model's. New code says `prompt | model | StrOutputParser()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from ._errors import UsageError
from ._json import is_object
from ._messages import AIMessage
from ._model_steps import Step
from ._names_gone import remedy
from ._results import LLMResult
from ._stream import AIMessageChunk
from .prompts._base import Prompt
from .prompts._parallel import RunnableLambda, RunnableParallel, RunnablePassthrough
from .prompts._pipe import Chain, Errors
from .prompts._strings import PromptTemplate
from .prompts._values import PromptValue

if TYPE_CHECKING:
    from ._model import ChatModel

__all__ = ["Chain", "LLMChain", "RunnableLambda", "RunnableParallel", "RunnablePassthrough", "StrOutputParser"]


class StrOutputParser(Step[str]):
    """The text of an answer; while streaming, the text of each chunk.

    >>> StrOutputParser()(AIMessage("J'aime programmer."))
    "J'aime programmer."
    """

    __slots__ = ()

    def __call__(self, answer: AIMessage | str) -> str:
        """The text."""
        return answer if isinstance(answer, str) else answer.text

    parse = invoke = __call__

    def piece(self, chunk: AIMessageChunk) -> str | None:
        """The text of a chunk; None where it has none."""
        return chunk.text or None

    def __repr__(self) -> str:
        return "StrOutputParser()"


class LLMChain(Step[dict[str, Any]]):
    """A prompt and a chat model: values in, text out.

    `output_parser` is a function of the text, or an object with `parse(text)`. Of the values that are given, the prompt takes those
    that it has variables for, as in 2023 (a row of a table may have more columns); a missing one is a UsageError that names it.
    `verbose` prints each prompt; `callbacks` are told of every call, and `llm_kwargs` are settings of every call. `tags` and
    `metadata` are taken for the sake of 2023 code. There is no `memory`: give the history as a value, in a `MessagesPlaceholder`.
    """

    __slots__ = ("_model", "_parse", "output_key", "prompt", "verbose")

    def __init__(
        self,
        llm: ChatModel | None = None,
        prompt: Prompt | None = None,
        *,
        output_key: str = "text",
        output_parser: Any = None,
        verbose: bool = False,
        callbacks: Any = None,
        llm_kwargs: Mapping[str, Any] | None = None,
        memory: None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        if memory is not None:
            raise UsageError(f"LLMChain has no memory; instead, {remedy('memory')}", argument="memory")
        if not hasattr(llm, "generate"):
            raise UsageError("LLMChain takes llm=, a chat model, e.g. ChatOpenAI()", argument="llm")
        if not isinstance(prompt, Prompt):
            raise UsageError("LLMChain takes prompt=, a ChatPromptTemplate or a PromptTemplate", argument="prompt")
        model = cast("ChatModel", llm)
        model = model.with_settings(**llm_kwargs) if llm_kwargs else model
        self._model = model.with_callbacks(*_handlers(callbacks)) if callbacks else model
        self.prompt = prompt
        self.output_key = output_key
        self.verbose = verbose
        self._parse = _parser(output_parser)

    @classmethod
    def from_string(cls, llm: ChatModel, template: str) -> LLMChain:
        """The chain of a model and a text with variables."""
        return cls(llm, PromptTemplate.from_template(template))

    @property
    def llm(self) -> ChatModel:
        """The model."""
        return self._model

    @property
    def input_keys(self) -> list[str]:
        """The values that must be given."""
        return self.prompt.input_variables

    @property
    def output_keys(self) -> list[str]:
        """The name of the text in what comes out."""
        return [self.output_key]

    def __repr__(self) -> str:
        return f"LLMChain(llm={self._model!r}, prompt={self.prompt!r})"

    # -- one input

    def __call__(
        self,
        inputs: Any = None,
        return_only_outputs: bool = False,
        callbacks: Any = None,
        *,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The text with the values that were given: `{"topic": "bears", "text": "..."}`."""
        values, more = self._asked(inputs)
        answer = self._model(self._value(values), more.get("stop"), callbacks)
        return self._shown(values, answer, return_only_outputs)

    async def acall(
        self,
        inputs: Any = None,
        return_only_outputs: bool = False,
        callbacks: Any = None,
        *,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Calling the chain, in the async world."""
        values, more = self._asked(inputs)
        answer = await self._model.ainvoke(await self._avalue(values), callbacks=callbacks, **more)
        return self._shown(values, answer, return_only_outputs)

    def invoke(self, input: Any = None, config: Any = None) -> dict[str, Any]:
        """The same as calling the chain."""
        return self(input, callbacks=_callbacks(config))

    async def ainvoke(self, input: Any = None, config: Any = None) -> dict[str, Any]:
        """`invoke` in the async world."""
        return await self.acall(input, callbacks=_callbacks(config))

    def run(self, /, *args: Any, callbacks: Any = None, **values: Any) -> Any:
        """The text. One value goes alone, several as keywords or as one dict."""
        return self(_one(args, values), True, callbacks)[self.output_key]

    async def arun(self, /, *args: Any, callbacks: Any = None, **values: Any) -> Any:
        """`run` in the async world."""
        return (await self.acall(_one(args, values), True, callbacks))[self.output_key]

    def predict(self, /, callbacks: Any = None, **values: Any) -> Any:
        """The text for values given as keywords."""
        return self(values, True, callbacks)[self.output_key]

    async def apredict(self, /, callbacks: Any = None, **values: Any) -> Any:
        """`predict` in the async world."""
        return (await self.acall(values, True, callbacks))[self.output_key]

    def predict_and_parse(self, /, callbacks: Any = None, **values: Any) -> Any:
        """`predict` under its older name: the output parser is heeded by both."""
        return self.predict(callbacks, **values)

    async def apredict_and_parse(self, /, callbacks: Any = None, **values: Any) -> Any:
        """`predict_and_parse` in the async world."""
        return await self.apredict(callbacks, **values)

    # -- many inputs

    def batch(
        self, inputs: Iterable[Any], config: Any = None, *, max_concurrency: int = 50, errors: Errors = "raise"
    ) -> list[dict[str, Any]]:
        """What `invoke` gives for each input, in their order; see `ChatModel.batch` for `errors`."""
        rows = _rows(inputs)
        answers = self._steps().batch(rows, config, max_concurrency=max_concurrency, errors=errors)
        return [self._row(row, answer) for row, answer in zip(rows, answers, strict=True)]

    async def abatch(
        self, inputs: Iterable[Any], config: Any = None, *, max_concurrency: int = 50, errors: Errors = "raise"
    ) -> list[dict[str, Any]]:
        """`batch` in the async world."""
        rows = _rows(inputs)
        answers = await self._steps(True).abatch(rows, config, max_concurrency=max_concurrency, errors=errors)
        return [self._row(row, answer) for row, answer in zip(rows, answers, strict=True)]

    def generate(self, input_list: Iterable[Mapping[str, Any]], stop: Any = None, callbacks: Any = None) -> LLMResult:
        """The model's answers to several dicts of values; see `ChatModel.generate`."""
        rows = [self._asked(row) for row in _rows(input_list)]
        prompts = [self._value(values) for values, _ in rows]
        return self._model.generate(prompts, _stop(rows, stop), callbacks)

    async def agenerate(
        self, input_list: Iterable[Mapping[str, Any]], stop: Any = None, callbacks: Any = None
    ) -> LLMResult:
        """`generate` in the async world."""
        rows = [self._asked(row) for row in _rows(input_list)]
        prompts = [await self._avalue(values) for values, _ in rows]
        return await self._model.agenerate(prompts, _stop(rows, stop), callbacks)

    def apply(self, input_list: Iterable[Mapping[str, Any]], callbacks: Any = None) -> list[dict[str, Any]]:
        """The texts for several dicts of values: `[{"text": ...}, ...]`, in their order."""
        return self._texts(self.generate(input_list, callbacks=callbacks))

    async def aapply(self, input_list: Iterable[Mapping[str, Any]], callbacks: Any = None) -> list[dict[str, Any]]:
        """`apply` in the async world."""
        return self._texts(await self.agenerate(input_list, callbacks=callbacks))

    def apply_and_parse(self, input_list: Iterable[Mapping[str, Any]], callbacks: Any = None) -> list[Any]:
        """What the output parser makes of the texts for several dicts of values."""
        return [row[self.output_key] for row in self.apply(input_list, callbacks)]

    async def aapply_and_parse(self, input_list: Iterable[Mapping[str, Any]], callbacks: Any = None) -> list[Any]:
        """`apply_and_parse` in the async world."""
        return [row[self.output_key] for row in await self.aapply(input_list, callbacks)]

    # -- inside

    def _steps(self, later: bool = False) -> Chain[AIMessage]:
        def filled(row: Any) -> PromptValue:
            return self._value(self.prompt._values(row))

        async def afilled(row: Any) -> PromptValue:
            return await self._avalue(self.prompt._values(row))

        return Chain([afilled if later else filled, self._model])

    def _row(self, row: Any, answer: Any) -> Any:
        """The values and the text of one row; an error as it is."""
        return answer if isinstance(answer, Exception) else self._shown(self.prompt._values(row), answer, False)

    def _asked(self, given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The values, and the `stop` words that stand among them in the manner of 2023."""
        values = dict(self.prompt._values(given))
        if "stop" in values and "stop" not in self.prompt._variables.known:
            return values, {"stop": values.pop("stop")}
        return values, {}

    def _value(self, values: dict[str, Any]) -> PromptValue:
        return self._told(self.prompt.format_prompt(**self.prompt._variables.select(values)))

    async def _avalue(self, values: dict[str, Any]) -> PromptValue:
        return self._told(await self.prompt.aformat_prompt(**self.prompt._variables.select(values)))

    def _told(self, value: PromptValue) -> PromptValue:
        if self.verbose:
            print(f"Prompt after formatting:\n{value.to_string()}")
        return value

    def _shown(self, values: dict[str, Any], answer: AIMessage, only: bool) -> dict[str, Any]:
        made = {self.output_key: self._parse(answer.text)}
        return made if only else {**values, **made}

    def _texts(self, result: LLMResult) -> list[dict[str, Any]]:
        return [{self.output_key: self._parse(answers[0].text)} for answers in result.generations]


def __getattr__(name: str) -> object:
    said = remedy(name)
    if said is not None:
        raise ImportError(f"chatmodels has no {name}. Instead, {said}", name=__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _handlers(given: Any) -> tuple[Any, ...]:
    return tuple(cast("Iterable[Any]", given)) if isinstance(given, (list, tuple)) else (given,)


def _parser(given: Any) -> Callable[[str], Any]:
    if given is None:
        return str
    parse = getattr(given, "parse", given)
    if not callable(parse):
        raise UsageError(
            f"output_parser is a function of the text, or has parse(text); got {type(given).__name__}",
            argument="output_parser",
        )
    return cast("Callable[[str], Any]", parse)


def _one(args: tuple[Any, ...], values: dict[str, Any]) -> Any:
    if args:  # beside one value, what 2023's run took; among keywords they may be variables of the prompt
        values = {k: v for k, v in values.items() if k not in ("tags", "metadata")}
    if len(args) > 1 or (args and values):
        raise UsageError("run takes one value, or keywords: chain.run(topic=..., place=...)", argument="args")
    return args[0] if args else values


def _rows(given: Any) -> list[Any]:
    if isinstance(given, (str, bytes)) or is_object(given) or not isinstance(given, Iterable):
        raise UsageError("the inputs are a list of dicts of values", argument="inputs")
    return list(cast("Iterable[Any]", given))


def _stop(rows: list[tuple[dict[str, Any], dict[str, Any]]], given: Any) -> Any:
    """The stop words of a whole list are those of its first row, as in 2023; another row that differs is an error."""
    found = [more.get("stop") for _, more in rows]
    if any(stop != found[0] for stop in found):
        raise UsageError("all rows must have the same stop words: a list is sent with one setting", argument="stop")
    return given if given is not None else (found[0] if found else None)


def _callbacks(config: Any) -> Any:
    return config.get("callbacks") if is_object(config) else None
