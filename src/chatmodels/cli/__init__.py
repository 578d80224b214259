"""The command `chatmodels`: ask, chat, and see what is configured. Only the surface is used; no policy lives here."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status.

    0; 1 for an error of the call; 2 for a wrong command line; 130 for Ctrl-C; 141 when the reader of the output has gone.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        from ._run import run

        return run(given)
    except KeyboardInterrupt:  # before the handlers of the command itself stand
        return 130
