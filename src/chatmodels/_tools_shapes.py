"""The shapes in which tool definitions come as data, read into one: OpenAI's two, Anthropic's, Google's,
Bedrock's, MCP's, a bare JSON Schema, and the tools that a provider runs itself, which stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ._errors import UsageError
from ._schema import check_schema
from ._schema_walk import Schema, is_array, is_object, map_children, shown

__all__ = ["Definition", "definition_of", "mcp_definition"]

_NO_PARAMETERS: Schema = {"type": "object", "properties": {}}
_GOOGLE_SCHEMAS = ("parametersJsonSchema", "parameters_json_schema", "parameters")


class Definition(NamedTuple):
    """A tool as data: `raw` is set, and the rest is not, for a tool that the provider runs."""

    name: str
    description: str | None = None
    parameters: Schema = _NO_PARAMETERS
    strict: bool | None = None
    provider_data: dict[str, Any] | None = None
    raw: dict[str, Any] | None = None


def definition_of(value: Mapping[str, Any]) -> Definition | None:
    """The definition in a dict of any known shape; None for a dict of no known shape."""
    shape = dict(value)
    kind = shape.get("type")
    if kind == "function":
        return _openai(shape)
    for fits, read in _SHAPES:
        if kind in (None, "custom") and fits(shape):
            return read(shape)
    if kind == "object":
        return _json_schema(shape)
    if isinstance(kind, str):
        return Definition(str(shape.get("name") or kind), parameters={}, raw=shape)
    return _keyed(shape)


def mcp_definition(value: Any) -> Definition | None:
    """The definition in an object like MCP's `Tool` (name, description, inputSchema); None for another."""
    schema = getattr(value, "inputSchema", None) or getattr(value, "input_schema", None)
    if not is_object(schema) or not isinstance(getattr(value, "name", None), str):
        return None
    return _read({"name": value.name, "description": getattr(value, "description", None)}, schema)


def _openai(shape: dict[str, Any]) -> Definition:
    inner = shape.get("function")
    flat = dict(inner) if is_object(inner) else shape
    known = ("type", "function", "name", "description", "parameters", "strict")
    rest = {key: value for key, value in {**shape, **flat}.items() if key not in known}
    return _read(flat, flat.get("parameters"), strict=flat.get("strict"), kept=("openai", rest))


def _anthropic(shape: dict[str, Any]) -> Definition:
    known = ("type", "name", "description", "input_schema", "strict")
    rest = {key: value for key, value in shape.items() if key not in known}
    return _read(shape, shape["input_schema"], strict=shape.get("strict"), kept=("anthropic", rest))


def _mcp(shape: dict[str, Any]) -> Definition:
    rest = {key: value for key, value in shape.items() if key not in ("name", "description", "inputSchema")}
    return _read(shape, shape["inputSchema"], kept=("mcp", rest))


def _bedrock(shape: dict[str, Any]) -> Definition:
    inner: dict[str, Any] = shape["toolSpec"]
    schema = inner.get("inputSchema")
    return _read(inner, schema.get("json") if is_object(schema) else None, strict=inner.get("strict"))


def _google(shape: dict[str, Any]) -> Definition:
    found = next((word for word in _GOOGLE_SCHEMAS if shape.get(word) is not None), "")
    known = ("name", "description", "strict", *_GOOGLE_SCHEMAS)
    rest = {key: value for key, value in shape.items() if key not in known}
    schema = _plain_types(shape[found]) if found == "parameters" else shape.get(found)
    return _read(shape, schema, strict=shape.get("strict"), kept=("google", rest))


def _json_schema(shape: dict[str, Any]) -> Definition:
    body = {word: value for word, value in shape.items() if word not in ("title", "description")}
    return _read({"name": shape.get("title", ""), "description": shape.get("description")}, body)


def _keyed(shape: dict[str, Any]) -> Definition | None:
    """A provider's own tool in the manner of Google: `{"google_search": {}}`."""
    if len(shape) != 1 or not is_object(next(iter(shape.values()))):
        return None
    return Definition(next(iter(shape)), parameters={}, raw=shape)


_SHAPES: tuple[tuple[Callable[[dict[str, Any]], bool], Callable[[dict[str, Any]], Definition]], ...] = (
    (lambda shape: "input_schema" in shape and "name" in shape, _anthropic),
    (lambda shape: "inputSchema" in shape and "name" in shape, _mcp),
    (lambda shape: is_object(shape.get("toolSpec")), _bedrock),
    (
        lambda shape: (
            shape.keys() & {"type", "name"} == {"name"} and bool(shape.keys() & {"description", *_GOOGLE_SCHEMAS})
        ),
        _google,
    ),
)


def _read(
    shape: Mapping[str, Any],
    schema: Any,
    *,
    strict: Any = None,
    kept: tuple[str, dict[str, Any]] = ("", {}),
) -> Definition:
    name, description = shape.get("name"), shape.get("description")
    provider_data = {kept[0]: kept[1]} if kept[1] else None
    parameters = _object_schema(schema)
    return Definition(str(name or ""), description or None, parameters, strict, provider_data)


def _object_schema(schema: Any) -> Schema:
    if schema is None or schema == {}:
        return dict(_NO_PARAMETERS)
    check_schema(schema)
    if schema.get("type", "object") != "object":
        raise UsageError(
            f"a tool's parameters must be an object, but the schema's type is {shown(schema['type'])}",
            argument="tools",
        )
    return dict(schema) if "type" in schema else {"type": "object", **schema}


def _plain_types(schema: Any) -> Any:
    """Google's `"STRING"` and `nullable` as JSON Schema says them."""
    if not is_object(schema):
        return schema
    out = map_children(schema, lambda sub, _: _plain_types(sub))
    if isinstance(out.get("type"), str):
        out["type"] = out["type"].lower()
    nullable = out.pop("nullable", False)
    if nullable and "type" in out and not is_array(out["type"]):
        out["type"] = [out["type"], "null"]
    return out
