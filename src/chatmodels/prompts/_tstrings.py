"""Template strings (PEP 750, Python 3.14): `t"Hello {name}"` as text or as parts. Its values are in it; nothing is parsed.

Reads what has `strings` and `interpolations`, so that it imports on any Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeGuard, cast

from chatmodels._parts import PART_TYPES, Part, Text

_CONVERT: dict[str, Callable[[Any], str]] = {"r": repr, "s": str, "a": ascii}


class Interpolation(Protocol):
    """A value in a template string, with the conversion ("r", "s", "a" or None) and format spec that stand behind it."""

    value: Any
    conversion: str | None
    format_spec: str


class TString(Protocol):
    """What we need of `string.templatelib.Template`: one more string than interpolations, in turns."""

    strings: tuple[str, ...]
    interpolations: tuple[Interpolation, ...]


def is_tstring(value: object) -> TypeGuard[TString]:
    """Whether a value is a template string."""
    return isinstance(getattr(value, "strings", None), tuple) and isinstance(
        getattr(value, "interpolations", None), tuple
    )


def tstring_text(template: TString) -> str:
    """The text, as an f-string would give it."""
    pieces = [template.strings[0]]
    for interpolation, literal in zip(template.interpolations, template.strings[1:], strict=True):
        pieces += [_shown(interpolation), literal]
    return "".join(pieces)


def tstring_content(template: TString) -> str | list[Part]:
    """The content of a message: text, or a list of parts where a value is a part (an image, a file)."""
    if not any(_is_part(i) for i in template.interpolations):
        return tstring_text(template)
    parts: list[Part] = []
    text = template.strings[0]
    for interpolation, literal in zip(template.interpolations, template.strings[1:], strict=True):
        if not _is_part(interpolation):
            text += _shown(interpolation) + literal
            continue
        if text:
            parts.append(Text(text))
        parts.append(cast(Part, interpolation.value))
        text = literal
    return [*parts, Text(text)] if text else parts


def _is_part(interpolation: Interpolation) -> bool:
    return isinstance(interpolation.value, PART_TYPES)


def _shown(interpolation: Interpolation) -> str:
    value = interpolation.value
    if interpolation.conversion is not None:
        value = _CONVERT[interpolation.conversion](value)
    return format(value, interpolation.format_spec)
