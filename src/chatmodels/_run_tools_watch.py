"""Who is told of a tool loop and of the tools that it runs: when each begins, and how it ends.

Knows no tracing library. An observer's own error is logged and changes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ._parts import ToolCall
from ._tools import Tool

if TYPE_CHECKING:
    from ._plan import Plan
    from ._tool_loop import ToolLoop

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


class RunSeen:
    """One run of a tool loop as it is watched: a context, in which all that the run does is done.

    That of a stream (`streamed`) is entered for each step; it ends with the first that raises, or with `end`. `call` is what
    was asked, `loop.ended` the whole run once there is one, `error` what was raised; with `left` it was cancelled or closed.
    """

    __slots__ = ("_begun", "_told", "call", "error", "left", "loop", "of", "plan", "streamed")

    def __init__(self, plan: Plan, loop: ToolLoop, *, streamed: bool = False) -> None:
        self.plan = plan
        self.loop = loop
        self.call = loop.call
        self.streamed = streamed
        self.error: Exception | None = None
        self.left = False
        self.of: dict[Any, Any] = {}
        self._begun = False
        self._told = [o for o in observers if hasattr(o, "begin_run")]

    def __enter__(self) -> Self:
        if not self._begun:
            self._begun = True
            tell(self._told, "begin_run", self)
        tell(self._told, "enter", self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        tell(self._told, "leave", self)
        if isinstance(error, Exception) and not isinstance(error, (StopIteration, StopAsyncIteration)):
            self.error = error
        if error is not None or not self.streamed:
            self.end()

    def end(self) -> None:
        """The run has ended, or is given up."""
        told, self._told = self._told, []
        if self._begun:
            self.left = self.loop.ended is None and self.error is None
            tell(reversed(told), "end_run", self)


def tell(those: Iterable[Any], event: str, seen: Any) -> None:
    """Tell observers of an event; one that fails is logged, and the others are told."""
    for observer in those:
        try:
            getattr(observer, event)(seen)
        except Exception:
            log.warning("%s.%s failed", type(observer).__name__, event, exc_info=True)
