"""The few things that the async side needs from its event library: asyncio, or trio where the caller runs under it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def in_trio() -> bool:
    """Is the calling coroutine run by trio?"""
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


async def sleep(seconds: float) -> None:
    """Wait."""
    if in_trio():
        await sys.modules["trio"].sleep(seconds)
        return
    import asyncio

    await asyncio.sleep(seconds)


async def in_thread(function: Callable[..., T], *args: Any, cancel: Callable[[], object] | None = None) -> T:
    """Run a blocking function beside the event loop. When the caller is cancelled, `cancel` is called to end it soon."""
    if in_trio():
        return await _in_trio_thread(function, args, cancel)
    import asyncio

    try:
        return await asyncio.get_running_loop().run_in_executor(None, function, *args)
    except asyncio.CancelledError:
        if cancel is not None:
            cancel()
        raise


async def _in_trio_thread(
    function: Callable[..., T], args: tuple[Any, ...], cancel: Callable[[], object] | None
) -> T:
    trio = sys.modules["trio"]
    try:
        return await trio.to_thread.run_sync(function, *args, abandon_on_cancel=True)  # type: ignore[no-any-return]
    except trio.Cancelled:
        if cancel is not None:
            cancel()
        raise
