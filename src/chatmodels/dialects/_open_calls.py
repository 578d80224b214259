"""For wires on which tool calls need have no ids (Google, Ollama): ids made of a call's place, which calls are still
open, and a call's arguments as JSON text. Pure.
"""

from __future__ import annotations

import json
import re
from typing import Any

from .._json import dumps_text, mend

_MADE = re.compile(r"call_\d+")


def made_id(place: int) -> str:
    """The id of a call that came without one: its place among the calls of its answer."""
    return f"call_{place}"


def is_made(ident: str) -> bool:
    """Is it no id, or one that we made? Such are never sent."""
    return not ident or bool(_MADE.fullmatch(ident))


class OpenCalls:
    """The calls of the last answer, in order, as (id, name); a result finds the one that it answers."""

    def __init__(self) -> None:
        self._calls: list[tuple[str, str]] = []
        self._answered: set[int] = set()

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, ident: str, name: str) -> None:
        """One more call of this answer."""
        self._calls.append((ident, name))

    def answer(self, ident: str, name: str | None) -> tuple[int, str, str]:
        """(place, id, name) of the oldest open call with that id.

        Without an id, of the oldest with that name (one that has no real id first), or of the oldest at all where there is
        no name either. Where none fits, it comes after all calls, with the id and name that were given.
        """
        still = [place for place in range(len(self._calls)) if place not in self._answered]
        fits = [place for place in still if ident and self._calls[place][0] == ident]
        if not fits and is_made(ident):
            named = [place for place in still if name in (None, "", self._calls[place][1])]
            fits = sorted(named, key=lambda place: not is_made(self._calls[place][0]))
        if not fits:
            return len(self._calls), ident, name or ""
        self._answered.add(fits[0])
        found, called = self._calls[fits[0]]
        return fits[0], found, name or called


def args_text(args: Any) -> str:
    """Compact JSON text; nothing is `{}`. Halves of characters that a model wrote are mended."""
    if isinstance(args, str):
        return args
    try:
        return dumps_text({} if args is None else args)
    except UnicodeEncodeError:
        return mend(json.dumps(args, ensure_ascii=False, separators=(",", ":")))
