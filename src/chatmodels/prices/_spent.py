"""What tries took that were not counted to their end: streams that were cut or left, calls that were given up.

A provider's count in the middle of a stream is what it was then: Anthropic says 1 where a page of text has come.
"""

from __future__ import annotations

from msgspec.structs import replace

from .._estimate import answer_tokens
from .._messages import AIMessage
from .._usage import Attempt, Usage

#: Ends of tries that a provider may have worked for, and bill.
_WORKED_FOR = ("left", "cancelled", "IncompleteStream", "TransportError", "DeadlineError")


def counted(attempt: Attempt, message: AIMessage | None) -> Usage | None:
    """The usage of a try; where it broke off, with at least the output that is seen, and marked as estimated. `message` is what
    came of this try, None where that is not known."""
    usage = attempt.usage
    if usage is None or attempt.outcome == "ok":
        return usage
    seen = 0 if message is None or message.finish_reason is not None else answer_tokens(message)
    return replace(usage, output_tokens=max(usage.output_tokens or 0, seen), estimated=True)


def worked_for(attempt: Attempt) -> bool:
    """May the provider have worked for a try that has no answer? Not where there was no connection yet."""
    if attempt.outcome == "DeadlineError" and "connect" in (attempt.error or ""):
        return False
    return attempt.outcome in _WORKED_FOR


def uncounted(attempts: tuple[Attempt, ...]) -> tuple[str, ...]:
    """What no provider counted, in words for `Cost.omitted`."""
    number = sum(1 for a in attempts if a.usage is None and worked_for(a))
    return (f"{number} tr{'y' if number == 1 else 'ies'} that nobody counted",) if number else ()
