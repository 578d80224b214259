"""Tool loops as methods: `run_tools`, `stream_tools` and their async twins. The model mixes them in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from ._drive import arun, run
from ._errors import UsageError
from ._inputs import Input

if TYPE_CHECKING:
    from ._model import ChatModel
    from ._plan import Plan
    from ._tool_loop import Approve, ToolLoop, ToolRun
    from ._tool_stream import AsyncToolStream, ToolStream


class ToolCalls:
    """What a model needs for this are its tools, its calls and its plan."""

    __slots__ = ()

    def run_tools(
        self,
        input: Input,
        *,
        tools: Sequence[Any] = (),
        max_steps: int = 10,
        approve: Approve | None = None,
        **settings: Any,
    ) -> ToolRun:
        """Ask, run the tools that the model calls, feed their results back, until it answers: a `ToolRun` with `.message`.

        Calls of one answer run in parallel. What a tool raises goes back to the model as an error. `approve(call)` is asked before
        each: True lets it run, False or a reason (a str) refuses it; it may be async. After `max_steps` answers the run ends with
        `stopped` True; `run_tools(run.messages)` goes on, and begins with the calls that have no result yet.
        `deadline`: seconds for the whole run; a tool that runs is not interrupted, but no call begins after it.
        """
        from ._run_tools_watch import RunSeen
        from ._tool_loop import tool_flow

        plan, loop = self._tools_of(input, tools, max_steps, approve, settings)
        with RunSeen(plan, loop):
            return run(tool_flow(plan, loop))

    async def arun_tools(
        self,
        input: Input,
        *,
        tools: Sequence[Any] = (),
        max_steps: int = 10,
        approve: Approve | None = None,
        **settings: Any,
    ) -> ToolRun:
        """`run_tools` in the async world; async functions are awaited, others run in threads."""
        from ._run_tools_watch import RunSeen
        from ._tool_loop import tool_flow

        plan, loop = self._tools_of(input, tools, max_steps, approve, settings)
        with RunSeen(plan, loop):
            return await arun(tool_flow(plan, loop))

    def stream_tools(
        self,
        input: Input,
        *,
        tools: Sequence[Any] = (),
        max_steps: int = 10,
        approve: Approve | None = None,
        **settings: Any,
    ) -> ToolStream:
        """`run_tools` as it happens: an iterator of each answer's chunks and of the `ToolMessage`s that are fed back; `.run` is the
        `ToolRun` at the end.

        >>> for item in chat.stream_tools("What is 3 + 4?", tools=[add]):  # doctest: +SKIP
        ...     print(item.text, end="")
        """
        from ._tool_stream import ToolStream

        return ToolStream(*self._tools_of(input, tools, max_steps, approve, settings))

    def astream_tools(
        self,
        input: Input,
        *,
        tools: Sequence[Any] = (),
        max_steps: int = 10,
        approve: Approve | None = None,
        **settings: Any,
    ) -> AsyncToolStream:
        """`stream_tools` in the async world."""
        from ._tool_stream import AsyncToolStream

        return AsyncToolStream(*self._tools_of(input, tools, max_steps, approve, settings))

    def _tools_of(
        self, given: Input, tools: Sequence[Any], max_steps: int, approve: Any, settings: Any
    ) -> tuple[Plan, ToolLoop]:
        from ._run_tools import RUNNERS
        from ._tool_loop import ToolLoop

        if max_steps < 1:
            raise UsageError(f"max_steps is 1 or more, not {max_steps}", argument="max_steps")
        model = cast("ChatModel", self)
        if tools:
            model = model.with_tools(*tools)
        plan = model._plan(settings.pop("callbacks", None), settings)
        call = model._call(given, settings.pop("stop", None), settings)
        return plan, ToolLoop(call, approve, max_steps, RUNNERS)
