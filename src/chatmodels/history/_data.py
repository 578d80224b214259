"""Conversations to and from JSON and OpenAI dicts. Data only: nothing is imported or run from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from .._errors import UsageError
from .._inputs import from_dict, messages_of
from .._inputs_openai import from_openai as _from_openai
from .._json import is_array, is_object, loads
from .._messages import Message

VERSION = 1


def messages_to_json(messages: Any) -> str:
    """The conversation as JSON text, the same for the same messages: `{"v": 1, "messages": [{"v": 1, "type": "human", ...}]}`.

    All that a message holds is in it, but `.raw`.
    """
    data = [_plain(m, place) for place, m in enumerate(messages_of(messages))] if messages else []
    return msgspec.json.encode({"v": VERSION, "messages": data}).decode()


def _plain(message: Message, place: int) -> dict[str, Any]:
    try:
        return message.to_dict()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"messages[{place}] has half of a character in it (a lone surrogate, as decoding with errors='surrogateescape' "
            f"leaves them), which JSON cannot hold: {error.object[error.start : error.end]!r}",
            argument=f"messages[{place}]",
        ) from error


def messages_from_json(text: str | bytes) -> list[Message]:
    """The conversation of `messages_to_json`; also a bare JSON array of messages. Raises `UsageError` that names the place."""
    try:
        data = loads(text)
    except ValueError as error:
        raise UsageError(f"the text is not JSON: {error}", argument="text") from error
    except RecursionError as error:
        raise UsageError("the text is JSON that is nested too deeply", argument="text") from error
    if is_object(data):
        if data.get("v", VERSION) != VERSION:
            raise UsageError(
                f"a conversation of version {data['v']!r}: this release reads version {VERSION}", argument="v"
            )
        data = data.get("messages")
    if not is_array(data):
        raise UsageError('a conversation is {"v": 1, "messages": [...]}, or an array of messages', argument="text")
    return [_one(item, f"messages[{place}]") for place, item in enumerate(data)]


def _one(item: Any, where: str) -> Message:
    if not is_object(item):
        raise UsageError(f"{where} is an object, not {type(item).__name__}", argument=where)
    try:
        return from_dict(item)
    except UsageError as error:
        raise UsageError(f"{where}: {error.text}", argument=where) from error


def to_openai(messages: Any, *, provider: str = "openai") -> list[dict[str, Any]]:
    """The conversation as OpenAI chat dicts: `[{"role": "user", "content": "..."}]`.

    What the form has no place for is left out with a Python warning that names it. `provider` names whose opaque data is put in.
    """
    from ..dialects._openai_chat_dicts import to_openai as dicts

    return dicts(messages_of(messages), provider=provider) if messages else []


def from_openai(messages: Sequence[dict[str, Any]]) -> list[Message]:
    """The messages that OpenAI chat dicts mean; what stands beside what we know is kept."""
    out: list[Message] = []
    for place, item in enumerate(messages):
        if not is_object(item):
            raise UsageError(f"messages[{place}] is a dict, not {type(item).__name__}", argument=f"messages[{place}]")
        out.append(_from_openai(item))
    return out
