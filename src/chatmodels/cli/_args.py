"""The command line of `chatmodels`: what may be written, and what it means."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .._errors import UsageError
from .._json import is_array, loads
from .._version import __version__

COMMANDS = ("chat", "models", "logs", "batch", "practice")

_EPILOG = """\
examples:
  chatmodels "Translate this sentence from English to French: I love programming."
  chatmodels -m openai:gpt-4o-mini -s "Answer in one line." -o temperature=0 "Why is the sky blue?"
  cat notes.txt | chatmodels "Summarise this."
  chatmodels chat -m anthropic:claude-sonnet-4-6
  chatmodels models

The model is -m, else the variable CHATMODELS_MODEL, else the embedded model, which needs no key and no network.
Keys are read from each provider's own variable, e.g. OPENAI_API_KEY; "chatmodels models" lists them.
"""


_USAGE = """\
chatmodels [options] PROMPT
       chatmodels chat [options]
       chatmodels models [--json]
       chatmodels logs [options]
       chatmodels batch IN -o OUT [options]
       chatmodels practice [COMMAND ...]"""
_DESCRIPTION = (
    "Ask a chat model; the answer streams to the terminal. `chat` holds a conversation, `models` lists providers, "
    "`logs` past calls, `batch` asks about every item of a file, `practice` runs a command with a stand-in for every provider."
)


def parser() -> argparse.ArgumentParser:
    """The parser of a plain question."""
    made = argparse.ArgumentParser(
        prog="chatmodels",
        usage=_USAGE,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("prompt", nargs="*", metavar="PROMPT", help="the question; what is piped in (UTF-8) follows it")
    shared(made)
    made.add_argument("--json", action="store_true", help="print the whole answer as one line of JSON (with its usage)")
    made.add_argument("--no-stream", action="store_true", help="wait for the whole answer")
    made.add_argument("--usage", action="store_true", help="print token counts and the finish reason to standard error")
    made.add_argument("--version", action="version", version=f"chatmodels {__version__}")
    return made


def chat_parser() -> argparse.ArgumentParser:
    """The parser of `chatmodels chat`."""
    made = argparse.ArgumentParser(
        prog="chatmodels chat",
        description="A conversation in the terminal. Ctrl-C stops the answer, Ctrl-D (or /exit) ends the program.",
    )
    shared(made)
    return made


def models_parser() -> argparse.ArgumentParser:
    """The parser of `chatmodels models`."""
    made = argparse.ArgumentParser(
        prog="chatmodels models",
        description="What is configured: providers, and which keys are found (never their values).",
    )
    made.add_argument("--json", action="store_true", help="as JSON")
    return made


def shared(made: argparse.ArgumentParser) -> None:
    """Options of every command that asks a model."""
    made.add_argument("-m", "--model", metavar="MODEL", help="provider:model, e.g. openai:gpt-4o-mini, or local")
    made.add_argument("-s", "--system", help="the system message")
    made.add_argument(
        "-o", "--option", action="append", default=[], metavar="NAME=VALUE",
        help="a setting of the call, e.g. temperature=0, max_tokens=100, stop=END (repeat for more); the value is JSON or text",
    )  # fmt: skip
    made.add_argument("--base-url", metavar="URL", help="another address for the provider")
    made.add_argument("--timeout", type=float, metavar="SECONDS", help="the limit for the whole call (default: 900)")


def model_of(given: argparse.Namespace) -> Any:
    """The model that the options name."""
    from .._model import ChatModel

    options: dict[str, Any] = dict(option(text) for text in given.option)
    if "model" in options:
        raise UsageError("the model is -m, not -o model=", argument="-o")
    if given.model is not None and not given.model.strip():  # an unset variable of the shell
        raise UsageError("-m is empty: write provider:model, or leave it out for the embedded model", argument="-m")
    if given.base_url:
        options["base_url"] = given.base_url
    if given.timeout is not None:
        options["timeout"] = given.timeout
    model = ChatModel(given.model, **options)
    for name in options:
        _hint(name, model)
    return model


def option(text: str) -> tuple[str, Any]:
    """`name=value`; the value is read as JSON where it is JSON, else as text."""
    name, found, value = text.partition("=")
    name = name.strip()
    if not found or not name.isidentifier() or name in ("self", "cls"):
        raise UsageError(f"-o takes name=value, e.g. -o temperature=0; got {text!r}", argument="-o")
    if name not in _TEXTS:
        return name, _value(value)
    # `-o stop=5` means the text 5; `-o stop=["a", "b"]` is a list.
    read = _value(value)
    return name, read if is_array(read) or isinstance(read, str) else value


#: Options that take text: what looks like a number, true or null stays text.
_TEXTS = frozenset(
    {"stop", "user", "service_tier", "verbosity", "reasoning_effort", "reasoning_summary", "tool_choice", "api_key",
     "base_url", "organization", "proxy"}
)  # fmt: skip


def _value(text: str) -> Any:
    if text in _PYTHON_WORDS:
        return _PYTHON_WORDS[text]
    try:
        return loads(text)
    except ValueError:
        return text


_PYTHON_WORDS: dict[str, Any] = {"True": True, "False": False, "None": None}


def _hint(name: str, model: Any) -> None:
    """A setting that nobody knows is sent as it is, with the library's warning; a near name may be what was meant."""
    from .._options import SETTINGS

    if name in (model.extra_body or ()):
        from difflib import get_close_matches

        near = get_close_matches(name, SETTINGS, n=1, cutoff=0.75)
        if near:
            sys.stderr.write(f"chatmodels: note: did you mean {near[0]}?\n")
