"""Tokens of text, images and other parts without a vocabulary, by documented rules of thumb. Pure.

Text: 4 ASCII characters a token; each Chinese, Japanese or Korean character one; of other scripts two characters; an emoji two
tokens. A message costs 4 besides. Images by the provider's size rule where the size can be read from the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from ._estimate_image import image_tokens
from ._messages import AIMessage, Message, ToolMessage
from ._parts import (
    Audio,
    File,
    Image,
    InvalidToolCall,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    ServerTool,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from ._tools import Tool

#: What a message costs besides its parts; a tool call, and a tool's definition, besides their text.
PER_MESSAGE, PER_CALL, PER_TOOL = 4, 8, 12
#: Per message, per call, and per call with tools, where a provider's own counts show another frame (its recordings, 2026-11).
FRAMES = {"anthropic": (4, 4, 340), "google": (0, 0, 20), "vertex": (0, 0, 20)}
#: What is taken for sound, films and documents whose size says little: a guess.
PER_AUDIO, PER_VIDEO, PER_FILE = 200, 5000, 1500
#: Bytes of a second of sound (16-bit samples at 24 kHz; else compressed), and tokens of it: OpenAI's rate, and Google's.
WAVE, COMPRESSED, PER_SECOND, PER_SECOND_OF_GOOGLE = 48_000, 16_000, 10, 32

#: Chinese, Japanese, Korean and what stands beside them in Unicode: runs of it.
_WIDE = re.compile("[\u2e80-\uffff]+")

Count = Callable[[str], int]


def estimate_text(text: str) -> int:
    """Tokens of a text, estimated.

    >>> estimate_text("I love programming."), estimate_text("我喜欢编程")
    (5, 5)
    """
    length = len(text)
    if text.isascii():
        return -(-length // 4)
    # By encodings and runs: to look at each character takes twenty times as long.
    plain = len(text.encode("ascii", "ignore"))
    beyond = len(text.encode("utf-16-le", "surrogatepass")) // 2 - length
    wide = sum(map(len, _WIDE.findall(text)))
    return -(-(plain + 4 * wide + 8 * beyond + 2 * (length - plain - wide - beyond)) // 4)


def estimate_tokens(messages: Sequence[Message], provider: str = "") -> int:
    """Tokens of messages, estimated; `provider` picks the rule for images."""
    return sum([message_tokens(m, estimate_text, provider) for m in messages])


def message_tokens(message: Message, count: Count, provider: str, each: int = PER_MESSAGE) -> int:
    """Tokens of one message; its text is counted by `count`."""
    name = getattr(message, "name", None)
    total = each + (count(name) + 1 if name else 0)
    if isinstance(message.content, str):
        return total + count(message.content)
    return total + sum([part_tokens(p, count, provider) for p in message.content])


def part_tokens(part: Part, count: Count, provider: str) -> int:
    """Tokens of one part."""
    if isinstance(part, Text):
        return count(part.text)
    if isinstance(part, ToolCall | InvalidToolCall):
        return PER_CALL + count(part.name) + count(part.args_text)
    if isinstance(part, ToolResult):
        return message_tokens(ToolMessage(part.content), count, provider)
    if isinstance(part, Image):
        return image_tokens(part, provider)
    if isinstance(part, Audio):
        return count(part.transcript) if part.transcript else _sound(part, provider)
    return _other(part, count)


def _sound(part: Audio, provider: str) -> int:
    if part.data is None:
        return PER_AUDIO
    seconds = len(part.data) / (WAVE if bytes(part.data[:4]) == b"RIFF" else COMPRESSED)
    return 1 + int(seconds * (PER_SECOND_OF_GOOGLE if provider in ("google", "vertex") else PER_SECOND))


def _other(part: Part, count: Count) -> int:
    if isinstance(part, Video):
        return PER_VIDEO
    if isinstance(part, File):
        if part.data is not None and (part.media_type or "").startswith("text/"):
            return count(part.data.decode("utf-8", "replace"))
        return PER_FILE
    if isinstance(part, ServerTool):
        return PER_CALL + sum(count(_json(v)) for v in (part.args, part.result) if v is not None)
    if isinstance(part, Reasoning | Refusal):
        return count(part.text)
    return count(_json(part.data)) if isinstance(part, Opaque) else 0


def tool_tokens(tool: Tool, count: Count) -> int:
    """Tokens of a tool's definition."""
    schema = _json(tool.parameters) if tool.parameters else ""
    return PER_TOOL + count(tool.name) + count(tool.description or "") + count(schema)


def answer_tokens(message: AIMessage) -> int:
    """Tokens that an answer took to write, as far as it shows."""
    return max(0, message_tokens(message, estimate_text, message.provider or "", each=0))


def _json(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()
