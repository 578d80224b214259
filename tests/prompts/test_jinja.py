"""Jinja in its narrow sandbox: data in, text out; no attributes, no calls, no files."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmodels import ChatPromptTemplate, HumanMessage, PromptTemplate, UsageError

pytest.importorskip("jinja2")


def shown(template: str, **values: Any) -> str:
    return PromptTemplate.from_template(template, template_format="jinja2").format(**values)


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ("Hi {{ name }}!\n", {"name": "{{ x }} <b>"}, "Hi {{ x }} <b>!\n"),
        (
            "{% for x in xs %}{{ loop.index }}{{ x|upper }}{{ ',' if not loop.last }}{% endfor %}",
            {"xs": ["a", "b"]},
            "1A,2B",
        ),
        ("{% if a and b > 1 %}yes{% else %}no{% endif %}", {"a": True, "b": 2}, "yes"),
        ("{{ p.name }} {{ p['name'] }} {{ xs[0] }} {{ xs[-1:][0] }}", {"p": {"name": "n"}, "xs": [1, 2]}, "n n 1 2"),
        ("{% set y = x + 1 %}{{ y * 2 }} {{ 7 % 4 }}", {"x": 1}, "4 3"),
        ("{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(x) }}", {"x": "q"}, "<q>"),
        ("{% for i in range(3) %}{{ i }}{% endfor %}", {}, "012"),
        ("{{ xs|map(attribute='n')|join('-') }}", {"xs": [{"n": 1}, {"n": 2}]}, "1-2"),
        (
            "{{ x|default('d') }} {{ d|tojson }} {{ xs|length }}",
            {"x": None, "d": {"a": 1}, "xs": [1]},
            'None {"a": 1} 1',
        ),
    ],
)
def test_what_it_gives(template: str, values: dict[str, Any], expected: str) -> None:
    prompt = PromptTemplate.from_template(template, template_format="jinja2")
    assert prompt.input_variables == sorted(values)
    assert prompt.format(**values) == expected


class Account:
    password = "hunter2"

    def secret(self) -> str:
        return "hunter2"

    def __str__(self) -> str:
        return "an account"


def parsed_and_shown(template: str) -> str:
    prompt = PromptTemplate.from_template(template, template_format="jinja2")
    return prompt.format(**dict.fromkeys(prompt.input_variables, Account()))


@pytest.mark.parametrize(
    "template",
    [
        "{{ x.password }}",
        "{{ x['password'] }}",
        "{{ x.secret() }}",
        "{{ x.__class__.__mro__ }}",
        "{{ x|attr('password') }}",
        "{{ [x]|map(attribute='password')|list }}",
        "{{ [x]|map('attr', 'password')|list }}",
        "{{ [x]|sum(attribute='password') }}",
        "{{ [x]|selectattr('password')|list }}",
        "{{ ''.__class__ }}",
        "{{ ''.format(x) }}",
        "{{ x() }}",
        "{{ self.__init__ }}",
        "{{ cycler.__init__ }}",
        "{{ lipsum() }}",
        "{{ namespace(a=1) }}",
        "{{ loop }}{% for i in [1] %}{{ loop.__class__ }}{% endfor %}",
        "{% for i in [1] %}{{ loop._iterator }}{% endfor %}",
        "{% for i in [1] %}{{ loop.cycle(1) }}{% endfor %}",
        "{{ 'a' * 10 }}",
        "{{ 9 ** 9 }}",
        "{{ '%999d' % 1 }}",
        "{{ '%d'|format(1) }}",
        "{{ 'a'|center(999) }}",
        "{{ range(1000000) }}",
        "{% include 'file' %}",
        "{% import 'file' as f %}",
        "{% from 'file' import f %}",
        "{% extends 'file' %}",
        "{% set m %}{% endset %}{{ m.striptags() }}",
    ],
)
def test_what_is_out_of_reach(template: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed_and_shown(template)
    assert "hunter2" not in str(caught.value)


def test_an_object_shows_only_as_text() -> None:
    assert shown("{{ x }} {{ m }}", x=Account(), m=HumanMessage("hi")) == (
        "an account HumanMessage(content='hi', additional_kwargs={})"
    )


@pytest.mark.parametrize("template", ["{{ x", "{% if %}", "{% unknown %}", "{{ x|nofilter }}"])
def test_what_is_no_jinja_is_refused_when_parsed(template: str) -> None:
    with pytest.raises(UsageError, match="jinja") as caught:
        PromptTemplate.from_template(template, template_format="jinja2")
    assert caught.value.argument == "template"


def test_what_fails_when_filled_in_is_a_usage_error() -> None:
    for template, x in (
        ("{{ x + 1 }}", "a"),
        ("{{ 1 / x }}", 0),
        ("{{ x.missing.more }}", {}),
        ("{{ x.missing }}", {}),
    ):
        with pytest.raises(UsageError, match="jinja"):
            shown(template, x=x)
    with pytest.raises(UsageError, match="missing: 'x'; extra: 'y'"):
        shown("{{ x }}", y=1)


def test_in_chats() -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "{{ a }}"), ("human", ["{{ b }}"])], template_format="jinja2")
    assert prompt.input_variables == ["a", "b"]
    assert [m.text for m in prompt.format_messages(a="{{ b }}", b="{{ a }}")] == ["{{ b }}", "{{ a }}"]


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r")))
def test_values_come_through_untouched(value: str) -> None:
    assert shown("{{ x }}|{% for y in ys %}{{ y }}{% endfor %}", x=value, ys=[value]) == value + "|" + value
