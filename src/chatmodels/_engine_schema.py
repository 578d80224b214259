"""JSON Schemas as the embedded engine's grammar compiler can take them. Pure; knows neither engine nor request.

llama.cpp turns a schema into a grammar. A `pattern` that it cannot translate (`\\d`, `\\w`, look-arounds) it drops
with a line on the process's standard error, `minLength` above `maxLength` never comes back, and a `.` lets a bare
quote into a JSON string. So patterns are put into its own words here, or left out where it has none: the schema
then accepts more, as it would have anyway, and whoever asked for the type still validates.

Source: common/json-schema-to-grammar.cpp of llama.cpp, and trials with xllamacpp 2026.10 (checked 2026-11).
"""

from __future__ import annotations

import re
from typing import Any, cast

#: Above this the grammar parser refuses ("number of repetitions exceeds sane defaults" at 2000).
_MOST_REPEATS = 1000
_LITERAL_VALUES = frozenset({"enum", "const", "default", "examples"})
_BOUNDS = (("minLength", "maxLength"), ("minItems", "maxItems"))

_TOKEN = re.compile(r"\\.|\(\?:|\(\?|\{[0-9]*,?[0-9]*\}|.", re.DOTALL)
_CLASS = re.compile(r"\\.|.", re.DOTALL)
# What may not stand bare inside a JSON string, in the grammar's escapes.
_NEVER = r"\x22\x5C\x00-\x1F"
_SETS = {"d": "0-9", "w": "A-Za-z0-9_", "s": " "}
_REPEATERS = frozenset({"*", "+", "?"})
_GROUPED = frozenset("^$.[](){}|*+?")
_SPECIAL = {
    "(?": None,  # look-arounds, named groups, flags
    "^": None,
    "$": None,
    '"': None,
    ".": f"[^{_NEVER}\\x7F]",
}


class BadSchema(ValueError):
    """A schema that no text can satisfy."""


def for_grammar(schema: Any) -> Any:
    """The JSON value with every schema in it made digestible; BadSchema for bounds that exclude each other."""
    if isinstance(schema, list):
        return [for_grammar(item) for item in _items(schema)]
    if not isinstance(schema, dict):
        return schema
    given = cast("dict[str, Any]", schema)
    node = {k: v if k in _LITERAL_VALUES else for_grammar(v) for k, v in given.items()}
    _check_bounds(node)
    if isinstance(node.get("pattern"), str):
        pattern = grammar_pattern(node.pop("pattern"))
        if pattern is not None:
            node["pattern"] = pattern
    return node


def _items(array: Any) -> list[Any]:
    return list(array)


def _check_bounds(node: dict[str, Any]) -> None:
    for low, high in _BOUNDS:
        least, most = node.get(low), node.get(high)
        if not isinstance(least, int):
            continue
        if isinstance(most, int) and least > most:
            raise BadSchema(f"{low} ({least}) is greater than {high} ({most}): no value fits")
        if least > _MOST_REPEATS:
            node[low] = _MOST_REPEATS


def grammar_pattern(pattern: str) -> str | None:
    """The pattern in the grammar compiler's dialect, or None if it has no words for it.

    >>> grammar_pattern(r"^\\d{4}-\\w+$")
    '^[0-9]{4}-[A-Za-z0-9_]+$'
    """
    if not (pattern.startswith("^") and pattern.endswith("$")) or len(pattern) < 2:
        return None
    out: list[str] = []
    body, at = pattern[1:-1], 0
    while at < len(body):
        if body[at] == "[":
            piece, at = _char_class(body, at)
        else:
            part = _next(_TOKEN, body, at)
            at += len(part)
            piece = _outside(part, out)
        if piece is None:
            return None
        if piece:
            out.append(piece)
    return f"^{''.join(out)}$"


def _next(tokens: re.Pattern[str], text: str, at: int) -> str:
    found = tokens.match(text, at)
    return found.group() if found else text[at]


def _outside(part: str, before: list[str]) -> str | None:
    if part[0] == "\\":
        return _escape(part[1:])
    if part in _SPECIAL:
        return _SPECIAL[part]
    if part == "?" and before and (before[-1] in _REPEATERS or before[-1][0] == "{"):
        return ""  # lazy or greedy: the same language
    if part[0] == "{" and len(part) > 1:
        return _repeat(part)
    return part if part.isprintable() else None


def _escape(char: str) -> str | None:
    """`char` as it stood behind a backslash, outside a class."""
    if char in _SETS:
        return f"[{_SETS[char]}]"
    if char.lower() in _SETS:
        return f"[^{_SETS[char.lower()]}{_NEVER}]"
    if char.isalnum() or char in '"\\' or not char:
        return None  # \b, \1, \p, and what would have to be escaped once more inside a JSON string
    return f"\\{char}" if char in _GROUPED else char


def _repeat(token: str) -> str | None:
    counts = [int(n) for n in token[1:-1].split(",") if n]
    if not counts or max(counts) > _MOST_REPEATS or counts != sorted(counts):
        return None
    return token


def _char_class(body: str, start: int) -> tuple[str | None, int]:
    """A `[...]` from `start` on, and where it ends."""
    at = start + 1
    negated = body[at : at + 1] == "^"
    at += negated
    out: list[str | None] = []
    while at < len(body) and body[at] != "]":
        part = _next(_CLASS, body, at)
        out.append(_in_class(part, negated))
        at += len(part)
    if at >= len(body) or not out or None in out:
        return None, len(body)
    inside = "".join(piece for piece in out if piece is not None)
    return (f"[^{inside}{_NEVER}]" if negated else f"[{inside}]"), at + 1


def _in_class(token: str, negated: bool) -> str | None:
    char = token[-1]
    if token[0] != "\\":
        return char if char != '"' or negated else None
    if char in _SETS:
        return _SETS[char]
    if char == "\\":
        return "\\\\" if negated else None
    if char.isalnum() or (char == '"' and not negated):
        return None
    if char in "-^":
        return f"\\x{ord(char):02X}"
    return f"\\{char}" if char in "[]" else char
