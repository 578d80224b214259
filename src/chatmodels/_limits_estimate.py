"""How many tokens a call may take, estimated before it is sent: from the length of its text and its `max_tokens`. Pure.

An estimate is for limits only; it is corrected by the answer's usage.
"""

from __future__ import annotations

import msgspec

from ._call import Call
from ._messages import Message
from ._parts import Part, Text
from ._tools import Tool

#: Bytes of UTF-8 a token; the vocabularies in use are near it for prose, and not far off for other scripts.
BYTES_PER_TOKEN = 4
#: What a message costs besides its text, and what a part that is no text (an image, a file) is taken for.
PER_MESSAGE = 4
PER_MEDIUM = 800


class Need(int):
    """The tokens that a try may take, and how they are split: `given` goes in, `made` is what answers have had so far (providers
    that count output apart count what came, not `max_tokens`)."""

    given: int
    made: int

    @classmethod
    def of(cls, total: int, given: int, made: int) -> Need:
        """The whole and its two parts."""
        need = cls(total)
        need.given, need.made = given, made
        return need


def input_tokens(call: Call) -> int:
    """The tokens of the messages and tools."""
    total = sum([_message(m) for m in call.messages])
    return total + sum([_tool(t) for t in call.tools]) if call.tools else total


def output_tokens(call: Call, expected: float) -> int:
    """The tokens of the answer at most, where the call says so; else as many as answers have had so far."""
    most = call.settings.max_tokens
    each = int(expected) if most is None else most
    return each * (call.settings.n or 1)


def _message(message: Message) -> int:
    content = message.content
    if isinstance(content, str):
        return PER_MESSAGE + _text(content)
    return PER_MESSAGE + sum([_part(p) for p in content])


def _part(part: Part) -> int:
    if isinstance(part, Text):
        return _text(part.text)
    for name in ("args_text", "text", "content"):
        written = getattr(part, name, None)
        if isinstance(written, str):
            return _text(written)
    return PER_MEDIUM


def _text(text: str) -> int:
    size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
    return -(-size // BYTES_PER_TOKEN)


def _tool(tool: Tool) -> int:
    schema = msgspec.json.encode(tool.parameters) if tool.parameters else b""
    return PER_MESSAGE + _text(tool.name + (tool.description or "")) + len(schema) // BYTES_PER_TOKEN
