"""What Google's two schema fields take: an OpenAPI subset (`responseSchema`, `parameters`), and part of JSON
Schema itself (`responseJsonSchema`, `parametersJsonSchema`). Sources: see `_schema_dialects`."""

from __future__ import annotations

from typing import Any

from ._schema_refs import ANNOTATIONS, inline_refs, merge, normal
from ._schema_trim import const_as_enum, flat, tuple_as_items, with_lost
from ._schema_walk import Path, Schema, is_array, is_object, map_children, path_text, resolve

__all__ = ["for_google", "for_google_json"]

_SHARED = frozenset(
    {"type", "format", "title", "description", "enum", "items", "minItems", "maxItems", "minimum", "maximum"}
    | {"anyOf", "properties", "required", "propertyOrdering"}
)
_OPENAPI = (
    _SHARED
    | {"nullable", "minProperties", "maxProperties", "minLength", "maxLength", "pattern"}
    | {
        "example",
        "default",
    }
)
_JSON = _SHARED | {"$defs", "$ref", "prefixItems", "additionalProperties"}
_FORMATS = {
    "string": ("date-time", "enum"),
    "integer": ("int32", "int64"),
    "number": ("float", "double"),
}
_ANYTHING = {"type": "string"}


def for_google(schema: Schema) -> tuple[Schema, list[str]]:
    """(the schema as Google's OpenAPI subset, notes).

    References are put in place (recursion to a depth of three), null becomes `nullable`, constants become
    one-word enums, members keep their order through `propertyOrdering`. Free keys cannot be said: an object
    without members is sent as a bare object, which the Gemini API may refuse. `for_google_json` can say them.
    """
    start, notes = inline_refs(schema)
    out = _Google(notes).part(start, ())
    return out, list(dict.fromkeys(notes))


class _Google:
    def __init__(self, notes: list[str]) -> None:
        self._notes = notes

    def part(self, schema: Any, path: Path) -> Schema:
        if not is_object(schema):
            self._notes.append(f"{path_text(path)}: that nothing is allowed here is not sent")
            return dict(_ANYTHING)
        out = _as_enum(const_as_enum(flat(schema, schema, path, self._notes), path, self._notes))
        out = _split_types(out)
        if "anyOf" in out:
            return self._union(out, path)
        return self._plain(out, path)

    def _union(self, schema: Schema, path: Path) -> Schema:
        """Google takes nothing beside `anyOf`, so what stands beside it goes into each of the options."""
        beside = {word: value for word, value in schema.items() if word not in ("anyOf", "nullable")}
        lost: list[str] = []
        options = [merge(option, beside, lost) for option in schema["anyOf"] if is_object(option)]
        self._notes += [f"{path_text(path)}: {word} beside anyOf is not sent" for word in lost]
        all_parts = [self.part(option, path) for option in options]
        parts = [part for part in all_parts if part.get("type") != "null"]
        if len(parts) < len(all_parts) or schema.get("nullable") is True:
            parts = [_nullable(part) for part in parts]
        if len(parts) < 2:
            return parts[0] if parts else {"type": "null"}
        return {"anyOf": [single for part in parts for single in part.get("anyOf", [part])]}

    def _plain(self, schema: Schema, path: Path) -> Schema:
        out = dict(schema)
        if "prefixItems" in out:
            out = tuple_as_items(out, path, self._notes)
        if not out.keys() - ANNOTATIONS:
            self._notes.append(f"{path_text(path)}: that any value is allowed is not sent")
        out = _whole_bounds(out)
        out = _typed(out)
        if isinstance(out.get("additionalProperties"), bool):
            # Google writes the listed members only, so there is nothing to lose.
            del out["additionalProperties"]
        out = with_lost(out, _refused(out), path, self._notes)
        if out.get("type") == "array" and not is_object(out.get("items")):
            out["items"] = dict(_ANYTHING)
        return self._ordered(self._inside(out, path))

    def _inside(self, schema: Schema, path: Path) -> Schema:
        out = dict(schema)
        if "properties" in out:
            out["properties"] = {n: self.part(sub, (*path, n)) for n, sub in out["properties"].items()}
        if "items" in out:
            out["items"] = self.part(out["items"], (*path, "items"))
        return out

    def _ordered(self, schema: Schema) -> Schema:
        names = list(schema.get("properties", {}))
        if "required" in schema:
            schema = {**schema, "required": [name for name in schema["required"] if name in names]}
        return {**schema, "propertyOrdering": names} if len(names) > 1 else schema


def _as_enum(schema: Schema) -> Schema:
    """Enums hold strings only, and a null among them is said by `nullable`."""
    out = dict(schema)
    choices = out.get("enum")
    if not is_array(choices):
        return out
    if choices == [None]:
        return {**{word: value for word, value in out.items() if word != "enum"}, "type": "null"}
    if None in choices:
        out |= {"enum": [choice for choice in choices if choice is not None], "nullable": True}
    if "type" not in out and all(isinstance(choice, str) for choice in out["enum"]):
        out = {"type": "string", **out}
    elif "type" not in out:
        out = {"type": _type_of(out["enum"]), **out}
    return out


def _type_of(choices: list[Any]) -> Any:
    kinds: dict[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
    words = list(dict.fromkeys(kinds.get(type(choice), "object") for choice in choices))
    return words[0] if len(words) == 1 else words


def _split_types(schema: Schema) -> Schema:
    kinds = schema.get("type")
    if not is_array(kinds):
        return schema
    some = [kind for kind in kinds if kind != "null"]
    out: Schema = {**schema, "nullable": True} if len(some) < len(kinds) else dict(schema)
    if len(some) <= 1:
        return {**out, "type": some[0] if some else "null"}
    del out["type"]
    choices = out.pop("enum", None)
    options = [_option(kind, choices) for kind in some]
    return merge({"anyOf": [option for option in options if option]}, out, [])


def _option(kind: str, choices: list[Any] | None) -> Schema | None:
    if choices is None:
        return {"type": kind}
    fitting = [choice for choice in choices if _type_of([choice]) == kind]
    return {"type": kind, "enum": fitting} if fitting else None


def _whole_bounds(schema: Schema) -> Schema:
    """Exclusive bounds of integers as inclusive ones."""
    out = dict(schema)
    for word, plain, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
        if out.get("type") == "integer" and isinstance(out.get(word), int):
            bound = out.pop(word) + step
            out[plain] = (max if step > 0 else min)(bound, out.get(plain, bound))
    return out


def _typed(schema: Schema) -> Schema:
    """With the type that the other keywords imply, for Google asks for one."""
    implied = "object" if "properties" in schema else "array" if "items" in schema else None
    return schema if "type" in schema or implied is None else {"type": implied, **schema}


def _refused(schema: Schema) -> list[str]:
    refused = [word for word in schema if word not in _OPENAPI]
    kind = str(schema.get("type"))
    if "format" in schema and schema["format"] not in _FORMATS.get(kind, ()):
        refused.append("format")
    if "enum" in schema and kind != "string":
        refused.append("enum")
    return refused


def _nullable(schema: Schema) -> Schema:
    if "anyOf" in schema:
        return {"anyOf": [_nullable(option) for option in schema["anyOf"]]}
    return {**schema, "nullable": True}


def for_google_json(schema: Schema) -> tuple[Schema, list[str]]:
    """(the schema for Google's JSON Schema fields, notes): references, tuples and free keys are kept."""
    root, notes = normal(schema), list[str]()
    return _json_part(root, root, (), (), notes), list(dict.fromkeys(notes))


def _json_part(schema: Any, root: Schema, path: Path, chain: tuple[str, ...], notes: list[str]) -> Any:
    if not is_object(schema):
        return schema
    if "$ref" in schema:
        return _json_ref(schema, root, path, chain, notes)
    out = flat(schema, root, path, notes)
    out = _whole_bounds(const_as_enum(out, path, notes))
    out = with_lost(out, [word for word in out if word not in _JSON], path, notes)
    return map_children(
        out,
        lambda sub, place: _json_part(sub, root, (*path, *place[place[0] == "properties" :]), chain, notes),
    )


def _json_ref(schema: Schema, root: Schema, path: Path, chain: tuple[str, ...], notes: list[str]) -> Any:
    """Beside a reference nothing else may stand: the target takes its place, unless that would never end."""
    ref = str(schema["$ref"])
    if len(schema) == 1:
        return schema
    if ref in chain:
        return {"$ref": ref}
    rest = {word: value for word, value in schema.items() if word != "$ref"}
    merged = flat({**rest, "allOf": [*rest.get("allOf", ()), resolve(root, ref)]}, root, path, notes)
    return _json_part(merged, root, path, (*chain, ref), notes)
