"""Every code block of the README and of docs/ runs, offline, in the order of its page; shown output is compared.

A ```python block is executed; if a ```text block follows at once, it is what the block prints. ```python requires=a,b is left out
where one of these packages is not installed. Blocks of other languages are
not run, but `bash` blocks may only name commands and options that exist (checked below for `chatmodels`).
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .page import Page, serve_page

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)(?: requires=([\w,.]+))?[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> Iterator[tuple[int, str, str | None]]:
    """(line, code, expected output or None) of each Python block."""
    found = list(BLOCK.finditer(text))
    for i, match in enumerate(found):
        if match[1] != "python" or any(find_spec(name) is None for name in (match[2] or "").split(",") if name):
            continue
        after = found[i + 1] if i + 1 < len(found) else None
        follows = after is not None and after[1] == "text" and not text[match.end() : after.start()].strip()
        yield text[: match.start()].count("\n") + 2, match[3], after[3] if follows and after is not None else None


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with serve_page() as server:
        yield server


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_the_page_runs(path: Path, page: Page, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-docs")
    monkeypatch.setenv("OPENAI_API_BASE", page.url)
    monkeypatch.delenv("CHATMODELS_MODEL", raising=False)
    monkeypatch.chdir(tmp_path)
    module = ModuleType("docs_page")  # a real module: dataclasses and pickle look theirs up
    monkeypatch.setitem(sys.modules, "docs_page", module)
    names: dict[str, Any] = vars(module)
    text = path.read_text()
    with warnings.catch_warnings():
        if " requires=" in text:  # other packages' warnings are not ours
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
            if match[1] not in ("bash", "console", "sh"):
                continue
            for command in re.findall(r"(?:^|[|&/]\s*|bin/)chatmodels (.+)$", match[3], re.MULTILINE):
                words = shlex.split(command, comments=True)
                kind = words[0] if words and words[0] in COMMANDS else ""
                made = parsers.get(kind, parser)()
                made.parse_intermixed_args(words[1:] if kind else words)


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = re.findall(r"^ +- .*: ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(p.name for p in (ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(((?!https?:|#)[^)#]+)", path.read_text())
    assert [t for t in targets if not (path.parent / t).exists()] == []
