"""Amazon Bedrock's Converse and ConverseStream: one wire for the models of all its makers. Pure.

Requests are signed elsewhere (`_sigv4.py` says how) or carry a bearer token. Source: the Converse API
reference, the service model of bedrock-runtime in botocore 1.44, and recorded traffic, 2026-11.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from .._call import Call, HTTPRequest, HTTPResponse
from .._errors import ProviderError
from .._inputs import plain
from .._messages import AIMessage, with_body
from .._parts import InvalidToolCall, Part, ToolCall
from ._base import Dialect, StreamDecoder
from ._bedrock_blocks import finish_of, message_data, read_block, usage_of
from ._bedrock_parse import parse_request
from ._bedrock_request import Encoder, Profile
from ._bedrock_stream import BedrockStream
from ._body import body_bytes
from ._errors import http_error, is_error, json_object, make_error, no_answer, read_error
from ._kept import items, mapping, text_or_none

__all__ = ["BedrockConverse", "Profile"]


class BedrockConverse(Dialect):
    """The dialect for one provider row. `options` are the fields of `Profile`."""

    def __init__(self, provider: str = "bedrock", profile: Profile | None = None, **options: Any) -> None:
        self.provider = provider
        self.profile = profile or Profile(**options)

    def encode(self, call: Call) -> HTTPRequest:
        encoder = Encoder(self.provider, self.profile, call)
        body = encoder.body()
        verb = "converse-stream" if call.stream else "converse"
        return HTTPRequest(
            path=f"/model/{quote(call.model, safe='')}/{verb}",
            body=body_bytes(body),
            headers=call.settings.extra_headers or {},
            stream=call.stream,
            warnings=encoder.warnings,
        )

    def decode(self, response: HTTPResponse) -> AIMessage:
        body = json_object(self.provider, response.body)
        if "output" not in body and "stopReason" not in body:
            if not body.get("Output") and not is_error(body):
                raise no_answer(self.provider, response, "output")
            raise self._error(body, response)
        return with_body(self._message(body), response.body)

    def decode_error(self, response: HTTPResponse) -> ProviderError:
        return http_error(self.provider, response)

    def stream_decoder(self) -> StreamDecoder:
        return BedrockStream(self)

    def decode_request(self, body: dict[str, Any], path: str = "") -> Call:
        """The call that a request body of this format means; what has no neutral place goes into
        `extra_body`.
        """
        return parse_request(body, path, self.provider, self.profile)

    def _error(self, body: dict[str, Any], response: HTTPResponse) -> ProviderError:
        """A 200 without an answer: the service's error in the body."""
        inner = mapping(body.get("Output"))
        message, code, kind = read_error(inner or body)
        return make_error(
            self.provider,
            message or "the answer is an error",
            code=code,
            kind=kind,
            body=body,
            headers=response.headers,
        )

    def _message(self, body: dict[str, Any]) -> AIMessage:
        content = mapping(mapping(body.get("output")).get("message")).get("content")
        parts: list[Part] = [p for b in items(content) if (p := read_block(b, self.provider)) is not None]
        reason = finish_of(body.get("stopReason"))
        if reason == "stop" and any(isinstance(p, (ToolCall, InvalidToolCall)) for p in parts):
            reason = "tool_calls"
        data = message_data(body)
        return AIMessage(
            plain(parts),
            provider=self.provider,
            finish_reason=reason,
            raw_finish_reason=text_or_none(body.get("stopReason")),
            usage=usage_of(body.get("usage")),
            provider_data={self.provider: data} if data else None,
        )
