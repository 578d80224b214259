"""Checks of what comes over the wire besides good answers: bytes that are none, other line ends, streams side by side."""

from __future__ import annotations

import re
from typing import Any, get_args

from .._call import FinishReason, HTTPResponse
from .._errors import ChatModelError
from .._fold import fold
from .._messages import AIMessage
from ._conform_dialect import Sample, claim, decoded, events_of, read

#: What a dialect may raise for an answer that cannot be read: all of it becomes a `ProtocolError`.
UNREAD = (ChatModelError, ValueError, ArithmeticError, RecursionError)
#: What proxies and broken servers give with status 200.
NO_ANSWERS = (b"", b"<html>Please log in</html>", b"null", b"[]", b"\xff\xfe\x00", b"{")


def check_words(dialect: Any, sample: Sample) -> None:
    """The finish reason is one of the library's words, and each tool call has a name and an id of its own."""
    messages: list[AIMessage] = []
    data = sample.data()
    if data is not None:
        messages.append(decoded(dialect, data))
    if sample.stream is not None:
        messages.append(fold(events_of(dialect, [sample.stream])))
    for message in messages:
        reason = message.finish_reason
        claim(
            reason in get_args(FinishReason),
            f"{sample.name}: finish_reason is {reason!r}, none of {', '.join(get_args(FinishReason))}; the provider's own word "
            "goes into raw_finish_reason",
        )
        calls = message.tool_calls
        claim(all(c.name for c in calls), f"{sample.name}: a tool call has no name")
        claim(all(c.id for c in calls), f"{sample.name}: a tool call has no id: its result could not name it")
        claim(len({c.id for c in calls}) == len(calls), f"{sample.name}: two tool calls have the same id")


def check_no_answer(dialect: Any, sample: Sample) -> None:
    """Bytes that are no answer raise an error of the library's (`ProtocolError`), and are no empty answer."""
    data = sample.data()
    if data is None:
        return
    for bad in (*NO_ANSWERS, data[: len(data) // 2]):
        try:
            found = dialect.decode(HTTPResponse(status=200, body=bad))
        except UNREAD:
            continue
        except Exception as error:
            text = f"{sample.name}: of the body {bad[:40]!r} decode raises {error!r}: make it a ValueError or a ProtocolError"
            raise AssertionError(text) from error
        claim(False, f"{sample.name}: of the body {bad[:40]!r} decode makes {found!r}, not a ProtocolError")


def check_no_stream(dialect: Any, sample: Sample) -> None:
    """A stream of bytes that are no answer ends with an error of the library's."""
    if sample.stream is None:
        return
    for bad in (*NO_ANSWERS[1:], b"\n\n\n"):
        try:
            found, error = read(dialect, [bad, b"\n\n"])
        except UNREAD:
            continue
        except Exception as other:
            text = f"{sample.name}: the stream {bad[:40]!r} raises {other!r}: make it a ValueError or a ProtocolError"
            raise AssertionError(text) from other
        claim(
            error is not None, f"{sample.name}: the stream {bad[:40]!r} counts as the complete answer {fold(found)!r}"
        )


def check_side_by_side(dialect: Any, sample: Sample) -> None:
    """Streams that are read at the same time do not mix, and one that was left leaves nothing to the next."""
    data = sample.stream
    if data is None:
        return
    whole, failed = read(dialect, [data])
    claim(failed is None, f"{sample.name}: after other streams of the dialect, this one raises {failed!r}")
    half = len(data) // 2
    one, other = dialect.stream_decoder(), dialect.stream_decoder()
    left = dialect.stream_decoder()
    left.feed(data[:half])
    try:
        found = [one.feed(data[:half]), other.feed(data[:half]), one.feed(data[half:]), other.feed(data[half:])]
        ends = [one.close(), other.close()]
    except UNREAD as error:
        raise AssertionError(f"{sample.name}: of two streams read side by side, one raises {error!r}") from error
    for mine, name in (([*found[0], *found[2], *ends[0]], "first"), ([*found[1], *found[3], *ends[1]], "second")):
        claim(mine == whole, f"{sample.name}: of two streams read side by side, the {name} gives other events")


def check_line_ends(dialect: Any, sample: Sample) -> None:
    """Server-sent events mean the same with other line ends (`\\r\\n`), as their standard says."""
    data = sample.stream
    if data is None or not re.search(rb"(?m)^data: ?\{", data) or b"\r" in data:
        return
    whole = events_of(dialect, [data])
    for size in (len(data) * 2, 1):
        lines = data.replace(b"\n", b"\r\n")
        found, error = read(dialect, [lines[i : i + size] for i in range(0, len(lines), size)])
        claim(error is None, f"{sample.name}: with lines that end in \\r\\n, the stream raises {error!r}")
        claim(found == whole, f"{sample.name}: with lines that end in \\r\\n, the stream gives other events")
