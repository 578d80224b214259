"""OpenAI Chat Completions, and the many hosts that speak it: call -> request, answer -> message, stream -> events.

Source: the API reference of Chat Completions, checked 2026-11, and recorded traffic of some forty hosts. Pure.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from msgspec.structs import force_setattr

from .._call import Call, HTTPRequest, HTTPResponse
from .._content import opaque
from .._errors import ProviderError
from .._inputs import plain, tool_call
from .._json import decode_as, dumps_text, is_object, mend
from .._messages import AIMessage, with_body
from .._parts import Audio, InvalidToolCall, Part, Reasoning, Refusal, Text, ToolCall
from ._base import Dialect, Quirk, StreamDecoder, error_body, http_error, make_error, read_error
from ._openai_chat_parse import parse_request
from ._openai_chat_request import Encoder, Profile, body_bytes
from ._openai_chat_stream import ChatStream
from ._openai_chat_wire import (
    Body,
    Choice,
    Delta,
    add_details,
    citations_of,
    content_pieces,
    decoder,
    finish_of,
    images_of,
    reasoning_text,
    search_citations,
    server_tools_of,
    sound,
    status_of,
    tokens_of,
    usage_of,
)


class OpenAIChat(Dialect):
    """The dialect for one provider row. `profile` says how the host differs from the reference."""

    def __init__(
        self,
        provider: str = "openai",
        quirks: tuple[Quirk, ...] = (),
        path: str = "/chat/completions",
        **options: Any,
    ) -> None:
        self.provider = provider
        self.quirks = quirks
        self.path = path
        self.profile = Profile(**options)

    def encode(self, call: Call) -> HTTPRequest:
        encoder = Encoder(self.provider, self.profile)
        body = encoder.body(call)
        for quirk in self.quirks:
            quirk(body, encoder.warnings)
        return HTTPRequest(
            path=self.path.replace("{model}", quote(call.model, safe="")),
            body=body_bytes(body),
            headers=call.settings.extra_headers or {},
            stream=call.stream,
            warnings=tuple(encoder.warnings),
        )

    def decode(self, response: HTTPResponse) -> AIMessage:
        body = decode_as(decoder, response.body, f"{self.provider}: the answer")
        if body.error is not None and not body.choices:
            raise self._error(body.error, response)
        choices = body.choices or []
        for choice in choices:
            if is_object(choice.error):
                raise self._error(choice.error, response)
        messages = [self._message(body, choice) for choice in choices]
        if not messages:
            messages = [self._message(body, Choice())]
        return with_body(_together(messages), response.body)

    def decode_error(self, response: HTTPResponse) -> ProviderError:
        return http_error(self.provider, response)

    def stream_decoder(self) -> StreamDecoder:
        return ChatStream(self)

    def decode_request(self, body: dict[str, Any], path: str = "") -> Call:
        """The call that a request body of this format means; what has no neutral place goes into `extra_body`."""
        return parse_request(body)

    def _error(self, error: Any, response: HTTPResponse) -> ProviderError:
        message, code, kind = read_error({"error": error})
        return make_error(
            self.provider,
            message or "the answer is an error",
            status=status_of(error),
            code=code,
            kind=kind,
            body=error_body(response.body),
            headers=response.headers,
        )

    def _message(self, body: Body, choice: Choice) -> AIMessage:
        delta = choice.message or choice.delta or Delta()
        parts = self._parts(delta, body, choice.index or 0)
        finish = finish_of(choice.finish_reason) or "unknown"
        if finish == "stop" and any(isinstance(p, (ToolCall, InvalidToolCall)) for p in parts):
            finish = "tool_calls"
        extra = delta.reasoning_opaque
        return AIMessage(
            plain(parts),
            id=body.id if isinstance(body.id, str) and body.id else None,
            model=body.model if isinstance(body.model, str) and body.model else None,
            provider=self.provider,
            finish_reason=finish,
            raw_finish_reason=None if choice.finish_reason is None else str(choice.finish_reason),
            usage=None if choice.index else usage_of(body.usage),
            logprobs=tokens_of(choice.logprobs),
            provider_data=None if extra is None else {self.provider: {"message": {"reasoning_opaque": extra}}},
        )

    def _parts(self, delta: Delta, body: Body, number: int) -> list[Part]:
        if isinstance(delta.content, str) and delta.tool_calls is None and _bare(delta):
            citations = search_citations(body) if not number else ()
            return [Text(mend(delta.content), citations)] if delta.content else []
        parts = self._reasoning(delta)
        for kind, value in content_pieces(delta.content):
            if kind == "other":
                parts.append(opaque(self.provider, value))
            else:
                _append(parts, kind, mend(value))
        self._sources(parts, delta, body, number)
        if isinstance(delta.refusal, str) and delta.refusal:
            parts.append(Refusal(delta.refusal))
        parts += _audio(delta.audio)
        parts += images_of(delta.images)
        parts += server_tools_of(delta.executed_tools, self.provider)
        parts += [self._call(c) for c in delta.tool_calls or () if is_object(c)]
        if is_object(delta.function_call) and delta.function_call.get("name") and not delta.tool_calls:
            parts.append(self._legacy(delta.function_call))
        return parts

    def _reasoning(self, delta: Delta) -> list[Part]:
        text = mend(reasoning_text(delta))
        details: list[dict[str, Any]] = []
        add_details(details, delta.reasoning_details or [])
        if not text and not details:
            return []
        data = {self.provider: {"reasoning_details": details}} if details else None
        return [Reasoning(text, provider_data=data)]

    def _sources(self, parts: list[Part], delta: Delta, body: Body, number: int) -> None:
        citations = citations_of(delta.annotations) or (search_citations(body) if not number else ())
        if not citations:
            return
        for position, part in enumerate(parts):
            if part.__class__ is Text:
                parts[position] = Text(part.text, citations)  # type: ignore[union-attr]
                return
        parts.append(Text("", citations))

    def _call(self, wire: dict[str, Any]) -> ToolCall | InvalidToolCall:
        ident = str(wire.get("id") or "")
        function, custom = wire.get("function"), wire.get("custom")
        extra = {k: v for k, v in wire.items() if k not in ("index", "id", "type", "function", "custom") and v}
        data = {self.provider: {"extra": extra}} if extra else None
        if is_object(custom) and not function:
            text = custom.get("input")
            said = text if isinstance(text, str) else dumps_text(text)
            return ToolCall(ident, str(custom.get("name") or ""), said, custom=True, provider_data=data)
        inner = function if is_object(function) else {}
        return tool_call(ident, str(inner.get("name") or ""), inner.get("arguments"), provider_data=data)

    def _legacy(self, wire: dict[str, Any]) -> ToolCall | InvalidToolCall:
        data = {self.provider: {"legacy": True}}
        return tool_call("", str(wire["name"]), wire.get("arguments"), provider_data=data)


def _together(messages: list[AIMessage]) -> AIMessage:
    if len(messages) == 1:
        return messages[0]
    force_setattr(messages[0], "alternatives", tuple(messages[1:]))
    return messages[0]


def _bare(delta: Delta) -> bool:
    return (
        delta.reasoning_content is None
        and delta.reasoning is None
        and delta.reasoning_details is None
        and delta.refusal is None
        and delta.function_call is None
        and delta.audio is None
        and delta.annotations is None
        and delta.images is None
        and delta.executed_tools is None
    )


def _append(parts: list[Part], kind: str, text: str) -> None:
    """Text of one kind is one part, wherever its pieces stood: as in the stream."""
    if not text:
        return
    for position, part in enumerate(parts):
        if kind == "text" and isinstance(part, Text):
            parts[position] = Text(part.text + text, provider_data=part.provider_data)
            return
        if kind == "reasoning" and isinstance(part, Reasoning):
            parts[position] = Reasoning(part.text + text, provider_data=part.provider_data)
            return
    parts.append(Text(text) if kind == "text" else Reasoning(text))


def _audio(wire: Any) -> list[Part]:
    if not is_object(wire):
        return []
    ident, data = wire.get("id"), sound(wire.get("data"))
    said = wire.get("transcript")
    known = {"audio_id": ident} if data and ident else None
    return [
        Audio(
            data=data or None,
            file_id=ident if ident and not data else None,
            transcript=said if isinstance(said, str) else None,
            provider_data=known,
        )
    ]
