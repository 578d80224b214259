"""A provider in a package of its own: a row, and a dialect for its wire format.

The service takes `{"ask": TEXT}` at /ask and answers `{"said": TEXT}`. A service that speaks a format which chatmodels has
needs the row only.
"""

from __future__ import annotations

import json

from chatmodels import AIMessage, Text, UsageError
from chatmodels._call import Call, HTTPRequest, HTTPResponse
from chatmodels._errors import IncompleteStream, ProviderError
from chatmodels._events import Event
from chatmodels._messages import with_body
from chatmodels.dialects._base import events_of
from chatmodels.dialects._errors import http_error
from chatmodels.providers import Provider


class SampleDialect:
    """Pure: a call in, bytes out; bytes in, a message out."""

    def __init__(self, provider: str) -> None:
        self.provider = provider

    def encode(self, call: Call) -> HTTPRequest:
        if call.tools or call.output or any(not isinstance(p, Text) for m in call.messages for p in m.parts):
            raise UsageError("sample takes text alone: no tools, files or typed answers", argument="messages")
        text = "\n".join(m.text for m in call.messages)
        given = [n for n in call.settings.__struct_fields__ if getattr(call.settings, n) is not None]
        return HTTPRequest(
            path="/ask",
            body=json.dumps({"ask": text, "model": call.model}).encode(),
            stream=call.stream,
            warnings=tuple(f"sample does not take {name}: not sent" for name in given),
        )

    def decode(self, response: HTTPResponse) -> AIMessage:
        wire = json.loads(response.body)
        if not isinstance(wire, dict) or not isinstance(wire.get("said"), str):
            raise ValueError("the answer has no text 'said'")
        return with_body(AIMessage(wire["said"], finish_reason="stop", provider=self.provider), response.body)

    def decode_error(self, response: HTTPResponse) -> ProviderError:
        return http_error(self.provider, response)

    def stream_decoder(self) -> SampleStream:
        return SampleStream(self)


class SampleStream:
    """The service does not stream: its whole answer is one stream."""

    failed = None
    ended = False

    def __init__(self, dialect: SampleDialect) -> None:
        self._dialect = dialect
        self._body = b""

    def feed(self, data: bytes) -> list[Event]:
        self._body += data
        return []

    def close(self) -> list[Event]:
        try:
            message = self._dialect.decode(HTTPResponse(status=200, body=self._body))
        except ValueError as error:
            raise IncompleteStream("the answer was cut off", provider=self._dialect.provider) from error
        self.ended = True
        return events_of(message)


def rows() -> list[Provider]:
    """What the entry point names: a row, or a function that gives some."""
    return [
        Provider(
            name="sample",
            dialect="chatmodels_sample:SampleDialect",
            base_url="https://sample.example",
            key_env=("SAMPLE_API_KEY",),
            auth="header:x-sample-key",
            docs="https://sample.example/docs",
        )
    ]
