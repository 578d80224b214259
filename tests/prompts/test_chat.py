"""ChatPromptTemplate: its items, its variables, and what its values may be."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatmodels import (
    AIMessage,
    ChatMessage,
    ChatPromptTemplate,
    HumanMessage,
    MessagesPlaceholder,
    PromptTemplate,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UsageError,
)
from chatmodels.prompts import (
    AIMessagePromptTemplate,
    ChatMessagePromptTemplate,
    ChatPromptValue,
    HumanMessagePromptTemplate,
    SystemMessagePromptTemplate,
    from_dict,
)

PAGE = [
    ("system", "You are a helpful assistant that translates {from_} to {to}."),
    ("human", "{text}"),
]


def test_the_seed_pages_messages() -> None:
    prompt = ChatPromptTemplate.from_messages(PAGE)
    assert prompt.input_variables == ["from_", "text", "to"]
    assert prompt.format_messages(from_="English", to="French", text="I love programming.") == [
        SystemMessage("You are a helpful assistant that translates English to French."),
        HumanMessage("I love programming."),
    ]


def test_every_kind_of_item() -> None:
    prompt = ChatPromptTemplate.from_messages(
        [
            SystemMessage("constant {braces}"),
            SystemMessagePromptTemplate.from_template("s {x}"),
            HumanMessagePromptTemplate.from_template("h {x}", name="ann"),
            AIMessagePromptTemplate.from_template("a {x}", additional_kwargs={"k": 1}),
            ChatMessagePromptTemplate.from_template(role="critic", template="c {x}"),
            MessagesPlaceholder(variable_name="history"),
            ("user", "u {x}"),
            ("assistant", "as {x}"),
            ("developer", "d {x}"),
            ("placeholder", "{maybe}"),
            (AIMessage, "cls {x}"),
            "text {x}",
            PromptTemplate.from_template("pt {x}"),
            {"role": "system", "content": "dict {x}", "name": "sys"},
            ChatPromptTemplate.from_messages([("human", "nested {y}")]),
        ]
    )
    made = prompt.format_messages(x="1", y="2", history=[("ai", "{old}"), HumanMessage("{hi}")])
    assert made == [
        SystemMessage("constant {braces}"),
        SystemMessage("s 1"),
        HumanMessage("h 1", name="ann"),
        AIMessage("a 1", additional_kwargs={"k": 1}),
        ChatMessage("c 1", role="critic"),
        AIMessage("{old}"),
        HumanMessage("{hi}"),
        HumanMessage("u 1"),
        AIMessage("as 1"),
        ChatMessage("d 1", role="developer"),
        AIMessage("cls 1"),
        HumanMessage("text 1"),
        HumanMessage("pt 1"),
        SystemMessage("dict 1", name="sys"),
        HumanMessage("nested 2"),
    ]
    assert prompt.input_variables == ["history", "x", "y"]
    assert prompt.optional_variables == ["maybe"]
    assert prompt.format_messages(x="1", y="2", history=[], maybe=[HumanMessage("q")])[8] == HumanMessage("q")


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ("text {x}", "from_template"),
        ([("tool", "x")], r"messages\[0\].*ToolMessage"),
        ([("human", "a"), ("system", "{x.y}")], r"messages\[1\].*without attributes"),
        ([42], r"messages\[0\].*int"),
        ([("human", 42)], r"messages\[0\]"),
        ([("human", "a", "b")], r"messages\[0\]"),
        (None, "NoneType"),
        ([("placeholder", "{a b}")], "name of a variable"),
    ],
)
def test_an_item_that_is_none_is_named(messages: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ChatPromptTemplate.from_messages(messages)


def test_missing_and_extra_variables_are_named_together() -> None:
    prompt = ChatPromptTemplate.from_messages([*PAGE, ("placeholder", "{history}")])
    with pytest.raises(UsageError) as caught:
        prompt.format_messages(form="English", to="French", text="x")
    assert "missing: 'from_'" in str(caught.value)
    assert "extra: 'form'" in str(caught.value)
    assert "optionally 'history'" in str(caught.value)
    assert caught.value.argument == "from_"
    with pytest.raises(UsageError, match=r"extra: 'more'\. It takes 'text'") as caught:
        ChatPromptTemplate.from_template("{text}").format_messages(text="x", more=1)
    assert caught.value.argument == "more"
    with pytest.raises(UsageError, match="It takes none"):
        ChatPromptTemplate.from_messages([("human", "hi")]).format_messages(x=1)


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from(["from_", "to", "text", "self", "messages", "values"]), st.text(), max_size=6))
def test_the_values_fit_or_all_that_does_not_is_named(values: dict[str, str]) -> None:
    prompt = ChatPromptTemplate.from_messages(PAGE)
    needed = {"from_", "to", "text"}
    if set(values) == needed:
        assert prompt.format_messages(**values)[1].text == values["text"]
        return
    with pytest.raises(UsageError) as caught:
        prompt.format_messages(**values)
    said = str(caught.value).partition("It takes")[0]
    assert all(repr(name) in said for name in set(values) ^ needed)
    assert not any(repr(name) in said for name in set(values) & needed)


def test_values_are_never_parsed_again() -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "{a}"), MessagesPlaceholder("h"), ("human", "{b}")])
    partial = prompt.partial(a="{b} {b.__class__}")
    made = partial.format_messages(b="{a}", h=[{"role": "user", "content": "{a}"}])
    assert [m.text for m in made] == ["{b} {b.__class__}", "{a}", "{a}"]


def test_prompt_values() -> None:
    value = ChatPromptTemplate.from_messages(PAGE).format_prompt(from_="A", to="B", text="hi\nthere")
    assert isinstance(value, ChatPromptValue)
    assert value.to_string() == "System: You are a helpful assistant that translates A to B.\nHuman: hi\nthere"
    assert str(value) == value.to_string()
    assert value.to_messages() == value.messages
    text = PromptTemplate.from_template("{x}").format_prompt(x="hi")
    assert (text.to_string(), text.to_messages()) == ("hi", [HumanMessage("hi")])
    assert ChatPromptTemplate.from_messages(PAGE).format(from_="A", to="B", text="c").endswith("Human: c")


def test_invoke_takes_a_dict_or_the_one_value() -> None:
    one = ChatPromptTemplate.from_template("I love {thing}.")
    assert one.invoke("tea") == one.invoke({"thing": "tea"}) == one.format_prompt(thing="tea")
    assert [v.to_string() for v in one.batch(["a", "b"])] == ["Human: I love a.", "Human: I love b."]
    with pytest.raises(UsageError, match=r"from_, text, to takes a dict of them, not str"):
        ChatPromptTemplate.from_messages(PAGE).invoke("tea")
    assert ChatPromptTemplate.from_messages([("human", "hi")]).invoke().to_messages() == [HumanMessage("hi")]


async def test_the_async_twins() -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "s"), ChatPromptTemplate.from_template("{x}")])
    assert await prompt.aformat_messages(x="1") == prompt.format_messages(x="1")
    assert await prompt.ainvoke({"x": "1"}) == await prompt.aformat_prompt(x="1") == prompt.invoke({"x": "1"})
    assert await prompt.abatch(["1", "2"]) == prompt.batch(["1", "2"])


def test_partials() -> None:
    prompt = ChatPromptTemplate.from_messages(PAGE)
    count = iter(range(9))
    partial = prompt.partial(from_="English", to=lambda: f"French {next(count)}")
    assert partial.input_variables == ["text"]
    assert prompt.input_variables == ["from_", "text", "to"]  # as it was
    assert "French 0." in partial.format(text="x")
    assert "French 1." in partial.format(text="x")
    assert "to German." in partial.format(text="x", to="German")  # a value that is given wins
    with pytest.raises(UsageError, match="no such variable in this prompt: 'form'"):
        prompt.partial(form="English")
    made = ChatPromptTemplate(messages=PAGE, input_variables=["text"], partial_variables={"from_": "A", "to": "B"})
    assert made.format_messages(text="x")[0].text.endswith("translates A to B.")


def test_a_part_with_partials_of_its_own() -> None:
    inner = PromptTemplate.from_template("{a} {b}").partial(a="inner")
    prompt = ChatPromptTemplate.from_messages([HumanMessagePromptTemplate(prompt=inner), ("human", "{b}")])
    assert prompt.input_variables == ["b"]
    assert [m.text for m in prompt.format_messages(b="1")] == ["inner 1", "1"]
    assert [m.text for m in prompt.format_messages(b="1", a="outer")] == ["outer 1", "1"]
    nested = ChatPromptTemplate.from_messages([ChatPromptTemplate.from_template("{x}{y}").partial(x="0"), "{x}"])
    assert [m.text for m in nested.format_messages(x="1", y="2")] == ["12", "1"]


@pytest.mark.parametrize("declared", [["text"], ["from_", "text", "to", "more"]])
def test_declared_variables_must_be_the_templates(declared: list[str]) -> None:
    with pytest.raises(UsageError, match=r"input_variables .*('from_', 'to'|'more')"):
        ChatPromptTemplate(input_variables=declared, messages=PAGE)
    assert ChatPromptTemplate(input_variables=["from_", "text", "to"], messages=PAGE)
    with pytest.raises(UsageError, match="list of names"):
        PromptTemplate(input_variables="text", template="{text}")


def test_adding() -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "{a}")]).partial(a="1")
    longer = prompt + "hi {b}" + AIMessage("constant") + [("human", "{c}"), MessagesPlaceholder("h")] + ("ai", "{d}")
    assert longer.input_variables == ["b", "c", "d", "h"]
    assert len(longer) == 6
    both = longer + ChatPromptTemplate.from_template("{e}").partial(e="5")
    made = both.format_messages(b="2", c="3", d="4", h=[])
    assert [m.text for m in made] == ["1", "hi 2", "constant", "3", "4", "5"]
    assert (SystemMessage("first") + prompt).format_messages() == [SystemMessage("first"), SystemMessage("1")]
    first_pair = [("human", "first")]
    assert (first_pair + prompt).format_messages()[0] == HumanMessage("first")
    first = SystemMessagePromptTemplate.from_template("{a}") + "hi {b}"
    assert isinstance(first, ChatPromptTemplate)
    assert first.input_variables == ["a", "b"]
    assert len(prompt) == 1
    text = PromptTemplate.from_template("{a} and ").partial(a="1") + "{b}" + PromptTemplate.from_template(" {{}} {c}")
    assert text.format(b="2", c="3") == "1 and 2 {} 3"


def test_slicing_and_items() -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "{a}"), ("human", "{b}"), AIMessage("c")]).partial(a="1")
    tail = prompt[1:]
    assert isinstance(tail, ChatPromptTemplate)
    assert (tail.input_variables, tail.partial_variables, len(tail)) == (["b"], {}, 2)
    assert prompt[:1].format_messages() == [SystemMessage("1")]
    assert prompt[-1] == AIMessage("c")
    assert isinstance(prompt[0], SystemMessagePromptTemplate)
    assert prompt[0].prompt.template == "{a}"
    assert list(prompt) == prompt.messages


def test_append_and_extend_change_the_prompt() -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "{a}")]).partial(a="1")
    prompt.append(("human", "{b}"))
    prompt.extend([MessagesPlaceholder("h", optional=True), "{c}"])
    assert prompt.input_variables == ["b", "c"]
    assert [m.text for m in prompt.format_messages(b="2", c="3")] == ["1", "2", "3"]
    with pytest.raises(UsageError):
        prompt.extend([42])
    assert len(prompt) == 4


@pytest.mark.parametrize(
    ("given_", "said"), [("text", "str"), (None, "NoneType"), ({"role": "user"}, "dict"), (7, "int")]
)
def test_a_placeholder_takes_messages(given_: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        ChatPromptTemplate.from_messages([MessagesPlaceholder("history")]).format_messages(history=given_)
    assert caught.value.argument == "history"


def test_what_a_placeholder_takes() -> None:
    place = MessagesPlaceholder("history")
    assert place.input_variables == ["history"]
    value = ChatPromptTemplate.from_template("{x}").invoke("{y}")
    assert place.format_messages(history=value) == [HumanMessage("{y}")]
    assert place.format_messages(history=HumanMessage("a")) == [HumanMessage("a")]
    tool = ToolMessage("22", tool_call_id="1")
    assert place.format_messages(history=(tool, ("ai", "{z}"))) == [tool, AIMessage("{z}")]
    with pytest.raises(UsageError, match="missing: 'history'"):
        place.format_messages()
    with pytest.raises(UsageError, match="name of a variable"):
        MessagesPlaceholder("{history}")


def test_variables_of_any_name() -> None:
    prompt = ChatPromptTemplate.from_template("{self} {values} {input} {cls}")
    assert prompt.format_messages(self="1", values="2", input="3", cls="4") == [HumanMessage("1 2 3 4")]


def test_equal_copied_pickled() -> None:
    prompt = ChatPromptTemplate.from_messages(
        [
            *PAGE,
            MessagesPlaceholder("h"),
            ("critic", "{x}"),
            AIMessage("c"),
            ["human", ["{x}", {"type": "text", "text": "y"}]],
        ]
    ).partial(to="French")
    for twin in (
        pickle.loads(pickle.dumps(prompt)),
        copy.deepcopy(prompt),
        ChatPromptTemplate(prompt).partial(to="French"),
    ):
        assert twin == prompt
        assert repr(twin) == repr(prompt)
        values = {"from_": "a", "text": "b", "h": [], "x": "z"}
        assert twin.format_messages(**values) == prompt.format_messages(**values)
    assert prompt != prompt.partial(from_="x")
    assert prompt != ChatPromptTemplate.from_messages(PAGE)
    text = PromptTemplate.from_template("{a}", partial_variables={"a": 1})
    assert pickle.loads(pickle.dumps(text)) == text
    assert len({text, PromptTemplate.from_template("{a}").partial(a=1)}) == 1
    with pytest.raises(TypeError):
        hash(prompt)


def test_what_they_show() -> None:
    assert repr(ChatPromptTemplate.from_messages([("human", "{x}"), MessagesPlaceholder("h")])) == (
        "ChatPromptTemplate(input_variables=['h', 'x'], messages=[HumanMessagePromptTemplate(prompt=PromptTemplate("
        "input_variables=['x'], template='{x}')), MessagesPlaceholder('h')])"
    )


def test_files_of_text(tmp_path: Any) -> None:
    (tmp_path / "prompt.txt").write_text("Übersetze {x}", encoding="utf-8")
    assert PromptTemplate.from_file(tmp_path / "prompt.txt").format(x="y") == "Übersetze y"
    assert HumanMessagePromptTemplate.from_template_file(tmp_path / "prompt.txt").format(x="y").text == "Übersetze y"


def test_no_language_at_all() -> None:
    prompt = ChatPromptTemplate.from_messages([("human", '{"json": {x}}')], template_format="text")
    assert prompt.format_messages() == [HumanMessage('{"json": {x}}')]
    with pytest.raises(UsageError, match="one of f-string, mustache, jinja2, text"):
        PromptTemplate.from_template("x", template_format="erb")
    with pytest.raises(UsageError, match="do not add up"):
        PromptTemplate.from_template("x") + PromptTemplate.from_template("y", template_format="mustache")


def test_messages_add_up_to_a_prompt() -> None:
    """A message is taken as it is; a text beside it has variables."""
    prompt = SystemMessage("You are {kind}.") + HumanMessage("hi") + AIMessage("what?") + "{input}"
    assert isinstance(prompt, ChatPromptTemplate)
    assert prompt.input_variables == ["input"]
    assert [m.text for m in prompt.format_messages(input="{x}")] == ["You are {kind}.", "hi", "what?", "{x}"]
    more = SystemMessage("s") + [("human", "{a}"), AIMessage("{b}")]  # noqa: RUF005
    assert more == SystemMessage("s") + ChatPromptTemplate([("human", "{a}"), AIMessage("{b}")])
    assert (SystemMessage("s") + MessagesPlaceholder("h")).format_messages(h=[more[2]])[1] == AIMessage("{b}")
    with pytest.raises(UsageError, match="an item is a message"):
        SystemMessage("s") + 5


def test_the_newest_messages_of_a_place() -> None:
    call = AIMessage([ToolCall("c1", "f", {})])
    history = [HumanMessage("1"), call, ToolMessage("2", tool_call_id="c1"), AIMessage("3"), HumanMessage("4")]
    for count, kept in ((1, history[4:]), (2, history[3:]), (3, history[3:]), (4, history[1:]), (9, history)):
        assert MessagesPlaceholder("h", n_messages=count).format_messages(h=history) == kept
    place = MessagesPlaceholder("h", optional=True, n_messages=2)
    assert repr(place) == "MessagesPlaceholder('h', optional=True, n_messages=2)"
    prompt = ChatPromptTemplate([place])
    assert from_dict(prompt.to_dict()) == prompt == pickle.loads(pickle.dumps(prompt))
    assert prompt != ChatPromptTemplate([MessagesPlaceholder("h", optional=True)])
    with pytest.raises(UsageError, match="n_messages"):
        MessagesPlaceholder("h", n_messages=0)


def test_a_role_in_other_letters_is_named() -> None:
    with pytest.raises(UsageError, match=r"messages\[0\]: role 'AI': write 'ai'"):
        ChatPromptTemplate([("AI", "x")])


def test_templates_from_text_files(tmp_path: Path) -> None:
    path = tmp_path / "hello.txt"
    path.write_bytes("Grüß {who}".encode("latin-1"))
    assert PromptTemplate.from_file(path, ["who"], encoding="latin-1").format(who="Ann") == "Grüß Ann"
    made = HumanMessagePromptTemplate.from_template_file(path, input_variables=["who"], encoding="latin-1")
    assert made.format(who="Ann") == HumanMessage("Grüß Ann")
    for cls in (PromptTemplate.from_file, HumanMessagePromptTemplate.from_template_file):
        with pytest.raises(UsageError, match="names 'where', which is not"):
            cls(path, ["who", "where"], encoding="latin-1")
