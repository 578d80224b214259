"""Answers into values: whole ones, and ones that are still being written."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import itertools
import json
import pickle
from enum import Enum
from typing import Annotated, Any, Generic, Literal, TypedDict, TypeVar

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatmodels._errors import OutputError, UsageError
from chatmodels._output import Output, PartialJSON, parse_partial
from chatmodels._schema import schema_of, strict_blockers, strict_openai, validate

T = TypeVar("T")


class Size(Enum):
    S = "small"
    L = "large"


class Invoice(pydantic.BaseModel):
    """An invoice."""

    number: int
    due: datetime.date


@dataclasses.dataclass
class City:
    name: str
    people: int | None = None


class Pair(TypedDict):
    a: int
    b: str


class Shape(msgspec.Struct):
    sides: int


@dataclasses.dataclass
class Page(Generic[T]):
    value: T


SCHEMA = {
    "title": "Find it",
    "description": "What to find.",
    "type": "object",
    "properties": {"q": {"type": "string"}, "n": {"type": "integer", "minimum": 1}},
    "required": ["q"],
}


@pytest.mark.parametrize(
    ("target", "text", "value", "name"),
    [
        (
            Invoice,
            '{"number": 1, "due": "2026-01-02"}',
            Invoice(number=1, due=datetime.date(2026, 1, 2)),
            "Invoice",
        ),
        (City, '{"name": "Bonn", "people": null}', City("Bonn"), "City"),
        (Pair, '{"a": 1, "b": "x"}', {"a": 1, "b": "x"}, "Pair"),
        (Shape, '{"sides": 3}', Shape(3), "Shape"),
        (Page[int], '{"value": 3}', Page(3), "Page"),
        (dict[str, int], '{"a": 1}', {"a": 1}, "output"),
        (SCHEMA, '{"q": "x", "n": null}', {"q": "x"}, "Find_it"),
    ],
)
def test_objects_are_asked_for_as_they_are(target, text, value, name):
    output = Output.of(target)
    assert not output.wrapped
    assert output.name == name
    assert output.schema == (target if target is SCHEMA else schema_of(target))
    assert output.parse(text) == value


@pytest.mark.parametrize(
    ("target", "inner", "value"),
    [
        (int, 3, 3),
        (str, "x", "x"),
        (list[City], [{"name": "Bonn"}], [City("Bonn")]),
        (Literal["a", "b"], "a", "a"),
        (Size, "large", Size.L),
        (City | Invoice, {"name": "Bonn"}, City("Bonn")),
        (int | None, None, None),
        (tuple[int, str], [1, "a"], (1, "a")),
        (Annotated[int, msgspec.Meta(ge=1)], 1, 1),
        (datetime.date, "2026-01-02", datetime.date(2026, 1, 2)),
        ({"type": "array", "items": {"type": "integer"}}, [1], [1]),
        ({"enum": ["a"]}, "a", "a"),
    ],
    ids=str,
)
def test_other_roots_are_wrapped_and_unwrapped(target, inner, value):
    output = Output.of(target)
    assert output.wrapped
    assert output.schema["type"] == "object"
    assert list(output.schema["properties"]) == ["value"]
    assert validate({"value": inner}, output.schema) == []
    assert output.parse(json.dumps({"value": inner})) == value
    assert output.parse(json.dumps(inner)) == value, "from a provider that takes any root"
    assert output.parse_partial(json.dumps({"value": inner})) == inner


def test_only_the_wrapper_itself_is_taken_off():
    output = Output.of(Page[int] | City)
    assert output.parse('{"value": {"value": 1}}') == Page(1)
    assert output.parse('{"value": 1, "more": 2}') == Page(1)


def test_wrapped_references_still_lead_somewhere():
    output = Output.of(list[City])
    assert output.schema["$defs"]["City"]["required"] == ["name"]
    assert strict_blockers(output.schema) == []
    strict, _ = strict_openai(output.schema)
    assert validate({"value": [{"name": "x", "people": None}]}, strict) == []
    raw = Output.of({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}})
    assert raw.parse('{"value": 3}') == 3
    with pytest.raises(OutputError, match=r"\(root\): expected integer"):
        raw.parse('{"value": "x"}')


@pytest.mark.parametrize(
    "text",
    [
        '{"sides": 3}',
        ' \n{"sides": 3}\n\n',
        '```json\n{"sides": 3}\n```',
        '\n```\n{"sides": 3}\n```  ',
        '```JSON\r\n{"sides": 3}\r\n```',
        '\ufeff{"sides": 3}',
        '{"sides": 3.0}',
        '{"sides": 3, "colour": "red"}',
    ],
)
def test_blanks_and_a_fence_are_taken(text):
    assert Output.of(Shape).parse(text) == Shape(3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("```json\n```", "empty"),
        ("Here you are: {}", "not JSON"),
        ('{"sides": 3', "not JSON"),
        ('{"sides": 3,}', "not JSON"),
        ("{'sides': 3}", "not JSON"),
        ('{"sides": NaN}', "not JSON: NaN"),
        ('{"sides": 3} {"sides": 4}', "not JSON"),
        ('{"sides": "3"}', 'sides: expected an integer, got "3"'),
        ("{}", "sides: missing"),
        ("[]", r"\(root\): expected an object"),
        ("[" * 100_000, "nested too deeply|not JSON"),
        ('{"sides": ' + "1" * 5000 + "}", "not JSON"),
    ],
)
def test_nothing_else_is_mended(text, said):
    with pytest.raises(OutputError, match=said):
        Output.of(Shape).parse(text)


def test_half_an_emoji_is_replaced():
    text = '{"value": "a\\ud83db\\ud83d\\ude00"}'
    assert Output.of(str).parse(text) == "a\ufffdb😀"
    assert Output.of(str).parse_partial(text) == "a\ufffdb😀"


def test_raw_schemas_are_checked_with_paths():
    output = Output.of(SCHEMA)
    with pytest.raises(OutputError) as caught:
        output.parse('{"n": 0}')
    assert str(caught.value) == ("the answer does not fit Find_it: q: missing; n: expected at least 1, got 0")
    assert output.description == "What to find."


def test_openai_shapes_of_schemas():
    inner = {"name": "find", "strict": True, "schema": SCHEMA}
    for given_ in (inner, {"type": "json_schema", "json_schema": inner}, {"type": "json_schema", **inner}):
        output = Output.of(given_)
        assert (output.name, output.strict, output.schema) == ("find", True, SCHEMA)
    assert Output.of(inner, name="other", strict=False).name == "other"
    assert Output.of(inner, strict=False).strict is False


@pytest.mark.parametrize(
    "target",
    [{}, {"type": "text"}, {"a": str}, {"type": "json_schema"}, 3, "City", lambda: 1, {"schema": {}}],
)
def test_what_is_no_type_is_refused(target):
    with pytest.raises(UsageError):
        Output.of(target)


def test_names_are_made_fit_or_refused():
    assert Output.of({"title": "A b/c!", "type": "object"}).name == "A_b_c"
    assert Output.of(Page[City]).name == "Page"
    with pytest.raises(UsageError, match="name") as caught:
        Output.of(City, name="a b")
    assert caught.value.argument == "name"


def test_outputs_are_values():
    output = Output.of(City, description="A city.", strict=True)
    assert output == Output.of(City, description="A city.", strict=True)
    assert output != Output.of(City)
    assert hash(output) == hash(Output.of(City, description="A city.", strict=True))
    assert repr(output) == "Output(name='City', target=City)"
    assert Output.of(output) == output
    assert Output.of(output, strict=False).strict is False
    for again in (pickle.loads(pickle.dumps(output)), copy.deepcopy(output)):
        assert again == output
        assert again.parse('{"name": "x"}') == City("x")
    with pytest.raises(AttributeError):
        output.name = "x"  # type: ignore[misc]


def test_deep_answers_end_in_our_error():
    deep: Any = {"type": "object", "properties": {"a": {"$ref": "#"}}}
    text = '{"a": ' * 2000 + "{}" + "}" * 2000
    with pytest.raises(OutputError, match=r"deeply|not JSON"):
        Output.of(deep).parse(text)


# Partial answers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("  ", None),
        ("{", {}),
        ('{"a', {}),
        ('{"a"', {}),
        ('{"a":', {}),
        ('{"a": "', {"a": ""}),
        ('{"a": "x', {"a": "x"}),
        ('{"a": "x\\', {"a": "x"}),
        ('{"a": "x\\u00e', {"a": "x"}),
        ('{"a": "x\\u00e9', {"a": "xé"}),
        ('{"a": "\\ud83d', {"a": ""}),
        ('{"a": "\\ud83d\\ude0', {"a": ""}),
        ('{"a": "\\ud83d\\ude00', {"a": "😀"}),
        ('{"a": 1', {}),
        ('{"a": 1,', {"a": 1}),
        ('{"a": -1.5e3 ', {"a": -1500.0}),
        ('{"a": tru', {}),
        ('{"a": true', {"a": True}),
        ('{"a": [', {"a": []}),
        ('{"a": [1, [2], {"b": null', {"a": [1, [2], {"b": None}]}),
        ("[1, 2", [1]),
        ("[[], {}]", [[], {}]),
        ('"abc', "abc"),
        ("12", None),
        ("12 ", 12),
        ("```json\n[1,", [1]),
        ("``", None),
        ("```json\n[1]\n```", [1]),
        ('{"a": 1} and more', {"a": 1}),
        ('{"a": x', {}),
        ('{"a": 1, ]', {"a": 1}),
        ('{"a": 01, ', {}),
        ('{"a" 1}', {}),
        ("[1 2]", [1]),
        ('{"a": "\\x", "b": 1}', {"a": ""}),
        ("Sorry", None),
    ],
)
def test_partial_values(text, value):
    assert parse_partial(text) == value


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def grows(before: Any, after: Any) -> bool:
    """Whether `after` keeps all that `before` said."""
    if before is None:
        return True
    if type(before) is not type(after):
        return False
    if isinstance(before, str):
        return after.startswith(before)
    if isinstance(before, list):
        return len(before) <= len(after) and all(map(grows, before, after))
    if isinstance(before, dict):
        return list(before) == list(after)[: len(before)] and all(grows(before[k], after[k]) for k in before)
    return before == after


@given(value=json_values, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
@settings(max_examples=40, deadline=None)
def test_every_beginning_is_read_and_only_adds(value, ascii_only, indent):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    last: Any = None
    for end in range(len(text) + 1):
        now = parse_partial(text[:end])
        assert grows(last, now)
        assert grows(now, value)
        last = now
    assert parse_partial(text + " ") == value


@given(value=json_values, cuts=st.lists(st.integers(0, 60), max_size=5), fence=st.booleans())
@settings(max_examples=40, deadline=None)
def test_pieces_give_what_the_whole_gives(value, cuts, fence):
    text = json.dumps(value) + " "
    text = f"```json\n{text}\n```" if fence else text
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    parser = PartialJSON()
    for start, end in itertools.pairwise(places):
        assert parser.feed(text[start:end]) == parse_partial(text[:end])
    assert parser.value == value
    assert parser.complete


@given(st.text(alphabet=st.sampled_from(list('{}[]",:\\u01d8e.-truefalsn `\n')), max_size=40))
@settings(max_examples=100, deadline=None)
def test_no_text_makes_it_raise_or_take_back(text):
    last: Any = None
    for end in range(len(text) + 1):
        now = parse_partial(text[:end])
        repeated = '"' in text and text.count('"') > 4
        assert repeated or grows(last, now)
        last = now


def test_depth_and_length_are_no_danger():
    assert parse_partial("[" * 50_000) is not None
    parser = PartialJSON()
    parser.feed('{"text": "')
    for _ in range(2000):
        parser.feed("word ")
    assert len(parser.value["text"]) == 10_000


def test_partial_of_wrapped_outputs():
    output = Output.of(list[int])
    assert [output.parse_partial(text) for text in ("", "{", '{"value": [1, 2', "[1, 2")] == [
        None,
        None,
        [1],
        [1],
    ]
    assert Output.of(Page[int]).parse_partial('{"value": 3 ') == {"value": 3}
