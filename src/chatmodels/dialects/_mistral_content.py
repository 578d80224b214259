"""Mistral's content chunks <-> our parts, for answers, streams, requests and recorded requests. Pure.

A text is one part until something else comes between; `reference` chunks are citations of the text before them.
Source: the types of mistralai 3.7 (client/models/*chunk.py), checked 2026-11.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Any

import msgspec

from chatmodels._errors import UsageError
from chatmodels._json import mend
from chatmodels._parts import Audio, Citation, File, Image, Opaque, Part, Reasoning, Text
from chatmodels._schema_walk import is_object

from ._kept import items, kept, kept_dict, mapping, text, text_or_none


def read_chunks(content: Any, provider: str) -> list[Part]:
    """The parts that a content list says, in order."""
    parts: list[Part] = []
    for chunk in items(content):
        _read_chunk(parts, chunk, provider)
    return parts


def _read_chunk(parts: list[Part], chunk: Any, provider: str) -> None:
    last = parts[-1] if parts else None
    kind = "text" if isinstance(chunk, str) else text(mapping(chunk).get("type"))
    if kind == "text":
        said = chunk if isinstance(chunk, str) else text(chunk.get("text"))
        if isinstance(last, Text) and not last.citations:
            parts[-1] = Text(mend(last.text + said))
        elif said:
            parts.append(Text(mend(said)))
    elif kind == "thinking":
        if isinstance(last, Reasoning):
            parts.pop()
        parts.append(read_thinking(chunk, last if isinstance(last, Reasoning) else None, provider))
    elif kind == "reference" and isinstance(last, Text):
        cited = (*last.citations, *read_reference(chunk, len(last.text), provider))
        parts[-1] = msgspec.structs.replace(last, citations=cited)
    else:
        parts.append(read_other(chunk, provider))


def read_thinking(chunk: Any, before: Reasoning | None, provider: str) -> Reasoning:
    """The model's working, continued from the chunk before; what is not text in it is kept as it came."""
    steps = kept(before, provider, "thinking") if before is not None else None
    known = [{"type": "text", "text": before.text}] if before is not None and before.text else []
    steps = join_steps(items(steps) or known, thinking_of(chunk))
    said = "".join(text(s.get("text")) for s in steps if is_object(s) and s.get("type") == "text")
    bare = all(is_object(s) and s.get("type") == "text" for s in steps)
    signature = text_or_none(mapping(chunk).get("signature")) or (before.signature if before is not None else None)
    data = None if bare else {provider: {"thinking": steps}}
    return Reasoning(mend(said), signature=signature, provider_data=data)


def thinking_of(chunk: Any) -> list[Any]:
    """What a thinking chunk holds, as a list of chunks."""
    given = mapping(chunk).get("thinking")
    return [{"type": "text", "text": given}] if isinstance(given, str) else items(given)


def join_steps(have: list[Any], new: list[Any]) -> list[Any]:
    """Two lists of chunks as one; texts that follow each other are one."""
    out = list(have)
    for step in new:
        last = out[-1] if out else None
        both = (last, step)
        if all(is_object(s) and s.get("type") == "text" for s in both):
            out[-1] = {"type": "text", "text": text(mapping(last).get("text")) + text(mapping(step).get("text"))}
        else:
            out.append(step)
    return out


def read_reference(chunk: Any, end: int, provider: str) -> list[Citation]:
    """One citation for each id that the chunk refers to; the first keeps the chunk."""
    ids = [str(i) for i in items(mapping(chunk).get("reference_ids"))] or [""]
    cited = [Citation(end=end, file_id=i or None, provider_data={provider: {}}) for i in ids]
    cited[0] = msgspec.structs.replace(cited[0], provider_data={provider: {"reference": chunk}})
    return cited


def read_other(chunk: Any, provider: str) -> Part:
    """A chunk of media, or one that nobody knows."""
    kind = text(mapping(chunk).get("type"))
    reader = _MEDIA.get(kind)
    part = reader(chunk) if reader is not None else None
    return part or Opaque(provider=provider, kind=kind, data=chunk)


def _image(chunk: dict[str, Any]) -> Part | None:
    given = chunk.get("image_url")
    image = {"url": given} if isinstance(given, str) else mapping(given)
    detail = text_or_none(image.get("detail"))
    try:
        return Image(url=text_or_none(image.get("url")), detail=None if detail == "auto" else detail)
    except UsageError:  # no URL, or a data: URL that holds no base64: it stays as it is
        return None


def _document(chunk: dict[str, Any]) -> Part | None:
    try:
        return File(url=text_or_none(chunk.get("document_url")), name=text_or_none(chunk.get("document_name")))
    except UsageError:
        return None


def _file(chunk: dict[str, Any]) -> Part | None:
    ident = text_or_none(chunk.get("file_id"))
    return File(file_id=ident) if ident else None


def _audio(chunk: dict[str, Any]) -> Part | None:
    given = chunk.get("input_audio")
    given = given.get("data") if is_object(given) else given
    if not isinstance(given, str):
        return None
    if given.startswith(("http://", "https://", "data:")):
        return Audio(url=given)
    try:
        return Audio(data=b64decode(given, validate=True))
    except (Base64Error, ValueError):
        return None


_MEDIA: dict[str, Callable[[dict[str, Any]], Part | None]] = {
    "image_url": _image,
    "document_url": _document,
    "file": _file,
    "input_audio": _audio,
}


# ---- writing


def text_chunks(part: Text, provider: str) -> list[dict[str, Any]]:
    """A text and its own references."""
    references = [r for c in part.citations if (r := kept_dict(c, provider, "reference"))]
    return [{"type": "text", "text": part.text}, *references]


def thinking_chunk(part: Reasoning, provider: str) -> dict[str, Any]:
    """A thinking chunk, as it came."""
    steps = kept(part, provider, "thinking")
    told = items(steps) or ([{"type": "text", "text": part.text}] if part.text else [])
    chunk: dict[str, Any] = {"type": "thinking", "thinking": told}
    return {**chunk, "signature": part.signature} if part.signature else chunk
