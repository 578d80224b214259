"""The language of templates: text with named fields, `{name}`, `{name!r}`, `{price:.2f}`; `{{` and `}}` are braces.

Owns parsing (once for each text) and filling in. A field is a name alone: no attributes, no indexes, no positions and no fields
within a format spec; a value is never parsed. Knows nothing of messages, files or other template languages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, time
from functools import lru_cache
from numbers import Number
from string import Formatter
from typing import Any, Protocol

import msgspec

from chatmodels._errors import UsageError


class Template(Protocol):
    """Text that takes variables, in any template language."""

    @property
    def source(self) -> str:
        """The text as it was given."""
        ...

    @property
    def kind(self) -> str:
        """The language: "f-string", "mustache", "jinja2" or "text"."""
        ...

    @property
    def variables(self) -> frozenset[str]:
        """The variables that must be given."""
        ...

    @property
    def optional(self) -> frozenset[str]:
        """The variables that may be given."""
        ...

    def render(self, values: Mapping[str, Any], /) -> str:
        """The text with the values in it; every variable must be among the values."""
        ...


# Width and precision are bounded, so that a template cannot ask for gigabytes of spaces.
_SPEC = re.compile(r"(?:.?[<>=^])?[-+ ]?z?#?0?[0-9]{0,4}[,_]?(?:\.[0-9]{1,3})?[bcdeEfFgGosxX%]?", re.DOTALL)
_LONGEST_DATE_SPEC = 64
_CONVERT: dict[str, Callable[[Any], str]] = {"r": repr, "s": str, "a": ascii}
_NONE: frozenset[str] = frozenset()
#: A parsed text of up to this many characters is kept for the next time; so all that is kept is small.
LONGEST_KEPT = 10_000


class Field(msgspec.Struct, frozen=True):
    """A place for a value: its name, `conversion` ("r", "s", "a" or None) and format spec."""

    name: str
    conversion: str | None = None
    spec: str = ""

    def render(self, values: Mapping[str, Any]) -> str:
        """The value as text."""
        value = values[self.name]
        if self.conversion is not None:
            value = _CONVERT[self.conversion](value)
        if self.spec and not _takes(value, self.spec):
            raise UsageError(
                f"{{{self.name}:{self.spec}}}: a format spec is for text, numbers and dates (a date takes %Y-%m-%d and the "
                f"like), not for {type(value).__name__}",
                argument=self.name,
            )
        try:
            return format(value, self.spec)
        except ValueError as error:
            raise UsageError(f"{{{self.name}:{self.spec}}}: {error}", argument=self.name) from error


def _takes(value: Any, spec: str) -> bool:
    if isinstance(value, (date, time)):
        return True
    return isinstance(value, (str, Number)) and _SPEC.fullmatch(spec) is not None


class FieldTemplate(msgspec.Struct, frozen=True):
    """A parsed text. `pieces` are its literals and fields in order; `plain` says that no field has a conversion or spec."""

    source: str
    pieces: tuple[str | Field, ...]
    variables: frozenset[str]
    plain: bool

    @property
    def kind(self) -> str:
        """The language."""
        return "f-string"

    @property
    def optional(self) -> frozenset[str]:
        """None: every field needs its value."""
        return _NONE

    @property
    def only(self) -> str | None:
        """The name of the field, where the text is one plain field and nothing else."""
        if self.plain and len(self.pieces) == 1 and isinstance(self.pieces[0], Field):
            return self.pieces[0].name
        return None

    def render(self, values: Mapping[str, Any]) -> str:
        """The text with the values in it."""
        if self.plain:  # parsed and found to hold bare names only: str.format can reach nothing else
            return self.source.format_map(values)
        return "".join([p if isinstance(p, str) else p.render(values) for p in self.pieces])


class PlainText(msgspec.Struct, frozen=True):
    """Text that takes no variables; braces are braces."""

    source: str

    @property
    def kind(self) -> str:
        """The language."""
        return "text"

    @property
    def variables(self) -> frozenset[str]:
        """None."""
        return _NONE

    @property
    def optional(self) -> frozenset[str]:
        """None."""
        return _NONE

    def render(self, values: Mapping[str, Any]) -> str:
        """The text."""
        return self.source


def parse(text: str) -> FieldTemplate:
    """The parsed template. Raises UsageError where a field is anything but a name.

    >>> sorted(parse("{greeting}, {name}!").variables)
    ['greeting', 'name']
    """
    return _kept(text) if len(text) <= LONGEST_KEPT else _parsed(text)


def _parsed(text: str) -> FieldTemplate:
    pieces: list[str | Field] = []
    try:
        for literal, name, spec, conversion in Formatter().parse(text):
            if literal:
                pieces.append(literal)
            if name is not None:
                pieces.append(_field(name, spec or "", conversion))
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"template {_short(text)}: {error}; {_BRACES}", argument="template") from error
    fields = [p for p in pieces if isinstance(p, Field)]
    return FieldTemplate(
        source=text,
        pieces=tuple(pieces),
        variables=frozenset(f.name for f in fields),
        plain=all(f.conversion is None and not f.spec for f in fields),
    )


_kept = lru_cache(maxsize=256)(_parsed)
_BRACES = "write {{ and }} for braces that are text"


def _field(name: str, spec: str, conversion: str | None) -> Field:
    shown = "{" + name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "") + "}"
    if not name.isidentifier():
        raise UsageError(f"template field {_short(shown)}: {_why(name)}", argument="template")
    if conversion is not None and conversion not in _CONVERT:
        raise UsageError(f"template field {_short(shown)}: a conversion is !r, !s or !a", argument="template")
    if not _good(spec):
        raise UsageError(
            f"template field {_short(shown)}: a format spec has no fields in it, a width of at most 4 digits and a precision "
            "of at most 3",
            argument="template",
        )
    return Field(name, conversion, spec)


def _good(spec: str) -> bool:
    if "{" in spec or "}" in spec:
        return False
    return _SPEC.fullmatch(spec) is not None or ("%" in spec and len(spec) <= _LONGEST_DATE_SPEC)


def _why(name: str) -> str:
    if not name:
        return "a field needs a name, {name}; " + _BRACES
    if name.replace(".", "").replace("[", "").replace("]", "").isidentifier():
        return "a field is a name alone, without attributes or indexes: pass the value itself"
    if name.isdigit():
        return "fields go by name, not by position"
    return "a field is a name alone; " + _BRACES


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
