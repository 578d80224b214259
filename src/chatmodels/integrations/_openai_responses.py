"""Our answers in the wire form of OpenAI's Responses: whole ones, and streams event by event. Pure.

Source: the API reference of Responses and of its streaming events, checked 2026-11. Each of our parts is an output item of its own.
Reasoning is a summary; what that form has no place for (media, another provider's own tools) is left out.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from chatmodels._errors import UsageError
from chatmodels._events import (
    Event,
    PartDone,
    PartInfo,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolCallDelta,
)
from chatmodels._inputs import plain
from chatmodels._json import encode, loads
from chatmodels._messages import AIMessage, Message
from chatmodels._parts import InvalidToolCall, Part, Reasoning, Refusal, Text, ToolCall
from chatmodels._usage import Usage

from ._parts_data import data_of, part_of_data

Wire = dict[str, Any]

#: Our finish reason -> why an answer is not complete, in the reference's words.
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
#: Fields of a request that its answer repeats.
_ECHOED = ("instructions", "metadata", "parallel_tool_calls", "temperature", "text", "tool_choice", "tools", "top_p")


def response_of(message: AIMessage, asked: Wire, *, model: str, created: int, output: str | None = None) -> Wire:
    """A whole answer. `asked` is the request's body, `created` in seconds since 1970; calls of `output` (by which some providers
    give a typed answer) are its text."""
    items = [made for i, part in enumerate(message.parts) if (made := item_of(part, i, output)) is not None]
    why = _INCOMPLETE.get(message.finish_reason or "")
    return {
        **_skeleton(asked, model=message.model or model, created=created, ident=message.id),
        "status": "completed" if why is None else "incomplete",
        "incomplete_details": None if why is None else {"reason": why},
        "output": items,
        "usage": usage_of(message.usage),
    }


def _skeleton(asked: Wire, *, model: str, created: int, ident: str | None) -> Wire:
    echoed = {k: asked[k] for k in _ECHOED if asked.get(k) is not None}
    return {
        "id": ident or "resp_0",
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
        **echoed,
    }


def item_of(part: Part, index: int, output: str | None = None) -> Wire | None:
    """One part as an output item; None for what has no place."""
    write = _ITEMS.get(type(part))
    return None if write is None else write(part, index, output)


def _message(index: int, content: Wire) -> Wire:
    return {"type": "message", "id": f"msg_{index}", "role": "assistant", "status": "completed", "content": [content]}


def _text(part: Text, index: int, output: str | None) -> Wire:
    notes = [
        {
            "type": "url_citation",
            "url": c.url,
            "title": c.title or "",
            "start_index": c.start or 0,
            "end_index": c.end or 0,
        }
        for c in part.citations
        if c.url
    ]
    return _message(index, {"type": "output_text", "text": part.text, "annotations": notes, "logprobs": []})


def _refusal(part: Refusal, index: int, output: str | None) -> Wire:
    return _message(index, {"type": "refusal", "refusal": part.text})


def _reasoning(part: Reasoning, index: int, output: str | None) -> Wire:
    said = [{"type": "summary_text", "text": part.text}] if part.text else []
    item: Wire = {"type": "reasoning", "id": f"rs_{index}", "summary": said}
    if part.signature or part.encrypted:
        item["encrypted_content"] = _KEPT + base64.b64encode(encode(data_of(part))).decode()
    return item


#: How reasoning that its maker wants back as it came goes along: where OpenAI's own has its secret.
_KEPT = "chatmodels:"


def with_reasoning(message: Message, provider: str) -> Message:
    """A message of a request with the reasoning of an earlier answer of this provider as it was."""
    if not isinstance(message, AIMessage):
        return message
    parts = [_whole_reasoning(p) for p in message.parts]
    return message if parts == message.parts else replace(message, content=plain(parts), provider=provider)


def _whole_reasoning(part: Part) -> Part:
    if not isinstance(part, Reasoning) or not (part.encrypted or "").startswith(_KEPT):
        return part
    try:
        return part_of_data(loads(base64.b64decode((part.encrypted or "")[len(_KEPT) :], validate=True)))
    except ValueError as error:
        raise UsageError(f"encrypted_content of a reasoning item: {error}", argument="input") from error


def _call(part: ToolCall | InvalidToolCall, index: int, output: str | None) -> Wire:
    if part.name == output:
        return _text(Text(part.args_text), index, None)
    head: Wire = {"id": f"fc_{index}", "call_id": part.id, "name": part.name, "status": "completed"}
    if isinstance(part, ToolCall) and part.custom:
        return {"type": "custom_tool_call", **head, "input": part.args_text}
    return {"type": "function_call", **head, "arguments": part.args_text or "{}"}


_ITEMS: dict[type[Any], Callable[[Any, int, str | None], Wire]] = {
    Text: _text,
    Refusal: _refusal,
    Reasoning: _reasoning,
    ToolCall: _call,
    InvalidToolCall: _call,
}


def usage_of(usage: Usage | None) -> Wire | None:
    """Token counts."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens or 0,
        "input_tokens_details": {"cached_tokens": usage.cache_read_tokens or 0},
        "output_tokens": usage.output_tokens or 0,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.total_tokens or 0,
    }


# ---- streams


class _Open:
    """An item that has begun: its place in the output, its kind, and the text so far."""

    def __init__(self, place: int, kind: str, item: Wire) -> None:
        self.place, self.kind, self.item = place, kind, item
        self.text = ""
        self.signature: str | None = None
        self.encrypted: str | None = None


class ResponseWriter:
    """Our events -> the events of a Responses stream, for one stream. `end(message)` gives the last ones."""

    def __init__(self, asked: Wire, *, model: str, created: int, output: str | None = None) -> None:
        self._asked, self._model, self._created, self._output = asked, model, created, output
        self._ident: str | None = None
        self._number = -1
        self._begun = False
        self._items: dict[int, _Open] = {}
        self._closed: list[Wire] = []

    def events(self, event: Event) -> list[Wire]:
        """The events of one of ours, in order."""
        if isinstance(event, Start):
            self._ident, self._model = event.id or self._ident, event.model or self._model
            return []
        if getattr(event, "choice", 0):
            return []
        write = _DELTAS.get(event.__class__)
        return [] if write is None else [*self._begin(), *write(self, event)]

    def end(self, message: AIMessage) -> list[Wire]:
        """The last events, with the whole answer."""
        out = self._begin()
        for index in sorted(self._items):
            out += self._close(index)
        whole = response_of(message, self._asked, model=self._model, created=self._created, output=self._output)
        if [i["type"] for i in whole["output"]] != [i["type"] for i in self._closed]:
            whole["output"] = self._closed
        out.append(self._said(f"response.{whole['status']}", response=whole))
        return out

    def _said(self, kind: str, **fields: Any) -> Wire:
        self._number += 1
        return {"type": kind, "sequence_number": self._number, **fields}

    def _begin(self) -> list[Wire]:
        if self._begun:
            return []
        self._begun = True
        empty = _skeleton(self._asked, model=self._model, created=self._created, ident=self._ident)
        return [self._said(f"response.{kind}", response=empty) for kind in ("created", "in_progress")]

    # -- items

    def _delta(self, index: int, part: Part, piece: str) -> list[Wire]:
        """More of an item; it is opened where it is new, which ends those before it that are no calls."""
        out: list[Wire] = []
        opened = self._items.get(index)
        if opened is None:
            for other in [i for i, o in self._items.items() if o.kind != "call"]:
                out += self._close(other)
            out += self._open(index, part)
            opened = self._items[index]
        opened.text += piece
        if piece:
            name, where = _NAMES[opened.kind]
            logprobs: Wire = {"logprobs": []} if opened.kind == "text" else {}
            out.append(self._said(f"{name}.delta", **self._at(opened), **where, delta=piece, **logprobs))
        return out

    def _at(self, opened: _Open) -> Wire:
        return {"item_id": opened.item["id"], "output_index": opened.place}

    def _open(self, index: int, part: Part) -> list[Wire]:
        place = len(self._closed) + len(self._items)
        item = item_of(part, index, self._output) or {}
        kind = _kind(item)
        opened = self._items[index] = _Open(place, kind, item)
        bare = {**item, "status": "in_progress", **_EMPTY[kind]}
        if kind == "reasoning":
            del bare["status"]
        out = [self._said("response.output_item.added", output_index=place, item=bare)]
        if kind == "reasoning":
            part_ = {"type": "summary_text", "text": ""}
            out.append(
                self._said("response.reasoning_summary_part.added", **self._at(opened), summary_index=0, part=part_)
            )
        elif kind != "call":
            empty = {**item["content"][0], kind: ""}
            out.append(self._said("response.content_part.added", **self._at(opened), content_index=0, part=empty))
        return out

    def _close(self, index: int) -> list[Wire]:
        opened = self._items.pop(index)
        item, kind = _filled(opened), opened.kind
        name, where = _NAMES[kind]
        field = {"call": "arguments", "text": "text", "refusal": "refusal", "reasoning": "text"}[kind]
        more: Wire = {"logprobs": []} if kind == "text" else {"name": item["name"]} if kind == "call" else {}
        said = item["arguments"] if kind == "call" else opened.text
        out = [self._said(f"{name}.done", **self._at(opened), **where, **{field: said}, **more)]
        if kind == "reasoning":
            part = {"type": "summary_text", "text": opened.text}
            out.append(
                self._said("response.reasoning_summary_part.done", **self._at(opened), summary_index=0, part=part)
            )
        elif kind != "call":
            out.append(
                self._said("response.content_part.done", **self._at(opened), content_index=0, part=item["content"][0])
            )
        out.append(self._said("response.output_item.done", output_index=opened.place, item=item))
        self._closed.append(item)
        return out

    # -- our events

    def _text(self, event: TextDelta) -> list[Wire]:
        return self._delta(event.index, Text(""), event.text)

    def _reasoning(self, event: ReasoningDelta) -> list[Wire]:
        return self._delta(event.index, Reasoning(""), event.text)

    def _info(self, event: PartInfo) -> list[Wire]:
        """What the maker of the reasoning wants back: it is in the item when that is done."""
        opened = self._items.get(event.index)
        if opened is not None:
            opened.signature = event.signature or opened.signature
            opened.encrypted = event.encrypted or opened.encrypted
        return []

    def _refusal(self, event: RefusalDelta) -> list[Wire]:
        return self._delta(event.index, Refusal(""), event.text)

    def _call(self, event: ToolCallDelta) -> list[Wire]:
        opened = self._items.get(event.index)
        piece = event.args
        if event.whole and opened is not None:
            piece = piece.removeprefix(opened.text) if piece.startswith(opened.text) else ""
        return self._delta(event.index, InvalidToolCall(event.id or "", event.name or "", ""), piece)

    def _part(self, event: PartDone) -> list[Wire]:
        part = event.part
        if event.index in self._items or item_of(part, 0) is None:
            return []  # its deltas have said it, or there is no place for it
        said = part.args_text if isinstance(part, (ToolCall, InvalidToolCall)) else getattr(part, "text", "")
        return self._delta(event.index, part, said)


def _kind(item: Wire) -> str:
    if item["type"] == "reasoning":
        return "reasoning"
    if item["type"] != "message":
        return "call"
    return "refusal" if item["content"][0]["type"] == "refusal" else "text"


def _filled(opened: _Open) -> Wire:
    """The item with the text that has come."""
    item, text = opened.item, opened.text
    if opened.kind == "call":
        return {**item, "type": "function_call", "arguments": text or "{}"}
    if opened.kind == "reasoning":
        made = _reasoning(Reasoning(text, signature=opened.signature, encrypted=opened.encrypted), 0, None)
        return {**made, "id": item["id"]}
    return {**item, "content": [{**item["content"][0], opened.kind: text}]}


_EMPTY: dict[str, Wire] = {
    "text": {"content": []},
    "refusal": {"content": []},
    "reasoning": {"summary": []},
    "call": {"arguments": ""},
}
_NAMES: dict[str, tuple[str, Wire]] = {
    "text": ("response.output_text", {"content_index": 0}),
    "refusal": ("response.refusal", {"content_index": 0}),
    "reasoning": ("response.reasoning_summary_text", {"summary_index": 0}),
    "call": ("response.function_call_arguments", {}),
}
_DELTAS: dict[type[Any], Callable[[ResponseWriter, Any], list[Wire]]] = {
    TextDelta: ResponseWriter._text,
    ReasoningDelta: ResponseWriter._reasoning,
    RefusalDelta: ResponseWriter._refusal,
    ToolCallDelta: ResponseWriter._call,
    PartDone: ResponseWriter._part,
    PartInfo: ResponseWriter._info,
}
