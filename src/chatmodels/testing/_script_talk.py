"""What the items of a scripted answer mean as events: text, parts, events, chunks, errors. Pure, one object per answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast, get_args

from msgspec.structs import replace

from .._call import Call
from .._errors import ChatModelError, ConnectError, DeadlineError, TransportError, UsageError
from .._events import End, Event, PartDone, ReasoningDelta, Start, TextDelta, ToolCallDelta
from .._json import dumps_text
from .._messages import AIMessage
from .._parts import InvalidToolCall, Part, ToolCall
from .._stream import AIMessageChunk
from .._usage import Usage
from ..dialects._base import _part_event as part_event
from ..dialects._base import events_of

_EVENTS: tuple[type[Any], ...] = get_args(Event)
_PARTS: tuple[type[Any], ...] = get_args(Part)


class Cut:
    """The type of `CUT`: the place in a list of pieces where the connection ends."""

    def __repr__(self) -> str:
        return "CUT"

    def __reduce__(self) -> str:
        return "CUT"


#: In a list of pieces: here the connection ends, before the answer does.
CUT = Cut()


class WasCut(Exception):
    """A `CUT` was reached."""


class Talk:
    """Items of one answer -> events, with what the author left out: the start, part numbers, the end, estimated usage."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._index = -1
        self._in_text = False
        self._said: list[str] = []
        self._tools = False
        self._started = False
        self.ended = False

    def events(self, item: Any) -> list[Event]:
        """The events of one item; an error among the items is raised."""
        if isinstance(item, BaseException):
            raise as_raised(item)
        if isinstance(item, Cut):
            raise WasCut
        found = list(self._found(item))
        for event in found:
            self._note(event)
        if self._started or not found:
            return found
        self._started = True
        return found if isinstance(found[0], Start) else [Start(model=self._call.model), *found]

    def end(self) -> list[Event]:
        """The last events, unless the author has given them."""
        if self.ended:
            return []
        reason = "tool_calls" if self._tools else "stop"
        end = End(finish_reason=reason, usage=estimate(self._call, "".join(self._said)))
        return [end] if self._started else [Start(model=self._call.model), end]

    def _found(self, item: Any) -> Iterator[Event]:
        if isinstance(item, str):
            if not self._in_text:
                self._index += 1
            self._in_text = True
            yield TextDelta(item, self._index)
        elif isinstance(item, AIMessageChunk):
            yield from item.events
        elif isinstance(item, _EVENTS):
            yield cast("Event", item)
        elif isinstance(item, _PARTS):
            yield from self._part(cast("Part", item))
        else:
            raise UsageError(
                f"a piece of a scripted answer is a str, a part, an event, a chunk, an error or CUT, not {type(item).__name__}",
                argument="responses",
            )

    def _part(self, part: Part) -> Iterator[Event]:
        self._index += 1
        self._in_text = False
        yield part_event(part, self._index, 0)

    def _note(self, event: Event) -> None:
        self.ended = self.ended or isinstance(event, End)
        part = event.part if isinstance(event, PartDone) else None
        self._tools = self._tools or isinstance(event, ToolCallDelta) or isinstance(part, (ToolCall, InvalidToolCall))
        said = part or event
        text = getattr(said, "text", None) or getattr(said, "args", None)
        if text:
            self._said.append(str(text))


def completed(given: str | AIMessage, call: Call) -> AIMessage:
    """The whole answer, with what the author left out."""
    message = AIMessage(given) if isinstance(given, str) else given
    said = message.text + message.reasoning + "".join(str(c.args) for c in message.tool_calls)
    return replace(
        message,
        model=message.model or call.model,
        finish_reason=message.finish_reason or ("tool_calls" if message.tool_calls else "stop"),
        usage=message.usage or estimate(call, said),
    )


def pieces_of(message: AIMessage, size: int | None) -> Iterator[Event]:
    """The message as a stream gives it: text, reasoning and arguments in pieces of `size` characters; None: in words."""
    for event in events_of(message):
        if isinstance(event, (TextDelta, ReasoningDelta)):
            for text in cut_up(event.text, size):
                yield replace(event, text=text)
            continue
        delta = _as_delta(event) if isinstance(event, PartDone) else event
        if isinstance(delta, ToolCallDelta):
            yield from _call_pieces(delta, size)
        if not isinstance(event, ToolCallDelta):
            yield event


def _call_pieces(delta: ToolCallDelta, size: int | None) -> Iterator[Event]:
    if size is None:
        yield delta
        return
    yield replace(delta, args="")
    for args in cut_up(delta.args, size):
        yield ToolCallDelta(delta.index, args=args, choice=delta.choice)


def _as_delta(done: PartDone) -> ToolCallDelta | None:
    """A tool call that was made by hand, as those of a model come; the part itself follows, so that nothing of it is lost."""
    part = done.part
    if not isinstance(part, ToolCall) or part.custom:
        return None
    return ToolCallDelta(done.index, part.id, part.name, dumps_text(part.args), done.choice)


def cut_up(text: str, size: int | None) -> list[str]:
    """The text in pieces that add up to it."""
    if size is None:
        return re.findall(r"\s*\S+\s*", text) or ([text] if text else [])
    return [text[i : i + size] for i in range(0, len(text), size)]


def estimate(call: Call, said: str) -> Usage:
    """Tokens by a rule of thumb, four bytes each, and marked as estimated."""
    asked = "".join(m.text for m in call.messages)
    return Usage(input_tokens=_tokens(asked), output_tokens=_tokens(said), estimated=True)


def _tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // 4)


def as_raised(error: BaseException) -> BaseException:
    """A given error as a real connection would raise it: an `OSError` becomes the error of the transport that it causes.

    An error of the library is copied, since the flow writes the tries on it and the script may give it again.
    """
    if isinstance(error, ChatModelError):
        make, args = error.__reduce__()[:2]
        copied: ChatModelError = make(*args)
        copied.__cause__ = error.__cause__
        return copied
    if isinstance(error, ConnectionRefusedError):
        found: ChatModelError = ConnectError(f"no connection: {error}", phase="connect")
    elif isinstance(error, TimeoutError):
        found = DeadlineError(f"no answer in time: {error}", phase="idle")
    elif isinstance(error, OSError):
        found = TransportError(f"{type(error).__name__}: {error}", phase="read")
    else:
        return error
    found.__cause__ = error
    return found


def was_cut() -> TransportError:
    """What a plain call meets at a `CUT`."""
    return TransportError("the connection ended before the answer did", phase="read")
