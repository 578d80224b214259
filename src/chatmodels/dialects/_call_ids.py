"""Ids of tool calls in one request: valid for the provider, unique, and the same on a call and on its result.

Providers differ in the ids that they make (empty, repeated from turn to turn, with characters that another
refuses), so a conversation that moves from one to another needs them rewritten. Pure: the same conversation
gives the same ids.
"""

from __future__ import annotations

import re
from hashlib import sha256

import msgspec


class _Asked(msgspec.Struct):
    id: str
    name: str
    wire: str
    answered: bool = False


class CallIds:
    """Give it the calls and results in the order of the conversation.

    `refused` matches the characters that an id may not have; `longest` is its greatest length.
    """

    def __init__(self, refused: re.Pattern[str], longest: int) -> None:
        self._refused = refused
        self._longest = longest
        self._asked: list[_Asked] = []
        self._used: set[str] = set()

    def call(self, given: str, name: str) -> str:
        """The id to send for a call."""
        wire = base = self._valid(given) or f"call_{len(self._asked)}"
        number = 2
        while wire in self._used:
            wire = self._valid(f"{base}_{number}")
            number += 1
        self._used.add(wire)
        self._asked.append(_Asked(given, name, wire))
        return wire

    def result(self, given: str, name: str | None = None) -> str:
        """The id of the call that this result answers; that of no call when there is none."""
        found = self.find(given, name)
        return found if found is not None else self._valid(given) or "call_unknown"

    def find(self, given: str, name: str | None = None) -> str | None:
        """The same, or None: the oldest open call of that id (of that name, where the id is empty)."""
        same = [a for a in self._asked if a.id == given]
        if not given and name:
            same = [a for a in same if a.name == name] or [a for a in self._asked if a.name == name]
        chosen = next((a for a in same if not a.answered), same[-1] if same else None)
        if chosen is None:
            return None
        chosen.answered = True
        return chosen.wire

    def open_call(self, name: str) -> str | None:
        """The oldest call of that name that has no result yet (the manner of 2023, without ids)."""
        found = next((a for a in self._asked if a.name == name and not a.answered), None)
        if found is None:
            return None
        found.answered = True
        return found.wire

    def _valid(self, given: str) -> str:
        clean = self._refused.sub("_", given)
        if len(clean) <= self._longest:
            return clean
        return f"{clean[: self._longest - 17]}_{sha256(clean.encode()).hexdigest()[:16]}"
