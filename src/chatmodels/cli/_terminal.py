"""Standard input, output and error of the command: their encodings, what is piped in, and readers that have gone."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


def prepare() -> None:
    """Make the three streams fit for any text: a terminal that cannot show a character gets it escaped, never an error."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell: `>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # as long as the process
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    stdin: object = sys.stdin
    if isinstance(stdin, io.TextIOWrapper) and not stdin.isatty():
        # Files are UTF-8 today, whatever the locale says; the first character may be a byte order mark.
        stdin.reconfigure(encoding="utf-8-sig", errors="replace")


def piped() -> str:
    """What is piped in; nothing when standard input is a terminal or closed."""
    stdin: TextIO | None = sys.stdin
    if stdin is None or stdin.closed or stdin.isatty():
        return ""
    return stdin.read().strip("\r\n")


def readable(argument: str) -> str:
    """A word of the command line as text, also where the locale could not decode its bytes."""
    if argument.isascii():
        return argument
    return os.fsencode(argument).decode("utf-8", "replace") if _has_raw_bytes(argument) else argument


def _has_raw_bytes(argument: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in argument)


def drop_output() -> None:
    """Nobody takes our output any more: what is still buffered goes nowhere, so that the interpreter can end in peace."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            try:
                stream.flush()
            except OSError:
                os.dup2(nowhere, stream.fileno())
                stream.flush()
    os.close(nowhere)
