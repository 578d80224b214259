"""What stands behind a type in `Annotated`, as keywords of JSON Schema.

msgspec.Meta, the classes of annotated_types and pydantic's FieldInfo use the same names for their attributes, so they are
read by name and none of the libraries is imported.
"""

from __future__ import annotations

from typing import Any

from ._schema_nodes import ArrayNode, MapNode, MetaNode, Node, ObjectNode, TupleNode, UnionNode
from ._schema_walk import is_array, is_object

_NUMERIC_KEYWORDS = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
    "multiple_of": "multipleOf",
}


def metadata_of(items: tuple[Any, ...], inner: Node) -> tuple[dict[str, Any], str | None]:
    """The keywords and the description that the metadata of a type give."""
    keywords: dict[str, Any] = {}
    description: str | None = None
    for item in items:
        if isinstance(item, str):
            description = item
            continue
        keywords.update(_constraints(item, inner))
        description = getattr(item, "description", None) or getattr(item, "documentation", None) or description
        nested = getattr(item, "metadata", None)
        if is_array(nested):
            more, said = metadata_of(tuple(nested), inner)
            keywords.update(more)
            description = said or description
    return keywords, description


def _constraints(item: Any, inner: Node) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for attribute, keyword in _NUMERIC_KEYWORDS.items():
        bound = getattr(item, attribute, None)
        if isinstance(bound, int | float) and not isinstance(bound, bool):
            found[keyword] = bound
    for end in ("min", "max"):
        length = getattr(item, f"{end}_length", None)
        if isinstance(length, int):
            found[end + _length_word(inner)] = length
    pattern = getattr(item, "pattern", None)
    if isinstance(pattern, str):
        found["pattern"] = pattern
    return found | _annotations(item)


def _annotations(item: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in ("title", "examples"):
        said = getattr(item, word, None)
        if isinstance(said, str | list):
            found[word] = said
    for word in ("extra_json_schema", "json_schema_extra"):
        extra = getattr(item, word, None)
        if is_object(extra):
            found.update(extra)
    return found


def _length_word(node: Node) -> str:
    match node:
        case ArrayNode() | TupleNode():
            return "Items"
        case MapNode() | ObjectNode():
            return "Properties"
        case UnionNode():
            words = [_length_word(option) for option in node.options]
            return next((word for word in words if word != "Length"), "Length")
        case MetaNode():
            return _length_word(node.inner)
        case _:
            return "Length"
