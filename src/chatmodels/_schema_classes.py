"""Which classes become JSON objects by their fields, and what their fields are.

Owns the differences between msgspec's Structs, dataclasses, TypedDicts and named tuples. Reads no annotation beyond the
markers that say whether a field is required. pydantic is never imported here.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

import msgspec

from ._errors import UsageError
from ._schema_docs import Doc, parse_doc
from ._schema_nodes import MISSING, ObjectNode

#: Words around an annotation that say something of the field and nothing of its type.
WRAPPERS = {"Required", "NotRequired", "ReadOnly", "Final", "ClassVar", "Unpack"}


def is_object_type(tp: Any) -> bool:
    """Whether a class is one of those that become JSON objects by their fields."""
    return dataclasses.is_dataclass(tp) or is_struct(tp) or is_typed_dict(tp) or is_named_tuple(tp) or is_foreign(tp)


def is_struct(tp: Any) -> bool:
    """Is it a class of msgspec's?"""
    return isinstance(tp, type) and issubclass(tp, msgspec.Struct)


def is_typed_dict(tp: Any) -> bool:
    """Is it a TypedDict, of `typing` or of typing_extensions?"""
    # Not typing.is_typeddict: that one does not know the TypedDict of typing_extensions.
    return hasattr(tp, "__required_keys__") and isinstance(tp, type) and issubclass(tp, dict)


def is_named_tuple(tp: Any) -> bool:
    """Is it a named tuple?"""
    return hasattr(tp, "_fields") and isinstance(tp, type) and issubclass(tp, tuple)


def is_foreign(tp: Any) -> bool:
    """Does pydantic know best how this type is read?"""
    return hasattr(tp, "__get_pydantic_core_schema__") or hasattr(tp, "__pydantic_validator__")


def word_of(origin: Any) -> str:
    """The name of a special form, such as "Required"."""
    return str(getattr(origin, "_name", None) or getattr(origin, "__name__", ""))


@dataclasses.dataclass(slots=True)
class RawField:
    """A field as its class declares it; `wire` is its name in JSON."""

    name: str
    wire: str
    required: bool
    default: Any = MISSING
    description: str | None = None


def empty_object(tp: Any, name: str) -> ObjectNode:
    """The node of a class, still without its fields."""
    if is_typed_dict(tp):
        return ObjectNode(name, dict, closed=bool(getattr(tp, "__closed__", False)))
    if not is_struct(tp):
        return ObjectNode(name, lambda fields: tp(**fields), positional=is_named_tuple(tp))
    config = tp.__struct_config__
    if config.array_like:
        raise UsageError(f"{tp.__name__} is an array_like Struct, which has no object form", argument="type")
    tag = None if config.tag is None else (config.tag_field, config.tag)
    return ObjectNode(name, lambda fields: tp(**fields), closed=config.forbid_unknown_fields, tag=tag)


def raw_fields(tp: Any, hints: Mapping[str, Any]) -> list[RawField]:
    """The fields of a class, in their order."""
    if is_struct(tp):
        return [_struct_field(field) for field in msgspec.structs.fields(tp)]
    if is_typed_dict(tp):
        return [RawField(name, name, _is_required(tp, name, hint)) for name, hint in hints.items()]
    if is_named_tuple(tp):
        defaults = tp._field_defaults
        return [RawField(name, name, name not in defaults, defaults.get(name, MISSING)) for name in tp._fields]
    return [_dataclass_field(field) for field in dataclasses.fields(tp) if field.init]


def _struct_field(field: Any) -> RawField:
    default = MISSING if field.default is msgspec.NODEFAULT else field.default
    if field.default_factory is not msgspec.NODEFAULT:
        default = _made(field.default_factory)
    return RawField(field.name, field.encode_name, field.required, default)


def _dataclass_field(field: dataclasses.Field[Any]) -> RawField:
    default = MISSING if field.default is dataclasses.MISSING else field.default
    required = default is MISSING and field.default_factory is dataclasses.MISSING
    if field.default_factory is not dataclasses.MISSING:
        default = _made(field.default_factory)
    return RawField(field.name, field.name, required, default, field.metadata.get("description"))


def _made(factory: Any) -> Any:
    # Only a builtin is called: any other factory may have effects, or give another value each time.
    simple: tuple[Any, ...] = (list, dict, set, frozenset, tuple)
    return factory() if factory in simple else MISSING


def _is_required(tp: Any, name: str, hint: Any) -> bool:
    # The marker decides: `__required_keys__` misses it where annotations are strings.
    while (word := word_of(typing.get_origin(hint))) in WRAPPERS or word == "Annotated":
        if word in ("Required", "NotRequired"):
            return word == "Required"
        hint = typing.get_args(hint)[0]
    return name in tp.__required_keys__


def class_doc(tp: Any) -> Doc:
    """What the class's own docstring says; one that a decorator made says nothing."""
    doc = tp.__dict__.get("__doc__")
    generated = isinstance(doc, str) and doc.startswith(f"{tp.__name__}(") and doc.rstrip().endswith((")", "]"))
    return parse_doc(None if generated else doc)


def object_name(tp: Any, args: tuple[Any, ...]) -> str:
    """The name of a class with its arguments: `Page_Item`."""
    return "_".join([tp.__name__, *(getattr(arg, "__name__", None) or "of" for arg in args)])
