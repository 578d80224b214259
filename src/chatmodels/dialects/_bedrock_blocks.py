"""Content blocks of Bedrock Converse -> parts, for answers, streams and recorded requests; usage and finish
reasons.

A block is an object of one key. What the neutral part cannot say is kept in `part.provider_data[provider]`:
"block" (the whole block of a tool that the provider ran), "extra" (the fields inside the block beside those
that the part says). Source: the service model of bedrock-runtime in botocore 1.44 and the Converse API
reference, checked 2026-11.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from .._inputs import tool_call
from .._json import mend
from .._parts import (
    Audio,
    Citation,
    File,
    Image,
    Opaque,
    Part,
    Reasoning,
    ServerTool,
    Text,
    ToolResult,
    Video,
)
from .._schema_walk import is_object
from .._usage import Usage, make_usage
from ._kept import beside, count, items, keep, mapping, text, text_or_none

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}

#: Fields of the answer, beside its content, that a caller may need.
MESSAGE_FIELDS = ("additionalModelResponseFields", "trace", "performanceConfig", "serviceTier", "metrics")

#: Words of the format field -> media type, where it is not "kind/word".
_TYPES = {
    "jpg": "image/jpeg",
    "csv": "text/csv",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "flv": "video/x-flv",
    "wmv": "video/x-ms-wmv",
    "mpg": "video/mpeg",
    "three_gp": "video/3gpp",
    "mp3": "audio/mpeg",
}

#: Name of a system tool, or the type of its result -> the neutral kind.
_SERVER_KINDS = {
    "nova_grounding": "web_search",
    "nova_grounding_result": "web_search",
    "nova_code_interpreter": "code_execution",
    "nova_code_interpreter_result": "code_execution",
}


def finish_of(raw: Any) -> str:
    """The unified finish reason."""
    return FINISH.get(raw, "other") if isinstance(raw, str) and raw else "unknown"


def usage_of(raw: Any) -> Usage | None:
    """Token counts. The wire's `inputTokens` leaves out what the cache read and wrote, so the total is the
    sum.
    """
    if not is_object(raw) or not raw:
        return None
    read = _first(raw, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = _first(raw, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    plain = count(raw.get("inputTokens"))
    total = None if plain is None and read is None and written is None else (plain or 0) + (read or 0) + (written or 0)
    hour = [count(d.get("inputTokens")) or 0 for d in items(raw.get("cacheDetails")) if mapping(d).get("ttl") == "1h"]
    return make_usage(
        total,
        count(raw.get("outputTokens")),
        raw=raw,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=sum(hour) if hour else None,
    )


def _first(raw: dict[str, Any], *names: str) -> int | None:
    return next((n for name in names if (n := count(raw.get(name))) is not None), None)


def message_data(answer: dict[str, Any]) -> dict[str, Any]:
    """What is kept of an answer beside its content."""
    return {k: answer[k] for k in MESSAGE_FIELDS if answer.get(k) is not None}


def key_of(block: dict[str, Any]) -> str:
    """The kind of a block: its key that we know, else its first (SDKs add a "type" beside it)."""
    return next((k for k in block if k in _READERS), next(iter(block), ""))


def read_block(block: Any, provider: str) -> Part | None:
    """One content block as a part; None for an empty text; a kind that nobody knows stays opaque."""
    if not is_object(block):
        return Opaque(provider=provider, kind="", data=block)
    key = key_of(block)
    reader = _READERS.get(key)
    if reader is None:
        return Opaque(provider=provider, kind=key, data=block)
    return reader(block, provider)


def _text(block: dict[str, Any], provider: str) -> Part | None:
    said = text(block.get("text"))
    return Text(mend(said)) if said else None


def _cited(block: dict[str, Any], provider: str) -> Part | None:
    inner = mapping(block["citationsContent"])
    said = mend("".join([text(mapping(c).get("text")) for c in items(inner.get("content"))]))
    found = tuple(citation_of(c, provider) for c in items(inner.get("citations")))
    return Text(said, found) if said or found else None


def citation_of(wire: Any, provider: str) -> Citation:
    """A citation. It speaks for the whole text block, so it has no place within the text."""
    inner = mapping(wire)
    web = mapping(mapping(inner.get("location")).get("web"))
    source = text(inner.get("source"))
    cited = "".join([text(mapping(c).get("text")) for c in items(inner.get("sourceContent"))])
    return Citation(
        url=text_or_none(web.get("url")) or (source if "://" in source else None),
        title=text_or_none(inner.get("title")),
        cited_text=cited or None,
        provider_data={provider: {"citation": wire}},
    )


def _reasoning(block: dict[str, Any], provider: str) -> Part:
    inner = mapping(block["reasoningContent"])
    if "redactedContent" in inner:
        return Reasoning("", encrypted=text(inner["redactedContent"]))
    said = mapping(inner.get("reasoningText"))
    signature = said.get("signature")
    return Reasoning(mend(text(said.get("text"))), signature=signature if isinstance(signature, str) else None)


def _tool_use(block: dict[str, Any], provider: str) -> Part:
    inner = mapping(block["toolUse"])
    name, ident = text(inner.get("name")), text(inner.get("toolUseId"))
    if inner.get("type") == "server_tool_use":
        return ServerTool(
            phase="call",
            kind=server_kind(name),
            id=ident or None,
            name=name or None,
            args=inner.get("input"),
            provider_data={provider: {"block": block}},
        )
    return tool_call(ident, name, inner.get("input"), provider_data=keep(provider, "extra", call_extra(inner)))


def call_extra(inner: dict[str, Any]) -> dict[str, Any]:
    """What a call has beside our fields. "tool_use" is what a call is anyway (and no word of the service model)."""
    extra = beside(inner, "name", "toolUseId", "input")
    return {k: v for k, v in extra.items() if (k, v) != ("type", "tool_use")}


def server_kind(name: str) -> str:
    """The neutral kind of a tool that the provider ran."""
    return _SERVER_KINDS.get(name, name.removesuffix("_result"))


def _tool_result(block: dict[str, Any], provider: str) -> Part:
    """The result of a tool that the provider ran, which it names in `type`; else that of a tool of the
    caller's.
    """
    inner = mapping(block["toolResult"])
    kind = text(inner.get("type"))
    if kind:
        return ServerTool(
            phase="result",
            kind=server_kind(kind),
            id=text_or_none(inner.get("toolUseId")),
            name=kind.removesuffix("_result"),
            result=inner.get("content"),
            provider_data={provider: {"block": block}},
        )
    parts = [p for b in items(inner.get("content")) if (p := read_block(b, provider)) is not None]
    only = parts[0] if len(parts) == 1 else None
    return ToolResult(
        text(inner.get("toolUseId")),
        only.text if isinstance(only, Text) and only == Text(only.text) else parts,
        inner.get("status") == "error",
        provider_data=keep(provider, "extra", beside(inner, "toolUseId", "content", "status")),
    )


# ---- media


def _source(inner: dict[str, Any]) -> dict[str, Any] | None:
    """url or data of a media block; None for a source of another form."""
    source = mapping(inner.get("source"))
    location = mapping(source.get("s3Location"))
    if location.keys() == {"uri"} and text(location["uri"]):
        return {"url": location["uri"]}
    if source.keys() == {"text"} and isinstance(source["text"], str):
        return {"data": source["text"].encode()}
    given = source.get("bytes")
    if not isinstance(given, str) or not given:
        return None
    try:
        return {"data": b64decode(given, validate=True)}
    except (Base64Error, ValueError):
        return None


def media(block: dict[str, Any], provider: str) -> Part:
    """An image, document, video or audio; opaque where its source has a form of its own."""
    key = key_of(block)
    inner = mapping(block[key])
    source = _source(inner)
    form = text(inner.get("format"))
    if source is None:
        return Opaque(provider=provider, kind=key, data=block)
    kind, make = _MEDIA[key]
    said = ("format", "source", "name") if key == "document" else ("format", "source")
    extra = beside(inner, *said)
    if "text" in mapping(inner.get("source")):
        extra["source_is_text"] = True
    name = {"name": text_or_none(inner.get("name"))} if key == "document" else {}
    part: Part = make(
        **source,
        **name,
        media_type=_TYPES.get(form, f"{kind}/{form}") if form else None,
        provider_data=keep(provider, "extra", extra),
    )
    return part


_MEDIA: dict[str, tuple[str, Callable[..., Part]]] = {
    "image": ("image", Image),
    "document": ("application", File),
    "video": ("video", Video),
    "audio": ("audio", Audio),
}

_READERS: dict[str, Callable[[dict[str, Any], str], Part | None]] = {
    "text": _text,
    "citationsContent": _cited,
    "reasoningContent": _reasoning,
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "image": media,
    "document": media,
    "video": media,
    "audio": media,
}


def with_cache(part: Part, point: dict[str, Any]) -> Part:
    """The part with the cache point that follows it."""
    return replace(part, cache=text(point.get("ttl")) or True)
