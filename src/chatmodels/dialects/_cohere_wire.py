"""What a Cohere v2 message says, both ways: content, plan, calls, citations, usage, finish reasons. Pure readings
that plain answers, streams, requests and recorded requests share.

Source: the API reference of "Chat" (v2) and the types of cohere-python 7.3, checked 2026-11.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .._errors import ProviderError
from .._inputs import tool_call
from .._json import dumps_text, mend
from .._parts import Citation, InvalidToolCall, Opaque, Part, Reasoning, Text, ToolCall
from .._schema_walk import is_object
from .._usage import Usage, make_usage
from ._errors import make_error
from ._kept import beside, count, items, keep, kept_dict, mapping, text, text_or_none

_FINISH = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "ERROR_LIMIT": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
    "ERROR": "error",
    "TIMEOUT": "error",
}
_SILENT = (Text(""), Reasoning(""))
#: Where a source keeps the words that were cited.
_SAID = ("text", "snippet", "content", "output", "excerpt")


def read_message(message: dict[str, Any], provider: str) -> tuple[list[Part], dict[str, Any] | None]:
    """The parts of an assistant message (the plan, the content in order, the calls), and its provider data."""
    parts: list[Part] = []
    plan = text(message.get("tool_plan"))
    if plan:
        parts.append(plan_part(plan, provider))
    content = message.get("content")
    content = [{"type": "text", "text": content}] if isinstance(content, str) else items(content)
    places = {number: len(parts) + number for number in range(len(content))}
    parts += [read_content(item, provider) for item in content]
    rest: list[Any] = []
    for wire in items(message.get("citations")):
        place = cited_place(wire, places, {n for n, p in enumerate(parts) if isinstance(p, Text)})
        if place is None:
            rest.append(wire)
            continue
        part = parts[place]
        told = part.citations if isinstance(part, Text) else ()
        parts[place] = msgspec.structs.replace(part, citations=(*told, *read_citation(wire, provider)))
    parts = [p for p in parts if p not in _SILENT]
    parts += [read_call(c, provider) for c in items(message.get("tool_calls")) if is_object(c)]
    return parts, keep(provider, "citations", rest)


def plan_part(said: str, provider: str) -> Reasoning:
    """What the model plans to do with its tools."""
    return Reasoning(mend(said), provider_data={provider: {"plan": True}})


def read_content(item: Any, provider: str) -> Part:
    """One content item of an answer."""
    kind = mapping(item).get("type")
    if kind == "text":
        return Text(mend(text(item.get("text"))))
    if kind == "thinking":
        return Reasoning(mend(text(item.get("thinking"))))
    return Opaque(provider=provider, kind=text(kind), data=item)


def read_call(wire: dict[str, Any], provider: str) -> ToolCall | InvalidToolCall:
    """A call; arguments that are null or missing are none."""
    function = mapping(wire.get("function"))
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        arguments = mend(arguments)
    return tool_call(
        text(wire.get("id")),
        text(function.get("name")),
        "" if arguments is None else arguments,
        provider_data=keep(provider, "extra", beside(wire, "id", "type", "function", "index")),
    )


# ---- citations


def cited_place(wire: Any, places: dict[int, int], texts: set[int]) -> int | None:
    """The text that a citation is about; None when it is about the plan or the thinking."""
    if not is_object(wire) or wire.get("type") not in (None, "TEXT_CONTENT"):
        return None
    number = wire.get("content_index")
    place = places.get(number) if isinstance(number, int) else None
    return place if place in texts else min(texts, default=None)


def read_citation(wire: dict[str, Any], provider: str) -> list[Citation]:
    """One citation for each source; the first keeps the wire's own."""
    found = [_of_source(wire, source) for source in items(wire.get("sources"))] or [_of_source(wire, {})]
    first = msgspec.structs.replace(found[0], provider_data={provider: {"citation": wire}})
    return [first, *(msgspec.structs.replace(c, provider_data={provider: {}}) for c in found[1:])]


def _of_source(wire: dict[str, Any], source: Any) -> Citation:
    source = mapping(source)
    given = mapping(source.get("document")) or mapping(source.get("tool_output"))
    return Citation(
        url=text_or_none(given.get("url")),
        title=text_or_none(given.get("title")),
        cited_text=next((given[k] for k in _SAID if isinstance(given.get(k), str)), None),
        start=count(wire.get("start")),
        end=count(wire.get("end")),
        file_id=text_or_none(source.get("id")),
    )


def build_citations(part: Text, provider: str) -> list[dict[str, Any]]:
    """The citations of a text that this provider wrote."""
    return [wire for c in part.citations if (wire := kept_dict(c, provider, "citation"))]


# ---- the answer as a whole


def usage_of(wire: Any) -> Usage | None:
    """Token counts: what was processed, or what was billed where only that is told."""
    if not is_object(wire):
        return None
    tokens, billed = mapping(wire.get("tokens")), mapping(wire.get("billed_units"))
    told = tokens if {"input_tokens", "output_tokens"} & tokens.keys() else billed
    return make_usage(
        count(told.get("input_tokens")),
        count(told.get("output_tokens")),
        raw=wire,
        cache_read_tokens=count(wire.get("cached_tokens")),
        reasoning_tokens=count(tokens.get("reasoning_tokens")),
    )


def ending(raw: Any, has_calls: bool) -> tuple[str, str | None]:
    """The unified finish reason and the provider's word."""
    if not isinstance(raw, str) or not raw:
        return "unknown", None
    reason = _FINISH.get(raw.upper(), "other")
    return ("tool_calls" if reason == "stop" and has_calls else reason), raw


def failure(provider: str, message: Any, body: Any) -> ProviderError:
    """The error that an answer tells of itself."""
    said = message if isinstance(message, str) else dumps_text(message)
    return make_error(provider, said, code=text_or_none(mapping(body).get("error_type")), body=body)
