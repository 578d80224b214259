"""The checks of one dialect: each takes the dialect and a sample, and raises an AssertionError that says what is wrong."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from .._call import Call, HTTPResponse, Settings
from .._errors import (
    AuthenticationError,
    ChatModelError,
    IncompleteStream,
    NotFoundError,
    OverloadedError,
    ProviderError,
    RateLimitError,
    UsageError,
)
from .._events import End, Event
from .._fold import fold
from .._inputs import from_json
from .._messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from .._output import Output
from .._parts import Image, Part, Text, ToolCall
from .._tools import as_tool


class Sample(msgspec.Struct, frozen=True):
    """An answer of the provider: the plain `body` (data or bytes), the same answer as a `stream` (bytes), and the `message`
    that it means (what of it you give is compared: text, calls, finish reason, usage). Either of the first two may be left
    out. `known_only` says that the format has no room for unknown events."""

    name: str
    body: Any = None
    stream: bytes | None = None
    message: AIMessage | None = None
    known_only: bool = False

    def data(self) -> bytes | None:
        """The body as bytes."""
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, ensure_ascii=False).encode()


class ErrorSample(msgspec.Struct, frozen=True):
    """An error of the provider: its `status` and `body`, the class that it must become, and a text that must be in it."""

    status: int
    body: Any
    raises: type[ChatModelError] = ProviderError
    says: str = ""
    headers: dict[str, str] = {}

    def data(self) -> bytes:
        """The body as bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


#: Errors that any dialect must read: by status, whatever the body looks like.
ERRORS = (
    ErrorSample(401, {"error": {"message": "wrong key"}}, AuthenticationError, "wrong key"),
    ErrorSample(404, {"message": "no such model"}, NotFoundError, "no such model"),
    ErrorSample(429, {"error": {"message": "slow down"}}, RateLimitError, "slow down", {"retry-after": "3"}),
    ErrorSample(500, b"<html>Bad gateway</html>", OverloadedError),
    ErrorSample(503, b"", OverloadedError),
)

_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
_WEATHER = as_tool({"name": "weather", "description": "The weather.", "input_schema": _SCHEMA})
_PNG = b"\x89PNG\r\n\x1a\n0000"
_HI = (HumanMessage("Hi \N{WAVING HAND SIGN}"),)

#: Calls that every dialect encodes, or refuses with a UsageError.
CALLS = (
    Call(model="m", messages=_HI),
    Call(model="m", messages=_HI, stream=True),
    Call(
        model="m",
        messages=(SystemMessage("Be brief."), *_HI, AIMessage("Hello."), HumanMessage("And now?")),
        settings=Settings(temperature=0.5, max_tokens=9, stop=("END",)),
    ),
    Call(
        model="m",
        messages=(
            *_HI,
            AIMessage([Text("Let me see."), ToolCall("call_abc1", "weather", {"city": "Oslo"})]),
            ToolMessage("Rain", tool_call_id="call_abc1", name="weather"),
        ),
        tools=(_WEATHER,),
    ),
    Call(model="m", messages=(HumanMessage([Text("What is it?"), Image(data=_PNG, media_type="image/png")]),)),
    Call(model="m", messages=_HI, output=Output.of(_SCHEMA, name="place")),
)


def claim(holds: bool, text: str) -> None:
    """Raise unless it holds."""
    if not holds:
        raise AssertionError(text)


def events_of(dialect: Any, pieces: list[bytes]) -> list[Event]:
    """All events of a stream in these pieces; raises what it ends with."""
    found, error = read(dialect, pieces)
    if error is not None:
        raise error
    return found


def read(dialect: Any, pieces: list[bytes]) -> tuple[list[Event], ChatModelError | None]:
    """The events of a stream in these pieces, and the error at its end."""
    decoder = dialect.stream_decoder()
    found: list[Event] = []
    try:
        for piece in pieces:
            found += decoder.feed(piece)
        if decoder.failed is None:
            found += decoder.close()
    except ChatModelError as error:
        return found, error
    return found, decoder.failed


def check_plain(dialect: Any, sample: Sample) -> None:
    """The body is a message with an end, which JSON and pickle keep, and whose wire answer is at hand."""
    data = sample.data()
    if data is None:
        return
    message = decoded(dialect, data)
    claim(isinstance(message, AIMessage), f"{sample.name}: decode gives {type(message).__name__}, not an AIMessage")
    claim(message.finish_reason is not None, f"{sample.name}: the answer has no finish_reason")
    claim(from_json(message.to_json()) == message, f"{sample.name}: the message changes on its way through JSON")
    claim(pickle.loads(pickle.dumps(message)) == message, f"{sample.name}: the message changes in a pickle")  # noqa: S301
    claim(message.raw is not None, f"{sample.name}: .raw is empty: keep the body with with_body()")
    if sample.message is not None:
        _same_as_given(message, sample.message, sample.name)


def _same_as_given(message: AIMessage, given: AIMessage, name: str) -> None:
    claim(
        _spelt(message.parts) == _spelt(given.parts), f"{name}: the content is {message.parts!r}, not {given.parts!r}"
    )
    for field in ("finish_reason", "usage", "model", "id"):
        found, wanted = getattr(message, field), getattr(given, field)
        if wanted is not None:
            claim(found == wanted, f"{name}: {field} is {found!r}, not {wanted!r}")


def check_splits(dialect: Any, sample: Sample) -> None:
    """Any split of the stream's bytes gives the same events, with one `End` among them, the last."""
    data = sample.stream
    if data is None:
        return
    whole = events_of(dialect, [data])
    ends = [e for e in whole if isinstance(e, End)]
    claim(
        len(ends) == 1 and whole[-1] is ends[0],
        f"{sample.name}: the stream has {len(ends)} End events; one is wanted, the last",
    )
    for size in (1, 2, 3, 7, 31, 257):
        pieces = [data[i : i + size] for i in range(0, len(data), size)]
        claim(
            events_of(dialect, pieces) == whole,
            f"{sample.name}: split every {size} bytes, the stream gives other events",
        )
    for at in _positions(len(data), 80):
        claim(
            events_of(dialect, [data[:at], data[at:]]) == whole,
            f"{sample.name}: split at byte {at}, the stream gives other events",
        )


def check_fold(dialect: Any, sample: Sample) -> None:
    """The fold of the stream is what decode gives of the plain answer."""
    if sample.stream is None:
        return
    folded = fold(events_of(dialect, [sample.stream]))
    if sample.message is not None:
        _same_as_given(folded, sample.message, f"{sample.name} (streamed)")
    data = sample.data()
    if data is None:
        return
    plain = decoded(dialect, data)
    for field in ("parts", "finish_reason", "usage", "model", "logprobs", "provider_data"):
        one, other = _comparable(folded, field), _comparable(plain, field)
        claim(one == other, f"{sample.name}: streamed, {field} is {one!r}; plain, it is {other!r}")


def check_cuts(dialect: Any, sample: Sample) -> None:
    """A stream that ends early raises `IncompleteStream`, unless all of the answer has come; what came is a part of it."""
    data = sample.stream
    if data is None:
        return
    whole = fold(events_of(dialect, [data]))
    _, at_once = read(dialect, [])
    claim(
        isinstance(at_once, IncompleteStream), f"{sample.name}: no bytes at all give {at_once!r}, not IncompleteStream"
    )
    for at in _positions(len(data), 120):
        found, error = read(dialect, [data[:at]])
        message = fold(found)
        if error is None:
            same = (message.content, message.finish_reason) == (whole.content, whole.finish_reason)
            claim(same, f"{sample.name}: cut at byte {at}, the stream counts as complete, and is not: {message!r}")
            continue
        claim(
            isinstance(error, IncompleteStream),
            f"{sample.name}: cut at byte {at}, it raises {error!r}, not IncompleteStream",
        )
        claim(
            whole.text.startswith(message.text), f"{sample.name}: cut at byte {at}, the text so far is {message.text!r}"
        )
        claim(
            not any(isinstance(e, End) for e in found),
            f"{sample.name}: cut at byte {at}, there is an End before the error",
        )


def check_unknown(dialect: Any, sample: Sample) -> None:
    """Fields and events that are not known change nothing, and stay reachable in `.raw`."""
    data = sample.data()
    body = json.loads(data) if data is not None and data[:1] == b"{" else None
    if isinstance(body, dict):
        plain = decoded(dialect, data or b"")
        more = decoded(dialect, json.dumps({**body, "x_unknown": {"a": [1]}}).encode())
        claim(_meaning(more) == _meaning(plain), f"{sample.name}: an unknown field changes the message")
        claim(more.raw.get("x_unknown") == {"a": [1]}, f"{sample.name}: an unknown field is not in .raw")
    if sample.stream is None:
        return
    whole = _meaning(fold(events_of(dialect, [sample.stream])))
    for what, stream in _with_unknown(sample):
        found = _meaning(fold(events_of(dialect, [stream])))
        claim(found == whole, f"{sample.name}: {what} in the stream changes the message")


def _with_unknown(sample: Sample) -> Iterator[tuple[str, bytes]]:
    """The stream with unknown fields, and with an unknown event, where it is server-sent events or lines of JSON."""
    stream = sample.stream or b""
    if re.search(rb"(?m)^data: ?\{", stream):
        yield "an unknown field", re.sub(rb"(?m)^(data: ?\{)(?=\")", rb'\1"x_unknown": {"a": [1]}, ', stream)
        if not sample.known_only:
            first, gap, rest = stream.partition(b"\n\n")
            yield "an unknown event", first + gap + b'event: x_unknown\ndata: {"type": "x_unknown"}\n\n' + rest
            yield "a comment", first + gap + b": keep-alive\n\n" + rest
    elif stream[:2] == b'{"' and stream.count(b"\n") > 1:
        yield "an unknown field", re.sub(rb'(?m)^\{(?=")', b'{"x_unknown": {"a": [1]}, ', stream)


def check_sent_back(dialect: Any, sample: Sample) -> None:
    """The answer can stand in the next call, and is encoded there the same way each time."""
    data = sample.data()
    if data is None:
        return
    message = decoded(dialect, data)
    talk: list[Any] = [HumanMessage("Hi"), message]
    talk += [ToolMessage("done", tool_call_id=c.id, name=c.name) for c in message.tool_calls] or [HumanMessage("And?")]
    tools = tuple(as_tool({"name": c.name, "input_schema": {"type": "object"}}) for c in message.tool_calls)
    call = Call(model="m", messages=tuple(talk), tools=tuple({t.name: t for t in tools}.values()))
    again = msgspec.structs.replace(call, messages=(talk[0], from_json(message.to_json()), *talk[2:]))
    claim(
        dialect.encode(call) == dialect.encode(again), f"{sample.name}: through JSON, the answer is sent back otherwise"
    )


def check_error(dialect: Any, error: ErrorSample) -> None:
    """An HTTP error becomes the right class, with its status, its words, and whether to try again."""
    response = HTTPResponse(status=error.status, headers=dict(error.headers), body=error.data())
    found = dialect.decode_error(response)
    what = f"HTTP {error.status} {error.data()[:80]!r}"
    claim(isinstance(found, error.raises), f"{what}: it is {type(found).__name__}, not {error.raises.__name__}")
    claim(found.status == error.status, f"{what}: its status is {found.status!r}")
    claim(error.says in str(found), f"{what}: {error.says!r} is not in {str(found)!r}")
    claim(found.retryable == error.raises.retryable, f"{what}: retryable is {found.retryable!r}")
    claim(str(pickle.loads(pickle.dumps(found))) == str(found), f"{what}: it changes in a pickle")  # noqa: S301


def check_in_band(dialect: Any, error: ErrorSample) -> None:
    """An error inside of a stream is raised, never an end, however the bytes are split."""
    data = error.data()
    for size in (len(data), 1, 16):
        _, found = read(dialect, [data[i : i + size] for i in range(0, len(data), size)])
        what = f"the stream {data[-80:]!r}"
        claim(isinstance(found, error.raises), f"{what}: it ends with {found!r}, not {error.raises.__name__}")
        claim(error.says in str(found), f"{what}: {error.says!r} is not in {str(found)!r}")


def check_call(dialect: Any, call: Call) -> None:
    """Encoding is deterministic and changes nothing; what it says can be read back, where the dialect reads requests."""
    before = copy.deepcopy(call)
    try:
        request = dialect.encode(call)
    except UsageError as refused:
        claim(bool(str(refused)), "a refusal says why")
        return
    claim(call == before, "encode changes the call")
    claim(dialect.encode(before) == request, f"encode gives other bytes for the same call: {request.body[:200]!r}")
    claim(request.stream == call.stream, f"request.stream is {request.stream}, and the call's is {call.stream}")
    claim(request.path.startswith("/"), f"the path {request.path!r} does not begin with /")
    claim(not {"authorization", "x-api-key", "api-key"} & {n.lower() for n in request.headers}, "encode gives a key")
    reader = getattr(dialect, "decode_request", None)
    if reader is not None:
        again = dialect.encode(reader(json.loads(request.body), request.path))
        claim(
            json.loads(again.body) == json.loads(request.body),
            f"read and encoded again, the request is {again.body[:400]!r}, and was {request.body[:400]!r}",
        )


def decoded(dialect: Any, data: bytes) -> AIMessage:
    """The message of a plain answer."""
    found: AIMessage = dialect.decode(HTTPResponse(status=200, body=data))
    return found


def _meaning(message: AIMessage) -> tuple[Any, ...]:
    """What unknown fields must not change."""
    usage = None if message.usage is None else msgspec.structs.replace(message.usage, raw=None)
    return message.text, message.tool_calls, message.reasoning, message.finish_reason, usage


def _comparable(message: AIMessage, field: str) -> Any:
    """A field, without what a stream and a plain answer may spell in two ways."""
    if field == "parts":
        return _spelt(message.parts)
    if field == "usage" and message.usage is not None:
        return msgspec.structs.replace(message.usage, raw=None)
    return getattr(message, field)


def _spelt(parts: list[Part]) -> list[Part]:
    """The parts without the text of arguments, which may be spelt in several ways."""
    return [msgspec.structs.replace(p, text=None) if isinstance(p, ToolCall) else p for p in parts]


def _positions(length: int, most: int) -> range:
    return range(1, length, max(1, length // most))
