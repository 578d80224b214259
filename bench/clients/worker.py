"""The measured process: it loads one client and does what each line on its standard input says.

    python bench/clients/worker.py openai_sdk        (in that client's own environment)

A command and its answer are one line of JSON each. What the client prints goes to standard error, so that it
cannot get between the answers. Only the work itself is timed: CPU of all threads, wall, peak memory.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any


class Process:
    """What lives as long as the process: the client, and one event loop (its connections belong to it)."""

    client: Any = None
    client_class: Any = None
    loop: asyncio.AbstractEventLoop | None = None


def run(awaitable: Awaitable[Any]) -> Any:
    if Process.loop is None:
        Process.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(Process.loop)
    return Process.loop.run_until_complete(awaitable)


def memory() -> dict[str, int]:
    """Resident memory and its peak since `forget_peak`, bytes."""
    values = {}
    with open("/proc/self/status") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name in ("VmRSS", "VmHWM"):
                values[name] = int(value.split()[0]) * 1024
    return {"rss": values["VmRSS"], "peak": values["VmHWM"]}


def forget_peak() -> None:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def measured(work: Callable[[], Any]) -> dict[str, Any]:
    gc.collect()
    forget_peak()
    before = memory()["rss"]
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu": cpu, "wall": wall, "result": result, "before": before, **memory()}


def repeat(method: str, count: int, arguments: list[Any]) -> Callable[[], Any]:
    """`count` times one after the other; gives the last result, and fails if they differ."""
    function = getattr(Process.client, method)

    def same(results: set[Any]) -> Any:
        if len(results) != 1:
            raise AssertionError(f"different results: {sorted(map(repr, results))[:3]}")
        return results.pop()

    if not asyncio.iscoroutinefunction(function):
        return lambda: same({function(*arguments) for _ in range(count)})

    async def one_by_one() -> Any:
        return same({await function(*arguments) for _ in range(count)})

    return lambda: run(one_by_one())


def together(method: str, count: int, arguments: list[Any]) -> Callable[[], Any]:
    """`count` at once in one event loop; gives the one result that all have."""
    function = getattr(Process.client, method)

    async def at_once() -> Any:
        results = set(await asyncio.gather(*[function(*arguments) for _ in range(count)]))
        if len(results) != 1:
            raise AssertionError(f"different results: {sorted(map(repr, results))[:3]}")
        return results.pop()

    return lambda: run(at_once())


def cancelled_stream(method: str, seconds: float) -> float:
    """Cancel a task that waits for a stream's next chunk; gives the time (monotonic) of the cancelling."""

    async def cancel() -> float:
        task = asyncio.ensure_future(getattr(Process.client, method)())
        await asyncio.sleep(seconds)
        if task.done():
            raise AssertionError("the stream did not wait") from task.exception()
        when = time.monotonic()
        task.cancel()
        await asyncio.wait([task], timeout=5)
        await asyncio.sleep(0.3)
        return when

    return run(cancel())


def left_stream(method: str, chunks: int) -> float:
    """Leave a stream after some chunks; gives the time (monotonic clock) of the leaving."""
    function = getattr(Process.client, method)
    if not asyncio.iscoroutinefunction(function):
        return function(chunks)

    async def leave() -> float:
        when = await function(chunks)
        await asyncio.sleep(0.3)  # the loop goes on, as it does in a program
        return when

    return run(leave())


def obey(command: dict[str, Any]) -> dict[str, Any]:
    match command:
        case {"do": "open", "url": url}:
            Process.client = Process.client_class(url)
            return {"methods": [name for name in dir(Process.client_class) if not name.startswith("_")]}
        case {"do": "repeat", "method": method, "count": count}:
            return measured(repeat(method, count, command.get("arguments", [])))
        case {"do": "together", "method": method, "count": count}:
            return measured(together(method, count, command.get("arguments", [])))
        case {"do": "leave", "method": method, "chunks": chunks}:
            return {"when": left_stream(method, chunks)}
        case {"do": "cancel", "method": method, "seconds": seconds}:
            return {"when": cancelled_stream(method, seconds)}
    raise ValueError(f"unknown command {command}")


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        Process.client_class = importlib.import_module(sys.argv[1]).Client
        answers.write(json.dumps({"ready": True}) + "\n")
    except Exception:
        answers.write(json.dumps({"error": traceback.format_exc()}) + "\n")
        return
    for line in sys.stdin:
        try:
            answer = obey(json.loads(line))
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
    if Process.loop is not None and hasattr(Process.client, "aclose"):
        run(Process.client.aclose())


if __name__ == "__main__":
    main()
