"""The nodes that annotations are read into: what JSON can carry, and how to make the Python value of it.

Data only: `_schema_types` makes these trees, `_schema` and `_schema_convert` read them. Trees of recursive
types are cyclic.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

__all__ = [
    "MISSING",
    "AliasNode",
    "AnyNode",
    "ArrayNode",
    "ChoiceNode",
    "Field",
    "ForeignNode",
    "MapNode",
    "MetaNode",
    "Node",
    "ObjectNode",
    "ScalarNode",
    "TextNode",
    "TupleNode",
    "UnionNode",
    "without_meta",
]


class _Missing(enum.Enum):
    MISSING = "missing"


MISSING = _Missing.MISSING


@dataclasses.dataclass(slots=True, eq=False)
class AnyNode:
    """Any JSON value, kept as it is."""


@dataclasses.dataclass(slots=True, eq=False)
class ScalarNode:
    """One of JSON's own scalars."""

    kind: Literal["string", "integer", "number", "boolean", "null"]


@dataclasses.dataclass(slots=True, eq=False)
class TextNode:
    """A Python value that JSON carries as a string of a certain format."""

    python: Any
    kind: str


@dataclasses.dataclass(slots=True, eq=False)
class ChoiceNode:
    """One of some given values: (as in JSON, as in Python)."""

    values: tuple[tuple[Any, Any], ...]


@dataclasses.dataclass(slots=True, eq=False)
class ArrayNode:
    """Any number of items; `build` makes the Python collection from a list."""

    item: Node
    build: Callable[[list[Any]], Any]
    unique: bool = False


@dataclasses.dataclass(slots=True, eq=False)
class TupleNode:
    """A fixed number of items, each of its own type."""

    items: tuple[Node, ...]


@dataclasses.dataclass(slots=True, eq=False)
class MapNode:
    """An object with free keys; `build` makes the Python mapping from a dict."""

    key: Node
    value: Node
    build: Callable[[dict[Any, Any]], Any]


@dataclasses.dataclass(slots=True, eq=False)
class UnionNode:
    """One of several types, tried in the order of declaration."""

    options: tuple[Node, ...]


@dataclasses.dataclass(slots=True, eq=False)
class MetaNode:
    """An annotated type: JSON Schema keywords that hold on top of `inner`, and a description."""

    inner: Node
    keywords: dict[str, Any]
    description: str | None = None


@dataclasses.dataclass(slots=True, eq=False)
class AliasNode:
    """A named type alias (`type X = ...`), which may refer to itself."""

    name: str
    target: Node


@dataclasses.dataclass(slots=True, eq=False)
class ForeignNode:
    """A type that pydantic owns: its `TypeAdapter`, and the JSON Schema that this gives."""

    python: Any
    adapter: Any
    schema: dict[str, Any]


@dataclasses.dataclass(slots=True)
class Field:
    """One member of an object: `wire` is its key in JSON, `name` the Python one."""

    name: str
    wire: str
    node: Node
    required: bool
    default: Any = MISSING
    description: str | None = None


@dataclasses.dataclass(slots=True, eq=False)
class ObjectNode:
    """An object with named fields. `extra` is the type of further keys: None refuses or ignores them
    (`closed` says which). `tag` is a (key, value) that the object must carry. `positional`: an array of the
    fields in order is taken too."""

    name: str
    build: Callable[[dict[str, Any]], Any]
    fields: list[Field] = dataclasses.field(default_factory=list["Field"])
    description: str | None = None
    closed: bool = False
    extra: Node | None = None
    tag: tuple[str, str | int] | None = None
    positional: bool = False


Node: TypeAlias = (
    AnyNode
    | ScalarNode
    | TextNode
    | ChoiceNode
    | ArrayNode
    | TupleNode
    | MapNode
    | UnionNode
    | MetaNode
    | AliasNode
    | ForeignNode
    | ObjectNode
)


def without_meta(node: Node) -> Node:
    """The node under its annotations and aliases."""
    while isinstance(node, MetaNode | AliasNode):
        node = node.inner if isinstance(node, MetaNode) else node.target
    return node
