"""Mistral's content chunks <-> our parts, for answers, streams, requests and recorded requests. Pure.

A text is one part until something else comes between; `reference` chunks are citations of the text before them.
Source: the types of mistralai 3.7 (client/models/*chunk.py), checked 2026-11.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from itertools import groupby
from typing import Any

import msgspec

from .._errors import UsageError
from .._json import mend
from .._parts import Audio, Citation, File, Image, Opaque, Part, Reasoning, Text
from .._schema_walk import is_object
from ._kept import items, kept, kept_dict, mapping, text, text_or_none


def read_chunks(content: Any, provider: str, *, join: bool = True) -> list[Part]:
    """The parts that a content list says, in order. `join` makes texts that follow each other one, as in an answer,
    where a stream cannot tell them apart.
    """
    parts: list[Part] = []
    thinking: list[Any] = []
    for chunk in items(content):
        kind = "text" if isinstance(chunk, str) else text(mapping(chunk).get("type"))
        if kind == "thinking":
            thinking.append(chunk)
            continue
        if thinking:
            parts.append(read_thinking(thinking, provider))
            thinking = []
        _read_chunk(parts, kind, chunk, provider, join)
    return [*parts, read_thinking(thinking, provider)] if thinking else parts


def _read_chunk(parts: list[Part], kind: str, chunk: Any, provider: str, join: bool) -> None:
    last = parts[-1] if parts else None
    if kind == "text":
        said = mend(chunk if isinstance(chunk, str) else text(chunk.get("text")))
        if join and isinstance(last, Text) and not last.citations:
            parts[-1] = Text(last.text + said)
        elif said:
            parts.append(Text(said))
    elif kind == "reference" and isinstance(last, Text):
        cited = (*last.citations, *read_reference(chunk, provider))
        parts[-1] = msgspec.structs.replace(last, citations=cited)
    else:
        parts.append(read_other(chunk, provider))


def read_thinking(chunks: list[Any], provider: str) -> Reasoning:
    """Thinking chunks that follow each other, as one part; what is not text in them is kept as it came."""
    steps = [step for chunk in chunks for step in thinking_of(chunk)]
    signatures = [s for chunk in chunks if (s := text(mapping(chunk).get("signature")))]
    return Reasoning(
        mend("".join(said_of(steps))),
        signature=signatures[-1] if signatures else None,
        provider_data=steps_data(steps, provider),
    )


def thinking_of(chunk: Any) -> list[Any]:
    """What a thinking chunk holds, as a list of chunks."""
    given = mapping(chunk).get("thinking")
    return [{"type": "text", "text": given}] if isinstance(given, str) else items(given)


def said_of(steps: list[Any]) -> list[str]:
    """The texts among the steps of a thinking chunk."""
    return [text(s.get("text")) for s in steps if is_object(s) and s.get("type") == "text"]


def steps_data(steps: list[Any], provider: str) -> dict[str, Any] | None:
    """The steps themselves, where they are more than text; texts that follow each other are one."""
    if len(said_of(steps)) == len(steps):
        return None
    told: list[Any] = []
    for is_text, group in groupby(steps, key=lambda s: is_object(s) and s.get("type") == "text"):
        run = list(group)
        told += [{"type": "text", "text": "".join(said_of(run))}] if is_text else run
    return {provider: {"thinking": told}}


def read_reference(chunk: Any, provider: str) -> list[Citation]:
    """One citation for each id that the chunk refers to; the first keeps the chunk."""
    ids = [str(i) for i in items(mapping(chunk).get("reference_ids"))] or [""]
    cited = [Citation(file_id=i or None, provider_data={provider: {}}) for i in ids]
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
