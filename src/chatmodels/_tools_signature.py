"""How a function or class is called with a model's arguments: its parameters as a node, and the call itself.

Reads signatures, annotations and docstrings. Knows no provider and no tool definition.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from ._errors import UsageError
from ._schema import convert_node
from ._schema_docs import parse_doc
from ._schema_nodes import MISSING, Field, ForeignNode, MetaNode, Node, ObjectNode, without_meta
from ._schema_types import Reader, hints_of, node_of

__all__ = ["Binding", "binding_of", "class_binding", "underlying"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """What a call needs: the node of all parameters, which go by position, and defaults of ours."""

    node: Node
    summary: str | None
    is_class: bool = False
    by_position: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])

    def bind(self, args: Any) -> Any:
        """JSON arguments as Python values; raises `Mismatch`."""
        return convert_node(self.node, args)

    def call(self, function: Callable[..., Any], bound: Any) -> Any:
        """The result for what `bind` gave."""
        if self.is_class:
            return bound
        named = {**self.defaults, **bound}
        positional = [named.pop(name) for name in self.by_position if name in named]
        return function(*positional, **named)


def class_binding(cls: Any) -> Binding:
    """The binding of a class whose instances are the arguments themselves."""
    node = node_of(cls)
    plain = without_meta(node)
    summary = None
    if isinstance(plain, ObjectNode):
        summary = plain.description
    elif isinstance(plain, ForeignNode):
        summary = parse_doc(inspect.getdoc(cls) if cls.__dict__.get("__doc__") else None).summary
    return Binding(node, summary, is_class=True)


def binding_of(function: Callable[..., Any]) -> Binding:
    """The binding of a function, method, partial or callable object; else a `UsageError`."""
    return _SignatureReader(function).binding()


class _SignatureReader:
    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._code = underlying(function)
        self._doc = parse_doc(getattr(self._code, "__doc__", None) or getattr(function, "__doc__", None))
        self._types = Reader()
        self._defaults: dict[str, Any] = {}

    def binding(self) -> Binding:
        parameters = list(self._parameters())
        hints = _hints(self._code, {parameter.name for parameter in parameters})
        node = ObjectNode("parameters", dict, closed=True)
        for parameter in parameters:
            if parameter.kind is parameter.VAR_KEYWORD:
                self._open(node, hints.get(parameter.name, Any))
            else:
                node.fields.append(self._field(parameter, hints.get(parameter.name, Any)))
        by_position = [p for p in parameters if p.kind is p.POSITIONAL_ONLY]
        for parameter in by_position:
            if parameter.default is not parameter.empty:
                self._defaults.setdefault(parameter.name, parameter.default)
        return Binding(node, self._doc.summary, False, tuple(p.name for p in by_position), self._defaults)

    def _parameters(self) -> Iterator[inspect.Parameter]:
        hidden = _bound_keywords(self._function)
        for index, parameter in enumerate(_signature(self._function).parameters.values()):
            if parameter.kind is parameter.VAR_POSITIONAL:
                raise UsageError(
                    f"{_called(self._function)} takes *{parameter.name}, which a model cannot fill; "
                    "take a list instead",
                    argument="function",
                )
            unbound_self = index == 0 and _is_unbound_method(self._function)
            if not unbound_self and parameter.name not in hidden:
                yield parameter

    def _field(self, parameter: inspect.Parameter, hint: Any) -> Field:
        default: Any = MISSING if parameter.default is parameter.empty else parameter.default
        if hasattr(default, "get_default") and hasattr(default, "is_required"):
            # pydantic's `x: int = Field(3, gt=0)`: the annotation and the default are both in there.
            hint = typing.Annotated[hint, default]
            default = MISSING if default.is_required() else default.get_default(call_default_factory=True)
            if default is not MISSING:
                self._defaults[parameter.name] = default
        node = self._types.read(hint)
        said = node.description if isinstance(node, MetaNode) else None
        description = said or self._doc.parameters.get(parameter.name)
        return Field(parameter.name, parameter.name, node, default is MISSING, default, description)

    def _open(self, node: ObjectNode, hint: Any) -> None:
        """`**kwargs`: free keys, or with `Unpack[TypedDict]` the keys that it lists."""
        inner = self._types.read(hint)
        if getattr(typing.get_origin(hint), "_name", None) == "Unpack" and isinstance(inner, ObjectNode):
            node.fields += inner.fields
            return
        node.closed = False
        node.extra = inner


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{_called(function)} has no signature that Python can tell; wrap it in a function of your own",
            argument="function",
        ) from error


def underlying(function: Any) -> Any:
    """The plain function that carries the annotations and the docstring."""
    while isinstance(function, functools.partial):
        function = cast("Any", function).func
    function = getattr(function, "__func__", function)
    is_function = hasattr(function, "__annotations__") and hasattr(function, "__name__")
    return function if is_function else getattr(type(function).__call__, "__func__", type(function).__call__)


def _bound_keywords(function: Any) -> set[str]:
    # What a partial already has is not the model's to choose, and may be a secret.
    return set(function.keywords) if isinstance(function, functools.partial) else set()


def _is_unbound_method(function: Any) -> bool:
    if not inspect.isfunction(function):
        return False
    owner = function.__qualname__.rpartition(".")[0]
    return bool(owner) and not owner.endswith("<locals>")


def _hints(function: Any, names: set[str]) -> dict[str, Any]:
    """The parameters' resolved annotations; the others, such as the result's, may name what is not there."""

    def stub() -> None: ...

    annotations: Mapping[str, Any] = getattr(function, "__annotations__", {})
    stub.__annotations__ = {name: hint for name, hint in annotations.items() if name in names}
    stub.__qualname__ = getattr(function, "__qualname__", "function")
    inner = inspect.unwrap(function)
    return hints_of(stub, getattr(inner, "__globals__", {}), _closure(inner))


def _closure(function: Any) -> dict[str, Any]:
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    cells = getattr(function, "__closure__", None) or ()
    return {name: cell.cell_contents for name, cell in zip(names, cells, strict=True) if _filled(cell)}


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _called(function: Any) -> str:
    return str(getattr(function, "__qualname__", None) or repr(function))
