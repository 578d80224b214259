"""The seed page, line by line: its code with one word changed, against a server that answers as the page shows, and again
against the embedded engine's own HTTP server, where only the wording of the answer differs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatmodels.testing import PracticeServer, practice_server

SETUP = "from chatmodels.chat_models import ChatOpenAI\nchat = ChatOpenAI()\n"
MESSAGES = "from chatmodels.schema import (AIMessage, HumanMessage, SystemMessage)\n"
ONE = 'chat([HumanMessage(content="Translate this sentence from English to French: I love programming.")])'
SEVERAL = """\
messages = [
    SystemMessage(content="You are a helpful assistant that translates English to French."),
    HumanMessage(content="I love programming.")
]
chat(messages)"""
GENERATE = """\
batch_messages = [
    [
        SystemMessage(content="You are a helpful assistant that translates English to French."),
        HumanMessage(content="I love programming.")
    ],
    [
        SystemMessage(content="You are a helpful assistant that translates English to French."),
        HumanMessage(content="I love artificial intelligence.")
    ],
]
result = chat.generate(batch_messages)
result"""

ONE_SHOWN = """AIMessage(content="J'aime programmer.", additional_kwargs={})"""
GENERATE_SHOWN = (
    """LLMResult(generations=[[ChatGeneration(text="J'aime programmer.", generation_info=None, message=AIMessage("""
    """content="J'aime programmer.", additional_kwargs={}))], [ChatGeneration(text="J'aime l'intelligence """
    """artificielle.", generation_info=None, message=AIMessage(content="J'aime l'intelligence artificielle.", """
    """additional_kwargs={}))]], llm_output={'token_usage': {'prompt_tokens': 57, 'completion_tokens': 20, """
    """'total_tokens': 77}})"""
)
USAGE_SHOWN = "{'token_usage': {'prompt_tokens': 57, 'completion_tokens': 20, 'total_tokens': 77}}"


@pytest.fixture(scope="module")
def page() -> Iterator[PracticeServer]:
    with practice_server() as server:
        yield server


@pytest.fixture
def openai_env(page: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-page")
    monkeypatch.setenv("OPENAI_API_BASE", page.base_url)


def last_value(code: str) -> Any:
    """What the last line's expression gives, as a notebook would show it."""
    names: dict[str, Any] = {}
    *head, last = code.rstrip().split("\n")
    exec("\n".join(head), names)
    return eval(last, names)


def test_setup_with_the_key_as_a_parameter() -> None:
    chat = last_value('from chatmodels.chat_models import ChatOpenAI\nchat = ChatOpenAI(openai_api_key="...")\nchat')
    assert chat.provider == "openai"


def test_setup_from_the_environment(openai_env: None) -> None:
    assert last_value(SETUP + "chat").model


def test_without_a_key_the_error_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with pytest.raises(ValueError, match=r"OPENAI_API_KEY.*openai_api_key"):
        last_value(SETUP + "chat")


def test_messages_in_message_out(openai_env: None) -> None:
    assert repr(last_value(SETUP + MESSAGES + ONE)) == ONE_SHOWN


def test_several_messages(openai_env: None, page: PracticeServer) -> None:
    assert repr(last_value(SETUP + MESSAGES + SEVERAL)) == ONE_SHOWN
    assert page.seen[-1]["body"]["messages"] == [
        {"role": "system", "content": "You are a helpful assistant that translates English to French."},
        {"role": "user", "content": "I love programming."},
    ]
    assert page.seen[-1]["headers"]["authorization"] == "Bearer sk-page"


def test_generate(openai_env: None) -> None:
    result = last_value(SETUP + MESSAGES + GENERATE)
    assert repr(result) == GENERATE_SHOWN
    assert repr(result.llm_output) == USAGE_SHOWN


def test_generate_streamed_says_the_same(openai_env: None) -> None:
    code = SETUP.replace("ChatOpenAI()", "ChatOpenAI(streaming=True)") + MESSAGES + GENERATE
    assert repr(last_value(code)) == GENERATE_SHOWN


def test_the_page_as_a_2023_script_unchanged(page: PracticeServer, tmp_path: Path) -> None:
    code = (SETUP + MESSAGES + f"print(repr({ONE}))\n").replace("chatmodels", "langchain")
    head, _, last = GENERATE.rpartition("\n")
    script = tmp_path / "page.py"
    script.write_text(code + f"{head}\nprint({last})\nprint(result.llm_output)\n")
    done = subprocess.run(
        [sys.executable, "-m", "chatmodels.compat", str(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "OPENAI_API_KEY": "sk-page", "OPENAI_API_BASE": page.base_url},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [ONE_SHOWN, GENERATE_SHOWN, USAGE_SHOWN]


# ---- the same over the embedded engine's own server


@pytest.fixture
def engine_env(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xllamacpp")
    from chatmodels._engine import engine

    running = engine(None)
    monkeypatch.setenv("OPENAI_API_KEY", running.api_key)
    monkeypatch.setenv("OPENAI_API_BASE", running.url + "/v1")


SHORT = SETUP.replace("ChatOpenAI()", "ChatOpenAI(max_tokens=8, temperature=0)")


def test_engine_server_messages_in_message_out(engine_env: None) -> None:
    answer = last_value(SHORT + MESSAGES + ONE)
    assert repr(answer) == f"AIMessage(content={answer.text!r}, additional_kwargs={{}})"
    assert answer.text
    assert answer.usage.output_tokens <= 8


def test_engine_server_several_messages(engine_env: None) -> None:
    assert last_value(SHORT + MESSAGES + SEVERAL).text


def test_engine_server_generate(engine_env: None) -> None:
    result = last_value(SHORT + MESSAGES + GENERATE)
    assert [len(g) for g in result.generations] == [1, 1]
    usage = result.llm_output["token_usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
