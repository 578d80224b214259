"""The content of a message with several parts, as a template: text, images, files, with variables in any of their fields.

Items are as in a message's content: strings, parts, and dicts (ours or OpenAI's), whose strings are templates. Nothing is
fetched or read from disk: a URL goes to the provider as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec

from chatmodels._content import part_of
from chatmodels._errors import UsageError
from chatmodels._json import is_array, is_object
from chatmodels._parts import PART_TYPES, Part, Text

from ._languages import template_of
from ._template import FieldTemplate, Template
from ._tstrings import is_tstring, tstring_content

#: Gives an item, or a piece of one, with the values in it.
Fill = Callable[[Mapping[str, Any]], Any]


class ContentTemplate:
    """A list of parts with variables. `given` is the list as it was given."""

    __slots__ = ("_fills", "given", "kind", "optional", "variables")

    def __init__(self, given: Sequence[Any], template_format: str = "f-string") -> None:
        self.given = tuple(given)
        self.kind = template_format
        found: list[Template] = []
        fills: list[Fill] = []
        for position, item in enumerate(self.given):
            try:
                fills.append(_item(item, template_format, found))
            except UsageError as error:
                raise UsageError(f"content[{position}]: {error.text}", argument=f"content[{position}]") from error
        self._fills = fills
        self.variables: frozenset[str] = frozenset().union(*(t.variables for t in found))
        self.optional: frozenset[str] = frozenset().union(*(t.optional for t in found)) - self.variables

    def render(self, values: Mapping[str, Any]) -> list[Part]:
        """The parts with the values in them."""
        parts: list[Part] = []
        for position, fill in enumerate(self._fills):
            made = fill(values)
            if is_array(made):
                parts += made
            elif isinstance(made, PART_TYPES):
                parts.append(cast(Part, made))
            elif made != "":
                parts.append(part_of(made, position))
        return parts

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ContentTemplate):
            return NotImplemented
        return (self.given, self.kind) == (other.given, other.kind)

    def __hash__(self) -> int:
        return hash((len(self.given), self.kind))

    def __repr__(self) -> str:
        return repr(list(self.given))

    def __reduce__(self) -> tuple[Any, ...]:
        return ContentTemplate, (self.given, self.kind)


def _item(item: Any, language: str, found: list[Template]) -> Fill:
    if isinstance(item, PART_TYPES):
        return lambda values: item
    if is_tstring(item):
        content = tstring_content(item)
        made = [Text(content)] if isinstance(content, str) else content
        return lambda values: list(made)
    if isinstance(item, str):
        return _part_or_text(_text(item, language, found))
    if is_object(item):
        kind = next((k for k in ("text", "image_url") if item.keys() == {k}), None)
        if isinstance(item.get("type"), str) or kind is not None:
            return _dict({"type": kind, **item}, language, found)
    raise UsageError("a part, a str or a dict with a 'type'", argument="content")


def _text(text: str, language: str, found: list[Template]) -> Template:
    template = template_of(text, language)
    found.append(template)
    return template


def _part_or_text(template: Template) -> Fill:
    """An item that is one field and nothing else may be given a part."""
    only = template.only if isinstance(template, FieldTemplate) else None
    if only is None:
        return template.render
    return lambda values: values[only] if isinstance(values[only], PART_TYPES) else template.render(values)


def _dict(item: dict[str, Any], language: str, found: list[Template]) -> Fill:
    fields = {key: _field(key, value, language, found) for key, value in item.items()}
    return lambda values: {key: fill(values) for key, fill in fields.items()}


def _field(key: str, value: Any, language: str, found: list[Template]) -> Fill:
    if key == "type":
        return lambda values: value
    if isinstance(value, str):
        template = _text(value, language, found)
        return template.render if key == "text" else _native(template)
    if is_object(value):
        return _dict(value, language, found)
    if is_array(value):
        fills = [_field("", v, language, found) for v in value]
        return lambda values: [fill(values) for fill in fills]
    if isinstance(value, msgspec.Struct):
        raise UsageError(f"{key} is plain data, not {type(value).__name__}", argument="content")
    return lambda values: value


def _native(template: Template) -> Fill:
    """A field of a part that is one variable and nothing else takes its value as it is: bytes stay bytes."""
    only = template.only if isinstance(template, FieldTemplate) else None
    if only is None:
        return template.render
    # A dict or a list would bring fields of its own: only what is one value is taken as it is.
    return lambda values: values[only] if isinstance(values[only], _SINGLE) else template.render(values)


_SINGLE = (str, bytes, int, float, type(None))
