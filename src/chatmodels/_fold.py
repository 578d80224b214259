"""Events -> message: the one way in which a stream becomes an answer, linear in the number of events.

`Fold.message()` can be asked at any time: before the `End` event it gives the partial answer, whose
`finish_reason` is None. Memory is O(text): pieces are joined as they come, not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import StringIO
from typing import Any

import msgspec

from ._events import (
    AudioDelta,
    ChoiceFinish,
    End,
    Event,
    LogprobsDelta,
    MessageInfo,
    PartDone,
    PartInfo,
    ReasoningDelta,
    RefusalDelta,
    Restarted,
    Start,
    TextDelta,
    ToolCallDelta,
    UsageSoFar,
    Warned,
)
from ._inputs import plain, tool_call
from ._json import is_object, mend
from ._messages import AIMessage
from ._parts import Audio, Citation, InvalidToolCall, Part, Reasoning, Refusal, Text, ToolCall
from ._usage import Usage


class _Building:
    """One part while it grows."""

    __slots__ = ("audio", "citations", "custom", "encrypted", "id", "kind", "media_type", "name", "out",
                 "part", "provider_data", "signature", "summary")  # fmt: skip

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.out = StringIO()
        self.id = ""
        self.name = ""
        self.custom = False
        self.summary = False
        self.signature: str | None = None
        self.encrypted: str | None = None
        self.media_type: str | None = None
        self.audio: list[bytes] | None = None
        self.citations: list[Citation] = []
        self.provider_data: dict[str, Any] | None = None
        self.part: Part | None = None

    def done(self) -> Part | None:
        return _FINISH[self.kind](self)


def _text(b: _Building) -> Part | None:
    text = mend(b.out.getvalue())
    if not (text or b.citations or b.provider_data):
        return None
    return Text(text, tuple(b.citations), provider_data=b.provider_data)


def _reasoning(b: _Building) -> Part | None:
    return Reasoning(mend(b.out.getvalue()), b.summary, b.signature, b.encrypted, provider_data=b.provider_data)


def _refusal(b: _Building) -> Part | None:
    return Refusal(mend(b.out.getvalue()), provider_data=b.provider_data)


def _call(b: _Building) -> ToolCall | InvalidToolCall:
    text = mend(b.out.getvalue())
    if b.custom and b.name:
        return ToolCall(b.id, b.name, text, custom=True, provider_data=b.provider_data)
    return tool_call(b.id, b.name, text, provider_data=b.provider_data)


def _audio(b: _Building) -> Part | None:
    data, said = b"".join(b.audio or ()), mend(b.out.getvalue()) or None
    if not (data or said or b.id):
        return None
    file_id = (b.id or None) if not data else None
    return Audio(
        data=data or None, file_id=file_id, media_type=b.media_type, transcript=said, provider_data=b.provider_data
    )


def _whole(b: _Building) -> Part | None:
    if b.part is None or b.provider_data is None:
        return b.part
    merged = {**(b.part.provider_data or {}), **b.provider_data}
    return msgspec.structs.replace(b.part, provider_data=merged)


_FINISH: dict[str, Callable[[_Building], Part | None]] = {
    "text": _text,
    "reasoning": _reasoning,
    "refusal": _refusal,
    "tool_call": _call,
    "audio": _audio,
    "part": _whole,
}


class _Choice:
    __slots__ = ("logprobs", "parts", "provider_data")

    def __init__(self) -> None:
        self.parts: dict[int, _Building] = {}
        self.logprobs: list[dict[str, Any]] | None = None
        self.provider_data: dict[str, Any] | None = None

    def building(self, index: int, kind: str) -> _Building:
        found = self.parts.get(index)
        if found is None or found.kind not in (kind, "part"):
            found = self.parts[index] = _Building(kind)
        return found

    def made(self) -> list[Part]:
        return [p for i in sorted(self.parts) if (p := self.parts[i].done()) is not None]


def _nowhere(text: str) -> int:
    raise AssertionError("there is no text part yet")


class Fold:
    """Collects events; `message()` is the answer so far."""

    __slots__ = ("_choices", "_index", "_write", "end", "id", "model", "provider_data", "usage", "warnings")

    def __init__(self) -> None:
        self._reset()
        self.warnings: list[str] = []

    def _reset(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self._index = -1
        self._write: Callable[[str], int] = _nowhere
        self.id: str | None = None
        self.model: str | None = None
        self.provider_data: dict[str, Any] | None = None
        self.usage: Usage | None = None
        self.end: End | None = None

    @property
    def started(self) -> bool:
        """Has anything been taken in?"""
        return bool(self._choices) or self.end is not None or self.id is not None or self.model is not None

    def add(self, event: Event) -> None:
        """Take the next event in."""
        if isinstance(event, TextDelta) and event.index == self._index and not event.choice:
            self._write(event.text)
        else:
            _ADD[event.__class__](self, event)

    def choice(self, number: int) -> _Choice:
        """The collected state of one choice."""
        found = self._choices.get(number)
        if found is None:
            found = self._choices[number] = _Choice()
        return found

    def _text(self, event: TextDelta) -> None:
        building = self.choice(event.choice).building(event.index, "text")
        building.out.write(event.text)
        if not event.choice:
            self._index, self._write = event.index, building.out.write

    def _reasoning(self, event: ReasoningDelta) -> None:
        building = self.choice(event.choice).building(event.index, "reasoning")
        building.summary = building.summary or event.summary
        building.out.write(event.text)

    def _refusal(self, event: RefusalDelta) -> None:
        self.choice(event.choice).building(event.index, "refusal").out.write(event.text)

    def _tool_call(self, event: ToolCallDelta) -> None:
        building = self.choice(event.choice).building(event.index, "tool_call")
        building.id = building.id or event.id or ""
        building.name = building.name or event.name or ""
        building.custom = building.custom or event.custom
        if event.whole:
            building.out = StringIO()
        building.out.write(event.args)

    def _audio(self, event: AudioDelta) -> None:
        building = self.choice(event.choice).building(event.index, "audio")
        building.id = building.id or event.id or ""
        building.media_type = building.media_type or event.media_type
        building.out.write(event.transcript)
        if event.data:
            building.audio = building.audio or []
            building.audio.append(event.data)

    def _part(self, event: PartDone) -> None:
        building = _Building("part")
        building.part = event.part
        self.choice(event.choice).parts[event.index] = building
        if event.index == self._index:
            self._index = -1

    def _info(self, event: PartInfo) -> None:
        choice = self.choice(event.choice)
        building = choice.parts.get(event.index)
        if building is None:
            kind = "reasoning" if event.signature or event.encrypted else "text"
            building = choice.building(event.index, kind)
        if event.signature is not None:
            building.signature = (building.signature or "") + event.signature
        if event.encrypted is not None:
            building.encrypted = (building.encrypted or "") + event.encrypted
        building.citations.extend(event.citations)
        if event.provider_data:
            building.provider_data = merge_data(building.provider_data, event.provider_data)

    def _logprobs(self, event: LogprobsDelta) -> None:
        choice = self.choice(event.choice)
        if choice.logprobs is None:
            choice.logprobs = []
        choice.logprobs.extend(event.content)

    def _message_info(self, event: MessageInfo) -> None:
        choice = self.choice(event.choice)
        choice.provider_data = merge_data(choice.provider_data, event.provider_data)

    def _start(self, event: Start) -> None:
        self.id = event.id or self.id
        self.model = event.model or self.model
        if event.provider_data:
            self.provider_data = merge_data(self.provider_data, event.provider_data)

    def _warned(self, event: Warned) -> None:
        self.warnings.append(event.text)

    def _restarted(self, event: Restarted) -> None:
        self._reset()

    def _usage(self, event: UsageSoFar) -> None:
        self.usage = event.usage

    def _end(self, event: End) -> None:
        self.end = event
        self.usage = event.usage or self.usage

    def message(self) -> AIMessage:
        """The answer so far; `finish_reason` is None until the `End` event has come."""
        end = self.end
        numbers = self._choices.keys() | (end.others.keys() if end else ())
        others = [self._one(n, _ending(end, n)) for n in sorted(numbers) if n]
        first = self._one(0, ChoiceFinish(end.finish_reason, end.raw_finish_reason) if end else None)
        msgspec.structs.force_setattr(first, "usage", self.usage)
        msgspec.structs.force_setattr(first, "warnings", tuple(self.warnings))
        if others:
            msgspec.structs.force_setattr(first, "alternatives", tuple(others))
        return first

    def _one(self, number: int, finish: ChoiceFinish | None) -> AIMessage:
        choice = self._choices.get(number) or _Choice()
        data = merge_data(self.provider_data, choice.provider_data)
        parts = choice.made()
        return AIMessage(
            plain(parts if finish else [_unfinished(p) for p in parts]),
            id=self.id,
            model=self.model,
            finish_reason=finish.reason if finish else None,
            raw_finish_reason=finish.raw if finish else None,
            logprobs=choice.logprobs,
            provider_data=data,
        )


def _unfinished(part: Part) -> Part:
    """A part of an answer that is not complete: a call of which no argument has come yet is none that could be run."""
    if isinstance(part, ToolCall) and not part.args_text and not part.custom:
        return InvalidToolCall(
            part.id, part.name, "", "the answer broke off before the arguments", provider_data=part.provider_data
        )
    return part


def _ending(end: End | None, number: int) -> ChoiceFinish | None:
    return end.others.get(number) if end else None


def merge_data(old: dict[str, Any] | None, new: dict[str, Any] | None) -> dict[str, Any] | None:
    """Provider data, key by key; mappings are merged one level down, everything else is replaced."""
    if not old or not new:
        return new or old
    out = dict(old)
    for key, value in new.items():
        have = out.get(key)
        out[key] = {**have, **value} if is_object(have) and is_object(value) else value
    return out


def fold(events: Iterable[Event]) -> AIMessage:
    """The message that the events make."""
    folding = Fold()
    for event in events:
        folding.add(event)
    return folding.message()


_ADD: dict[type[Any], Callable[[Fold, Any], None]] = {
    Start: Fold._start,
    TextDelta: Fold._text,
    ReasoningDelta: Fold._reasoning,
    RefusalDelta: Fold._refusal,
    ToolCallDelta: Fold._tool_call,
    AudioDelta: Fold._audio,
    PartDone: Fold._part,
    PartInfo: Fold._info,
    LogprobsDelta: Fold._logprobs,
    MessageInfo: Fold._message_info,
    Warned: Fold._warned,
    Restarted: Fold._restarted,
    UsageSoFar: Fold._usage,
    End: Fold._end,
}
