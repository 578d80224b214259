"""Tools: what a model may call. Definitions from functions, classes and every common shape of data; and calls
with the model's arguments, checked and converted first.

Pure values: what a definition looks like on the wire is each dialect's affair, when to call is the caller's.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, ParamSpec, TypeVar, cast, overload

import msgspec

from ._errors import OutputError, UsageError
from ._schema import Mismatch, is_object_type, schema_of_node, validate
from ._schema_walk import is_object, shown
from ._tools_shapes import Definition, definition_of, mcp_definition
from ._tools_signature import Binding, binding_of, class_binding, underlying

__all__ = ["FunctionTool", "Tool", "acall_tool", "as_tool", "call_tool", "tool"]

P = ParamSpec("P")
R = TypeVar("R")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ACCEPTED = (
    "a function, method or functools.partial, a pydantic model, dataclass, TypedDict or msgspec.Struct "
    "class, an OpenAI, Anthropic, Google, Bedrock or MCP tool definition, or a provider's own tool as a dict "
    'with a "type"'
)


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as the dialects see it.

    `parameters` is a JSON Schema of type object. `strict` asks the provider to hold the model to it; None
    leaves that to the provider's default. For a tool that the provider runs itself (`kind` "provider"), `raw`
    is the definition as it was given, and is sent as it is. `provider_data` keeps what only one provider
    understands, by provider. `function` is never sent; two tools are equal when their definitions are.
    """

    name: str
    description: str | None = None
    parameters: dict[str, Any] = {}
    strict: bool | None = None
    kind: Literal["function", "provider"] = "function"
    raw: dict[str, Any] | None = None
    provider_data: dict[str, Any] | None = None
    function: Callable[..., Any] | None = None
    binding: Binding | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function as it was before it became a tool: plain Python arguments, nothing checked."""
        if self.function is None:
            raise _no_function(self)
        return self.function(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tool) and _definition(self) == _definition(other)

    def __hash__(self) -> int:
        return hash((self.kind, self.name))

    def __repr__(self) -> str:
        if self.raw is not None:
            return f"Tool(kind='provider', raw={self.raw!r})"
        strict = "" if self.strict is None else f", strict={self.strict}"
        said = f"name={self.name!r}, description={self.description!r}, parameters={self.parameters!r}"
        return f"Tool({said}{strict})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (
            type(self),
            _definition(self),
            _reference(self.function),
            self.binding is not None,
        )


class FunctionTool(Tool, Generic[P, R], frozen=True, kw_only=True):
    """A tool made of a function, which it still is: calling it has the function's own types."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function as it was before it became a tool."""
        return cast("R", super().__call__(*args, **kwargs))

    def __get__(self, instance: object, owner: type | None = None) -> FunctionTool[..., R]:
        """A tool that is a method is bound to its object like any method."""
        if instance is None or self.function is None:
            return self
        return msgspec.structs.replace(self, function=self.function.__get__(instance, owner))

    @property
    def __wrapped__(self) -> Callable[P, R]:
        # `inspect.signature` and documentation tools look here.
        return cast("Callable[P, R]", self.function)


def _definition(tool: Tool) -> tuple[Any, ...]:
    return (
        tool.name,
        tool.description,
        tool.parameters,
        tool.strict,
        tool.kind,
        tool.raw,
        tool.provider_data,
    )


@overload
def tool(
    function: Callable[P, R],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool | None = None,
) -> FunctionTool[P, R]: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, strict: bool | None = None
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool | None = None,
) -> Any:
    """A tool from a function: `@tool`, `@tool(name=...)` or `tool(f)`; it can still be called like it.

    The name is the function's, the description the first paragraph of its docstring, and the parameters come
    from its annotations, defaults and the docstring's entries (Google, NumPy or Sphinx style). Raises
    `UsageError` for a name that providers refuse, for `*args`, and for an annotation that has no JSON form.

    >>> @tool
    ... def add(a: int, b: int = 1) -> int:
    ...     "Add two numbers."
    ...     return a + b
    >>> add.parameters["required"], add(2), call_tool(add, {"a": 2, "b": 3})
    (['a'], 3, 5)
    """
    if function is None:
        return functools.partial(tool, name=name, description=description, strict=strict)
    return _function_tool(function, name, description, strict)


def as_tool(value: Any, *, name: str | None = None, description: str | None = None, strict: bool | None = None) -> Tool:
    """A `Tool` from whatever defines one; `name`, `description` and `strict` replace what `value` says.

    Takes a `Tool`; a function (also async), method, `functools.partial` or callable object; a pydantic model,
    dataclass, TypedDict, NamedTuple or msgspec.Struct class; a definition in the shape of OpenAI (both),
    Anthropic, Google, Bedrock or MCP (also as an object); and any other dict with a "type" (or of one key, as
    `{"google_search": {}}`), which is a tool that the provider runs and is sent as it is. Anything else is a
    `UsageError`.
    """
    made = _made(value, name, description, strict)
    changes = {"name": name, "description": description, "strict": strict}
    given = {key: new for key, new in changes.items() if new is not None}
    if made.kind == "provider":
        if given:
            raise UsageError(
                f"{next(iter(given))} cannot be changed on {made.name}, which the provider runs; change "
                "the dict itself",
                argument=next(iter(given)),
            )
        return made
    return _checked(msgspec.structs.replace(made, **given) if given else made)


def _made(value: Any, name: str | None, description: str | None, strict: bool | None) -> Tool:
    if isinstance(value, Tool):
        return value
    if isinstance(value, Mapping):
        found = definition_of(cast("Mapping[str, Any]", value))
        return _refuse(value) if found is None else _from_definition(found)
    if _is_class(value):
        return _class_tool(value, name, description, strict)
    if not isinstance(value, type) and (definition := mcp_definition(value)) is not None:
        return _from_definition(definition)
    if callable(value) and not isinstance(value, type):
        return _function_tool(value, name, description, strict)
    return _refuse(value)


def _is_class(value: Any) -> bool:
    origin = typing.get_origin(value) or value
    return isinstance(origin, type) and is_object_type(origin)


def _refuse(value: Any) -> Tool:
    raise UsageError(f"{shown(value)} is no tool; a tool is {_ACCEPTED}", argument="tools")


def _checked(tool: Tool) -> Tool:
    if not _NAME.fullmatch(tool.name):
        raise UsageError(
            f"{tool.name!r} cannot be a tool's name: providers take letters, digits, _ and -, at most 64 of "
            "them; give another with name=",
            argument="name",
        )
    return tool


def _from_definition(found: Definition) -> Tool:
    fields = found._asdict()
    return Tool(kind="function" if found.raw is None else "provider", **fields)


def _function_tool(
    function: Callable[..., Any], name: str | None, description: str | None, strict: bool | None
) -> Tool:
    if isinstance(function, Tool):
        return as_tool(function, name=name, description=description, strict=strict)
    binding = binding_of(function)
    made: FunctionTool[..., Any] = FunctionTool(
        name=_name_of(function) if name is None else name,
        description=binding.summary if description is None else description,
        parameters=schema_of_node(binding.node),
        strict=strict,
        function=function,
        binding=binding,
    )
    return _checked(made)


def _class_tool(cls: Any, name: str | None, description: str | None, strict: bool | None) -> Tool:
    binding = class_binding(cls)
    schema = schema_of_node(binding.node)
    if schema.get("type") != "object":
        raise UsageError(f"{cls.__name__} is no object in JSON, so it cannot be a tool", argument="tools")
    made = Tool(
        name=cls.__name__ if name is None else name,
        description=binding.summary if description is None else description,
        parameters={word: value for word, value in schema.items() if word not in ("title", "description")},
        strict=strict,
        function=cls,
        binding=binding,
    )
    return _checked(made)


def _name_of(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", None) or type(function).__name__)


# Calls


def call_tool(tool: Tool, args: Mapping[str, Any] | None) -> Any:
    """What the tool's function gives for the model's arguments: a JSON object, made into the annotated types.

    For a tool made of a class, an instance of it. Raises `OutputError` when the arguments do not fit, naming
    the path of each problem in words that can be sent back to the model; what the function itself raises
    comes through as it is. Raises `UsageError` for a tool without a function, and for
    an async one (`acall_tool`).
    """
    if _is_async(tool.function):
        raise UsageError(f"{tool.name} is async; call it with acall_tool", argument="tool")
    return _called(tool, args)


async def acall_tool(tool: Tool, args: Mapping[str, Any] | None) -> Any:
    """As `call_tool`, for async functions too. A function that is not async is called in place."""
    result = _called(tool, args)
    return await result if inspect.isawaitable(result) else result


def _called(tool: Tool, args: Any) -> Any:
    if tool.function is None:
        raise _no_function(tool)
    given: Any = {} if args is None else dict(cast("Any", args)) if isinstance(args, Mapping) else args
    bound = _bound(tool, given)
    return tool.function(**bound) if tool.binding is None else tool.binding.call(tool.function, bound)


def _bound(tool: Tool, given: Any) -> Any:
    try:
        if tool.binding is not None:
            return tool.binding.bind(given)
        problems = validate(given, tool.parameters)
    except Mismatch as error:
        raise _misfit(tool, str(error)) from error
    except RecursionError as error:
        raise _misfit(tool, "nested too deeply") from error
    if problems or not is_object(given):
        raise _misfit(tool, "; ".join(problems) or f"expected an object, got {shown(given)}")
    return given


def _misfit(tool: Tool, problems: str) -> OutputError:
    return OutputError(f"the arguments for {tool.name} do not fit: {problems}")


def _no_function(tool: Tool) -> UsageError:
    return UsageError(f"{tool.name} is only a definition; it has no function to call", argument="tool")


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(underlying(function))


# Pickling


def _reference(function: Any) -> Any:
    """How to find the function again: by name where the name now means the tool, which pickle cannot see."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if module not in (None, "__main__") and name is not None:
        found = _named(str(module), str(name))
        if isinstance(found, Tool) and found.function is function:
            return str(module), str(name)
    return function


def _named(module: str, name: str) -> Any:
    found: Any = importlib.import_module(module)
    for step in name.split("."):
        found = getattr(found, step, None)
    return found


def _restored(cls: type[Tool], definition: tuple[Any, ...], reference: Any, has_binding: bool) -> Tool:
    function: Any = _named(*cast("tuple[str, str]", reference)) if type(reference) is tuple else reference
    function = function.function if isinstance(function, Tool) else function
    binding: Binding | None = None
    if has_binding and function is not None:
        binding = class_binding(function) if isinstance(function, type) else binding_of(function)
    names = ("name", "description", "parameters", "strict", "kind", "raw", "provider_data")
    return cls(**dict(zip(names, definition, strict=True)), function=function, binding=binding)
