"""Twenty-three faults of an outside author's dialect, each alone: the conformance kit names every one of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from chatmodels import AIMessage, SystemMessage, ToolCall, Usage
from chatmodels._call import Call, HTTPRequest, HTTPResponse, Settings
from chatmodels._errors import ProviderError
from chatmodels._events import End, Event, TextDelta, ToolCallDelta, UsageSoFar
from chatmodels._messages import with_body
from chatmodels.dialects.openai_chat import OpenAIChat
from chatmodels.testing.conformance import Sample, check_dialect

from . import answers

_WORDS = [
    {"id": "c2", "model": "m-1", "choices": [{"index": 0, "delta": {"content": text}}]} for text in ("Hi ", "you")
]
_LAST = {"id": "c2", "model": "m-1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
_WHOLE = {"index": 0, "message": {"role": "assistant", "content": "Hi you"}, "finish_reason": "stop"}
SAMPLES: list[Sample] = [
    *answers.CHAT,
    Sample("words", {"id": "c2", "model": "m-1", "choices": [_WHOLE]}, answers.sse(*_WORDS, _LAST, done=True)),
]


class Author(OpenAIChat):
    """Right, but for what a fault changes: `sent` the call, `got` the message, `said` the events, `raw` the bytes of the stream."""

    sent: Callable[[Call], Call] = staticmethod(lambda call: call)
    body: Callable[[Any], Any] = staticmethod(lambda body: body)
    got: Callable[[AIMessage], AIMessage] = staticmethod(lambda message: message)
    said: Callable[[list[Event]], list[Event]] = staticmethod(lambda events: events)

    def encode(self, call: Call) -> HTTPRequest:
        made = super().encode(type(self).sent(call))
        return replace(made, body=json.dumps(type(self).body(json.loads(made.body))).encode())

    def decode(self, response: HTTPResponse) -> AIMessage:
        return with_body(type(self).got(super().decode(response)), response.body)

    def stream_decoder(self) -> Any:
        return Stream(super().stream_decoder(), type(self).said)


class Stream:
    """The right decoder, with a fault on its events."""

    def __init__(self, right: Any, said: Callable[[list[Event]], list[Event]]) -> None:
        self.right, self.said = right, said

    @property
    def failed(self) -> Any:
        return self.right.failed

    @property
    def ended(self) -> Any:
        return self.right.ended

    def feed(self, data: bytes) -> list[Event]:
        return self.said(self.right.feed(data))

    def close(self) -> list[Event]:
        return self.said(self.right.close())


def each(change: Callable[[Event], Event | None]) -> Callable[[list[Event]], list[Event]]:
    return lambda events: [made for event in events if (made := change(event)) is not None]


def both(change: Callable[[Any], Any]) -> dict[str, Any]:
    """The same fault in plain and in streamed answers, so that the two agree."""
    return {"got": change, "said": each(lambda e: change(e) if isinstance(e, End) else e)}


def settings_without(name: str) -> Callable[[Call], Call]:
    def lose(call: Call) -> Call:
        return replace(call, settings=replace(call.settings, **{name: None}))

    return lose


def messages_where(keep: Callable[[Any], bool]) -> Callable[[Call], Call]:
    return lambda call: replace(call, messages=tuple(m for m in call.messages if keep(m)))


def last_only(call: Call) -> Call:
    return replace(call, messages=call.messages[-1:])


def texts_only(call: Call) -> Call:
    made = [m if isinstance(m, AIMessage) else replace(m, content=m.text) for m in call.messages]
    return replace(call, messages=tuple(made))


def truthy(call: Call) -> Call:
    kept = {n: v for n in call.settings.__struct_fields__ if (v := getattr(call.settings, n))}
    return replace(call, settings=Settings(**kept))


def no_model(body: Any) -> Any:
    return {**body, "model": "always-this-one"}


def own_word(thing: Any) -> Any:
    return replace(thing, finish_reason="STOP")


def without_ids(message: AIMessage) -> AIMessage:
    if isinstance(message.content, str):
        return message
    parts = [replace(p, id="") if isinstance(p, ToolCall) else p for p in message.content]
    return replace(message, content=parts)


def stripped(event: Event) -> Event | None:
    return replace(event, text=event.text.strip()) if isinstance(event, TextDelta) else event


def spelt_ids(event: Event) -> Event | None:
    return replace(event, id="x" + event.id) if isinstance(event, ToolCallDelta) and event.id else event


class Deaf(Author):
    def decode_error(self, response: HTTPResponse) -> ProviderError:
        return ProviderError("error", status=response.status, provider=self.provider)


class Trusting(Author):
    def decode(self, response: HTTPResponse) -> AIMessage:
        choice = (json.loads(response.body or b"{}") or {}).get("choices", [{}])[0]
        return with_body(AIMessage(choice.get("message", {}).get("content", ""), finish_reason="stop"), response.body)


class Impatient(Author):
    """Takes the end of the bytes for the end of the answer."""

    def stream_decoder(self) -> Any:
        right = super().stream_decoder()

        class Wrong(Stream):
            failed = None

            def close(self) -> list[Event]:
                return [] if self.right.ended else [End(finish_reason="stop")]

        return Wrong(right, lambda events: events)


class ByChunk(Author):
    """Decodes each chunk of bytes as text."""

    def stream_decoder(self) -> Any:
        right = super().stream_decoder()

        class Wrong(Stream):
            def feed(self, data: bytes) -> list[Event]:
                return self.right.feed(data.decode("utf-8", "replace").encode())  # type: ignore[no-any-return]

        return Wrong(right, lambda events: events)


_LATEST: list[Any] = []


class OneStream(Author):
    """Keeps one decoder for all streams that are open."""

    def stream_decoder(self) -> Any:
        if not _LATEST or _LATEST[0].ended or _LATEST[0].failed:
            _LATEST[:] = [super().stream_decoder()]
        return _LATEST[0]


class NoCarriage(Author):
    def stream_decoder(self) -> Any:
        right = super().stream_decoder()

        class Wrong(Stream):
            def feed(self, data: bytes) -> list[Event]:
                return self.right.feed(data.replace(b"\r\n", b""))  # type: ignore[no-any-return]

        return Wrong(right, lambda events: events)


FAULTS: dict[str, Any] = {
    "loses the system message": {"sent": messages_where(lambda m: not isinstance(m, SystemMessage))},
    "sends the last message only": {"sent": last_only},
    "sends no pictures": {"sent": texts_only},
    "loses max_tokens": {"sent": settings_without("max_tokens")},
    "loses stop": {"sent": settings_without("stop")},
    "loses a temperature of 0": {"sent": truthy},
    "loses the tools": {"sent": lambda call: replace(call, tools=())},
    "loses the schema": {"sent": lambda call: replace(call, output=None)},
    "sends a model of its own": {"body": no_model},
    "gives the provider's finish reason": both(own_word),
    "gives no usage when streaming": {
        "said": each(
            lambda e: None if isinstance(e, UsageSoFar) else replace(e, usage=None) if isinstance(e, End) else e
        )
    },
    "counts nothing": {"said": each(lambda e: replace(e, usage=Usage()) if isinstance(e, End) else e)},
    "strips the pieces": {"said": each(stripped)},
    "spells the ids of calls in its own way": {"said": each(spelt_ids)},
    "gives no calls when streaming": {"said": each(lambda e: None if isinstance(e, ToolCallDelta) else e)},
    "gives no ids": {"got": without_ids},
    "gives every event twice": {"said": lambda events: [e for event in events for e in (event, event)]},
    "reads no errors": Deaf,
    "takes anything for an answer": Trusting,
    "takes a cut for an end": Impatient,
    "decodes chunk by chunk": ByChunk,
    "has one decoder": OneStream,
    "knows one line end": NoCarriage,
}


def test_the_author_without_a_fault() -> None:
    check_dialect(Author("outside"), SAMPLES)


#: What the kit says of each, in part.
FINDINGS = {
    "loses the system message": "encode loses a system message",
    "sends the last message only": "encode loses a system message",
    "sends no pictures": "encode loses a picture",
    "loses max_tokens": "encode loses max_tokens",
    "loses stop": "encode loses stop",
    "loses a temperature of 0": "encode loses temperature=0",
    "loses the tools": "encode loses a tool:",
    "loses the schema": "encode loses a schema",
    "sends a model of its own": "encode loses the model's name",
    "gives the provider's finish reason": "'STOP', not 'tool_calls'",
    "gives no usage when streaming": "streamed, usage is None",
    "counts nothing": "streamed, usage is",
    "strips the pieces": "words: streamed, parts",
    "spells the ids of calls in its own way": "(streamed): the content is",
    "gives no calls when streaming": "(streamed): the content is",
    "gives no ids": "the content is",
    "gives every event twice": "2 End events",
    "reads no errors": "it is ProviderError, not AuthenticationError",
    "takes anything for an answer": "the content is",
    "takes a cut for an end": "no bytes at all give None, not IncompleteStream",
    "decodes chunk by chunk": "split every 1 bytes",
    "has one decoder": "after other streams of the dialect",
    "knows one line end": "lines that end in",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_is_found(fault: str) -> None:
    _LATEST.clear()
    with pytest.raises(AssertionError) as caught:
        check_dialect(_faulty(fault), SAMPLES)
    assert FINDINGS[fault] in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        ("gives the provider's finish reason", "finish_reason is 'STOP', none of stop, length"),
        ("gives no ids", "a tool call has no id"),
        ("takes anything for an answer", "decode makes AIMessage"),
    ],
)
def test_it_is_found_where_the_author_gave_no_messages(fault: str, finding: str) -> None:
    """The samples say what comes over the wire, and not what it means."""
    plain = [Sample(sample.name, sample.body) for sample in SAMPLES]
    with pytest.raises(AssertionError, match=finding):
        check_dialect(_faulty(fault), plain)


def _faulty(fault: str) -> Any:
    made = FAULTS[fault]
    cls = made if isinstance(made, type) else type("Faulty", (Author,), {k: staticmethod(v) for k, v in made.items()})
    return cls("outside")
