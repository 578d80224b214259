"""Scripts of 2023, unchanged: their import lines, how they are run, and the real package left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatmodels import compat
from chatmodels.testing import PracticeServer, practice_server


@pytest.fixture(scope="module")
def page() -> Iterator[PracticeServer]:
    with practice_server() as server:
        yield server


def run(*arguments: str, cwd: Path, page: PracticeServer | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """`python -m chatmodels.compat ...` in that folder."""
    more = {"OPENAI_API_KEY": "sk-2023", "OPENAI_API_BASE": page.base_url} if page else {}
    return subprocess.run(
        [sys.executable, "-m", "chatmodels.compat", *arguments],
        check=False, capture_output=True, text=True, cwd=cwd, env={**os.environ, **more, **env}, timeout=60,
    )  # fmt: skip


def script(folder: Path, code: str, name: str = "script.py") -> str:
    (folder / name).write_text(code)
    return name


IMPORTS = """
from langchain.chat_models import ChatOpenAI
from langchain.chat_models import ChatOpenAI, AzureChatOpenAI, ChatAnthropic, ChatOllama, ChatVertexAI
from langchain.chat_models.openai import ChatOpenAI
from langchain.chat_models.anthropic import ChatAnthropic
from langchain.chat_models.azure_openai import AzureChatOpenAI
from langchain.chat_models.base import BaseChatModel
from langchain.schema import AIMessage, HumanMessage, SystemMessage
from langchain.schema import BaseMessage, ChatMessage, FunctionMessage, LLMResult, ChatGeneration, ChatResult, Generation
from langchain.schema import messages_from_dict, messages_to_dict, get_buffer_string
from langchain.schema.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain.schema.output import ChatGeneration, LLMResult
from langchain.callbacks import StreamingStdOutCallbackHandler
from langchain.callbacks.streaming_stdout import StreamingStdOutCallbackHandler
from langchain.callbacks.base import BaseCallbackHandler, AsyncCallbackHandler, BaseCallbackManager, CallbackManager
from langchain.callbacks.manager import CallbackManager
import langchain
import langchain.chat_models as models
import langchain.schema, langchain.callbacks
from langchain import chat_models, schema, callbacks
from langchain.schema import *
"""


def test_the_import_lines_of_2023(tmp_path: Path) -> None:
    done = run(script(tmp_path, IMPORTS + "print(HumanMessage, models.ChatOpenAI is ChatOpenAI)"), cwd=tmp_path)
    assert (done.stderr, done.returncode) == ("", 0)
    assert "True" in done.stdout


def test_import_langchain_and_its_attributes(tmp_path: Path) -> None:
    code = (
        "import langchain\nlangchain.verbose = True\n"
        "m = langchain.schema.messages.HumanMessage(content='hi')\n"
        "print(m, isinstance(m, langchain.schema.BaseMessage), hasattr(langchain.schema, 'Document'))\n"
        "print('HumanMessage' in dir(langchain.schema), langchain.chat_models.openai.ChatOpenAI.__name__)\n"
    )
    done = run(script(tmp_path, code), cwd=tmp_path)
    shown = "HumanMessage(content='hi', additional_kwargs={})"
    assert done.stdout.splitlines() == [f"{shown} True False", "True ChatOpenAI"], done.stderr


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("from langchain.chat_models import ChatGooglePalm", "ChatGooglePalm in langchain.chat_models"),
        ("from langchain.schema import Document", "Document in langchain.schema"),
        ("from langchain.callbacks import FileCallbackHandler", "FileCallbackHandler in langchain.callbacks"),
        ("from langchain import PointlessName", "PointlessName in langchain"),
        ("import langchain.pointless", "pointless in langchain"),
        ("from langchain.pointless import name", "pointless in langchain"),
        ("from langchain.chat_models import sys", "sys in langchain.chat_models"),
    ],
)
def test_a_name_that_is_not_there_is_named(line: str, missing: str, tmp_path: Path) -> None:
    done = run(script(tmp_path, f"try:\n    {line}\nexcept ImportError as e:\n    print(e)\n"), cwd=tmp_path)
    assert done.stdout.startswith(f"chatmodels.compat has no {missing}; what it has is "), done.stderr
    bare = run(script(tmp_path, line), cwd=tmp_path)
    assert bare.returncode == 1
    assert f"chatmodels.compat has no {missing}" in bare.stderr.splitlines()[-1]


def test_the_base_class_in_annotations(tmp_path: Path) -> None:
    code = (
        "from typing import List\nimport typing\nfrom dataclasses import dataclass\n"
        "from langchain.schema import BaseMessage, HumanMessage, AIMessage\n"
        "from pydantic import BaseModel, ConfigDict\n"
        "@dataclass\nclass Log:\n    messages: List[BaseMessage]\n"
        "class Model(BaseModel):\n    messages: List[BaseMessage]\n"
        "def f(messages: List[BaseMessage]) -> BaseMessage: return messages[-1]\n"
        "print(typing.get_type_hints(f)['return'] is BaseMessage, issubclass(AIMessage, BaseMessage))\n"
        "print(f(Log([HumanMessage(content='a')]).messages).content, isinstance('a', BaseMessage))\n"
        "print(Model(messages=[AIMessage(content='b')]).messages[0].content)\n"
    )
    done = run(script(tmp_path, code), cwd=tmp_path)
    assert done.stdout.splitlines() == ["True True", "a False", "b"], done.stderr


def test_a_streaming_script(page: PracticeServer, tmp_path: Path) -> None:
    code = (
        "from langchain.chat_models import ChatOpenAI\n"
        "from langchain.schema import HumanMessage\n"
        "from langchain.callbacks.base import CallbackManager\n"
        "from langchain.callbacks.streaming_stdout import StreamingStdOutCallbackHandler\n"
        "chat = ChatOpenAI(streaming=True, callbacks=CallbackManager([StreamingStdOutCallbackHandler()]), temperature=0)\n"
        "resp = chat([HumanMessage(content='I love programming.')])\n"
        "print()\nprint(resp)\n"
    )
    done = run(script(tmp_path, code), cwd=tmp_path, page=page)
    answer = """AIMessage(content="J'aime programmer.", additional_kwargs={})"""
    assert done.stdout == f"J'aime programmer.\n{answer}\n", done.stderr


def test_it_runs_as_python_would_run_it(tmp_path: Path) -> None:
    """Arguments, `__name__`, `__file__`, neighbours, files of the working directory, pickles of the script's own classes."""
    code = (
        "# -*- coding: latin-1 -*-\n"
        "import os, pickle, sys\nimport neighbour\n"
        "class Own: pass\n"
        "if __name__ == '__main__':\n"
        "    print(sys.argv, os.path.isabs(__file__), os.path.samefile(sys.path[0], os.path.dirname(__file__)))\n"
        "    print(neighbour.X, open('data.txt').read(), type(pickle.loads(pickle.dumps(Own()))) is Own, '\xe9')\n"
        "    sys.exit(7)\n"
    )
    folder, here = tmp_path / "folder", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    (folder / "script.py").write_bytes(code.encode("latin-1"))
    (folder / "neighbour.py").write_text("X = 3")
    (here / "data.txt").write_text("data")
    path = str(Path("..") / "folder" / "script.py")
    done = run(path, "--flag", "-h", "two words", cwd=here)
    assert done.stdout.splitlines() == [f"{[path, '--flag', '-h', 'two words']} True True", "3 data True é"], (
        done.stderr
    )
    assert done.returncode == 7


@pytest.mark.parametrize(("code", "line"), [("x = 1\n\n1 / 0\n", 3), ("x = 1\ny = (\n", 2)])
def test_tracebacks_show_the_script_alone(code: str, line: int, tmp_path: Path) -> None:
    done = run(script(tmp_path, code), cwd=tmp_path)
    assert done.returncode == 1
    assert "compat" not in done.stderr.replace(str(tmp_path), "")
    assert f'script.py", line {line}' in done.stderr


def test_the_real_package_stands_aside_and_is_left_alone_once_loaded(tmp_path: Path) -> None:
    real = tmp_path / "site" / "langchain"
    (real / "schema").mkdir(parents=True)
    (real / "__init__.py").write_text("print('the real one')\n")
    (real / "schema" / "vectorstore.py").write_text("print('the real one')\n")
    path = os.pathsep.join([str(real.parent), os.environ.get("PYTHONPATH", "")])
    ours = script(tmp_path, "from langchain.schema import HumanMessage\nprint(HumanMessage.__module__)")
    assert run(ours, cwd=tmp_path, PYTHONPATH=path).stdout == "chatmodels._messages\n"
    lacking = run(script(tmp_path, "import langchain.schema.vectorstore"), cwd=tmp_path, PYTHONPATH=path)
    assert lacking.stdout == ""
    assert "chatmodels.compat has no vectorstore in langchain.schema" in lacking.stderr
    late = "import langchain\nfrom chatmodels.compat import install\ninstall()"
    done = subprocess.run(
        [sys.executable, "-c", late],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "the real one\n"
    assert "RealPackageLoaded" in done.stderr
    assert "chatmodels.chat_models import ChatOpenAI" in done.stderr


def test_other_processes_see_nothing(tmp_path: Path) -> None:
    code = (
        "import langchain, subprocess, sys\n"
        "print(subprocess.run([sys.executable, '-c', 'import langchain'], capture_output=True, text=True).stderr)\n"
    )
    done = run(script(tmp_path, code), cwd=tmp_path)
    assert "No module named 'langchain'" in done.stdout, done.stderr


def test_its_help(tmp_path: Path) -> None:
    said = run("--help", cwd=tmp_path)
    assert said.returncode == 0
    assert said.stdout.startswith("usage: python -m chatmodels.compat script.py [arguments]")
    nothing = run(cwd=tmp_path)
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert "usage:" in nothing.stderr
    absent = run("nowhere.py", cwd=tmp_path)
    assert absent.returncode == 2
    assert absent.stderr == "chatmodels.compat: no script at 'nowhere.py'\n"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("langchain.memory", "no memory in langchain. Instead, keep the messages"),
        ("langchain.memory.buffer", "keep the messages"),
        ("langchain.chains.ConversationChain", "MessagesPlaceholder"),
        ("langchain.chains.SimpleSequentialChain", "join the steps by bars"),
        ("langchain.output_parsers", r"model.with_output\(T\)"),
        ("langchain.OpenAI", r"ChatOpenAI\(\)"),
        ("langchain.agents", "run_tools"),
        ("langchain.vectorstores", "no part of chatmodels"),
        ("langchain.schema.PointlessName", "what it has is AIMessage, AIMessageChunk,"),
    ],
)
def test_what_is_gone_says_what_to_write_instead(name: str, said: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=said):
        compat._Missing().find_spec(name)


def test_chains_that_are_gone_say_what_to_write_instead() -> None:
    with pytest.raises(ImportError, match="trim_messages"):
        exec("from chatmodels.chains import ConversationChain", {})
    with pytest.raises(ImportError, match="cannot import name 'PointlessName'"):
        exec("from chatmodels.chains import PointlessName", {})
