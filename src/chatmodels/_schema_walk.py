"""Walking JSON Schemas and naming places in JSON: what every reader of schemas needs. Pure functions.

Knows where sub-schemas stand and how local references are resolved; knows no provider and no Python type.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias, TypeGuard

from ._errors import UsageError

__all__ = [
    "NAMED",
    "Path",
    "Schema",
    "is_array",
    "is_object",
    "map_children",
    "path_text",
    "resolve",
    "shown",
    "subschemas",
]

Schema: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str | int, ...]

#: Keywords whose value is a mapping of names to schemas, a list of schemas, and one schema.
NAMED = ("$defs", "definitions", "properties", "patternProperties", "dependentSchemas")
_LISTED = ("prefixItems", "anyOf", "oneOf", "allOf")
_SINGLE = (
    "items",
    "additionalItems",
    "additionalProperties",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "unevaluatedItems",
    "unevaluatedProperties",
)


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Whether a JSON value is an array."""
    return isinstance(value, list)


def path_text(path: Iterable[str | int]) -> str:
    """A place in a JSON value as people write it: `items[2].price`; the whole value is "(root)"."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "(root)"


def shown(value: Any, limit: int = 60) -> str:
    """A JSON value for an error message, cut to about `limit` characters."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=repr)
    except (TypeError, ValueError, RecursionError):
        # Keys that JSON has not, cycles, too many digits: none of it comes from JSON.
        text = f"a {type(value).__name__}"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def subschemas(schema: Schema) -> Iterator[tuple[Path, Any]]:
    """The direct sub-schemas (objects or booleans) of a schema, each with its place in it."""
    for word, value in schema.items():
        if word in NAMED and is_object(value):
            yield from (((word, name), sub) for name, sub in value.items())
        elif is_array(value) and (word in _LISTED or word == "items"):
            yield from (((word, index), sub) for index, sub in enumerate(value))
        elif word in _SINGLE:
            yield (word,), value


def map_children(schema: Schema, change: Callable[[Any, Path], Any]) -> Schema:
    """A copy of the schema with each direct sub-schema replaced by `change(sub, place)`, in order."""
    out: Schema = {}
    for word, value in schema.items():
        if word in NAMED and is_object(value):
            out[word] = {name: change(sub, (word, name)) for name, sub in value.items()}
        elif is_array(value) and (word in _LISTED or word == "items"):
            out[word] = [change(sub, (word, index)) for index, sub in enumerate(value)]
        elif word in _SINGLE:
            out[word] = change(value, (word,))
        else:
            out[word] = value
    return out


def resolve(root: Any, ref: Any) -> Any:
    """The schema that a local reference (`#`, `#/$defs/Name`, `#name`) points to; else a `UsageError`."""
    if isinstance(ref, str) and ref.startswith("#"):
        found = _anchored(root, ref[1:]) if ref[1:2] not in ("", "/") else _pointed(root, ref[1:])
        if found is not None:
            return found
    raise UsageError(
        f"the schema refers to {ref!r}, which is not inside it; only references within the schema are read",
        argument="schema",
    )


def _pointed(root: Any, pointer: str) -> Any:
    node: Any = root
    for raw in pointer.split("/")[1:]:
        step = raw.replace("%25", "%").replace("~1", "/").replace("~0", "~")
        if is_object(node):
            node = node.get(step)
        elif is_array(node) and step.isdigit() and int(step) < len(node):
            node = node[int(step)]
        else:
            return None
    return node


def _anchored(schema: Any, name: str) -> Any:
    if not is_object(schema):
        return None
    if schema.get("$anchor") == name:
        return schema
    return next((found for _, sub in subschemas(schema) if (found := _anchored(sub, name)) is not None), None)
