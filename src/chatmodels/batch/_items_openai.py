"""Lines that were made for OpenAI's batch API (`custom_id`, `method`, `url`, `body`), read as items. Knows no model."""

from __future__ import annotations

from typing import Any

from .._errors import UsageError
from .._json import is_array, is_object
from .._options import ALIASES, SETTINGS

#: What a body says that is no setting.
_NO_SETTINGS = frozenset({"messages", "model", "stream", "stream_options"})
_CHAT = "/chat/completions"


def is_line(given: dict[str, Any]) -> bool:
    """Is it one?"""
    return is_object(given.get("body")) and "url" in given


def read_line(given: dict[str, Any]) -> dict[str, Any]:
    """`messages`, `settings` and `model` of it: what the batch knows goes under settings, the body's other fields are sent as they
    stand. Raises UsageError where it asks for something else than a chat."""
    url, body = given.get("url"), given["body"]
    if not isinstance(url, str) or not url.endswith(_CHAT) or not is_array(body.get("messages")):
        raise UsageError(
            f"this is a line for OpenAI's batch API at {url}; only those for /v1/chat/completions, with messages, can be "
            "asked here. Write it as an object with messages, settings and id",
            argument="items",
        )
    settings = {name: value for name, value in body.items() if name not in _NO_SETTINGS and value is not None}
    known = {name: value for name, value in settings.items() if ALIASES.get(name, name) in SETTINGS}
    extra = {name: value for name, value in settings.items() if name not in known}
    if extra:
        known["extra_body"] = {**extra, **(known.get("extra_body") or {})}
    model = body.get("model")
    return {"messages": body["messages"], "settings": known, "model": model if isinstance(model, str) else None}
