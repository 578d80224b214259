"""Small rewrites that several providers need: unions and tuples in simpler words, the refused as text."""

from __future__ import annotations

from typing import Any

from ._schema_refs import ANNOTATIONS, merge
from ._schema_walk import Path, Schema, is_object, path_text, resolve, shown

__all__ = ["const_as_enum", "flat", "tuple_as_items", "with_lost"]

# Worth telling the model although they constrain nothing.
_TOLD = ("default", "examples")


def flat(schema: Schema, root: Schema, path: Path, notes: list[str]) -> Schema:
    """The schema without `allOf` (merged) and `oneOf` (as `anyOf`)."""
    out = dict(schema)
    while "allOf" in out:
        subs = out.pop("allOf")
        for sub in subs:
            out = _joined(out, sub, root, path, notes)
    if "oneOf" in out:
        if "discriminator" not in out and not _told_apart(out["oneOf"], root):
            notes.append(f"{path_text(path)}: oneOf is sent as anyOf")
        lost: list[str] = []
        out = {("anyOf" if word == "oneOf" and "anyOf" not in out else word): v for word, v in out.items()}
        if "oneOf" in out:
            out = merge(out, {"anyOf": out.pop("oneOf")}, lost)
    return out


def const_as_enum(schema: Schema, path: Path, notes: list[str]) -> Schema:
    """The schema with its constant as an enum of one."""
    if "const" not in schema:
        return schema
    if schema["const"] not in schema.get("enum", [schema["const"]]):
        notes.append(f"{path_text(path)}: enum beside another const is not sent")
    rest = {word: value for word, value in schema.items() if word != "enum"}
    return {("enum" if word == "const" else word): ([v] if word == "const" else v) for word, v in rest.items()}


def _joined(out: Schema, sub: Any, root: Schema, path: Path, notes: list[str]) -> Schema:
    lost: list[str] = []
    for part in _unfolded(sub, root):
        if part is False:
            notes.append(f"{path_text(path)}: that nothing is allowed here is not sent")
        elif is_object(part):
            inner = {word: value for word, value in part.items() if word not in ("$defs", "$ref")}
            out = merge(out, inner, lost)
    notes += [f"{path_text(path)}: two values of {word} in allOf, only one is sent" for word in lost]
    return out


def _unfolded(sub: Any, root: Schema) -> list[Any]:
    """The schema, and behind it what it refers to."""
    parts = [sub]
    seen: set[str] = set()
    while is_object(sub) and "$ref" in sub and sub["$ref"] not in seen:
        seen.add(sub["$ref"])
        sub = resolve(root, sub["$ref"])
        parts.append(sub)
    return parts


def _told_apart(options: list[Any], root: Schema) -> bool:
    """Whether no value can fit two of the options, by a member that is a different constant in each."""
    tags = [_constants(option, root) for option in options]
    shared = set(tags[0]).intersection(*tags[1:]) if tags else set[str]()
    return any(len({shown(tag[name]) for tag in tags}) == len(tags) for name in shared)


def _constants(option: Any, root: Schema) -> dict[str, Any]:
    schema = resolve(root, option["$ref"]) if is_object(option) and "$ref" in option else option
    if not is_object(schema):
        return {}
    properties = schema.get("properties", {})
    required = [name for name in schema.get("required", ()) if is_object(properties.get(name))]
    return {name: properties[name]["const"] for name in required if "const" in properties[name]}


def tuple_as_items(schema: Schema, path: Path, notes: list[str]) -> Schema:
    """An array of fixed positions as an array of that many items of any of their kinds."""
    length, rest = len(schema["prefixItems"]), schema.get("items", {})
    kinds: list[Any] = []
    for sub in [*schema["prefixItems"], *([rest] if rest else [])]:
        if sub not in kinds:
            kinds.append(sub)
    if rest in (True, {}) and schema.get("maxItems", length + 1) > length:
        notes.append(f"{path_text(path)}: that any further items may follow is not sent")
    out = {word: value for word, value in schema.items() if word != "prefixItems"}
    out["items"] = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if schema.get("items") is False:
        out["maxItems"] = min(length, schema.get("maxItems", length))
    if len(kinds) > 1:
        notes.append(f"{path_text(path)}: which item is of which type is not sent")
    return out


def _is_worth_telling(word: str, value: Any) -> bool:
    return word not in ANNOTATIONS or (word in _TOLD and value is not None)


def with_lost(schema: Schema, lost: list[str], path: Path, notes: list[str]) -> Schema:
    """The schema without the keywords in `lost`; those that matter to the model go into its description."""
    if not lost:
        return schema
    said = [f"{word}: {shown(schema[word], 200)}" for word in lost if _is_worth_telling(word, schema[word])]
    notes += [f"{path_text(path)}: {word} is sent only as text" for word in lost if word not in ANNOTATIONS]
    out = {word: value for word, value in schema.items() if word not in lost}
    if said:
        text = "; ".join(said)
        out["description"] = f"{out['description']} ({text})" if out.get("description") else text
    return out
