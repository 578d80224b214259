"""Prompts in files: what is written is read; data only; nothing outside of the folder."""

from __future__ import annotations

import contextlib
import json
import pickle
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatmodels import (
    AIMessage,
    ChatPromptTemplate,
    HumanMessage,
    Image,
    MessagesPlaceholder,
    PromptTemplate,
    Text,
    ToolCall,
    ToolMessage,
    UsageError,
)
from chatmodels.prompts import (
    ChatMessagePromptTemplate,
    FewShotChatMessagePromptTemplate,
    FewShotPromptTemplate,
    HumanMessagePromptTemplate,
    LengthBasedExampleSelector,
    from_dict,
    load_prompt,
)
from chatmodels.prompts._toml import toml_text

PAIR = ChatPromptTemplate.from_messages([("human", "{q}"), ("ai", "{a}")])
WHOLE = ChatPromptTemplate.from_messages(
    [
        ("system", 'You speak {language}.\n\nBraces: {{ }} "quotes" \\ \x7f \u2028 é😀\ttab'),
        (
            "human",
            ["{x}", {"type": "image_url", "image_url": {"url": "{url}"}}, Text("{constant}"), Image(data=b"\x89{")],
        ),
        MessagesPlaceholder("history"),
        MessagesPlaceholder("more", optional=True),
        HumanMessage("constant {braces}", name="ann"),
        AIMessage([ToolCall("1", "f", {"a": "{b}"})]),
        ToolMessage("{result}", tool_call_id="1"),
        ChatMessagePromptTemplate.from_template("{x}", role="critic", additional_kwargs={"k": [1, None, 2.5]}),
        HumanMessagePromptTemplate.from_template("{{m}} {braces}", "mustache", name="bob"),
        HumanMessagePromptTemplate(PromptTemplate("{p} {x}", partial_variables={"p": "inner {y}"})),
        FewShotChatMessagePromptTemplate(examples=[{"q": "{1}", "a": "b"}], example_prompt=PAIR),
        ChatPromptTemplate.from_template("{nested}").partial(nested="n"),
    ]
).partial(language="French {x}")
VALUES: dict[str, Any] = {"x": "1", "url": "https://example.org/", "history": [], "m": "2"}
TEXT = PromptTemplate.from_template("{a}\n{b}", partial_variables={"a": {"k": [True, "{b}"]}})
SHOTS = FewShotPromptTemplate(
    examples=[{"q": "1", "a": "2"}], example_prompt=PromptTemplate.from_template("{q}{a}"), suffix="{x}", prefix="p\nq"
)


@pytest.mark.parametrize("ending", ["json", "yaml", "yml"])
def test_what_is_saved_is_loaded(ending: str, tmp_path: Path) -> None:
    if ending != "json":
        pytest.importorskip("yaml")
    path = tmp_path / f"prompt.{ending}"
    WHOLE.save(path)
    read = load_prompt(path)
    assert isinstance(read, ChatPromptTemplate)
    assert read.format_messages(**VALUES) == WHOLE.format_messages(**VALUES)
    assert (read.input_variables, read.optional_variables) == (WHOLE.input_variables, WHOLE.optional_variables)
    assert read.to_dict() == WHOLE.to_dict()
    read.save(tmp_path / f"again.{ending}")
    assert (tmp_path / f"again.{ending}").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("ending", ["json", "yaml", "toml"])
def test_texts_too(ending: str, tmp_path: Path) -> None:
    if ending == "yaml":
        pytest.importorskip("yaml")
    for name, prompt in (("text", TEXT), ("shots", SHOTS)):
        prompt.save(tmp_path / f"{name}.{ending}")
        values = {v: "{z}" for v in prompt.input_variables}
        assert load_prompt(tmp_path / f"{name}.{ending}").format(**values) == prompt.format(**values)
    without_none = ChatPromptTemplate([i for i in WHOLE if not isinstance(i, ChatMessagePromptTemplate)])
    without_none.save(tmp_path / f"chat.{ending}")
    values = {**VALUES, "language": "L"}
    assert load_prompt(tmp_path / f"chat.{ending}").to_dict() == without_none.to_dict()
    assert load_prompt(tmp_path / f"chat.{ending}").invoke(values) == without_none.invoke(values)


JSON = st.recursive(
    st.one_of(
        st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False), st.text(st.characters(codec="utf-8"))
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text('ab -."é\n', max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=25)
@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=6), JSON, max_size=4))
def test_toml_is_read_by_the_standard_library_as_it_was(data: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text(data)) == data


def test_toml_reads_well(tmp_path: Path) -> None:
    ChatPromptTemplate.from_messages([("system", 'Be "brief".\nBe kind.'), ("human", "{x}")]).save(tmp_path / "p.toml")
    assert (tmp_path / "p.toml").read_text() == (
        'v = 1\ntype = "chat_prompt"\n\n[[messages]]\nrole = "system"\ntemplate = """\nBe \\"brief\\".\nBe kind."""\n'
        '\n[[messages]]\nrole = "human"\ntemplate = "{x}"\n'
    )
    with pytest.raises(UsageError, match="TOML does not have"):
        PromptTemplate("{x}", partial_variables={"x": [None]}).save(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (TEXT.partial(b=lambda: "now"), "'b' is a function: only plain data is saved"),
        (TEXT.partial(b=Text("x")), "'b' is a Text"),
        (
            ChatPromptTemplate(
                [
                    FewShotChatMessagePromptTemplate(
                        example_selector=LengthBasedExampleSelector([], PAIR), example_prompt=PAIR
                    )
                ]
            ),
            "a selector cannot be saved",
        ),
    ],
)
def test_what_is_no_data_is_not_saved(prompt: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        prompt.save(tmp_path / "p.json")
    assert not (tmp_path / "p.json").exists()


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"v": 1, "type": "chat_prompt", "messages": list(messages), **more}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "an object, not list"),
        ({"v": 2, "type": "prompt"}, "version 2"),
        ({"v": 1, "type": "evil"}, "one of prompt, chat_prompt, few_shot"),
        ({"v": 1, "type": ["prompt"]}, "one of prompt"),
        ({"v": 1, "type": "prompt"}, "prompt.template is a text, not NoneType"),
        ({"v": 1, "type": "prompt", "template": "{x.__class__}"}, "without attributes"),
        ({"v": 1, "type": "prompt", "template": "x", "import": "os"}, "unknown field 'import'"),
        ({"v": 1, "type": "prompt", "template": "x", "partial_variables": {"y": 1}}, "no such variable"),
        ({"v": 1, "type": "prompt", "template": "x", "template_format": "erb"}, "one of f-string"),
        ({"v": 1, "type": "prompt", "template": "{{x}}", "template_format": "jinja2"}, "pass jinja=True if you trust it"),
        (chat(7), r"messages\[0\] is an object, not int"),
        (chat({}), r"messages\[0\] has none of 'message', 'placeholder'"),
        (chat({"role": "human", "template": "{x", "name": 1}), "template"),
        (chat({"role": "human", "template": {"a": 1}}), "template is a text, not dict"),
        (chat({"role": "human", "template": [{"part": {"type": "evil"}}]}), "a part's data"),
        (chat({"role": "tool", "template": "x"}), "ToolMessage"),
        (chat({"message": {"v": 1, "type": "evil"}}), "'type' of"),
        (chat({"placeholder": 7}), "placeholder is a text"),
        (chat({"placeholder": "h", "default": []}), "unknown field 'default'"),
        (chat({"examples": "../x.json", "example_prompt": {}}), "version None"),
        (chat({"prompt": {"v": 1, "type": "prompt", "template": "x", "_type": "py"}}), "unknown field '_type'"),
        ({"v": 1, "type": "chat_prompt"}, "messages is a list"),
        ({"v": 1, "type": "few_shot", "suffix": "x", "examples": [], "example_prompt": chat()}, "of type 'prompt'"),
    ],
)  # fmt: skip
def test_data_that_is_no_prompt_is_named(data: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        from_dict(data)


KEYS = [
    "v",
    "type",
    "messages",
    "role",
    "template",
    "placeholder",
    "message",
    "examples",
    "prompt",
    "part",
    "partial_variables",
]
DATA = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)),
    max_leaves=8,
)


@settings(max_examples=25)
@given(DATA)
def test_any_data_is_a_prompt_or_a_usage_error(data: Any) -> None:
    for given_ in (data, chat(data), {"v": 1, "type": "prompt", "template": data}):
        with contextlib.suppress(UsageError):
            from_dict(given_)


# ---- files


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.py", "print('run')", "ends in .json, .yaml or .toml, not '.py'"),
        ("p.json", "{", "p.json is not JSON"),
        ("p.json", "[" * 100_000, "p.json is not JSON"),
        ("p.json", "[]", "holds no prompt"),
        ("p.toml", "= 1", "p.toml is not TOML"),
        ("p.yaml", "a: [", "p.yaml is not YAML"),
        ("p.yaml", "!!python/object/apply:os.system ['echo run']", "p.yaml is not YAML"),
        ("p.yaml", "a: &a [x]\nb: [*a, *a]", "aliases"),
        ("p.yaml", "[" * 20_000 + "]" * 20_000, "nested more than 100 levels"),
        ("p.yaml", "- " * 300 + "x", "nested more than 100 levels"),
        ("p.yaml", "v: 1\ntype: prompt\ntemplate: a\ntemplate: b", "'template' stands twice"),
        ("p.yaml", "v: 1\nmessages: [{role: a, role: b}]", "'role' stands twice"),
        ("p.yaml", f"v: {'9' * 5_000}", "p.yaml is not YAML"),
        ("p.yaml", "v: 2020-13-45", "p.yaml is not YAML"),
        ("p.yaml", "_type: few_shot\nsuffix: x\nexample_prompt_path: p.yaml", "name one another without end"),
        ("p.json", '{"template": "a", "template": "b"}', "p.json: the field 'template' stands twice"),
        ("p.toml", 'template = "a"\ntemplate = "b"', "p.toml is not TOML"),
        ("p.json", '{"v": 1, "type": "prompt"}', r"p.json: prompt.template is a text"),
        (
            "p.json",
            '{"template": "x", "output_parser": {"_type": "regex_parser"}}',
            "'output_parser', which is not read here",
        ),
        ("p.json", '{"template": "x", "import": "os"}', "'import', which is not read here"),
        ("p.json", '{"_type": "chat"}', "read are 'prompt' and 'few_shot'"),
    ],
)
def test_a_file_that_is_no_prompt_is_named(name: str, text: str, said: str, tmp_path: Path) -> None:
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=said):
        load_prompt(tmp_path / name)


def test_data_nested_without_end() -> None:
    data = chat()
    for _ in range(3000):
        data = chat({"prompt": data})
    with pytest.raises(UsageError, match="nested too deeply"):
        from_dict(data)


def test_bytes_that_are_no_text_and_files_that_are_too_large(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_prompt(tmp_path / "p.json")
    (tmp_path / "p.json").write_bytes(b" " * 5_000_001)
    with pytest.raises(UsageError, match="larger than 5000000 bytes"):
        load_prompt(tmp_path / "p.json")
    with pytest.raises(FileNotFoundError):
        load_prompt(tmp_path / "none.json")


# ---- files of 2023


def write(folder: Path, **files: Any) -> None:
    for name, content in files.items():
        stem, _, ending = name.rpartition("_")
        (folder / f"{stem}.{ending}").write_text(content if isinstance(content, str) else json.dumps(content))


OLD = {
    "_type": "prompt",
    "input_variables": ["adjective", "content"],
    "output_parser": None,
    "partial_variables": {},
    "template": "Tell me a {adjective} joke about {content}.",
    "template_format": "f-string",
    "validate_template": True,
}


def test_prompt_files_of_2023(tmp_path: Path) -> None:
    joke = "Tell me a funny joke about {chickens}."
    write(
        tmp_path,
        whole_json=OLD,
        short_json={"input_variables": ["adjective", "content"], "template": OLD["template"]},
        named_json={"_type": "prompt", "input_variables": [], "template_path": "text.txt"},
        text_txt=OLD["template"],
    )
    for name in ("whole", "short", "named"):
        assert load_prompt(tmp_path / f"{name}.json").format(adjective="funny", content="{chickens}") == joke
    pytest.importorskip("yaml")
    write(tmp_path, old_yaml="_type: prompt\ninput_variables:\n    [adjective]\ntemplate:\n    A {adjective} joke.\n")
    assert load_prompt(tmp_path / "old.yaml").format(adjective="dry") == "A dry joke."


def test_few_shot_files_of_2023(tmp_path: Path) -> None:
    example = {
        "_type": "prompt",
        "input_variables": ["input", "output"],
        "template": "Input: {input}\nOutput: {output}",
    }
    few = {
        "_type": "few_shot",
        "input_variables": ["adjective"],
        "prefix": "Write antonyms.",
        "suffix": "Input: {adjective}\nOutput:",
        "examples": [{"input": "happy", "output": "sad"}],
        "example_prompt": example,
    }
    write(
        tmp_path,
        inline_json=few,
        examples_json=few["examples"],
        example_json=example,
        named_json={**{k: v for k, v in few.items() if k != "example_prompt"},
                    "examples": "examples.json", "example_prompt_path": "example.json"},
    )  # fmt: skip
    text = "Write antonyms.\n\nInput: happy\nOutput: sad\n\nInput: big\nOutput:"
    for name in ("inline", "named"):
        assert load_prompt(tmp_path / f"{name}.json").format(adjective="big") == text


@pytest.mark.parametrize("key", ["template_path", "example_prompt_path", "examples", "inner"])
def test_a_file_names_no_file_outside_of_its_folder(key: str, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    write(tmp_path, secret_json='{"template": "secret"}')
    (inside / "link.json").symlink_to(tmp_path / "secret.json")
    kind = "prompt" if key == "template_path" else "few_shot"
    for named in ("../secret.json", str(tmp_path / "secret.json"), "link.json", "x/../../secret.json"):
        data = {"_type": kind, "suffix": "x", "examples": [], "example_prompt": {"template": "x"}, key: named}
        if key == "inner":
            data["example_prompt"] = {"template_path": named}
        write(inside, p_json=data)
        with pytest.raises(UsageError, match="leads out of the prompt's folder"):
            load_prompt(inside / "p.json")


def test_jinja_of_2023_is_read_only_when_trusted(tmp_path: Path) -> None:
    write(tmp_path, p_json={"_type": "prompt", "template": "{{ x }}", "template_format": "jinja2"})
    with pytest.raises(UsageError, match="pass jinja=True"):
        load_prompt(tmp_path / "p.json")
    pytest.importorskip("jinja2")
    assert load_prompt(tmp_path / "p.json", jinja=True).format(x="1") == "1"


def _lc(place: str, **fields: Any) -> dict[str, Any]:
    return {"lc": 1, "type": "constructor", "id": ["langchain", *place.split(".")], "kwargs": fields, "name": "x"}


def _lc_text(template: str) -> dict[str, Any]:
    return _lc("prompts.prompt.PromptTemplate", input_variables=[], template=template, template_format="f-string")


def test_what_langchain_dumps(tmp_path: Path) -> None:
    image = _lc(
        "prompts.image.ImagePromptTemplate", template={"url": "{u}", "detail": "low"}, template_format="f-string"
    )
    call = {"name": "f", "args": {}, "id": "1", "type": "tool_call"}
    data = _lc(
        "prompts.chat.ChatPromptTemplate",
        input_variables=["u", "y"],
        optional_variables=["h"],
        partial_variables={"h": [], "x": "1"},
        messages=[
            _lc("prompts.chat.SystemMessagePromptTemplate", prompt=_lc_text("{x}")),
            _lc("prompts.chat.HumanMessagePromptTemplate", prompt=[_lc_text("{y}"), image]),
            _lc("prompts.chat.MessagesPlaceholder", variable_name="h", optional=True),
            _lc("schema.messages.AIMessage", content="a", type="ai", tool_calls=[call], invalid_tool_calls=[]),
            _lc("prompts.chat.ChatMessagePromptTemplate", prompt=_lc_text("{{q}}"), role="dev"),
        ],
    )
    path = tmp_path / "hub.json"
    path.write_text(json.dumps(data))
    expected = ChatPromptTemplate.from_messages(
        [
            ("system", "{x}"),
            ("human", ["{y}", {"type": "image_url", "image_url": {"url": "{u}", "detail": "low"}}]),
            MessagesPlaceholder("h", optional=True),
            AIMessage("a", tool_calls=[call]),
            ("dev", "{{q}}"),
        ]
    ).partial(x="1")
    assert load_prompt(path) == from_dict(data) == expected
    assert from_dict(_lc_text("Hi {you}")) == PromptTemplate.from_template("Hi {you}")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            _lc("chat_models.openai.ChatOpenAI", api_key={"lc": 1, "type": "secret", "id": ["HOME"]}),
            "ChatOpenAI is not read",
        ),
        ({"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]}, "of type 'secret'"),
        ({"lc": 1, "type": "not_implemented", "id": ["a", "FewShot"], "repr": "x"}, "FewShot"),
        (_lc("prompts.chat.ChatPromptTemplate", messages=[_lc("os.system", command="true")]), "system is not read"),
        (_lc("prompts.chat.ChatPromptTemplate", messages=["x"]), "'lc': 1"),
        (
            _lc(
                "prompts.chat.ChatPromptTemplate",
                messages=[_lc("p.MessagesPlaceholder", variable_name="h", n_messages=0)],
            ),
            "n_messages",
        ),
        (_lc("prompts.prompt.PromptTemplate", template="{a.b}"), "a name alone"),
        (_lc("prompts.prompt.PromptTemplate", template="{{ a }}", template_format="jinja2"), "jinja=True"),
    ],
)
def test_what_langchain_dumps_and_is_not_read(data: Any, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        from_dict(data)


def test_a_text_with_examples_equals_what_was_saved(tmp_path: Path) -> None:
    few = FewShotPromptTemplate(
        examples=[{"a": "1"}], example_prompt=PromptTemplate.from_template("{a}"), prefix="P", suffix="{q}"
    )
    few.save(tmp_path / "few.json")
    assert load_prompt(tmp_path / "few.json") == few == pickle.loads(pickle.dumps(few))
    other = FewShotPromptTemplate(
        examples=[{"a": "2"}], example_prompt=PromptTemplate.from_template("{a}"), prefix="P", suffix="{q}"
    )
    assert few != other
    assert "examples=[{'a': '1'}]" in repr(few)


def test_labels_of_later_releases(tmp_path: Path) -> None:
    kept = {"name": None, "metadata": None, "tags": ["x"], "optional_variables": [], "input_variables": ["x"]}
    path = tmp_path / "later.json"
    path.write_text(json.dumps({**kept, "template": "hi {x}", "output_parser": None, "_type": "prompt"}))
    assert load_prompt(path) == PromptTemplate.from_template("hi {x}")
