"""OpenAI Responses and the hosts that speak it: call -> request, answer -> message, stream -> events.

Source: the API reference of Responses and the types of openai-python 3.54, checked 2026-11, and recorded
traffic of OpenAI, Azure, x.ai, OpenRouter, DeepSeek, Bedrock and others. Pure.
"""

from __future__ import annotations

from typing import Any

from .._call import Call, HTTPRequest, HTTPResponse
from .._errors import ProviderError
from .._inputs import plain
from .._messages import AIMessage, with_body
from .._parts import Part, Text
from ._base import Dialect, Quirk, StreamDecoder
from ._body import body_bytes
from ._errors import http_error, json_object, no_answer
from ._kept import items, text_or_none
from ._openai_responses_items import Reading, in_message, read_item
from ._openai_responses_parse import parse_request
from ._openai_responses_request import Encoder, Options
from ._openai_responses_stream import ResponsesStream
from ._openai_responses_wire import ending, failure, is_error, message_data, usage_of


class OpenAIResponses(Dialect):
    """The dialect for one provider row. `options` are those of `Options`."""

    def __init__(self, provider: str = "openai-responses", quirks: tuple[Quirk, ...] = (), **options: Any) -> None:
        self.provider = provider
        self.quirks = quirks
        self.options = Options(**options)

    def encode(self, call: Call) -> HTTPRequest:
        encoder = Encoder(self.provider, self.options, call)
        body = encoder.body()
        for quirk in self.quirks:
            quirk(body, encoder.warnings)
        return HTTPRequest(
            path="/responses",
            body=body_bytes(body),
            headers=call.settings.extra_headers or {},
            stream=call.stream,
            warnings=tuple(encoder.warnings),
        )

    def decode(self, response: HTTPResponse) -> AIMessage:
        body = json_object(self.provider, response.body)
        if is_error(body):
            raise failure(self.provider, body.get("error"), body)
        if "output" not in body and body.get("object") != "response":
            raise no_answer(self.provider, response, "output")
        return with_body(self._message(body), response.body)

    def decode_error(self, response: HTTPResponse) -> ProviderError:
        return http_error(self.provider, response)

    def stream_decoder(self) -> StreamDecoder:
        return ResponsesStream(self)

    def decode_request(self, body: dict[str, Any], path: str = "") -> Call:
        """The call that a request body means; what has no neutral place goes into `extra_body`."""
        return parse_request(body, self.provider)

    def _message(self, body: dict[str, Any]) -> AIMessage:
        readings = [read_item(item, self.provider) for item in items(body.get("output"))]
        data = message_data(body)
        parts = self._parts(readings, data)
        reason, raw = ending(body, parts)
        return AIMessage(
            plain(parts),
            id=text_or_none(body.get("id")),
            model=text_or_none(body.get("model")),
            provider=self.provider,
            finish_reason=reason,
            raw_finish_reason=raw,
            usage=usage_of(body.get("usage")),
            logprobs=[t for r in readings for t in r.logprobs or ()] or None,
            provider_data={self.provider: data} if data else None,
        )

    def _parts(self, readings: list[Reading], data: dict[str, Any]) -> list[Part]:
        """All parts; the first message item's fields are kept on the message, others' on their parts."""
        parts: list[Part] = []
        first = True
        for reading in readings:
            if reading.message is None:
                parts += reading.parts
            elif first:
                first = False
                parts += reading.parts
                if reading.message:
                    data["message"] = reading.message
            else:
                parts += [in_message(p, reading.message, self.provider) for p in reading.parts]
        return [p for p in parts if p != Text("")]


__all__ = ["OpenAIResponses", "Options"]
