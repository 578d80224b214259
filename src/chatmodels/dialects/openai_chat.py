"""OpenAI Chat Completions, and the many hosts that speak it: call -> request, answer -> message, stream -> events.

Source: the API reference of Chat Completions, checked 2026-11, and recorded traffic of some forty hosts. Pure.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import force_setattr

from .._call import Call, HTTPRequest, HTTPResponse
from .._errors import ProviderError
from .._inputs import plain
from .._json import decode_as, loads, mend, mend_all
from .._messages import AIMessage, with_body
from .._parts import InvalidToolCall, Part, Text, ToolCall
from ._base import Dialect, Quirk, StreamDecoder
from ._body import body_bytes
from ._errors import error_body, http_error, make_error, no_answer, read_error, status_of
from ._openai_chat_beyond import beyond
from ._openai_chat_parse import RequestReader
from ._openai_chat_request import Encoder, Profile
from ._openai_chat_stream import ChatStream, parts_of
from ._openai_chat_wire import (
    Body,
    Choice,
    Delta,
    decoder,
    finish_of,
    message_data,
    search_citations,
    tokens_of,
    usage_of,
)


class OpenAIChat(Dialect):
    """The dialect for one provider row. `options` are the fields of `Profile`: how the host differs from the reference."""

    def __init__(self, provider: str = "openai", quirks: tuple[Quirk, ...] = (), **options: Any) -> None:
        self.provider = provider
        self.quirks = quirks
        self.profile = Profile(**options)

    def encode(self, call: Call) -> HTTPRequest:
        encoder = Encoder(self.provider, self.profile)
        body = encoder.body(call)
        for quirk in self.quirks:
            quirk(body, encoder.warnings)
        return HTTPRequest(
            path="/chat/completions",
            body=body_bytes(body),
            headers=call.settings.extra_headers or {},
            stream=call.stream,
            warnings=tuple(encoder.warnings),
        )

    def decode(self, response: HTTPResponse) -> AIMessage:
        body = decode_as(decoder, response.body, f"{self.provider}: the answer", whole=True)
        choices = [c for c in body.choices or () if c is not None]
        if body.error and not choices:
            raise self._error(body.error, response)
        if not choices:
            raise no_answer(self.provider, response, "choices")
        for place, choice in enumerate(choices):
            if choice.error:
                raise self._error(choice.error, response)
            if choice.index is None:
                choice.index = place
        choices.sort(key=_index)
        more = beyond(loads(response.body))
        messages = [self._message(body, choice, more.get(_index(choice))) for choice in choices]
        if len(messages) > 1:
            force_setattr(messages[0], "alternatives", tuple(messages[1:]))
        force_setattr(messages[0], "usage", usage_of(body.usage))
        return with_body(messages[0], response.body)

    def decode_error(self, response: HTTPResponse) -> ProviderError:
        return http_error(self.provider, response)

    def stream_decoder(self) -> StreamDecoder:
        return ChatStream(self)

    def decode_request(self, body: dict[str, Any], path: str = "") -> Call:
        """The call that a request body of this format means; what has no neutral place goes into `extra_body` and, for
        this provider only, `provider_data`."""
        return RequestReader(self.provider, self.profile).call(body, path)

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

    def _message(self, body: Body, choice: Choice, more: dict[str, Any] | None) -> AIMessage:
        delta = choice.message or choice.delta or Delta()
        parts = self._parts(delta, body, choice.index or 0)
        finish = finish_of(choice.finish_reason) or "unknown"
        if finish == "stop" and any(isinstance(p, (ToolCall, InvalidToolCall)) for p in parts):
            finish = "tool_calls"
        kept = message_data(delta)
        data: dict[str, Any] = {"message": kept} if kept else {}
        if more:
            data["answer"] = mend_all(more)
        return AIMessage(
            plain(parts),
            id=body.id if isinstance(body.id, str) and body.id else None,
            model=body.model if isinstance(body.model, str) and body.model else None,
            provider=self.provider,
            finish_reason=finish,
            raw_finish_reason=str(choice.finish_reason) if choice.finish_reason else None,
            logprobs=tokens_of(choice.logprobs),
            provider_data={self.provider: data} if data else None,
        )

    def _parts(self, delta: Delta, body: Body, number: int) -> list[Part]:
        if isinstance(delta.content, str) and _bare(delta):
            citations = search_citations(body, self.provider) if not number else ()
            return [Text(mend(delta.content), citations)] if delta.content or citations else []
        return parts_of(self, delta, body, number)


def _index(choice: Choice) -> int:
    return choice.index or 0


def _bare(delta: Delta) -> bool:
    """Is there text and nothing else? (The usual answer, read without more ado.)"""
    return not (
        delta.tool_calls
        or delta.reasoning_content
        or delta.reasoning
        or delta.reasoning_details
        or delta.refusal
        or delta.function_call
        or delta.audio
        or delta.annotations
        or delta.images
        or delta.executed_tools
    )
