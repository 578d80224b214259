"""How a tool loop runs its tools: in threads for sync callers, as tasks for async ones. The loop itself is `_tool_loop.py`."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from ._async import in_thread, in_trio
from ._parts import ToolCall
from ._run_tools_watch import ToolSeen
from ._tool_loop import Runners
from ._tools import Tool, acall_tool, call_tool

MOST_THREADS = 8


def run_all(calls: list[tuple[Tool, ToolCall]]) -> list[Any]:
    """Run the calls, several at once in threads, each in the caller's context (its span, budget and tracking); an exception
    stands in its call's place."""
    if len(calls) == 1:
        tool, call = calls[0]
        return [_one(tool, call)]
    with ThreadPoolExecutor(min(MOST_THREADS, len(calls)), thread_name_prefix="chatmodels-tool") as pool:
        under_way = [pool.submit(copy_context().run, _one, tool, call) for tool, call in calls]
        return [one.result() for one in under_way]


def _one(tool: Tool, call: ToolCall) -> Any:
    with ToolSeen(tool, call) as seen:
        try:
            if _is_async(tool):
                from ._portal import portal

                seen.result = portal().run(acall_tool(tool, call.args))
            else:
                seen.result = call_tool(tool, call.args)
        except Exception as error:
            seen.error = error
    return seen.result if seen.error is None else seen.error


async def arun_all(calls: list[tuple[Tool, ToolCall]]) -> list[Any]:
    """Run the calls as tasks; a function that is not async runs in a thread."""
    results: list[Any] = [None] * len(calls)

    async def run(index: int) -> None:
        tool, call = calls[index]
        with ToolSeen(tool, call) as seen:
            try:
                if _is_async(tool):
                    seen.result = await acall_tool(tool, call.args)
                else:
                    seen.result = await in_thread(call_tool, tool, call.args)
            except Exception as error:
                seen.error = error
        results[index] = seen.result if seen.error is None else seen.error

    if in_trio():
        import sys

        async with sys.modules["trio"].open_nursery() as nursery:
            for index in range(len(calls)):
                nursery.start_soon(run, index)
        return results
    import asyncio

    async with asyncio.TaskGroup() as group:
        for index in range(len(calls)):
            group.create_task(run(index))
    return results


def _is_async(tool: Tool) -> bool:
    return tool.function is not None and inspect.iscoroutinefunction(inspect.unwrap(tool.function))


def wait(given: Awaitable[Any]) -> Any:
    """What an awaitable gives, for sync callers."""
    from ._portal import portal

    return portal().run(await_(given))


async def await_(given: Awaitable[Any]) -> Any:
    """What an awaitable gives."""
    return await given


RUNNERS = Runners(run_all, arun_all, wait, await_)
