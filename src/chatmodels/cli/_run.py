"""`chatmodels PROMPT`: one question, its answer streamed; and the handling of errors and Ctrl-C for all commands."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from .._errors import ChatModelError, UsageError
from ._args import COMMANDS, chat_parser, model_of, models_parser, parser


def run(arguments: list[str]) -> int:
    """The exit status of the command."""
    try:
        return _dispatch(arguments)
    except UsageError as error:
        return _complain(error, 2)
    except ChatModelError as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return 130
    except BrokenPipeError:
        # The reader of our output has gone, as in `chatmodels ... | head`: nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _dispatch(arguments: list[str]) -> int:
    command = arguments[0] if arguments else ""
    if command not in COMMANDS:
        return _ask(parser().parse_args(arguments))
    if command == "models":
        from ._models import show

        return show(models_parser().parse_args(arguments[1:]))
    from ._chat import converse

    return converse(chat_parser().parse_args(arguments[1:]))


def _complain(error: ChatModelError, status: int) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"chatmodels: {error}\n")
    return status


def _ask(given: argparse.Namespace) -> int:
    prompt = _prompt(given)
    if not prompt:
        parser().print_usage(sys.stderr)
        sys.stderr.write("chatmodels: no prompt: write it after the command, or pipe it in\n")
        return 2
    model = model_of(given)
    messages: list[Any] = [("system", given.system)] if given.system else []
    messages.append(("user", prompt))
    if given.json:
        answer = model(messages)
        sys.stdout.write(answer.to_json() + "\n")
    elif given.no_stream:
        answer = model(messages)
        sys.stdout.write(answer.text + "\n")
    else:
        answer = say(model, messages)
    report(answer, given.usage)
    return 0


def say(model: Any, messages: list[Any]) -> Any:
    """Stream the answer to standard output; returns the whole answer. A stream that breaks off ends its line first."""
    out, ended_line = sys.stdout, True
    with model.stream(messages) as stream:
        try:
            for chunk in stream:
                text = chunk.text
                if text:
                    out.write(text)
                    out.flush()
                    ended_line = text.endswith("\n")
        finally:
            if not ended_line:
                out.write("\n")
                out.flush()
        return stream.message


def report(answer: Any, usage: bool) -> None:
    """What the user should know beside the text, on standard error."""
    for warning in answer.warnings:
        sys.stderr.write(f"chatmodels: note: {warning}\n")
    if answer.finish_reason not in ("stop", "tool_calls"):
        sys.stderr.write(f"chatmodels: note: the answer is not whole: it ended with {answer.finish_reason!r}\n")
    if usage:
        counts = answer.usage
        said = f"{counts.input_tokens} in, {counts.output_tokens} out" if counts is not None else "no token counts"
        sys.stderr.write(f"chatmodels: {answer.provider}:{answer.model}, {said}, {answer.finish_reason}\n")


def _prompt(given: argparse.Namespace) -> str:
    words = " ".join(given.prompt)
    piped = _piped()
    return "\n\n".join(part for part in (words, piped) if part)


def _piped() -> str:
    """What is piped in; nothing when standard input is a terminal or closed."""
    stdin = sys.stdin
    if stdin is None or stdin.closed or stdin.isatty():
        return ""
    return stdin.read().strip("\n")
