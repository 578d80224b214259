"""Cohere's chat API, version 2: call -> request, answer -> message, stream -> events.

Source: the API reference of "Chat" (v2) and the types of cohere-python 7.3, checked 2026-11, and recorded traffic.
"""

from __future__ import annotations

from typing import Any

from .._call import Call, HTTPRequest, HTTPResponse
from .._errors import ProviderError
from .._inputs import plain
from .._messages import AIMessage, with_body
from .._parts import InvalidToolCall, ToolCall
from .._schema_walk import is_object
from ._base import Dialect, Quirk, StreamDecoder
from ._body import body_bytes
from ._cohere_parse import parse_request
from ._cohere_request import Encoder
from ._cohere_stream import CohereStream
from ._cohere_wire import ending, failure, read_message, usage_of
from ._errors import http_error, json_object, no_answer
from ._kept import items, mapping, text_or_none


class Cohere(Dialect):
    """The dialect for one provider row."""

    def __init__(self, provider: str = "cohere", quirks: tuple[Quirk, ...] = ()) -> None:
        self.provider = provider
        self.quirks = quirks

    def encode(self, call: Call) -> HTTPRequest:
        encoder = Encoder(self.provider, call)
        body = encoder.body()
        for quirk in self.quirks:
            quirk(body, encoder.warnings)
        return HTTPRequest(
            path="/v2/chat",
            body=body_bytes(body),
            headers=call.settings.extra_headers or {},
            stream=call.stream,
            warnings=tuple(encoder.warnings),
        )

    def decode(self, response: HTTPResponse) -> AIMessage:
        body = json_object(self.provider, response.body)
        self._check(body, response)
        return with_body(self._message(body), response.body)

    def _check(self, body: dict[str, Any], response: HTTPResponse) -> None:
        """An answer may tell of an error of its own, or be nothing but one."""
        if body.get("error"):
            raise failure(self.provider, body["error"], body)
        if not is_object(body.get("message")) and "finish_reason" not in body:
            raise no_answer(self.provider, response, "message")

    def decode_error(self, response: HTTPResponse) -> ProviderError:
        return http_error(self.provider, response)

    def stream_decoder(self) -> StreamDecoder:
        return CohereStream(self)

    def decode_request(self, body: dict[str, Any], path: str = "") -> Call:
        """The call that a request body means; what has no neutral place goes into `extra_body`."""
        return parse_request(body, self.provider)

    def _message(self, body: dict[str, Any]) -> AIMessage:
        parts, data = read_message(mapping(body.get("message")), self.provider)
        has_calls = any(isinstance(p, (ToolCall, InvalidToolCall)) for p in parts)
        reason, raw = ending(body.get("finish_reason"), has_calls)
        return AIMessage(
            plain(parts),
            id=text_or_none(body.get("id")),
            provider=self.provider,
            finish_reason=reason,
            raw_finish_reason=raw,
            usage=usage_of(body.get("usage")),
            logprobs=[t for t in items(body.get("logprobs")) if is_object(t)] or None,
            provider_data=data,
        )
