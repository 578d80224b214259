"""Templates of messages with several parts: text, images, files; and template strings."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import pytest

from chatmodels import ChatPromptTemplate, File, HumanMessage, Image, SystemMessage, Text, UsageError
from chatmodels.prompts import HumanMessagePromptTemplate, PromptTemplate
from chatmodels.prompts._languages import template_of
from chatmodels.prompts._tstrings import is_tstring, tstring_content, tstring_text


def one(parts: list[Any], language: str = "f-string", /, **values: Any) -> Any:
    prompt = ChatPromptTemplate.from_messages([("human", parts)], template_format=language)
    return prompt.format_messages(**values)[0].content


def test_text_images_and_files() -> None:
    content = one(
        [
            "What is on {name}?",
            {"type": "text", "text": "{name}!"},
            {"type": "image_url", "image_url": "https://example.org/{name}.png"},
            {"type": "image_url", "image_url": {"url": "{url}", "detail": "low"}},
            {"type": "image", "url": "https://example.org/{name}", "detail": "{detail}"},
            {"type": "file", "file_id": "{id}", "name": "{name}.pdf"},
            {"type": "file", "file": {"file_id": "{id}"}},
            Image(url="https://example.org/{constant}"),
            Text("{constant}"),
        ],
        name="map",
        url="data:image/png;base64,aGk=",
        detail="high",
        id="file-1",
    )
    assert content == [
        Text("What is on map?"),
        Text("map!"),
        Image(url="https://example.org/map.png"),
        Image(data=b"hi", media_type="image/png", detail="low"),
        Image(url="https://example.org/map", detail="high"),
        File(file_id="file-1", name="map.pdf"),
        File(file_id="file-1"),
        Image(url="https://example.org/{constant}"),
        Text("{constant}"),
    ]


def test_parts_and_bytes_as_values() -> None:
    photo = Image(data=b"\x89PNG{x}", media_type="image/png")
    assert one(["Look: ", "{photo}"], photo=photo) == [Text("Look: "), photo]
    assert one(["{photo}"], photo="{not} a part") == [Text("{not} a part")]
    item = {"type": "image", "data": "{data}", "media_type": "image/png"}
    assert one([item], data=b"\x89PNG{x}") == [photo]
    base64 = {"type": "image_url", "image_url": {"url": "data:image/png;base64,{data}"}}
    assert one([base64], data="aGk=") == [Image(data=b"hi", media_type="image/png")]


def test_a_value_brings_no_fields_of_its_own() -> None:
    """A value from outside (decoded JSON, say) fills one field; it cannot set others."""
    evil = {"url": "https://example.org/", "detail": "high", "cache": True}
    made = one([{"type": "image_url", "image_url": "{url}"}], url=evil)
    assert made == [Image(url=str(evil))]
    assert one(["{text}"], text={"type": "image", "url": "x"}) == [Text(str({"type": "image", "url": "x"}))]


def test_one_part_without_a_list() -> None:
    photo = Image(url="https://example.org/{x}")
    prompt = ChatPromptTemplate.from_messages([("human", photo), ("human", {"type": "text", "text": "{x}"})])
    assert prompt.format_messages(x="1") == [HumanMessage([photo]), HumanMessage([Text("1")])]


def test_an_empty_text_is_no_part() -> None:
    assert one(["{a}", "{b}"], a="", b="x") == [Text("x")]


def test_an_image_is_never_read_from_disk_or_fetched(tmp_path: Any) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    for item in (
        {"type": "image_url", "image_url": {"path": "{path}"}},
        {"type": "image", "path": "{path}"},
    ):
        with pytest.raises(UsageError, match=r"content\[0\]"):
            one([item], path=str(tmp_path / "secret.png"))
    assert one([{"type": "image_url", "image_url": "{u}"}], u="http://127.0.0.1:9/x") == [
        Image(url="http://127.0.0.1:9/x")
    ]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([42], r"content\[0\]: a part, a str or a dict with a 'type'"),
        (["a", {"type": "image", "url": "{x.y}"}], r"content\[1\].*without attributes"),
        ([{"word": "x"}], r"content\[0\]"),
        ([{"type": "image", "url": Text("x")}], "plain data"),
    ],
)
def test_a_part_that_is_none_is_named(parts: list[Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        one(parts)


def test_the_variables_of_parts_count() -> None:
    prompt = ChatPromptTemplate.from_messages([("human", ["{a}", {"type": "image_url", "image_url": {"url": "{b}"}}])])
    assert prompt.input_variables == ["a", "b"]
    with pytest.raises(UsageError, match="missing: 'b'"):
        prompt.format_messages(a="x")
    assert pickle.loads(pickle.dumps(prompt)) == prompt
    assert one([{"type": "text", "text": "{{a}}"}], "mustache", a="{{b}}") == [Text("{{b}}")]
    single = HumanMessagePromptTemplate.from_template({"type": "text", "text": "{a}"})
    assert single.format(a="x") == HumanMessage([Text("x")])


# ---- template strings: what Python 3.14 writes t"..."


@dataclass
class Interpolation:
    value: Any
    conversion: str | None = None
    format_spec: str = ""


@dataclass
class Template:
    """The two attributes of `string.templatelib.Template` that are read; the real one is tested below."""

    strings: tuple[str, ...]
    interpolations: tuple[Interpolation, ...]


def test_template_strings_are_text_already() -> None:
    t = Template(("Hi {x}, ", " and ", "!"), (Interpolation("{name}"), Interpolation("b", "r", ">5")))
    assert is_tstring(t)
    assert not is_tstring("text")
    assert tstring_text(t) == "Hi {x}, {name} and   'b'!"
    prompt = ChatPromptTemplate.from_messages([("system", t), ("human", "{q}"), t])
    assert prompt.input_variables == ["q"]
    text = "Hi {x}, {name} and   'b'!"
    assert prompt.format_messages(q="?") == [SystemMessage(text), HumanMessage("?"), HumanMessage(text)]
    assert HumanMessagePromptTemplate.from_template(t).format() == HumanMessage(text)
    assert PromptTemplate.from_template(t).format() == text
    assert one(["{a}", t], a="1") == [Text("1"), Text(text)]


def test_parts_in_template_strings() -> None:
    photo = Image(url="https://example.org/{x}")
    t = Template(("Look at ", " closely {x}", ""), (Interpolation(photo), Interpolation(7, None, "03d")))
    assert tstring_content(t) == [Text("Look at "), photo, Text(" closely {x}007")]
    assert ChatPromptTemplate.from_messages([("human", t)]).format_messages() == [HumanMessage(tstring_content(t))]
    assert one([t]) == tstring_content(t)


def test_real_template_strings() -> None:
    pytest.importorskip("string.templatelib", reason="Python 3.14 has template strings")
    names = {"name": "{x}", "photo": Image(url="https://example.org/1")}
    t = eval('t"Hi {name!r:>6} {{y}} {photo}"', names)
    assert is_tstring(t)
    photo = names["photo"]
    assert tstring_content(t) == [Text("Hi  '{x}' {y} "), photo]
    assert template_of(eval('t"{name} {{y}}"', names)).render({}) == "{x} {y}"
