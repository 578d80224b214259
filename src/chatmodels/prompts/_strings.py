"""`PromptTemplate`: one text with variables. Knows the template languages by name only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from chatmodels._errors import UsageError

from ._base import Prompt
from ._languages import template_of
from ._template import Template
from ._values import StringPromptValue
from ._variables import Variables, check_declared


class PromptTemplate(Prompt):
    """A text with variables.

    `template_format`: "f-string" (`{name}`), "mustache" (`{{name}}`), "jinja2" (sandboxed; needs the extra `jinja`), or "text"
    (no variables at all). `input_variables` is found in the text; where it is given, `validate_template` compares the two.

    >>> PromptTemplate.from_template("Tell me a joke about {topic}.").format(topic="bears")
    'Tell me a joke about bears.'
    """

    __slots__ = ("_template",)

    _template: Template

    def __init__(
        self,
        template: Any,
        *,
        input_variables: Iterable[str] | None = None,
        template_format: str = "f-string",
        partial_variables: Mapping[str, Any] | None = None,
        validate_template: bool = True,
        output_parser: None = None,
    ) -> None:
        if output_parser is not None:
            raise UsageError(
                "a prompt has no output parser: put it behind the model, prompt | model | parser, or ask for a typed answer with "
                "model.with_output(T)",
                argument="output_parser",
            )
        self._template = template_of(template, template_format)
        plain = Variables(self._template.variables, self._template.optional)
        self._variables = plain.with_partials(partial_variables) if partial_variables else plain
        if validate_template:
            check_declared(input_variables, self._variables)

    @classmethod
    def from_template(
        cls, template: Any, template_format: str = "f-string", partial_variables: Mapping[str, Any] | None = None
    ) -> Self:
        """The prompt of a text (or of a template string, `t"..."`, whose values are then never parsed)."""
        return cls(template, template_format=template_format, partial_variables=partial_variables)

    @classmethod
    def from_examples(
        cls,
        examples: Iterable[str],
        suffix: str,
        input_variables: Iterable[str] | None = None,
        example_separator: str = "\n\n",
        prefix: str = "",
        **options: Any,
    ) -> Self:
        """The prompt of a prefix, example texts and a suffix, with the separator between them, as in 2023."""
        text = example_separator.join([prefix, *examples, suffix])
        return cls(text, input_variables=input_variables, **options)

    @classmethod
    def from_file(
        cls,
        template_file: str | Path,
        input_variables: Iterable[str] | None = None,
        *,
        encoding: str = "utf-8",
        **options: Any,
    ) -> Self:
        """The prompt whose text a file holds. `options` are those of the class, such as `template_format`."""
        text = Path(template_file).read_text(encoding=encoding)
        return cls(text, input_variables=input_variables, **options)

    @property
    def template(self) -> str:
        """The text."""
        return self._template.source

    @property
    def template_format(self) -> str:
        """Its language."""
        return self._template.kind

    def _value(self, values: Mapping[str, Any], /) -> StringPromptValue:
        return StringPromptValue(self._template.render(values))

    def format(self, /, **values: Any) -> str:
        """The text with the values in it."""
        return self._template.render(self._variables.fill(values))

    def _with(self, variables: Variables) -> Self:
        made = object.__new__(type(self))
        made._template, made._variables = self._template, variables
        return made

    def __add__(self, other: Any) -> PromptTemplate:
        """This text and then another: a str or a prompt template of the same language. Partials are kept."""
        after = PromptTemplate(other, template_format=self.template_format) if isinstance(other, str) else other
        if not isinstance(after, PromptTemplate):
            return NotImplemented
        if after.template_format != self.template_format:
            raise UsageError(
                f"a {self.template_format} template and a {after.template_format} template do not add up",
                argument="template_format",
            )
        joined = PromptTemplate(self.template + after.template, template_format=self.template_format)
        return joined._with(joined._variables.with_partials({**self.partial_variables, **after.partial_variables}))

    def to_dict(self) -> dict[str, Any]:
        """The prompt as plain data; `from_dict` reads it."""
        from ._data import string_data

        return string_data(self)

    def __repr__(self) -> str:
        shown = f"PromptTemplate(input_variables={self.input_variables!r}, template={self.template!r}"
        if self.template_format != "f-string":
            shown += f", template_format={self.template_format!r}"
        return shown + (f", partial_variables={self.partial_variables!r})" if self._variables.partials else ")")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PromptTemplate):
            return NotImplemented
        return self._template == other._template and self._variables == other._variables

    def __hash__(self) -> int:
        return hash((self.template_format, self.template))

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), self.template, self.template_format, self.partial_variables)


def _unpickled(cls: type[PromptTemplate], template: str, kind: str, partials: dict[str, Any]) -> PromptTemplate:
    return cls(template, template_format=kind, partial_variables=partials)
