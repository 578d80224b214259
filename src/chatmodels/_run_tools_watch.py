"""Who is told of the tools that a tool loop runs: when each begins, and how it ends.

Knows no tracing library. An observer's own error is logged and changes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from ._parts import ToolCall
from ._tools import Tool

log = logging.getLogger("chatmodels")

#: Those who are told: objects with `begin_tool(seen)` and `end_tool(seen)`. Set by `telemetry.watch`.
observers: list[Any] = []


class ToolSeen:
    """One run of a tool as it is watched: a context, in which the tool runs.

    `began` and `ended` are on the clock of `time.perf_counter` (seconds). `result` is what the tool gave, `error` what it raised;
    with `left` it was cancelled. `of` is for observers: what each keeps of it.
    """

    __slots__ = ("_told", "began", "call", "ended", "error", "left", "of", "result", "tool")

    def __init__(self, tool: Tool, call: ToolCall) -> None:
        self.tool = tool
        self.call = call
        self.result: Any = None
        self.error: Exception | None = None
        self.left = False
        self.ended: float | None = None
        self.of: dict[int, Any] = {}
        self._told = list(observers)
        self.began = time.perf_counter()

    def __enter__(self) -> Self:
        tell(self._told, "begin_tool", self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.ended = time.perf_counter()
        self.left = error is not None
        tell(reversed(self._told), "end_tool", self)


def tell(those: Iterable[Any], event: str, seen: Any) -> None:
    """Tell observers of an event; one that fails is logged, and the others are told."""
    for observer in those:
        try:
            getattr(observer, event)(seen)
        except Exception:
            log.warning("%s.%s failed", type(observer).__name__, event, exc_info=True)
