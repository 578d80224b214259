"""What a wire format is to the practice server, and the frames that several of them share. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from ..._json import dumps_text
from ._words import Asked, Body, Said


def _as_asked(path: str, body: Body) -> bool:
    return bool(body.get("stream"))


def at(ending: str) -> Callable[[str, Body], bool]:
    """Streams are a path of their own."""
    return lambda path, body: path.endswith(ending)


class Format(NamedTuple):
    """`read` a request, write an answer `whole` or as the frames of a `stream`. `path` is searched in the request's path."""

    path: re.Pattern[str]
    read: Callable[[Body], Asked]
    whole: Callable[[Body, Said], Body]
    stream: Callable[[Body, Said], list[bytes]]
    streams: Callable[[str, Body], bool] = _as_asked
    stream_type: str = "text/event-stream"


def sse(events: list[Body], *, named: bool) -> list[bytes]:
    """Server-sent events; `named` ones say their type beside the data."""
    head = [f"event: {event['type']}\n" if named else "" for event in events]
    return [f"{name}data: {dumps_text(event)}\n\n".encode() for name, event in zip(head, events, strict=True)]


def halves(text: str) -> list[str]:
    """A text in two pieces, as arguments of tools are streamed."""
    middle = len(text) // 2
    return [piece for piece in (text[:middle], text[middle:]) if piece]
