"""What every dialect's stream must do, checked on literal bytes: any cut of the bytes gives the same events, the fold
is the plain answer, and a stream that ends early raises with what came.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatmodels._call import Call, HTTPResponse
from chatmodels._errors import IncompleteStream
from chatmodels._events import End, Event
from chatmodels._fold import fold
from chatmodels._messages import AIMessage


def sse(*payloads: Any, named: bool = False, done: bool = False) -> bytes:
    """Server-sent events of JSON payloads."""
    out = b""
    for payload in payloads:
        if named:
            out += f"event: {payload['type']}\n".encode()
        out += b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"
    return out + (b"data: [DONE]\n\n" if done else b"")


def events_of(dialect: Any, pieces: list[bytes]) -> list[Event]:
    """All events; raises what the stream ends with."""
    decoder = dialect.stream_decoder()
    out: list[Event] = []
    for piece in pieces:
        out += decoder.feed(piece)
    if decoder.failed is None:
        out += decoder.close()
    if decoder.failed is not None:
        raise decoder.failed
    return out


def plain_of(dialect: Any, body: Any) -> AIMessage:
    """The message of a plain JSON answer."""
    data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return dialect.decode(HTTPResponse(status=200, body=data))


def same_but_provider(message: AIMessage) -> dict[str, Any]:
    """What a fold can know: everything but who answered, which the caller knows."""
    data = message.to_dict()
    for one in (data, *data.get("alternatives", ())):
        one.pop("provider", None)
    return data


def check_stream(dialect: Any, data: bytes, body: Any) -> AIMessage:
    """The stream means what the plain answer means, however it is cut; ending it before its `End` raises."""
    whole = events_of(dialect, [data])
    for size in (1, 2, 7, 31):
        assert events_of(dialect, [data[i : i + size] for i in range(0, len(data), size)]) == whole
    for at in range(1, len(data), max(1, len(data) // 60)):
        assert events_of(dialect, [data[:at], data[at:]]) == whole
    message = fold(whole)
    assert same_but_provider(message) == same_but_provider(plain_of(dialect, body))
    assert sum(isinstance(e, End) for e in whole) == 1
    check_cuts(dialect, data)
    return message


def check_cuts(dialect: Any, data: bytes) -> None:
    """Every prefix that ends before the last event with content raises, at event boundaries and inside of events."""
    blocks = [b for b in data.split(b"\n\n") if b and b"[DONE]" not in b]
    end = data.index(blocks[-1])
    for at in {0, *range(0, end, max(1, end // 25)), end}:
        with pytest.raises(IncompleteStream):
            events_of(dialect, [data[:at]])


def sent(dialect: Any, call: Call) -> tuple[dict[str, Any], list[str]]:
    """(the request's JSON, its warnings); the same call gives the same bytes."""
    request = dialect.encode(call)
    assert request == dialect.encode(call)
    return json.loads(request.body), list(request.warnings)
