"""The language of fields: the same as `str.format` on what is allowed, and nothing else is allowed."""

from __future__ import annotations

import datetime
import decimal
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmodels import PromptTemplate, UsageError
from chatmodels.prompts._template import parse

NAMES = st.sampled_from(["a", "b_1", "Name", "_x", "été"])
LITERALS = st.text(st.characters(codec="utf-8"), max_size=12).map(lambda t: t.replace("{", "{{").replace("}", "}}"))
SPECS = st.sampled_from(["", ":", ":>8", ":*^12", ":.3", ":05", "!r", "!s", "!a", "!r:>20", "!s:<4"])
TEMPLATES = st.lists(st.one_of(LITERALS, st.builds("{{{}{}}}".format, NAMES, SPECS)), max_size=6).map("".join)
VALUES = st.text(st.characters(codec="utf-8"), max_size=12)


@given(TEMPLATES, st.lists(VALUES, min_size=5, max_size=5))
def test_the_same_as_str_format(template: str, texts: list[str]) -> None:
    values = dict(zip(["a", "b_1", "Name", "_x", "été"], texts, strict=True))
    try:
        expected = template.format(**values)
    except ValueError:  # "05" is for numbers
        with pytest.raises(UsageError):
            parse(template).render(values)
        return
    assert parse(template).render(values) == expected


@given(
    st.one_of(st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False), st.booleans()),
    st.sampled_from(["", "d", ".2f", "+.3e", ",", "_", "x", "#x", "08", ">12", "^-12", ".1%", "g", "b"]),
)
def test_numbers_as_str_format_writes_them(number: float, spec: str) -> None:
    template = "<{n:" + spec + "}>"
    try:
        expected = template.format(n=number)
    except ValueError:
        with pytest.raises(UsageError, match=r"\{n:"):
            parse(template).render({"n": number})
        return
    assert parse(template).render({"n": number}) == expected


@given(st.text())
def test_any_text_is_parsed_as_str_format_would_or_refused(text: str) -> None:
    """Whatever is taken gives what `str.format` gives; what is refused is a UsageError."""
    try:
        template = parse(text)
    except UsageError:
        return
    values = dict.fromkeys(template.variables, "v")
    assert template.render(values) == text.format(**values)


@given(VALUES, st.sampled_from(["{x}", "{{x}}", "{x.__class__}", "{0}", "{", "}}", "{x!r:>9}"]))
def test_values_with_braces_come_through_untouched(before: str, value: str) -> None:
    prompt = PromptTemplate.from_template("{before}|{x}|{{x}}")
    assert prompt.format(before=before, x=value) == before + "|" + value + "|{x}"


class Secret:
    """An object whose attributes are nobody's business."""

    password = "hunter2"

    def __str__(self) -> str:
        return "a secret"

    def __format__(self, spec: str) -> str:
        return self.password if spec else "a secret"


@pytest.mark.parametrize(
    "field",
    [
        "x.password", "x.__class__.__mro__", "x[0]", "x[password]", "x.a[0].b", "", "0", "1", "x y", "x-y", " x", "x ", "x()",
        "x:{y}", "x:{y.z}", "x!z", "x:99999", "x:.9999", "x:n", "x:>{w}", "x:password", '"a": 1', "x:%" + "Y" * 70,
    ],
)  # fmt: skip
def test_everything_else_is_refused_when_parsed(field: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse("{" + field + "}")
    assert caught.value.argument == "template"


@pytest.mark.parametrize("text", ["{", "}", "{x", "x}", "{x!}", "{x!r", "{x:", "{{x}", "a } b"])
def test_braces_that_do_not_fit_together_say_how_to_write_braces(text: str) -> None:
    with pytest.raises(UsageError, match=r"\{\{ and \}\}|name|conversion"):
        parse(text)


def test_the_reason_names_the_field_and_the_remedy() -> None:
    with pytest.raises(UsageError, match=r"\{x.password\}.*without attributes or indexes: pass the value itself"):
        parse("{x.password}")
    with pytest.raises(UsageError, match="fields go by name, not by position"):
        parse("{0}")
    with pytest.raises(UsageError, match=r"write \{\{ and \}\} for braces that are text"):
        parse('{"name": "x"}')


def test_an_objects_own_formatting_is_not_for_templates() -> None:
    assert parse("{x}").render({"x": Secret()}) == "a secret"
    with pytest.raises(UsageError, match="not for Secret"):
        parse("{x:>9}").render({"x": Secret()})


def test_dates_and_decimals() -> None:
    day = datetime.datetime(2026, 11, 22, 9, 5)
    values: dict[str, Any] = {"day": day, "price": decimal.Decimal("12.5"), "time": day.time(), "on": day.date()}
    text = parse("{day:%d.%m.%Y} {price:.2f} {time:%H:%M} {on:%Y-%m-%d} {on}").render(values)
    assert text == "22.11.2026 12.50 09:05 2026-11-22 2026-11-22"
    with pytest.raises(UsageError, match="not for str"):
        parse("{day:%Y}").render({"day": "2026"})


def test_a_number_too_long_to_write_is_an_error_that_names_it() -> None:
    with pytest.raises(UsageError, match="big") as caught:
        parse("{big:d}").render({"big": 10**5000})
    assert caught.value.argument == "big"


def test_a_text_is_parsed_once() -> None:
    text = "".join(string.ascii_lowercase) + "{x}"
    assert parse(text) is parse("" + text)
    long = "{x}" + " " * 20_000  # what is kept is bounded
    assert parse(long) is not parse("" + long)
    assert parse(long) == parse("" + long)
