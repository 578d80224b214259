"""`chatmodels logs`: the local log of calls, listed, searched, shown, run again and pruned."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from typing import Any

import msgspec

from .._errors import UsageError
from .._json import dumps_text
from ..telemetry._book import CallLog, Entry
from ..telemetry._redact import MASK

_EPILOG = """\
Calls are logged while the variable CHATMODELS_LOGS is set: to 1, or to the path of the file. Programs log with
chatmodels.telemetry.log_to(). The log holds the messages; it lies in your own data folder, readable by you alone.

examples:
  CHATMODELS_LOGS=1 chatmodels "Why is the sky blue?"
  chatmodels logs                     the newest calls
  chatmodels logs sky blue            those that hold both words
  chatmodels logs --show 3            one call, whole
  chatmodels logs --rerun 3 -m local  the same messages again
  chatmodels logs --prune --days 30   forget what is older than 30 days
"""


def logs_parser() -> argparse.ArgumentParser:
    """The parser of `chatmodels logs`."""
    made = argparse.ArgumentParser(
        prog="chatmodels logs",
        description="The local log of calls: list it, search it, show a call, run it again, forget old ones.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("words", nargs="*", metavar="WORD", help="only calls whose question or answer holds all of these")
    made.add_argument(
        "-n", "--limit", type=whole_number, default=20, metavar="N", help="at most so many, the newest first (20)"
    )
    made.add_argument("--show", type=int, metavar="ID", help="show this call, whole")
    made.add_argument("--rerun", type=int, metavar="ID", help="send the messages of this call again")
    made.add_argument("-m", "--model", metavar="MODEL", help="run it again with this model: provider:model, or local")
    made.add_argument("--prune", action="store_true", help="forget calls: say which with --keep or --days")
    made.add_argument("--keep", type=whole_number, metavar="N", help="with --prune: forget all but the newest N calls")
    made.add_argument("--days", type=float, metavar="D", help="with --prune: forget what is older than D days")
    made.add_argument("--json", action="store_true", help="as JSON, a line for each call")
    made.add_argument("--file", metavar="PATH", help="another log than your own")
    return made


def logs(given: argparse.Namespace) -> int:
    """Print what was asked for."""
    book = CallLog(given.file)
    if not book.path.exists():
        raise UsageError(f"there is no log at {book.path}: set CHATMODELS_LOGS=1 to keep one", argument="logs")
    if given.prune:
        return _prune(book, given.keep, given.days)
    if given.keep is not None or given.days is not None:
        raise UsageError("--keep and --days go with --prune", argument="logs")
    if given.rerun is not None:
        return _again(book.entry(given.rerun), given.model)
    if given.show is not None:
        return _show([book.entry(given.show)], given.json, _whole)
    return _show(book.entries(search=" ".join(given.words), limit=given.limit), given.json, _line)


def whole_number(text: str) -> int:
    """A number, 0 or more."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return number


def _prune(book: CallLog, keep: int | None, days: float | None) -> int:
    if keep is None and days is None:
        raise UsageError("--prune needs --keep N or --days D", argument="logs")
    gone = book.prune(keep=keep, days=days)
    sys.stdout.write(f"{gone} {'call' if gone == 1 else 'calls'} forgotten\n")
    return 0


def _show(entries: list[Entry], as_json: bool, form: Any) -> int:
    for entry in entries:
        sys.stdout.write((_json(entry) if as_json else form(entry)) + "\n")
    return 0


def _json(entry: Entry) -> str:
    fields = msgspec.structs.asdict(entry)
    fields["messages"] = [m.to_dict() for m in entry.messages]
    fields["answer"] = None if entry.answer is None else entry.answer.to_dict()
    fields["settings"] = msgspec.to_builtins(entry.settings)
    return dumps_text(fields)


def _line(entry: Entry) -> str:
    asked = " ".join(entry.messages[-1].text.split()) if entry.messages else ""
    said = entry.error or (" ".join(entry.answer.text.split()) if entry.answer is not None else "")
    return f"{entry.id:>5}  {_when(entry)}  {entry.asked_model:24}  {_cut(asked, 40)} -> {_cut(said, 60)}"


def _whole(entry: Entry) -> str:
    tokens = f"{entry.input_tokens or 0} + {entry.output_tokens or 0} tokens"
    head = f"call {entry.id}, {_when(entry)}, {entry.asked_model}, {entry.seconds or 0:.2f} s, {tokens}, {entry.finish_reason}"
    shown = [m.pretty_repr() for m in entry.messages]
    if entry.answer is not None:
        shown.append(entry.answer.pretty_repr())
    if entry.error:
        shown.append(f"failed: {entry.error}")
    return "\n\n".join([head, *shown])


def _again(entry: Entry, model: str | None) -> int:
    from .._model import ChatModel
    from ._run import report, say

    if entry.tools:
        sys.stderr.write(f"chatmodels: note: run again without its tools ({', '.join(entry.tools)})\n")
    if MASK in str(entry.settings):
        sys.stderr.write(f"chatmodels: note: a key in its settings is not in the log; {MASK} is sent in its place\n")
    given = {k: v for k, v in msgspec.structs.asdict(entry.settings).items() if v is not None and k != "tool_choice"}
    chat = ChatModel(model or entry.asked_model, **given)
    report(say(chat.stream(entry.messages)))
    return 0


def _when(entry: Entry) -> str:
    return datetime.fromtimestamp(entry.at).strftime("%Y-%m-%d %H:%M:%S")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
