"""JSON read while it is still coming: after every piece, the largest value that is already sure.

A state machine over characters, without recursion, so that any text is taken and none is too deep. Knows
nothing of schemas or providers.
"""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["PartialJSON", "parse_partial"]

_BLANKS = " \t\r\n"
_BLANK = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\]*')
_DIGITS = re.compile(r"[-+.eE0-9]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_MOST_DIGITS = 4000
_FENCE = re.compile(r"```[A-Za-z0-9]*[ \t]*\r?\n")
_HIGH = re.compile(r"\\u[dD][89abAB]")
_LOW_OR_ITS_BEGINNING = re.compile(r"(?:\\(?:u(?:[dD][c-fC-F]?)?)?)?")
_WORDS: dict[str, tuple[str, Any]] = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}
_KEYS = ("key", "first key")


def parse_partial(text: str) -> Any:
    """The largest sure value of the beginning of a JSON text; None when nothing is sure yet.

    Open objects, arrays and strings are given as far as they have come; a number, a word (`true`) or a key is
    given once it has ended. Text that is not JSON ends the reading: what came before stands. Never raises.
    A later beginning of the same text never takes back what an earlier one gave (unless a key comes twice).

    >>> parse_partial('{"name": "Ada", "born": 18')
    {'name': 'Ada'}
    >>> parse_partial('{"tags": ["a", "b')
    {'tags': ['a', 'b']}
    """
    parser = PartialJSON()
    parser.feed(text)
    return parser.value


class PartialJSON:
    """As `parse_partial`, for a text that comes in pieces: `feed` each, look at `value` whenever you like.

    `value` is the parser's own object and grows with it; copy it to keep a state.
    """

    def __init__(self) -> None:
        self.value: Any = None
        self._text = ""
        self._at = 0
        self._started = False
        self._stack: list[dict[str, Any] | list[Any]] = []
        self._key = ""
        self._wants = "value"
        self._string: list[str] | None = None
        self._over = False

    @property
    def complete(self) -> bool:
        """Whether the value has ended (or the text has turned out not to be JSON)."""
        return self._over

    def feed(self, text: str) -> Any:
        """Read a further piece; gives `value`."""
        if self._over:
            return self.value
        self._text = self._text[self._at :] + text
        self._at = 0
        if not self._started:
            self._start()
        while self._started and not self._over and self._step():
            pass
        self._show_open_string()
        return self.value

    def _start(self) -> None:
        """Past blanks and the line that opens a code fence."""
        text = self._text.lstrip(_BLANKS + "\ufeff")
        fence = _FENCE.match(text)
        self._text = text[fence.end() :] if fence else text
        self._started = bool(fence) or (bool(text) and not text.startswith("`"))

    def _step(self) -> bool:
        """Read one token; False when more text is needed for it."""
        if self._string is not None:
            return self._read_string(self._string)
        self._skip(_BLANK)
        mark = self._text[self._at : self._at + 1]
        if not mark:
            return False
        if self._wants == "value" or (self._wants == "first" and mark != "]"):
            return self._read_value(mark)
        return self._read_mark(mark)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        found = match[0] if match else ""
        self._at += len(found)
        return found

    def _read_mark(self, mark: str) -> bool:
        """Read what stands between values."""
        in_object = isinstance(self._stack[-1], dict)
        self._at += 1
        if mark == '"' and self._wants in _KEYS:
            self._string = []
        elif mark == ":" and self._wants == "colon":
            self._wants = "value"
        elif mark == "," and self._wants == "comma":
            self._wants = "key" if in_object else "value"
        elif mark == ("}" if in_object else "]") and self._wants in ("comma", "first", "first key"):
            self._stack.pop()
            self._after_value()
        else:
            self._over = True
        return True

    def _read_value(self, mark: str) -> bool:
        if mark == '"':
            self._string = []
            self._put("")
        elif mark in "{[":
            inner: dict[str, Any] | list[Any] = {} if mark == "{" else []
            self._put(inner)
            self._stack.append(inner)
            self._wants = "first key" if mark == "{" else "first"
        elif mark in _WORDS:
            return self._read_word(*_WORDS[mark])
        else:
            return self._read_number()
        self._at += 1
        return True

    def _read_word(self, word: str, value: Any) -> bool:
        come = self._text[self._at : self._at + len(word)]
        if come == word:
            self._at += len(word)
            self._put(value)
            self._after_value()
            return True
        self._over = not word.startswith(come)
        return self._over

    def _read_number(self) -> bool:
        """Read a number, which is sure only once something follows it."""
        start = self._at
        digits = self._skip(_DIGITS)
        if digits and self._at == len(self._text):
            self._at = start
            return False
        # Python's own limit: it refuses integers of more than a few thousand digits.
        self._over = not _NUMBER.match(digits) or len(digits) > _MOST_DIGITS
        if not self._over:
            self._put(json.loads(digits))
            self._after_value()
        return True

    def _read_string(self, pieces: list[str]) -> bool:
        pieces.append(self._skip(_PLAIN))
        mark = self._text[self._at : self._at + 1]
        if mark == '"':
            self._at += 1
            self._end_string("".join(pieces))
        return mark == '"' or (bool(mark) and self._read_escape(pieces))

    def _read_escape(self, pieces: list[str]) -> bool:
        """Read one escape; half an emoji waits for its other half."""
        length = _escape_length(self._text[self._at : self._at + 12])
        escape = self._text[self._at : self._at + length]
        if len(escape) < length:
            return False
        self._at += length
        try:
            text: str = json.loads(f'"{escape}"')
            # Half an emoji whose other half did not follow cannot be encoded.
            pieces.append("\ufffd" if "\ud800" <= text <= "\udfff" else text)
        except ValueError:
            self._over = True
        return True

    def _end_string(self, text: str) -> None:
        self._string = None
        if self._wants in _KEYS:
            self._key, self._wants = text, "colon"
        else:
            self._replace(text)
            self._after_value()

    def _show_open_string(self) -> None:
        if self._string is not None and self._wants not in _KEYS:
            text = "".join(self._string)
            self._string = [text]
            self._replace(text)

    def _put(self, value: Any) -> None:
        if not self._stack:
            self.value = value
        elif isinstance(top := self._stack[-1], dict):
            top[self._key] = value
        else:
            top.append(value)

    def _replace(self, value: Any) -> None:
        if self._stack and isinstance(top := self._stack[-1], list):
            top[-1] = value
        else:
            self._put(value)

    def _after_value(self) -> None:
        self._wants = "comma"
        self._over = not self._stack


def _escape_length(text: str) -> int:
    """How many characters the escape at the start of the text has, as far as the text tells."""
    if text[1:2] != "u":
        return 2
    # A high surrogate and, if it follows, the low one that belongs to it.
    return 12 if _HIGH.match(text) and _LOW_OR_ITS_BEGINNING.fullmatch(text[6:10]) else 6
