"""Framing: the bytes of a streamed body in, whole frames out, however the network cut them.

Owns incremental parsers of one shape, `feed(data) -> list of frames` and `close() -> list of frames`: those
for text here, the one for AWS's binary frames in `_framing_aws`. One parser serves one stream. Knows nothing
of JSON values, dialects, events of ours, or I/O.

Costs are linear in the bytes fed, for any cut. Memory is bounded by `limit`, the size of one frame in bytes.
An error costs no frame that came before it: these are returned first, and the next call raises. After an
error a parser stays in it: every further call raises the same error.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sized
from itertools import repeat
from typing import Generic, Literal, TypeVar

from chatmodels._errors import ProtocolError, UsageError
from chatmodels._framing_aws import AWSEventStream, HeaderValue

__all__ = ["LIMIT", "SSE", "AWSEventStream", "HeaderValue", "JSONArray", "JSONLines"]

#: Default size limit of one frame: 64 MiB. A picture in the largest size is some 30 MB of base64, in one event.
LIMIT = 64 * 1024 * 1024

_T = TypeVar("_T")
_BOM = b"\xef\xbb\xbf"
#: So much is kept of the lines that are no fields, in bytes.
_STRAYS = 4000
_LONE_CR = re.compile(rb"\r(?!\n)")
_NAMED = re.compile(rb"^event: (.*)\ndata: (.*)(?:\n\n|\Z)", re.MULTILINE)


class _Framing:
    """What the parsers share: the bytes kept back, the limit, the byte order mark, the error state."""

    def __init__(self, limit: int = LIMIT) -> None:
        if limit < 1:
            raise UsageError(f"limit must be at least 1 byte, not {limit}", argument="limit")
        self._limit = limit
        self._buffer: bytearray = bytearray()
        self._error: ProtocolError | None = None
        # True while the next bytes need more than the usual look: for a byte order mark, or after an error.
        self._fresh = True

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _begin(self, data: bytes) -> bytes:
        """`data` without the byte order mark; b"" while the bytes so far may still become one."""
        self._check()
        data = bytes(self._buffer) + data
        self._buffer.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._buffer += data
            return b""
        self._fresh = False
        return data.removeprefix(_BOM)

    def _fail(self, text: str, data: bytes | bytearray, frames: Sized) -> None:
        """Enter the error state, and raise unless there are frames to hand out first."""
        self._fresh = True
        self._error = ProtocolError(text, data=bytes(data[:2000]))
        self._buffer.clear()
        if not frames:
            raise self._error

    def _too_large(self, what: str) -> str:
        return f"{what} is larger than the limit of {self._limit} bytes"


class _Blocks(_Framing, ABC, Generic[_T]):
    """Text frames that a separator of one or two LF ends."""

    _separator: bytes
    _cr_ends_line: bool
    _what: str

    def __init__(self, limit: int = LIMIT) -> None:
        super().__init__(limit)
        #: True when `close` returned a last frame whose end the input did not mark.
        self.unterminated = False
        self._after_cr = False

    def feed(self, data: bytes) -> list[_T]:
        """The frames that `data` completes."""
        if self._fresh and not (data := self._begin(data)):
            return []
        if self._after_cr or (13 in data and self._cr_ends_line):
            data = self._to_lf(data)
        buffer = self._buffer
        end = data.rfind(self._separator)
        if end >= 0:
            body, after = data[:end], end + len(self._separator)
            if buffer:
                body = bytes(buffer) + body
                buffer.clear()
        elif data.startswith(b"\n") and buffer.endswith(b"\n"):
            body, after = bytes(buffer)[:-1], 1
            buffer.clear()
        else:
            buffer += data
            return self._bounded([])
        if after == len(data) and len(body) <= self._limit:
            return self._frames(body)
        buffer += data[after:]
        return self._bounded(self._sized(body))

    def close(self) -> list[_T]:
        """End of input: the last frame, `unterminated`, if no separator came after it; else nothing."""
        self._check()
        found = self._sized(bytes(self._buffer))
        self._buffer.clear()
        self.unterminated = bool(found)
        return found

    def _to_lf(self, data: bytes) -> bytes:
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if data.endswith(b"\r"):
            self._after_cr = True
            return _line_ends_to_lf(data[:-1]) + b"\n"
        return _line_ends_to_lf(data)

    @abstractmethod
    def _frames(self, body: bytes) -> list[_T]:
        """The frames of the blocks of `body`, which lacks the last separator."""

    def _bounded(self, found: list[_T]) -> list[_T]:
        # The buffer may hold an LF before the block and the one after its last line.
        if len(self._buffer) > self._limit + 2:
            self._fail(self._too_large(self._what), self._buffer, found)
        return found

    def _sized(self, body: bytes) -> list[_T]:
        if len(body) <= self._limit:
            return self._frames(body)
        found: list[_T] = []
        for block in body.split(self._separator):
            if len(block.strip(b"\n")) > self._limit:
                self._fail(self._too_large(self._what), block, found)
                break
            found += self._frames(block)
        return found


def _line_ends_to_lf(data: bytes) -> bytes:
    # Deleting every CR is many times as fast as replacing pairs, so first see whether all are in pairs.
    if _LONE_CR.search(data) is None:
        return data.replace(b"\r", b"")
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


class SSE(_Blocks[tuple[bytes, bytes]]):
    """`text/event-stream` by https://html.spec.whatwg.org/multipage/server-sent-events.html (2026-11).

    Frames are (event name, data): the name is b"" where the stream gives none (it then means "message"), the
    data lines are joined with LF and stay UTF-8. `id`, `retry`, comments and unknown fields are skipped; an
    event without a data line is no event. An event comes out as soon as its blank line is complete: a CR ends
    a line at once, and an LF that begins the next piece belongs to it.

    Unlike a browser, `close` returns the event that the end of input cut short, and sets `unterminated`: some
    providers leave out the last blank line. Whether its data is whole is for the reader to find out.

    The size of an event is that of all its lines, comments too; beyond `limit` it is a `ProtocolError`.
    """

    _separator = b"\n\n"
    _cr_ends_line = True
    _what = "one event of the stream"
    #: How the lines begin that are no field: a server that fails may write a bare error into its stream.
    strays = b""

    def _frames(self, body: bytes) -> list[tuple[bytes, bytes]]:
        # Two usual forms at the speed of C: all events are one data line, or all are a name line and a data
        # line. The count of line ends shows that there is nothing else.
        if body.startswith(b"data: "):
            if 10 not in body:
                return [(b"", body[6:])]
            payloads = body.split(b"\n\ndata: ")
            payloads[0] = payloads[0][6:]
            if body.count(b"\n") == 2 * len(payloads) - 2:
                return list(zip(repeat(b""), payloads))
        elif body.startswith(b"event: "):
            pairs: list[tuple[bytes, bytes]] = _NAMED.findall(body)
            if body.count(b"\n") == 3 * len(pairs) - 2:
                return pairs
        return [event for block in body.split(b"\n\n") if (event := self._event(block)) is not None]

    def _event(self, block: bytes) -> tuple[bytes, bytes] | None:
        name = b""
        data: list[bytes] = []
        for line in block.split(b"\n"):
            field, _, value = line.partition(b":")
            if field == b"data":
                data.append(value.removeprefix(b" "))
            elif field == b"event":
                name = value.removeprefix(b" ")
            elif field not in (b"", b"id", b"retry") and len(self.strays) < _STRAYS:
                self.strays = (self.strays + line + b"\n")[:_STRAYS]
        return (name, b"\n".join(data)) if data else None


class JSONLines(_Blocks[bytes]):
    """NDJSON: one JSON value per line, ended by LF or CRLF. Frames are lines without the white space around.

    Blank lines are skipped. A line beyond `limit` is a `ProtocolError`.
    """

    _separator = b"\n"
    _cr_ends_line = False
    _what = "one line of the stream"

    def _frames(self, body: bytes) -> list[bytes]:
        return [line for raw in body.split(b"\n") if (line := raw.strip())]


# No group repeats without a bound: the matcher would keep a way back for each round, and the possessive kind,
# which keeps none, is broken for groups before Python 3.11.5. Where a bound stops a match, the loops go on.
_SPACE = re.compile(rb"[ \t\r\n]*+")
_SCALAR = re.compile(rb'[^ \t\r\n,:"\[\]{}]*+')
_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+){0,64}', re.DOTALL)
_TO_BRACKET = re.compile(rb'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+){0,64}"[^"\[\]{}]*+){0,64}', re.DOTALL)


def _skip(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    match = pattern.match(data, at)
    return at if match is None else match.end()


class JSONArray(_Framing):
    """The elements of one top-level JSON array, `[{...},{...}]`, each as soon as its last byte is there.

    A number or literal is whole only when the byte after it came. Brackets are counted and strings respected;
    whether an element is good JSON is for the reader to find out. Anything but an array, bytes after it, or
    an element beyond `limit` raise `ProtocolError`.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        super().__init__(limit)
        #: True once the final `]` came: without it the input was cut.
        self.closed = False
        self._next: Literal["[", "value or ]", "value", ", or ]", "end"] = "["
        self._inside: Literal["", "scalar", "brackets or string"] = ""
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, data: bytes) -> list[bytes]:
        """The elements that `data` completes."""
        if self._fresh and not (data := self._begin(data)):
            return []
        found: list[bytes] = []
        at = 0
        while at < len(data) and self._error is None:
            at = self._element(data, at, found) if self._inside else self._between(data, at, found)
        return found

    def close(self) -> list[bytes]:
        """End of input: nothing. An element that is still open is not whole; see `closed`."""
        self._check()
        self._buffer.clear()
        return []

    def _between(self, data: bytes, at: int, found: list[bytes]) -> int:
        at = _skip(_SPACE, data, at)
        match self._next, data[at : at + 1]:
            case _, b"":
                return at
            case "[", b"[":
                self._next = "value or ]"
            case ", or ]", b",":
                self._next = "value"
            case ((", or ]" | "value or ]"), b"]"):
                self._next, self.closed = "end", True
            case (("value or ]" | "value"), byte) if byte not in b",:]}":
                return self._start(byte, at)
            case due, byte:
                self._fail(f"not a JSON array: {due} was due, {byte!r} came", data[at : at + 2000], found)
        return at + 1

    def _start(self, byte: bytes, at: int) -> int:
        self._next = ", or ]"
        self._inside = "brackets or string" if byte in b'"[{' else "scalar"
        self._in_string = byte == b'"'
        if self._in_string:
            self._buffer += byte
            return at + 1
        return at

    def _element(self, data: bytes, start: int, found: list[bytes]) -> int:
        if self._inside == "scalar":
            at = _skip(_SCALAR, data, start)
            whole = at < len(data)
        else:
            at, whole = self._nested(data, start)
        if len(self._buffer) + at - start > self._limit:
            self._fail(self._too_large("one element of the array"), self._buffer + data[start:at], found)
        elif whole:
            found.append(bytes(self._buffer) + data[start:at])
            self._buffer.clear()
            self._inside = ""
        else:
            self._buffer += data[start:at]
        return at

    def _nested(self, data: bytes, at: int) -> tuple[int, bool]:
        """Where the element's bytes in `data` end, and whether the element does."""
        while True:
            if self._in_string:
                at = self._string(data, at)
                if self._in_string or not self._depth:
                    return at, not self._in_string
            at = _skip(_TO_BRACKET, data, at)
            if at == len(data):
                return at, False
            at += 1
            match data[at - 1 : at]:
                case b'"':
                    self._in_string = True
                case b"[" | b"{":
                    self._depth += 1
                case _:
                    self._depth -= 1
                    if not self._depth:
                        return at, True

    def _string(self, data: bytes, at: int) -> int:
        """How far the open string goes in `data`, its closing quote included."""
        if self._escaped and at < len(data):
            self._escaped = False
            at += 1
        at = _skip(_STRING, data, at)
        if at == len(data):
            return at
        # A backslash, when the bound is reached, or when what it escapes is in the next piece.
        self._escaped = data[at : at + 1] == b"\\"
        self._in_string = self._escaped
        return at + 1
