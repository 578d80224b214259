"""Mustache, the part that prompts need: `{{name}}`, `{{a.b}}`, `{{.}}`, sections, inverted sections, comments.

Written to the specification (github.com/mustache/spec, whose cases were run in November 2026) with three differences: text is not
HTML-escaped (a prompt is no web page), a missing value is an error (a missing section is empty), and there are no partials,
lambdas and other delimiters. Dots reach into mappings only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from chatmodels._errors import UsageError

_TAG = re.compile(r"\{\{(?:\{\s*(?P<raw>[^{}]*?)\s*\}|(?P<sigil>[#^/!&>=])?(?P<name>.*?))\}\}", re.DOTALL)
_NAME = re.compile(r"\.|\w[\w-]*(?:\.\w[\w-]*)*")


class _Value(msgspec.Struct, frozen=True):
    path: tuple[str, ...]


class _Section(msgspec.Struct, frozen=True):
    path: tuple[str, ...]
    inverted: bool
    body: tuple[Any, ...]


_Node = str | _Value | _Section


class MustacheTemplate(msgspec.Struct, frozen=True):
    """A parsed text. Names within a section are optional variables: a section's own value may have them."""

    source: str
    nodes: tuple[Any, ...]
    variables: frozenset[str]
    optional: frozenset[str]

    @property
    def kind(self) -> str:
        """The language."""
        return "mustache"

    def render(self, values: Mapping[str, Any]) -> str:
        """The text with the values in it; a UsageError names what is missing."""
        out: list[str] = []
        _render(self.nodes, (values,), out)
        return "".join(out)


def parse_mustache(text: str) -> MustacheTemplate:
    """The parsed template.

    >>> parse_mustache("{{#items}}- {{name}}; {{/items}}").render({"items": [{"name": "a"}, {"name": "b"}]})
    '- a; - b; '
    """
    stack: list[tuple[str, bool, list[_Node]]] = [("", False, [])]
    at = 0
    for match in _TAG.finditer(text):
        begin, end = match.span() if match["sigil"] in (None, "&") else _standalone(text, match)
        if begin > at:
            stack[-1][2].append(text[at:begin])
        at = max(end, at)
        _tag(match, stack)
    if at < len(text):
        stack[-1][2].append(text[at:])
    if len(stack) > 1:
        raise UsageError(f"mustache: the section {{{{#{stack[-1][0]}}}}} is never closed", argument="template")
    nodes = tuple(stack[0][2])
    if any(not isinstance(node, str) and not node.path for node in nodes):
        raise UsageError("mustache: {{.}} is the item of a section, and stands in one", argument="template")
    outer, inner = _names(nodes)
    return MustacheTemplate(text, nodes, outer, inner - outer)


def _standalone(text: str, match: re.Match[str]) -> tuple[int, int]:
    """The span of a tag; with its whole line, where nothing else stands on it (the specification's standalone tags)."""
    begin = text.rfind("\n", 0, match.start()) + 1
    stop = text.find("\n", match.end())
    end = len(text) if stop < 0 else stop + 1
    if text[begin : match.start()].strip(" \t") or text[match.end() : end].strip(" \t\r\n"):
        return match.span()
    return begin, end


def _tag(match: re.Match[str], stack: list[tuple[str, bool, list[_Node]]]) -> None:
    sigil = match["sigil"] or ""
    name = (match["raw"] if match["raw"] is not None else match["name"]).strip()
    if sigil == "!":
        return
    if sigil in (">", "="):
        kind = "partials" if sigil == ">" else "other delimiters"
        raise UsageError(f"mustache {match[0]!r}: {kind} are not supported", argument="template")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"mustache {match[0]!r}: a tag holds a name, such as {{{{name}}}} or {{{{a.b}}}}", argument="template"
        )
    if sigil in ("#", "^"):
        stack.append((name, sigil == "^", []))
    elif sigil == "/":
        opened, inverted, body = stack[-1]
        if len(stack) == 1 or opened != name:
            raise UsageError(f"mustache {match[0]!r} closes no open section of that name", argument="template")
        stack.pop()
        stack[-1][2].append(_Section(_path(name), inverted, tuple(body)))
    else:
        stack[-1][2].append(_Value(_path(name)))


def _path(name: str) -> tuple[str, ...]:
    return () if name == "." else tuple(name.split("."))


def _names(nodes: tuple[Any, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """The names that the text itself needs, and those within its sections."""
    outer, inner = set[str](), set[str]()
    for node in nodes:
        if isinstance(node, str):
            continue
        outer.update(node.path[:1])
        if isinstance(node, _Section):
            inner.update(*_names(node.body))
    return frozenset(outer), frozenset(inner)


def _render(nodes: tuple[Any, ...], stack: tuple[Any, ...], out: list[str]) -> None:
    for node in nodes:
        if isinstance(node, str):
            out.append(node)
        elif isinstance(node, _Value):
            value = _find(node.path, stack)
            out.append("" if value is None else str(value))
        else:
            _section(node, stack, out)


def _section(node: _Section, stack: tuple[Any, ...], out: list[str]) -> None:
    try:
        value = _find(node.path, stack)
    except UsageError:  # an item that lacks a field has nothing to show for it
        value = None
    if node.inverted:
        if not value:
            _render(node.body, stack, out)
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for item in cast("Sequence[Any]", value):
            _render(node.body, (*stack, item), out)
    elif value:
        _render(node.body, (*stack, value), out)


def _find(path: tuple[str, ...], stack: tuple[Any, ...]) -> Any:
    """The value of a name: in the innermost mapping that has its first part."""
    if not path:
        return stack[-1]
    for scope in reversed(stack):
        if isinstance(scope, Mapping) and path[0] in scope:
            value: Any = cast("Mapping[str, Any]", scope)[path[0]]
            break
    else:
        raise UsageError(f"mustache: no value for {path[0]!r}", argument=path[0])
    for name in path[1:]:
        if not isinstance(value, Mapping) or name not in value:
            raise UsageError(f"mustache: no value for {'.'.join(path)!r}: dots reach into dicts only", argument=path[0])
        value = cast("Mapping[str, Any]", value)[name]
    return value
