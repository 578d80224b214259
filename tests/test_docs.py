"""Every code block of the README and of docs/ runs, offline, in the order of its page; shown output is compared.

What runs, and how, is in `chatmodels.testing.practice._pages`: it is what a reader gets from `chatmodels practice PAGE`. Blocks of
other languages are not run, but `bash` blocks may only name commands and options that exist (checked below for `chatmodels`).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from chatmodels import UsageError
from chatmodels.testing import PracticeServer, practice_server
from chatmodels.testing.practice._pages import BLOCK, blocks, run_block

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: The module of each page of the reference.
PUBLIC = {
    "chatmodels": "chatmodels",
    "chat-models": "chatmodels.chat_models",
    "integrations": "chatmodels.integrations.langchain chatmodels.integrations.pydantic_ai chatmodels.integrations.openai",
    "conformance": "chatmodels.testing.conformance",
    "schema": "chatmodels.schema",
    "prompts": "chatmodels.prompts",
    "chains": "chatmodels.chains",
    "caches": "chatmodels.caches",
    "history": "chatmodels.history",
    "control": "chatmodels.control",
    "tokens": "chatmodels.tokens",
    "prices": "chatmodels.prices",
    "telemetry": "chatmodels.telemetry",
    "callbacks": "chatmodels.callbacks",
    "batch": "chatmodels.batch",
    "jobs": "chatmodels.jobs",
    "ray": "chatmodels.ray",
    "testing": "chatmodels.testing",
    "providers": "chatmodels.providers",
    "dialects": "chatmodels.dialects",
    "layers": "chatmodels.layers",
}


@pytest.fixture(autouse=True)
def a_loop_that_is_closed() -> Iterator[None]:
    """pydantic-ai's `run_sync` takes the thread's event loop, and leaves one of its own making open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    if not loop.is_closed():
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    asyncio.set_event_loop(None)


@pytest.fixture(scope="module")
def practice() -> Iterator[PracticeServer]:
    with practice_server() as server:
        yield server


def _name(path: Path) -> str:
    """A page's name among the tests: its path below docs/."""
    return path.relative_to(ROOT / "docs").as_posix() if path.is_relative_to(ROOT / "docs") else path.name


@pytest.mark.parametrize("path", [p for p in PAGES if any(blocks(p.read_text()))], ids=_name)
def test_the_page_runs(path: Path, practice: PracticeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As `chatmodels practice PAGE` runs it."""
    for name, value in practice.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CHATMODELS_MODEL", raising=False)
    monkeypatch.chdir(tmp_path)
    module = ModuleType("docs_page")  # a real module: dataclasses and pickle look theirs up
    monkeypatch.setitem(sys.modules, "docs_page", module)
    text = path.read_text()
    with warnings.catch_warnings():
        if "<!-- requires: " in text:  # other packages' warnings are not ours
            warnings.simplefilter("ignore")
        for block in blocks(text):
            if not block.missing:
                said = run_block(block, str(path), vars(module))
                if block.expected is not None:
                    assert said.rstrip() == block.expected.rstrip(), f"{path.name}:{block.line}"
        _end_the_loop_left_behind()


def _end_the_loop_left_behind() -> None:
    """pydantic-ai's `run_sync` leaves its event loop open and current, with a connection in it: the first `asyncio.run` of a later
    page would drop it, and a warning of the garbage collector's would fail whichever test it comes in."""
    try:
        loop = asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:  # there is none
        return
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    asyncio.set_event_loop(None)


def test_there_are_blocks_to_run() -> None:
    assert sum(1 for p in PAGES for _ in blocks(p.read_text())) > 10


def test_each_page_that_asks_a_provider_says_how_to_follow_it_without_a_key() -> None:
    """A missing key is the first thing that a newcomer meets."""
    asks = re.compile(r"\bChat(OpenAI|Anthropic|Google|Bedrock|Cohere|MistralAI|Ollama)\(|ChatModel\(\"(?!local|acme)")
    own_key = re.compile(r"api_key=|base_url=")
    silent = [
        _name(page)
        for page in PAGES
        if any(
            asks.search(line) and not own_key.search(line)
            for b in blocks(page.read_text())
            for line in b.code.splitlines()
        )
        and "chatmodels practice" not in page.read_text()
    ]
    assert silent == []


def test_the_command_lines_shown_parse() -> None:
    import shlex

    from chatmodels.cli._args import COMMANDS, chat_parser, models_parser, parser
    from chatmodels.cli._batch import batch_parser
    from chatmodels.cli._logs import logs_parser
    from chatmodels.cli._practice import practice_parser

    parsers = {"chat": chat_parser, "models": models_parser, "logs": logs_parser, "batch": batch_parser}
    parsers["practice"] = practice_parser

    for path in PAGES:
        for match in BLOCK.finditer(path.read_text()):
            if match["language"] not in ("bash", "console", "sh"):
                continue
            for command in re.findall(r"(?:^|[|&/]\s*|bin/)chatmodels (.+)$", match["code"], re.MULTILINE):
                words = shlex.split(command, comments=True)
                kind = words[0] if words and words[0] in COMMANDS else ""
                made = parsers.get(kind, parser)()
                given = words[1:] if kind else words
                made.parse_args(given) if kind == "practice" else made.parse_intermixed_args(given)


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = re.findall(r"^ +- (?:.*: )?([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(_name(p) for p in (ROOT / "docs").rglob("*.md"))


def test_fences_name_a_language_and_nothing_else() -> None:
    """The site's Markdown takes anything else for no fence at all; what a block needs stands in a comment above it."""
    odd = [f"{_name(p)}: {line}" for p in PAGES for line in re.findall(r"^```\S+ .*$", p.read_text(), re.MULTILINE)]
    assert odd == []


@pytest.mark.parametrize("page_name", sorted(PUBLIC))
def test_every_public_name_is_in_the_reference(page_name: str) -> None:
    """On the page of its module, by its own directive, with all of its module, or (another module's) by its name."""
    text = (ROOT / "docs" / "reference" / f"{page_name}.md").read_text()
    for module in PUBLIC[page_name].split():
        if f"::: {module}\n" not in text:
            names = import_module(module).__all__
            assert [n for n in names if f"::: {module}.{n}\n" not in text and f"`{n}`" not in text.split("##")[0]
                    and f"{module}.{n}`" not in text] == []  # fmt: skip


@pytest.mark.parametrize("page_name", sorted(PUBLIC))
def test_every_public_name_has_a_docstring(page_name: str) -> None:
    for module in PUBLIC[page_name].split():
        found = import_module(module)
        values: dict[str, Any] = {}
        for name in found.__all__:
            with contextlib.suppress(UsageError):  # a class that is made of another library's, which is not installed
                values[name] = getattr(found, name)
        ours = {n: v for n, v in values.items() if isinstance(v, type) or (callable(v) and hasattr(v, "__module__"))}
        bare = [n for n, v in ours.items() if str(v.__module__).startswith("chatmodels") and not v.__doc__]
        assert bare == [], module


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(((?!https?:|#)[^)#]+)", path.read_text())
    assert [t for t in targets if not (path.parent / t).exists()] == []
