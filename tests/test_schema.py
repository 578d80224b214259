"""Types to JSON Schema and back, local validation, and what each provider's transform keeps."""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import subprocess
import sys
import typing
import uuid
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypedDict, TypeVar

import jsonschema
import msgspec
import pydantic
import pytest
import typing_extensions
from hypothesis import given, settings
from hypothesis import strategies as st

from chatmodels._errors import OutputError, UsageError
from chatmodels._schema import (
    check_schema,
    convert,
    drop_absent,
    enforced,
    for_anthropic,
    for_google,
    for_google_json,
    inline_refs,
    schema_of,
    strict_blockers,
    strict_openai,
    validate,
)

T = TypeVar("T")
UserId = NewType("UserId", int)
Json = typing_extensions.TypeAliasType("Json", "dict[str, Json] | list[Json] | str | None")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclasses.dataclass
class Tree:
    """A tree of things.

    Longer words that are not sent.

    Attributes:
        label: What stands on it.
    """

    label: str
    kids: list[Tree] = dataclasses.field(default_factory=list)
    color: Color | None = None
    weight: Annotated[int, msgspec.Meta(ge=1, description="In grams.")] = 3


@dataclasses.dataclass
class Everything:
    text: str
    whole: int
    real: float
    flag: bool
    nothing: None
    anything: Any
    word: Literal["a", "b", 3]
    color: Color
    level: Level
    items: list[int]
    pair: tuple[int, str]
    many: tuple[float, ...]
    group: set[str]
    frozen: frozenset[int]
    queue: collections.deque[int]
    table: dict[str, list[bool]]
    by_number: dict[int, str]
    moment: datetime.datetime
    day: datetime.date
    hour: datetime.time
    span: datetime.timedelta
    key: uuid.UUID
    money: decimal.Decimal
    raw: bytes
    where: pathlib.PurePosixPath
    either: int | str | None
    user: UserId


class Movie(TypedDict):
    title: str
    year: NotRequired[Annotated[int, "When it came out."]]


class Point(NamedTuple):
    x: int
    y: float = 2.0


class Circle(msgspec.Struct, tag="circle", rename="camel"):
    outer_radius: float


class Square(msgspec.Struct, tag="square", forbid_unknown_fields=True):
    side: float
    name: str | msgspec.UnsetType = msgspec.UNSET


class Model(pydantic.BaseModel):
    """A model of pydantic's."""

    user_id: int
    born: datetime.date = pydantic.Field(description="The day.")
    parent: Model | None = None


@dataclasses.dataclass
class Box(Generic[T]):
    item: T
    more: list[T]


@dataclasses.dataclass
class IntBox(Box[int]):
    extra: Model | None = None


# schema_of


def test_schema_of_a_dataclass_is_exact():
    body = {
        "type": "object",
        "description": "A tree of things.",
        "properties": {
            "label": {"type": "string", "description": "What stands on it."},
            "kids": {"type": "array", "items": {"$ref": "#/$defs/Tree"}, "default": []},
            "color": {
                "anyOf": [{"type": "string", "enum": ["red", "blue"]}, {"type": "null"}],
                "default": None,
            },
            "weight": {"type": "integer", "description": "In grams.", "minimum": 1, "default": 3},
        },
        "required": ["label"],
    }
    schema = schema_of(Tree)
    assert schema == {**body, "$defs": {"Tree": body}}
    assert json.dumps(schema) == json.dumps({**body, "$defs": {"Tree": body}}), "the order of keys is part of it"


@pytest.mark.parametrize(
    ("tp", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (None, {"type": "null"}),
        (Any, {}),
        (UserId, {"type": "integer"}),
        (Literal["a", 1, None], {"type": ["string", "integer", "null"], "enum": ["a", 1, None]}),
        (Level, {"type": "integer", "enum": [1, 2]}),
        (list, {"type": "array", "items": {}}),
        (typing.Sequence[int], {"type": "array", "items": {"type": "integer"}}),
        (set[int], {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
        (tuple[()], {"type": "array", "maxItems": 0}),
        (typing.Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (
            dict[Color, int],
            {
                "type": "object",
                "propertyNames": {"type": "string", "enum": ["red", "blue"]},
                "additionalProperties": {"type": "integer"},
            },
        ),
        (bytes, {"type": "string", "contentEncoding": "base64"}),
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (datetime.timedelta, {"type": "string", "format": "duration"}),
        (typing.Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),  # noqa: UP045
        (
            Annotated[list[str], pydantic.Field(min_length=1, max_length=3, description="Some.")],
            {
                "type": "array",
                "items": {"type": "string"},
                "description": "Some.",
                "minItems": 1,
                "maxItems": 3,
            },
        ),
        (
            Annotated[str, msgspec.Meta(pattern="^a", max_length=9)],
            {"type": "string", "maxLength": 9, "pattern": "^a"},
        ),
        (
            Annotated[float, pydantic.Field(gt=0, le=1)],
            {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        ),
        (
            Annotated[int, typing_extensions.Doc("The number.")],
            {"type": "integer", "description": "The number."},
        ),
    ],
)
def test_schema_of_types(tp, schema):
    assert schema_of(tp) == schema


def test_schema_of_typed_dict_named_tuple_and_struct():
    assert schema_of(Movie) == {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "year": {"type": "integer", "description": "When it came out."},
        },
        "required": ["title"],
    }
    assert schema_of(Point)["required"] == ["x"]
    assert schema_of(Circle) == {
        "type": "object",
        "properties": {"type": {"const": "circle"}, "outerRadius": {"type": "number"}},
        "required": ["type", "outerRadius"],
    }
    assert schema_of(Square)["additionalProperties"] is False
    assert schema_of(Square)["properties"]["name"] == {"type": "string"}


def test_pydantic_models_lose_only_the_titles_made_from_names():
    class Titled(pydantic.BaseModel):
        title: str = pydantic.Field(title="Its own title")
        user_id: int

    assert schema_of(Titled)["properties"] == {
        "title": {"title": "Its own title", "type": "string"},
        "user_id": {"type": "integer"},
    }
    schema = schema_of(list[Model])
    assert schema["items"] == {"$ref": "#/$defs/Model"}
    assert set(schema["$defs"]["Model"]["properties"]) == {"user_id", "born", "parent"}


def test_classes_of_one_name_get_different_definitions():
    def make(kind: type) -> Any:
        return dataclasses.make_dataclass("Same", [("value", kind)])

    @dataclasses.dataclass
    class Both:
        one: make(int)  # type: ignore[valid-type]
        other: make(str)  # type: ignore[valid-type]

    Both.__annotations__.update(one=make(int), other=make(str))
    schema = schema_of(Both)
    refs = [schema["properties"][name]["$ref"].rpartition("/")[2] for name in ("one", "other")]
    kinds = [schema["$defs"][ref]["properties"]["value"]["type"] for ref in refs]
    assert kinds == ["integer", "string"]


def test_generic_classes_and_their_subclasses():
    assert schema_of(Box[int])["properties"]["more"] == {"type": "array", "items": {"type": "integer"}}
    assert schema_of(IntBox)["properties"]["item"] == {"type": "integer"}
    assert convert({"item": "a", "more": []}, Box[str]) == Box("a", [])
    with pytest.raises(OutputError, match=r"item: expected an integer"):
        convert({"item": "a", "more": []}, Box[int])


def test_recursive_alias():
    assert schema_of(Json)["$defs"]["Json"]["anyOf"][0] == {
        "type": "object",
        "additionalProperties": {"$ref": "#/$defs/Json"},
    }
    assert convert({"a": [None, {"b": "c"}]}, Json) == {"a": [None, {"b": "c"}]}


class Opaque:
    pass


@pytest.mark.parametrize("tp", [Opaque, type[int], typing.Callable[[], int], dict[float, int], "Tree", complex])
def test_types_without_json_form_are_refused(tp):
    with pytest.raises(UsageError) as caught:
        schema_of(tp)
    assert caught.value.argument == "type"


def test_unknown_names_in_annotations_are_named():
    @dataclasses.dataclass
    class Lost:
        here: NowhereToBeFound  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(UsageError, match="NowhereToBeFound"):
        schema_of(Lost)


# convert


def test_convert_takes_the_order_of_unions_but_prefers_the_exact():
    assert convert(3, int | float) == 3
    assert type(convert(3, float | int)) is int
    assert type(convert(3.0, int | float)) is float
    assert type(convert(3, float)) is float
    assert type(convert(3.0, int)) is int
    assert convert("2024-01-02", datetime.date | str) == datetime.date(2024, 1, 2)
    assert convert("2024-01-02", str | datetime.date) == "2024-01-02"
    assert convert({"type": "square", "side": 1}, Circle | Square) == Square(side=1.0)
    assert convert({"x": 1, "y": 2}, Movie | Point) == Point(1, 2.0)


@pytest.mark.parametrize(
    ("value", "tp"),
    [
        ("3", int),
        (True, int),
        (1, bool),
        (3.5, int),
        (None, str),
        ([1, 2], tuple[int]),
        ("c", Literal["a", "b"]),
        (1, Literal[True]),
        ("green", Color),
        ("not a day", datetime.date),
        ("NaN", decimal.Decimal),
        ("?", bytes),
        ({"01": "x"}, dict[int, str]),
        ({"label": "x", "weight": 0}, Tree),
        ({"type": "circle", "side": 1}, Square),
        ({"type": "square", "side": 1, "more": 2}, Square),
        ([1, 2, 3], Point),
        (10**400, float),
        ([], dict[str, int]),
        ({}, list[int]),
    ],
)
def test_convert_guesses_nothing(value, tp):
    with pytest.raises(OutputError):
        convert(value, tp)


def test_convert_names_every_problem_with_its_path():
    with pytest.raises(OutputError) as caught:
        convert({"label": 1, "kids": [{"label": "a"}, {"weight": 0}]}, Tree)
    assert str(caught.value) == ("the value does not fit: label: expected a string, got 1; kids[1].label: missing")
    with pytest.raises(OutputError, match=r"born: missing; parent\.user_id: missing; parent\.born: missing"):
        convert({"user_id": 1, "parent": {}}, Model)
    with pytest.raises(OutputError, match=r"\(and 2 more\)"):
        convert(["a"] * 7, list[int])


def test_null_for_what_has_a_default_means_absent():
    tree = convert({"label": "a", "kids": None, "color": None, "weight": None}, Tree)
    assert tree == Tree("a")
    with pytest.raises(OutputError, match="label"):
        convert({"label": None}, Tree)
    assert convert({"title": "x", "year": None}, Movie) == {"title": "x"}


def test_pydantic_models_convert_as_json():
    class Strict(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(strict=True)
        day: datetime.date
        tags: set[str]
        count: int = 1

    value = {"day": "2024-01-02", "tags": ["a"], "count": None}
    assert convert(value, Strict) == Strict(day=datetime.date(2024, 1, 2), tags={"a"})
    assert convert([1, {"user_id": 1, "born": "2024-01-02"}], list[int | Model])[1].user_id == 1


def test_post_init_checks_are_problems_of_the_value():
    @dataclasses.dataclass
    class Even:
        n: int

        def __post_init__(self) -> None:
            if self.n % 2:
                raise ValueError("n must be even")

    with pytest.raises(OutputError, match="n must be even"):
        convert({"n": 3}, Even)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
whole = st.integers(-(2**63), 2**63 - 1)
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | whole | finite | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
everything = st.builds(
    Everything,
    text=texts,
    whole=whole,
    real=finite,
    flag=st.booleans(),
    nothing=st.none(),
    anything=json_values,
    word=st.sampled_from(["a", "b", 3]),
    color=st.sampled_from(Color),
    level=st.sampled_from(Level),
    items=st.lists(whole, max_size=3),
    pair=st.tuples(whole, texts),
    many=st.lists(finite, max_size=3).map(tuple),
    group=st.sets(texts, max_size=3),
    frozen=st.frozensets(whole, max_size=3),
    queue=st.lists(whole, max_size=3).map(collections.deque),
    table=st.dictionaries(texts, st.lists(st.booleans(), max_size=2), max_size=2),
    by_number=st.dictionaries(whole, texts, max_size=2),
    moment=st.datetimes(timezones=st.just(datetime.UTC)),
    day=st.dates(),
    hour=st.times(),
    span=st.timedeltas(datetime.timedelta(days=-10_000), datetime.timedelta(days=10_000)),
    key=st.uuids(),
    money=st.decimals(allow_nan=False, allow_infinity=False),
    raw=st.binary(max_size=6),
    where=st.lists(st.sampled_from(["a", "b.txt"]), min_size=1, max_size=3).map(
        lambda parts: pathlib.PurePosixPath(*parts)
    ),
    either=whole | texts | st.none(),
    user=whole,
)
trees = st.recursive(
    st.builds(Tree, label=texts, color=st.none() | st.sampled_from(Color), weight=st.integers(1, 99)),
    lambda inner: st.builds(Tree, label=texts, kids=st.lists(inner, max_size=3)),
    max_leaves=6,
)
circles = st.builds(Circle, outer_radius=finite)
squares = st.builds(Square, side=finite) | st.builds(Square, side=finite, name=texts)
movies = st.fixed_dictionaries({"title": texts}, optional={"year": whole})
models = st.recursive(
    st.builds(Model, user_id=whole, born=st.dates(), parent=st.none()),
    lambda inner: st.builds(Model, user_id=whole, born=st.dates(), parent=inner),
    max_leaves=3,
)
typed_values = st.one_of(
    everything.map(lambda v: (v, Everything)),
    trees.map(lambda v: (v, Tree)),
    st.builds(Point, whole, finite).map(lambda v: (v, Point)),
    st.lists(circles | squares, max_size=3).map(lambda v: (v, list[Circle | Square])),
    movies.map(lambda v: (v, Movie)),
    models.map(lambda v: (v, Model)),
    st.builds(IntBox, whole, st.lists(whole, max_size=2), st.none() | models).map(lambda v: (v, IntBox)),
)


def as_json(value: Any) -> Any:
    return json.loads(msgspec.json.Encoder(enc_hook=enc, decimal_format="string").encode(value))


def enc(value: Any) -> Any:
    if isinstance(value, pydantic.BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, collections.deque):
        return list(value)
    return str(value)


@given(typed_values)
@settings(max_examples=60, deadline=None)
def test_a_value_comes_back_from_its_json_and_fits_its_schema(case):
    value, tp = case
    written = as_json(value)
    assert convert(written, tp) == value
    if tp is not Point:
        assert validate(written, schema_of(tp)) == []


# validate


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([1.0, 0.5, -2.5])
    | st.sampled_from(["", "a", "ab", "abc"])
)
small_json = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
type_words = st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"])
small = st.integers(0, 2)


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Up to four keywords, with sub-schemas from `inner`."""
    named = st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    listed = st.lists(inner, min_size=1, max_size=3)
    names = st.lists(st.sampled_from("abc"), max_size=2, unique=True)
    bound = st.integers(-2, 2)
    values: dict[str, st.SearchStrategy[Any]] = {
        "type": type_words | st.lists(type_words, min_size=1, max_size=2, unique=True),
        "enum": st.lists(small_json, min_size=1, max_size=3),
        "const": small_json,
        "properties": named,
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b|c"]), inner, max_size=1),
        "propertyNames": st.just({"pattern": "^[ab]"}),
        "required": names,
        "dependentRequired": st.dictionaries(st.sampled_from("abc"), names, max_size=1),
        "dependentSchemas": named,
        "uniqueItems": st.booleans(),
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "pattern": st.sampled_from(["^a", "b$", "."]),
    }
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        values[word] = listed
    for word in ("not", "if", "then", "else", "items", "contains", "additionalProperties"):
        values[word] = inner
    for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        values[word] = bound
    for word in ("Properties", "Items", "Length", "Contains"):
        values[f"min{word}"] = values[f"max{word}"] = small
    pairs = st.one_of([st.tuples(st.just(word), value) for word, value in values.items()])
    return st.lists(pairs, max_size=4).map(dict)


schemas = st.recursive(
    st.booleans() | st.just({}) | type_words.map(lambda word: {"type": word}), keywords, max_leaves=4
)
ref = st.just({"$ref": "#/$defs/x"})
schemas_with_refs = st.builds(
    lambda body, definition: {**body, "$defs": {"x": definition}}, keywords(schemas | ref), keywords(schemas)
)


@given(schema=schemas | schemas_with_refs, values=st.lists(small_json, min_size=1, max_size=8))
@settings(max_examples=75, deadline=None)
def test_validate_agrees_with_jsonschema(schema, values):
    judge = jsonschema.Draft202012Validator(schema)
    for value in values:
        assert (validate(value, schema) == []) is judge.is_valid(value)


INTEGER, TEXT, LONG = {"type": "integer"}, {"type": "string"}, {"minLength": 2}
EACH_KEYWORD: list[Any] = [
    True,
    False,
    {},
    *({"type": word} for word in ("object", "array", "string", "integer", "number", "boolean", "null")),
    {"type": ["integer", "null"]},
    *({"enum": choices} for choices in ([1], [True], [0.0], [[1]], [{"a": 1}], [None, "a"])),
    *({"const": value} for value in (1, False, [True], {"a": 1.0}, "")),
    *({word: 1} for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
    {"multipleOf": 0.5},
    *({end + word: 1} for end in ("min", "max") for word in ("Length", "Items", "Properties")),
    {"pattern": "^a"},
    {"pattern": "b"},
    {"required": ["a"]},
    {"dependentRequired": {"a": ["b"]}},
    {"dependentSchemas": {"a": {"required": ["b"]}}},
    {"properties": {"a": INTEGER}},
    {"properties": {"a": INTEGER}, "additionalProperties": False},
    {"properties": {"a": INTEGER}, "additionalProperties": TEXT},
    {"additionalProperties": TEXT},
    {"patternProperties": {"^a": INTEGER}},
    {"patternProperties": {"^a": INTEGER}, "additionalProperties": False},
    {"patternProperties": {"^a": INTEGER}, "properties": {"a": {"minimum": 1}}},
    {"propertyNames": {"maxLength": 1}},
    {"items": INTEGER},
    {"prefixItems": [INTEGER, TEXT]},
    {"prefixItems": [INTEGER], "items": False},
    {"prefixItems": [INTEGER], "items": TEXT},
    {"uniqueItems": True},
    {"uniqueItems": False},
    {"contains": INTEGER},
    {"contains": INTEGER, "minContains": 0},
    {"contains": INTEGER, "minContains": 2},
    {"contains": INTEGER, "maxContains": 1},
    {"anyOf": [INTEGER, LONG]},
    {"oneOf": [INTEGER, LONG]},
    {"oneOf": [INTEGER, TEXT]},
    {"oneOf": [INTEGER, TEXT, True]},
    {"allOf": [INTEGER, {"minimum": 1}]},
    {"not": INTEGER},
    {"not": {"required": ["a"]}},
    {"if": INTEGER, "then": {"minimum": 1}, "else": TEXT},
    {"if": INTEGER, "then": {"minimum": 1}},
    {"if": INTEGER, "else": TEXT},
    {"then": False, "else": False},
    {"$defs": {"t": TEXT}, "items": {"$ref": "#/$defs/t"}},
    {"$defs": {"t": TEXT}, "$ref": "#/$defs/t", "minLength": 1},
    {"properties": {"a": {"$ref": "#"}}, "required": ["b"]},
    {"$defs": {"t": {"$anchor": "here", "type": "string"}}, "items": {"$ref": "#here"}},
]
EACH_VALUE: list[Any] = [
    *(None, True, False, 0, 1, 2, -1, 0.0, 1.0, 0.5, 1.5, 1e300, "", "a", "b", "ab", "ba", "é", "😀"),
    *([], [1], [1.0], ["a"], ["a", "a"], [1, True], [1, 1.0], [0, False], [1, "a"], [1, "a", 2], [1, 1, 1]),
    *([[1], [1]], [{"a": 1}, {"a": 1.0}], [True], [None, None], {}, {"a": 1}, {"a": "x"}, {"a": True}),
    *({"a": 1.0}, {"a": 0, "b": 1}, {"b": "x"}, {"ab": 1}, {"ab": "x"}, {"a": None, "b": None}),
    *({"a": {"b": 1}, "b": 1}, {"a": {}, "b": 1}, {"a": 1, "b": "x", "c": []}),
]


@pytest.mark.parametrize("schema", EACH_KEYWORD, ids=str)
def test_each_keyword_agrees_with_jsonschema(schema):
    judge = jsonschema.Draft202012Validator(schema)
    for value in EACH_VALUE:
        assert (validate(value, schema) == []) is judge.is_valid(value), value


def test_validate_reads_draft_7_tuples_like_jsonschema():
    schema = {"items": [{"type": "string"}], "additionalItems": False}
    for value in (["a"], [1], ["a", 1], []):
        assert (validate(value, schema) == []) is jsonschema.Draft7Validator(schema).is_valid(value)


def test_validate_says_where_and_what():
    schema = {
        "type": "object",
        "properties": {"items": {"type": "array", "items": {"properties": {"price": {"type": "number"}}}}},
        "required": ["id"],
        "additionalProperties": False,
    }
    assert validate({"items": [{"price": 1}, {"price": "x"}], "more": 1}, schema) == [
        "id: missing",
        'items[1].price: expected number, got "x"',
        "more: not a known key",
    ]
    assert validate(3, {"type": "string"}) == ["(root): expected string, got 3"]
    assert validate(0.3, {"multipleOf": 0.1}) == []


def test_the_closest_alternative_is_told():
    options = [{"type": "string"}, {"properties": {"a": {"type": "integer"}}, "type": "object"}]
    assert validate({"a": "x"}, {"anyOf": options}) == ['a: expected integer, got "x"']
    assert "none of the 2" in validate(None, {"anyOf": options})[0]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"$ref": "https://example.com/x"}, "not inside it"),
        ({"$ref": "#/$defs/none"}, "not inside it"),
        ({"properties": {"a": {"type": "str"}}}, "properties.a.type"),
        ({"pattern": "("}, "re can read"),
        ({"required": "a"}, "list of names"),
        ({"properties": {"a": "string"}}, "a schema"),
        ({"anyOf": []}, "anyOf"),
        ({"minimum": "1"}, "a number"),
        ("x", "a schema"),
    ],
)
def test_what_is_no_schema_is_refused(schema, said):
    with pytest.raises(UsageError, match=said) as caught:
        check_schema(schema)
    assert caught.value.argument == "schema"


def test_a_reference_to_itself_ends():
    with pytest.raises(UsageError, match="leads back"):
        validate(1, {"$ref": "#"})
    with pytest.raises(UsageError):
        inline_refs({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}})


# drop_absent


def test_drop_absent_drops_only_what_must_mean_absent():
    schema = schema_of(Tree)
    value = {
        "label": "a",
        "weight": None,
        "color": None,
        "kids": [{"label": "b", "kids": None, "other": None}],
    }
    assert drop_absent(value, schema) == {
        "label": "a",
        "color": None,
        "kids": [{"label": "b", "other": None}],
    }
    assert drop_absent({"label": None}, schema) == {"label": None}
    union = {"anyOf": [{"type": "null"}, schema_of(Movie)]}
    assert drop_absent({"title": "x", "year": None}, union) == {"title": "x"}


plain_schemas = st.recursive(
    type_words.map(lambda word: {"type": word}),
    lambda inner: (
        st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            }
        )
        | st.fixed_dictionaries({"type": st.just("array"), "items": inner})
    ),
    max_leaves=5,
)


@given(value=small_json, schema=plain_schemas)
@settings(max_examples=50, deadline=None)
def test_drop_absent_changes_only_what_does_not_fit(value, schema):
    cleaned = drop_absent(value, schema)
    assert drop_absent(cleaned, schema) == cleaned
    assert len(validate(cleaned, schema)) <= len(validate(value, schema))
    if validate(value, schema) == []:
        assert cleaned == value


# Transforms

TRANSFORMS = [strict_openai, for_anthropic, for_google, for_google_json, inline_refs]
TYPES = [Tree, Everything, Movie, Point, Circle | Square, Model, IntBox, list[Model], Json, dict[str, Movie]]


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("tp", TYPES, ids=str)
def test_transforms_of_types_are_idempotent_pure_and_deterministic(transform, tp):
    schema = schema_of(tp)
    before = copy.deepcopy(schema)
    once, notes = transform(schema)
    assert schema == before
    assert all(isinstance(note, str) for note in notes)
    assert json.dumps(transform(copy.deepcopy(schema))[0]) == json.dumps(once)
    assert json.dumps(transform(once)[0]) == json.dumps(once)
    jsonschema.Draft202012Validator.check_schema(once)
    check_schema(once)


@given(schema=keywords(schemas) | schemas_with_refs)
@settings(max_examples=75, deadline=None)
def test_transforms_of_any_schema_are_idempotent_and_pure(schema):
    before = copy.deepcopy(schema)
    for transform in TRANSFORMS:
        once, _ = transform(schema)
        assert schema == before
        assert transform(once)[0] == once, transform.__name__
        jsonschema.Draft202012Validator.check_schema(once)


@given(schema=keywords(schemas) | schemas_with_refs, values=st.lists(small_json, min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_what_is_lost_is_noted(schema, values):
    """Where nothing is noted, what fits the sent schema fits the original; merging and inlining refuse nothing."""
    for transform in (strict_openai, for_anthropic, for_google_json, inline_refs):
        sent, notes = transform(schema)
        for value in [*values, *EACH_VALUE]:
            if not notes and validate(value, sent) == []:
                assert validate(drop_absent(value, schema), schema) == [], (transform.__name__, value)
            cut = any("recursion" in note or "allOf" in note for note in notes)
            closes = transform in (strict_openai, for_anthropic)
            if not cut and not closes and validate(value, schema) == []:
                assert validate(value, sent) == [], (transform.__name__, value)


def test_tuples_become_arrays_of_any_of_their_kinds():
    out, notes = strict_openai(schema_of(dataclasses.make_dataclass("D", [("pair", tuple[int, str])])))
    assert out["properties"]["pair"] == {
        "type": "array",
        "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "minItems": 2,
        "maxItems": 2,
    }
    assert notes == ["pair: which item is of which type is not sent"]
    open_ended = {"type": "object", "properties": {"a": {"type": "array", "prefixItems": [INTEGER], "items": INTEGER}}}
    assert "maxItems" not in for_anthropic(open_ended)[0]["properties"]["a"].get("description", "")
    same = {"type": "array", "prefixItems": [INTEGER, INTEGER], "items": False}
    out, notes = for_google(same)
    assert out == {"type": "array", "items": INTEGER, "maxItems": 2}
    assert notes == []


def test_merging_keeps_what_both_say():
    schema = {
        "type": "object",
        "properties": {"a": {"allOf": [{"items": False, "type": "array"}, {"items": INTEGER, "maxItems": 4}]}},
        "allOf": [{"properties": {"a": {"maxItems": 3}}}],
    }
    assert for_google_json(schema)[0]["properties"]["a"] == {"maxItems": 3, "items": False, "type": "array"}
    clash = {"allOf": [{"pattern": "a"}, {"pattern": "b"}]}
    assert strict_openai({"type": "object", "properties": {"x": clash}})[1] == [
        "x: two values of pattern in allOf, only one is sent"
    ]


def test_lengths_in_annotations_of_unions():
    tp = Annotated[list[int] | None, msgspec.Meta(min_length=1)]
    assert schema_of(tp)["minItems"] == 1
    with pytest.raises(OutputError, match="at least 1 items"):
        convert([], tp)
    assert convert(None, tp) is None


def every_object(schema: Any):
    if isinstance(schema, dict):
        yield schema
        for word, value in schema.items():
            if word in ("properties", "$defs"):
                for sub in value.values():
                    yield from every_object(sub)
            elif word in ("items", "additionalProperties"):
                yield from every_object(value)
            elif word in ("anyOf", "prefixItems"):
                for sub in value:
                    yield from every_object(sub)


OPENAI_WORDS = {
    *("type", "enum", "const", "anyOf", "$ref", "$defs", "properties", "required", "additionalProperties"),
    *("items", "title", "description", "pattern", "format", "minItems", "maxItems", "multipleOf"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}


@pytest.mark.parametrize("tp", TYPES, ids=str)
def test_openai_gets_only_what_its_strict_mode_takes(tp):
    out, _ = strict_openai(schema_of(tp))
    for part in every_object(out):
        assert part.keys() <= OPENAI_WORDS
        if "$ref" in part:
            assert part.keys() == {"$ref"}
        if part.get("type") == "object" or "properties" in part:
            assert part["additionalProperties"] is False
            assert part.get("required", []) == list(part.get("properties", {}))


@given(trees | models)
@settings(max_examples=30, deadline=None)
def test_what_a_strict_mode_gives_comes_back_as_the_value(value):
    """The model must give every member, and null for those that are absent."""
    tp = type(value)
    written = as_json(value)
    strict, _ = strict_openai(schema_of(tp))
    assert not strict_blockers(schema_of(tp))
    assert validate(written, strict) == []
    if tp is Tree:
        nulled = {name: None if value == [] else value for name, value in written.items()}
        assert validate(nulled, strict) == []
        assert convert(nulled, tp) == value


def test_openai_keeps_lost_constraints_as_text_and_notes_them():
    schema = {
        "type": "object",
        "properties": {"code": {"type": "string", "minLength": 3, "description": "A code."}},
        "required": ["code"],
    }
    out, notes = strict_openai(schema)
    assert out["properties"]["code"] == {"type": "string", "description": "A code. (minLength: 3)"}
    assert notes == ["code: minLength is sent only as text"]


def test_openai_optional_members_become_nullable():
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {"type": "string", "enum": ["x"]},
            "c": {"const": 1, "description": "One."},
            "d": {"$ref": "#/$defs/d", "description": "Said."},
            "e": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "f": {"$ref": "#/$defs/d"},
        },
        "$defs": {"d": {"type": "object", "properties": {}, "additionalProperties": False}},
    }
    properties = strict_openai(schema)[0]["properties"]
    assert properties["a"] == {"type": ["string", "null"]}
    assert properties["b"] == {"type": ["string", "null"], "enum": ["x", None]}
    assert properties["c"] == {"anyOf": [{"const": 1}, {"type": "null"}], "description": "One."}
    assert properties["d"] == {"anyOf": [{"$ref": "#/$defs/d"}, {"type": "null"}], "description": "Said."}
    assert properties["e"] == schema["properties"]["e"]
    assert properties["f"] == {"anyOf": [{"$ref": "#/$defs/d"}, {"type": "null"}]}


def test_a_described_reference_is_put_in_place_once():
    schema = {
        "$ref": "#/$defs/n",
        "$defs": {
            "n": {
                "type": "object",
                "properties": {"next": {"anyOf": [{"$ref": "#/$defs/n", "description": "On."}, {"type": "null"}]}},
                "required": ["next"],
            }
        },
    }
    out, _ = strict_openai(schema)
    inner = out["properties"]["next"]["anyOf"][0]
    assert inner["description"] == "On."
    assert inner["properties"]["next"]["anyOf"][0] == {"$ref": "#/$defs/n"}


@pytest.mark.parametrize(
    ("tp", "said"),
    [
        (dict[str, int], "takes any keys"),
        (list[int], "must be an object"),
        (Circle | Square, "must be an object"),
    ],
)
def test_strict_blockers(tp, said):
    assert any(said in reason for reason in strict_blockers(schema_of(tp)))


def test_strict_blockers_name_the_place():
    assert strict_blockers(schema_of(Everything)) == [
        "anything: may be any value",
        "table: takes any keys",
        "by_number: takes any keys",
    ]
    assert strict_blockers(schema_of(Tree)) == []


def test_enforced_follows_the_caller_where_it_can():
    closed, free = schema_of(Movie), schema_of(dict[str, int])
    assert enforced(closed, None) == (strict_openai(closed)[0], True, [])
    assert enforced(closed, True, for_anthropic) == (for_anthropic(closed)[0], True, [])
    assert enforced(closed, False) == (closed, False, [])
    assert enforced(free, False) == (free, False, [])
    assert enforced(free, None) == (free, False, ["not enforced by the provider: (root): takes any keys"])
    with pytest.raises(UsageError, match="takes any keys") as caught:
        enforced(free, True)
    assert caught.value.argument == "strict"


def test_all_of_is_merged_and_tagged_unions_are_any_of_without_a_note():
    schema = {
        "type": "object",
        "allOf": [
            {"properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"$ref": "#/$defs/b"},
        ],
        "$defs": {"b": {"type": "object", "properties": {"b": {"oneOf": [{"type": "string"}, {"type": "null"}]}}}},
    }
    out, notes = strict_openai(schema)
    assert list(out["properties"]) == ["a", "b"]
    assert out["required"] == ["a", "b"]
    assert set(notes) == {"b: oneOf is sent as anyOf", "$defs.b.b: oneOf is sent as anyOf"}
    tagged = {"type": "object", "properties": {"s": {"oneOf": [schema_of(Circle), schema_of(Square)]}}}
    assert strict_openai(tagged)[1] == []


def test_anthropic_keeps_optional_members_and_unrolls_recursion():
    out, notes = for_anthropic(schema_of(Tree))
    assert "$defs" not in out
    assert out["required"] == ["label"]
    assert out["properties"]["weight"] == {
        "type": "integer",
        "description": "In grams. (minimum: 1)",
        "default": 3,
    }
    assert notes[0] == "Tree: the recursion is described to a depth of 3"
    levels = 0
    while "kids" in out["properties"]:
        out, levels = out["properties"]["kids"]["items"], levels + 1
    assert levels == 3
    plain, _ = for_anthropic(schema_of(list[Movie]))
    assert "Movie" in plain["$defs"]


def test_anthropic_words():
    schema = {
        "type": "object",
        "properties": {
            "few": {
                "type": "array",
                "items": {"type": "string", "format": "uri"},
                "minItems": 1,
                "maxItems": 2,
            },
            "many": {"type": "array", "items": {"type": "string", "pattern": "^(?!x)"}, "minItems": 2},
            "odd": {"enum": [{"a": 1}]},
        },
    }
    properties = for_anthropic(schema)[0]["properties"]
    assert properties["few"] == {
        "type": "array",
        "items": {"type": "string", "format": "uri"},
        "minItems": 1,
        "description": "maxItems: 2",
    }
    assert properties["many"]["description"] == "minItems: 2"
    assert properties["odd"] == {"description": 'enum: [{"a": 1}]'}
    assert properties["many"]["items"]["description"] == 'pattern: "^(?!x)"'


GOOGLE_WORDS = {
    *("type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties"),
    *("required", "minProperties", "maxProperties", "minLength", "maxLength", "pattern", "example", "anyOf"),
    *("propertyOrdering", "default", "items", "minimum", "maximum"),
}


@pytest.mark.parametrize("tp", TYPES, ids=str)
def test_google_gets_only_its_subset(tp):
    out, _ = for_google(schema_of(tp))
    for part in every_object(out):
        assert part.keys() <= GOOGLE_WORDS
        assert isinstance(part.get("type", ""), str)
        if "anyOf" in part:
            assert part.keys() == {"anyOf"}
        if "enum" in part:
            assert all(isinstance(choice, str) for choice in part["enum"])
        if part.get("type") == "array":
            assert isinstance(part["items"], dict)


def test_google_says_null_constants_and_bounds_in_its_own_words():
    schema = {
        "type": "object",
        "properties": {
            "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Maybe."},
            "kind": {"const": "x"},
            "level": {"type": "integer", "enum": [1, 2]},
            "count": {"type": "integer", "exclusiveMinimum": 0},
            "either": {"type": ["string", "integer", "null"]},
            "free": {"type": "object", "additionalProperties": {"type": "integer"}},
            "day": {"type": "string", "format": "date"},
        },
        "required": ["kind"],
        "additionalProperties": False,
    }
    out, notes = for_google(schema)
    assert out["properties"] == {
        "maybe": {"type": "string", "description": "Maybe.", "nullable": True},
        "kind": {"type": "string", "enum": ["x"]},
        "level": {"type": "integer", "description": "enum: [1, 2]"},
        "count": {"type": "integer", "minimum": 1},
        "either": {"anyOf": [{"type": "string", "nullable": True}, {"type": "integer", "nullable": True}]},
        "free": {"type": "object", "description": 'additionalProperties: {"type": "integer"}'},
        "day": {"type": "string", "description": 'format: "date"'},
    }
    assert out["propertyOrdering"] == list(schema["properties"])
    assert "additionalProperties" not in out
    assert notes == [
        "level: enum is sent only as text",
        "free: additionalProperties is sent only as text",
        "day: format is sent only as text",
    ]


def test_google_json_keeps_references_and_free_keys():
    out, notes = for_google_json(schema_of(dict[str, Tree]))
    assert out["additionalProperties"] == {"$ref": "#/$defs/Tree"}
    assert out["$defs"]["Tree"]["properties"]["kids"]["items"] == {"$ref": "#/$defs/Tree"}
    assert notes == []
    assert for_google_json({"const": "a", "minLength": 2})[0] == {
        "enum": ["a"],
        "description": "minLength: 2",
    }


@given(st.integers(1, 3), trees)
@settings(max_examples=25, deadline=None)
def test_what_fits_an_inlined_schema_fits_the_recursive_one(depth, tree):
    schema = schema_of(Tree)
    inlined, _ = inline_refs(schema, depth=depth)
    assert "$ref" not in json.dumps(inlined)
    written = as_json(tree)

    def height(node):
        return 1 + max((height(kid) for kid in node["kids"]), default=0)

    if height(written) <= depth + 1:
        assert validate(written, inlined) == []
        assert validate(written, schema) == []


def test_inlining_refuses_to_grow_without_end():
    defs = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 4} for i in range(12)}
    schema = {"$ref": "#/$defs/d0", "$defs": {**defs, "d12": {"type": "string"}}}
    with pytest.raises(UsageError, match="10000 parts"):
        inline_refs(schema)
    endless = {"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]}
    with pytest.raises(UsageError, match="needs itself"):
        inline_refs(endless)


def test_references_of_every_spelling_are_found():
    schema = {
        "definitions": {"a/b": {"type": "string"}},
        "type": "object",
        "properties": {
            "one": {"$ref": "#/definitions/a~1b"},
            "two": {"$ref": "#/properties/one"},
            "three": {"$ref": "#here"},
            "four": {"$anchor": "here", "type": "integer"},
        },
    }
    for transform in TRANSFORMS:
        out, _ = transform(schema)
        assert validate({"one": "x", "two": "y", "three": 1, "four": 2}, out) == []
        assert len(validate({"one": 1, "two": 1, "three": "x", "four": 2}, out)) == 3, transform.__name__


def test_nothing_here_loads_pydantic():
    code = (
        "import sys\n"
        "from chatmodels import _schema, _tools, _output\n"
        "import dataclasses\n"
        "T = dataclasses.make_dataclass('T', [('a', int)])\n"
        "assert _output.Output.of(T).parse('{\"a\": 1}').a == 1\n"
        "assert _tools.call_tool(_tools.as_tool(lambda a: a, name='f'), {'a': 1}) == 1\n"
        "print([m for m in ('pydantic', 'asyncio', 'urllib3') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Corners


S = TypeVar("S", int, str)
B = TypeVar("B", bound=Point)
Loop = typing_extensions.TypeAliasType("Loop", "Loop")
Pairs = typing_extensions.TypeAliasType("Pairs", list[tuple[T, T]], type_params=(T,))


class Word(str):
    pass


class Shade(enum.Enum):
    DARK = Word("dark")
    NONE = None


class Odd(enum.Enum):
    A = (1, 2)


class Row(msgspec.Struct, array_like=True):
    a: int


class Limits(msgspec.Struct):
    names: list[str] = []
    spare: dict[str, int] = msgspec.field(default_factory=lambda: {"a": 1})


class Closed(typing_extensions.TypedDict, closed=True):
    a: typing_extensions.Required[typing_extensions.ReadOnly[int]]


@pytest.mark.parametrize(
    ("tp", "schema"),
    [
        (S, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (T, {}),
        (dict, {"type": "object", "additionalProperties": {}}),
        (Shade, {"type": ["string", "null"], "enum": ["dark", None]}),
        (
            Limits,
            {
                "type": "object",
                "properties": {
                    "names": {"type": "array", "items": {"type": "string"}, "default": []},
                    "spare": {"type": "object", "additionalProperties": {"type": "integer"}},
                },
            },
        ),
        (
            Closed,
            {
                "type": "object",
                "properties": {"a": {"type": "integer"}},
                "required": ["a"],
                "additionalProperties": False,
            },
        ),
        (
            Annotated[dict[str, int], pydantic.Field(min_length=1, title="Numbers", examples=[{"a": 1}])],
            {
                "type": "object",
                "additionalProperties": {"type": "integer"},
                "minProperties": 1,
                "title": "Numbers",
                "examples": [{"a": 1}],
            },
        ),
        (
            Annotated[Annotated[list[int], "Inner."], msgspec.Meta(max_length=2, extra_json_schema={"x-note": 1})],
            {"type": "array", "items": {"type": "integer"}, "description": "Inner.", "maxItems": 2, "x-note": 1},
        ),
        (pydantic.AnyUrl, {"format": "uri", "minLength": 1, "type": "string"}),
        (
            dataclasses.make_dataclass("D", [("a", int, dataclasses.field(metadata={"description": "Said."}))]),
            {"type": "object", "properties": {"a": {"type": "integer", "description": "Said."}}, "required": ["a"]},
        ),
        (
            dataclasses.make_dataclass("D", [("a", Any, dataclasses.field(default_factory=Opaque))]),
            {"type": "object", "properties": {"a": {}}},
        ),
        (
            dataclasses.make_dataclass("D", [("a", Any, Opaque()), ("m", Model | None, None)], frozen=True),
            None,
        ),
    ],
    ids=str,
)
def test_schema_of_corners(tp, schema):
    made = schema_of(tp)
    if schema is None:
        assert made["properties"]["a"] == {}, "a default that JSON cannot say is not told"
    else:
        assert made == schema


def test_aliases_with_parameters_and_bounds():
    assert schema_of(Pairs[int])["items"]["prefixItems"] == [{"type": "integer"}] * 2
    assert convert([[1, 2]], Pairs[int]) == [(1, 2)]
    assert schema_of(B)["required"] == ["x"]
    assert convert("dark", Shade) is Shade.DARK
    assert convert({"red": 1}, dict[Color, int]) == {Color.RED: 1}
    assert convert({"2026-01-02": 1}, dict[datetime.date, int]) == {datetime.date(2026, 1, 2): 1}


def test_defaults_that_are_models_are_told():
    field = msgspec.field(default=Model(user_id=1, born=datetime.date(2026, 1, 2)))
    tp = msgspec.defstruct("D", [("m", Model, field)])
    assert schema_of(tp)["properties"]["m"]["default"] == {"user_id": 1, "born": "2026-01-02", "parent": None}


@pytest.mark.parametrize(
    ("tp", "said"),
    [
        (Loop, "only itself"),
        (Odd, "JSON cannot carry"),
        (Row, "array_like"),
        (typing.Callable[[], int], "no JSON form"),
    ],
    ids=str,
)
def test_more_types_without_json_form(tp, said):
    with pytest.raises(UsageError, match=said):
        schema_of(tp)


def test_pydantic_types_without_a_schema_are_refused():
    class Holder(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
        it: Opaque

    with pytest.raises(UsageError, match="no JSON Schema"):
        schema_of(Holder)


def test_numbers_for_decimals_and_floats_for_choices():
    assert convert(1.5, decimal.Decimal) == decimal.Decimal("1.5")
    assert convert(3, decimal.Decimal) == 3
    assert convert(1.0, Literal[1, 2]) == 1
    for value in (True, None, [1]):
        with pytest.raises(OutputError, match="a decimal number"):
            convert(value, decimal.Decimal)
    with pytest.raises(OutputError, match=r"expected one of 1, 2, got 1\.5"):
        convert(1.5, Literal[1, 2])
    with pytest.raises(OutputError, match='a: expected an integer, got "a"'):
        convert({"a": 1}, dict[int, int])


def test_the_closest_option_of_a_union_is_told():
    with pytest.raises(OutputError, match=r"side: expected a number"):
        convert({"type": "square", "side": "x"}, Circle | Square)
    with pytest.raises(OutputError, match=r"\(root\): expected an integer or null, got \"x\""):
        convert("x", int | None)


def test_absent_for_pydantic_types_and_any():
    tp = dataclasses.make_dataclass(
        "D", [("url", pydantic.AnyUrl, None), ("any", Any, 3), ("word", Literal["a", None], "a")]
    )
    made = convert({"url": None, "any": None, "word": None}, tp)
    assert (made.url, made.any, made.word) == (None, None, None)


def test_what_is_too_deep_is_a_problem_not_a_crash():
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(OutputError, match="deeply"):
        convert(deep, Json)
    assert validate(deep, {"items": {"$ref": "#"}}) == ["(root): nested too deeply"]
    assert drop_absent([1], {"prefixItems": [True]}) == [1]


def test_transforms_in_corners():
    optional = {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}}
    assert strict_openai(optional)[0]["properties"]["a"]["anyOf"][-1] == {"type": "null"}
    assert for_google({"enum": [None]})[0] == {"type": "null"}
    nested = {"anyOf": [{"anyOf": [{"type": "string"}, {"type": "integer"}]}, {"type": "null"}]}
    assert for_google(nested)[0] == {
        "anyOf": [{"type": "string", "nullable": True}, {"type": "integer", "nullable": True}]
    }
    list_node = {
        "$ref": "#/$defs/n",
        "$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n", "description": "On."}}}},
    }
    assert for_google_json(list_node)[0]["properties"]["n"]["properties"]["n"] == {"$ref": "#/$defs/n"}
    required_list = {
        "type": "object",
        "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["kids"],
    }
    cut, _ = inline_refs(required_list, depth=1)
    assert cut["properties"]["kids"]["items"]["properties"]["kids"] == {"type": "array", "maxItems": 0}
    last = for_anthropic(required_list)[0]
    for _ in range(3):
        last = last["properties"]["kids"]["items"]
    assert last["properties"]["kids"] == {"type": "array", "items": {"type": "string"}, "description": "maxItems: 0"}
    draft7 = {"items": [INTEGER], "additionalItems": False, "type": "array"}
    assert inline_refs(draft7)[0] == {"prefixItems": [INTEGER], "items": False, "type": "array"}
    both = {"allOf": [{"type": ["integer", "string"], "enum": [1, "a"]}, {"type": "number", "enum": [1, 2]}]}
    assert for_google_json(both)[0] == {"type": "integer", "enum": [1]}
    with pytest.raises(UsageError, match="allows nothing"):
        inline_refs({"$ref": "#/$defs/no", "$defs": {"no": False}})
    by_index = {"anyOf": [INTEGER, {"$ref": "#/anyOf/0"}]}
    assert inline_refs(by_index)[0] == {"anyOf": [INTEGER, INTEGER]}
    with pytest.raises(UsageError, match=r"re can read"):
        check_schema({"patternProperties": {"(": {}}})
