"""What a Chat Completions answer says beyond the fields that are read: kept for the user under "answer" in the message's
`provider_data`, never sent back, so that nothing that a host adds is lost.
"""

from __future__ import annotations

from typing import Any

from .._json import is_array, is_object, mapping, objects
from ._openai_chat_wire import CONSTANTS, Body, Choice, Delta, add_data


def beyond(body: Any) -> dict[int, dict[str, Any]]:
    """What a plain answer says that has no place of ours, for each choice: the service tier and the upstream
    host, content filters, routing, the host's own finish reason. It is told to the user and never sent back."""
    found = Beyond()
    found.add(body)
    return found.told()


class Beyond:
    """The same of a stream, put together from its chunks.

    What stands in a `delta` is a piece: texts and lists are joined. What stands on the choice or on the chunk is a
    statement: of one that changes, the newest holds, but lists of pieces (`token_ids`) are joined.
    """

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[int, dict[str, Any]] = {}

    def add(self, body: Any) -> None:
        """Take what this chunk, or plain answer, has."""
        body = mapping(body)
        said = _unread(body, _BODY_KEYS)
        groq = _unread(mapping(body.get("x_groq")), _GROQ_KEYS)
        if groq:
            said["x_groq"] = groq
        self._state(0, said)
        for place, choice in enumerate(objects(body.get("choices"))):
            number = choice.get("index")
            self._choice(number if isinstance(number, int) else place, choice)

    def of(self, number: int) -> dict[str, Any]:
        """What was said of one choice."""
        return self._found.get(number, {})

    def told(self) -> dict[int, dict[str, Any]]:
        """What was said of each choice of which something was."""
        return self._found

    def _choice(self, number: int, choice: dict[str, Any]) -> None:
        said = _unread(choice, _CHOICE_KEYS)
        odds = _unread(mapping(choice.get("logprobs")), _LOGPROBS_KEYS)
        pieces = {k: said.pop(k) for k in _PIECES if k in said}
        if odds:
            pieces["logprobs"] = odds
        delta = mapping(choice.get("delta") or choice.get("message"))
        pieces |= _unread(delta, _DELTA_KEYS)
        sound = _unread(mapping(delta.get("audio")), _AUDIO_KEYS)
        if sound:
            pieces["audio"] = sound
        self._state(number, said)
        if pieces:
            self._found[number] = _joined(self.of(number), pieces)

    def _state(self, number: int, said: dict[str, Any]) -> None:
        if said:
            self._found[number] = add_data(self.of(number), said, grow=False)


def _joined(have: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Pieces put to those before."""
    out = dict(have)
    for key, value in new.items():
        old = out.get(key)
        if is_object(old) and is_object(value):
            out[key] = _joined(old, value)
        elif is_array(old) and is_array(value):
            out[key] = [*old, *value]
        elif isinstance(old, str) and isinstance(value, str) and key not in _NAMES:
            out[key] = old + value
        else:
            out[key] = value
    return out


def _unread(wire: dict[str, Any], read: frozenset[str]) -> dict[str, Any]:
    if wire.keys() <= read:
        return {}
    return {k: v for k, v in wire.items() if k not in read and (v or v == 0)}


#: Read elsewhere, or without meaning: padding, and what llama.cpp repeats of the request (`__verbose`).
_BODY_KEYS = frozenset({*Body.__struct_fields__, "object", "created", "obfuscation", "__verbose"}) - {
    "venice_parameters",
    *CONSTANTS,
}
_GROQ_KEYS = frozenset({"usage", "error"})
_CHOICE_KEYS = frozenset(Choice.__struct_fields__)
_DELTA_KEYS = frozenset({*Delta.__struct_fields__, "role", "name", "padding"})
_AUDIO_KEYS = frozenset({"id", "data", "transcript"})
_LOGPROBS_KEYS = frozenset({"content", "refusal"})
#: Of the choice, and pieces all the same (vLLM).
_PIECES = ("token_ids",)
#: Texts in pieces that name something and are repeated, not continued.
_NAMES = frozenset({"type", "id", "index", "format", "role", "name"})
