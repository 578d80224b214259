"""What a Chat Completions answer says beyond the fields that are read: kept for the user under "answer" in the message's
`provider_data`, never sent back, so that nothing that a host adds is lost.
"""

from __future__ import annotations

from typing import Any

from .._json import mapping, objects
from ._openai_chat_wire import Body, Choice, Delta


def beyond(body: Any) -> dict[int, dict[str, Any]]:
    """What an answer, or one chunk of it, says that has no place of ours, for each choice: the service tier and the upstream
    host, content filters, routing, the host's own finish reason. It is told to the user and never sent back."""
    body = mapping(body)
    found: dict[int, dict[str, Any]] = {0: _unread(body, _BODY_KEYS)}
    groq = _unread(mapping(body.get("x_groq")), _GROQ_KEYS)
    if groq:
        found[0]["x_groq"] = groq
    for place, choice in enumerate(objects(body.get("choices"))):
        number = choice.get("index")
        said = mapping(choice.get("delta") or choice.get("message"))
        data = {**_unread(choice, _CHOICE_KEYS), **_unread(said, _DELTA_KEYS)}
        if data:
            at = found.setdefault(number if isinstance(number, int) else place, {})
            at.update(data)
    return {number: data for number, data in found.items() if data}


def _unread(wire: dict[str, Any], read: frozenset[str]) -> dict[str, Any]:
    if wire.keys() <= read:
        return {}
    return {k: v for k, v in wire.items() if k not in read and (v or v == 0)}


#: Read elsewhere, or without meaning: padding, and what llama.cpp repeats of the request (`__verbose`).
_BODY_KEYS = frozenset({*Body.__struct_fields__, "object", "created", "obfuscation", "__verbose"}) - {
    "venice_parameters"
}
_GROQ_KEYS = frozenset({"usage", "error"})
_CHOICE_KEYS = frozenset(Choice.__struct_fields__)
_DELTA_KEYS = frozenset({*Delta.__struct_fields__, "role", "name", "padding"})
