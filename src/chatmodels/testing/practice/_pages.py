"""Guides run from top to bottom: the Python blocks of a Markdown page, in order, in one namespace, their output compared.

A block that needs an optional package has `<!-- requires: a,b -->` on the line above it. A `text` block that follows a Python
block at once is what that prints.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TextIO

BLOCK = re.compile(
    r"^(?:<!-- requires: (?P<needs>[\w,.]+) -->\n)?```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A Python block: its line in the page, what it prints (None where the page does not say), and the packages it lacks."""

    line: int
    code: str
    expected: str | None
    missing: tuple[str, ...]


def blocks(text: str) -> Iterator[Block]:
    """The Python blocks of a page."""
    found = list(BLOCK.finditer(text))
    for i, match in enumerate(found):
        if match["language"] != "python":
            continue
        after = found[i + 1] if i + 1 < len(found) else None
        follows = after is not None and after["language"] == "text" and not text[match.end() : after.start()].strip()
        expected = after["code"] if follows and after is not None else None
        missing = tuple(name for name in (match["needs"] or "").split(",") if name and not _is_there(name))
        yield Block(text[: match.start("code")].count("\n") + 1, match["code"], expected, missing)


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # not even the package that it is in
        return False


def run_block(block: Block, page: str, names: dict[str, Any], echo: TextIO | None = None) -> str:
    """Execute it; what it printed."""
    out = _Tee(echo)
    with redirect_stdout(out):
        exec(compile("\n" * (block.line - 1) + block.code, page, "exec"), names)  # noqa: S102  # the reader's own page, as a script
    return out.getvalue()


class _Tee(io.StringIO):
    """Keeps what is written, and passes it on."""

    def __init__(self, other: TextIO | None) -> None:
        super().__init__()
        self._other = other

    def write(self, text: str, /) -> int:
        if self._other is not None:
            self._other.write(text)
            self._other.flush()
        return super().write(text)


def run_page(path: Path) -> int:
    """Run and show a page, in a folder of its own that is deleted at the end; 1 where an output is not what the page says."""
    text = path.read_text(encoding="utf-8")
    module = ModuleType("page")  # a real module: dataclasses look theirs up
    sys.modules["page"] = module
    differs = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, chdir(folder), warnings.catch_warnings():
        for block in blocks(text):
            sys.stdout.write(f"\n# {path.name}, line {block.line}\n{block.code}")
            if block.missing:
                sys.stdout.write(f"# left out: {', '.join(block.missing)} is not installed\n")
                continue
            sys.stdout.write("# prints\n")
            said = run_block(block, str(path), vars(module), sys.stdout)
            if block.expected is not None and said.rstrip() != block.expected.rstrip():
                differs += 1
                sys.stdout.write(f"# but the page says\n{block.expected}")
    sys.stdout.write(f"\n# {path.name}: {f'{differs} outputs differ' if differs else 'all as the page says'}\n")
    return 1 if differs else 0


def main() -> int:
    """`python -m chatmodels.testing.practice PAGE.md`, with the providers' variables set."""
    sys.stdout = open(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
    return max(run_page(Path(name)) for name in sys.argv[1:])
