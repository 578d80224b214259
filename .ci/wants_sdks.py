"""Prints the tests that are skipped where an official SDK is not installed: `file::test`, or the file where all of it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SDKS = ("anthropic", "google", "cohere", "mistralai", "ollama", "botocore", "llmock", "huggingface_hub")


def asks(tree: ast.AST) -> bool:
    """Is there a `pytest.importorskip` of one of them in it?"""
    calls = (n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "pytest.importorskip")
    return any(ast.literal_eval(c.args[0]).startswith(SDKS) for c in calls if isinstance(c.args[0], ast.Constant))


def wanted(file: Path) -> Iterator[str]:
    found = [node for node in ast.parse(file.read_text("utf-8")).body if asks(node)]
    tests = [
        n.name for n in found if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)) and n.name.startswith("test_")
    ]
    if len(tests) < len(found):  # at the top, in a fixture or a helper
        yield str(file)
    else:
        yield from (f"{file}::{name}" for name in tests)


for path in sorted(Path("tests").rglob("test_*.py")):
    for name in wanted(path):
        print(name)
