"""The JSON Schema that Cohere's structured outputs and strict tools take.

Every object needs a required member; ranges, lengths, `allOf`, `oneOf`, `not`, look-around and anchors in patterns and
most formats are not taken. Source: docs.cohere.com, "Structured Outputs" (schema constraints), checked 2026-11.
"""

from __future__ import annotations

import re
from typing import Any

from .._schema_refs import normal
from .._schema_trim import flat, tuple_as_items, with_lost
from .._schema_walk import Path, Schema, is_object, map_children
from ._kept import items

_REFUSED = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems"}
    | {"minLength", "maxLength", "uniqueItems", "not", "if", "then", "else", "contains", "minContains"}
    | {"maxContains", "minProperties", "maxProperties", "patternProperties", "propertyNames"}
    | {"dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties", "unevaluatedItems"}
    | {"default", "examples", "discriminator"}
)
_FORMATS = ("date-time", "uuid", "date", "time")
_ANCHORS = re.compile(r"[\^$]|\(\?[=!]")


def for_cohere(schema: Schema) -> tuple[Schema, list[str]]:
    """(the schema as Cohere takes it, notes on what is sent only as text)."""
    root = normal(schema)
    notes: list[str] = []
    return _part(root, root, (), notes), list(dict.fromkeys(notes))


def _part(schema: Any, root: Schema, path: Path, notes: list[str]) -> Any:
    if not is_object(schema):
        return schema
    out = flat(schema, root, path, notes)
    if "prefixItems" in out:
        out = tuple_as_items(out, path, notes)
    out = _with_required(_bare_pattern(out))
    lost = [word for word in out if word in _REFUSED]
    lost += ["format"] if "format" in out and out["format"] not in _FORMATS else []
    lost += ["pattern"] if _ANCHORS.search(str(out.get("pattern", ""))) else []
    out = with_lost(out, lost, path, notes)
    return map_children(out, lambda sub, place: _part(sub, root, (*path, *place), notes))


def _bare_pattern(schema: Schema) -> Schema:
    """`^...$` without its anchors: a pattern is taken for the whole text anyway."""
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and pattern[:1] == "^" and pattern[-1:] == "$" and pattern[-2:] != "\\$":
        return {**schema, "pattern": pattern[1:-1]}
    return schema


def _with_required(schema: Schema) -> Schema:
    """An object of optional members only: they are required, and may be null."""
    members = schema.get("properties")
    if not is_object(members) or not members or schema.get("required"):
        return schema
    nullable = {name: _nullable(sub) for name, sub in members.items()}
    return {**schema, "properties": nullable, "required": list(members)}


def _nullable(schema: Any) -> Any:
    if not is_object(schema) or not schema.keys() - {"description", "title"}:
        return schema
    options = items(schema.get("anyOf"))
    if options and schema.keys() <= {"anyOf", "description", "title"}:
        null = {"type": "null"}
        return schema if null in options else {**schema, "anyOf": [*options, null]}
    said = {word: schema[word] for word in ("description", "title") if word in schema}
    bare = {word: value for word, value in schema.items() if word not in said}
    return {**said, "anyOf": [bare, {"type": "null"}]}
