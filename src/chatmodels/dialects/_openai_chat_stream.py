"""A Chat Completions stream as events. One small function per kind of delta; the usual text delta goes straight through.

The answer is complete when every choice has had a finish reason. `[DONE]` alone does not make it so; `[DONE]` after the
usage does (Snowflake, and OpenRouter's failed upstreams, leave the finish reason out): then the reason is "unknown", and a
warning says so. Usage comes with the last choice, after it, or on several chunks (then cumulative): the last one holds.
A plain answer is read by the same functions, as a stream of one delta (`parts_of`): so both say the same.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .._content import opaque
from .._events import (
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
    Start,
    TextDelta,
    ToolCallDelta,
    UsageSoFar,
    Warned,
)
from .._fold import Fold
from .._json import decode_as, dumps_text, is_array, is_object, loads, mend_all, objects
from .._parts import Part
from .._usage import Usage
from ._base import Dialect, SSEDecoder
from ._errors import error_told, make_error, read_error, status_of
from ._openai_chat_beyond import Beyond
from ._openai_chat_wire import (
    CONSTANTS,
    Body,
    Choice,
    Delta,
    add_data,
    add_details,
    call_data,
    citations_of,
    content_pieces,
    decoder,
    finish_of,
    images_of,
    known_decoder,
    message_data,
    reasoning_text,
    search_citations,
    server_tools_of,
    sound,
    tokens_of,
    usage_of,
    usual_decoder,
)

#: So many times a stream may disappoint the expectation of text before it is given up, for streams that mix all kinds.
_PATIENCE = 8


class _Call:
    """A call that is being told. `kept` is what stands beside it and has to go back with it."""

    __slots__ = ("args", "id", "index", "kept", "legacy", "name")

    def __init__(self, index: int, legacy: bool) -> None:
        self.index, self.legacy = index, legacy
        self.id: str | None = None
        self.name: str | None = None
        self.args: list[str] = []
        self.kept: dict[str, Any] = {}

    def is_whole(self) -> bool:
        """Can nothing more belong to its arguments?"""
        if not self.args or not self.args[-1].rstrip().endswith("}"):
            return False
        try:
            return is_object(loads("".join(self.args)))
        except ValueError:
            return False


class _State:
    """What is known of one choice: the place of each part, the open calls, how it ended."""

    __slots__ = (
        "audio_id", "calls", "citations", "details", "finish", "kept", "kinds", "next", "number", "open", "raw", "reasoned"
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.next = 0
        self.kinds: dict[str, int] = {}
        self.calls: list[_Call] = []
        self.open: dict[Any, _Call] = {}
        self.details: list[dict[str, Any]] = []
        self.citations = 0
        self.kept: dict[str, Any] = {}
        self.audio_id: str | None = None
        self.reasoned = False
        self.finish: str | None = None
        self.raw: str | None = None

    def place(self, kind: str) -> int:
        index = self.kinds.get(kind)
        if index is None:
            index = self.kinds[kind] = self.new()
        return index

    def new(self) -> int:
        index = self.next
        self.next += 1
        return index


class ChatStream(SSEDecoder):
    """The decoder of one Chat Completions stream."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._states: dict[int, _State] = {}
        self._started = False
        self._model: Any = None
        self._usage: Usage | None = None
        self._told: Usage | None = None
        self._sources: Body | None = None
        self._beyond = Beyond()
        self._fingerprint: Any = None
        self._tier: Any = None
        self._host: Any = None
        self._filters: Any = None
        self._strange = 0
        self._decode = decoder.decode
        self._decode_known = known_decoder.decode
        self._decode_usual = usual_decoder.decode
        self._usual = False
        self._unusual = 0
        self._index = 0

    def frame(self, out: list[Event], frame: tuple[bytes, bytes]) -> None:
        name, payload = frame
        if self._usual:
            try:
                chunk = self._decode_usual(payload)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                self._usual = False  # something else than text: read it in full
                self._unusual += 1
            else:
                choice = chunk.choices[0]
                if (
                    chunk.model == self._model
                    and chunk.system_fingerprint == self._fingerprint
                    and chunk.service_tier == self._tier
                    and chunk.provider == self._host
                    and (not choice.content_filter_results or choice.content_filter_results == self._filters)
                ):
                    text = choice.delta.content
                    if text:
                        out.append(TextDelta(text, self._index))
                    return
        if payload[:1] != b"{" and self._marker(out, payload):
            return
        before = len(out)
        known = self._known(payload)
        try:
            body = known or self._decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._odd_frame(out, name, payload)
        else:
            self._read(out, name, payload, body, strange=known is None)
            if len(out) == before + 1 and self._unusual < _PATIENCE:
                self._expect_text(out[-1])

    def _known(self, payload: bytes) -> Body | None:
        """The chunk, if all its fields are known; None when it has others, or many before it had."""
        if self._strange < _PATIENCE:
            try:
                return self._decode_known(payload)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                self._strange += 1  # read in full, with all that it says
        return None

    def _expect_text(self, event: Event) -> None:
        """After a chunk of nothing but text, more of it is likely."""
        if isinstance(event, TextDelta) and not event.choice:
            self._usual, self._index = True, event.index

    def _odd_frame(self, out: list[Event], name: bytes, payload: bytes) -> None:
        """A second reading, which raises what is really wrong. It lets halves of emoji through: text is mended when it is
        whole, everything else here.
        """
        body = decode_as(decoder, payload, f"{self.dialect.provider}: a stream event")
        events: list[Event] = []
        try:
            self._read(events, name, payload, body, strange=True)
        finally:
            out += [e if isinstance(e, _GROWING) else _mended(e) for e in events]

    def _read(self, out: list[Event], name: bytes, payload: bytes, body: Body, *, strange: bool) -> None:
        if not self._started or body.model != self._model:
            self._start(out, body)
        if body.usage is not None or body.x_groq is not None:
            self._use(out, body)
        for choice in body.choices or ():
            if choice is not None:
                self._choice(out, choice)
                if choice.usage is not None and body.usage is None:
                    body.usage = choice.usage
                    self._use(out, body)
        if not body.choices or body.error:
            self._odd(out, name, payload, body)
        if body.search_results is not None or body.citations is not None or body.venice_parameters is not None:
            self._sources = body
        if strange or self._says_more(body):
            self._beyond.add(loads(payload))
            said = self._beyond.of(0)
            self._filters = said.get("content_filter_results")
            self._fingerprint, self._tier, self._host = (said.get(name) for name in CONSTANTS)

    def _says_more(self, body: Body) -> bool:
        """Has a chunk of known fields something to tell that is not yet told?"""
        return (
            body.venice_parameters is not None
            or is_object(body.x_groq)
            or (body.system_fingerprint is not None and body.system_fingerprint != self._fingerprint)
            or (body.service_tier is not None and body.service_tier != self._tier)
            or (body.provider is not None and body.provider != self._host)
            or any(
                c is not None and (c.logprobs is not None or (c.delta is not None and c.delta.audio is not None))
                for c in body.choices or ()
            )
        )

    def _marker(self, out: list[Event], payload: bytes) -> bool:
        """`[DONE]` and empty data; True when there is nothing to decode."""
        text = payload.strip()
        if not text:
            return True
        if text != b"[DONE]":
            return False
        if not self.ended and self._finish(out, done=True):
            self.ended = True
        return True

    def _start(self, out: list[Event], body: Body) -> None:
        """What is new of the id and the model; some hosts leave them out of the first chunks."""
        ident = body.id if not self._started and isinstance(body.id, str) and body.id else None
        model = body.model if body.model != self._model and isinstance(body.model, str) and body.model else None
        if ident or model:
            self._started = self._started or ident is not None
            self._model = model or self._model
            out.append(Start(id=ident, model=model))

    def _use(self, out: list[Event], body: Body) -> None:
        wire, groq = body.usage, body.x_groq
        if is_object(groq):
            wire = wire or groq.get("usage")
            if not body.error and groq.get("error"):
                self._fail({"message": groq["error"]}, dumps_text(groq).encode())
        self._usage = usage_of(wire, self._usage)
        if self._usage is not None and self._usage != self._told:
            self._told = self._usage
            out.append(UsageSoFar(self._usage))

    def _odd(self, out: list[Event], name: bytes, payload: bytes, body: Body) -> None:
        """An event without choices: an error, usage alone, a wrapped chunk, or something new that says nothing."""
        if body.error:
            self._fail(body.error, payload)
        if is_object(body.data) and "choices" in body.data:
            self.frame(out, (b"", dumps_text(body.data).encode()))
            return
        whole = loads(payload)
        if name == b"error":
            message, code, kind = read_error(whole)
            raise make_error(
                self.dialect.provider, message or "the stream broke off with an error", status=status_of(whole),
                code=code, kind=kind, body=whole,
            )  # fmt: skip
        told = None if is_object(whole) and "choices" in whole else error_told(self.dialect.provider, whole)
        if told is not None:
            raise told

    def _fail(self, error: Any, payload: bytes) -> None:
        message, code, kind = read_error({"error": error})
        raise make_error(
            self.dialect.provider, message or "the stream broke off with an error", status=status_of(error),
            code=code, kind=kind, body=loads(payload),
        )  # fmt: skip

    def _choice(self, out: list[Event], choice: Choice) -> None:
        number = choice.index or 0
        state = self._states.get(number)
        if state is None:
            state = self._states[number] = _State(number)
        delta = choice.delta
        if delta is None and not state.next:
            delta = choice.message  # a whole answer in one chunk
        if delta is not None:
            self._delta(out, state, delta)
        if choice.logprobs is not None:
            tokens = tokens_of(choice.logprobs)
            if tokens:
                out.append(LogprobsDelta(tokens, number))
        if choice.error:
            self._fail(choice.error, dumps_text({"error": choice.error}).encode())
        if choice.finish_reason:
            state.finish, state.raw = finish_of(choice.finish_reason), str(choice.finish_reason)

    def _delta(self, out: list[Event], state: _State, delta: Delta) -> None:
        text = delta.content
        if isinstance(text, str) and (
            delta.reasoning is None and delta.reasoning_content is None and not delta.reasoning_details
        ):
            if text:
                index = state.kinds.get("text")
                out.append(TextDelta(text, state.place("text") if index is None else index, state.number))
        else:
            self._mixed(out, state, delta)
        if delta.tool_calls is not None or _rare(delta):
            self._more(out, state, delta)

    def _mixed(self, out: list[Event], state: _State, delta: Delta) -> None:
        text = reasoning_text(delta)
        if text:
            state.reasoned = True
            out.append(ReasoningDelta(text, state.place("reasoning"), state.number))
        if delta.reasoning_details:
            add_details(state.details, delta.reasoning_details)
            state.place("reasoning")
        for kind, value in content_pieces(delta.content):
            _PIECES[kind](self, out, state, value)

    def _said(self, out: list[Event], state: _State, text: str) -> None:
        if text:
            out.append(TextDelta(text, state.place("text"), state.number))

    def _thought(self, out: list[Event], state: _State, text: str) -> None:
        if text:
            state.reasoned = True
            out.append(ReasoningDelta(text, state.place("reasoning"), state.number))

    def _pictured(self, out: list[Event], state: _State, item: Any) -> None:
        state.kinds.pop("text", None)  # text after it is another part
        self._images(out, state, [item])

    def _unknown(self, out: list[Event], state: _State, item: Any) -> None:
        state.kinds.pop("text", None)
        out.append(PartDone(opaque(self.dialect.provider, item), state.new(), state.number))

    def _more(self, out: list[Event], state: _State, delta: Delta) -> None:
        for name, reader in _RARE:
            value = getattr(delta, name)
            if value is not None:
                reader(self, out, state, value)
        for call in _calls(delta.tool_calls):
            self._call(out, state, call)
        if is_object(delta.function_call):
            self._legacy(out, state, delta.function_call)
        kept = message_data(delta)
        if kept:
            state.kept = add_data(state.kept, kept)
            out.append(MessageInfo({self.dialect.provider: {"message": state.kept}}, state.number))

    def _legacy(self, out: list[Event], state: _State, wire: dict[str, Any]) -> None:
        """A call in the manner of 2023; hosts that tell every call in both manners mean one."""
        if any(not c.legacy for c in state.calls) or not (wire.get("name") or state.calls):
            return
        self._call(out, state, {"index": "legacy", "function": wire}, legacy=True)

    def _call(self, out: list[Event], state: _State, wire: dict[str, Any], legacy: bool = False) -> None:
        function = wire.get("function")
        custom = is_object(wire.get("custom")) and not function
        inner = wire["custom"] if custom else function if is_object(function) else {}
        ident, name = _text(wire.get("id")), _text(inner.get("name"))
        args = inner.get("input") if custom else inner.get("arguments")
        whole = isinstance(args, (dict, list))
        text = dumps_text(args) if whole else _text(args) or ""
        call = self._find(state, wire.get("index"), ident, name, args=text, legacy=legacy)
        new_id = ident if not call.id or call.id == ident else None
        call.id, call.name = call.id or ident, call.name or name
        if text:
            call.args.append(text)
        out.append(ToolCallDelta(call.index, new_id, name, text, state.number, custom, whole))
        kept = {"legacy": True} if legacy else call_data(wire)
        if kept and any(call.kept.get(k) != v for k, v in kept.items()):
            call.kept = add_data(call.kept, kept)
            data = {self.dialect.provider: call.kept}
            out.append(PartInfo(index=call.index, choice=state.number, provider_data=data))

    def _find(
        self, state: _State, index: Any, ident: str | None, name: str | None, *, args: str, legacy: bool
    ) -> _Call:
        """The call that a delta belongs to: by index; without one by id, else the last; a new id and name begin anew."""
        found: _Call | None
        if not isinstance(index, (int, str)):
            index = None
        if index is not None:
            found = state.open.get(index)
            if found is not None and name and self._is_another(found, ident, args):
                found = None
        elif ident:
            found = next((c for c in state.calls if c.id == ident), None)
        else:
            found = state.calls[-1] if state.calls and not name else None
        if found is None:
            found = _Call(state.new(), legacy)
            state.calls.append(found)
            if index is not None:
                state.open[index] = found
        return found

    def _is_another(self, call: _Call, ident: str | None, args: str) -> bool:
        """Is a name that comes again under the same index that of a further call? Some hosts number all calls 0."""
        if ident and call.id:
            return ident != call.id
        return bool(args) and not ident and not call.id and call.is_whole()

    def _refusal(self, out: list[Event], state: _State, value: Any) -> None:
        if isinstance(value, str) and value:
            out.append(RefusalDelta(value, state.place("refusal"), state.number))

    def _audio(self, out: list[Event], state: _State, value: Any) -> None:
        if not is_object(value):
            return
        index, ident = state.place("audio"), _text(value.get("id"))
        data, said = sound(value.get("data")), _text(value.get("transcript"))
        out.append(AudioDelta(index, data, said or "", state.number, ident))
        if ident and ident != state.audio_id:
            state.audio_id = ident
            kept = {self.dialect.provider: {"audio_id": ident}}
            out.append(PartInfo(index=index, choice=state.number, provider_data=kept))

    def _annotations(self, out: list[Event], state: _State, value: Any) -> None:
        found = citations_of(value)
        if found:
            out.append(PartInfo(index=state.place("text"), choice=state.number, citations=found))
            state.citations += len(found)

    def _images(self, out: list[Event], state: _State, value: Any) -> None:
        out += [PartDone(p, state.new(), state.number) for p in images_of(value)]

    def _executed(self, out: list[Event], state: _State, value: Any) -> None:
        for item in value if is_array(value) else ():
            for part in server_tools_of([item], self.dialect.provider):
                key = item.get("index", len(state.kinds))
                out.append(PartDone(part, state.place(f"executed {key}"), state.number))

    def finish(self, out: list[Event]) -> bool:
        return self._finish(out, done=False)

    def _finish(self, out: list[Event], *, done: bool) -> bool:
        first = self._states.get(0)
        if first is None:
            return False
        if any(s.finish is None for s in self._states.values()):
            if not (done and self._usage is not None):
                return False
            out.append(Warned(f"{self.dialect.provider} ended the answer without a finish reason"))
        for state in self._states.values():
            self._last_info(out, state)
            data = self._beyond.of(state.number)
            if data:
                out.append(MessageInfo({self.dialect.provider: {"answer": mend_all(data)}}, state.number))
        out.append(
            End(
                finish_reason=_ending(first).reason,
                raw_finish_reason=first.raw,
                usage=self._usage,
                others={n: _ending(s) for n, s in self._states.items() if n},
            )
        )
        return True

    def _last_info(self, out: list[Event], state: _State) -> None:
        if state.details:
            data = {self.dialect.provider: {"reasoning_details": mend_all(state.details)}}
            if not state.reasoned:
                out.append(ReasoningDelta("", state.place("reasoning"), state.number))
            out.append(PartInfo(index=state.place("reasoning"), choice=state.number, provider_data=data))
        if self._sources is not None and not state.number and not state.citations:
            found = search_citations(self._sources, self.dialect.provider)
            if found:
                out.append(PartInfo(index=state.place("text"), citations=found))

    def whole(self, delta: Delta, body: Body, number: int) -> list[Event]:
        """The events of a plain answer's message: a stream of one delta."""
        out: list[Event] = []
        state = _State(number)
        self._sources = body
        delta.tool_calls = [{**c, "index": n} for n, c in enumerate(_calls(delta.tool_calls))]
        self._delta(out, state, delta)
        self._last_info(out, state)
        return out


#: Events whose text goes on in the next.
_GROWING = (TextDelta, ReasoningDelta, RefusalDelta, ToolCallDelta, AudioDelta)


def _mended(event: Event) -> Event:
    fields = mend_all(msgspec.to_builtins(event))
    return msgspec.convert(fields, type(event))


def parts_of(dialect: Dialect, delta: Delta, body: Body, number: int) -> list[Part]:
    """The parts of a plain answer's message, as its stream would give them."""
    folding = Fold()
    for event in ChatStream(dialect).whole(delta, body, number):
        folding.add(event)
    return folding.choice(number).made()


def _calls(given: Any) -> list[dict[str, Any]]:
    return [given] if is_object(given) else objects(given)


def _ending(state: _State) -> ChoiceFinish:
    finish = state.finish or "unknown"
    return ChoiceFinish("tool_calls" if state.calls and finish == "stop" else finish, state.raw)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _rare(delta: Delta) -> bool:
    return (
        delta.refusal is not None
        or delta.function_call is not None
        or delta.audio is not None
        or delta.annotations is not None
        or delta.images is not None
        or delta.executed_tools is not None
        or delta.reasoning_opaque is not None
        or delta.extra_content is not None
    )


_PIECES: dict[str, Any] = {
    "text": ChatStream._said,
    "reasoning": ChatStream._thought,
    "image": ChatStream._pictured,
    "other": ChatStream._unknown,
}

_RARE: tuple[tuple[str, Any], ...] = (
    ("annotations", ChatStream._annotations),
    ("refusal", ChatStream._refusal),
    ("audio", ChatStream._audio),
    ("images", ChatStream._images),
    ("executed_tools", ChatStream._executed),
)
