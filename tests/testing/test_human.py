"""A person as a model: what is shown, how the answer is read, tools, and the names of 2023."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from pathlib import Path
from threading import Timer
from time import monotonic
from typing import Any

import pytest

from chatmodels import AIMessage, HumanMessage, ProviderError, SystemMessage, ToolCall, ToolMessage, chat_models
from chatmodels.testing import ChatHuman, HumanInputChatModel

from ..conftest import World

TALK = [
    SystemMessage("Be brief."),
    HumanMessage("Two\nlines"),
    AIMessage([ToolCall("c1", "f", {"a": 1})]),
    ToolMessage("ok", tool_call_id="c1"),
]
SHOWN = """
======= start of message =======

role: system
content: Be brief.

role: user
content: |
  Two
  lines

role: assistant
content: \ncall: {"name":"f","args":{"a":1}}

role: tool
tool_call_id: c1
content: ok

======= end of message =======

"""


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_the_terminal(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    typed(monkeypatch, "First line\nsecond\n\nnot read\n")
    answer = world.call(ChatHuman(), TALK)
    assert answer.text == "First line\nsecond"
    assert (answer.model, answer.finish_reason) == ("human", "stop")
    assert capsys.readouterr().out == SHOWN


@pytest.mark.parametrize(
    ("text", "options", "stop", "answer"),
    [
        ("a\n\nb\nEND\nc\n", {"end": "END"}, None, "a\n\nb"),
        ("a\nb. STOP c\nd\n", {}, ["STOP", "never"], "a\nb. "),
        ("no end", {}, None, "no end"),
        ("\n", {}, None, ""),
    ],
    ids=["a mark of one's own", "a stop sequence", "the end of the input", "nothing said"],
)
def test_where_an_answer_ends(
    text: str, options: Any, stop: Any, answer: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    typed(monkeypatch, text)
    assert ChatHuman(**options)("?", stop=stop).text == answer


def test_no_input_is_an_error_that_is_not_tried_again(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    typed(monkeypatch, "")
    with pytest.raises(ProviderError, match="ended without an answer") as caught:
        ChatHuman()("?")
    assert len(caught.value.attempts) == 1


def test_any_callable(capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[Any] = []
    chat = ChatHuman(lambda messages: messages[-1].text + "!", show=shown.append)
    assert chat("Hello").text == "Hello!"
    assert [c.text for c in chat.stream("Hello you") if c.text] == ["Hello ", "you!"]
    assert [len(m) for m in shown] == [1, 1]
    assert capsys.readouterr().out == ""


def weather(city: str) -> str:
    """The weather."""
    return city


@pytest.mark.parametrize(
    ("said", "calls"),
    [
        ('{"name": "weather", "args": {"city": "Oslo"}}', [("call_1", "weather", {"city": "Oslo"})]),
        ('[{"name": "weather", "id": "x"}, {"name": "weather"}]', [("x", "weather", {}), ("call_2", "weather", {})]),
        ('{"name": "unknown"}', []),
        ('{"broken', []),
        ("[]", []),
        ("Sunny.", []),
    ],
)
def test_tool_calls_as_json(said: str, calls: list[Any]) -> None:
    answer = ChatHuman(lambda messages: said).with_tools(weather)("?")
    assert [(c.id, c.name, c.args) for c in answer.tool_calls] == calls
    assert answer.text == ("" if calls else said)
    assert ChatHuman(lambda messages: said)("?").text == said


def test_the_names_of_2023(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[Any] = []
    chat = HumanInputChatModel(
        input_func=lambda messages, stop, mark: f"{messages[0].text}{mark} {stop}",
        message_func=lambda messages, indent: shown.append((len(messages), indent)),
        input_kwargs={"mark": "?"},
        message_kwargs={"indent": 2},
    )
    assert chat("Hi", stop=["x"]).text == "Hi? ['x']"
    assert shown == [(1, 2)]
    typed(monkeypatch, "yes\n\n")
    assert HumanInputChatModel()("Hi").text == "yes"
    assert "content: Hi" in capsys.readouterr().out


SCRIPT = """
from langchain.chat_models import FakeListChatModel
from langchain.chat_models.human import HumanInputChatModel
from langchain.schema import HumanMessage

print(FakeListChatModel(responses=["one"])([HumanMessage(content="x")]).content)
print(HumanInputChatModel(message_func=lambda messages: None)([HumanMessage(content="x")]).content)
"""


def test_a_script_of_2023_finds_them(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "chatmodels.compat", str(script)]
    out = subprocess.run(command, input="typed\n\n", capture_output=True, text=True, check=True).stdout
    assert out == "one\ntyped\n"
    assert chat_models.HumanInputChatModel is HumanInputChatModel


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
def test_a_call_that_is_given_up_leaves_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """A thread that still waits for a line would keep `asyncio.run` and the program from ending, also after Ctrl-C."""
    hand, terminal = os.openpty()
    chat = ChatHuman()

    async def impatient() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(chat.ainvoke("Are you there?"), 0.05)

    late = Timer(5, os.write, (hand, b"too late\n\n"))
    late.start()
    with open(terminal, encoding="utf-8") as lines, open(hand, "wb", buffering=0) as keys:
        monkeypatch.setattr(sys, "stdin", lines)
        began = monotonic()
        asyncio.run(impatient())
        took = monotonic() - began
        late.cancel()
        keys.write("Ja,\nich höre.\n\n".encode())
        said = asyncio.run(chat.ainvoke("Are you there?")).text
    assert took < 4
    assert said == "Ja,\nich höre."


def test_what_a_terminal_would_obey_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("ok\n\n"))
    assert ChatHuman()("clear \x1b[2J\x07 or\roverwrite\tthis\nGrüße 👋").text == "ok"
    assert "  clear \\x1b[2J\\x07 or\\x0doverwrite\tthis\n  Grüße 👋\n" in capsys.readouterr().out
