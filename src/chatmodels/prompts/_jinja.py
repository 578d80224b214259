"""Jinja templates, in a sandbox narrower than Jinja's own: no attributes, no calls, no files. An extra: `chatmodels[jinja]`.

`a.b` and `a["b"]` reach into dicts and lists only, filters are those that cannot make much of little, and an undefined name is an
error. A template can still loop over what it is given: take Jinja templates from people you trust.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, cast

from chatmodels._errors import UsageError

_FILTERS = [
    "abs",
    "capitalize",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sort",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
]
_LOOP = frozenset(
    ["index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0", "previtem", "nextitem"]
)
_FORBIDDEN_TAGS = ("Include", "Import", "FromImport", "Extends")


class JinjaTemplate:
    """A text in Jinja's language. Every name that it does not define itself is a variable."""

    __slots__ = ("_compiled", "source", "variables")

    def __init__(self, source: str, variables: frozenset[str], compiled: Any) -> None:
        self.source = source
        self.variables = variables
        self._compiled = compiled

    @property
    def kind(self) -> str:
        """The language."""
        return "jinja2"

    @property
    def optional(self) -> frozenset[str]:
        """None."""
        return frozenset()

    def render(self, values: Mapping[str, Any]) -> str:
        """The text with the values in it. What the template may not do is a UsageError."""
        try:
            return cast(str, self._compiled.render(dict(values)))
        except UsageError:
            raise
        except (_jinja().TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise UsageError(f"jinja: {error}", argument="template") from error

    def __eq__(self, other: object) -> bool:
        return self.source == other.source if isinstance(other, JinjaTemplate) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.source)


def parse_jinja(text: str) -> JinjaTemplate:
    """The parsed template.

    >>> parse_jinja("{% for x in xs %}{{ x|upper }}{% endfor %}").render({"xs": ["a", "b"]})  # doctest: +SKIP
    'AB'
    """
    jinja = _jinja()
    try:
        tree = _environment().parse(text)
        compiled = _environment().from_string(text)
    except (jinja.TemplateError, ValueError, RecursionError) as error:
        raise UsageError(f"jinja: {error}", argument="template") from error
    nodes = import_module("jinja2.nodes")
    for tag in _FORBIDDEN_TAGS:
        if tree.find(getattr(nodes, tag)) is not None:
            raise UsageError(f"jinja: a template takes in no other templates ({tag.lower()})", argument="template")
    found: set[str] = import_module("jinja2.meta").find_undeclared_variables(tree)
    return JinjaTemplate(text, frozenset(found - {"range"}), compiled)


def _jinja() -> Any:
    try:
        return import_module("jinja2")
    except ImportError as error:
        raise UsageError(
            "Jinja templates need jinja2: pip install 'chatmodels[jinja]'", argument="template_format"
        ) from error


@cache
def _environment() -> Any:
    jinja, sandbox = _jinja(), import_module("jinja2.sandbox")
    runtime = import_module("jinja2.runtime")

    def getattr_(self: Any, obj: Any, attribute: str) -> Any:
        if isinstance(obj, runtime.LoopContext) and attribute in _LOOP:
            return getattr(obj, attribute)
        return getitem(self, obj, attribute)

    def getitem(self: Any, obj: Any, argument: Any) -> Any:
        if isinstance(obj, runtime.Undefined):
            return obj[argument]  # raises, and names what is undefined
        if not isinstance(obj, (dict, list, tuple, str)):
            raise sandbox.SecurityError(
                f"a template reaches into dicts and lists only, not into {type(obj).__name__} ({argument!r})"
            )
        try:
            return cast(Any, obj)[argument]
        except (LookupError, TypeError):
            return self.undefined(obj=obj, name=argument)

    def call_binop(self: Any, context: Any, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
        if operator == "**" or not numbers:
            raise sandbox.SecurityError(f"{operator} is for numbers, and ** is not there")
        return left * right if operator == "*" else left % right

    def is_safe_callable(self: Any, obj: Any) -> bool:
        return obj is sandbox.safe_range or isinstance(obj, runtime.Macro)

    methods: dict[str, Any] = {
        "intercepted_binops": frozenset(["*", "**", "%"]),
        "getattr": getattr_,
        "getitem": getitem,
        "call_binop": call_binop,
        "is_safe_callable": is_safe_callable,
    }
    made: Any = type("DataEnvironment", (sandbox.ImmutableSandboxedEnvironment,), methods)(
        undefined=jinja.StrictUndefined, autoescape=False, keep_trailing_newline=True
    )
    made.filters = {name: made.filters[name] for name in _FILTERS}
    made.globals = {"range": sandbox.safe_range}
    return made
