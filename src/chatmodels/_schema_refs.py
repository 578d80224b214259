"""References in JSON Schemas brought into one form, put in place of themselves, and `allOf` merged. Pure.

What `_schema_dialects` builds on. Every function gives a new schema and leaves the one it was given alone.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from ._errors import UsageError
from ._schema_walk import NAMED, Path, Schema, is_array, is_object, map_children, resolve, subschemas

__all__ = ["ANNOTATIONS", "inline_refs", "is_recursive", "merge", "normal"]

_DEFS = "#/$defs/"
_MOST_PARTS = 10_000
#: Keywords that say something of a value but never refuse one.
ANNOTATIONS = frozenset(
    {
        "$schema",
        "$id",
        "$anchor",
        "$comment",
        "title",
        "description",
        "default",
        "examples",
        "example",
        "deprecated",
        "readOnly",
        "writeOnly",
        "discriminator",
        "contentMediaType",
        "propertyOrdering",
    }
)


def normal(schema: Schema) -> Schema:
    """The schema with one spelling of references: all to `#` or `#/$defs/...`, and none alone at the root.

    Draft 7's `definitions` become `$defs`, its tuples `prefixItems`; `$schema`, `$id` and `$comment` go.
    """
    out: Schema = _Normal(schema).run()
    seen: set[str] = set()
    while "$ref" in out and out["$ref"] != "#" and out["$ref"] not in seen:
        seen.add(out["$ref"])
        siblings = {word: value for word, value in out.items() if word != "$ref"}
        target = resolve(out, out["$ref"])
        if not is_object(target):
            raise UsageError("the schema allows nothing", argument="schema")
        clash = any(word in target and word not in ANNOTATIONS for word in siblings)
        out = {**siblings, "allOf": [*siblings.get("allOf", ()), target]} if clash else {**target, **siblings}
    if "$ref" in out:
        raise UsageError("the schema is only a reference to itself", argument="schema")
    return out


class _Normal:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._defs: dict[str, Any] = {**root.get("definitions", {}), **root.get("$defs", {})}
        self._moved: dict[str, str] = {}

    def run(self) -> Schema:
        body = {word: value for word, value in self._root.items() if word not in ("definitions", "$defs")}
        out: Schema = self._part(body)
        done: Schema = {}
        # Moving the target of an odd reference can add definitions while we go.
        while waiting := [name for name in self._defs if name not in done]:
            for name in waiting:
                done[name] = self._part(self._defs[name])
        return {**out, "$defs": done} if done else out

    def _part(self, schema: Any, _: Path = ()) -> Any:
        if schema is True:
            return {}
        if not is_object(schema):
            return schema
        out = map_children(schema, self._part)
        if is_array(out.get("items")):
            out = _with_prefix_items(out)
        if "$ref" in out:
            out["$ref"] = self._ref(out["$ref"])
        return {word: value for word, value in out.items() if word not in ("$schema", "$id", "$comment", "$anchor")}

    def _ref(self, ref: Any) -> str:
        target = resolve(self._root, ref)
        if ref == "#":
            return "#"
        head, _, name = str(ref).rpartition("/")
        if head in ("#/definitions", "#/$defs") and self._defs.get(name) == target:
            return _DEFS + name
        if ref not in self._moved:
            free = next(name for n in count(1) if (name := f"ref_{n}") not in self._defs)
            self._moved[ref] = free
            self._defs[free] = target
        return _DEFS + self._moved[ref]


def _with_prefix_items(schema: Schema) -> Schema:
    out = {("prefixItems" if word == "items" else word): value for word, value in schema.items()}
    if "additionalItems" in out:
        out["items"] = out.pop("additionalItems")
    return out


def is_recursive(schema: Schema) -> bool:
    """Whether some definition (or the root) of a `normal` schema refers to itself, directly or around."""
    edges = {ref: _refs(resolve(schema, ref)) for ref in _refs(schema)}
    return any(_reaches(ref, ref, edges) for ref in edges)


def _refs(schema: Any) -> set[str]:
    if not is_object(schema):
        return set()
    found = {str(schema["$ref"])} if "$ref" in schema else set[str]()
    return found.union(*(_refs(sub) for _, sub in subschemas(schema)))


def _reaches(start: str, goal: str, edges: dict[str, set[str]]) -> bool:
    seen: set[str] = set()
    waiting = list(edges.get(start, ()))
    while waiting:
        ref = waiting.pop()
        if ref == goal:
            return True
        if ref not in seen:
            seen.add(ref)
            waiting += edges.get(ref, ())
    return False


def inline_refs(schema: Schema, *, depth: int = 3) -> tuple[Schema, list[str]]:
    """(the schema with what it refers to in place of each reference, notes on what could not be kept).

    A recursive definition is unrolled `depth` times; below that its optional members, alternatives and items
    are left out. Raises `UsageError` when it cannot end (a type that always holds itself), for a dead
    reference, and when the result would have more than 10,000 parts.
    """
    inliner = _Inliner(normal(schema), depth)
    out = inliner.run()
    return out, list(inliner.notes)


class _Cut:
    """Where the recursion was cut off."""


class _Emptied(dict[str, Any]):
    """The schema of an array whose items were cut off: left out where that is possible."""


_CUT = _Cut()
_GONE = _Cut()


class _Inliner:
    def __init__(self, root: Schema, depth: int) -> None:
        self._root = {word: value for word, value in root.items() if word != "$defs"}
        self._whole = root
        self._depth = depth
        self._parts = 0
        self.notes: dict[str, None] = {}

    def run(self) -> Schema:
        out = self._part(self._root, ())
        if is_object(out):
            return dict(out)
        raise UsageError("the schema always needs itself again, so no value can fit it", argument="schema")

    def _part(self, schema: Any, stack: tuple[str, ...]) -> Any:
        if not is_object(schema):
            return schema
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise UsageError(
                f"the schema has more than {_MOST_PARTS} parts without its references; make it smaller",
                argument="schema",
            )
        if "$ref" in schema:
            return self._ref(schema, stack)
        return _without_cuts(map_children(schema, lambda sub, _: self._part(sub, stack)))

    def _ref(self, schema: Schema, stack: tuple[str, ...]) -> Any:
        ref = schema["$ref"]
        if stack.count(ref) >= self._depth:
            self.notes[f"{ref.removeprefix(_DEFS)}: the recursion is described to a depth of {self._depth}"] = None
            return _CUT
        target = self._root if ref == "#" else resolve(self._whole, ref)
        inner = self._part(target, (*stack, ref))
        siblings = self._part({word: value for word, value in schema.items() if word != "$ref"}, stack)
        if not is_object(inner) or not is_object(siblings):
            return inner
        clashes = [word for word in siblings if word in inner and word not in ANNOTATIONS]
        return {"allOf": [inner], **siblings} if clashes else {**inner, **siblings}


def _without_cuts(schema: Schema) -> Any:
    """The schema without the parts that were cut off; cut off itself when it cannot be without them."""
    out = dict(schema)
    for word, value in schema.items():
        kept = _CUTTERS.get(word, _drop)(schema, value)
        if kept is _CUT:
            return _CUT
        if kept is _GONE:
            del out[word]
        else:
            out[word] = kept
    return _Emptied(out, maxItems=0) if schema.get("items") is _CUT else out


def _drop(_: Schema, value: Any) -> Any:
    return _GONE if value is _CUT else value


def _cut_properties(schema: Schema, value: dict[str, Any]) -> Any:
    cut = {name for name, sub in value.items() if sub is _CUT}
    if cut.intersection(schema.get("required", ())):
        return _CUT
    required = schema.get("required", ())
    return {n: sub for n, sub in value.items() if n in required or not isinstance(sub, _Cut | _Emptied)}


def _cut_names(_: Schema, value: dict[str, Any]) -> Any:
    return {name: sub for name, sub in value.items() if sub is not _CUT}


def _cut_alternatives(_: Schema, value: list[Any]) -> Any:
    whole = [sub for sub in value if not isinstance(sub, _Cut | _Emptied)]
    return whole or [sub for sub in value if sub is not _CUT] or _CUT


def _cut_all(_: Schema, value: list[Any]) -> Any:
    return _CUT if any(sub is _CUT for sub in value) else value


_CUTTERS: dict[str, Callable[[Schema, Any], Any]] = {
    **dict.fromkeys(NAMED, _cut_names),
    "properties": _cut_properties,
    "anyOf": _cut_alternatives,
    "oneOf": _cut_alternatives,
    "allOf": _cut_all,
    "prefixItems": _cut_all,
    "additionalProperties": lambda _, value: False if value is _CUT else value,
}


def merge(one: Schema, other: Schema, lost: list[str]) -> Schema:
    """A schema that means both, as far as one can say it; keywords that clash are added to `lost`."""
    out = dict(one)
    for word, value in other.items():
        if word not in out:
            out[word] = value
        elif out[word] != value and word not in ANNOTATIONS:
            out[word] = _merged(word, out[word], value, lost)
    return out


def _merged(word: str, one: Any, other: Any, lost: list[str]) -> Any:
    if word in _BOTH:
        return _BOTH[word](one, other)
    if word in NAMED:
        return _merge_named(one, other, lost)
    if word == "type":
        both = _types_of_both(one, other)
        if both:
            return both[0] if len(both) == 1 else both
    if word == "enum":
        return [value for value in one if value in other]
    if word in ("items", "additionalProperties") and is_object(one) and is_object(other):
        return merge(one, other, lost)
    if False in (one, other):
        return False
    lost.append(word)
    return one


_BOTH: dict[str, Callable[[Any, Any], Any]] = {
    "required": lambda one, other: list(dict.fromkeys([*one, *other])),
    "allOf": lambda one, other: [*one, *other],
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
    "anyOf": lambda one, other: [{"allOf": [a, b]} for a in one for b in other],
}


def _merge_named(one: dict[str, Any], other: dict[str, Any], lost: list[str]) -> dict[str, Any]:
    out = dict(one)
    for name, sub in other.items():
        known = out.get(name)
        out[name] = merge(known, sub, lost) if is_object(known) and is_object(sub) else sub
    return out


def _types_of_both(one: Any, other: Any) -> list[str]:
    first = one if is_array(one) else [one]
    second = other if is_array(other) else [other]
    both = [word for word in first if word in second]
    if "integer" in [*first, *second] and "number" in [*first, *second] and "integer" not in both:
        both.append("integer")
    return both
