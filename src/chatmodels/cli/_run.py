"""`chatmodels PROMPT`: one question, its answer streamed; and the handling of errors and Ctrl-C for all commands."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from typing import Any

from .._errors import ChatModelError, UsageError
from ._args import COMMANDS, chat_parser, model_of, models_parser, parser
from ._terminal import drop_output, piped, prepare, readable


def run(arguments: list[str]) -> int:
    """The exit status of the command."""
    prepare()
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _note
        return _finished([readable(a) for a in arguments])


def _keep_log() -> None:
    """With CHATMODELS_LOGS set, each call goes into the local log."""
    if os.environ.get("CHATMODELS_LOGS", "") not in ("", "0"):
        from ..telemetry import log_to

        log_to()


def _finished(arguments: list[str]) -> int:
    try:
        _keep_log()
        status = _dispatch(arguments)
        sys.stdout.flush()
    except UsageError as error:
        return _complain(error, 2)
    except ChatModelError as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `chatmodels ... | head`
        drop_output()
        return 141
    except OSError as error:
        drop_output()
        return _complain(error, 1)
    return status


def _dispatch(arguments: list[str]) -> int:
    try:
        return _command(arguments)
    except SystemExit as leaving:  # of --help, --version and a wrong command line
        return leaving.code if isinstance(leaving.code, int) else 0


def _command(arguments: list[str]) -> int:
    command = arguments[0] if arguments else ""
    if command == "chat":
        return _chat(chat_parser().parse_args(arguments[1:]))
    if command == "models":
        return _models(models_parser().parse_args(arguments[1:]))
    if command == "logs":
        return _logs(arguments[1:])
    if command == "batch":
        return _batch(arguments[1:])
    if command == "practice":
        return _practice(arguments[1:])
    given = parser().parse_intermixed_args(arguments)
    if len(given.prompt) == 1 and given.prompt[0] in ("logs", "batch", "practice"):  # `chatmodels -m local logs`
        name = given.prompt[0]
        raise UsageError(f"options of {name} follow it: chatmodels {name} [options]", argument=name)
    if len(given.prompt) == 1 and given.prompt[0] in COMMANDS:  # `chatmodels -m local chat`
        return _chat(given) if given.prompt[0] == "chat" else _models(given)
    return _ask(given)


def _chat(given: argparse.Namespace) -> int:
    from ._chat import converse

    return converse(given)


def _models(given: argparse.Namespace) -> int:
    from ._models import show

    return show(given)


def _logs(arguments: list[str]) -> int:
    from ._logs import logs, logs_parser

    return logs(logs_parser().parse_intermixed_args(arguments))


def _batch(arguments: list[str]) -> int:
    from ._batch import batch, batch_parser

    return batch(batch_parser().parse_intermixed_args(arguments))


def _complain(error: Exception, status: int) -> int:
    sys.stderr.write(f"chatmodels: {error}\n")
    return status


def _note(message: Any, *where: Any, **more: Any) -> None:
    """A warning of the library, without the place in our code that it came from."""
    sys.stderr.write(f"chatmodels: note: {message}\n")


def _ask(given: argparse.Namespace) -> int:
    prompt = "\n\n".join(part for part in (" ".join(given.prompt), piped()) if part.strip())
    if not prompt:
        parser().print_usage(sys.stderr)
        sys.stderr.write("chatmodels: no prompt: write it after the command, or pipe it in (more: chatmodels --help)\n")
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
        answer = say(model.stream(messages))
    sys.stdout.flush()
    report(answer, whole=given.json, usage=given.usage)
    return 0


def say(stream: Any) -> Any:
    """Print the stream as it comes; returns the answer. A line is ended in any case, also when the stream breaks off."""
    out, last = sys.stdout, ""
    with stream:
        try:
            for chunk in stream:
                if chunk.text:
                    last = chunk.text
                    out.write(last)
                    out.flush()
        finally:
            if last and not last.endswith("\n"):
                out.write("\n")
                out.flush()
        return stream.message


_ENDINGS = {
    "length": "it was cut off at the limit of tokens (-o max_tokens=... sets it)",
    "content_filter": "the provider's filter stopped it",
    "refusal": "the model refused to answer",
}
_WHOLE = ("stop", "tool_calls", "unknown")


def report(answer: Any, *, whole: bool = False, usage: bool = False) -> None:
    """What the user should know beside the text, on standard error; `whole`: all of the answer was shown, not its text only."""
    notes = list(answer.warnings)
    if answer.finish_reason not in _WHOLE:
        ending = _ENDINGS.get(answer.finish_reason, f"it ended with {answer.finish_reason!r}")
        notes.append(f"the answer is not whole: {ending}")
    if not whole:
        notes += _not_shown(answer)
    sys.stderr.write("".join(f"chatmodels: note: {note}\n" for note in notes))
    if usage:
        counts = answer.usage
        said = f"{counts.input_tokens} in, {counts.output_tokens} out" if counts is not None else "no token counts"
        model = answer.model or answer.attempts[-1].model  # Cohere and Bedrock do not say it
        sys.stderr.write(f"chatmodels: {answer.provider}:{model}, {said}, {answer.finish_reason}\n")


def _not_shown(answer: Any) -> list[str]:
    notes: list[str] = []
    if answer.refusal:
        notes.append(f"the model refused: {answer.refusal}")
    elif not answer.text:
        notes.append("the answer holds no text (--json shows what it holds)")
    if answer.alternatives:
        notes.append(f"{len(answer.alternatives)} more answers came: --json shows them")
    return notes


def _practice(arguments: list[str]) -> int:
    from ._practice import practice, practice_parser

    return practice(practice_parser().parse_args(arguments))
