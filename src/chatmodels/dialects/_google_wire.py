"""Small readings of a Gemini answer: finish reasons, usage, media types, and where a citation points.

Plain answers and streams share them. Source: ai.google.dev/api/generate-content and the Vertex AI reference
of `GenerateContentResponse`, checked 2026-11, with recorded traffic. Knows no events and no requests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from .._parts import Citation
from .._schema_walk import is_array, is_object
from .._usage import Usage, make_usage

FINISH = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "CONTINUATION": "pause",
}

#: `$alt=json;enum-encoding=int` gives numbers, and the two APIs number differently (their proto files,
#: 2026-11).
GEMINI_NUMBERS: dict[int, str] = {
    1: "STOP",
    2: "MAX_TOKENS",
    3: "SAFETY",
    4: "RECITATION",
    5: "OTHER",
    6: "LANGUAGE",
    7: "BLOCKLIST",
    8: "PROHIBITED_CONTENT",
    9: "SPII",
    10: "MALFORMED_FUNCTION_CALL",
    11: "IMAGE_SAFETY",
    12: "UNEXPECTED_TOOL_CALL",
}
VERTEX_NUMBERS: dict[int, str] = {
    1: "STOP",
    2: "MAX_TOKENS",
    3: "SAFETY",
    4: "RECITATION",
    5: "OTHER",
    6: "BLOCKLIST",
    7: "PROHIBITED_CONTENT",
    8: "SPII",
    9: "MALFORMED_FUNCTION_CALL",
    10: "MODEL_ARMOR",
    11: "IMAGE_SAFETY",
    12: "IMAGE_PROHIBITED_CONTENT",
    13: "IMAGE_RECITATION",
    14: "IMAGE_OTHER",
    15: "UNEXPECTED_TOOL_CALL",
    16: "NO_IMAGE",
}
_BLOCKED = {1: "SAFETY", 2: "OTHER", 3: "BLOCKLIST", 4: "PROHIBITED_CONTENT"}
_AUDIO = ("AUDIO", 4)
_SNAKE = re.compile(r"_([a-z0-9])")
#: Gemini 3 and later. The names without a number ("gemini-flash-latest") mean the newest.
_MODERN = re.compile(r"gemini-(?![12](?:[.-]|$))")


def is_modern(model: str) -> bool:
    """Has the model thinking levels, media inside function responses, required thought signatures?"""
    return bool(_MODERN.search(model))


def camel_key(key: str) -> str:
    """`max_output_tokens` -> `maxOutputTokens`: Google takes both."""
    return _SNAKE.sub(lambda m: m[1].upper(), key)


def finish_name(raw: Any, numbers: dict[int, str]) -> str | None:
    """The provider's word for the end; None where there is none yet."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        return numbers.get(raw, "OTHER") if raw else None
    if not isinstance(raw, str) or raw in ("", "FINISH_REASON_UNSPECIFIED"):
        return None
    return raw


def blocked_name(feedback: Any) -> str | None:
    """Why the prompt was refused; None when it was not."""
    if not is_object(feedback):
        return None
    reason = feedback.get("blockReason")
    if isinstance(reason, int) and not isinstance(reason, bool):
        return _BLOCKED.get(reason, "OTHER") if reason else None
    if isinstance(reason, str) and reason:
        return reason
    return "BLOCKED" if feedback.get("blockReasonMessage") else None


def usage_of(wire: dict[str, Any]) -> Usage | None:
    """`usageMetadata` as totals: tool results that the provider fed itself are input, thoughts are output."""
    prompt, tools = number(wire.get("promptTokenCount")), number(wire.get("toolUsePromptTokenCount"))
    answer, thoughts = number(wire.get("candidatesTokenCount")), number(wire.get("thoughtsTokenCount"))
    given, made = _add(prompt, tools), _add(answer, thoughts)
    if given is None and made is None:
        return None
    if thoughts and not tools and prompt is not None and answer is not None and thoughts <= answer:
        # Vertex AI counted the thoughts among the candidates for a time: its own total tells.
        made = answer if number(wire.get("totalTokenCount")) == prompt + answer else made
    return make_usage(
        given,
        0 if made is None else made,
        raw=wire,
        cache_read_tokens=number(wire.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
        input_audio_tokens=_audio(wire.get("toolUsePromptTokensDetails"), _audio(wire.get("promptTokensDetails"))),
        output_audio_tokens=_audio(wire.get("candidatesTokensDetails")),
    )


def _audio(details: Any, found: int | None = None) -> int | None:
    """The audio tokens among the details, added to `found`."""
    for detail in details if is_array(details) else ():
        if detail.__class__ is dict and detail.get("modality") in _AUDIO:
            found = _add(found, number(detail.get("tokenCount")))
    return found


def number(value: Any) -> int | None:
    """The value where it is a number (64-bit ones come as strings in Google's JSON), else None."""
    if value.__class__ is int or value is None:
        return value
    if isinstance(value, float):
        return int(value)
    return int(value) if isinstance(value, str) and value.isdecimal() else None


def _add(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other


def logprobs_of(wire: Any) -> list[dict[str, Any]]:
    """The chosen tokens, each with its alternatives under `topCandidates`."""
    if not is_object(wire):
        return []
    chosen = wire.get("chosenCandidates")
    tops = wire.get("topCandidates")
    out = [dict(c) for c in chosen if is_object(c)] if is_array(chosen) else []
    if is_array(tops) and len(tops) == len(out):
        for token, top in zip(out, tops, strict=True):
            found = top.get("candidates") if is_object(top) else None
            if found:
                token["topCandidates"] = found
    return out


_KEYS = re.compile(r"\.([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]|\[(\d+)\]")
#: Larger positions in a list are a broken stream, not an answer.
_MOST = 100_000


def put(root: dict[str, Any], path: str, value: Any) -> bool:
    """Set the place that a JSON path names; a string that is there already grows. False: no such place."""
    keys: list[Any] = [int(i) if i else name or quoted for name, quoted, i in _KEYS.findall(path)]
    if not keys:
        return False
    here: Any = root
    for key, following in pairwise(keys):
        if not _room(here, key):
            return False
        inner: Any = _at(here, key)
        if inner is None:
            inner = here[key] = list[Any]() if isinstance(following, int) else dict[str, Any]()
        here = inner
    key = keys[-1]
    if not _room(here, key):
        return False
    old: Any = _at(here, key)
    here[key] = old + value if isinstance(old, str) and isinstance(value, str) else value
    return True


def _at(here: Any, key: Any) -> Any:
    return here[key] if is_array(here) or key in here else None


def _room(here: Any, key: Any) -> bool:
    if is_object(here):
        return isinstance(key, str)
    if not is_array(here) or not isinstance(key, int) or key > _MOST:
        return False
    here.extend([None] * (key + 1 - len(here)))
    return True


def partial_value(piece: dict[str, Any]) -> Any:
    """The value of one of `partialArgs`."""
    return next((piece[k] for k in ("stringValue", "numberValue", "boolValue") if k in piece), None)


class Places:
    """Finds a stretch of the answer's text: Google counts bytes of the whole, we characters of a part."""

    def __init__(self, texts: Sequence[tuple[int, str]]) -> None:
        self._texts = texts
        self._joined = "".join(text for _, text in texts)
        self._bytes = self._joined.encode("utf-8", "surrogatepass")

    def find(self, start: int | None, end: int | None, text: str | None) -> tuple[int, int | None, int | None] | None:
        """(part index, start, end) in characters; offsets are None where the stretch is not found."""
        if not self._texts:
            return None
        span = self._span(start or 0, end, text)
        if span is None:
            return self._texts[0][0], None, None
        before = 0
        for index, piece in self._texts[:-1]:
            if span[0] < before + len(piece):
                return index, span[0] - before, min(span[1] - before, len(piece))
            before += len(piece)
        return self._texts[-1][0], span[0] - before, span[1] - before

    def _span(self, start: int, end: int | None, text: str | None) -> tuple[int, int] | None:
        if end is not None and start <= end <= len(self._bytes):
            found = self._characters(start, end)
            if found is not None and text in (None, "", self._joined[found[0] : found[1]]):
                return found
        at = self._joined.find(text) if text else -1
        return (at, at + len(text)) if text and at >= 0 else None

    def _characters(self, start: int, end: int) -> tuple[int, int] | None:
        try:
            first = len(self._bytes[:start].decode("utf-8", "surrogatepass"))
            return first, first + len(self._bytes[start:end].decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            return None


def citations_of(
    provider: str, meta: dict[str, Any], texts: Sequence[tuple[int, str]]
) -> dict[int | None, list[Citation]]:
    """Citations by the index of the part that they belong to (None: the answer has no text)."""
    out: dict[int | None, list[Citation]] = {}
    if not (meta.get("groundingMetadata") or meta.get("citationMetadata")):
        return out
    places = Places(texts)
    for span, fields in (
        *_grounded(provider, meta.get("groundingMetadata")),
        *_recited(provider, meta.get("citationMetadata")),
    ):
        found = places.find(*span) if span else (texts[0][0], None, None) if texts else None
        index, start, end = found or (None, None, None)
        out.setdefault(index, []).append(Citation(start=start, end=end, **fields))
    return out


_Found = tuple[tuple[int | None, int | None, str | None] | None, dict[str, Any]]


def _grounded(provider: str, meta: Any) -> Iterable[_Found]:
    """Search results, and which stretches of text rest on them; those that none names have no place."""
    if not is_object(meta):
        return
    chunks = meta.get("groundingChunks")
    chunks = chunks if is_array(chunks) else []
    named: set[int] = set()
    for support in _dicts(meta.get("groundingSupports")):
        segment = support.get("segment")
        segment = segment if is_object(segment) else {}
        span = (number(segment.get("startIndex")), number(segment.get("endIndex")), _str(segment.get("text")))
        scores = support.get("confidenceScores")
        for place, index in enumerate(_numbers(support.get("groundingChunkIndices"))):
            if 0 <= index < len(chunks):
                named.add(index)
                data: dict[str, Any] = {"groundingChunkIndex": index}
                if is_array(scores) and place < len(scores):
                    data["confidenceScore"] = scores[place]
                yield span, {**_source(chunks[index]), "provider_data": {provider: data}}
    for index, chunk in enumerate(chunks):
        if index not in named:
            yield None, {**_source(chunk), "provider_data": {provider: {"groundingChunkIndex": index}}}


def _source(chunk: Any) -> dict[str, Any]:
    values: list[Any] = list(chunk.values()) if is_object(chunk) else []
    found = [v for v in values if is_object(v)]
    inner: dict[str, Any] = found[0] if found else {}
    return {
        "url": _str(inner.get("uri")) or _str(inner.get("sourceUri")),
        "title": _str(inner.get("title")),
        "cited_text": _str(inner.get("text")),
        "file_id": _str(inner.get("documentName")) or _str(inner.get("fileSearchStore")),
    }


def _recited(provider: str, meta: Any) -> Iterable[_Found]:
    for found in _dicts(recitations(meta)):
        span = (number(found.get("startIndex")), number(found.get("endIndex")), None)
        known = ("startIndex", "endIndex", "uri", "title")
        rest = {k: v for k, v in found.items() if k not in known and v not in (None, "")}
        fields = {"url": _str(found.get("uri")) or None, "title": _str(found.get("title")) or None}
        yield span, {**fields, "provider_data": {provider: rest} if rest else None}


def recitations(meta: Any) -> list[Any]:
    """The list in `citationMetadata`, under either of its names."""
    if not is_object(meta):
        return []
    found = meta.get("citations") or meta.get("citationSources")
    return found if is_array(found) else []


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [v for v in value if is_object(v)] if is_array(value) else []


def _numbers(value: Any) -> list[int]:
    return [n for v in value if (n := number(v)) is not None] if is_array(value) else []


def _str(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
