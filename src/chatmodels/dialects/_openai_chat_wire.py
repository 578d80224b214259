"""What we read of a Chat Completions answer: the wire structs, and the small readings that plain answers and
streams share (usage, finish reasons, content lists, citations). Fields that are not read here are
kept by `_openai_chat_beyond`.
"""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as Base64Error
from math import isfinite
from typing import Any, Literal

import msgspec

from .._errors import UsageError
from .._json import is_array, is_object, mapping, objects, string
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
    # The host gave up in the middle: Z.ai, DeepSeek, vLLM.
    "network_error": "error",
    "insufficient_system_resource": "error",
    "abort": "error",
    # Z.ai
    "sensitive": "content_filter",
}


class Delta(msgspec.Struct):
    """`message` and `delta` in one: they have the same fields."""

    content: str | list[Any] | dict[str, Any] | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: Any = None
    reasoning_details: Any = None
    refusal: Any = None
    function_call: Any = None
    audio: Any = None
    annotations: Any = None
    images: Any = None
    executed_tools: Any = None
    reasoning_opaque: Any = None
    extra_content: Any = None


class Choice(msgspec.Struct):
    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: Any = None
    logprobs: Any = None
    error: Any = None
    #: Moonshot counts here, in the last chunk of a stream.
    usage: Any = None


class Body(msgspec.Struct):
    """A whole answer or one chunk of a stream."""

    choices: list[Choice | None] | None = None
    usage: Any = None
    error: Any = None
    model: Any = None
    id: Any = None
    x_groq: Any = None
    citations: Any = None
    search_results: Any = None
    venice_parameters: Any = None
    data: Any = None
    system_fingerprint: Any = None
    service_tier: Any = None
    provider: Any = None


decoder = msgspec.json.Decoder(Body)

#: What many hosts repeat on every chunk: told to the user, and looked at again only where it changes.
CONSTANTS = ("system_fingerprint", "service_tier", "provider")


class _KnownDelta(Delta, forbid_unknown_fields=True):
    role: Any = None
    name: Any = None
    padding: Any = None
    token_ids: None = None


class _KnownChoice(Choice, forbid_unknown_fields=True):
    delta: _KnownDelta | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    message: _KnownDelta | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    native_finish_reason: None = None
    stop_reason: None = None
    matched_stop: None = None
    token_ids: None = None


class _Known(Body, forbid_unknown_fields=True):
    choices: list[_KnownChoice | None] | None = None  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleVariableOverride]
    object: Any = None
    created: Any = None
    obfuscation: Any = None
    prompt_token_ids: None = None


#: Reads a chunk that has no field but those that are read or without meaning, and refuses every other: so that what a host
#: adds is never passed over, and the check costs nothing in Python.
known_decoder = msgspec.json.Decoder(_Known)


class _UsualDelta(msgspec.Struct, forbid_unknown_fields=True):
    content: str
    role: str | None = None
    reasoning_content: None = None
    reasoning: None = None
    tool_calls: None = None
    reasoning_details: None = None
    refusal: None = None
    function_call: None = None
    audio: None = None
    annotations: None = None
    images: None = None
    executed_tools: None = None
    reasoning_opaque: None = None
    extra_content: None = None
    name: None = None
    padding: Any = None
    token_ids: None = None


class _UsualChoice(msgspec.Struct, forbid_unknown_fields=True):
    delta: _UsualDelta
    content_filter_results: Any = None
    native_finish_reason: None = None
    stop_reason: None = None
    matched_stop: None = None
    token_ids: None = None
    usage: None = None
    index: Literal[0, None] = 0
    message: None = None
    finish_reason: None = None
    logprobs: None = None
    error: None = None


class _Usual(msgspec.Struct, forbid_unknown_fields=True):
    choices: tuple[_UsualChoice]
    id: Any = None
    object: Any = None
    created: Any = None
    obfuscation: Any = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    provider: str | None = None
    prompt_token_ids: None = None
    data: None = None
    usage: None = None
    error: None = None
    model: str | None = None
    x_groq: None = None
    citations: None = None
    search_results: None = None
    venice_parameters: None = None


#: Reads the usual chunk, more text of the only choice and nothing else, and refuses every other, also one with a field that
#: stands nowhere here.
usual_decoder = msgspec.json.Decoder(_Usual)


def finish_of(raw: Any) -> str | None:
    """The unified finish reason; None where there is none yet (null, or the empty string of Snowflake)."""
    if raw is None or raw == "":
        return None
    return FINISH.get(str(raw), "other")


def _number(*values: Any) -> int | None:
    for value in values:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value):
            return int(value)
    return None


def usage_of(wire: Any, before: Usage | None = None) -> Usage | None:
    """Usage from any of the spellings; what this one leaves out is kept from `before` (usage is cumulative)."""
    if not is_object(wire):
        return before
    inputs = mapping(wire.get("prompt_tokens_details"))
    outputs = mapping(wire.get("completion_tokens_details"))
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


def content_pieces(content: Any) -> list[tuple[str, Any]]:
    """Content as ("text" | "reasoning" | "image" | "other", value) pieces in order; an object becomes its JSON text."""
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
    if kind == "image_url" and images_of([item]):
        return [("image", item)]
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
    for detail in objects(delta.reasoning_details):
        value = detail.get("text")
        value = detail.get("summary") if value is None else value
        if isinstance(value, str):
            out.append(value)
    return "".join(out)


def add_details(have: list[dict[str, Any]], new: Any) -> None:
    """Put streamed `reasoning_details` together: the same index and type is one entry, whose texts are joined."""
    for detail in objects(new):
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
    return tuple(c for a in objects(annotations) if (c := _citation(a)) is not None)


def _citation(annotation: dict[str, Any]) -> Citation | None:
    cited = annotation.get("url_citation")
    if not is_object(cited):
        cited = annotation
    if not (cited.get("url") or cited.get("file_id")):
        return None
    return Citation(
        url=string(cited.get("url")),
        title=string(cited.get("title")),
        cited_text=string(cited.get("content")),
        start=_number(cited.get("start_index")),
        end=_number(cited.get("end_index")),
        file_id=string(cited.get("file_id")),
    )


def search_citations(body: Body, provider: str) -> tuple[Citation, ...]:
    """What a search found: Perplexity's `search_results` or Venice's `web_search_citations`, else the bare `citations`
    URLs, in the order of the [n] marks."""
    venice = mapping(body.venice_parameters).get("web_search_citations")
    found = tuple(
        Citation(
            url=string(r.get("url")),
            title=string(r.get("title")),
            cited_text=string(r.get("snippet") or r.get("content")),
            provider_data=_named(provider, {k: v for k, v in r.items() if k not in _RESULT_KEYS and v}),
        )
        for r in (*objects(body.search_results), *objects(venice))
        if r.get("url") or r.get("title")
    )
    urls = body.citations if is_array(body.citations) else ()
    return found or tuple(Citation(url=u) for u in urls if isinstance(u, str))


_RESULT_KEYS = frozenset({"url", "title", "snippet", "content"})


def _named(provider: str, data: dict[str, Any]) -> dict[str, Any] | None:
    return {provider: data} if data else None


def images_of(images: Any) -> list[Part]:
    """Images in an answer: `[{"type": "image_url", "image_url": {"url": "data:..."}}]`. A `data:` URL that holds no
    base64 is no image."""
    out: list[Part] = []
    for item in objects(images):
        image = item.get("image_url")
        url = image.get("url") if is_object(image) else image
        if isinstance(url, str) and url:
            try:
                out.append(Image(url=url))
            except UsageError:
                continue
    return out


def message_data(delta: Delta) -> dict[str, Any]:
    """What an answer holds beside its parts and has to go back with it: Copilot's `reasoning_opaque`, Google's
    `extra_content`, and the annotations that are no citations (OpenRouter's parsed files, which save parsing them again).
    """
    kept = {"reasoning_opaque": delta.reasoning_opaque, "extra_content": delta.extra_content}
    kept["annotations"] = [a for a in objects(delta.annotations) if _citation(a) is None]
    return {k: v for k, v in kept.items() if v}


def call_data(wire: dict[str, Any]) -> dict[str, Any]:
    """What stands beside a tool call and has to go back with it, such as Google's thought signature."""
    extra = {k: v for k, v in wire.items() if k not in _CALL_KEYS and v}
    return {"extra": extra} if extra else {}


def add_data(have: dict[str, Any], new: dict[str, Any], *, grow: bool = True) -> dict[str, Any]:
    """Streamed data put together: lists grow, or are replaced too; mappings are merged, anything else is replaced."""
    out = dict(have)
    for key, value in new.items():
        old = out.get(key)
        if is_object(old) and is_object(value):
            value = add_data(old, value, grow=grow)
        elif grow and is_array(old) and is_array(value):
            value = [*old, *value]
        out[key] = value
    return out


_CALL_KEYS = frozenset({"index", "id", "type", "function", "custom"})


def server_tools_of(executed: Any, provider: str) -> list[Part]:
    """Groq's `executed_tools`: what the provider ran by itself."""
    return [_server_tool(item, provider) for item in objects(executed)]


_SERVER_TOOLS = {"search": "web_search", "python": "code_execution"}


def _server_tool(item: dict[str, Any], provider: str) -> ServerTool:
    kind = str(item.get("type") or "tool")
    return ServerTool(
        phase="result",
        kind=_SERVER_TOOLS.get(kind, kind),
        args=item.get("arguments"),
        result=item.get("output"),
        provider_data={provider: item},
    )


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
    return [*objects(logprobs.get("content")), *objects(logprobs.get("refusal"))] or None
