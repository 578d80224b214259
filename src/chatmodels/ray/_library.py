"""Ray itself, loaded where it is used; a clear error where it is not installed, or its cluster cannot be reached."""

from __future__ import annotations

import os
import signal
import threading
from importlib import import_module
from typing import Any

from .._errors import UsageError


def library(name: str = "ray") -> Any:
    """The module `ray`, or one in it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError("this needs Ray: pip install 'chatmodels[ray]'", argument="ray") from error


def connect(address: str | None) -> None:
    """Connect to the cluster, or start one. Who waits for SIGTERM does so still: Ray would take its place."""
    ray = library()
    waits = signal.getsignal(signal.SIGTERM)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(
            address=address, include_dashboard=None if address else False, log_to_driver=False, logging_level="ERROR"
        )
    except (OSError, RuntimeError, ValueError) as error:
        named = address or os.environ.get("RAY_ADDRESS") or "this machine's"
        raise UsageError(
            f"no connection to the Ray cluster ({named}): {error}. Is it running? If it asks for a token, say RAY_AUTH_MODE=token; "
            "RAY_ADDRESS=local starts a cluster for this batch alone",
            argument="engine",
        ) from error
    if callable(waits) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, waits)
