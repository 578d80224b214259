"""How many answers a request asks for (`n`), and what it means when fewer came. Knows requests, events and messages; sends
nothing.

A stream that ends with fewer is not complete: a choice that never began cannot be told from one that was lost. A plain
answer is one closed document, so there the host has decided: the answer says so in its warnings.
"""

from __future__ import annotations

from msgspec.structs import force_setattr

from ._call import Call, HTTPRequest
from ._errors import IncompleteStream
from ._events import End, Event
from ._json import loads, mapping
from ._messages import AIMessage


def asked_of(call: Call, request: HTTPRequest) -> int:
    """The number of answers that the request asks for, after all that the provider's form has left out of it."""
    if (call.settings.n or 1) < 2 and "n" not in (call.settings.extra_body or {}):
        return 1
    number = mapping(loads(request.body)).get("n")
    return number if isinstance(number, int) else 1


def told(provider: str, asked: int, came: int) -> str:
    """The words for it."""
    few = "1 came" if came == 1 else f"{came} came"
    return f"{provider}: {asked} answers were asked for (n={asked}), and {few}; a host that ignores n is asked once for each"


def note_missing(provider: str, message: AIMessage, asked: int) -> None:
    """Warn on a plain answer that has fewer than were asked for."""
    came = 1 + len(message.alternatives)
    if came < asked:
        force_setattr(message, "warnings", (*message.warnings, told(provider, asked, came)))


def missing(provider: str, events: list[Event], asked: int) -> IncompleteStream | None:
    """The error of a stream whose last events end it with fewer answers than were asked for; its `End` is taken away."""
    if not events or not isinstance(events[-1], End):
        return None
    came = 1 + len(events[-1].others)
    if came >= asked:
        return None
    events.pop()
    return IncompleteStream(f"{told(provider, asked, came)}; the error's .message has what came", provider=provider)
