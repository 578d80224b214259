"""LangChain's content blocks <-> our parts. Dicts only: knows no class of LangChain.

Read are the standard blocks of langchain-core 1 (and those of 0.3 with `source_type`), OpenAI's content dicts and
Anthropic's blocks. Written are standard blocks; what they cannot say goes along in `extras["chatmodels"]`.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable
from typing import Any, cast

import msgspec

from chatmodels._content import part_of
from chatmodels._errors import UsageError
from chatmodels._inputs import tool_call
from chatmodels._json import is_array, is_object, mapping, objects, string
from chatmodels._parts import (
    Audio,
    Citation,
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

from ._parts_data import OURS, data_of, part_of_data

Block = dict[str, Any]

# ---- blocks -> parts


def parts_of(content: Any) -> list[Part]:
    """The parts of a LangChain message's content."""
    if isinstance(content, str):
        return [Text(content)] if content else []
    return [_read(item, i) for i, item in enumerate(content)]


def _read(item: Any, position: int) -> Part:
    if not is_object(item):
        return part_of(item, position)
    kept = mapping(item.get("extras")).get(OURS)
    if kept is not None:
        part = part_of_data(kept)
        if _plain_block(part) == {k: v for k, v in item.items() if k not in ("extras", "index")}:
            return part  # nobody has changed the block since
    return _read_block(item, position)


def _read_block(item: Block, position: int) -> Part:
    kind = item.get("type")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        try:
            return part_of(item, position)
        except UsageError:
            return Opaque(provider="langchain", kind=str(kind or ""), data=item)
    try:
        part = read(item)
    except (KeyError, TypeError, ValueError) as error:
        where = f"content[{position}]"
        raise UsageError(f"{where}: a block of type {kind!r} that cannot be read: {error!r}", argument=where) from error
    cache = item.get("cache_control") or mapping(item.get("extras")).get("cache_control")
    return msgspec.structs.replace(part, cache=mapping(cache).get("ttl") or True) if cache else part


def _text(item: Block) -> Part:
    notes = objects(item.get("annotations")) or objects(item.get("citations"))
    return Text(item["text"], tuple(_citation(n) for n in notes))


def _citation(note: Block) -> Citation:
    known = {
        "url": note.get("url"),
        "title": note.get("title") or note.get("document_title"),
        "cited_text": note.get("cited_text"),
        "start": note.get("start_index"),
        "end": note.get("end_index"),
    }
    return Citation(**known)


def _reasoning(item: Block) -> Part:
    said = item.get("reasoning")
    summary = "\n\n".join(str(s.get("text") or "") for s in objects(item.get("summary")))
    extras = mapping(item.get("extras"))
    return Reasoning(
        said if isinstance(said, str) else summary,
        summary=not isinstance(said, str) and bool(summary),
        signature=string(extras.get("signature")) or string(item.get("signature")),
        encrypted=string(extras.get("encrypted_content")) or string(item.get("encrypted_content")),
    )


def _media(kind: type[Any]) -> Callable[[Block], Part]:
    def read(item: Block) -> Part:
        if "source" in item:
            return _anthropic_media(kind, item)
        if kind is File and ("file" in item):
            return part_of(item)
        extras = mapping(item.get("extras")) | mapping(item.get("metadata"))
        fields: dict[str, Any] = {"media_type": item.get("mime_type"), "name": _name(item, extras)}
        if kind is Image and extras.get("detail"):
            fields["detail"] = extras["detail"]
        data = item.get("data") if item.get("source_type") == "base64" else None
        data = item.get("base64", data)
        if item.get("source_type") == "text":
            fields["data"] = item["text"].encode()
        elif item.get("url") and not data:
            fields["url"] = item["url"]
        elif isinstance(data, str) and (data or "file_id" not in item):
            fields["data"] = b64decode("".join(data.split()), validate=True)
        else:
            fields["file_id"] = item.get("file_id") or item["id"]
        return cast(Part, kind(**fields))

    return read


def _name(item: Block, extras: Block) -> str | None:
    return next((v for k in ("filename", "name", "title") if (v := item.get(k) or extras.get(k))), None)


def _anthropic_media(kind: type[Any], item: Block) -> Part:
    source = item["source"]
    fields: dict[str, Any] = {"media_type": source.get("media_type"), "name": item.get("title")}
    if source["type"] == "base64":
        fields["data"] = b64decode(source["data"], validate=True)
    elif source["type"] == "text":
        fields["data"] = source["data"].encode()
    elif source["type"] == "url":
        fields["url"] = source["url"]
    else:
        fields["file_id"] = source["file_id"]
    return cast(Part, kind(**fields))


def _plain_text(item: Block) -> Part:
    name = item.get("title")
    if item.get("text") is not None:
        return File(data=item["text"].encode(), media_type="text/plain", name=name)
    return _media(File)({**item, "mime_type": "text/plain"})


def _call(item: Block) -> Part:
    return tool_call(str(item.get("id") or ""), str(item.get("name") or ""), item.get("args", item.get("input")))


def _invalid(item: Block) -> Part:
    return InvalidToolCall(
        str(item.get("id") or ""), str(item.get("name") or ""), item.get("args") or "", item.get("error") or ""
    )


def _result(item: Block) -> Part:
    ident = item.get("tool_use_id") or item.get("tool_call_id") or ""
    content = item.get("content")
    inner = content if isinstance(content, str) else parts_of(content or [])
    return ToolResult(ident, inner, bool(item.get("is_error")))


def _server_call(item: Block) -> Part:
    name = item.get("name")
    return ServerTool(phase="call", kind=name or "", id=item.get("id"), name=name, args=item.get("args"))


def _server_result(item: Block) -> Part:
    return ServerTool(phase="result", id=item.get("tool_call_id"), result=item.get("output"))


def _non_standard(item: Block) -> Part:
    value = item.get("value")
    if is_object(value) and value.get("type") == "refusal":
        return Refusal(value.get("refusal") or "")
    return Opaque(provider="langchain", kind=str(mapping(value).get("type") or ""), data=value)


_READERS: dict[str, Callable[[Block], Part]] = {
    "text": _text,
    "reasoning": _reasoning,
    "thinking": lambda item: Reasoning(item["thinking"], signature=item.get("signature")),
    "redacted_thinking": lambda item: Reasoning("", encrypted=item["data"]),
    "image": _media(Image),
    "audio": _media(Audio),
    "video": _media(Video),
    "file": _media(File),
    "document": _media(File),
    "text-plain": _plain_text,
    "tool_call": _call,
    "tool_use": _call,
    "invalid_tool_call": _invalid,
    "tool_result": _result,
    "server_tool_call": _server_call,
    "server_tool_result": _server_result,
    "non_standard": _non_standard,
}


# ---- parts -> blocks


def blocks_of(parts: Iterable[Part]) -> list[Block]:
    """The parts as standard content blocks."""
    return [block_of(part) for part in parts]


def block_of(part: Part) -> Block:
    """One part as a standard block, with our own form in `extras` where the block cannot say all of it."""
    block = _plain_block(part)
    if _read_block(block, 0) != part:
        block = {**block, "extras": {**mapping(block.get("extras")), OURS: data_of(part)}}
    return block


def _plain_block(part: Part) -> Block:
    return _WRITERS[type(part)](part)


def content_blocks(content: str | list[Part]) -> str | list[Block]:
    """A message's content in LangChain's form."""
    return content if isinstance(content, str) else blocks_of(content)


def _write_text(part: Text) -> Block:
    block: Block = {"type": "text", "text": part.text}
    if part.citations:
        block["annotations"] = [_note(c) for c in part.citations]
    return block


def _note(citation: Citation) -> Block:
    fields = {
        "url": citation.url,
        "title": citation.title,
        "cited_text": citation.cited_text,
        "start_index": citation.start,
        "end_index": citation.end,
    }
    return {"type": "citation", **{k: v for k, v in fields.items() if v is not None}}


_MEDIA: dict[type[Any], str] = {Image: "image", Audio: "audio", Video: "video", File: "file"}


def _write_media(part: Any) -> Block:
    block: Block = {"type": _MEDIA[type(part)]}
    if part.data is not None:
        block["base64"] = part.base64
    elif part.url is not None:
        block["url"] = part.url
    elif part.file_id is not None:
        block["file_id"] = part.file_id
    else:  # sound of which only the words are left
        return {"type": "non_standard", "value": data_of(part)}
    if part.media_type is not None:
        block["mime_type"] = part.media_type
    return block


def _write_call(part: ToolCall) -> Block:
    args = part.args if is_object(part.args) else {"input": part.args}
    return {"type": "tool_call", "id": part.id, "name": part.name, "args": args}


def _write_invalid(part: InvalidToolCall) -> Block:
    return {
        "type": "invalid_tool_call",
        "id": part.id,
        "name": part.name,
        "args": part.args,
        "error": part.error,
    }


def _write_result(part: ToolResult) -> Block:
    content = part.content if isinstance(part.content, str) else blocks_of(part.content)
    block: Block = {"type": "tool_result", "tool_use_id": part.tool_call_id, "content": content}
    if part.is_error:
        block["is_error"] = True
    return block


def _write_server_tool(part: ServerTool) -> Block:
    if part.phase == "call":
        args = part.args if is_object(part.args) else {}
        return {"type": "server_tool_call", "id": part.id or "", "name": part.name or part.kind, "args": args}
    return {
        "type": "server_tool_result",
        "tool_call_id": part.id or "",
        "status": "success",
        "output": part.result,
    }


def _write_opaque(part: Opaque) -> Block:
    return {"type": "non_standard", "value": part.data if is_object(part.data) else {"data": part.data}}


_WRITERS: dict[type[Any], Callable[[Any], Block]] = {
    Text: _write_text,
    Reasoning: lambda part: {"type": "reasoning", "reasoning": part.text},
    Refusal: lambda part: {"type": "non_standard", "value": {"type": "refusal", "refusal": part.text}},
    Image: _write_media,
    Audio: _write_media,
    Video: _write_media,
    File: _write_media,
    ToolCall: _write_call,
    InvalidToolCall: _write_invalid,
    ToolResult: _write_result,
    ServerTool: _write_server_tool,
    Opaque: _write_opaque,
}


def is_call(part: Part) -> bool:
    """Is it a call, which LangChain keeps beside the content?"""
    return isinstance(part, (ToolCall, InvalidToolCall))


def as_list(content: Any) -> list[Any]:
    """A message's content as a list."""
    return content if is_array(content) else [content] if content else []
