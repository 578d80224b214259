"""What an error repeats of what was asked: a provider that shows the question in its error would put it where no content shall be.

Pure: texts in, text out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .._call import Call
from .._json import is_array, is_object

#: So much of an error is looked at and told, where content is not to be told.
MOST = 300
#: Runs of so many characters that a text and an error share are no accident; every second half of one is looked for.
RUN = 12
#: A shorter text is looked for as a whole, unless it is so short that it stands in any error.
LEAST = 4


def without_echo(said: str, texts: Iterable[str]) -> str | None:
    """The beginning of what an error says; None where it repeats some of the texts.

    >>> without_echo("bad value: 'my secret words here'", ["tell my secret words here to nobody"])
    >>> without_echo("Rate limit reached", ["tell my secret words here to nobody"])
    'Rate limit reached'
    """
    said = said[:MOST]
    low = said.casefold()
    runs = [low[i : i + RUN] for i in range(0, max(1, len(low) - RUN + 1), RUN // 2)]
    for text in texts:
        found = text.strip().casefold()
        if LEAST <= len(found) <= 2 * RUN and found in low:
            return None
        if len(found) > RUN and any(run in found for run in runs):
            return None
    return said


def asked_in(call: Call) -> Iterator[str]:
    """What was asked, in words: messages, and what the tools were called with."""
    for message in call.messages:
        yield message.text
        for part in message.parts:
            yield from strings_in(getattr(part, "args", None))


def strings_in(value: Any) -> Iterator[str]:
    """The strings in plain data."""
    if isinstance(value, str):
        yield value
    elif is_object(value):
        for one in value.values():
            yield from strings_in(one)
    elif is_array(value):
        for one in value:
            yield from strings_in(one)
