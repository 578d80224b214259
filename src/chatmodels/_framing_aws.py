"""Framing of AWS event streams: bytes in, whole binary frames out, however the network cut them.

Owns the frame layout, its checksums and header values. Knows nothing of the services that use it, nor of I/O.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError
from zlib import crc32

from chatmodels._errors import ProtocolError, UsageError

__all__ = ["AWSEventStream", "HeaderValue"]

HeaderValue = str | int | bool | bytes

_LIMIT = 64 * 1024 * 1024
_PRELUDE = Struct(">III")
_CRC = Struct(">I")
_LENGTH = Struct(">H")
#: Layout of the header values of fixed size, by type byte.
_FIXED = {
    2: Struct("b"),
    3: Struct(">h"),
    4: Struct(">i"),
    5: Struct(">q"),
    8: Struct(">q"),
    9: Struct("16s"),
}


class AWSEventStream:
    """`application/vnd.amazon.eventstream`, the binary frames of AWS, both checksums checked.

    Frames are (headers, payload). Header values by wire type: bool (0, 1), int (2-5), bytes (6), str (7), a
    timestamp as int milliseconds since 1970 (8), a UUID as its 16 bytes (9). A wrong checksum or length, a
    header block that does not parse, and a frame whose stated length is beyond `limit` raise `ProtocolError`.

    Source: https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html (2026-11).
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        if limit < 1:
            raise UsageError(f"limit must be at least 1 byte, not {limit}", argument="limit")
        self._limit = limit
        self._buffer = bytearray()
        self._error: ProtocolError | None = None
        self._need = _PRELUDE.size
        # Most frames of a stream have the same headers as the one before: their bytes, and what these say.
        self._block = b""
        self._headers: dict[str, HeaderValue] = {}

    @property
    def pending(self) -> int:
        """The number of bytes that are no whole frame yet: above 0 at the end of input, it was cut."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[tuple[dict[str, HeaderValue], bytes]]:
        """The frames that `data` completes."""
        if self._error is not None:
            raise self._error
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._need:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        found: list[tuple[dict[str, HeaderValue], bytes]] = []
        at = 0
        self._need = _PRELUDE.size
        try:
            while len(data) - at >= _PRELUDE.size:
                size, headers_size = self._sizes(data, at)
                if len(data) - at < size:
                    self._need = size
                    break
                found.append(self._frame(data[at : at + size], headers_size))
                at += size
        except ProtocolError as error:
            self._error = error
            if not found:
                raise
        finally:
            self._buffer += data[at:]
        return found

    def close(self) -> list[tuple[dict[str, HeaderValue], bytes]]:
        """End of input: nothing, whatever is `pending`; an error that `feed` has held back is raised here."""
        if self._error is not None:
            raise self._error
        return []

    def _sizes(self, data: bytes, at: int) -> tuple[int, int]:
        size, headers_size, crc = _PRELUDE.unpack_from(data, at)
        head = data[at : at + _PRELUDE.size]
        if crc32(head[:8]) != crc:
            raise ProtocolError("wrong checksum of the prelude of an AWS event stream frame", data=head)
        if headers_size > size - _PRELUDE.size - _CRC.size:
            raise ProtocolError(f"an AWS event stream frame of {size} bytes cannot be", data=head)
        if size > self._limit:
            raise ProtocolError(
                f"an AWS event stream frame of {size} bytes is larger than the limit of {self._limit} bytes",
                data=head,
            )
        return size, headers_size

    def _frame(self, frame: bytes, headers_size: int) -> tuple[dict[str, HeaderValue], bytes]:
        payload_at, payload_end = _PRELUDE.size + headers_size, len(frame) - _CRC.size
        if crc32(frame[:payload_end]) != _CRC.unpack_from(frame, payload_end)[0]:
            raise ProtocolError("wrong checksum of an AWS event stream frame", data=frame)
        block = frame[_PRELUDE.size : payload_at]
        if block != self._block:
            self._block, self._headers = block, _headers(block)
        return self._headers.copy(), frame[payload_at:payload_end]


def _headers(block: bytes) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    at = 0
    try:
        while at < len(block):
            end = at + 1 + block[at]
            name = str(block[at + 1 : end], "utf-8")
            if name in headers:
                raise ProtocolError(f"an AWS event stream frame has two headers {name!r}", data=block)
            headers[name], at = _header_value(block, end)
    except (IndexError, KeyError, StructError, UnicodeDecodeError) as cause:
        raise ProtocolError("the headers of an AWS event stream frame do not parse", data=block) from cause
    return headers


def _header_value(block: bytes, at: int) -> tuple[HeaderValue, int]:
    kind = block[at]
    at += 1
    if kind in (6, 7):
        start = at + _LENGTH.size
        end = start + _LENGTH.unpack_from(block, at)[0]
        if end > len(block):
            raise IndexError(end)
        return str(block[start:end], "utf-8") if kind == 7 else block[start:end], end
    if kind in (0, 1):
        return kind == 0, at
    layout = _FIXED[kind]
    return layout.unpack_from(block, at)[0], at + layout.size
