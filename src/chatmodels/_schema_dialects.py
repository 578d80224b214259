"""What each provider takes of JSON Schema: from a schema to (what is sent, notes of what is lost).

None of them changes its argument, each is idempotent, and equal schemas give equal bytes. A constraint that a
provider refuses is moved into the description, where the model can still read it, and noted; the answer is
checked against the original schema afterwards, so nothing is lost for good. Knows no Python types.

Sources, checked 2026-11:
- OpenAI: developers.openai.com/api/docs/guides/structured-outputs ("Supported schemas"; a fine-tuned model
  takes less: neither bounds, nor pattern, format, minItems, maxItems);
- Anthropic: platform.claude.com/docs/en/build-with-claude/structured-outputs ("JSON Schema limitations");
- Google: cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/Schema (`responseSchema`,
  `parameters`); the python-genai SDK's description of `response_json_schema` for the JSON Schema fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ._errors import UsageError
from ._schema_google import for_google, for_google_json
from ._schema_refs import ANNOTATIONS, inline_refs, is_recursive, normal
from ._schema_trim import flat, tuple_as_items, with_lost
from ._schema_validate import problems_of
from ._schema_walk import Path, Schema, is_array, is_object, map_children, path_text, resolve, subschemas

__all__ = [
    "enforced",
    "for_anthropic",
    "for_google",
    "for_google_json",
    "inline_refs",
    "strict_blockers",
    "strict_openai",
]

_SHARED = frozenset(
    {"type", "enum", "const", "anyOf", "$ref", "$defs", "properties", "required", "additionalProperties"}
    | {"items", "title", "description", "pattern", "format", "minItems"}
)
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"},
)
# Look-around, back-references and word boundaries: not in the grammars that patterns are compiled to.
_HARD_PATTERN = re.compile(r"\(\?[=!<P]|\\[bB1-9]")


_ITEMS = frozenset({"items", "prefixItems", "$ref", "allOf", "anyOf", "oneOf"})


class _Rules(NamedTuple):
    keep: frozenset[str]
    formats: frozenset[str]
    most_min_items: int | None
    plain_enums: bool
    all_required: bool


_OPENAI = _Rules(
    frozenset(_SHARED | {"multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "maxItems"}),
    _FORMATS,
    None,
    plain_enums=False,
    all_required=True,
)
_ANTHROPIC = _Rules(frozenset(_SHARED | {"default"}), _FORMATS | {"uri"}, 1, plain_enums=True, all_required=False)


def strict_openai(schema: Schema) -> tuple[Schema, list[str]]:
    """(the schema for OpenAI's strict mode, notes).

    Every object is closed and has all its members required; those that were optional take null instead (and
    `drop_absent` undoes that in the answer). What cannot be said strictly at all is what `strict_blockers`
    lists: look there first. Recursion is kept.
    """
    return _close(normal(schema), _OPENAI)


def for_anthropic(schema: Schema) -> tuple[Schema, list[str]]:
    """(the schema for Anthropic's structured outputs and strict tools, notes).

    Every object is closed; optional members stay optional. Recursive schemas, which are refused, are unrolled
    to a depth of three. A tool that is not strict takes any JSON Schema and needs none of this.
    """
    start, notes = normal(schema), list[str]()
    if is_recursive(start):
        start, notes = inline_refs(start)
    out, more = _close(start, _ANTHROPIC)
    return out, notes + more


def enforced(
    schema: Schema,
    strict: bool | None,
    transform: Callable[[Schema], tuple[Schema, list[str]]] = strict_openai,
) -> tuple[Schema, bool, list[str]]:
    """(the schema to send, whether to send it as strict, notes), by what the caller asked for.

    `strict` None enforces where the schema allows it, and says in a note why not elsewhere; True insists, and
    is a `UsageError` where `strict_blockers` has a reason; False sends the schema as it is.
    """
    reasons = strict_blockers(schema) if strict is not False else []
    if strict and reasons:
        raise UsageError(
            f"strict mode cannot express this schema: {'; '.join(reasons)}; change the type, or leave strict out",
            argument="strict",
        )
    if strict is False or reasons:
        return schema, False, [f"not enforced by the provider: {reason}" for reason in reasons]
    sent, notes = transform(schema)
    return sent, True, notes


def strict_blockers(schema: Schema) -> list[str]:
    """Why a strict mode (OpenAI's or Anthropic's) cannot express this schema; empty when it can.

    Closing an object that takes any key, or typing a value that may be anything, would forbid right answers:
    then the schema is better sent as a plain, unenforced one.
    """
    root = normal(schema)
    found = _blockers(root, ())
    if root.get("type") != "object":
        found.insert(0, "(root): must be an object")
    return list(dict.fromkeys(found))


def _blockers(schema: Any, path: Path) -> list[str]:
    if not is_object(schema):
        return []
    found: list[str] = []
    here = path_text(path)
    if schema.keys() <= ANNOTATIONS or _takes_free_items(schema):
        found.append(f"{here}: may be any value")
    if _takes_free_keys(schema):
        found.append(f"{here}: takes any keys")
    for place, sub in subschemas(schema):
        if place[0] in ("properties", "$defs", "items", "prefixItems", "anyOf", "oneOf", "allOf"):
            found += _blockers(sub, (*path, *_short(place)))
    return found


def _takes_free_keys(schema: Schema) -> bool:
    if "patternProperties" in schema or schema.get("additionalProperties") not in (None, False):
        return True
    kind = schema.get("type")
    objects = kind == "object" or (is_array(kind) and "object" in kind)
    open_ended = "properties" not in schema and "additionalProperties" not in schema
    return objects and open_ended and not schema.keys() & {"$ref", "allOf", "anyOf", "oneOf"}


def _takes_free_items(schema: Schema) -> bool:
    return schema.get("type") == "array" and schema.get("maxItems") != 0 and not schema.keys() & _ITEMS


def _short(place: Path) -> Path:
    return place[1:] if place[0] == "properties" else place


def _close(root: Schema, rules: _Rules) -> tuple[Schema, list[str]]:
    closer = _Closer(root, rules)
    out = closer.part(root, ())
    # Last, as `normal` has them, so that a second pass gives the same bytes.
    defs = {"$defs": out.pop("$defs")} if "$defs" in out else {}
    return {**out, **defs}, list(dict.fromkeys(closer.notes))


class _Closer:
    """Rewrites for the two strict modes, which differ only in their rules."""

    def __init__(self, root: Schema, rules: _Rules) -> None:
        self._root = root
        self._rules = rules
        self.notes: list[str] = []

    def part(self, schema: Any, path: Path, chain: tuple[str, ...] = ()) -> Any:
        if not is_object(schema):
            return schema
        if "$ref" in schema and len(schema) > 1:
            return self._unravelled(schema, path, chain)
        out = flat(schema, self._root, path, self.notes)
        if "prefixItems" in out:
            out = tuple_as_items(out, path, self.notes)
        if "properties" in out or out.get("type") == "object":
            out = self._closed(out, path)
        if out.get("type") == "array" and out.get("maxItems") == 0 and "items" not in out:
            out["items"] = {"type": "string"}
        out = with_lost(out, self._refused(out), path, self.notes)
        return map_children(out, lambda sub, place: self.part(sub, (*path, *_short(place)), chain))

    def _unravelled(self, schema: Schema, path: Path, chain: tuple[str, ...]) -> Any:
        """A reference must stand alone: its target takes its place, unless that would never end."""
        ref = str(schema["$ref"])
        if ref in chain:
            lost = [word for word in schema if word not in ANNOTATIONS and word not in ("$ref", "$defs")]
            self.notes += [f"{path_text(path)}: {word} is not sent" for word in lost]
            return {"$ref": ref}
        rest = {word: value for word, value in schema.items() if word != "$ref"}
        merged = {**rest, "allOf": [*rest.get("allOf", ()), resolve(self._root, ref)]}
        return self.part(merged, path, (*chain, ref))

    def _closed(self, schema: Schema, path: Path) -> Schema:
        properties: dict[str, Any] = schema.get("properties", {})
        required: list[str] = [name for name in schema.get("required", ()) if name in properties]
        if schema.get("additionalProperties") not in (None, False) or "patternProperties" in schema:
            self.notes.append(f"{path_text(path)}: keys other than the listed ones are not sent")
        out = {word: value for word, value in schema.items() if word != "patternProperties"}
        out["type"] = schema.get("type", "object")
        if self._rules.all_required:
            properties = {n: sub if n in required else self._nullable(sub) for n, sub in properties.items()}
            required = list(properties)
        if properties or required:
            out |= {"properties": properties, "required": required}
        out["additionalProperties"] = False
        return out

    def _nullable(self, schema: Any) -> Any:
        if not is_object(schema) or not problems_of(None, schema, root=self._root):
            return schema
        if is_array(schema.get("anyOf")):
            return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
        if "type" in schema and not schema.keys() & {"$ref", "const", "allOf", "oneOf", "not"}:
            kinds = schema["type"] if is_array(schema["type"]) else [schema["type"]]
            choices = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
            return {**schema, "type": [*kinds, "null"], **choices}
        said = {word: schema[word] for word in ("description", "default") if word in schema}
        bare = {word: value for word, value in schema.items() if word not in said}
        return {"anyOf": [bare, {"type": "null"}], **said}

    def _refused(self, schema: Schema) -> list[str]:
        rules = self._rules
        refused = [word for word in schema if word not in rules.keep]
        if "format" in schema and schema["format"] not in rules.formats:
            refused.append("format")
        if "pattern" in schema and _HARD_PATTERN.search(str(schema["pattern"])):
            refused.append("pattern")
        if rules.plain_enums and any(is_object(choice) or is_array(choice) for choice in schema.get("enum", ())):
            refused.append("enum")
        if rules.most_min_items is not None and schema.get("minItems", 0) > rules.most_min_items:
            refused.append("minItems")
        return refused
