"""The decoder of one streamed Gemini answer: server-sent events, or one JSON array (without `alt=sse`), told
apart by the first byte. Knows framing, and when the answer is complete; chunks are read in `_google_answer`.

The SSE form has no terminal event: the answer is complete when the bytes end and every candidate has a finish
reason (or the prompt was refused). The array is complete with its closing bracket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._errors import ProtocolError
from .._events import Event
from .._framing import SSE, JSONArray
from .._json import loads, shown
from .._schema_walk import is_array
from ._base import Decoder
from ._google_answer import Assembler

if TYPE_CHECKING:
    from .google import Google


class GoogleStream(Decoder):
    """Bytes in, events out."""

    def __init__(self, dialect: Google) -> None:
        super().__init__(dialect)
        self._answer = Assembler(dialect.provider, dialect.numbers)
        self._sse: SSE | None = None
        self._array: JSONArray | None = None
        self._cut = False

    def frames(self, data: bytes) -> list[bytes]:
        if self._sse is not None:
            return [payload for _, payload in self._sse.feed(data)]
        if self._array is not None:
            return self._array.feed(data)
        if data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[":
            self._array = JSONArray()
        else:
            self._sse = SSE()
        return self.frames(data)

    def last_frames(self) -> list[bytes]:
        if self._sse is None:
            return self._array.close() if self._array is not None else []
        last = [payload for _, payload in self._sse.close()]
        if self._sse.unterminated and last and not _is_json(last[-1]):
            self._cut = bool(last.pop().strip())
        return last

    @property
    def strays(self) -> bytes:  # type: ignore[override]
        return b"" if self._sse is None else self._sse.strays

    def frame(self, out: list[Event], frame: bytes) -> None:
        try:
            body = loads(frame)
        except ValueError as error:
            if frame.strip() in (b"", b"[DONE]"):  # gateways add it
                return
            raise ProtocolError(
                f"{self.dialect.provider}: a stream event is not JSON: {error}; it begins {shown(frame)}",
                data=frame,
                provider=self.dialect.provider,
            ) from error
        for chunk in body if is_array(body) else (body,):
            self._answer.chunk(out, chunk)

    def finish(self, out: list[Event]) -> bool:
        if self._cut or (self._array is not None and not self._array.closed):
            return False
        return self._answer.finish(out)


def _is_json(payload: bytes) -> bool:
    try:
        loads(payload)
    except ValueError:
        return payload.strip() == b"[DONE]"
    return True
