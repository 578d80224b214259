"""Which beginnings a call's messages have, as hashes: calls that share a long one can share a provider's prompt cache. Pure.

A call is looked at only where its text is long enough for such a cache; for all others this costs one look at its lengths.
"""

from __future__ import annotations

from collections.abc import Iterator

from .._call import Call
from .._messages import Message
from .._parts import Audio, File, Image, Part, Video

#: Characters that are about 1,024 tokens: providers cache no shorter beginnings (docs of OpenAI and Anthropic, "Prompt caching").
LONG = 4096
#: What a picture or a file counts for, whose length in tokens nobody knows here.
MEDIUM = 4096
_MEDIA = (Image, Audio, Video, File)
#: Beginnings of a call that are told apart.
MOST = 6


def beginnings(call: Call) -> tuple[int, ...]:
    """Hashes of what the call begins with, the shortest first; () where it is short.

    One ends after `LONG` characters, the next after twice as many, and so on, and one where each message beyond that ends. Two
    calls have the same first hashes as far as their texts are the same.
    """
    if not _is_long(call):
        return ()
    found: list[int] = []
    newest, at, edge = hash(call.model), 0, LONG
    for number, message in enumerate(call.messages):
        for kind, text in _pieces(message):
            start = 0
            while at + len(text) - start >= edge:
                cut = start + edge - at
                newest = hash((newest, kind, text[start:cut]))
                found.append(newest)
                start, at, edge = cut, edge, 2 * edge
            newest = hash((newest, kind, text[start:]))
            at += len(text) - start
        if at >= LONG and number + 1 < len(call.messages) and newest not in found[-1:]:
            found.append(newest)
        if len(found) >= MOST:
            break
    return tuple(found[:MOST])


def _is_long(call: Call) -> bool:
    left = LONG
    for message in call.messages:
        content = message.content
        left -= len(content) if isinstance(content, str) else sum([_length(part) for part in content])
        if left <= 0:
            return True
    return False


def _length(part: Part) -> int:
    return MEDIUM if isinstance(part, _MEDIA) else len(_text(part))


def _pieces(message: Message) -> Iterator[tuple[str, str]]:
    """(what it is, its text), piece by piece."""
    kind, content = type(message).__name__, message.content
    if isinstance(content, str):
        yield kind, content
        return
    for part in content:
        if isinstance(part, _MEDIA):
            yield f"{kind} {hash((part.url, part.data, part.file_id))}", " " * MEDIUM
        else:
            yield kind, _text(part)


def _text(part: Part) -> str:
    text = getattr(part, "text", None)
    return text if isinstance(text, str) else repr(part)
