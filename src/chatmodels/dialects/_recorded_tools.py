"""Tools of recorded requests -> `Tool`. A definition that our form cannot hold whole stays as it is. Pure."""

from __future__ import annotations

from typing import Any, TypeGuard

from .._errors import UsageError
from .._schema import check_schema
from .._schema_walk import is_object
from .._tools import Tool
from ._kept import mapping, text


def is_schema(value: Any) -> TypeGuard[dict[str, Any]]:
    """Is it a JSON Schema that can be worked with?"""
    if not is_object(value):
        return False
    try:
        check_schema(value)
    except UsageError:
        return False
    return True


def as_it_is(wire: dict[str, Any]) -> Tool:
    """A tool that is sent as it came: of the provider's own, or of an odd shape."""
    inner = mapping(wire.get("function"))
    name = text(wire.get("name")) or text(inner.get("name")) or text(wire.get("type"))
    return Tool(name=name, kind="provider", raw=wire)


def chat_tool(wire: Any) -> Tool:
    """A tool in the shape of Chat Completions: `{"type": "function", "function": {...}}`."""
    if not is_object(wire):
        raise UsageError("each of 'tools' is an object", argument="body")
    function = mapping(wire.get("function"))
    name, schema, strict = function.get("name"), function.get("parameters", {}), function.get("strict")
    known = {"name", "description", "parameters", "strict"}
    whole = wire.keys() <= {"type", "function"} and function.keys() <= known
    if not whole or not isinstance(name, str) or not is_schema(schema) or not isinstance(strict, (bool, type(None))):
        return as_it_is(wire)
    said = function.get("description")
    return Tool(name=name, description=said if isinstance(said, str) else None, parameters=schema, strict=strict)
