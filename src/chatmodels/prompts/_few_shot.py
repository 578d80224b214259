"""Examples in a prompt: all of them, or those that a selector picks for the input; as messages, or as one text.

Knows selectors by `select_examples` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from chatmodels._errors import UsageError
from chatmodels._inputs import buffer_string
from chatmodels._messages import Message

from ._base import Prompt
from ._chat import ChatPromptTemplate
from ._messages import MessageTemplate
from ._strings import PromptTemplate
from ._values import StringPromptValue
from ._variables import NONE, Variables, check_declared


class Examples:
    """Fixed examples or a selector, and the names of the values that the selector gets (all where there are none)."""

    __slots__ = ("fixed", "keys", "selector")

    def __init__(self, examples: Iterable[Mapping[str, Any]] | None, selector: Any, keys: Iterable[str] | None) -> None:
        if (examples is None) == (selector is None):
            raise UsageError("give examples= or example_selector=, one of the two", argument="examples")
        if selector is not None and not hasattr(selector, "select_examples"):
            raise UsageError("example_selector has a method select_examples(values)", argument="example_selector")
        self.fixed = None if examples is None else [dict(e) for e in examples]
        self.selector: Any = selector
        found = keys if keys is not None else getattr(selector, "input_keys", None)
        self.keys = None if selector is None or found is None else sorted(found)

    @property
    def needs(self) -> frozenset[str]:
        """The variables that the selector needs."""
        return frozenset(self.keys or ())

    def chosen(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The examples for these values."""
        if self.fixed is not None:
            return self.fixed
        found: list[dict[str, Any]] = self.selector.select_examples(self._asked(values))
        return found

    async def achosen(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """`chosen` in the async world."""
        if self.fixed is not None or not hasattr(self.selector, "aselect_examples"):
            return self.chosen(values)
        found: list[dict[str, Any]] = await self.selector.aselect_examples(self._asked(values))
        return found

    def _asked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return dict(values) if self.keys is None else {k: values[k] for k in self.keys}


def _filled(prompt: Any, example: Mapping[str, Any], index: int) -> dict[str, Any]:
    """The values of an example that its prompt takes; what else it holds is not the prompt's."""
    names = prompt.input_variables
    missing = [n for n in names if n not in example]
    if missing:
        raise UsageError(
            f"examples[{index}] has no {missing[0]!r}, which example_prompt needs", argument=f"examples[{index}]"
        )
    return {n: example[n] for n in names}


class FewShotChatMessagePromptTemplate(MessageTemplate):
    """Examples as messages, in a chat prompt: fixed ones, or those that a selector picks for the input.

    `example_prompt` is how one example is written: a `ChatPromptTemplate` or one message template. `input_variables` are the
    values that the selector gets; without them it gets all values of the prompt.

    >>> examples = FewShotChatMessagePromptTemplate(
    ...     examples=[{"in": "2+2", "out": "4"}],
    ...     example_prompt=ChatPromptTemplate.from_messages([("human", "{in}"), ("ai", "{out}")]),
    ... )
    >>> [m.text for m in examples.format_messages()]
    ['2+2', '4']
    """

    __slots__ = ("_variables", "example_prompt", "source")

    def __init__(
        self,
        *,
        example_prompt: Any,
        examples: Iterable[Mapping[str, Any]] | None = None,
        example_selector: Any = None,
        input_variables: Iterable[str] | None = None,
    ) -> None:
        if not isinstance(example_prompt, (ChatPromptTemplate, MessageTemplate)):
            raise UsageError(
                "example_prompt is a ChatPromptTemplate or a message template, such as "
                'ChatPromptTemplate.from_messages([("human", "{input}"), ("ai", "{output}")])',
                argument="example_prompt",
            )
        self.example_prompt = example_prompt
        self.source = Examples(examples, example_selector, input_variables)
        self._variables = Variables(self.source.needs)
        for index, example in enumerate(self.source.fixed or ()):
            _filled(example_prompt, example, index)

    @property
    def examples(self) -> list[dict[str, Any]] | None:
        """The fixed examples."""
        return self.source.fixed

    @property
    def example_selector(self) -> Any:
        """What picks the examples."""
        return self.source.selector

    @property
    def variables(self) -> Variables:
        """What the selector needs."""
        return self._variables

    def fill(self, values: Mapping[str, Any]) -> list[Message]:
        """The messages of the examples."""
        return self._written(self.source.chosen(values))

    async def afill(self, values: Mapping[str, Any]) -> list[Message]:
        """`fill` in the async world."""
        return self._written(await self.source.achosen(values))

    def format_messages(self, /, **values: Any) -> list[Message]:
        """The messages of the examples for these values."""
        return self.fill(values if self.source.keys is None else self._variables.fill(values))

    async def aformat_messages(self, /, **values: Any) -> list[Message]:
        """`format_messages` in the async world."""
        return await self.afill(values if self.source.keys is None else self._variables.fill(values))

    def format(self, /, **values: Any) -> str:
        """The messages of the examples as text."""
        return buffer_string(self.format_messages(**values))

    def _written(self, examples: Iterable[Mapping[str, Any]]) -> list[Message]:
        prompt = self.example_prompt
        return [m for i, e in enumerate(examples) for m in prompt.format_messages(**_filled(prompt, e, i))]

    def __repr__(self) -> str:
        shown = (
            f"example_selector={self.example_selector!r}" if self.examples is None else f"examples={self.examples!r}"
        )
        return f"FewShotChatMessagePromptTemplate({shown}, example_prompt={self.example_prompt!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FewShotChatMessagePromptTemplate):
            return NotImplemented
        mine, its = self.source, other.source
        return (self.example_prompt, mine.fixed, mine.selector, mine.keys) == (
            other.example_prompt, its.fixed, its.selector, its.keys
        )  # fmt: skip

    __hash__ = None  # type: ignore[assignment]  # its examples are dicts

    def __reduce__(self) -> tuple[Any, ...]:
        options = {"example_prompt": self.example_prompt, "examples": self.examples}
        return _few_shot, ({**options, "example_selector": self.example_selector, "input_variables": self.source.keys},)


def _few_shot(options: dict[str, Any]) -> FewShotChatMessagePromptTemplate:
    return FewShotChatMessagePromptTemplate(**options)


class FewShotPromptTemplate(Prompt):
    """Examples as one text: `prefix`, the examples, `suffix`, with `example_separator` between them, as in 2023."""

    __slots__ = ("_prefix", "_suffix", "example_prompt", "example_separator", "source")

    def __init__(
        self,
        *,
        example_prompt: PromptTemplate,
        suffix: str,
        prefix: str = "",
        examples: Iterable[Mapping[str, Any]] | None = None,
        example_selector: Any = None,
        example_separator: str = "\n\n",
        template_format: str = "f-string",
        input_variables: Iterable[str] | None = None,
        partial_variables: Mapping[str, Any] | None = None,
    ) -> None:
        self.example_prompt = example_prompt
        self.example_separator = example_separator
        self._prefix = PromptTemplate(prefix, template_format=template_format)
        self._suffix = PromptTemplate(suffix, template_format=template_format)
        self.source = Examples(examples, example_selector, None)
        needed = self._prefix._variables.required | self._suffix._variables.required | self.source.needs
        optional = self._prefix._variables.optional | self._suffix._variables.optional
        self._variables = Variables(needed or NONE, optional - needed).with_partials(partial_variables or {})
        check_declared(input_variables, self._variables)

    @property
    def prefix(self) -> str:
        """The text before the examples."""
        return self._prefix.template

    @property
    def suffix(self) -> str:
        """The text behind the examples."""
        return self._suffix.template

    @property
    def examples(self) -> list[dict[str, Any]] | None:
        """The fixed examples."""
        return self.source.fixed

    @property
    def template_format(self) -> str:
        """The language of the prefix and the suffix."""
        return self._suffix.template_format

    def _value(self, values: Mapping[str, Any], /) -> StringPromptValue:
        return self._text(self.source.chosen(values), values)

    async def _avalue(self, values: Mapping[str, Any], /) -> StringPromptValue:
        return self._text(await self.source.achosen(values), values)

    def _text(self, examples: Iterable[Mapping[str, Any]], values: Mapping[str, Any]) -> StringPromptValue:
        prompt = self.example_prompt
        written = [prompt.format(**_filled(prompt, e, i)) for i, e in enumerate(examples)]
        pieces = [self._prefix._template.render(values), *written, self._suffix._template.render(values)]
        return StringPromptValue(self.example_separator.join(p for p in pieces if p))

    def _with(self, variables: Variables) -> Self:
        made = object.__new__(type(self))
        made.example_prompt, made.example_separator = self.example_prompt, self.example_separator
        made._prefix, made._suffix, made.source = self._prefix, self._suffix, self.source
        made._variables = variables
        return made

    def to_dict(self) -> dict[str, Any]:
        """The prompt as plain data; `from_dict` reads it."""
        from ._data import few_shot_text_data

        return few_shot_text_data(self)

    def __repr__(self) -> str:
        source = self.source
        shown = f"examples={source.fixed!r}" if source.selector is None else f"example_selector={source.selector!r}"
        return (
            f"FewShotPromptTemplate(input_variables={self.input_variables!r}, {shown}, example_prompt={self.example_prompt!r}, "
            f"prefix={self.prefix!r}, suffix={self.suffix!r})"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FewShotPromptTemplate):
            return NotImplemented
        return self._state() == other._state()

    __hash__ = None  # type: ignore[assignment]  # its examples are dicts

    def _state(self) -> tuple[Any, ...]:
        source = self.source
        texts = (self._prefix, self._suffix, self.example_separator, self.example_prompt)
        return (*texts, source.fixed, source.selector, source.keys, self._variables)
