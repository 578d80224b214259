"""What a batch asks with (settings, system message, tools, output type), as a journal notes it, and in what two of them differ.

Values that could be private are noted as a digest only. Knows no journal.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import msgspec

from .._call import Call
from .._json import dumps_text, is_object, loads, mapping

#: Settings whose words may be shown; numbers may always.
_PUBLIC = frozenset({"reasoning_effort", "reasoning_summary", "service_tier", "verbosity"})


def asked_of(call: Call, system: str | None) -> str:
    """As JSON."""
    settings = mapping(msgspec.to_builtins(call.settings))
    found = {name: _shown(name, value) for name, value in settings.items() if value is not None}
    if system:
        found["system"] = _digest(system)
    if call.tools:
        found["tools"] = _digest(dumps_text([[one.name, one.parameters] for one in call.tools]))
    if call.output is not None:
        found["output"] = _digest(dumps_text(call.output.schema))
    return dumps_text(found)


def difference(before: Any, now: str) -> str | None:
    """In words; None where it is not known."""
    if not isinstance(before, str) or not is_object(was := loads(before)):
        return None
    has = mapping(loads(now))
    found = [
        _said(name, was.get(name), has.get(name)) for name in sorted({*was, *has}) if was.get(name) != has.get(name)
    ]
    return ", ".join(found) or None


def _said(name: str, was: Any, has: Any) -> str:
    hidden = any(isinstance(one, list) for one in (was, has))
    if was is None:
        return f"{name} was not given" if hidden else f"{name} was not given, and is {has} now"
    if has is None:
        return f"{name} was given" if hidden else f"{name} was {was}, and is not given now"
    return f"{name} was another" if hidden else f"{name} was {was}, and is {has} now"


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, (int, float)) or name in _PUBLIC:
        return value
    return _digest(repr(value))


def _digest(text: str) -> list[int]:
    return [crc32(text.encode("utf-8", "surrogatepass"))]
