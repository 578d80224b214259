"""JSON values made into Python values of an annotated type: the second half of what `schema_of` promises.

Strict: nothing is guessed from the wrong JSON type (no "3" for 3). All problems of an object are reported at
once, each with its path, in words that a model can act on.
"""

from __future__ import annotations

import binascii
import functools
import json
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar, assert_never, overload

import msgspec

from ._errors import OutputError
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
    without_meta,
)
from ._schema_types import node_of
from ._schema_validate import Problem, drop_absent, problems_of
from ._schema_walk import Path, is_array, is_object, shown

__all__ = ["Mismatch", "convert", "convert_node", "takes_null", "told"]

T = TypeVar("T")
_WORDS = {"string": "a string", "integer": "an integer", "number": "a number", "boolean": "true or false"}
_FORMATS = {
    "date-time": "a date and time (like 2026-11-30T12:00:00Z)",
    "date": "a date (YYYY-MM-DD)",
    "time": "a time (HH:MM:SS)",
    "duration": "a duration (ISO 8601, like PT1H30M)",
    "base64": "base64 text",
    "uuid": "a UUID",
    "decimal": "a decimal number as a string",
    "path": "a path",
}
_TOLD = 5


class Mismatch(Exception):
    """A value does not fit its type: all that is wrong with it. Ours alone; callers see `OutputError`."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(told(problems))
        self.problems = problems


def told(problems: Iterable[Problem]) -> str:
    """The problems as one short line: at most five, and how many more there are."""
    lines = [str(problem) for problem in problems]
    more = f" (and {len(lines) - _TOLD} more)" if len(lines) > _TOLD else ""
    return "; ".join(lines[:_TOLD]) + more


@overload
def convert(value: Any, tp: type[T]) -> T: ...
@overload
def convert(value: Any, tp: Any) -> Any: ...
def convert(value: Any, tp: Any) -> Any:
    """A Python value of the annotated type from a JSON value (dict, list, str, int, float, bool, None).

    A member that has a default and comes as null, where its type has no null, takes its default: strict modes
    of providers send null for what is not given. Unknown keys are ignored unless the type forbids them.
    Raises `OutputError` naming the path of each problem, and `UsageError` for a type with no JSON form.
    """
    node = node_of(tp)
    try:
        return convert_node(node, value)
    except Mismatch as error:
        raise OutputError(f"the value does not fit: {error}") from error
    except RecursionError as error:
        raise OutputError("the value does not fit: nested too deeply") from error


def convert_node(node: Node, value: Any, path: Path = (), *, exact: bool = False) -> Any:
    """As `convert`, for a node; raises `Mismatch`. `exact` takes no unknown keys and no int for a float."""
    match node:
        case AnyNode():
            return value
        case ScalarNode():
            return _scalar(node, value, path, exact)
        case TextNode():
            return _text(node, value, path)
        case ChoiceNode():
            return _choice(node, value, path)
        case ArrayNode():
            return _array(node, value, path, exact)
        case TupleNode():
            return _tuple(node, value, path, exact)
        case _:
            return _convert_compound(node, value, path, exact)


def _convert_compound(
    node: MapNode | UnionNode | MetaNode | AliasNode | ForeignNode | ObjectNode,
    value: Any,
    path: Path,
    exact: bool,
) -> Any:
    match node:
        case MapNode():
            return _map(node, value, path, exact)
        case UnionNode():
            return _union(node, value, path, exact)
        case MetaNode():
            return _meta(node, value, path, exact)
        case AliasNode():
            return convert_node(node.target, value, path, exact=exact)
        case ForeignNode():
            return _foreign(node, value, path)
        case ObjectNode():
            return _object(node, value, path, exact)
        case _:
            assert_never(node)


def _fail(path: Path, wanted: str, value: Any) -> NoReturn:
    raise Mismatch([Problem(path, f"expected {wanted}, got {shown(value)}")])


def _each(parts: Iterable[tuple[Any, Callable[[], Any]]]) -> list[tuple[Any, Any]]:
    """(key, result) for every part; the problems of all parts together when some do not fit."""
    results: list[tuple[Any, Any]] = []
    problems: list[Problem] = []
    for key, make in parts:
        try:
            results.append((key, make()))
        except Mismatch as error:
            problems += error.problems
    if problems:
        raise Mismatch(problems)
    return results


# Scalars


def _scalar(node: ScalarNode, value: Any, path: Path, exact: bool) -> Any:
    kind = node.kind
    if kind == "null":
        return None if value is None else _fail(path, "null", value)
    if kind in ("integer", "number"):
        return _number(kind, value, path, exact)
    if not isinstance(value, str if kind == "string" else bool):
        _fail(path, _WORDS[kind], value)
    return value


def _number(kind: str, value: Any, path: Path, exact: bool) -> Any:
    if type(value) is (int if kind == "integer" else float):
        return value
    if not exact and kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if not exact and kind == "number" and type(value) is int:
        return _as_float(value, path)
    return _fail(path, _WORDS[kind], value)


def _as_float(value: int, path: Path) -> float:
    try:
        return float(value)
    except OverflowError:
        _fail(path, "a number that fits a float", value)


def _text(node: TextNode, value: Any, path: Path) -> Any:
    wanted = _FORMATS[node.kind]
    if node.kind == "decimal" and isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        _fail(path, wanted, value)
    try:
        return _from_text(node, value)
    except (ValueError, ArithmeticError, msgspec.ValidationError, binascii.Error):
        _fail(path, wanted, value)


def _from_text(node: TextNode, value: str) -> Any:
    if node.kind == "path":
        return node.python(value)
    if node.kind == "decimal":
        number = node.python(value)
        if not number.is_finite():
            raise ValueError(value)
        return number
    return msgspec.convert(value, node.python)


def _choice(node: ChoiceNode, value: Any, path: Path) -> Any:
    for given, python in node.values:
        if type(given) is type(value) and given == value:
            return python
    if isinstance(value, float) and value.is_integer():
        return _choice(node, int(value), path)
    choices = ", ".join(shown(given) for given, _ in node.values)
    return _fail(path, f"one of {choices}", value)


# Collections


def _array(node: ArrayNode, value: Any, path: Path, exact: bool) -> Any:
    if not is_array(value):
        _fail(path, "an array", value)
    return node.build([item for _, item in _each(_items([node.item] * len(value), value, path, exact))])


def _tuple(node: TupleNode, value: Any, path: Path, exact: bool) -> Any:
    if not is_array(value) or len(value) != len(node.items):
        _fail(path, f"an array of {len(node.items)} items", value)
    return tuple(item for _, item in _each(_items(node.items, value, path, exact)))


def _items(nodes: Iterable[Node], value: list[Any], path: Path, exact: bool) -> Iterable[tuple[int, Callable[[], Any]]]:
    for index, (node, item) in enumerate(zip(nodes, value, strict=True)):
        yield index, functools.partial(convert_node, node, item, (*path, index), exact=exact)


def _map(node: MapNode, value: Any, path: Path, exact: bool) -> Any:
    if not is_object(value):
        _fail(path, "an object", value)
    keys = [_key(node.key, key, (*path, key)) for key in value]
    values = _each(
        (key, functools.partial(convert_node, node.value, item, (*path, key), exact=exact))
        for key, item in value.items()
    )
    return node.build(dict(zip(keys, (item for _, item in values), strict=True)))


def _key(node: Node, key: str, path: Path) -> Any:
    plain = without_meta(node)
    numeric = isinstance(plain, ScalarNode) and plain.kind == "integer"
    if isinstance(plain, ChoiceNode):
        key = next((given for given, _ in plain.values if str(given) == key), key)
        return convert_node(node, key, path)
    return convert_node(node, _whole(key) if numeric else key, path)


def _whole(key: str) -> Any:
    try:
        number = int(key)
    except ValueError:
        return key
    # Only the one spelling that JSON has for it, so that two keys can never fall into one.
    return number if str(number) == key else key


# Unions, annotations, other libraries' types


def _union(node: UnionNode, value: Any, path: Path, exact: bool) -> Any:
    tries: list[Mismatch] = []
    for strict in (True,) if exact else (True, False):
        tries.clear()
        for option in node.options:
            try:
                return convert_node(option, value, path, exact=strict)
            except Mismatch as error:
                tries.append(error)
    raise _closest(tries, value, path)


def _closest(tries: list[Mismatch], value: Any, path: Path) -> Mismatch:
    """What is wrong under the option that the value came closest to: the one that failed only inside."""
    inside = [error for error in tries if all(len(problem.path) > len(path) for problem in error.problems)]
    if inside:
        return min(inside, key=lambda error: len(error.problems))
    wanted = dict.fromkeys(p.text.removeprefix("expected ").split(", got ")[0] for e in tries for p in e.problems)
    return Mismatch([Problem(path, f"expected {' or '.join(wanted)}, got {shown(value)}")])


def _meta(node: MetaNode, value: Any, path: Path, exact: bool) -> Any:
    problems = problems_of(value, node.keywords, path=path)
    if problems:
        raise Mismatch(problems)
    return convert_node(node.inner, value, path, exact=exact)


def _foreign(node: ForeignNode, value: Any, path: Path) -> Any:
    # As JSON text, because pydantic's strict models take from JSON what they refuse from Python.
    text = json.dumps(drop_absent(value, node.schema))
    try:
        return node.adapter.validate_json(text)
    except ValueError as error:
        raise Mismatch(_foreign_problems(error, path)) from error


def _foreign_problems(error: Any, path: Path) -> list[Problem]:
    if not hasattr(error, "errors"):
        return [Problem(path, str(error))]
    details = error.errors(include_url=False, include_context=False, include_input=True)
    return [Problem((*path, *detail["loc"]), _foreign_text(detail)) for detail in details]


def _foreign_text(detail: dict[str, Any]) -> str:
    if detail["type"] == "missing":
        return "missing"
    return f"{detail['msg'].rstrip('.')}, got {shown(detail['input'])}"


# Objects


def _object(node: ObjectNode, value: Any, path: Path, exact: bool) -> Any:
    if node.positional and is_array(value):
        value = _named(node, value, path)
    if not is_object(value):
        _fail(path, "an object", value)
    _check_keys(node, value, path, exact)
    given: list[tuple[str, Callable[[], Any]]] = []
    for field in node.fields:
        item = _given(field, value)
        if item is not MISSING:
            here = (*path, field.wire)
            given.append((field.name, functools.partial(convert_node, field.node, item, here, exact=exact)))
    given += _extra(node, value, path, exact)
    return _built(node, dict(_each(given)), path)


def _named(node: ObjectNode, value: list[Any], path: Path) -> Any:
    if len(value) > len(node.fields):
        _fail(path, f"at most {len(node.fields)} items", value)
    return {field.wire: item for field, item in zip(node.fields, value, strict=False)}


def _check_keys(node: ObjectNode, value: dict[str, Any], path: Path, exact: bool) -> None:
    problems = [
        Problem((*path, field.wire), "missing") for field in node.fields if field.required and field.wire not in value
    ]
    if node.tag and value.get(node.tag[0], MISSING) != node.tag[1]:
        problems.append(Problem((*path, node.tag[0]), f"expected {shown(node.tag[1])}"))
    if node.extra is None and (node.closed or exact):
        problems += [Problem((*path, key), "not a known key") for key in _unknown(node, value)]
    if problems:
        raise Mismatch(problems)


def _unknown(node: ObjectNode, value: dict[str, Any]) -> list[str]:
    known = {field.wire for field in node.fields}
    if node.tag:
        known.add(node.tag[0])
    return [key for key in value if key not in known]


def _given(field: Field, value: dict[str, Any]) -> Any:
    item = value.get(field.wire, MISSING)
    return MISSING if item is None and not field.required and not takes_null(field.node) else item


def _extra(node: ObjectNode, value: dict[str, Any], path: Path, exact: bool) -> list[tuple[str, Callable[[], Any]]]:
    if node.extra is None:
        return []
    return [
        (key, functools.partial(convert_node, node.extra, value[key], (*path, key), exact=exact))
        for key in _unknown(node, value)
    ]


def _built(node: ObjectNode, fields: dict[str, Any], path: Path) -> Any:
    try:
        return node.build(fields)
    except (ValueError, TypeError) as error:
        # The class's own checks (`__post_init__`) speak so; their words are for whoever made the value.
        raise Mismatch([Problem(path, str(error))]) from error


def takes_null(node: Node) -> bool:
    """Whether null is a value of the type."""
    match node:
        case AnyNode():
            return True
        case ScalarNode():
            return node.kind == "null"
        case ChoiceNode():
            return any(given is None for given, _ in node.values)
        case UnionNode():
            return any(takes_null(option) for option in node.options)
        case MetaNode() | AliasNode():
            return takes_null(without_meta(node))
        case ForeignNode():
            return not problems_of(None, node.schema)
        case _:
            return False
