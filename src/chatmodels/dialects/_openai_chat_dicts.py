"""Our messages as OpenAI chat dicts, for code and tools that speak those. The way back is `_inputs.from_openai`. Pure."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from .._messages import Message
from ._openai_chat_parts import Profile
from ._openai_chat_request import Encoder

#: Every form that some host takes.
_ALL = Profile(
    reasoning_field="reasoning_content",
    media=frozenset({"video", "file_url", "audio_url", "tool_images", "tool_name", "answer_images"}),
    cache_points="cache_control",
)


def to_openai(messages: Sequence[Message], *, provider: str = "openai") -> list[dict[str, Any]]:
    """`[{"role": ..., "content": ...}, ...]`, as Chat Completions has them.

    `provider` names whose opaque data (signatures, reasoning details) is put in; nobody else's is. What the form has no
    place for is left out with a Python warning that names it; a `UsageError` names what cannot be said at all.
    """
    encoder = Encoder(provider, _ALL)
    out = encoder.messages(messages)
    for text in encoder.warnings:
        warnings.warn(text, stacklevel=2)
    return out
