"""The wire format of scripted models: a call as JSON, an answer as the JSON of its message, a stream as lines of events.

So a scripted model goes the way of every other: encode, send, decode, fold; its requests can be hashed, cached and recorded.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from .._call import Call, HTTPRequest, HTTPResponse
from .._errors import ProtocolError, ProviderError
from .._events import End, Event
from .._framing import JSONLines
from .._inputs import from_json
from .._messages import AIMessage
from ..dialects._base import Decoder
from ..dialects._errors import http_error

_EVENT: msgspec.json.Decoder[Event] = msgspec.json.Decoder(cast("type[Event]", Event))


class ScriptRequest(HTTPRequest, frozen=True, kw_only=True):
    """A request that also carries the call itself, for the functions of a script."""

    call: Call


class ScriptDialect:
    """The dialect of scripted models. Pure."""

    def __init__(self, provider: str) -> None:
        self.provider = provider

    def encode(self, call: Call) -> HTTPRequest:
        body: dict[str, Any] = {
            "model": call.model,
            "messages": [m.to_dict() for m in call.messages],
            "settings": msgspec.to_builtins(call.settings),
        }
        if call.tools:
            names = ("name", "description", "parameters", "strict", "raw")
            body["tools"] = [{n: v for n in names if (v := getattr(t, n)) is not None} for t in call.tools]
        if call.output is not None:
            body["output"] = {"name": call.output.name, "schema": call.output.schema}
        if call.stream:
            body["stream"] = True
        return ScriptRequest(path="/answer", body=msgspec.json.encode(body), stream=call.stream, call=call)

    def decode(self, response: HTTPResponse) -> AIMessage:
        message = from_json(response.body)
        if not isinstance(message, AIMessage):
            raise ProtocolError("the answer is not an AIMessage", data=response.body, provider=self.provider)
        return message

    def decode_error(self, response: HTTPResponse) -> ProviderError:
        return http_error(self.provider, response)

    def stream_decoder(self) -> ScriptDecoder:
        return ScriptDecoder(self)


class ScriptDecoder(Decoder):
    """A line is an event."""

    plain_start = None

    def __init__(self, dialect: ScriptDialect) -> None:
        super().__init__(dialect)
        self._lines = JSONLines()
        self.frames = self._lines.feed  # type: ignore[method-assign]

    def last_frames(self) -> list[bytes]:
        """The last line where it is whole; one that the end of the bytes cut off is dropped."""
        return [line for line in self._lines.close() if _is_json(line)]

    def frame(self, out: list[Event], frame: bytes) -> None:
        try:
            event = _EVENT.decode(frame)
        except msgspec.MsgspecError as error:
            raise ProtocolError(f"this line is no event: {error}", data=frame) from error
        self.ended = self.ended or isinstance(event, End)
        out.append(event)

    def finish(self, out: list[Event]) -> bool:
        return False


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except msgspec.MsgspecError:
        return False
    return True


def event_lines(events: list[Event]) -> bytes:
    """The events as they go over the wire."""
    return b"".join(msgspec.json.encode(event) + b"\n" for event in events)
