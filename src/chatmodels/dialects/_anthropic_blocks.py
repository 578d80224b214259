"""Content blocks of Anthropic Messages -> parts, for answers, streams and recorded requests; usage and
finish reasons.

What the neutral part cannot say is kept in `part.provider_data[provider]`: "block" (the whole block of a
tool that the provider ran), "extra" (the fields beside those that the part says). Source: the Messages API
reference and the types of anthropic 2.12, checked 2026-11.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from .._content import opaque
from .._inputs import tool_call
from .._json import mend
from .._parts import (
    Citation,
    File,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    ServerTool,
    Text,
    ToolResult,
)
from .._schema_walk import is_array, is_object
from .._usage import Usage, make_usage
from ._kept import beside, count, items, keep, mapping, text, text_or_none

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "refusal",
}

#: Fields of the message, beside its content, that a caller or a later request may need.
MESSAGE_FIELDS = (
    "stop_sequence",
    "stop_details",
    "container",
    "context_management",
    "diagnostics",
    "input_transformations",
)

#: Name of a server tool, or the head of the type of its result -> the neutral kind.
_SERVER_KINDS = {
    "web_search": "web_search",
    "web_fetch": "web_fetch",
    "code_execution": "code_execution",
    "bash_code_execution": "code_execution",
    "text_editor_code_execution": "code_execution",
    "tool_search_tool_regex": "tool_search",
    "tool_search_tool_bm25": "tool_search",
    "tool_search": "tool_search",
}


def finish_of(raw: Any) -> str:
    """The unified finish reason."""
    return FINISH.get(raw, "other") if isinstance(raw, str) and raw else "unknown"


def usage_of(raw: dict[str, Any]) -> Usage | None:
    """Token counts. The wire's input classes are disjoint, so the total is their sum."""
    read, written = count(raw.get("cache_read_input_tokens")), count(raw.get("cache_creation_input_tokens"))
    plain = count(raw.get("input_tokens"))
    total = None if plain is None and read is None and written is None else (plain or 0) + (read or 0) + (written or 0)
    return make_usage(
        total,
        count(raw.get("output_tokens")),
        raw=dict(raw),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=count(mapping(raw.get("cache_creation")).get("ephemeral_1h_input_tokens")),
        reasoning_tokens=count(mapping(raw.get("output_tokens_details")).get("thinking_tokens")),
    )


def message_data(message: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a message beside its content."""
    return {k: message[k] for k in MESSAGE_FIELDS if message.get(k) is not None}


def refusal_of(details: Any, provider: str) -> Refusal | None:
    """The provider's words about a refusal, which are no content: they are never sent back."""
    said = text_or_none(mapping(details).get("explanation"))
    return None if said is None else Refusal(said, provider_data=keep(provider, "stop_details", True))


def read_block(block: Any, provider: str) -> Part | None:
    """One content block as a part; None for an empty text; a kind that nobody knows stays opaque."""
    if not is_object(block):
        return Opaque(provider=provider, kind="", data=block)
    kind = text(block.get("type"))
    reader = _READERS.get(kind)
    if reader is None and kind.endswith("_tool_result"):
        reader = _server_result
    return reader(block, provider) if reader else opaque(provider, block)


def cache_of(control: Any) -> bool | str | None:
    """A prompt-cache point; None for a form that has no neutral place."""
    if control is None:
        return False
    if not is_object(control) or control.get("type") != "ephemeral" or control.keys() - {"type", "ttl"}:
        return None
    return text(control.get("ttl")) or True


def _common(block: dict[str, Any], provider: str, *said: str) -> dict[str, Any]:
    """`cache` and `provider_data` of a part, from the fields of its block that the part does not say."""
    extra = beside(block, "type", "cache_control", *said)
    cache = cache_of(block.get("cache_control"))
    if cache is None:
        extra["cache_control"] = block["cache_control"]
    return {"cache": cache or False, "provider_data": keep(provider, "extra", extra)}


def _text(block: dict[str, Any], provider: str) -> Part | None:
    found = tuple(citation_of(c, provider) for c in items(block.get("citations")))
    said = mend(text(block.get("text")))
    common = _common(block, provider, "text", "citations")
    if not (said or found or common["provider_data"]):
        return None
    return Text(said, found, **common)


def citation_of(wire: Any, provider: str) -> Citation:
    """A citation. It speaks for the whole text block, so it has no place within the text."""
    inner = mapping(wire)
    return Citation(
        url=text_or_none(inner.get("url")) or text_or_none(inner.get("source")),
        title=text_or_none(inner.get("title")) or text_or_none(inner.get("document_title")),
        cited_text=text_or_none(inner.get("cited_text")),
        file_id=text_or_none(inner.get("file_id")),
        provider_data={provider: {"citation": wire}},
    )


def _thinking(block: dict[str, Any], provider: str) -> Part:
    common = _common(block, provider, "thinking", "signature")
    return Reasoning(mend(text(block.get("thinking"))), signature=signature_of(block), **common)


def signature_of(block: dict[str, Any]) -> str | None:
    """The signature, which some hosts leave empty: it goes back as it came."""
    signature = block.get("signature")
    return signature if isinstance(signature, str) else None


def _redacted(block: dict[str, Any], provider: str) -> Part:
    return Reasoning("", encrypted=text_or_none(block.get("data")), **_common(block, provider, "data"))


def _tool_use(block: dict[str, Any], provider: str) -> Part:
    common = _common(block, provider, "id", "name", "input")
    call = tool_call(text(block.get("id")), text(block.get("name")), block.get("input"))
    return _with(call, common)


def _with(part: Any, common: dict[str, Any]) -> Part:
    return replace(part, **common) if common["cache"] or common["provider_data"] else part  # type: ignore[no-any-return]


def server_kind(name: str) -> str:
    """The neutral kind of a tool that the provider ran."""
    return _SERVER_KINDS.get(name, name)


def _server_call(block: dict[str, Any], provider: str) -> Part:
    name = text(block.get("name"))
    mcp = block.get("type") == "mcp_tool_use"
    return ServerTool(
        phase="call",
        kind="mcp" if mcp else server_kind(name),
        id=text_or_none(block.get("id")),
        name=name or None,
        args=block.get("input"),
        **_whole(block, provider),
    )


def _server_result(block: dict[str, Any], provider: str) -> Part:
    name = text(block.get("type")).removesuffix("_tool_result")
    return ServerTool(
        phase="result",
        kind=server_kind(name),
        id=text_or_none(block.get("tool_use_id")),
        name=name,
        result=block.get("content"),
        **_whole(block, provider),
    )


def _whole(block: dict[str, Any], provider: str) -> dict[str, Any]:
    cache = cache_of(block.get("cache_control"))
    own = block if cache is None else {k: v for k, v in block.items() if k != "cache_control"}
    return {"cache": cache or False, "provider_data": {provider: {"block": own}}}


# ---- blocks of requests


def _source(block: dict[str, Any]) -> dict[str, Any] | None:
    """url, data or file_id of a media block, and its media type; None for a source of another form."""
    source = mapping(block.get("source"))
    kind = source.get("type")
    if kind == "url" and text(source.get("url")):
        return {"url": source["url"]}
    if kind == "file" and text(source.get("file_id")):
        return {"file_id": source["file_id"]}
    if kind == "base64" and isinstance(source.get("data"), str):
        try:
            data = b64decode(source["data"], validate=True)
        except (Base64Error, ValueError):
            return None
        return {"data": data, "media_type": text_or_none(source.get("media_type"))}
    if kind == "text" and isinstance(source.get("data"), str):
        return {"data": source["data"].encode(), "media_type": text_or_none(source.get("media_type"))}
    return None


def _image(block: dict[str, Any], provider: str) -> Part:
    source = _source(block)
    if source is None:
        return opaque(provider, block)
    return Image(**source, **_common(block, provider, "source"))


def _document(block: dict[str, Any], provider: str) -> Part:
    source = _source(block)
    if source is None:
        return opaque(provider, block)
    return File(**source, name=text_or_none(block.get("title")), **_common(block, provider, "source", "title"))


def _tool_result(block: dict[str, Any], provider: str) -> Part:
    content = block.get("content")
    return ToolResult(
        text(block.get("tool_use_id")),
        _parts(content, provider) if is_array(content) else text(content),
        block.get("is_error") is True,
        **_common(block, provider, "tool_use_id", "content", "is_error"),
    )


def _parts(blocks: list[Any], provider: str) -> list[Part]:
    return [p for b in blocks if (p := read_block(b, provider)) is not None]


_READERS: dict[str, Callable[[dict[str, Any], str], Part | None]] = {
    "text": _text,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "server_tool_use": _server_call,
    "mcp_tool_use": _server_call,
    "image": _image,
    "document": _document,
    "tool_result": _tool_result,
}
