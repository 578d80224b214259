"""Anthropic Messages, at api.anthropic.com, on Google Cloud and Azure, and at hosts that took it over. Pure.

Source: the Messages API reference at platform.claude.com, the types of anthropic 2.12, and recorded
traffic, 2026-11.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from .._call import Call, HTTPRequest, HTTPResponse
from .._errors import ProviderError
from .._inputs import plain
from .._messages import AIMessage, with_body
from .._parts import InvalidToolCall, Part, ToolCall
from ._anthropic_blocks import finish_of, message_data, read_block, refusal_of, usage_of
from ._anthropic_parse import parse_request
from ._anthropic_request import VERTEX, Encoder, Profile
from ._anthropic_stream import AnthropicStream
from ._base import Dialect, StreamDecoder
from ._body import body_bytes
from ._errors import http_error, json_object, make_error, no_answer, read_error
from ._kept import items, mapping, text_or_none

__all__ = ["VERTEX", "Anthropic", "Profile"]


class Anthropic(Dialect):
    """The dialect for one provider row. `options` are the fields of `Profile`; `VERTEX` has those of Google
    Cloud.

    On Azure only the base URL differs: it ends in `/anthropic`.
    """

    def __init__(self, provider: str = "anthropic", profile: Profile | None = None, **options: Any) -> None:
        self.provider = provider
        self.profile = profile or Profile(**options)

    def encode(self, call: Call) -> HTTPRequest:
        encoder = Encoder(self.provider, self.profile, call)
        body = encoder.body()
        path = (self.profile.stream_path if call.stream else None) or self.profile.path
        return HTTPRequest(
            path=path.replace("{model}", quote(call.model, safe="@.-_")),
            body=body_bytes(body),
            headers=encoder.headers(body),
            stream=call.stream,
            warnings=encoder.warnings,
        )

    def decode(self, response: HTTPResponse) -> AIMessage:
        body = json_object(self.provider, response.body)
        if body.get("type") == "error" or (body.get("error") and "content" not in body):
            raise self._error(body, response)
        if "content" not in body:
            raise no_answer(self.provider, response, "content")
        return with_body(self._message(body), response.body)

    def decode_error(self, response: HTTPResponse) -> ProviderError:
        error = http_error(self.provider, response)
        error.request_id = error.request_id or text_or_none(mapping(error.body).get("request_id"))
        return error

    def stream_decoder(self) -> StreamDecoder:
        return AnthropicStream(self)

    def decode_request(self, body: dict[str, Any], path: str = "") -> Call:
        """The call that a request body of this format means; what has no neutral place goes into
        `extra_body`.
        """
        return parse_request(body, path, self.provider, self.profile)

    def _error(self, body: dict[str, Any], response: HTTPResponse) -> ProviderError:
        message, code, kind = read_error(body)
        error = make_error(
            self.provider,
            message or "the answer is an error",
            code=code,
            kind=kind,
            body=body,
            headers=response.headers,
        )
        error.request_id = error.request_id or text_or_none(body.get("request_id"))
        return error

    def _message(self, body: dict[str, Any]) -> AIMessage:
        content = body.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else items(content)
        parts: list[Part] = [p for b in blocks if (p := read_block(b, self.provider)) is not None]
        refusal = refusal_of(body.get("stop_details"), self.provider)
        if refusal is not None:
            parts.append(refusal)
        reason = finish_of(body.get("stop_reason"))
        if reason == "stop" and any(isinstance(p, (ToolCall, InvalidToolCall)) for p in parts):
            reason = "tool_calls"
        data = message_data(body)
        return AIMessage(
            plain(parts),
            id=text_or_none(body.get("id")),
            model=text_or_none(body.get("model")),
            provider=self.provider,
            finish_reason=reason,
            raw_finish_reason=text_or_none(body.get("stop_reason")),
            usage=usage_of(mapping(body.get("usage"))),
            provider_data={self.provider: data} if data else None,
        )
