"""A line for each call, through standard logging. No content unless asked for, and then masked and cut."""

from __future__ import annotations

import logging
from typing import Any

from ._echo import asked_in, without_echo
from ._redact import redacted
from ._watch import Seen


class Lines:
    """Writes to one logger."""

    def __init__(self, logger: logging.Logger, level: int, content: bool) -> None:
        self.logger = logger
        self.level = level
        self.content = content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lines) and other.logger is self.logger

    def __hash__(self) -> int:
        return hash(id(self.logger))

    def begin(self, seen: Seen) -> None:
        """Nothing is written before the end."""

    def end(self, seen: Seen) -> None:
        level = self.level if seen.error is None else max(self.level, logging.WARNING)
        if not self.logger.isEnabledFor(level):
            return
        facts = figures(seen)
        if not self.content and seen.error is not None and without_echo(str(seen.error), asked_in(seen.call)) is None:
            facts["error_text"] = None  # it repeats the question
        said = _sentence(facts)
        if self.content:
            facts["input"] = redacted(seen.call.messages[-1].text) if seen.call.messages else ""
            facts["output"] = redacted(seen.message.text) if seen.message is not None else ""
            said += f" | {facts['input']!r} -> {facts['output']!r}"
        self.logger.log(level, "%s", said, extra={"chatmodels": facts})


def figures(seen: Seen) -> dict[str, Any]:
    """What is known of a call, as plain values without content."""
    message, error = seen.message, seen.error
    usage = None if message is None else message.usage
    attempts = getattr(error, "attempts", None) or (message.attempts if message is not None else ())
    found: dict[str, Any] = {
        "provider": seen.provider,
        "model": (message.model if message is not None else None) or seen.call.model,
        "seconds": round(seen.seconds, 6),
        "streamed": seen.streamed,
        "tries": len(attempts),
        "input_tokens": None if usage is None else usage.input_tokens,
        "output_tokens": None if usage is None else usage.output_tokens,
        "finish_reason": None if message is None else message.finish_reason,
        "request_id": getattr(error, "request_id", None) or (message.request_id if message is not None else None),
        "from_cache": message is not None and message.from_cache,
        "left": seen.left,
        "error": None if error is None else type(error).__name__,
        "error_text": None if error is None else redacted(str(error)),
    }
    return found


def _sentence(facts: dict[str, Any]) -> str:
    parts = [f"{facts['provider']}:{facts['model']}", f"{facts['seconds'] * 1000:,.0f} ms"]
    if facts["input_tokens"] is not None or facts["output_tokens"] is not None:
        parts.append(f"{facts['input_tokens'] or 0} + {facts['output_tokens'] or 0} tokens")
    if facts["tries"] > 1:
        parts.append(f"{facts['tries']} tries")
    if facts["from_cache"]:
        parts.append("from the cache")
    parts.append(_ending(facts))
    if facts["request_id"]:
        parts.append(f"request {facts['request_id']}")
    return ", ".join(parts)


def _ending(facts: dict[str, Any]) -> str:
    if facts["error"]:
        return f"{facts['error']}: {facts['error_text']}" if facts["error_text"] else str(facts["error"])
    return "left" if facts["left"] else str(facts["finish_reason"])
