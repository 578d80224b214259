"""SIGTERM, as a reboot or a scheduler sends it, ends a long command as Ctrl-C does. Knows no command."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

_T = TypeVar("_T")
#: The exit status of a process that SIGTERM has ended.
TERMINATED = 128 + signal.SIGTERM


def ended_by_sigterm(command: Callable[[_T], int]) -> Callable[[_T], int]:
    """The command may end what is under way when SIGTERM comes; a second one ends it at once. Its status is 143 then."""

    @wraps(command)
    def run(given: _T) -> int:
        if (
            threading.current_thread() is not threading.main_thread()
            or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
        ):
            return command(given)
        came: list[bool] = []

        def interrupt(*_: Any) -> None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            came.append(True)
            raise KeyboardInterrupt

        signal.signal(signal.SIGTERM, interrupt)
        try:
            return command(given)
        except KeyboardInterrupt:
            if came:
                return TERMINATED
            raise
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    return run
