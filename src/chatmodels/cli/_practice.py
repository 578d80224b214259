"""`chatmodels practice`: a program, a guide or an interpreter with a stand-in for every provider, and no key."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .._errors import UsageError
from ..testing.practice import PracticeServer, practice_server

_EPILOG = """\
The practice server runs on this machine (127.0.0.1) until the command ends. It speaks the wire format of every provider; the
variables that hold keys and addresses are set for the command, and only for it. Its answers are made up: those that the guides
show, and for other questions a line that says so.

examples:
  chatmodels practice                       an interactive Python
  chatmodels practice docs/caching.md       a guide, run from top to bottom
  chatmodels practice script.py             a program of yours
  chatmodels practice chatmodels -m anthropic:claude-sonnet-4-6 "I love programming."
  chatmodels practice sh                    a shell, for as many commands as you like
"""


def practice_parser() -> argparse.ArgumentParser:
    """The parser of `chatmodels practice`."""
    made = argparse.ArgumentParser(
        prog="chatmodels practice",
        description="Run a command with a stand-in for every provider: no key, no network, made-up answers.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--delay", type=float, default=0.02, metavar="SECONDS", help="between two chunks of a stream (0.02)"
    )
    made.add_argument(
        "--port", type=int, default=0, metavar="N",
        help="of the server (default: any that is free); the same one each time, to go on with a batch",
    )  # fmt: skip
    made.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="COMMAND",
        help="what to run: a program with its arguments, a .py file, or guides (.md); Python where none is given",
    )  # fmt: skip
    return made


def practice(given: argparse.Namespace) -> int:
    """Run it; the status is the command's."""
    if not 0 <= given.delay <= 60:
        raise UsageError(f"--delay is seconds, 0 to 60; got {given.delay}", argument="--delay")
    if not 0 <= given.port <= 65535:
        raise UsageError(f"--port is a number from 0 to 65535; got {given.port}", argument="--port")
    command = _command(given.command)
    with _served(given.port, given.delay) as server:
        sys.stderr.write(f"Practice: {server.url} stands in for every provider; its answers are made up.\n")
        # The terminal sends Ctrl-C to the command too, which decides what it means.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN) if _in_main_thread() else None
        try:
            status = _run(command, os.environ | server.environment() | _path())
        finally:
            if before is not None:
                signal.signal(signal.SIGINT, before)
    return status if status >= 0 else 128 - status


@contextmanager
def _served(port: int, delay: float) -> Generator[PracticeServer]:
    with ExitStack() as stack:
        try:
            server = stack.enter_context(practice_server(port=port, delay=delay))
        except OSError as error:
            raise UsageError(f"--port {port}: {error.strerror}; give another one", argument="--port") from error
        yield server


def _command(words: list[str]) -> list[str]:
    """The words as a command: what is Python's runs in this Python."""
    if not words or words[0] in ("python", "python3"):
        return [sys.executable, *words[1:]]
    if words[0].endswith(".md"):
        pages = [str(_existing(word)) for word in words]
        return [sys.executable, "-m", "chatmodels.testing.practice", *pages]
    if words[0].endswith(".py"):
        return [sys.executable, str(_existing(words[0])), *words[1:]]
    if words[0] == "chatmodels":
        return [sys.executable, "-m", "chatmodels", *words[1:]]
    return words


def _existing(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise UsageError(f"there is no file {name}", argument="COMMAND")
    return path.resolve()


def _path() -> dict[str, str]:
    """The programs of this Python first, so that a shell finds them."""
    return {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])}


def _in_main_thread() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread()


def _run(command: list[str], environment: dict[str, str]) -> int:
    child = _without_default_model(environment)
    try:
        with subprocess.Popen(command, env=child) as process:  # noqa: S603  # what the user wrote
            return process.wait()
    except FileNotFoundError:
        raise UsageError(f"there is no program {command[0]}", argument="COMMAND") from None
    except PermissionError:
        raise UsageError(f"{command[0]} cannot be run", argument="COMMAND") from None


def _without_default_model(environment: dict[str, str]) -> dict[str, str]:
    """Guides say what ChatModel() is without the variable."""
    return {name: value for name, value in environment.items() if name != "CHATMODELS_MODEL"}
