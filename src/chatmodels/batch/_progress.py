"""How far a batch is, on standard error: a bar on a terminal, a line every few seconds elsewhere. Knows only the tally."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from time import monotonic
from typing import Any, TextIO

from .._errors import UsageError
from .._flow import Flow
from ._tally import Tally

#: Seconds between two plain lines, and two drawings of the bar.
LINES, BAR = 10.0, 0.2


class Progress:
    """Shows a tally from time to time. Off, it does nothing."""

    def __init__(self, on: bool, stream: TextIO | None = None) -> None:
        self._stream: Any = sys.stderr if stream is None else stream
        self._on = on and _is_open(self._stream)
        self._bar = self._on and _is_terminal(self._stream)
        self.every = BAR if self._bar else LINES
        self._began = self._shown = monotonic()
        self._drawn = False

    def show(self, tally: Tally) -> None:
        """Now."""
        if self._on:
            self._shown = monotonic()
            self._write(tally, "\r" if self._bar else "", "\x1b[K" if self._bar else "\n")
            self._drawn = self._bar

    def soon(self, tally: Tally) -> None:
        """Now, if it is time."""
        if self._on and monotonic() - self._shown >= self.every:
            self.show(tally)

    def end(self, tally: Tally) -> None:
        """The last time, with the end of the line."""
        if self._on:
            self._write(tally, "\r" if self._bar else "", "\x1b[K\n" if self._bar else "\n")
            self._drawn = False

    def _write(self, tally: Tally, before: str, after: str) -> None:
        text = line(tally, max(1e-9, monotonic() - self._began))
        if self._bar:
            width = shutil.get_terminal_size().columns
            text = (_bar(tally, width - len(text) - 2) + text)[: width - 1]
        try:
            self._stream.write(before + text + after)
            self._stream.flush()
        except (OSError, ValueError):  # nobody looks any more; the batch goes on
            self._on = False


def _is_open(stream: Any) -> bool:
    """It is None where the shell has closed it."""
    return stream is not None


def _is_terminal(stream: Any) -> bool:
    return bool(stream.isatty())


def line(tally: Tally, seconds: float) -> str:
    """`1,200/5,000 done, 3 failed, 50 in flight, 5,400 tokens/s, $1.20, 12 s left`"""
    of = "" if tally.expected is None else f"/{tally.expected:,}"
    parts = [f"{tally.ended:,}{of} done"]
    if tally.failed:
        parts.append(f"{tally.failed:,} failed")
    if tally.in_flight:
        parts.append(f"{tally.in_flight:,} in flight")
    fresh = tally.ended - tally.reused
    parts.append(f"{fresh / seconds:,.1f}/s")
    if tally.new_tokens:
        parts.append(f"{tally.new_tokens / seconds:,.0f} tokens/s")
    if tally.cost is not None:
        parts.append(f"${tally.cost:,.2f}")
    if tally.expected is not None and fresh and tally.ended < tally.expected:
        parts.append(f"{_time((tally.expected - tally.ended) * seconds / fresh)} left")
    return ", ".join(parts)


def _bar(tally: Tally, width: int) -> str:
    if not tally.expected or width < 10:
        return ""
    width = min(width - 3, 40)
    full = min(width, int(width * tally.ended / tally.expected))
    return f"[{'#' * full}{'.' * (width - full)}] "


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


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
