"""One line at the foot of a terminal, which what others write does not break: it goes before them and comes back after them.

Knows streams and terminals, no batches.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

#: Nothing after this on the line; and nothing on it at all.
END = "\x1b[K"
CLEAR = "\r" + END


class Guard:
    """Stands around `write` of the terminal's streams while a line is drawn on it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._own = stream.write
        self._lock = threading.RLock()
        self._drawn = False
        self._whole = True  # has what others wrote ended with its line?
        self._guarded = [pair for s in _same_window(stream) if (pair := _guard(s, self)) is not None]

    def draw(self, line: str, *, last: bool) -> None:
        """The line, in place of the one before; the last one stays."""
        with self._lock:
            if not self._whole and not last:
                return  # somebody is in the middle of a line
            self._own(("\r" if self._whole else "\n") + line + END + ("\n" if last else ""))
            self._stream.flush()
            self._drawn = not last
            self._whole = True

    def others(self, write: Any, text: str) -> Any:
        """Somebody else writes."""
        with self._lock:
            if text and self._drawn:
                self._own(CLEAR)
                self._stream.flush()
                self._drawn = False
            result = write(text)
            if text:
                self._whole = text.endswith("\n")
            return result

    def close(self) -> None:
        """The line goes; the streams are as they were."""
        with self._lock:
            for stream, mine in self._guarded:
                if stream.__dict__.get("write") is mine:  # else somebody has put something else there since
                    del stream.write
            self._guarded = []
            if self._drawn:
                self._drawn = False
                try:
                    self._own(CLEAR)
                    self._stream.flush()
                except (OSError, ValueError):
                    return  # the window is closed


def _same_window(stream: Any) -> list[Any]:
    """The stream, and standard output where it is a terminal too."""
    out: Any = sys.stdout
    return [stream] if out is stream or out is None or not out.isatty() else [stream, out]


def _guard(stream: Any, guard: Guard) -> tuple[Any, Any] | None:
    write = stream.write

    def guarded(text: str) -> Any:
        return guard.others(write, text)

    try:
        stream.write = guarded
    except AttributeError:  # a stream of a kind that takes none: then lines may mix
        return None
    return stream, guarded
