"""Items of the Responses API <-> our parts, both ways, for answers, streams, requests and recorded requests.

Owns what an output item means and how it is written again; knows nothing of whole bodies, settings or
streams. What the neutral part cannot say is kept in `part.provider_data[provider]`: "item" (the whole item),
"extra" (the fields beside those that the part says), "message" (the same for the message item around a text),
"content" (for one content part). Source: the API reference of Responses and the types of openai-python 3.54,
checked 2026-11.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Any

import msgspec

from .._inputs import tool_call
from .._json import dumps_text, loads, mend
from .._parts import (
    Citation,
    Image,
    InvalidToolCall,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    ServerTool,
    Text,
    ToolCall,
)
from .._schema_walk import is_array, is_object
from ._kept import beside, count, items, keep, kept_dict, mapping, text, text_or_none

#: Between the sections of one summary: the wire has them as separate texts.
SECTION = "\n\n"

#: Calls of OpenAI's own tools that the caller has to run: item type -> (tool name, field of the arguments).
_CLIENT_CALLS: dict[str, tuple[str, str]] = {
    "shell_call": ("shell", "action"),
    "local_shell_call": ("local_shell", "action"),
    "apply_patch_call": ("apply_patch", "operation"),
    "computer_call": ("computer", "action"),
    "tool_search_call": ("tool_search", "arguments"),
}

#: Item type of a tool that the provider ran -> (neutral kind, fields of the arguments, fields of the result).
_SERVER_TOOLS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "web_search_call": ("web_search", ("action", "arguments"), ("results",)),
    "x_search_call": ("x_search", ("action", "arguments"), ("results",)),
    "file_search_call": ("file_search", ("queries",), ("results",)),
    "code_interpreter_call": ("code_execution", ("code",), ("outputs",)),
    "image_generation_call": ("image_generation", ("revised_prompt", "prompt"), ("result", "error")),
    "mcp_call": ("mcp", ("arguments",), ("output", "error")),
    "mcp_list_tools": ("mcp_list_tools", (), ("tools", "error")),
    "mcp_approval_request": ("mcp_approval", ("arguments",), ()),
    "tool_search_call": ("tool_search", ("arguments",), ()),
    "tool_search_output": ("tool_search", (), ("tools",)),
    "shell_call": ("shell", ("action",), ()),
    "shell_call_output": ("shell", (), ("output",)),
    "program": ("program", ("code",), ()),
    "program_output": ("program", (), ("result",)),
}

_IMAGE_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
}


# ---- reading


class Reading(msgspec.Struct, frozen=True):
    """What one item says: parts in order; `message` are the fields of a message item beside its content."""

    parts: list[Part]
    message: dict[str, Any] | None = None
    logprobs: list[dict[str, Any]] | None = None


def read_item(item: Any, provider: str) -> Reading:
    """An output item as parts; a kind that nobody knows stays opaque."""
    if not is_object(item):
        return Reading([Opaque(provider=provider, kind="", data=item)])
    kind = item.get("type")
    if kind == "message" or (kind is None and item.get("role") == "assistant"):
        return _read_message(item, provider)
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    return Reading([reader(item, provider) if reader else whole(item, provider)])


def whole(item: dict[str, Any], provider: str) -> Opaque:
    """The item as an opaque part."""
    return Opaque(provider=provider, kind=text(item.get("type")), data=item)


def _read_message(item: dict[str, Any], provider: str) -> Reading:
    content = item.get("content")
    if isinstance(content, str):
        content = [{"type": "output_text", "text": content}] if content else []
    parts = [read_content(c, provider) for c in items(content)]
    if not parts:
        return Reading([whole(item, provider)])
    return Reading(parts, beside(item, "type", "role", "content"), _logprobs(content))


def _logprobs(content: Any) -> list[dict[str, Any]] | None:
    found: list[dict[str, Any]] = []
    for part in items(content):
        found += [t for t in items(mapping(part).get("logprobs")) if is_object(t)]
    return found or None


def read_content(wire: Any, provider: str) -> Part:
    """One content part of an output message."""
    if isinstance(wire, str):
        return Text(mend(wire))
    if not is_object(wire):
        return _opaque_content(wire, "", provider)
    kind = wire.get("type")
    if kind in ("output_text", "text", "input_text"):
        notes = wire.get("annotations")
        cited = tuple(read_citation(a, provider) for a in items(notes) if is_object(a)) if notes else ()
        extra = beside(wire, "type", "text", "annotations", "logprobs")
        return Text(mend(text(wire.get("text"))), cited, provider_data=keep(provider, "content", extra))
    if kind == "refusal":
        return Refusal(mend(text(wire.get("refusal"))))
    return _opaque_content(wire, text(kind), provider)


def _opaque_content(wire: Any, kind: str, provider: str) -> Opaque:
    return Opaque(provider=provider, kind=kind, data=wire, provider_data={provider: {"content": {}}})


def read_citation(wire: dict[str, Any], provider: str) -> Citation:
    """An annotation of any kind."""
    return Citation(
        url=text_or_none(wire.get("url")),
        title=text_or_none(wire.get("title")),
        start=count(wire.get("start_index")),
        end=count(wire.get("end_index")),
        file_id=text_or_none(wire.get("file_id")),
        provider_data={provider: beside(wire, "url", "title", "start_index", "end_index", "file_id")},
    )


def in_message(part: Part, message: dict[str, Any], provider: str) -> Part:
    """The part, knowing by itself which message item it belongs to (for all but an answer's first one)."""
    data = dict(part.provider_data or {})
    data[provider] = {**(data.get(provider) or {}), "message": message}
    return msgspec.structs.replace(part, provider_data=data)


def _texts(wire: Any) -> list[str]:
    if isinstance(wire, str):
        return [wire] if wire else []
    return [text(t.get("text")) for t in items(wire) if is_object(t)]


def _read_reasoning(item: dict[str, Any], provider: str) -> Reasoning:
    full, summary = _texts(item.get("content")), _texts(item.get("summary"))
    encrypted = item.get("encrypted_content")
    part = Reasoning(
        mend(SECTION.join(full or summary)),
        bool(summary) and not full,
        encrypted=encrypted if isinstance(encrypted, str) else None,
    )
    written = build_reasoning(part, provider)
    extra = {k: v for k, v in beside(item, "type").items() if written.get(k) != v}
    return msgspec.structs.replace(part, provider_data=keep(provider, "extra", extra))


def _read_function(item: dict[str, Any], provider: str) -> Part:
    data = keep(provider, "extra", beside(item, "type", "call_id", "name", "arguments"))
    arguments = item.get("arguments")
    if isinstance(arguments, str):
        arguments = mend(arguments)
    return tool_call(
        text(item.get("call_id")) or text(item.get("id")),
        text(item.get("name")),
        "" if arguments is None else arguments,
        provider_data=data,
    )


def _read_custom(item: dict[str, Any], provider: str) -> Part:
    said = item.get("input")
    return ToolCall(
        text(item.get("call_id")) or text(item.get("id")),
        text(item.get("name")),
        mend(said) if isinstance(said, str) else dumps_text(said),
        custom=True,
        provider_data=keep(provider, "extra", beside(item, "type", "call_id", "name", "input")),
    )


def _read_client_call(item: dict[str, Any], provider: str) -> Part:
    if _is_hosted(item):
        return _read_server_tool(item, provider)
    name, field = _CLIENT_CALLS[item["type"]]
    args = item.get(field)
    if args is None and is_array(item.get("actions")):
        args = {"actions": item["actions"]}
    ident = text(item.get("call_id")) or text(item.get("id"))
    return ToolCall(
        ident,
        name,
        args if is_object(args) else {field: args},
        provider_data={provider: {"item": item}},
    )


def _is_hosted(item: dict[str, Any]) -> bool:
    """Does the provider run this call by itself? A shell in its container, a tool search on its side."""
    if item["type"] == "tool_search_call":
        return item.get("execution") != "client"
    environment = item.get("environment")
    return is_object(environment) and environment.get("type") == "container_reference"


def _read_server_tool(item: dict[str, Any], provider: str) -> Part:
    kind, said, given = _SERVER_TOOLS[item["type"]]
    result = _first(item, given)
    name = item.get("name") or item.get("server_label")
    return ServerTool(
        phase="result" if result is not None or item["type"].endswith("_output") else "call",
        kind=kind,
        id=text(item.get("call_id")) or text(item.get("id")) or None,
        name=name if isinstance(name, str) else None,
        args=_json(_first(item, said)),
        result=result,
        provider_data={provider: {"item": item}},
    )


def _first(item: dict[str, Any], fields: tuple[str, ...]) -> Any:
    return next((item[f] for f in fields if item.get(f) is not None), None)


def _json(value: Any) -> Any:
    """Arguments that came as JSON text, as the object that they are."""
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    try:
        return loads(value)
    except ValueError:
        return value


def _read_image(item: dict[str, Any], provider: str) -> Part:
    try:
        data = b64decode(item.get("result") or "", validate=True)
    except (Base64Error, ValueError, TypeError):
        data = b""
    if not data:
        return _read_server_tool(item, provider)
    return Image(
        data=data,
        media_type=_IMAGE_TYPES.get(text(item.get("output_format")), "image/png"),
        provider_data={provider: {"item": {k: v for k, v in item.items() if k != "result"}}},
    )


_READERS: dict[str, Callable[[dict[str, Any], str], Part]] = {
    **dict.fromkeys(_SERVER_TOOLS, _read_server_tool),
    **dict.fromkeys(_CLIENT_CALLS, _read_client_call),
    "reasoning": _read_reasoning,
    "function_call": _read_function,
    "custom_tool_call": _read_custom,
    "image_generation_call": _read_image,
}


# ---- writing


def build_reasoning(part: Reasoning, provider: str) -> dict[str, Any]:
    """A reasoning item; the id, and texts that were in sections, come from what was kept."""
    said = [part.text] if part.text else []
    item: dict[str, Any] = {"type": "reasoning", "summary": []}
    if part.summary:
        item["summary"] = [{"type": "summary_text", "text": t} for t in said]
    elif said:
        item["content"] = [{"type": "reasoning_text", "text": t} for t in said]
    if part.encrypted:
        item["encrypted_content"] = part.encrypted
    return {**item, **kept_dict(part, provider, "extra")}


def build_call(part: ToolCall | InvalidToolCall, call_id: str, provider: str) -> dict[str, Any]:
    """A call as the model made it."""
    item = kept_dict(part, provider, "item")
    if item:
        return item
    if isinstance(part, ToolCall) and part.custom:
        item = {"type": "custom_tool_call", "call_id": call_id, "name": part.name, "input": part.args_text}
    else:
        arguments = part.args_text or "{}"
        item = {"type": "function_call", "call_id": call_id, "name": part.name, "arguments": arguments}
    return {**item, **kept_dict(part, provider, "extra")}


def build_image(part: Image, provider: str) -> dict[str, Any] | None:
    """The item of an image that this provider made; None for any other image."""
    item = kept_dict(part, provider, "item")
    return {**item, "result": part.base64} if item and part.data is not None else None


def build_citation(citation: Citation, provider: str) -> dict[str, Any] | None:
    """The annotation; None for what this provider did not write itself."""
    data = (citation.provider_data or {}).get(provider)
    if not is_object(data):
        return None
    said = {
        "url": citation.url,
        "title": citation.title,
        "start_index": citation.start,
        "end_index": citation.end,
        "file_id": citation.file_id,
    }
    return {**data, **{k: v for k, v in said.items() if v is not None}}
