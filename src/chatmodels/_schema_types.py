"""Python annotations read into a small tree of nodes, which JSON Schemas and conversions are made from.

Owns all that is known of annotations: generics, `Annotated`, type aliases and forward references. Knows nothing of JSON Schema's
keywords. pydantic is never imported here: a type that is pydantic's own brings it along, already loaded.
"""

from __future__ import annotations

import collections
import collections.abc
import datetime
import enum
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, Union

import msgspec

from ._errors import UsageError
from ._schema_classes import (
    WRAPPERS,
    RawField,
    class_doc,
    empty_object,
    is_foreign,
    is_object_type,
    object_name,
    raw_fields,
    word_of,
)
from ._schema_docs import Doc
from ._schema_meta import metadata_of
from ._schema_nodes import (
    AliasNode,
    AnyNode,
    ArrayNode,
    ChoiceNode,
    Field,
    ForeignNode,
    MapNode,
    MetaNode,
    Node,
    ScalarNode,
    TextNode,
    TupleNode,
    UnionNode,
    without_meta,
)

_ACCEPTED = (
    "str, int, float, bool, None, Any, Literal, Enum, Optional and Union, list, tuple, set, dict, dataclass, "
    "TypedDict, NamedTuple, msgspec.Struct, pydantic model, datetime, date, time, timedelta, UUID, Decimal, "
    "bytes, Path, and Annotated, NewType or generic forms of these"
)


_SCALARS: dict[Any, Literal["string", "integer", "number", "boolean", "null"]] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    None: "null",
    types.NoneType: "null",
}
_ARRAYS: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    collections.deque: collections.deque,
    collections.abc.Sequence: list,
    collections.abc.MutableSequence: list,
    collections.abc.Collection: list,
    collections.abc.Iterable: list,
    collections.abc.Set: frozenset,
    collections.abc.MutableSet: set,
}
_SETS = (set, frozenset, collections.abc.Set, collections.abc.MutableSet)
_MAPS: dict[Any, Callable[[dict[Any, Any]], Any]] = {
    dict: dict,
    collections.OrderedDict: collections.OrderedDict,
    collections.abc.Mapping: dict,
    collections.abc.MutableMapping: dict,
}
_TEXTS: dict[Any, str] = {
    datetime.datetime: "date-time",
    datetime.date: "date",
    datetime.time: "time",
    datetime.timedelta: "duration",
    bytes: "base64",
    bytearray: "base64",
}
# Named rather than imported: the pure layers take no uuid, and decimal and pathlib would cost import time.
_TEXTS_BY_NAME = {("uuid", "UUID"): "uuid", ("decimal", "Decimal"): "decimal"}


def node_of(tp: Any) -> Node:
    """The node of an annotation. Raises `UsageError` for a type that has no JSON form."""
    return Reader().read(tp)


class Reader:
    """Reads annotations; one reader gives one node per class, so recursive types become cyclic trees."""

    def __init__(self) -> None:
        self._seen: dict[Any, Node] = {}

    def read(self, tp: Any) -> Node:
        """The node of one annotation."""
        origin = typing.get_origin(tp)
        if origin is not None:
            return self._generic(tp, origin, typing.get_args(tp))
        if tp is Any or tp is object:
            return AnyNode()
        if isinstance(tp, collections.abc.Hashable) and tp in _SCALARS:
            return ScalarNode(_SCALARS[tp])
        if isinstance(tp, type):
            return self._class(tp)
        return self._special(tp)

    def _special(self, tp: Any) -> Node:
        if isinstance(tp, TypeVar):
            return self._type_var(tp)
        if type(tp).__name__ == "NewType":
            return self.read(tp.__supertype__)
        if _is_alias(tp):
            return self._alias(tp, tp, tp.__value__)
        if isinstance(tp, str | typing.ForwardRef):
            raise UsageError(
                f"the type {tp!r} is only a name that cannot be resolved here; pass the class itself",
                argument="type",
            )
        if is_foreign(tp):
            return self._foreign(tp)
        raise _unsupported(tp)

    def _type_var(self, tp: Any) -> Node:
        if tp.__constraints__:
            return self._union(tp.__constraints__)
        return self.read(tp.__bound__) if tp.__bound__ is not None else AnyNode()

    def _alias(self, key: Any, tp: Any, value: Any) -> Node:
        if key not in self._seen:
            node = AliasNode(tp.__name__, AnyNode())
            self._seen[key] = node
            node.target = self.read(_resolved(value, tp))
            if node.target is node:
                raise UsageError(f"the type alias {tp.__name__} is only itself", argument="type")
        return self._seen[key]

    def _class(self, tp: type[Any]) -> Node:
        # An object's fields come first: a class can be, say, a dataclass and pydantic's too.
        if is_foreign(tp):
            return self._foreign(tp)
        if is_object_type(tp):
            return self._object(tp, ())
        if issubclass(tp, enum.Enum):
            return ChoiceNode(tuple((_json_choice(m.value, tp), m) for m in tp))
        if kind := _text_kind(tp):
            return TextNode(tp, kind)
        if tp in _ARRAYS or tp is tuple:
            return ArrayNode(AnyNode(), _ARRAYS.get(tp, tuple), tp in _SETS)
        if tp in _MAPS:
            return MapNode(ScalarNode("string"), AnyNode(), _MAPS[tp])
        raise _unsupported(tp)

    def _foreign(self, tp: Any) -> Node:
        key = ("pydantic", tp)
        if key not in self._seen:
            self._seen[key] = _foreign(tp)
        return self._seen[key]

    def _generic(self, tp: Any, origin: Any, args: tuple[Any, ...]) -> Node:
        if origin is typing.Annotated:
            return self._annotated(args[0], args[1:])
        if origin is Union or origin is types.UnionType:
            return self._union(args)
        if origin is Literal:
            return ChoiceNode(tuple((_json_choice(value, tp), value) for value in args))
        if word_of(origin) in WRAPPERS:
            return self.read(args[0])
        if origin is tuple:
            return self._tuple(args)
        if origin in _ARRAYS:
            return ArrayNode(self.read(args[0]), _ARRAYS[origin], origin in _SETS)
        if origin in _MAPS:
            return self._map(origin, args)
        return self._generic_class(tp, origin, args)

    def _generic_class(self, tp: Any, origin: Any, args: tuple[Any, ...]) -> Node:
        if is_foreign(tp):
            return self._foreign(tp)
        if _is_alias(origin):
            bindings = dict(zip(origin.__type_params__, args, strict=True))
            return self._alias((origin, args), origin, _bind(origin.__value__, bindings))
        if is_object_type(origin):
            return self._object(origin, args)
        raise _unsupported(tp)

    def _tuple(self, args: tuple[Any, ...]) -> Node:
        if len(args) == 2 and args[1] is Ellipsis:
            return ArrayNode(self.read(args[0]), tuple)
        return TupleNode(tuple(self.read(arg) for arg in args))

    def _map(self, origin: Any, args: tuple[Any, ...]) -> Node:
        key = self.read(args[0])
        plain = without_meta(key)
        textual = isinstance(plain, TextNode | ChoiceNode)
        if not textual and not (isinstance(plain, ScalarNode) and plain.kind in ("string", "integer")):
            raise UsageError(
                f"the keys of {origin.__name__}[{args[0]!r}, ...] cannot be JSON keys; use str, int, "
                "Literal, Enum, date or UUID keys",
                argument="type",
            )
        return MapNode(key, self.read(args[1]), _MAPS[origin])

    def _union(self, args: tuple[Any, ...]) -> Node:
        options = tuple(self.read(arg) for arg in args if arg is not msgspec.UnsetType)
        return options[0] if len(options) == 1 else UnionNode(options)

    def _annotated(self, tp: Any, metadata: tuple[Any, ...]) -> Node:
        inner = self.read(tp)
        keywords, description = metadata_of(metadata, inner)
        return MetaNode(inner, keywords, description) if keywords or description else inner

    def _object(self, tp: Any, args: tuple[Any, ...]) -> Node:
        key = (tp, args)
        if key not in self._seen:
            node = empty_object(tp, object_name(tp, args))
            self._seen[key] = node
            doc = class_doc(tp)
            node.description = doc.summary
            bindings = bindings_of(tp, args)
            hints = {name: _bind(hint, bindings) for name, hint in hints_of(tp).items()}
            node.fields = [self._field(raw, hints, doc) for raw in raw_fields(tp, hints)]
        return self._seen[key]

    def _field(self, raw: RawField, hints: Mapping[str, Any], doc: Doc) -> Field:
        node = self.read(hints.get(raw.name, Any))
        said = node.description if isinstance(node, MetaNode) else None
        description = said or raw.description or doc.parameters.get(raw.name)
        return Field(raw.name, raw.wire, node, raw.required, raw.default, description)


def hints_of(
    value: Any, globalns: dict[str, Any] | None = None, localns: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The resolved annotations of a class or function; a name that cannot be found is a `UsageError`."""
    names = dict(localns or {})
    if isinstance(value, type):
        names.setdefault(value.__name__, value)
    try:
        return typing.get_type_hints(value, globalns, names or None, include_extras=True)
    except NameError as error:
        raise UsageError(
            f"{getattr(value, '__qualname__', value)!s} is annotated with the name {error.name!r}, which is "
            "not defined where it was written; define or import it at module level",
            argument="type",
        ) from error


def _resolved(value: Any, alias: Any) -> Any:
    """The value of a type alias, with names in strings looked up in the alias's module."""

    def stub() -> None: ...

    stub.__annotations__ = {"value": value}
    stub.__qualname__ = alias.__name__
    module = sys.modules.get(getattr(alias, "__module__", None) or "")
    return hints_of(stub, dict(vars(module)) if module else {}, {alias.__name__: alias})["value"]


def _is_alias(tp: Any) -> bool:
    return type(tp).__name__ == "TypeAliasType"


def _foreign(tp: Any) -> ForeignNode:
    pydantic: Any = sys.modules["pydantic"]
    adapter = pydantic.TypeAdapter(tp)
    try:
        return ForeignNode(tp, adapter, adapter.json_schema())
    except pydantic.PydanticInvalidForJsonSchema as error:
        raise UsageError(f"pydantic has no JSON Schema for {tp!r}: {error}", argument="type") from error


def _text_kind(tp: type[Any]) -> str | None:
    if tp in _TEXTS:
        return _TEXTS[tp]
    if any(base.__name__ == "PurePath" and base.__module__.startswith("pathlib") for base in tp.__mro__):
        return "path"
    return _TEXTS_BY_NAME.get((tp.__module__, tp.__name__))


def _json_choice(value: Any, tp: Any) -> Any:
    plain = value.value if isinstance(value, enum.Enum) else value
    if plain is None or type(plain) in (str, int, float, bool):
        return plain
    # A subclass of a JSON type: its plain value, whatever its own `__str__` says.
    if isinstance(plain, str):
        return str.__str__(plain)
    if isinstance(plain, int | float):
        return int.__int__(plain) if isinstance(plain, int) else float.__float__(plain)
    raise UsageError(f"{tp!r} has the value {value!r}, which JSON cannot carry; use str or int values", argument="type")


def _unsupported(tp: Any) -> UsageError:
    return UsageError(f"the type {tp!r} has no JSON form; accepted are {_ACCEPTED}", argument="type")


# Generics


def bindings_of(tp: Any, args: tuple[Any, ...]) -> dict[Any, Any]:
    """What the type variables of a class and of its bases stand for."""
    bindings = dict(zip(getattr(tp, "__parameters__", ()), args, strict=False))
    for base in getattr(tp, "__orig_bases__", ()):
        origin = typing.get_origin(base)
        if isinstance(origin, type) and hasattr(origin, "__parameters__"):
            inner = tuple(_bind(arg, bindings) for arg in typing.get_args(base))
            bindings = {**bindings_of(origin, inner), **bindings}
    return bindings


def _bind(tp: Any, bindings: Mapping[Any, Any]) -> Any:
    if isinstance(tp, TypeVar):
        return bindings.get(tp, tp)
    parameters = getattr(tp, "__parameters__", ())
    if not bindings or not parameters or isinstance(tp, type):
        return tp
    return tp[tuple(bindings.get(parameter, parameter) for parameter in parameters)]
