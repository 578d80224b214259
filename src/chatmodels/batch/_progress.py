"""How far a batch is, on standard error: a bar on a terminal, a line every few seconds elsewhere. Knows only the tally.

What others write beside the bar (log lines, warnings, prints) goes above it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, TextIO

from .._errors import UsageError
from .._flow import Flow
from ._progress_lines import LEAST_BAR, Rates, bar, fitted, parts_of
from ._progress_stream import Guard
from ._tally import Tally

#: Seconds between two plain lines, and two drawings of the bar; over how many seconds rates are taken.
LINES, BAR, RECENT = 10.0, 0.2, 30.0
#: A longer line is hard to read, and wraps where the window gets narrower.
WIDEST = 120


class Progress:
    """Shows a tally from time to time. Off, it does nothing. Without `bar` it shows lines on a terminal too."""

    def __init__(self, on: bool, stream: TextIO | None = None, *, bar: bool = True) -> None:
        self._stream: Any = sys.stderr if stream is None else stream
        self._on = on and _is_open(self._stream)
        self._bar = bar and self._on and _is_terminal(self._stream)
        self.every = BAR if self._bar else LINES
        self._began = self._shown = monotonic()
        self._seen: deque[tuple[float, int, int]] = deque([(self._began, 0, 0)])
        self._guard: Guard | None = None

    def show(self, tally: Tally) -> None:
        """Now."""
        if self._on:
            self._shown = monotonic()
            self._write(tally, last=False)

    def soon(self, tally: Tally) -> None:
        """Now, if it is time."""
        if self._on and monotonic() - self._shown >= self.every:
            self.show(tally)

    def end(self, tally: Tally) -> None:
        """The last time, with the end of the line."""
        if self._on:
            self._write(tally, last=True)
            self.leave()
            self._on = False

    def leave(self) -> None:
        """The bar goes, and the terminal is as it was; to be called whatever has happened."""
        if self._guard is not None:
            self._guard.close()
            self._guard = None

    def _write(self, tally: Tally, *, last: bool) -> None:
        parts = parts_of(tally, self._rates(tally, last))
        try:
            if not self._bar:
                self._stream.write(", ".join(text for _, text in parts) + "\n")
                self._stream.flush()
                return
            width = min(_width(self._stream), WIDEST) - 1
            text = fitted(parts, width - LEAST_BAR if tally.expected and width >= 60 else width)
            line = bar(tally, width - len(text)) + text
            if self._guard is None:
                self._guard = Guard(self._stream)
            self._guard.draw(line, last=last)
        except (OSError, ValueError):  # nobody looks any more; the batch goes on
            self.leave()
            self._on = False

    def _rates(self, tally: Tally, last: bool) -> Rates:
        """Items and tokens a second of late; at the end, of all."""
        now, fresh = monotonic(), tally.ended - tally.reused
        seen = self._seen
        seen.append((now, fresh, tally.new_tokens))
        while len(seen) > 2 and now - seen[1][0] > RECENT:
            seen.popleft()
        then, items, tokens = (self._began, 0, 0) if last else seen[0]
        seconds = max(0.001, now - then)
        return Rates(max(0, fresh - items) / seconds, max(0, tally.new_tokens - tokens) / seconds)


def _is_open(stream: Any) -> bool:
    """It is None where the shell has closed it."""
    return stream is not None


def _is_terminal(stream: Any) -> bool:
    """Can it go back to the beginning of a line?"""
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


def has_room(out: Any) -> bool:
    """May there be a bar, or do the records themselves go to the terminal?"""
    return out != "-" or not _is_open(sys.stdout) or not sys.stdout.isatty()


def _width(stream: Any) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):  # not a real one
        return shutil.get_terminal_size().columns


def checked(progress: Any) -> bool:
    """`progress=` as it is given."""
    if not isinstance(progress, bool):
        raise UsageError(f"progress is True or False, not {progress!r}", argument="progress")
    return progress


class Watched:
    """Counts the items of `ChatModel.batch(progress=True)` and its kin."""

    def __init__(self, inputs: Any) -> None:
        self.tally = Tally(len(inputs) if hasattr(inputs, "__len__") else None)
        self.progress = Progress(True)

    def many(self, many: Callable[[Any], Flow[Any]]) -> Callable[[Any], Flow[Any]]:
        """The maker of flows, each of which is counted."""
        return lambda given: self._counted(many, given)

    def _counted(self, many: Callable[[Any], Flow[Any]], given: Any) -> Flow[Any]:
        tally = self.tally
        tally.in_flight += 1
        try:
            message = yield from many(given)
        except Exception:
            tally.failed += 1
            raise
        else:
            tally.done += 1
            usage = message.usage
            if usage is not None and not message.from_cache:
                tally.new_tokens += usage.total_tokens or 0
            return message
        finally:
            tally.in_flight -= 1
            self.progress.soon(tally)

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *exc: object) -> None:
        self.progress.end(self.tally)
