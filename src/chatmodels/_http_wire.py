"""HTTP/1.1 as bytes: a request's head out, a response's head in, and the framing taken off its body (RFC 9112). Pure.

Knows no socket, no clock, no TLS and no provider. What breaks the protocol is a ProtocolError; a body that the end of
the connection cut short is a TransportError.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any

from ._errors import ProtocolError, TransportError, UsageError

#: Larger heads are refused. Real ones have up to some 20 kB (content security policies, cookies).
HEAD_LIMIT = 256 * 1024
#: A line that gives the size of a chunk, with its extensions.
LINE_LIMIT = 16 * 1024

#: Whole bodies are read into memory up to this size; the files of a provider's batch are the largest.
BODY_LIMIT = 1024 * 1024 * 1024

_STATUS = re.compile(rb"HTTP/1\.([01]) +([1-9]\d\d)(?: |\r|\n|$)")
_NOT_IN_A_TARGET = re.compile(r"[^\x21-\x7e]")
_NOT_IN_A_HEADER = re.compile(r"[\r\n\x00]")


def request_head(method: str, target: str, host: str, headers: Mapping[str, str], length: int) -> bytes:
    """The head of a request, up to the body."""
    if _NOT_IN_A_TARGET.search(target):
        raise UsageError(f"a URL cannot carry {target!r}: percent-encode it", argument="base_url")
    head = _head(method, target, host, headers, length)
    if head is None:
        bad = next((n for n, v in headers.items() if not (n + v).isascii() or _NOT_IN_A_HEADER.search(n + v)), "")
        raise UsageError(
            f"the header {bad!r} holds a line break or a character that HTTP cannot carry", argument="extra_headers"
        )
    return head


def _head(method: str, target: str, host: str, headers: Mapping[str, str], length: int) -> bytes | None:
    # Nothing is raised in here: the keys would show among the variables of the traceback.
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}", f"content-length: {length}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(lines)
    breaks = len(lines) - 1
    if head.count("\n") != breaks or head.count("\r") != breaks or "\0" in head:
        return None
    try:
        return head.encode("latin-1") + b"\r\n\r\n"
    except UnicodeEncodeError:
        return None


class Head:
    """The head of a response. Header names are lower case; values of the same name are joined with commas."""

    __slots__ = ("headers", "http_1_0", "status")

    def __init__(self, status: int, headers: dict[str, str], http_1_0: bool) -> None:
        self.status = status
        self.headers = headers
        self.http_1_0 = http_1_0

    @property
    def keeps_alive(self) -> bool:
        """May the connection serve again, once the body is read?"""
        said = self.headers.get("connection", "").lower()
        return "keep-alive" in said if self.http_1_0 else "close" not in said


def response_head(data: bytes) -> tuple[Head, bytes] | None:
    """The head at the start of `data` and what follows; None while it is not whole. Interim heads (1xx) are dropped."""
    while True:
        end, after = _blank_line(data)
        if end < 0:
            if len(data) > HEAD_LIMIT or (len(data) > 16 and not data.startswith(b"HTTP/1.")):
                raise _not_http(data)
            return None
        head = _parse(data[:end])
        data = data[after:]
        if head.status >= 200 or head.status == 101:
            return head, data


def _blank_line(data: bytes) -> tuple[int, int]:
    """Where the line before the first blank line ends, and where that one does; -1 while there is none."""
    end = data.find(b"\n\r\n")
    bare = data.find(b"\n\n", 0, end if end >= 0 else len(data))
    return (bare, bare + 2) if bare >= 0 else (end, end + 3)


def _parse(block: bytes) -> Head:
    found = _STATUS.match(block)
    if found is None:
        raise _not_http(block)
    headers: dict[str, str] = {}
    name = ""
    for line in block.decode("latin-1").split("\n")[1:]:
        if line[:1] in (" ", "\t"):  # a folded line (obsolete) goes on with the value before it
            if name:
                headers[name] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise ProtocolError("the head of the response holds a line that is no header", data=block)
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Head(int(found[2]), headers, found[1] == b"0")


def _not_http(data: bytes) -> ProtocolError:
    return ProtocolError("what came is no HTTP/1.1 response: is there another service at that address?", data=data)


def too_large(limit: int) -> ProtocolError:
    """The error of a body, uncompressed, that is larger than anything that can be meant."""
    error = ProtocolError(f"the answer is larger than {limit} bytes")
    error.retryable = False
    return error


class Body:
    """Takes the framing off a response's body, and gzip or deflate where the server compressed unasked.

    `done` says that all has come, `reusable` that the connection may then serve again.
    """

    __slots__ = ("_chunks", "_inflate", "_left", "done", "reusable")

    def __init__(self, head: Head) -> None:
        headers = head.headers
        self.reusable = head.keeps_alive
        self._chunks: Chunked | None = None
        self._left: int | None = None
        self._inflate = _inflate_of(headers.get("content-encoding", ""))
        coding = headers.get("transfer-encoding")
        if head.status in (204, 304):
            self._left = 0
        elif coding is not None:
            if coding.lower() != "chunked":
                raise ProtocolError(f"the response's transfer coding {coding!r} is not chunked")
            self._chunks = Chunked()
            if head.http_1_0 or "content-length" in headers:
                self.reusable = False
        elif "content-length" in headers:
            self._left = _length(headers["content-length"])
        else:
            self.reusable = False
        self.done = self._left == 0

    def feed(self, raw: bytes) -> bytes:
        """The payload in these bytes."""
        if self._chunks is not None:
            data = self._chunks.feed(raw)
            self.done = self._chunks.done
            if self._chunks.surplus:
                self.reusable = False
        elif self._left is None:
            data = raw
        else:
            if len(raw) > self._left:
                raw, self.reusable = raw[: self._left], False
            self._left -= len(raw)
            self.done = not self._left
            data = raw
        if self._inflate is not None:
            data = self._inflate.feed(data)
            if self.done:
                self._inflate.end()
        return data

    def end(self) -> None:
        """The peer has closed the connection."""
        if self._chunks is not None or self._left:
            raise TransportError("the connection was closed in the middle of the answer", phase="read")
        if self._inflate is not None:
            self._inflate.end()
        self.done = True


def _length(said: str) -> int:
    numbers = {n.strip() for n in said.split(",")}
    number = numbers.pop()
    if numbers or not number.isascii() or not number.isdigit():
        raise ProtocolError(f"the response's content-length is {said[:100]!r}")
    return int(number)


class Chunked:
    """Takes the chunk framing off (RFC 9112, section 7.1). Trailers are dropped; `surplus` came after the end."""

    __slots__ = ("_buffer", "_left", "_trailer", "done", "surplus")

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0  # bytes of the current chunk that are still to come, with its line end
        self._trailer = False
        self.done = False
        self.surplus = b""

    def feed(self, raw: bytes) -> bytes:
        """The payload in these bytes; `done` after the last chunk."""
        data = self._buffer + raw if self._buffer else raw
        self._buffer = b""
        out: list[bytes] = []
        at = self._rest(data, out) if self._left else 0
        size = len(data)
        while at < size and not self._trailer:
            line_end = data.find(b"\n", at)
            if line_end < 0:
                break
            length = _chunk_size(data, at, line_end)
            at = line_end + 1
            end = at + length
            if end + 2 <= size and length:
                if data[end : end + 2] != b"\r\n":
                    raise _broken(data[end : end + 2])
                out.append(data[at:end])
                at = end + 2
            elif length:
                self._left = length + 2
                at += self._rest(data[at:], out)
            else:
                self._trailer = True
        if at < size:
            self._keep(data[at:])
        return out[0] if len(out) == 1 else b"".join(out)

    def _rest(self, data: bytes, out: list[bytes]) -> int:
        """Take from `data` what belongs to the open chunk -> how much that is."""
        take = min(self._left, len(data))
        payload = min(take, max(0, self._left - 2))
        if payload:
            out.append(data[:payload])
        line_end = b"\r\n"[max(0, 2 - self._left) :]
        if not line_end.startswith(data[payload:take]):
            raise _broken(data[payload:take])
        self._left -= take
        return take

    def _keep(self, rest: bytes) -> None:
        """What is not understood yet: a part of a line, or the trailers."""
        while self._trailer and not self.done:
            line, found, after = rest.partition(b"\n")
            if not found:
                break
            self.done, rest = line in (b"", b"\r"), after
        if self.done:
            self.surplus = rest
        elif len(rest) > LINE_LIMIT:
            raise _broken(rest)
        else:
            self._buffer = rest


def _chunk_size(data: bytes, start: int, end: int) -> int:
    line = data[start:end]
    try:
        size = int(line.partition(b";")[0] if b";" in line else line, 16)
    except ValueError:
        raise _broken(line) from None
    if size < 0:
        raise _broken(line)
    return size


def _broken(data: bytes) -> ProtocolError:
    return ProtocolError("the chunk framing of the response is broken", data=data)


class _Inflate:
    """gzip (several members too) and deflate, with its zlib header or, as some servers have it, without."""

    def __init__(self) -> None:
        self._zip: Any = None
        self._start = b""

    def feed(self, data: bytes) -> bytes:
        out = b""
        try:
            while data:
                if self._zip is None:
                    self._start += data
                    if len(self._start) < 2:
                        break
                    data, self._start = self._start, b""
                    self._zip = zlib.decompressobj(_window_of(data))
                out += self._zip.decompress(data)
                data = self._zip.unused_data
                if self._zip.eof and data:
                    self._zip = None
        except zlib.error as error:
            raise ProtocolError(f"the compressed answer is broken: {error}", data=data) from error
        return out

    def end(self) -> None:
        if self._start or (self._zip is not None and not self._zip.eof):
            raise TransportError("the compressed answer is not whole", phase="read")


def _window_of(data: bytes) -> int:
    if data[:2] == b"\x1f\x8b":
        return zlib.MAX_WBITS | 16
    zlib_header = data[0] & 15 == 8 and (data[0] * 256 + data[1]) % 31 == 0
    return zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS


def _inflate_of(coding: str) -> _Inflate | None:
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return None
    if coding in ("gzip", "x-gzip", "deflate"):
        return _Inflate()
    raise ProtocolError(f"the answer is compressed with {coding[:40]!r}, though nobody asked for that")
