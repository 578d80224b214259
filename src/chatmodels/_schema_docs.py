"""Docstrings read: the first paragraph and what is said of each parameter. Text in, text out.

Knows the three common styles: Google (`Args:`), NumPy (`Parameters` underlined) and Sphinx (`:param x:`).
"""

from __future__ import annotations

import inspect
import re
from typing import NamedTuple

__all__ = ["Doc", "parse_doc"]

_NAMED_SECTIONS = {
    "args",
    "arguments",
    "parameters",
    "params",
    "keyword args",
    "other parameters",
    "attributes",
}
_GOOGLE_HEADER = re.compile(r"^([A-Z][A-Za-z ]*):\s*$")
_GOOGLE_ENTRY = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_NUMPY_ENTRY = re.compile(r"^(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?$")
_SPHINX_ENTRY = re.compile(r"^:(\w+)(?:\s+([^:]*?))?\s*:\s*(.*)$")
_SPHINX_PARAMETERS = {"param", "parameter", "arg", "argument", "key", "keyword", "ivar", "var"}
_UNDERLINE = re.compile(r"^-{3,}\s*$")


class Doc(NamedTuple):
    """`summary` is the first paragraph on one line, or None; `parameters` maps names to descriptions."""

    summary: str | None
    parameters: dict[str, str]


def parse_doc(text: str | None) -> Doc:
    """The summary and the parameter descriptions of a docstring; an absent or odd one gives empty results."""
    lines = inspect.cleandoc(text).splitlines() if text else []
    found: dict[str, str] = {}
    for index, line in enumerate(lines):
        if _is_numpy_header(lines, index):
            found.update(_numpy_section(lines, index))
        elif _is_google_header(line):
            found.update(_google_section(lines[index + 1 :]))
        elif match := _SPHINX_ENTRY.match(line):
            found.update(_sphinx_entry(match, lines[index + 1 :]))
    return Doc(_summary(lines), {name: text for name, text in found.items() if text})


def _summary(lines: list[str]) -> str | None:
    paragraph: list[str] = []
    for index, line in enumerate(lines):
        if not line.strip() or _starts_section(lines, index):
            break
        paragraph.append(line.strip())
    return " ".join(paragraph) or None


def _starts_section(lines: list[str], index: int) -> bool:
    return bool(_is_google_header(lines[index]) or _is_numpy_header(lines, index) or _SPHINX_ENTRY.match(lines[index]))


def _is_google_header(line: str) -> bool:
    match = _GOOGLE_HEADER.match(line)
    return match is not None and match[1].lower() in _NAMED_SECTIONS


def _is_numpy_header(lines: list[str], index: int) -> bool:
    underlined = index + 1 < len(lines) and bool(_UNDERLINE.match(lines[index + 1]))
    return underlined and lines[index].strip().lower() in _NAMED_SECTIONS


def _google_section(lines: list[str]) -> dict[str, str]:
    """Entries are indented once under the header; what is indented deeper continues the entry above."""
    entries: dict[str, str] = {}
    depth: int | None = None
    name: str | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if not line.strip():
            continue
        if indent == 0:
            break
        depth = indent if depth is None else depth
        match = _GOOGLE_ENTRY.match(line.strip()) if indent <= depth else None
        if match:
            name = str(match[1])
            entries[name] = match[2].strip()
        elif name is not None:
            entries[name] = f"{entries[name]} {line.strip()}".strip()
    return entries


def _numpy_section(lines: list[str], header: int) -> dict[str, str]:
    """Entries stand at the margin (`name : type`, or several names), their text is indented below."""
    entries: dict[str, str] = {}
    names: list[str] = []
    for index in range(header + 2, len(lines)):
        line = lines[index]
        if index + 1 < len(lines) and _UNDERLINE.match(lines[index + 1]):
            break
        if line[:1].isspace():
            entries.update({name: f"{entries[name]} {line.strip()}".strip() for name in names})
        elif match := _NUMPY_ENTRY.match(line):
            names = [name.strip().lstrip("*") for name in match[1].split(",")]
            entries.update(dict.fromkeys(names, ""))
    return entries


def _sphinx_entry(match: re.Match[str], following: list[str]) -> dict[str, str]:
    words = (match[2] or "").split()
    if match[1] not in _SPHINX_PARAMETERS or not words:
        return {}
    text = [match[3].strip()]
    for line in following:
        if not line[:1].isspace() or not line.strip():
            break
        text.append(line.strip())
    return {words[-1].lstrip("*"): " ".join(text).strip()}
