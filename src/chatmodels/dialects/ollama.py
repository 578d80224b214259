"""Ollama's own chat API: call -> request, answer -> message, NDJSON stream -> events.

Ollama's tool calls need have no ids: then they get deterministic ones from their place in the answer
("call_0"), which are not sent back. Sources: docs.ollama.com/api/chat, the server's types, recorded traffic;
checked 2026-11. Pure.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import force_setattr

from .._call import Call, HTTPRequest, HTTPResponse
from .._errors import ProviderError
from .._events import (
    End,
    Event,
    LogprobsDelta,
    PartDone,
    ReasoningDelta,
    Start,
    TextDelta,
    ToolCallDelta,
)
from .._fold import fold
from .._framing import JSONLines
from .._json import decode_as, loads
from .._messages import AIMessage, with_body
from .._schema_walk import is_array, is_object
from ._base import Decoder, Dialect, StreamDecoder
from ._body import body_bytes
from ._errors import error_body, error_told, http_error, make_error, no_answer
from ._ollama_parse import parse_request
from ._ollama_request import Encoder
from ._ollama_wire import Body, Said, call_id, decoder, finish_of, image_part, text, tokens_of, usage_of
from ._open_calls import args_text

# The places of the parts, so that a stream gives the order of the plain answer whatever comes first.
_THINKING, _TEXT, _CALLS, _IMAGES = 0, 1, 2, 100_000


class Ollama(Dialect):
    """The dialect for one provider row. It has no options."""

    def __init__(self, provider: str = "ollama") -> None:
        self.provider = provider

    def encode(self, call: Call) -> HTTPRequest:
        encoder = Encoder(self.provider)
        body = encoder.body(call)
        return HTTPRequest(
            path="/api/chat",
            body=body_bytes(body),
            headers=call.settings.extra_headers or {},
            stream=call.stream,
            warnings=tuple(encoder.warnings),
        )

    def decode(self, response: HTTPResponse) -> AIMessage:
        """The message. An answer is read like a stream of one line, so that both always agree."""
        events: list[Event] = []
        answer = OllamaAnswer(self.provider)
        if b'"done"' not in response.body and (told := error_told(self.provider, response.body)) is not None:
            raise _worded(told)
        body = decode_as(decoder, response.body, f"{self.provider}: the answer")
        answer.line(events, body, response.body)
        if body.message is None and not body.done:
            raise no_answer(self.provider, response, "message")
        if not answer.ended:
            events.append(End(finish_reason="unknown"))
        message = fold(events)
        force_setattr(message, "provider", self.provider)
        return with_body(message, response.body)

    def decode_error(self, response: HTTPResponse) -> ProviderError:
        return _worded(http_error(self.provider, response))

    def stream_decoder(self) -> StreamDecoder:
        return OllamaStream(self)

    def decode_request(self, body: dict[str, Any], path: str = "") -> Call:
        """The call that a request means; what has no neutral place goes into `extra_body`."""
        return parse_request(self.provider, body)


def _worded(error: ProviderError) -> ProviderError:
    """The error without its text as its code: Ollama's errors are only a text."""
    if error.code == error.message:
        error.code = None
    return error


class OllamaAnswer:
    """Takes the lines of one answer, appends events."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.ended = False
        self._model: Any = None
        self._calls = 0
        self._images = 0

    def line(self, out: list[Event], body: Body, data: bytes) -> None:
        """The events of one line. Raises the provider's error where the line is one."""
        if body.error:
            said = body.error if isinstance(body.error, str) else args_text(body.error)
            raise make_error(self.provider, said, body=error_body(data))
        if body.model != self._model and isinstance(body.model, str) and body.model:
            self._model = body.model
            out.append(Start(model=body.model))
        said_now = body.message
        if said_now is not None:
            if said_now.thinking:
                out.append(ReasoningDelta(text(said_now.thinking), _THINKING))
            if said_now.content:
                out.append(TextDelta(text(said_now.content), _TEXT))
            if said_now.tool_calls or said_now.images:
                self._more(out, said_now)
        if body.logprobs is not None:
            tokens = tokens_of(body.logprobs)
            if tokens:
                out.append(LogprobsDelta(tokens))
        if body.done:
            self._end(out, body)

    def _more(self, out: list[Event], said: Said) -> None:
        for wire in said.tool_calls if is_array(said.tool_calls) else ():
            if is_object(wire):
                self._call(out, wire)
        for data in said.images if is_array(said.images) else ():
            out.append(PartDone(image_part(self.provider, data), _IMAGES + self._images))
            self._images += 1

    def _call(self, out: list[Event], wire: dict[str, Any]) -> None:
        function = wire.get("function")
        inner = function if is_object(function) else {}
        said = args_text(inner.get("arguments"))
        name = str(inner.get("name") or "")
        index = _CALLS + self._calls
        out.append(ToolCallDelta(index, call_id(wire, self._calls), name, said, whole=True))
        self._calls += 1

    def _end(self, out: list[Event], body: Body) -> None:
        reason, raw = finish_of(body, bool(self._calls))
        out.append(End(finish_reason=reason, raw_finish_reason=raw, usage=usage_of(body)))
        self.ended = True


class OllamaStream(Decoder):
    """The decoder of one NDJSON stream. Its terminal line says `"done": true`."""

    plain_start = None  # a plain answer is a stream of one line

    def __init__(self, dialect: Ollama) -> None:
        super().__init__(dialect)
        self._lines = JSONLines()
        self._answer = OllamaAnswer(dialect.provider)
        self._decode = decoder.decode
        self.frames = self._lines.feed  # type: ignore[method-assign]

    def last_frames(self) -> list[bytes]:
        """A last line without its end counts when it is whole JSON; else the stream was cut."""
        last = self._lines.close()
        return [line for line in last if _is_json(line)]

    def frame(self, out: list[Event], frame: bytes) -> None:
        if self.ended:
            return
        try:
            body = self._decode(frame)
        except Exception:  # the second reading raises what is really wrong
            body = decode_as(decoder, frame, f"{self.dialect.provider}: a line of the stream")
        self._answer.line(out, body, frame)
        self.ended = self._answer.ended

    def finish(self, out: list[Event]) -> bool:
        return False


def _is_json(line: bytes) -> bool:
    try:
        loads(line)
    except ValueError:
        return False
    return True
