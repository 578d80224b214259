"""Items of JSON files: a line each, or one array of them all, which is read piece by piece. Knows no names of files."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from .._errors import UsageError
from .._json import is_array as is_list
from .._json import is_object, loads
from ._filled import FIELDS, Broken, Prompt

#: Bytes that are read at once of an array.
_PIECE = 1 << 16
_read = json.JSONDecoder().raw_decode
_BETWEEN = re.compile(r"[\s,]*")


def jsonl(file: BinaryIO, prompt: Prompt | None = None) -> Iterator[Any]:
    """The items, in turn. A line that is none is a `Broken`."""
    return _items(file) if prompt is None else map(prompt.of, _items(file))


def _items(file: BinaryIO) -> Iterator[Any]:
    first = True
    for number, line in enumerate(file, 1):
        text = line.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else line.strip()
        if not text:
            continue
        found = _of_line(text, number)
        if first and is_array(text):
            yield from _array(text, file)
            return
        if first:
            _one_a_line(text)
        first = False
        yield found


def _of_line(line: bytes, number: int) -> Any:
    try:
        line.decode("utf-8")
        found = loads(line)
    except UnicodeDecodeError as error:
        return Broken(line, f"line {number} is not UTF-8: {error}")
    except ValueError as error:
        return Broken(line, f"line {number} is not JSON: {error}")
    return _checked(found, line, f"line {number}")


def _checked(found: Any, raw: bytes, where: str) -> Any:
    if isinstance(found, str) or is_object(found) or is_list(found):
        return found
    return Broken(raw, f"{where} is neither an object, a text nor a list of messages")


def is_array(line: bytes) -> bool:
    """Does this first line begin an array of all items? One that is whole may be a list of messages: a single item."""
    if not line.startswith(b"["):
        return False
    try:
        found = loads(line)
    except ValueError:
        return line in (b"[", b"[{") or line.endswith(b",")
    return any(is_object(one) and "role" not in one and FIELDS & set(one) for one in found)


def _one_a_line(text: bytes) -> None:
    """A file that is one object over many lines is the caller's mistake, and not that of items."""
    if text == b"{":
        raise UsageError(
            "the file has JSON objects over many lines; JSON lines has one item on each line: jq -c . in.json > in.jsonl",
            argument="items",
        )


def _array(first: bytes, file: BinaryIO) -> Iterator[Any]:
    """The elements of an array whose first line has been read. What is kept is what has been read and not given out."""
    data, number = _Text(first[1:] + b"\n", file), 0
    while True:
        data.skip(_BETWEEN)
        if data.text.startswith("]", data.at):
            return
        number += 1
        found = _element(data, number)
        yield _checked(found, repr(found).encode(), f"item {number} of the array")


def _element(data: _Text, number: int) -> Any:
    while True:
        try:
            found, data.at = _read(data.text, data.at)
        except ValueError as error:
            if not data.more():
                raise UsageError(
                    f"the file is a JSON array that cannot be read at its item {number}: {error.args[0]}. Of JSON lines, an "
                    "item on each line, only that item would be lost: jq -c '.[]' in.json > in.jsonl",
                    argument="items",
                ) from error
        else:
            return found


class _Text:
    """A window over a file's text: what has been read and not used."""

    def __init__(self, begin: bytes, file: BinaryIO) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._file, self.at, self.text = file, 0, self._decode(begin)

    def skip(self, what: re.Pattern[str]) -> None:
        while True:
            found = what.match(self.text, self.at)
            self.at = self.at if found is None else found.end()
            if self.at < len(self.text) or not self.more():
                return

    def more(self) -> bool:
        """Read on, as much as there is again, so that a long element is not tried too often. False at the end."""
        read = self._file.read(max(_PIECE, len(self.text) - self.at))
        try:
            self.text, self.at = self.text[self.at :] + self._decode(read, final=not read), 0
        except UnicodeDecodeError as error:
            raise UsageError(f"the file is not UTF-8: {error}", argument="items") from error
        return bool(read)
