"""Every code block of the README and of docs/ runs, offline, in the order of its page; shown output is compared.

A ```python block is executed; if a ```text block follows at once, it is what the block prints. One with the comment
`<!-- requires: a,b -->` on the line above it is left out where one of these packages is not installed. Blocks of other languages
are not run, but `bash` blocks may only name commands and options that exist (checked below for `chatmodels`).
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from chatmodels import UsageError
from chatmodels.providers import provider, register

from .page import Page, serve_page

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"^(?:<!-- requires: (?P<needs>[\w,.]+) -->\n)?```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
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
#: Where each provider's requests go on its page, and their keys: the page's server has an answer in every format.
ADDRESSES = {
    "OPENAI_API_BASE": "/v1",
    "ANTHROPIC_BASE_URL": "",
    "GOOGLE_GEMINI_BASE_URL": "",
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "",
    "CO_API_URL": "",
    "OLLAMA_HOST": "",
}
KEYS = "OPENAI ANTHROPIC GEMINI COHERE MISTRAL GROQ DEEPSEEK OPENROUTER"
MOVED = ("mistral", "groq", "deepseek", "openrouter")


def blocks(text: str) -> Iterator[tuple[int, str, str | None]]:
    """(line, code, expected output or None) of each Python block."""
    found = list(BLOCK.finditer(text))
    for i, match in enumerate(found):
        needs = (match["needs"] or "").split(",")
        if match["language"] != "python" or any(find_spec(name) is None for name in needs if name):
            continue
        after = found[i + 1] if i + 1 < len(found) else None
        follows = after is not None and after["language"] == "text" and not text[match.end() : after.start()].strip()
        expected = after["code"] if follows and after is not None else None
        yield text[: match.start("code")].count("\n") + 1, match["code"], expected


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with serve_page() as server:
        yield server


@pytest.fixture
def every_provider(page: Page, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keys of all providers of the pages, and their addresses on the page's server."""
    for name, path in ADDRESSES.items():
        monkeypatch.setenv(name, page.url.removesuffix("/v1") + path)
    for name in KEYS.split():
        monkeypatch.setenv(f"{name}_API_KEY", "sk-docs")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "docs")
    rows = [provider(name) for name in MOVED]
    for row in rows:
        register(msgspec.structs.replace(row, base_url=page.url))
    yield
    for row in rows:
        register(row)


def _name(path: Path) -> str:
    """A page's name among the tests: its path below docs/."""
    return path.relative_to(ROOT / "docs").as_posix() if path.is_relative_to(ROOT / "docs") else path.name


@pytest.mark.parametrize("path", [p for p in PAGES if any(blocks(p.read_text()))], ids=_name)
def test_the_page_runs(
    path: Path, page: Page, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if path.parent.name in ("providers", "migrate"):
        request.getfixturevalue("every_provider")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-docs")
    monkeypatch.setenv("OPENAI_API_BASE", page.url)
    monkeypatch.delenv("CHATMODELS_MODEL", raising=False)
    monkeypatch.chdir(tmp_path)
    module = ModuleType("docs_page")  # a real module: dataclasses and pickle look theirs up
    monkeypatch.setitem(sys.modules, "docs_page", module)
    names: dict[str, Any] = vars(module)
    text = path.read_text()
    with warnings.catch_warnings():
        if "<!-- requires: " in text:  # other packages' warnings are not ours
            warnings.simplefilter("ignore")
        _run(path, text, names)


def _run(path: Path, text: str, names: dict[str, Any]) -> None:
    for line, code, expected in blocks(text):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile("\n" * (line - 1) + code, str(path), "exec"), names)
        if expected is not None:
            assert out.getvalue().rstrip() == expected.rstrip(), f"{path.name}:{line}"


def test_there_are_blocks_to_run() -> None:
    assert sum(1 for p in PAGES for _ in blocks(p.read_text())) > 10


def test_the_command_lines_shown_parse() -> None:
    import shlex

    from chatmodels.cli._args import COMMANDS, chat_parser, models_parser, parser
    from chatmodels.cli._batch import batch_parser
    from chatmodels.cli._logs import logs_parser

    parsers = {"chat": chat_parser, "models": models_parser, "logs": logs_parser, "batch": batch_parser}

    for path in PAGES:
        for match in BLOCK.finditer(path.read_text()):
            if match["language"] not in ("bash", "console", "sh"):
                continue
            for command in re.findall(r"(?:^|[|&/]\s*|bin/)chatmodels (.+)$", match["code"], re.MULTILINE):
                words = shlex.split(command, comments=True)
                kind = words[0] if words and words[0] in COMMANDS else ""
                made = parsers.get(kind, parser)()
                made.parse_intermixed_args(words[1:] if kind else words)


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
