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

_HELP = "/exit ends, /reset forgets the conversation, /help shows this; Ctrl-C stops an answer, Ctrl-D ends"


def converse(given: argparse.Namespace) -> int:
    """Ask and answer until the end of the input."""
    model = model_of(given)
    start: list[Message] = [SystemMessage(given.system)] if given.system else []
    history = list(start)
    interactive = sys.stdin.isatty()
    if interactive:
        with contextlib.suppress(ImportError):
            import_module("readline")  # line editing and history of input()
        sys.stderr.write(f"chatmodels: {model.provider}:{model.model}. {_HELP}\n")
    while True:
        line = _line(interactive)
        if line is None or line in ("/exit", "/quit"):
            return 0
        if line == "/reset":
            history = list(start)
        elif line in ("/help", "/?"):
            sys.stderr.write(_HELP + "\n")
        elif line:
            history = _turn(model, history, line)


def _line(interactive: bool) -> str | None:
    """The next line; None at the end. Ctrl-C at the prompt drops the line."""
    try:
        return input("> " if interactive else "").strip()
    except EOFError:
        if interactive:
            sys.stderr.write("\n")
        return None
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return ""


def _turn(model: Any, history: list[Message], line: str) -> list[Message]:
    """One question and its answer; returns the history with them. What of a stopped answer came is kept."""
    asked: list[Message] = [*history, HumanMessage(line)]
    stream = model.stream(asked)
    try:
        for chunk in stream:
            sys.stdout.write(chunk.text)
            sys.stdout.flush()
    except KeyboardInterrupt:
        stream.close()
        sys.stderr.write(" (stopped)")
    except UsageError:
        raise
    except ChatModelError as error:
        sys.stdout.write("\n")
        sys.stderr.write(f"chatmodels: {error}\n")
        return history
    sys.stdout.write("\n")
    sys.stdout.flush()
    answer: AIMessage = stream.message
    return [*asked, answer] if answer.parts else history
