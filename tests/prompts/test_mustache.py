"""Mustache: what the specification says of the parts that are here, and the named differences."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmodels import ChatPromptTemplate, PromptTemplate, UsageError
from chatmodels.prompts._mustache import parse_mustache


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ("Hi {{name}}, {{ name }}!", {"name": "a"}, "Hi a, a!"),
        ("{{{x}}} {{&x}} {{x}}", {"x": "<&>"}, "<&> <&> <&>"),
        ("{{n}} {{f}} {{none}}|", {"n": 1, "f": 0.5, "none": None}, "1 0.5 |"),
        ("{{a.b.c}}", {"a": {"b": {"c": "x"}}}, "x"),
        ("{{#on}}yes{{/on}}{{^on}}no{{/on}}", {"on": True}, "yes"),
        ("{{#on}}yes{{/on}}{{^on}}no{{/on}}", {"on": []}, "no"),
        ("{{#xs}}{{.}},{{/xs}}", {"xs": ["a", 1, "{{b}}"]}, "a,1,{{b}},"),
        ("{{#xs}}{{a}}{{b}};{{/xs}}", {"xs": [{"a": 1}, {"a": 2}], "b": "!"}, "1!;2!;"),
        ("{{#p}}{{name}}{{/p}}", {"p": {"name": "inner"}, "name": "outer"}, "inner"),
        ("{{#a.b}}{{c}}{{/a.b}}", {"a": {"b": {"c": 3}}}, "3"),
        ("{{#xs}}{{n}}{{#note}} ({{note}}){{/note}};{{/xs}}", {"xs": [{"n": 1, "note": "a"}, {"n": 2}]}, "1 (a);2;"),
        ("{{#xs}}{{^a.b}}none{{/a.b}}{{/xs}}", {"xs": [{"a": {}}]}, "none"),
        ("a{{! comment {x} }}b", {}, "ab"),
        ("a\n  {{! alone }}  \nb\n", {}, "a\nb\n"),
        ("<\n{{#xs}}\n- {{.}}\n{{/xs}}\n>", {"xs": ["a", "b"]}, "<\n- a\n- b\n>"),
        ("{{#a}}\r\n{{#b}}\r\nx\r\n{{/b}}\r\n{{/a}}", {"a": True, "b": True}, "x\r\n"),
        ('{"json": {"x": "{{x}}"}}', {"x": "1"}, '{"json": {"x": "1"}}'),
        ("{x} { {x} }", {}, "{x} { {x} }"),
    ],
)
def test_what_it_gives(template: str, values: dict[str, Any], expected: str) -> None:
    assert parse_mustache(template).render(values) == expected


def test_variables() -> None:
    prompt = PromptTemplate.from_template("{{a}} {{#xs}}{{b}} {{a}}{{/xs}} {{p.q}}", template_format="mustache")
    assert prompt.input_variables == ["a", "p", "xs"]
    assert prompt.optional_variables == ["b"]
    assert prompt.format(a="1", xs=[{"b": "2"}], p={"q": "3"}) == "1 2 1 3"
    with pytest.raises(UsageError, match="missing: 'p'; extra: 'c'"):
        prompt.format(a="1", xs=[], c=1)
    with pytest.raises(UsageError, match="no value for 'b'") as caught:
        prompt.format(a="1", xs=[{}], p={"q": "3"})
    assert caught.value.argument == "b"
    chat = ChatPromptTemplate.from_messages([("human", "{{x}} {y}")], template_format="mustache")
    assert chat.format_messages(x="{{y}}")[0].text == "{{y}} {y}"


class Person:
    name = "secret"

    def __str__(self) -> str:
        return "a person"


def test_attributes_and_functions_are_out_of_reach() -> None:
    with pytest.raises(UsageError, match="dots reach into dicts only"):
        parse_mustache("{{p.name}}").render({"p": Person()})
    with pytest.raises(UsageError, match="no value for 'name'"):
        parse_mustache("{{#p}}{{name}}{{/p}}").render({"p": Person()})
    with pytest.raises(UsageError, match="dots reach"):
        parse_mustache("{{p.__class__}}").render({"p": {}})
    assert "lambda" in parse_mustache("{{f}}").render({"f": lambda: "called"})


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{> other}}", "partials are not supported"),
        ("{{=<% %>=}}", "other delimiters are not supported"),
        ("{{#a}}", "is never closed"),
        ("{{#a}}{{/b}}", "closes no open section"),
        ("{{/a}}", "closes no open section"),
        ("{{a b}}", "a tag holds a name"),
        ("{{}}", "a tag holds a name"),
        ("{{a..b}}", "a tag holds a name"),
        ("Hi {{.}}", "stands in one"),
    ],
)
def test_what_is_no_mustache(template: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_mustache(template)


@given(st.text(st.characters(codec="utf-8")), st.text())
def test_values_come_through_untouched_and_so_does_text_without_tags(value: str, text: str) -> None:
    assert parse_mustache("{{x}}|{{#xs}}{{.}}{{/xs}}").render({"x": value, "xs": [value]}) == value + "|" + value
    if "{{" not in text:
        assert parse_mustache(text).render({}) == text


@given(
    st.lists(
        st.sampled_from(["{{", "}}", "{{#a}}", "{{/a}}", "{{^a}}", "{{!", "{{{a}}}", "a", "\n", " ", "#", "{", "}"])
    ).map("".join)
)
def test_any_text_is_a_template_or_a_usage_error(text: str) -> None:
    try:
        template = parse_mustache(text)
    except UsageError:
        return
    assert isinstance(template.render({"a": [1]}), str)
