"""Watching calls: OpenTelemetry, standard logging, and a local log that can be searched and run again.

    from chatmodels import telemetry
    telemetry.instrument()      # OpenTelemetry spans, metrics and events (extra: otel)
    telemetry.log_calls()       # a line for each call to the logger "chatmodels"
    telemetry.log_to()          # each call into a local SQLite file: `chatmodels logs`

Each is for every call of the process until it is taken back, and none holds content or secrets unless it is told to hold content.
What watches never breaks a call: its own errors are logged.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._run_tools_watch import ToolSeen
from ._watch import Observer, Seen, ToolObserver, watch

if TYPE_CHECKING:
    from ._book import CallLog

__all__ = ["Observer", "Seen", "ToolObserver", "ToolSeen", "instrument", "log_calls", "log_to", "uninstrument", "watch"]

_instrumented: list[Observer] = []


def instrument(
    *,
    tracer_provider: Any = None,
    meter_provider: Any = None,
    logger_provider: Any = None,
    content: bool | str | None = None,
) -> None:
    """Tell OpenTelemetry of every call: a span, metrics and an event by the GenAI semantic conventions; and of each tool run.

    The providers are OpenTelemetry's; None means the global ones. `content` says where the messages go: False (nowhere),
    "span", "event", or True (both); None reads OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT, and means nowhere without
    it. Calling it again replaces what was set up before. Needs the extra `otel`.
    """
    from ._otel import OTel

    made = OTel(tracer_provider, meter_provider, logger_provider, content)
    uninstrument()
    _instrumented.append(made)
    watch(made)


def uninstrument() -> None:
    """Take `instrument` back."""
    while _instrumented:
        watch(_instrumented.pop(), on=False)


def log_calls(
    logger: logging.Logger | str = "chatmodels", level: int = logging.INFO, *, content: bool = False, on: bool = True
) -> None:
    """Write a line for each call to a standard logger, at WARNING where it failed; `extra={"chatmodels": {...}}` has the figures.

    With `content` the first 500 characters of the last message and of the answer are in it, what looks like a key masked.
    `on=False` takes it back for that logger.
    """
    from ._lines import Lines

    named = logging.getLogger(logger) if isinstance(logger, str) else logger
    watch(Lines(named, level, content), on=on)


def log_to(path: str | Path | None = None, *, keep: int | None = None, on: bool = True) -> CallLog:
    """Write each call, content and all, into a local SQLite file (None: the user's data folder), readable by the user alone.

    `chatmodels logs` lists, searches, shows, runs them again and prunes. `keep` bounds it to about that many of the newest calls.
    `on=False` stops it. Raises `UsageError` where no log can be at the path.
    """
    from ._book import CallLog

    book = CallLog(path, keep=keep)
    if on:
        book.check()
    watch(book, on=on)
    return book
