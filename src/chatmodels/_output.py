"""What `with_output(T)` asks for: a JSON Schema to send, and the answer's text made into a `T`.

Pure values. What a provider takes of the schema is in `_schema_dialects`; when to ask again is the flow's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Generic, NoReturn, TypeGuard, TypeVar, cast, overload

import msgspec

from ._errors import OutputError, UsageError
from ._output_partial import PartialJSON, parse_partial
from ._schema import Mismatch, check_schema, convert_node, drop_absent, node_of, schema_of_node
from ._schema_nodes import Node
from ._schema_validate import Problem, problems_of
from ._schema_walk import Schema, is_object, shown

__all__ = ["Output", "PartialJSON", "parse_partial"]

T = TypeVar("T")
U = TypeVar("U")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_FENCE = re.compile(r"```[A-Za-z0-9]*[ \t]*\r?\n(.*?)\s*```", re.DOTALL)
_WRAPPER = "value"
# At least one of these is in any schema that says something.
_KEYWORDS = frozenset(
    {"type", "properties", "items", "prefixItems", "enum", "const", "anyOf", "oneOf", "allOf", "not", "$ref"}
)


class Output(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A type that an answer shall have.

    `schema` is a JSON Schema whose root is an object: a type of another kind is wrapped into
    `{"value": ...}` (`wrapped` is then True), and unwrapped by `parse`. `target` is what was asked for: a
    Python type, or the JSON Schema itself. `strict` asks the provider to hold the model to the schema; None
    leaves it to the dialect.
    """

    name: str
    schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None
    wrapped: bool = False
    target: Any = None
    node: Any = None

    @overload
    @classmethod
    def of(
        cls,
        target: type[U],
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool | None = None,
    ) -> Output[U]: ...
    @overload
    @classmethod
    def of(
        cls,
        target: Any,
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool | None = None,
    ) -> Output[Any]: ...
    @classmethod
    def of(
        cls,
        target: Any,
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool | None = None,
    ) -> Output[Any]:
        """The output for a type: a pydantic model, dataclass, TypedDict, NamedTuple or msgspec.Struct, any
        annotation with a JSON form (`list[str]`, `Literal[...]`, a union, ...), or a JSON Schema as a dict
        (bare, or as OpenAI's `json_schema` object). Raises `UsageError` for anything else.
        """
        if _is_output(target):
            changes = {"name": name, "description": description, "strict": strict}
            return msgspec.structs.replace(target, **{k: v for k, v in changes.items() if v is not None})
        wanted = _Wanted(name, description, strict)
        if isinstance(target, Mapping):
            return _of_schema(dict(cast("Mapping[str, Any]", target)), wanted)
        return _of_type(target, wanted)

    def parse(self, text: str) -> T:
        """The answer's text as the type; for an output made from a JSON Schema, the JSON value itself.

        Takes blanks around the JSON, and a code fence around it; nothing else is mended. Raises `OutputError`
        with the path of each problem when the text is not JSON or does not fit.
        """
        return self._fitting(self.load(text))

    def load(self, text: str) -> Any:
        """The answer's text as a JSON value, not looked at any further."""
        try:
            return self.bare(_loads(text))
        except RecursionError as error:
            raise OutputError("the answer is nested too deeply") from error

    def bare(self, value: Any) -> Any:
        """A JSON value without what a type that is no object was wrapped in."""
        return value[_WRAPPER] if self.wrapped and is_object(value) and value.keys() == {_WRAPPER} else value

    def convert(self, value: Any) -> T:
        """As `parse`, for an answer that is JSON already (a tool's arguments)."""
        return self._fitting(self.bare(value))

    def _fitting(self, value: Any) -> T:
        try:
            return self._converted(value)
        except RecursionError as error:
            raise OutputError("the answer is nested too deeply") from error
        except Mismatch as error:
            raise OutputError(f"the answer does not fit {self.name}: {error}") from error

    def _converted(self, value: Any) -> T:
        if self.node is not None:
            return cast("T", convert_node(self.node, value))
        inner = self.schema["properties"][_WRAPPER] if self.wrapped else self.schema
        cleaned = drop_absent(value, inner, self.schema)
        problems = problems_of(cleaned, inner, root=self.schema)
        return cast("T", cleaned) if not problems else _misfit(problems)

    def parse_partial(self, text: str) -> Any:
        """As far as it has come, the JSON value of an answer that is still being written; None before any.

        Plain dicts, lists, strings and numbers, not `T`: half an answer seldom is a whole `T`. Never raises.
        """
        value = parse_partial(text)
        if not self.wrapped:
            return value
        return value.get(_WRAPPER) if is_object(value) and value.keys() <= {_WRAPPER} else value

    def __eq__(self, other: object) -> bool:
        return _is_output(other) and _identity(self) == _identity(other)

    def __hash__(self) -> int:
        return hash((self.name, self.wrapped))

    def __repr__(self) -> str:
        asked = self.target.__qualname__ if isinstance(self.target, type) else repr(self.target)
        return f"Output(name={self.name!r}, target={asked})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (_identity(self), self.node is not None)


def _is_output(value: object) -> TypeGuard[Output[Any]]:
    return isinstance(value, Output)


class _Wanted(msgspec.Struct, frozen=True):
    name: str | None
    description: str | None
    strict: bool | None


def _identity(output: Output[Any]) -> tuple[Any, ...]:
    return (output.name, output.schema, output.description, output.strict, output.wrapped, output.target)


def _restored(identity: tuple[Any, ...], has_node: bool) -> Output[Any]:
    names = ("name", "schema", "description", "strict", "wrapped", "target")
    fields = dict(zip(names, identity, strict=True))
    return Output(**fields, node=node_of(fields["target"]) if has_node else None)


def _of_type(asked: Any, wanted: _Wanted) -> Output[Any]:
    node = node_of(asked)
    schema = schema_of_node(node)
    own = getattr(asked, "__module__", "builtins") not in ("builtins", "typing", "types", "collections.abc")
    name = wanted.name or (_cleaned(getattr(asked, "__name__", "")) if own else "")
    return _made(name or "output", schema, wanted, asked, node)


def _cleaned(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", name)[:64].strip("_")


def _of_schema(given: Schema, wanted: _Wanted) -> Output[Any]:
    outer = given.get("json_schema", given)
    if not is_object(outer):
        raise UsageError(f"{shown(given)} holds no schema under json_schema", argument="output")
    schema: Any = outer
    told_name, told_strict = wanted.name, wanted.strict
    if (is_object(outer.get("schema")) and "type" not in outer) or given.get("type") == "json_schema":
        schema = outer.get("schema")
        told_name = told_name or outer.get("name")
        told_strict = outer.get("strict") if told_strict is None else told_strict
    if not is_object(schema) or not schema.keys() & _KEYWORDS:
        raise UsageError(f"{shown(given)} is no JSON Schema", argument="output")
    check_schema(schema)
    fallback = _cleaned(str(schema.get("title", "")))
    description = wanted.description or outer.get("description")
    full = _Wanted(told_name, description, told_strict)
    return _made(told_name or fallback or "output", schema, full, schema, None)


def _made(name: str, schema: Schema, wanted: _Wanted, asked: Any, node: Node | None) -> Output[Any]:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be an output's name: providers take letters, digits, _ and -, at most 64 of them",
            argument="name",
        )
    is_plain_object = schema.get("type") == "object"
    description = wanted.description or schema.get("description")
    return Output(
        name=name,
        schema=schema if is_plain_object else _wrapped(schema),
        description=description,
        strict=wanted.strict,
        wrapped=not is_plain_object,
        target=asked,
        node=node,
    )


def _wrapped(schema: Schema) -> Schema:
    """The schema as the only member of an object; its definitions stay where references look for them."""
    defs: Schema = {word: schema[word] for word in ("$defs", "definitions") if word in schema}
    inner = {word: value for word, value in schema.items() if word not in defs}
    return {
        "type": "object",
        "properties": {_WRAPPER: inner},
        "required": [_WRAPPER],
        "additionalProperties": False,
        **defs,
    }


def _misfit(problems: list[Problem]) -> NoReturn:
    raise Mismatch(problems)


def _loads(text: str) -> Any:
    stripped = text.strip().removeprefix("\ufeff").strip()
    fenced = _FENCE.fullmatch(stripped)
    body = fenced[1] if fenced else stripped
    if not body:
        raise OutputError("the answer is empty, where JSON is expected")
    try:
        value = json.loads(body, strict=False, parse_constant=_no_constant)
    except ValueError as error:
        raise OutputError(f"the answer is not JSON: {error}; it begins {shown(body)}") from error
    return value if "\\u" not in body else _without_halves(value)


def _without_halves(value: Any) -> Any:
    """With U+FFFD for escaped halves of emoji, which no later step could encode."""
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON value")
