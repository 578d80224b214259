"""Gemini's answer as events. A plain answer is read like a stream of one chunk, so that both always agree.

One small function per kind of part, under a dispatch table. Text parts that follow each other are one part of
ours, except where a thought signature stands on one: Google wants signatures back in the very part that they
came in (ai.google.dev/gemini-api/docs/thought-signatures, 2026-11). What a part says beyond what we know goes
into its `provider_data`, in Google's spelling, and back from there.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Any

from .._errors import ProtocolError
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
    Start,
    TextDelta,
    ToolCallDelta,
    UsageSoFar,
)
from .._parts import Audio, File, Image, Opaque, ServerTool, Video
from .._schema_walk import is_array, is_object
from .._usage import Usage
from ._errors import is_error, make_error, read_error
from ._google_errors import refined
from ._google_wire import (
    FINISH,
    blocked_name,
    citations_of,
    finish_name,
    logprobs_of,
    partial_value,
    put,
    recitations,
    usage_of,
)
from ._open_calls import args_text, made_id

_MEDIA: dict[str, Any] = {"image": Image, "audio": Audio, "video": Video}
#: Raw samples, which can be put one after the other; files with a header cannot.
_PCM = ("audio/l16", "audio/pcm")

#: `toolType` and the older parts -> our kinds.
TOOL_KINDS = {
    "GOOGLE_SEARCH_WEB": "web_search",
    "GOOGLE_SEARCH_IMAGE": "image_search",
    "URL_CONTEXT": "web_fetch",
    "GOOGLE_MAPS": "maps",
    "FILE_SEARCH": "file_search",
}

_READ = frozenset({"content", "finishReason", "index", "logprobsResult"})


class _Call:
    """The last function call: its arguments may come piece by piece."""

    __slots__ = ("args", "index", "open")

    def __init__(self, index: int, args: Any) -> None:
        self.index = index
        self.args: dict[str, Any] = dict(args) if is_object(args) else {}
        self.open = False


class _State:
    """What is known of one candidate."""

    __slots__ = ("call", "calls", "finish", "meta", "next", "number", "open", "texts")

    def __init__(self, number: int) -> None:
        self.number = number
        self.next = 0
        #: The kind of part that the next piece may continue.
        self.open: str | None = None
        self.call: _Call | None = None
        self.calls = 0
        self.finish: str | None = None
        self.meta: dict[str, Any] = {}
        self.texts: dict[int, list[str]] = {}

    def new(self, kind: str | None = None) -> int:
        index = self.next
        self.next += 1
        self.open = kind
        return index


class Assembler:
    """Takes chunks (decoded `GenerateContentResponse` objects), appends events. One per answer.

    `join=False` keeps every part of the wire a part of its own, as in a request.
    """

    def __init__(self, provider: str, numbers: dict[int, str], *, join: bool = True) -> None:
        self.provider = provider
        self.blocked: str | None = None
        self._numbers = numbers
        self._join = join
        self._states: dict[int, _State] = {}
        self._id: Any = None
        self._model: Any = None
        self._wire_usage: dict[str, Any] = {}
        self._usage: Usage | None = None
        self._feedback: dict[str, Any] = {}

    def chunk(self, out: list[Event], body: Any) -> None:
        """The events of one chunk. Raises the provider's error where the chunk is one."""
        if not is_object(body):
            raise ProtocolError(
                f"{self.provider}: an answer is a JSON object, not {type(body).__name__}",
                data=args_text(body),
                provider=self.provider,
            )
        if "candidates" not in body and is_error(body):
            raise self._error(body)
        if body.get("responseId") != self._id or body.get("modelVersion") != self._model:
            self._start(out, body)
        candidates = body.get("candidates")
        if is_array(candidates):
            for position, candidate in enumerate(candidates):
                if is_object(candidate):
                    self._candidate(out, candidate, position)
        feedback = body.get("promptFeedback")
        if feedback:
            self._blocked(feedback)
        usage = body.get("usageMetadata")
        if is_object(usage) and usage != self._wire_usage:
            self._use(out, usage)

    def finish(self, out: list[Event]) -> bool:
        """Append the last events; False (and nothing that ends it) when the answer is not complete."""
        states = self._states
        if self.blocked and not any(s.finish for s in states.values()):
            self._last(out, states.setdefault(0, _State(0)))
            out.append(End(finish_reason="content_filter", raw_finish_reason=self.blocked, usage=self._usage))
            return True
        if 0 not in states or any(s.finish is None for s in states.values()):
            return False
        self._end(out)
        return True

    def give_up(self, out: list[Event]) -> None:
        """The last events of a plain answer that says no finish reason: there is no more to come."""
        self._states.setdefault(0, _State(0))
        self._end(out)

    def _end(self, out: list[Event]) -> None:
        for state in self._states.values():
            self._last(out, state)
        first = _ending(self._states[0])
        out.append(
            End(
                finish_reason=first.reason,
                raw_finish_reason=first.raw,
                usage=self._usage,
                others={n: _ending(s) for n, s in self._states.items() if n},
            )
        )

    def _error(self, body: dict[str, Any]) -> Exception:
        message, code, kind = read_error(body)
        inner = body.get("error")
        status = inner.get("code") if is_object(inner) else None
        status = status if isinstance(status, int) and 100 <= status < 600 else None
        said = message or "the answer is an error"
        return refined(make_error(self.provider, said, status=status, code=code, kind=kind, body=body))

    def _start(self, out: list[Event], body: dict[str, Any]) -> None:
        self._id, self._model = body.get("responseId"), body.get("modelVersion")
        ident = self._id if isinstance(self._id, str) and self._id else None
        model = self._model if isinstance(self._model, str) and self._model else None
        if ident or model:
            out.append(Start(id=ident, model=model))

    def _blocked(self, feedback: Any) -> None:
        self.blocked = blocked_name(feedback) or self.blocked
        if is_object(feedback):
            self._feedback.update(feedback)

    def _use(self, out: list[Event], usage: dict[str, Any]) -> None:
        """Counts are cumulative, and not every chunk repeats all of them."""
        if None in usage.values():
            usage = {k: v for k, v in usage.items() if v is not None}
        self._wire_usage = {**self._wire_usage, **usage}
        found = usage_of(self._wire_usage)
        if found is not None:
            self._usage = found
            out.append(UsageSoFar(found))

    def _candidate(self, out: list[Event], wire: dict[str, Any], position: int) -> None:
        index = wire.get("index")
        number = index if isinstance(index, int) and index >= 0 else position
        state = self._states.get(number)
        if state is None:
            state = self._states[number] = _State(number)
        content = wire.get("content")
        parts = content.get("parts") if is_object(content) else None
        if is_object(parts):
            parts = [parts]
        if is_array(parts):
            for part in parts:
                self._part(out, state, part)
        if wire.get("finishReason"):
            state.finish = finish_name(wire["finishReason"], self._numbers) or state.finish
        if not wire.keys() <= _READ:
            self._beside(state, wire)
        if wire.get("logprobsResult"):
            tokens = logprobs_of(wire["logprobsResult"])
            if tokens:
                out.append(LogprobsDelta(tokens, number))

    def _beside(self, state: _State, wire: dict[str, Any]) -> None:
        """What stands beside the content (grounding, safety, ...) is kept whole; the last word holds."""
        for key, value in wire.items():
            if key in _READ or value is None or value in ({}, []):
                continue
            if key == "citationMetadata" and key in state.meta:
                have = recitations(state.meta[key])
                value = {"citations": have + [c for c in recitations(value) if c not in have]}
            state.meta[key] = value

    # -- parts

    def _part(self, out: list[Event], state: _State, part: Any) -> None:
        if not is_object(part):
            out.append(PartDone(Opaque(provider=self.provider, kind="", data=part), state.new(), state.number))
            return
        for key, read in _PARTS:
            value = part.get(key)
            if value is not None:
                if state.call is not None and state.call.open and key != "functionCall":
                    self._close_call(out, state)
                read(self, out, state, part, value)
                return
        part = {k: v for k, v in part.items() if v is not None}
        if part:
            out.append(PartDone(self._opaque(part), state.new(), state.number))

    def _opaque(self, part: dict[str, Any]) -> Opaque:
        return Opaque(
            provider=self.provider, kind=next((k for k in part if not k.startswith("thought")), ""), data=part
        )

    def _text(self, out: list[Event], state: _State, part: dict[str, Any], text: Any) -> None:
        if len(part) == 1 and state.open == "text" and text.__class__ is str:
            if text:
                state.texts[state.next - 1].append(text)
                out.append(TextDelta(text, state.next - 1, state.number))
            return
        if not isinstance(text, str):
            out.append(PartDone(self._opaque(part), state.new(), state.number))
            return
        kind = "reasoning" if part.get("thought") else "text"
        extra = _beyond(part, "text", "thought")
        if not (text or extra):
            return
        same = state.open == kind and not extra
        index = state.next - 1 if same else state.new(kind if self._join and not extra else None)
        if kind == "reasoning":
            self._thought(out, state, index, text, extra)
            return
        state.texts.setdefault(index, []).append(text)
        if text:
            out.append(TextDelta(text, index, state.number))
        self._info(out, state, index, extra)

    def _thought(self, out: list[Event], state: _State, index: int, text: str, extra: dict[str, Any]) -> None:
        out.append(ReasoningDelta(text, index, state.number, summary=True))
        signature = extra.pop("thoughtSignature", None)
        if isinstance(signature, str):
            out.append(PartInfo(index=index, choice=state.number, signature=signature))
        self._info(out, state, index, extra)

    def _info(self, out: list[Event], state: _State, index: int, extra: dict[str, Any]) -> None:
        if extra:
            out.append(PartInfo(index=index, choice=state.number, provider_data={self.provider: extra}))

    def _function_call(self, out: list[Event], state: _State, part: dict[str, Any], wire: Any) -> None:
        call = state.call
        if not is_object(wire) or (call is None and wire and not wire.get("name")):
            out.append(PartDone(self._opaque(part), state.new(), state.number))
            return
        if wire.get("name"):
            self._close_call(out, state)
            call = self._new_call(out, state, wire)
        if call is None:
            return
        extra = _beyond(part, "functionCall", "thought")
        more = _beyond(wire, "id", "name", "args", "partialArgs", "willContinue")
        if more:
            extra["functionCall"] = more
        self._info(out, state, call.index, extra)
        pieces = wire.get("partialArgs")
        for piece in pieces if is_array(pieces) else ():
            self._piece(call, piece)
        if call.open and not wire.get("willContinue"):
            self._close_call(out, state)

    def _new_call(self, out: list[Event], state: _State, wire: dict[str, Any]) -> _Call:
        args = wire.get("args")
        call = state.call = _Call(state.new(), args)
        ident = wire.get("id")
        ident = ident if isinstance(ident, str) and ident else made_id(state.calls)
        state.calls += 1
        name = str(wire.get("name") or "")
        if wire.get("willContinue") or wire.get("partialArgs"):
            call.open = True
            out.append(ToolCallDelta(call.index, ident, name, "", state.number))
        else:
            out.append(ToolCallDelta(call.index, ident, name, args_text(args), state.number, whole=True))
        return call

    def _piece(self, call: _Call, piece: Any) -> None:
        path = piece.get("jsonPath") if is_object(piece) else None
        if not isinstance(path, str) or not put(call.args, path, partial_value(piece)):
            raise ProtocolError(
                f"{self.provider}: partialArgs names no place in the arguments",
                path=path if isinstance(path, str) else None,
                data=args_text(piece),
                provider=self.provider,
            )
        call.open = True

    def _close_call(self, out: list[Event], state: _State) -> None:
        call = state.call
        if call is not None and call.open:
            call.open = False
            out.append(ToolCallDelta(call.index, args=args_text(call.args), choice=state.number, whole=True))

    def _inline(self, out: list[Event], state: _State, part: dict[str, Any], wire: Any) -> None:
        data = _bytes(wire.get("data")) if is_object(wire) else None
        if data is None:
            out.append(PartDone(self._opaque(part), state.new(), state.number))
            return
        kind = wire.get("mimeType")
        kind = kind if isinstance(kind, str) and kind else None
        extra = _beyond(part, "inlineData", "thought")
        if part.get("thought"):
            extra["thought"] = True
        if data and not extra and kind and kind.lower().startswith(_PCM):
            index = state.next - 1 if state.open == kind else state.new(kind if self._join else None)
            out.append(AudioDelta(index, data, choice=state.number, media_type=kind))
            return
        self._media(out, state, kind, extra, {"data": data, "name": wire.get("displayName")})

    def _file(self, out: list[Event], state: _State, part: dict[str, Any], wire: Any) -> None:
        url = wire.get("fileUri") if is_object(wire) else None
        if not isinstance(url, str) or url.startswith("data:"):
            out.append(PartDone(self._opaque(part), state.new(), state.number))
            return
        kind = wire.get("mimeType")
        extra = _beyond(part, "fileData", "thought")
        fields = {"url": url, "name": wire.get("displayName")}
        self._media(out, state, kind if isinstance(kind, str) and kind else None, extra, fields)

    def _media(
        self, out: list[Event], state: _State, kind: str | None, extra: dict[str, Any], fields: dict[str, Any]
    ) -> None:
        make = _MEDIA.get((kind or "").partition("/")[0], File)
        data = {self.provider: extra} if extra else None
        if not isinstance(fields["name"], str):
            fields["name"] = None
        out.append(PartDone(make(media_type=kind, provider_data=data, **fields), state.new(), state.number))

    def _server_tool(self, out: list[Event], state: _State, part: dict[str, Any], wire: Any) -> None:
        if not is_object(wire):
            out.append(PartDone(self._opaque(part), state.new(), state.number))
            return
        phase = "result" if "codeExecutionResult" in part or "toolResponse" in part else "call"
        word = wire.get("toolType")
        ident = wire.get("id")
        known = {k: v for k, v in wire.items() if k not in ("id", "toolType")}
        kind = TOOL_KINDS.get(str(word), str(word).lower()) if word else "code_execution"
        whole = {k: v for k, v in part.items() if v is not None}
        tool = ServerTool(
            phase=phase,  # type: ignore[arg-type]
            kind=kind,
            id=ident if isinstance(ident, str) else None,
            name=str(word) if word else None,
            args=(known.get("args") if word else known) if phase == "call" else None,
            result=(known.get("response") if word else known) if phase == "result" else None,
            provider_data={self.provider: whole},
        )
        out.append(PartDone(tool, state.new(), state.number))

    # -- the end

    def _last(self, out: list[Event], state: _State) -> None:
        self._close_call(out, state)
        texts = [(index, "".join(pieces)) for index, pieces in state.texts.items()]
        for index, found in citations_of(self.provider, state.meta, texts).items():
            place = state.new() if index is None else index
            out.append(PartInfo(index=place, choice=state.number, citations=tuple(found)))
        meta = dict(state.meta)
        if self._feedback and not state.number:
            meta["promptFeedback"] = self._feedback
        if self._usage is None and self._wire_usage and not state.number:
            meta["usageMetadata"] = self._wire_usage  # no counts, but how the call is paid for
        if meta:
            out.append(MessageInfo({self.provider: meta}, state.number))


def _ending(state: _State) -> ChoiceFinish:
    if state.finish is None:
        return ChoiceFinish("unknown")
    reason = FINISH.get(state.finish, "other")
    return ChoiceFinish("tool_calls" if reason == "stop" and state.calls else reason, state.finish)


def _beyond(wire: dict[str, Any], *known: str) -> dict[str, Any]:
    if len(wire) == 1:
        return {}
    return {k: v for k, v in wire.items() if k not in known and v is not None}


def _bytes(data: Any) -> bytes | None:
    if not isinstance(data, str):
        return None
    try:
        return b64decode(data.translate(_URL_SAFE), validate=True)
    except (Base64Error, ValueError):
        return None


#: Google's JSON may use either alphabet of base64.
_URL_SAFE = str.maketrans("-_", "+/")

_PARTS: tuple[tuple[str, Callable[[Assembler, list[Event], _State, dict[str, Any], Any], None]], ...] = (
    ("functionCall", Assembler._function_call),
    ("text", Assembler._text),
    ("inlineData", Assembler._inline),
    ("fileData", Assembler._file),
    ("executableCode", Assembler._server_tool),
    ("codeExecutionResult", Assembler._server_tool),
    ("toolCall", Assembler._server_tool),
    ("toolResponse", Assembler._server_tool),
)
