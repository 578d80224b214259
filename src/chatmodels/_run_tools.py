"""How a tool loop runs its tools: in threads for sync callers, as tasks for async ones. The loop itself is `_tool_loop.py`."""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from ._async import in_thread, in_trio
from ._parts import ToolCall
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
    try:
        if _is_async(tool):
            from ._portal import portal

            return portal().run(acall_tool(tool, call.args))
        return call_tool(tool, call.args)
    except Exception as error:
        return error


async def arun_all(calls: list[tuple[Tool, ToolCall]]) -> list[Any]:
    """Run the calls as tasks; a function that is not async runs in a thread."""
    results: list[Any] = [None] * len(calls)

    async def run(index: int) -> None:
        tool, call = calls[index]
        try:
            if _is_async(tool):
                results[index] = await acall_tool(tool, call.args)
            else:
                results[index] = await in_thread(call_tool, tool, call.args)
        except Exception as error:
            results[index] = error

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


RUNNERS = Runners(run_all, arun_all)
