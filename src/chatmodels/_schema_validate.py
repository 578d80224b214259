"""A JSON value checked against a JSON Schema: the problems, each with its path. Pure, one walk.

The well-kept `jsonschema` package does this in full; we keep to three light dependencies, so this reads the
part of draft 2020-12 that is used to describe answers (and draft 7's spelling of tuples), and the tests hold
it against `jsonschema`. Not read: `$dynamicRef`, `unevaluated*`, remote references; `format` is a note only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ._errors import UsageError
from ._schema_walk import Path, Schema, is_array, is_object, path_text, resolve, shown, subschemas

__all__ = ["Problem", "check_schema", "drop_absent", "problems_of", "validate"]

_TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
_MAX_REF_CHAIN = 64


class Problem(NamedTuple):
    """What does not fit, and where."""

    path: Path
    text: str

    def __str__(self) -> str:
        return f"{path_text(self.path)}: {self.text}"


def validate(value: Any, schema: Schema | bool) -> list[str]:
    """The problems of a JSON value under a JSON Schema, as "path: what is wrong"; none when it fits.

    `value` is made of dict, list, str, int, float, bool and None. Raises `UsageError` for a reference that
    leads outside the schema and for a pattern that Python's `re` cannot read.
    """
    return [str(problem) for problem in problems_of(value, schema)]


def problems_of(value: Any, schema: Any, *, root: Any = None, path: Path = ()) -> list[Problem]:
    """As `validate`, but as values; `root` is what local references are resolved in (default: the schema)."""
    try:
        return list(_check(value, schema, _Place(schema if root is None else root, path)))
    except RecursionError:
        return [Problem(path, "nested too deeply")]


class _Place(NamedTuple):
    root: Any
    path: Path
    refs: int = 0

    def at(self, *steps: str | int) -> _Place:
        return _Place(self.root, (*self.path, *steps))


def _check(value: Any, schema: Any, place: _Place) -> Iterator[Problem]:
    if schema is False:
        yield Problem(place.path, "nothing is allowed here")
    if not is_object(schema):
        return
    wrong_type = list(_type(value, schema, place))
    yield from wrong_type
    if wrong_type:
        return
    for word, rule in _RULES.items():
        if word in schema:
            yield from rule(value, schema, place)
    if is_object(value):
        yield from _object(value, schema, place)
    elif is_array(value):
        yield from _array(value, schema, place)
    elif isinstance(value, str):
        yield from _string(value, schema, place)
    elif _is_number(value):
        yield from _number(value, schema, place)


# Types and equality, as JSON has them: true is not 1, and 1.0 is an integer.


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


_HAS_TYPE: dict[str, Callable[[Any], bool]] = {
    "object": is_object,
    "array": is_array,
    "string": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def _type(value: Any, schema: Schema, place: _Place) -> Iterator[Problem]:
    if "type" not in schema:
        return
    wanted: Any = schema["type"]
    words = wanted if is_array(wanted) else [wanted]
    if not any(word in _HAS_TYPE and _HAS_TYPE[word](value) for word in words):
        yield Problem(place.path, f"expected {' or '.join(map(str, words))}, got {shown(value)}")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if is_array(one) and is_array(other):
        return len(one) == len(other) and all(map(_same, one, other))
    if is_object(one) and is_object(other):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)


# Keywords for any type


def _enum(value: Any, schema: Schema, place: _Place) -> Iterator[Problem]:
    if not any(_same(value, choice) for choice in schema["enum"]):
        choices = ", ".join(shown(choice) for choice in schema["enum"])
        yield Problem(place.path, f"expected one of {choices}, got {shown(value)}")


def _const(value: Any, schema: Schema, place: _Place) -> Iterator[Problem]:
    if not _same(value, schema["const"]):
        yield Problem(place.path, f"expected {shown(schema['const'])}, got {shown(value)}")


def _ref(value: Any, schema: Schema, place: _Place) -> Iterator[Problem]:
    if place.refs > _MAX_REF_CHAIN:
        raise UsageError(f"the schema's reference {schema['$ref']!r} leads back to itself", argument="schema")
    target = resolve(place.root, schema["$ref"])
    yield from _check(value, target, place._replace(refs=place.refs + 1))


def _all_of(value: Any, schema: Schema, place: _Place) -> Iterator[Problem]:
    for sub in schema["allOf"]:
        yield from _check(value, sub, place)


def _any_of(value: Any, schema: Schema, place: _Place) -> Iterator[Problem]:
    tries = [list(_check(value, sub, place)) for sub in schema["anyOf"]]
    if all(tries):
        yield from _closest(value, tries, place)


def _one_of(value: Any, schema: Schema, place: _Place) -> Iterator[Problem]:
    tries = [list(_check(value, sub, place)) for sub in schema["oneOf"]]
    fitting = sum(not problems for problems in tries)
    if fitting == 0:
        yield from _closest(value, tries, place)
    elif fitting > 1:
        yield Problem(place.path, f"{shown(value)} fits {fitting} of the alternatives, but must fit only one")


def _closest(value: Any, tries: list[list[Problem]], place: _Place) -> Iterator[Problem]:
    """The problems of the alternative that the value came closest to: the one that failed deepest."""
    inside = [problems for problems in tries if all(len(p.path) > len(place.path) for p in problems)]
    if inside:
        yield from min(inside, key=len)
        return
    reasons = dict.fromkeys(problem.text for problems in tries for problem in problems[:1])
    text = f"{shown(value)} fits none of the {len(tries)} alternatives ({'; '.join(reasons)})"
    yield Problem(place.path, text)


def _not(value: Any, schema: Schema, place: _Place) -> Iterator[Problem]:
    if not list(_check(value, schema["not"], place)):
        yield Problem(place.path, f"{shown(value)} is what the schema excludes")


def _if(value: Any, schema: Schema, place: _Place) -> Iterator[Problem]:
    word = "else" if list(_check(value, schema["if"], place)) else "then"
    yield from _check(value, schema.get(word, True), place)


_RULES: dict[str, Callable[[Any, Schema, _Place], Iterator[Problem]]] = {
    "$ref": _ref,
    "enum": _enum,
    "const": _const,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
}


# Objects


def _object(value: dict[str, Any], schema: Schema, place: _Place) -> Iterator[Problem]:
    yield from _size(len(value), schema, "Properties", "keys", place)
    for name in schema.get("required", ()):
        if name not in value:
            yield Problem((*place.path, name), "missing")
    for name, needed in schema.get("dependentRequired", {}).items():
        absent = [other for other in needed if other not in value] if name in value else []
        yield from (Problem((*place.path, other), f"missing (needed with {name})") for other in absent)
    for name, sub in schema.get("dependentSchemas", {}).items():
        if name in value:
            yield from _check(value, sub, place)
    for name, item in value.items():
        if "propertyNames" in schema:
            yield from _check(name, schema["propertyNames"], place.at(name))
        yield from _property(name, item, schema, place)


def _property(name: str, item: Any, schema: Schema, place: _Place) -> Iterator[Problem]:
    subs = [schema["properties"][name]] if name in schema.get("properties", {}) else []
    subs += [sub for pattern, sub in schema.get("patternProperties", {}).items() if _search(pattern, name)]
    if not subs and schema.get("additionalProperties") is False:
        yield Problem((*place.path, name), "not a known key")
        return
    for sub in subs or [schema.get("additionalProperties", True)]:
        yield from _check(item, sub, place.at(name))


# Arrays


def _array(value: list[Any], schema: Schema, place: _Place) -> Iterator[Problem]:
    yield from _size(len(value), schema, "Items", "items", place)
    first, rest = _item_schemas(schema)
    for index, item in enumerate(value):
        sub = first[index] if index < len(first) else rest
        if sub is False:
            yield Problem((*place.path, index), f"one item too many (expected {len(first)})")
        else:
            yield from _check(item, sub, place.at(index))
    if schema.get("uniqueItems") is True:
        yield from _unique(value, place)
    if "contains" in schema:
        yield from _contains(value, schema, place)


def _item_schemas(schema: Schema) -> tuple[list[Any], Any]:
    """The schemas of the first items and of all further ones; draft 7 has the first as a list in `items`."""
    if is_array(schema.get("items")):
        return schema["items"], schema.get("additionalItems", True)
    return schema.get("prefixItems", []), schema.get("items", True)


def _unique(value: list[Any], place: _Place) -> Iterator[Problem]:
    if all(isinstance(item, str) for item in value) and len(set(value)) == len(value):
        return
    for index, item in enumerate(value):
        if any(_same(item, earlier) for earlier in value[:index]):
            yield Problem((*place.path, index), f"{shown(item)} is there twice")


def _contains(value: list[Any], schema: Schema, place: _Place) -> Iterator[Problem]:
    fitting = sum(not list(_check(item, schema["contains"], place)) for item in value)
    least, most = schema.get("minContains", 1), schema.get("maxContains")
    if fitting < least or (most is not None and fitting > most):
        wanted = f"at least {least}" if fitting < least else f"at most {most}"
        yield Problem(place.path, f"{fitting} items are of the kind of which {wanted} must be there")


def _size(length: int, schema: Schema, suffix: str, what: str, place: _Place) -> Iterator[Problem]:
    least, most = schema.get(f"min{suffix}"), schema.get(f"max{suffix}")
    if least is not None and length < least:
        yield Problem(place.path, f"expected at least {least} {what}, got {length}")
    if most is not None and length > most:
        yield Problem(place.path, f"expected at most {most} {what}, got {length}")


# Strings and numbers


def _string(value: str, schema: Schema, place: _Place) -> Iterator[Problem]:
    yield from _size(len(value), schema, "Length", "characters", place)
    if "pattern" in schema and not _search(schema["pattern"], value):
        yield Problem(place.path, f"{shown(value)} does not match the pattern {schema['pattern']}")


def _search(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text) is not None


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"the schema's pattern {pattern!r} is not one that Python's re can read ({error}); rewrite it",
            argument="schema",
        ) from error


_BOUNDS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "minimum": ("at least", lambda value, bound: value >= bound),
    "maximum": ("at most", lambda value, bound: value <= bound),
    "exclusiveMinimum": ("more than", lambda value, bound: value > bound),
    "exclusiveMaximum": ("less than", lambda value, bound: value < bound),
}


def _number(value: float, schema: Schema, place: _Place) -> Iterator[Problem]:
    for word, (said, holds) in _BOUNDS.items():
        if word in schema and not holds(value, schema[word]):
            yield Problem(place.path, f"expected {said} {shown(schema[word])}, got {shown(value)}")
    step = schema.get("multipleOf")
    if step and not _is_multiple(value, step):
        yield Problem(place.path, f"expected a multiple of {shown(step)}, got {shown(value)}")


def _is_multiple(value: float, step: float) -> bool:
    # As decimals, so that 0.3 is a multiple of 0.1. Imported here: few schemas need it.
    from fractions import Fraction

    return Fraction(str(value)) % Fraction(str(step)) == 0


# Schemas themselves


def check_schema(schema: Any) -> None:
    """Raise `UsageError` for what is no usable JSON Schema: wrong shapes, dead references, bad patterns."""
    _check_part(schema, schema, ())


def _check_part(schema: Any, root: Any, path: Path) -> None:
    if isinstance(schema, bool):
        return
    if not is_object(schema):
        raise _bad(path, f"is {shown(schema)}, where a schema (an object) is expected")
    for word, fits, wanted in _SHAPES:
        if word in schema and not fits(schema[word]):
            raise _bad((*path, word), f"is {shown(schema[word])}; it must be {wanted}")
    if "$ref" in schema:
        resolve(root, schema["$ref"])
    if "pattern" in schema:
        _compiled(schema["pattern"])
    for place, sub in subschemas(schema):
        if place[0] == "patternProperties":
            _compiled(str(place[1]))
        _check_part(sub, root, (*path, *place))


def _bad(path: Path, what: str) -> UsageError:
    return UsageError(f"not a JSON Schema: {path_text(path)} {what}", argument="schema")


def _is_type(value: Any) -> bool:
    words = value if is_array(value) else [value]
    return bool(words) and all(isinstance(word, str) and word in _TYPES for word in words)


def _is_count(value: Any) -> bool:
    return _is_integer(value) and value >= 0


def _is_strings(value: Any) -> bool:
    return is_array(value) and all(isinstance(item, str) for item in value)


def _is_lists(value: Any) -> bool:
    return is_object(value) and all(map(_is_strings, value.values()))


_SHAPES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("type", _is_type, "one of " + ", ".join(_TYPES) + ", or a list of these"),
    ("enum", is_array, "a list"),
    ("required", _is_strings, "a list of names"),
    ("pattern", lambda value: isinstance(value, str), "a string"),
    *((word, is_object, "an object") for word in ("properties", "patternProperties", "$defs", "definitions")),
    *((word, lambda value: is_array(value) and bool(value), "a list") for word in ("anyOf", "oneOf", "allOf")),
    ("prefixItems", is_array, "a list"),
    ("dependentRequired", _is_lists, "an object of lists of names"),
    *((word, _is_number, "a number") for word in (*_BOUNDS, "multipleOf")),
    *(
        (end + what, _is_count, "a whole number, 0 or more")
        for end in ("min", "max")
        for what in ("Length", "Items", "Properties", "Contains")
    ),
)


# Optional members in strict mode


def drop_absent(value: Any, schema: Any, root: Any = None) -> Any:
    """The value without those members that are null only because a strict mode made every member required.

    A member is dropped when it is null, the schema does not require it, and its own schema takes no null:
    then null can only mean "not given". Everything else is kept; the value is not changed in place.
    """
    root = schema if root is None else root
    if not is_object(schema):
        return value
    if "$ref" in schema:
        value = drop_absent(value, resolve(root, schema["$ref"]), root)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            value = _drop_in_alternative(value, schema[word], root)
    for sub in schema.get("allOf", ()):
        value = drop_absent(value, sub, root)
    if is_object(value):
        return {name: out for name, item in value.items() if (out := _member(name, item, schema, root)) is not _GONE}
    if is_array(value):
        first, rest = _item_schemas(schema)
        return [drop_absent(item, first[i] if i < len(first) else rest, root) for i, item in enumerate(value)]
    return value


_GONE = object()


def _member(name: str, item: Any, schema: Schema, root: Any) -> Any:
    properties = schema.get("properties", {})
    if name not in properties:
        return drop_absent(item, schema.get("additionalProperties", True), root)
    if item is None and name not in schema.get("required", ()):
        return _GONE if problems_of(None, properties[name], root=root) else None
    return drop_absent(item, properties[name], root)


def _drop_in_alternative(value: Any, alternatives: list[Any], root: Any) -> Any:
    if not is_object(value) and not is_array(value):
        return value
    for sub in alternatives:
        cleaned = drop_absent(value, sub, root)
        if not problems_of(cleaned, sub, root=root):
            return cleaned
    return value
