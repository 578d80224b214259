"""For writing a dialect of one's own: the contract, and what one is made of. See docs/own-provider.md.

Names are imported at their first use: no dialect pays for the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._call import Call, HTTPRequest, HTTPResponse, Settings
    from .._events import (
        End,
        Event,
        PartDone,
        ReasoningDelta,
        Start,
        TextDelta,
        ToolCallDelta,
        UsageSoFar,
    )
    from .._fold import fold
    from .._framing import SSE, JSONLines
    from .._messages import with_body
    from ._base import Decoder, Dialect, StreamDecoder, events_of
    from ._errors import http_error, make_error

_HOMES = {
    ".._call": "Call HTTPRequest HTTPResponse Settings",
    ".._events": "End Event PartDone ReasoningDelta Start TextDelta ToolCallDelta UsageSoFar",
    ".._fold": "fold",
    ".._framing": "JSONLines SSE",
    ".._messages": "with_body",
    "._base": "Decoder Dialect StreamDecoder events_of",
    "._errors": "http_error make_error",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Call",
    "Decoder",
    "Dialect",
    "End",
    "Event",
    "HTTPRequest",
    "HTTPResponse",
    "JSONLines",
    "PartDone",
    "ReasoningDelta",
    "SSE",
    "Settings",
    "Start",
    "StreamDecoder",
    "TextDelta",
    "ToolCallDelta",
    "UsageSoFar",
    "events_of",
    "fold",
    "http_error",
    "make_error",
    "with_body",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value
