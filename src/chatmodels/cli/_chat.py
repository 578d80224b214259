"""`chatmodels chat`: a conversation in the terminal, whose history is sent along."""

from __future__ import annotations

import argparse
import contextlib
import sys
from importlib import import_module
from typing import Any

from .._errors import ChatModelError, UsageError
from .._messages import AIMessage, HumanMessage, Message, SystemMessage
from ._args import model_of
from ._run import report, say

_HELP = "/exit ends, /reset forgets the conversation, /help shows this; Ctrl-C stops an answer, Ctrl-D ends"


def converse(given: argparse.Namespace) -> int:
    """Ask and answer until the end of the input."""
    model = model_of(given)
    start: list[Message] = [SystemMessage(given.system)] if given.system else []
    history = list(start)
    interactive = sys.stdin is not None and sys.stdin.isatty()
    if interactive:
        with contextlib.suppress(ImportError):
            import_module("readline")  # gives input() line editing and history
        sys.stderr.write(f"chatmodels: {model.provider}:{model.model}. {_HELP}\n")
    while True:
        line = _line(interactive)
        if line is None or line in ("/exit", "/quit"):
            return 0
        if line == "/reset":
            history = list(start)
            sys.stderr.write("(the conversation is forgotten)\n")
        elif interactive and line.startswith("/") and line[1:].isalpha():
            known = line in ("/help",)
            sys.stderr.write(_HELP + "\n" if known else f"no command {line}: {_HELP}\n")
        elif line:
            history = _turn(model, history, line)


def _line(interactive: bool) -> str | None:
    """The next line; None at the end. Ctrl-C at the prompt drops the line."""
    if sys.stdin is None:
        return None
    try:
        if interactive and sys.stdout.isatty():
            return input("> ").strip()
        if interactive:  # the answers go to a file: the prompt does not
            sys.stderr.write("> ")
            sys.stderr.flush()
        return input().strip()
    except EOFError:
        if interactive:
            sys.stderr.write("\n")
        return None
    except KeyboardInterrupt:
        if not interactive:
            raise
        sys.stderr.write("\n")
        return ""


def _turn(model: Any, history: list[Message], line: str) -> list[Message]:
    """One question and its answer; returns the history with them. What of a stopped answer came is kept."""
    asked: list[Message] = [*history, HumanMessage(line)]
    stream = model.stream(asked)
    try:
        report(say(stream))
    except KeyboardInterrupt:
        sys.stderr.write("(stopped)\n")
    except UsageError:
        raise
    except ChatModelError as error:
        sys.stderr.write(f"chatmodels: {error}\n")
        return history
    answer: AIMessage = stream.message
    return [*asked, answer] if answer.parts else history
