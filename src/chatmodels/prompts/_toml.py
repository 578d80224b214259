"""Plain data as TOML text (toml.io, 1.0), which the standard library reads but does not write. Knows nothing of prompts."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from chatmodels._errors import UsageError
from chatmodels._json import is_array, is_object

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(data: dict[str, Any]) -> str:
    """The text. Lists of objects at the top become `[[tables]]`; a value of None raises UsageError, since TOML has none."""
    tables = {k: v for k, v in data.items() if is_array(v) and v and all(is_object(i) for i in v)}
    lines = [f"{_key(k)} = {_value(v, k)}" for k, v in data.items() if k not in tables]
    for name, items in tables.items():
        for item in items:
            lines += ["", f"[[{_key(name)}]]", *(f"{_key(k)} = {_value(v, k)}" for k, v in item.items())]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _string(name)


def _value(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value) if "\n" not in value else _long(value)
    if isinstance(value, (int, float)):
        return _number(value)
    if is_array(value):
        return "[" + ", ".join(_inline(v, where) for v in value) + "]"
    return _inline(value, where)


def _inline(value: Any, where: str) -> str:
    """A value within another one stands on one line."""
    if isinstance(value, str):
        return _string(value)
    if is_object(value):
        return "{" + ", ".join(f"{_key(k)} = {_inline(v, k)}" for k, v in value.items()) + "}"
    if value is None:
        raise UsageError(f"{where!r} is None, which TOML does not have: save to .json or .yaml", argument="path")
    return _value(value, where)


def _number(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return repr(value)


def _string(text: str) -> str:
    """A basic string: JSON's escapes are TOML's, but for one character that TOML wants escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _long(text: str) -> str:
    """A string of many lines, one per line. What it begins with stands on a line of its own, as the first newline is dropped."""
    lines = [_string(line)[1:-1] for line in text.split("\n")]
    return '"""\n' + "\n".join(lines) + '"""'
