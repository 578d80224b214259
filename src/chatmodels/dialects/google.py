"""Google's generateContent, of the Gemini API and of Vertex AI: call -> request, answer -> message.

Sources: ai.google.dev/api/generate-content, the Vertex AI reference, recorded traffic; checked 2026-11. Pure.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import force_setattr

from .._call import Call, HTTPRequest, HTTPResponse
from .._errors import ProviderError
from .._events import Event
from .._fold import fold
from .._messages import AIMessage, with_body
from .._schema_walk import is_array
from ._base import Dialect, StreamDecoder
from ._body import body_bytes
from ._errors import http_error, json_value, no_answer
from ._google_answer import Assembler
from ._google_errors import refined
from ._google_parse import parse_request
from ._google_request import Encoder, Profile, request_path
from ._google_stream import GoogleStream
from ._google_wire import GEMINI_NUMBERS, VERTEX_NUMBERS


class Google(Dialect):
    """The dialect for one provider row.

    The Gemini API needs no option. For Vertex AI give `vertex=True`, with `project` and `location`; without a
    project the path is that of express mode (an API key, no project). `version` is the API's ("v1beta", on
    Vertex AI "v1"). `publisher` is whose models they are on Vertex AI. `json_schema=False` sends schemas in
    Google's older OpenAPI form (`parameters`, `responseSchema`) instead of as JSON Schema, for gateways that
    know only that.
    """

    def __init__(self, provider: str = "google", profile: Profile | None = None, **options: Any) -> None:
        self.provider = provider
        self.profile = profile or Profile(**options)
        self.numbers = VERTEX_NUMBERS if self.profile.vertex else GEMINI_NUMBERS

    def encode(self, call: Call) -> HTTPRequest:
        encoder = Encoder(self.provider, self.profile, call.model)
        body = encoder.body(call)
        return HTTPRequest(
            path=request_path(self.profile, call.model, call.stream),
            body=body_bytes(body),
            headers=call.settings.extra_headers or {},
            stream=call.stream,
            warnings=tuple(encoder.warnings),
        )

    def decode(self, response: HTTPResponse) -> AIMessage:
        body = json_value(self.provider, response.body)
        answer = Assembler(self.provider, self.numbers)
        events: list[Event] = []
        chunks = body if is_array(body) else [body]
        for chunk in chunks:
            answer.chunk(events, chunk)
        if not any(chunk.get("candidates") or chunk.get("promptFeedback") for chunk in chunks):
            raise no_answer(self.provider, response, "candidates")
        if not answer.finish(events):
            answer.give_up(events)
        message = fold(events)
        for one in (message, *message.alternatives):
            force_setattr(one, "provider", self.provider)
        return with_body(message, response.body)

    def decode_error(self, response: HTTPResponse) -> ProviderError:
        """The error, with the wait that Google's body asks for; a refused key (HTTP 400 there) as such."""
        return refined(http_error(self.provider, response))

    def stream_decoder(self) -> StreamDecoder:
        return GoogleStream(self)

    def decode_request(self, body: dict[str, Any], path: str = "") -> Call:
        """The call that a request means. The model and whether it streams are in the path.

        What has no neutral place goes into `extra_body`, so that encoding the call again means the same.
        """
        return parse_request(self.provider, body, path)
