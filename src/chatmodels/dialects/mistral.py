"""Mistral's chat API: OpenAI's Chat Completions, and what differs: content chunks with thinking and references.

Source: docs.mistral.ai/api and the types of mistralai 3.7, checked 2026-11, and recorded traffic. Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .._call import Call, HTTPRequest, HTTPResponse
from .._json import dumps_text, loads
from .._messages import AIMessage, with_body
from .._parts import Part
from .._schema_walk import is_array, is_object
from ._base import Quirk, StreamDecoder
from ._body import body_bytes
from ._errors import make_error, read_error
from ._kept import items, mapping
from ._mistral_content import read_chunks
from ._mistral_parse import parse_request
from ._mistral_request import MistralEncoder
from ._mistral_stream import MistralStream
from ._openai_chat_wire import Body, Delta
from .openai_chat import OpenAIChat


class Mistral(OpenAIChat):
    """The dialect for one provider row. `bridge` puts an assistant's "OK." between a tool's result and a user's
    message, which some models refuse to follow each other (error 3230).
    """

    def __init__(self, provider: str = "mistral", quirks: tuple[Quirk, ...] = (), *, bridge: bool = False) -> None:
        super().__init__(provider, quirks, usage_option=False)
        self.bridge = bridge

    def encode(self, call: Call) -> HTTPRequest:
        encoder = MistralEncoder(self.provider, self.bridge)
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
        if b'"choices"' not in response.body or b'"messages"' in response.body:
            return self._odd_answer(response)
        return super().decode(response)

    def stream_decoder(self) -> StreamDecoder:
        return MistralStream(self)

    def decode_request(self, body: dict[str, Any], path: str = "") -> Call:
        """The call that a request body means; what has no neutral place goes into `extra_body`."""
        return parse_request(body, self.provider)

    def _odd_answer(self, response: HTTPResponse) -> AIMessage:
        """An error with status 200, or choices that hold several messages: then all of the model's are one."""
        try:
            body = mapping(loads(response.body))
        except ValueError:
            return super().decode(response)
        if body.get("object") == "error":
            message, code, kind = read_error(body)
            raise make_error(self.provider, message or "the answer is an error", code=code, kind=kind, body=body)
        if not body.get("choices"):
            return super().decode(response)
        choices = [_one_message(choice) for choice in items(body.get("choices"))]
        told = dumps_text({**body, "choices": choices}).encode()
        made = super().decode(HTTPResponse(status=response.status, headers=response.headers, body=told))
        return with_body(made, response.body)

    def _parts(self, delta: Delta, body: Body, number: int) -> list[Part]:
        if not is_array(delta.content):
            return super()._parts(delta, body, number)
        rest = super()._parts(msgspec.structs.replace(delta, content=None), body, number)
        return [*read_chunks(delta.content, self.provider), *rest]


def _one_message(choice: Any) -> Any:
    """A choice whose `messages` tell how the provider's tools were used: its answers, and the calls left open."""
    if not is_object(choice) or choice.get("message") is not None:
        return choice
    told = [m for m in items(choice.get("messages")) if is_object(m)]
    answered = {m.get("tool_call_id") for m in told if m.get("role") == "tool"}
    content: list[Any] = []
    calls: list[Any] = []
    for message in told:
        if message.get("role") in (None, "assistant"):
            given = message.get("content")
            content += [{"type": "text", "text": given}] if isinstance(given, str) else items(given)
            calls += [c for c in items(message.get("tool_calls")) if mapping(c).get("id") not in answered]
    return {**choice, "message": {"role": "assistant", "content": content, "tool_calls": calls or None}}
