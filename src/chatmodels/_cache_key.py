"""What makes two calls the same: a hash over the encoded request, its address and its dialect. No key is part of it.

`stream` does not split it: both ways of asking have the plain request's key. Knows no cache.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from ._call import Call, HTTPRequest
from ._messages import HumanMessage
from ._parts import Text

if TYPE_CHECKING:
    from ._plan import Plan

#: Raised when keys or records change their meaning: older entries are then simply not found.
VERSION = 1

#: Headers that do not change an answer, besides those with a key: how bytes travel, and marks of one single request.
_BESIDE = re.compile(
    r"user-agent|accept|accept-encoding|content-type|connection|traceparent|tracestate|baggage|idempotency-key|"
    r"(x-)?(client-)?(request|correlation)-id"
)
#: Words of headers that carry keys. Whole words: "x-max-tokens" and "x-author" may change an answer.
_KEYS = re.compile(
    r"(?<![a-z])(?:api[-_]?key|(?:subscription|access)[-_]key|auth|authorization|token|secret|password|cookie|credentials?|signature)(?![a-z])"
)


class Question(msgspec.Struct, frozen=True):
    """A call as a cache knows it: its key, and the warnings that encoding it gave."""

    key: str
    warnings: tuple[str, ...]


def question_of(plan: Plan, call: Call) -> Question:
    """The question that this call asks, however it is asked."""
    request = plan.dialect.encode(msgspec.structs.replace(call, stream=False) if call.stream else call)
    return Question(_hash(plan, request), request.warnings)


def asked_in_words(call: Call) -> str | None:
    """The text of the last message, where a person asks in nothing but text; else None."""
    last = call.messages[-1]
    if isinstance(last, HumanMessage) and all(isinstance(p, Text) for p in last.parts) and last.text.strip():
        return last.text
    return None


def setting_of(plan: Plan, call: Call) -> str:
    """The hash of all that is around the last message: calls with the same one differ only in its words."""
    around = msgspec.structs.replace(call.messages[-1], content="...")
    return question_of(plan, msgspec.structs.replace(call, messages=(*call.messages[:-1], around))).key


def _hash(plan: Plan, request: HTTPRequest) -> str:
    target, dialect = plan.target, plan.dialect
    headers = {name.lower(): value for name, value in (*target.headers.items(), *request.headers.items())}
    counted = sorted((n, v) for n, v in headers.items() if not _BESIDE.fullmatch(n) and not _KEYS.search(n))
    return _sha256(
        (
            f"chatmodels answer {VERSION}",
            type(dialect).__name__,
            dialect.provider,
            target.base_url,
            request.method,
            request.path,
            *(part for pair in counted for part in pair),
            request.body,
        )
    )


def _sha256(parts: Iterable[str | bytes]) -> str:
    """Each part with its length before it, so that no two lists of parts give the same bytes."""
    made = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        made.update(b"%d:" % len(data))
        made.update(data)
    return made.hexdigest()
