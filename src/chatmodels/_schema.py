"""JSON Schemas from Python types, and the front door to all that is done with schemas.

`schema_of` is here; conversion back is in `_schema_convert`, checking in `_schema_validate`, and what each
provider takes in `_schema_dialects`. Import from here. Nothing here loads pydantic; its
models bring it along.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ._schema_classes import is_object_type
from ._schema_convert import Mismatch, convert, convert_node, takes_null, told
from ._schema_dialects import (
    enforced,
    for_anthropic,
    for_google,
    for_google_json,
    inline_refs,
    strict_blockers,
    strict_openai,
)
from ._schema_nodes import (
    MISSING,
    AliasNode,
    AnyNode,
    ArrayNode,
    ChoiceNode,
    Field,
    ForeignNode,
    MapNode,
    MetaNode,
    Node,
    ObjectNode,
    ScalarNode,
    TextNode,
    TupleNode,
    UnionNode,
)
from ._schema_types import hints_of, node_of
from ._schema_validate import check_schema, drop_absent, validate
from ._schema_walk import Schema, is_array, is_object, map_children

__all__ = [
    "Mismatch",
    "check_schema",
    "convert",
    "convert_node",
    "drop_absent",
    "enforced",
    "for_anthropic",
    "for_google",
    "for_google_json",
    "hints_of",
    "inline_refs",
    "is_object_type",
    "node_of",
    "schema_of",
    "schema_of_node",
    "strict_blockers",
    "strict_openai",
    "takes_null",
    "told",
    "validate",
]

_JSON_TYPES: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_TEXTS: dict[str, dict[str, str]] = {
    "base64": {"type": "string", "contentEncoding": "base64"},
    "decimal": {"type": "string", "format": "decimal"},
    "path": {"type": "string", "format": "path"},
}
_REF = "#/$defs/"


def schema_of(tp: Any) -> Schema:
    """The JSON Schema (draft 2020-12) of an annotated type.

    Keys and members keep the order of declaration, so equal types give equal bytes. Named classes are put
    under `$defs` and referred to, except the root itself. Raises `UsageError` for a type with no JSON form.

    >>> schema_of(list[int])
    {'type': 'array', 'items': {'type': 'integer'}}
    """
    return schema_of_node(node_of(tp))


def schema_of_node(node: Node) -> Schema:
    """As `schema_of`, for a node."""
    return _Writer().root(node)


class _Writer:
    """Writes one schema; holds the definitions that it needs, in the order in which they are first met."""

    def __init__(self) -> None:
        self._defs: dict[str, Schema] = {}
        self._names: dict[int, str] = {}
        self._foreign_schemas: dict[int, Schema] = {}
        # Kept alive, because the names go by id.
        self._nodes: list[Node] = []

    def root(self, node: Node) -> Schema:
        schema = self.schema(node)
        while set(schema) == {"$ref"}:
            schema = self._defs[schema["$ref"].removeprefix(_REF)]
        defs = _reachable(schema, self._defs)
        return {**schema, "$defs": defs} if defs else schema

    def schema(self, node: Node) -> Schema:
        match node:
            case AnyNode():
                return {}
            case ScalarNode():
                return {"type": node.kind}
            case TextNode():
                return dict(_TEXTS.get(node.kind) or {"type": "string", "format": node.kind})
            case ChoiceNode():
                return _choice(node)
            case ArrayNode():
                unique = {"uniqueItems": True} if node.unique else {}
                return {"type": "array", "items": self.schema(node.item), **unique}
            case TupleNode():
                return self._tuple(node)
            case _:
                return self._compound(node)

    def _compound(self, node: MapNode | UnionNode | MetaNode | AliasNode | ForeignNode | ObjectNode) -> Schema:
        match node:
            case MapNode():
                return self._map(node)
            case UnionNode():
                return {"anyOf": [self.schema(option) for option in node.options]}
            case MetaNode():
                said = {"description": node.description} if node.description else {}
                return {**self.schema(node.inner), **said, **node.keywords}
            case ForeignNode():
                return self._foreign(node)
            case AliasNode() | ObjectNode():
                return self._named(node)

    def _tuple(self, node: TupleNode) -> Schema:
        count = len(node.items)
        if not count:
            return {"type": "array", "maxItems": 0}
        items = [self.schema(item) for item in node.items]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": count, "maxItems": count}

    def _map(self, node: MapNode) -> Schema:
        key = self.schema(node.key)
        if key == {"type": "integer"}:
            key = {"pattern": "^-?[0-9]+$"}
        names = {} if key == {"type": "string"} else {"propertyNames": key}
        return {"type": "object", **names, "additionalProperties": self.schema(node.value)}

    def _named(self, node: AliasNode | ObjectNode) -> Schema:
        name = self._names.get(id(node))
        if name is None:
            name = self._free(node.name)
            self._names[id(node)] = name
            self._nodes.append(node)
            self._defs[name] = {}
            written = self.schema(node.target) if isinstance(node, AliasNode) else self._object(node)
            self._defs[name] = written
        return {"$ref": _REF + name}

    def _free(self, wanted: str) -> str:
        taken, number = wanted, 2
        while taken in self._defs:
            taken, number = f"{wanted}_{number}", number + 1
        return taken

    def _object(self, node: ObjectNode) -> Schema:
        schema: Schema = {"type": "object"}
        if node.description:
            schema["description"] = node.description
        tag = {node.tag[0]: {"const": node.tag[1]}} if node.tag else {}
        schema["properties"] = {**tag, **{field.wire: self._field(field) for field in node.fields}}
        required = [*tag, *(field.wire for field in node.fields if field.required)]
        if required:
            schema["required"] = required
        if node.extra is not None:
            schema["additionalProperties"] = self.schema(node.extra) or True
        elif node.closed:
            schema["additionalProperties"] = False
        return schema

    def _field(self, field: Field) -> Schema:
        schema = self.schema(field.node)
        if field.description:
            schema = {**schema, "description": field.description}
        default = _json_default(field.default)
        # A null that the type itself does not take says only that the member can be left out.
        untold = default is MISSING or (default is None and not takes_null(field.node))
        return schema if untold else {**schema, "default": default}

    def _foreign(self, node: ForeignNode) -> Schema:
        known = self._foreign_schemas.get(id(node))
        if known is None:
            known = self._merged(node)
            self._foreign_schemas[id(node)] = known
            self._nodes.append(node)
        return known

    def _merged(self, node: ForeignNode) -> Schema:
        """pydantic's schema with its definitions moved into ours, under other names where ours are taken."""
        own = {word: value for word, value in node.schema.items() if word != "$defs"}
        defs: dict[str, Any] = node.schema.get("$defs", {})
        names: dict[str, str] = {}
        for name, sub in defs.items():
            same = self._defs.get(name) == _untitled(sub, name)
            names[name] = name if same else self._free(name)
            self._defs.setdefault(names[name], {})
        for name, sub in defs.items():
            self._defs[names[name]] = _untitled(_renamed(sub, names), name)
        return self._lifted(_untitled(_renamed(own, names), getattr(node.python, "__name__", "")), node)

    def _lifted(self, schema: Schema, node: ForeignNode) -> Schema:
        """A model goes under `$defs` like our own classes do; other types of pydantic's stay in place."""
        if not schema.get("properties"):
            return schema
        same = next((name for name, other in self._defs.items() if other == schema), None)
        name = same or self._free(str(node.python.__name__))
        self._defs[name] = schema
        return {"$ref": _REF + name}


def _choice(node: ChoiceNode) -> Schema:
    values = [given for given, _ in node.values]
    words = dict.fromkeys(_JSON_TYPES.get(type(value), "null") for value in values)
    kind: Any = next(iter(words)) if len(words) == 1 else list(words)
    return {"type": kind, "enum": values}


def _json_default(default: Any) -> Any:
    """The default as JSON, or MISSING where it has no JSON form: then the schema just does not tell it."""
    if default is MISSING or default is msgspec.UNSET:
        return MISSING
    dump = getattr(default, "model_dump", None)
    try:
        return dump(mode="json") if callable(dump) else msgspec.json.decode(msgspec.json.encode(default))
    except (TypeError, ValueError):
        return MISSING


def _reachable(schema: Schema, defs: dict[str, Schema]) -> dict[str, Schema]:
    found: set[str] = set()
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        if is_array(part):
            waiting += part
        elif is_object(part):
            waiting += part.values()
            ref = part.get("$ref")
            name = ref.removeprefix(_REF) if isinstance(ref, str) else ""
            if name in defs and name not in found:
                found.add(name)
                waiting.append(defs[name])
    return {name: sub for name, sub in defs.items() if name in found}


# pydantic's schemas


def _renamed(schema: Any, names: dict[str, str]) -> Any:
    if not is_object(schema):
        return schema
    out = map_children(schema, lambda sub, _: _renamed(sub, names))
    if isinstance(out.get("$ref"), str):
        name = str(out["$ref"]).removeprefix(_REF)
        out["$ref"] = _REF + str(names.get(name, name))
    return out


def _untitled(schema: Any, name: str) -> Any:
    """Without the titles that pydantic makes from names: they say nothing new, for tokens in each call."""
    if not is_object(schema):
        return schema
    made = (name, name.replace("_", " ").title())
    kept = {word: value for word, value in schema.items() if word != "title" or value not in made}
    return map_children(kept, lambda sub, place: _untitled(sub, str(place[-1])))
