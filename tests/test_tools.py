"""Tools from functions, classes and data, and calls with a model's arguments."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import functools
import inspect
import pickle
from collections.abc import Sequence
from enum import Enum
from types import SimpleNamespace
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar

import msgspec
import pydantic
import pytest
import typing_extensions
from hypothesis import given, settings
from hypothesis import strategies as st

from chatmodels._errors import OutputError, UsageError
from chatmodels._schema import schema_of
from chatmodels._schema_docs import parse_doc
from chatmodels._tools import FunctionTool, Tool, acall_tool, as_tool, call_tool, tool

T = TypeVar("T")


class Unit(Enum):
    C = "celsius"
    F = "fahrenheit"


class Item(pydantic.BaseModel):
    name: str
    price: float = pydantic.Field(gt=0)


@dataclasses.dataclass
class Order:
    """An order of items.

    Attributes:
        number: As on the bill.
    """

    number: int
    items: list[Item] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Page(Generic[T]):
    value: T


class Search(TypedDict):
    query: str
    limit: typing_extensions.NotRequired[int]


class Options(TypedDict, total=False):
    depth: int
    name: str


class Point(NamedTuple):
    x: int
    y: int = 0


class Move(msgspec.Struct):
    """Move somewhere."""

    to: Point


@tool
def weather(
    city: str,
    day: datetime.date,
    unit: Unit = Unit.C,
    *,
    hours: Annotated[Sequence[int], "Which hours."] = (),
    detail: Literal["low", "high"] | None = None,
) -> str:
    """Tell the weather of a
    day in a city.

    More words that the model does not need.

    Args:
        city (str): The city's name,
            with its country.
        day: The day.
        hours: Not this one.

    Returns:
        str: the weather
    """
    return f"{city} {day!r} {unit} {hours!r} {detail}"


def test_the_schema_of_a_function_is_exact():
    assert weather.name == "weather"
    assert weather.description == "Tell the weather of a day in a city."
    assert weather.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "The city's name, with its country."},
            "day": {"type": "string", "format": "date", "description": "The day."},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
            "hours": {
                "type": "array",
                "items": {"type": "integer"},
                "description": "Which hours.",
                "default": [],
            },
            "detail": {
                "anyOf": [{"type": "string", "enum": ["low", "high"]}, {"type": "null"}],
                "default": None,
            },
        },
        "required": ["city", "day"],
        "additionalProperties": False,
    }
    assert list(weather.parameters["properties"]) == ["city", "day", "unit", "hours", "detail"]


def test_arguments_become_values():
    args = {"city": "Bonn", "day": "2026-11-30", "unit": "fahrenheit", "hours": [1, 2], "detail": None}
    assert call_tool(weather, args) == "Bonn datetime.date(2026, 11, 30) Unit.F [1, 2] None"
    assert call_tool(weather, {"city": "Bonn", "day": "2026-11-30", "hours": None}) == (
        "Bonn datetime.date(2026, 11, 30) Unit.C () None"
    )


def test_a_tool_is_still_the_function():
    assert weather("a", datetime.date(2026, 1, 1)).startswith("a datetime.date")
    assert list(inspect.signature(weather).parameters) == ["city", "day", "unit", "hours", "detail"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            {"city": 1, "day": "soon", "colour": 2},
            "the arguments for weather do not fit: colour: not a known key",
        ),
        (
            {"city": 1, "day": "soon"},
            "the arguments for weather do not fit: city: expected a string, got 1; "
            'day: expected a date (YYYY-MM-DD), got "soon"',
        ),
        ({"city": "x"}, "the arguments for weather do not fit: day: missing"),
        ([1], "the arguments for weather do not fit: (root): expected an object, got [1]"),
        ('{"city": "x"}', "expected an object"),
    ],
)
def test_misfits_are_told_with_their_path(args, said):
    with pytest.raises(OutputError) as caught:
        call_tool(weather, args)
    assert said in str(caught.value)


def test_what_the_function_raises_comes_through():
    def fail(n: int) -> None:
        raise KeyError(n)

    with pytest.raises(KeyError):
        call_tool(as_tool(fail), {"n": 1})


def test_nested_models_defaults_and_free_keys():
    def buy(order: Order, first: Item | None = None, **extra: float) -> Any:
        return order, first, extra

    made = as_tool(buy)
    assert made.parameters["additionalProperties"] == {"type": "number"}
    order, first, extra = call_tool(made, {"order": {"number": 1, "items": [{"name": "a", "price": 2}]}, "tax": 1})
    assert order == Order(1, [Item(name="a", price=2.0)])
    assert (first, extra) == (None, {"tax": 1.0})
    with pytest.raises(OutputError, match=r"order\.items\[0\]\.price: .*greater than 0"):
        call_tool(made, {"order": {"number": 1, "items": [{"name": "a", "price": 0}]}})


def test_unpacked_typed_dict_names_the_free_keys():
    def walk(start: str, **options: typing_extensions.Unpack[Options]) -> Any:
        return start, options

    made = as_tool(walk)
    assert made.parameters == {
        "type": "object",
        "properties": {"start": {"type": "string"}, "depth": {"type": "integer"}, "name": {"type": "string"}},
        "required": ["start"],
        "additionalProperties": False,
    }
    assert call_tool(made, {"start": "a", "depth": 2}) == ("a", {"depth": 2})


def test_parameters_of_every_kind():
    def mixed(a: int, /, b: int = 2, *, c: int = 3) -> tuple[int, int, int]:
        return a, b, c

    def only(a: int = 1, b: int = 2, /) -> tuple[int, int]:
        return a, b

    assert call_tool(as_tool(mixed), {"a": 1, "c": 5}) == (1, 2, 5)
    assert call_tool(as_tool(only), {"b": 5}) == (1, 5)
    assert call_tool(as_tool(only), None) == (1, 2)
    assert as_tool(lambda: 1, name="nothing").parameters == {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
    }


def test_star_args_are_refused():
    def many(*words: str) -> None: ...

    with pytest.raises(UsageError, match=r"\*words.*list") as caught:
        as_tool(many)
    assert caught.value.argument == "function"


def test_none_as_default_is_not_told_where_null_is_not_taken():
    def old(n: int = None) -> Any:  # type: ignore[assignment]  # noqa: RUF013
        return n

    made = as_tool(old)
    assert made.parameters["properties"] == {"n": {"type": "integer"}}
    assert call_tool(made, {}) is None
    assert call_tool(made, {"n": None}) is None


def test_pydantic_field_as_default():
    def old(n: int = pydantic.Field(3, gt=0, description="How many."), m: str = pydantic.Field(max_length=2)) -> Any:
        return n, m

    made = as_tool(old)
    assert made.parameters["properties"] == {
        "n": {"type": "integer", "description": "How many.", "exclusiveMinimum": 0, "default": 3},
        "m": {"type": "string", "maxLength": 2},
    }
    assert made.parameters["required"] == ["m"]
    assert call_tool(made, {"m": "a"}) == (3, "a")
    with pytest.raises(OutputError, match="n: expected more than 0, got 0"):
        call_tool(made, {"n": 0, "m": "a"})


def test_partials_hide_what_they_bind():
    def fetch(url: str, key: str, retries: int = 1) -> Any:
        "Fetch a page."
        return url, key, retries

    made = as_tool(functools.partial(fetch, key="s3cret"))
    assert made.name == "fetch"
    assert made.description == "Fetch a page."
    assert "s3cret" not in repr(made)
    assert list(made.parameters["properties"]) == ["url", "retries"]
    assert call_tool(made, {"url": "u"}) == ("u", "s3cret", 1)
    with pytest.raises(OutputError, match="key: not a known key"):
        call_tool(made, {"url": "u", "key": "mine"})


class Account:
    def __init__(self, owner: str) -> None:
        self.owner = owner

    def pay(self, amount: int) -> str:
        """Pay."""
        return f"{self.owner} pays {amount}"

    @tool(name="give")
    def give_away(self, amount: int) -> str:
        """Give."""
        return f"{self.owner} gives {amount}"

    def __call__(self, amount: int) -> str:
        """Call."""
        return f"{self.owner} calls {amount}"


def test_methods_and_callable_objects():
    ada = Account("Ada")
    assert call_tool(as_tool(ada.pay), {"amount": 3}) == "Ada pays 3"
    assert call_tool(as_tool(ada.give_away), {"amount": 3}) == "Ada gives 3"
    assert ada.give_away(4) == "Ada gives 4"
    assert Account.give_away.parameters["required"] == ["amount"]
    called = as_tool(ada)
    assert (called.name, called.description) == ("Account", "Call.")
    assert call_tool(called, {"amount": 5}) == "Ada calls 5"


async def test_async_functions():
    async def add(a: int, b: int) -> int:
        return a + b

    made = as_tool(add)
    assert await acall_tool(made, {"a": 1, "b": 2}) == 3
    assert await acall_tool(weather, {"city": "x", "day": "2026-01-01"})
    with pytest.raises(UsageError, match="acall_tool"):
        call_tool(made, {"a": 1, "b": 2})
    with pytest.raises(UsageError, match="acall_tool"):
        call_tool(as_tool(functools.partial(add, b=1)), {"a": 1})
    with pytest.raises(OutputError, match="b: missing"):
        await acall_tool(made, {"a": 1})


@pytest.mark.parametrize(
    ("cls", "args", "value"),
    [
        (Item, {"name": "a", "price": 1}, Item(name="a", price=1.0)),
        (Order, {"number": 1}, Order(1)),
        (Search, {"query": "q", "limit": None}, {"query": "q"}),
        (Move, {"to": {"x": 1}}, Move(to=Point(1))),
        (Point, {"x": 1, "y": 2}, Point(1, 2)),
    ],
)
def test_classes_as_tools_give_instances(cls, args, value):
    made = as_tool(cls)
    assert made.name == cls.__name__
    assert made.parameters["type"] == "object"
    assert "description" not in made.parameters
    assert call_tool(made, args) == value


def test_the_words_of_a_class_are_the_tools():
    assert as_tool(Order).description == "An order of items."
    assert as_tool(Order).parameters["properties"]["number"]["description"] == "As on the bill."
    assert as_tool(Item).description is None
    assert as_tool(Search, name="find", description="Find it.", strict=True) == Tool(
        name="find",
        description="Find it.",
        strict=True,
        parameters={word: value for word, value in schema_of(Search).items()},
    )


SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
PLAIN = Tool(name="find", description="Find.", parameters=SCHEMA)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"type": "function", "function": {"name": "find", "description": "Find.", "parameters": SCHEMA}},
            PLAIN,
        ),
        (
            {"type": "function", "function": {"name": "find", "parameters": SCHEMA, "strict": True}},
            Tool(name="find", parameters=SCHEMA, strict=True),
        ),
        ({"type": "function", "name": "find", "description": "Find.", "parameters": SCHEMA}, PLAIN),
        (
            {"type": "function", "function": {"name": "find"}},
            Tool(name="find", parameters={"type": "object", "properties": {}}),
        ),
        ({"name": "find", "description": "Find.", "input_schema": SCHEMA}, PLAIN),
        ({"type": "custom", "name": "find", "description": "Find.", "input_schema": SCHEMA}, PLAIN),
        (
            {"name": "find", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}},
            Tool(
                name="find",
                parameters=SCHEMA,
                provider_data={"anthropic": {"cache_control": {"type": "ephemeral"}}},
            ),
        ),
        ({"name": "find", "description": "Find.", "parameters": SCHEMA}, PLAIN),
        ({"name": "find", "description": "Find.", "parametersJsonSchema": SCHEMA}, PLAIN),
        (
            {
                "name": "find",
                "description": "Find.",
                "parameters": {"type": "OBJECT", "properties": {"q": {"type": "STRING"}}, "required": ["q"]},
            },
            PLAIN,
        ),
        ({"name": "find", "description": "Find.", "inputSchema": SCHEMA}, PLAIN),
        ({"toolSpec": {"name": "find", "description": "Find.", "inputSchema": {"json": SCHEMA}}}, PLAIN),
        (SimpleNamespace(name="find", description="Find.", inputSchema=SCHEMA), PLAIN),
        ({"title": "find", "description": "Find.", **SCHEMA}, PLAIN),
        (PLAIN, PLAIN),
    ],
)
def test_definitions_of_every_shape(value, expected):
    before = copy.deepcopy(value)
    assert as_tool(value) == expected
    assert as_tool(value).provider_data == expected.provider_data
    if isinstance(value, dict):
        assert value == before


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"type": "web_search"}, "web_search"),
        ({"type": "web_search_20250305", "name": "web_search", "max_uses": 3}, "web_search"),
        ({"type": "file_search", "vector_store_ids": ["x"]}, "file_search"),
        ({"type": "custom", "name": "code", "format": {"type": "text"}}, "code"),
        ({"type": "mcp", "server_label": "x", "server_url": "https://example.com"}, "mcp"),
        ({"google_search": {}}, "google_search"),
    ],
)
def test_tools_of_the_provider_stay_as_they_are(value, name):
    made = as_tool(value)
    assert (made.kind, made.name, made.raw, made.function) == ("provider", name, value, None)
    assert repr(value) in repr(made)
    with pytest.raises(UsageError, match="the provider runs"):
        as_tool(value, name="other")


@pytest.mark.parametrize("value", [1, "weather", None, {}, {"name": "x"}, int, [weather], {"a": 1, "b": 2}])
def test_what_is_no_tool_is_refused(value):
    with pytest.raises(UsageError, match="is no tool; a tool is") as caught:
        as_tool(value)
    assert caught.value.argument == "tools"


@pytest.mark.parametrize("name", ["", "a b", "a.b", "x" * 65, "naïve", "<lambda>", "a\n"])
def test_names_that_providers_refuse(name):
    with pytest.raises(UsageError, match="name=") as caught:
        as_tool({"name": name, "input_schema": SCHEMA})
    assert caught.value.argument == "name"
    assert as_tool({"name": name, "input_schema": SCHEMA}, name="ok").name == "ok"
    with pytest.raises(UsageError, match="name="):
        tool(lambda: 1, name=name)


def test_bad_schemas_in_definitions_are_refused():
    with pytest.raises(UsageError, match="must be an object"):
        as_tool({"name": "x", "input_schema": {"type": "string"}})
    with pytest.raises(UsageError, match=r"properties\.a\.type"):
        as_tool({"name": "x", "input_schema": {"type": "object", "properties": {"a": {"type": "str"}}}})
    with pytest.raises(UsageError, match="not inside it"):
        as_tool({"name": "x", "input_schema": {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}}})


def test_a_definition_without_a_function_cannot_be_called():
    with pytest.raises(UsageError, match="only a definition"):
        call_tool(PLAIN, {"q": "x"})
    with pytest.raises(UsageError, match="only a definition"):
        PLAIN()
    with_function = msgspec.structs.replace(PLAIN, function=lambda q: q * 2)
    assert call_tool(with_function, {"q": "x"}) == "xx"
    with pytest.raises(OutputError, match="q: expected string"):
        call_tool(with_function, {"q": 1})


def test_replacing_name_and_description():
    made = as_tool(weather, name="forecast", description="Forecast.", strict=True)
    assert (made.name, made.description, made.strict) == ("forecast", "Forecast.", True)
    assert made.parameters == weather.parameters
    assert weather.name == "weather"
    assert call_tool(made, {"city": "x", "day": "2026-01-01"})


def test_tools_are_values():
    again = as_tool(weather.function)
    assert again == weather
    assert hash(again) == hash(weather)
    assert again != as_tool(weather, name="other")
    assert weather != "weather"
    with pytest.raises(AttributeError):
        weather.name = "x"  # type: ignore[misc]
    assert "function" not in repr(weather)


@pytest.mark.parametrize(
    "made",
    [weather, as_tool(Order), PLAIN, as_tool({"type": "web_search"}), as_tool(Account("Ada").give_away)],
)
def test_tools_pickle_and_copy(made):
    for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made), copy.copy(made)):
        assert again == made
        assert type(again) is type(made)
    if made is weather:
        assert pickle.loads(pickle.dumps(made)).function is weather.function
    if made.name == "give":
        assert call_tool(pickle.loads(pickle.dumps(made)), {"amount": 1}) == "Ada gives 1"


def test_hints_of_the_result_and_of_the_closure():
    class Local(TypedDict):
        a: int

    def use(local: Local) -> Unknowable:  # type: ignore[name-defined]  # noqa: F821
        return Local(a=local["a"])

    assert call_tool(as_tool(use), {"local": {"a": 1}}) == {"a": 1}

    def lost(local: Unknowable) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(UsageError, match="Unknowable"):
        as_tool(lost)


def test_tools_in_corners():
    assert tool(weather, name="again").name == "again"
    assert call_tool(as_tool(Page[int]), {"value": 1}) == Page(1)

    class Numbers(pydantic.RootModel[list[int]]):
        pass

    with pytest.raises(UsageError, match="no object in JSON"):
        as_tool(Numbers)
    google = {"name": "x", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}}
    assert as_tool(google).parameters["properties"]["a"] == {"type": ["string", "null"]}
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    free = Tool(name="free", parameters={"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}})
    with pytest.raises(OutputError, match="deeply"):
        call_tool(msgspec.structs.replace(free, function=print), deep)


def test_wrapped_functions_keep_their_signature():
    def doubled(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs) * 2

        return wrapper

    @doubled
    def word(text: str) -> str:
        """A word."""
        return text

    assert list(as_tool(word).parameters["properties"]) == ["text"]
    assert call_tool(as_tool(word), {"text": "a"}) == "aa"


def test_builtins_without_a_signature_are_refused():
    with pytest.raises(UsageError, match="wrap it"):
        as_tool(getattr)


names = st.sampled_from(["a", "b", "c", "d"])
kinds = st.sampled_from([int, str, bool, list[int], dict[str, int]])
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-9, 9),
    str: st.text(max_size=3),
    bool: st.booleans(),
    list[int]: st.lists(st.integers(-9, 9), max_size=2),
    dict[str, int]: st.dictionaries(st.text(max_size=2), st.integers(-9, 9), max_size=2),
}


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_any_signature_takes_the_arguments_that_fit_it(data):
    chosen = data.draw(st.dictionaries(names, kinds, max_size=4))
    required = data.draw(st.sets(st.sampled_from(sorted(chosen)))) if chosen else set()

    def echo(**given: Any) -> dict[str, Any]:
        return given

    echo.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=kind,
                default=inspect.Parameter.empty if name in required else None,
            )
            for name, kind in chosen.items()
        ]
    )
    echo.__annotations__ = dict(chosen)
    made = as_tool(echo)
    assert list(made.parameters["properties"]) == list(chosen)
    args = {
        name: data.draw(VALUES[kind]) for name, kind in chosen.items() if name in required or data.draw(st.booleans())
    }
    assert call_tool(made, args) == args
    for name in required:
        with pytest.raises(OutputError, match=f"{name}: missing"):
            call_tool(made, {key: value for key, value in args.items() if key != name})


# Docstrings


GOOGLE = """Do a thing.

    Args:
        one (int, optional): The first:
            with a colon.
        *rest: The rest.

        two: The second.

    Returns:
        three: not a parameter
    """
NUMPY = """Do a thing.

    Parameters
    ----------
    one : int, optional
        The first:
        with a colon.
    rest
        The rest.
    two, three : str
        The second.

    Returns
    -------
    four : int
        Not a parameter.
    """
SPHINX = """Do a thing.

    :param int one: The first:
        with a colon.
    :param rest: The rest.
    :type rest: str
    :param two: The second.
    :returns: not a parameter
    """


@pytest.mark.parametrize(
    ("text", "more"),
    [(GOOGLE, {}), (NUMPY, {"three": "The second."}), (SPHINX, {})],
    ids=["google", "numpy", "sphinx"],
)
def test_docstrings_of_three_styles(text, more):
    doc = parse_doc(text)
    assert doc.summary == "Do a thing."
    assert doc.parameters == {
        "one": "The first: with a colon.",
        "rest": "The rest.",
        "two": "The second.",
        **more,
    }


def test_docstrings_that_are_odd():
    assert parse_doc(None) == (None, {})
    assert parse_doc("\n    Args:\n        a: b") == (None, {"a": "b"})
    assert parse_doc("One\ntwo.\n\nThree.").summary == "One two."
    assert parse_doc(":param a: b").parameters == {"a": "b"}


@given(st.text(alphabet=st.sampled_from(list("ab:*- \n()Args")), max_size=60))
@settings(max_examples=50, deadline=None)
def test_any_docstring_can_be_read(text):
    doc = parse_doc(text)
    assert doc.summary is None or "\n" not in doc.summary
    assert all(doc.parameters.values())


def test_the_decorator_keeps_its_options():
    @tool(name="plus", description="Add.", strict=True)
    def add(a: int, b: int = 1) -> int:
        return a + b

    assert isinstance(add, FunctionTool)
    assert (add.name, add.description, add.strict) == ("plus", "Add.", True)
    assert add(1, 2) == 3
