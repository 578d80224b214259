"""What we read of a Chat Completions answer: the wire structs, and the small readings that plain answers and
streams share (usage, finish reasons, content lists, citations). Unknown fields are ignored here and stay in `raw`.
"""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as Base64Error
from typing import Any

import msgspec

from .._json import is_array, is_object
from .._parts import Citation, Image, Part, ServerTool
from .._usage import Usage, make_usage

FINISH = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
    "error": "error",
}


class Delta(msgspec.Struct):
    """`message` and `delta` in one: they have the same fields."""

    content: str | list[Any] | dict[str, Any] | None = None
    reasoning_content: str | Any = None
    reasoning: str | Any = None
    tool_calls: list[Any] | None = None
    reasoning_details: list[Any] | None = None
    refusal: Any = None
    function_call: Any = None
    audio: Any = None
    annotations: Any = None
    images: Any = None
    executed_tools: Any = None
    reasoning_opaque: Any = None


class Choice(msgspec.Struct):
    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: Any = None
    logprobs: Any = None
    error: Any = None


class Body(msgspec.Struct):
    """A whole answer or one chunk of a stream."""

    choices: list[Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    model: Any = None
    id: Any = None
    x_groq: dict[str, Any] | None = None
    citations: Any = None
    search_results: Any = None
    data: Any = None


decoder = msgspec.json.Decoder(Body)


def finish_of(raw: Any) -> str | None:
    """The unified finish reason; None where there is none yet (null, or the empty string of Snowflake)."""
    if raw is None or raw == "":
        return None
    return FINISH.get(str(raw), "other")


def _number(*values: Any) -> int | None:
    for value in values:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return int(value)
    return None


def usage_of(wire: dict[str, Any] | None, before: Usage | None = None) -> Usage | None:
    """Usage from any of the spellings; what this one leaves out is kept from `before` (usage is cumulative)."""
    if not is_object(wire):
        return before
    inputs = _mapping(wire.get("prompt_tokens_details"))
    outputs = _mapping(wire.get("completion_tokens_details"))
    given = _number(wire.get("prompt_tokens"))
    made = _number(wire.get("completion_tokens"))
    if given is None and made is None:
        return before
    reasoning = _number(outputs.get("reasoning_tokens"), wire.get("reasoning_tokens"))
    total = _number(wire.get("total_tokens"))
    if given is not None and made is not None and total and reasoning and total - given - made == reasoning:
        made += reasoning  # x.ai leaves the reasoning tokens out of completion_tokens
    parts = {
        "cache_read_tokens": _number(
            inputs.get("cached_tokens"),
            wire.get("prompt_cache_hit_tokens"),
            wire.get("cache_read_input_tokens"),
            wire.get("cached_tokens"),
            wire.get("num_cached_tokens"),
        ),
        "cache_write_tokens": _number(
            inputs.get("cache_write_tokens"),
            inputs.get("cache_creation_tokens"),
            wire.get("cache_creation_input_tokens"),
        ),
        "reasoning_tokens": reasoning,
        "input_audio_tokens": _number(inputs.get("audio_tokens")),
        "output_audio_tokens": _number(outputs.get("audio_tokens")),
    }
    if before is not None:
        given = before.input_tokens if given is None else given
        made = before.output_tokens if made is None else made
        parts = {k: getattr(before, k) if v is None else v for k, v in parts.items()}
    return make_usage(given, made, raw=wire, **parts)


def _mapping(value: Any) -> dict[str, Any]:
    return value if is_object(value) else {}


def content_pieces(content: Any) -> list[tuple[str, Any]]:
    """Content as ("text" | "reasoning" | "other", value) pieces in order; an object becomes its JSON text."""
    if isinstance(content, str):
        return [("text", content)]
    if is_object(content):
        return [("text", json.dumps(content, ensure_ascii=False))]
    if not is_array(content):
        return []
    return [piece for item in content for piece in _item_pieces(item)]


def _item_pieces(item: Any) -> list[tuple[str, Any]]:
    if isinstance(item, str):
        return [("text", item)]
    if not is_object(item):
        return []
    kind = item.get("type")
    if kind in ("text", "output_text") or (kind is None and isinstance(item.get("text"), str)):
        return [("text", item.get("text") or "")]
    if kind in ("thinking", "reasoning"):
        return [("reasoning", text) for text in _thinking(item)]
    return [("other", item)]


def _thinking(item: dict[str, Any]) -> list[str]:
    for key in ("thinking", "summary", "text", "reasoning"):
        value = item.get(key)
        if isinstance(value, str):
            return [value]
        if is_array(value):
            return [q["text"] for q in value if is_object(q) and isinstance(q.get("text"), str)]
    return []


def reasoning_text(delta: Delta) -> str:
    """The model's working in any of its spellings; hosts that send two spellings send the same text twice."""
    for value in (delta.reasoning_content, delta.reasoning):
        if isinstance(value, str) and value:
            return value
    out: list[str] = []
    for detail in delta.reasoning_details or ():
        if is_object(detail):
            value = detail.get("text")
            value = detail.get("summary") if value is None else value
            if isinstance(value, str):
                out.append(value)
    return "".join(out)


def add_details(have: list[dict[str, Any]], new: list[Any]) -> None:
    """Put streamed `reasoning_details` together: the same index and type is one entry, whose texts are joined."""
    for detail in new:
        if not is_object(detail):
            continue
        last = have[-1] if have else None
        if last is None or any(last.get(k) != detail.get(k) for k in ("index", "type")):
            have.append(dict(detail))
            continue
        for key, value in detail.items():
            if key in ("text", "summary", "data") and isinstance(value, str) and isinstance(last.get(key), str):
                last[key] += value
            elif value is not None:
                last[key] = value


def citations_of(annotations: Any) -> tuple[Citation, ...]:
    """`url_citation` annotations."""
    if not is_array(annotations):
        return ()
    return tuple(c for a in annotations if (c := _citation(a)) is not None)


def _citation(annotation: Any) -> Citation | None:
    if not is_object(annotation):
        return None
    cited = annotation.get("url_citation")
    if not is_object(cited):
        cited = annotation
    if not (cited.get("url") or cited.get("file_id")):
        return None
    return Citation(
        url=_str(cited.get("url")),
        title=_str(cited.get("title")),
        cited_text=_str(cited.get("content")),
        start=_number(cited.get("start_index")),
        end=_number(cited.get("end_index")),
        file_id=_str(cited.get("file_id")),
    )


def _str(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def search_citations(body: Body) -> tuple[Citation, ...]:
    """Perplexity's sources: `search_results`, else the bare `citations` URLs, in the order of the [n] marks."""
    results = body.search_results if is_array(body.search_results) else ()
    found = tuple(
        Citation(url=_str(r.get("url")), title=_str(r.get("title")), cited_text=_str(r.get("snippet")))
        for r in results
        if is_object(r) and r.get("url")
    )
    urls = body.citations if is_array(body.citations) else ()
    return found or tuple(Citation(url=u) for u in urls if isinstance(u, str))


def images_of(images: Any) -> list[Part]:
    """Images in an answer: `[{"type": "image_url", "image_url": {"url": "data:..."}}]`."""
    out: list[Part] = []
    for item in images if is_array(images) else ():
        image = item.get("image_url") if is_object(item) else None
        url = image.get("url") if is_object(image) else image
        if isinstance(url, str) and url:
            out.append(Image(url=url))
    return out


def server_tools_of(executed: Any, provider: str) -> list[Part]:
    """Groq's `executed_tools`: what the provider ran by itself."""
    out: list[Part] = []
    for item in executed if is_array(executed) else ():
        if is_object(item):
            kind = str(item.get("type") or "tool")
            out.append(
                ServerTool(
                    phase="result",
                    kind="web_search" if kind == "search" else "code_execution" if kind == "python" else kind,
                    args=item.get("arguments"),
                    result=item.get("output"),
                    provider_data={provider: item},
                )
            )
    return out


def sound(data: Any) -> bytes:
    """Base64 text as bytes; what is not base64 gives no sound."""
    if not isinstance(data, str):
        return b""
    try:
        return b64decode(data)
    except (Base64Error, ValueError):
        return b""


def tokens_of(logprobs: Any) -> list[dict[str, Any]] | None:
    """The list of token log probabilities, content first and then refusal."""
    if not is_object(logprobs):
        return None
    out = [*(logprobs.get("content") or ()), *(logprobs.get("refusal") or ())]
    return [t for t in out if is_object(t)] or None


def status_of(error: Any) -> int | None:
    """The HTTP status that an error inside an answer names."""
    if not is_object(error):
        return None
    for key in ("status_code", "code", "status"):
        value = error.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 100 <= value < 600:
            return value
    return None
