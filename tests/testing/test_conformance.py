"""The conformance kit, run over all of our dialects and rows and over the sample plug-in; and what is wrong, it finds."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from chatmodels import AIMessage, Image, RateLimitError, Usage, UsageError
from chatmodels._call import Call, HTTPRequest, HTTPResponse
from chatmodels._errors import IncompleteStream, OverloadedError, ProviderError
from chatmodels._events import End, Event, TextDelta
from chatmodels._provider_rows import ROWS
from chatmodels._providers import Provider, load, providers
from chatmodels.dialects.anthropic import Anthropic
from chatmodels.dialects.bedrock import BedrockConverse
from chatmodels.dialects.cohere import Cohere
from chatmodels.dialects.google import Google
from chatmodels.dialects.mistral import Mistral
from chatmodels.dialects.ollama import Ollama
from chatmodels.dialects.openai_chat import OpenAIChat
from chatmodels.dialects.openai_chat_hosts import GigaChat
from chatmodels.dialects.openai_responses import OpenAIResponses
from chatmodels.testing import _conform_dialect as kit
from chatmodels.testing._script_talk import pieces_of
from chatmodels.testing._script_wire import ScriptDialect, event_lines
from chatmodels.testing.conformance import (
    CALLS,
    DialectConformance,
    ErrorSample,
    ProviderConformance,
    Sample,
    check_dialect,
    check_provider,
)

from ..dialects import test_anthropic, test_bedrock
from ..test_providers import OWN
from . import answers

SLOW = [
    ErrorSample(
        200,
        answers.sse({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}),
        RateLimitError,
        "slow down",
    )
]
BUSY = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}


def as_samples(cases: list[Any]) -> list[Sample]:
    return [Sample(case.name, case.body, case.stream) for case in cases]


DIALECTS: dict[str, tuple[Any, list[Sample], list[ErrorSample]]] = {
    "openai-chat": (OpenAIChat("openai"), answers.CHAT, SLOW),
    "openai-responses": (OpenAIResponses("openai"), answers.RESPONSES, []),
    "anthropic": (
        Anthropic("anthropic"),
        [*answers.CLAUDE, *as_samples(test_anthropic.CASES)],
        [ErrorSample(200, answers.sse(BUSY, named=True), OverloadedError, "busy")],
    ),
    "google": (Google("google"), answers.GEMINI, []),
    "bedrock": (BedrockConverse("bedrock"), [*answers.BEDROCK, *as_samples(test_bedrock.CASES)], []),
    "cohere": (Cohere("cohere"), answers.COHERE, []),
    "mistral": (Mistral("mistral"), answers.CHAT, SLOW),
    "ollama": (
        Ollama("ollama"),
        answers.OLLAMA,
        [ErrorSample(200, b'{"error":"no memory"}\n', ProviderError, "no memory")],
    ),
}


@pytest.mark.parametrize("name", DIALECTS)
class TestOurs(DialectConformance):
    """Every check of the kit, for each of our dialects."""

    @pytest.fixture(autouse=True)
    def _of(self, name: str) -> None:
        self.made, self.given, self.broken = DIALECTS[name]

    def dialect(self) -> Any:
        return self.made

    def samples(self) -> list[Sample]:
        return self.given

    def in_band(self) -> list[ErrorSample]:
        return self.broken

    def test_there_is_something_to_check(self) -> None:
        assert all(sample.body is not None and sample.stream is not None for sample in self.given)


def test_no_dialect_is_left_out() -> None:
    used = {row.dialect for row in ROWS}
    checked = {f"{type(d).__module__}:{type(d).__name__}" for d, _, _ in DIALECTS.values()}
    hosts = {d for d in used if d.startswith("chatmodels.dialects.openai_chat_hosts:")}
    assert used - hosts <= checked
    for path in hosts - {"chatmodels.dialects.openai_chat_hosts:GigaChat"}:  # which is checked below
        row = next(row for row in ROWS if row.dialect == path)
        options = {k: v for k, v in OWN.get(row.name, {}).items() if k in row.takes}
        check_dialect(load(path)(row.name, **row.options, **options), answers.CHAT, in_band=SLOW, calls=())


def test_gigachat_in_its_own_words() -> None:
    body = {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Grüße"}, "finish_reason": "stop"}],
        "model": "GigaChat:2", "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
    }  # fmt: skip
    check_dialect(GigaChat("gigachat"), [Sample("text", body)], in_band=SLOW)


def test_scripted_models_too() -> None:
    message = AIMessage("Grüße 👋, you", finish_reason="stop", model="m", usage=Usage(input_tokens=1, output_tokens=2))
    stream = event_lines(list(pieces_of(message, None)))
    sample = Sample("text", message.to_json().encode(), stream, message)
    for check in (kit.check_splits, kit.check_fold, kit.check_cuts, kit.check_sent_back):
        check(ScriptDialect("scripted"), sample)
    for call in CALLS:
        kit.check_call(ScriptDialect("scripted"), call)


class TestThePlugIn(DialectConformance, ProviderConformance):
    """The sample package as its author would test it."""

    @pytest.fixture(autouse=True)
    def _there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "plugin_sample" / "src"))
        yield
        sys.modules.pop("chatmodels_sample", None)

    def dialect(self) -> Any:
        from chatmodels_sample import SampleDialect  # type: ignore[import-not-found]

        return SampleDialect("sample")

    def samples(self) -> list[Sample]:
        body = '{"said": "Grüße 👋"}'.encode()
        return [Sample("text", body, body, AIMessage("Grüße 👋", finish_reason="stop"))]

    def row(self) -> Provider:
        from chatmodels_sample import rows

        return rows()[0]


@pytest.mark.parametrize("row", [r for r in ROWS], ids=lambda r: r.name)
def test_our_rows(row: Provider) -> None:
    check_provider(row, **OWN.get(row.name, {}))


# ---- what the kit finds


class Plain:
    """A right dialect, small: JSON lines `{"t": text}`, the last with `"end": true`; plain, the same with the whole text."""

    provider = "plain"

    def encode(self, call: Call) -> HTTPRequest:
        if call.tools or call.output or any(isinstance(p, Image) for m in call.messages for p in m.parts):
            raise UsageError("text alone", argument="messages")
        given = {n: v for n in call.settings.__struct_fields__ if (v := getattr(call.settings, n)) is not None}
        body = {"ask": [m.text for m in call.messages], "model": call.model, **given}
        return HTTPRequest(path="/p", body=json.dumps(body).encode(), stream=call.stream)

    def decode(self, response: HTTPResponse) -> AIMessage:
        from chatmodels._messages import with_body

        said = json.loads(response.body)
        if not isinstance(said, dict) or not isinstance(said.get("t"), str):
            raise ValueError("no text t")
        return with_body(AIMessage(said["t"], finish_reason="stop"), response.body)

    def decode_error(self, response: HTTPResponse) -> ProviderError:
        from chatmodels.dialects._errors import http_error

        return http_error(self.provider, response)

    def stream_decoder(self) -> Any:
        return PlainStream()


class PlainStream:
    failed = None

    def __init__(self) -> None:
        self.rest = b""
        self.ended = False

    def feed(self, data: bytes) -> list[Event]:
        *lines, self.rest = (self.rest + data).split(b"\n")
        return [event for line in lines if line.strip() for event in self.line(json.loads(line))]

    def line(self, said: dict[str, Any]) -> list[Event]:
        if not isinstance(said, dict):
            raise ValueError("no object")
        self.ended = said.get("end", False)
        found: list[Event] = [TextDelta(said["t"])] if said.get("t") else []
        return [*found, End(finish_reason="stop")] if self.ended else found

    def close(self) -> list[Event]:
        if not self.ended:
            raise IncompleteStream("cut")
        return []


SAMPLE = Sample("s", {"t": "Grüße 👋"}, '{"t": "Grü"}\n{"t": "ße 👋"}\n{"end": true}\n'.encode())


def test_a_right_dialect_passes() -> None:
    check_dialect(Plain(), [SAMPLE])


def wrong(**methods: Any) -> Plain:
    stream = type("Wrong", (PlainStream,), {k: v for k, v in methods.items() if hasattr(PlainStream, k)})
    own = {k: v for k, v in methods.items() if not hasattr(PlainStream, k)}
    return type("WrongDialect", (Plain,), {"stream_decoder": lambda self: stream(), **own})()


def bare(self: Any, response: HTTPResponse) -> AIMessage:
    return AIMessage(json.loads(response.body)["t"], finish_reason="stop")


def endless(self: Any, response: HTTPResponse) -> AIMessage:
    return AIMessage(json.loads(response.body)["t"])


def picky(self: Any, response: HTTPResponse) -> AIMessage:
    body = json.loads(response.body)
    return Plain().decode(HTTPResponse(status=200, body=json.dumps({"t": body["t"] + "!" * (len(body) - 1)}).encode()))


def naive(self: Any, data: bytes) -> list[Event]:
    return [event for line in data.split(b"\n") if line for event in self.line(json.loads(line))]


def lenient(self: Any) -> list[Event]:
    return [] if self.ended else [End(finish_reason="stop")]


counts = iter(range(1000))


def random_body(self: Any, call: Call) -> HTTPRequest:
    return HTTPRequest(path="/p", body=b'{"n": %d}' % next(counts), stream=call.stream)


def with_key(self: Any, call: Call) -> HTTPRequest:
    return HTTPRequest(path="/p", body=b"{}", headers={"Authorization": "x"}, stream=call.stream)


def never_streams(self: Any, call: Call) -> HTTPRequest:
    return HTTPRequest(path="/p", body=b"{}")


def changing(self: Any, call: Call) -> HTTPRequest:
    call.messages[-1].additional_kwargs["seen"] = True
    return Plain().encode(call)


def deaf(self: Any, response: HTTPResponse) -> ProviderError:
    return ProviderError("something went wrong", status=response.status)


@pytest.mark.parametrize(
    ("methods", "finding"),
    [
        ({"decode": bare}, ".raw is empty"),
        ({"decode": endless}, "no finish_reason"),
        ({"decode": picky}, "an unknown field changes the message"),
        ({"close": lenient}, "not IncompleteStream"),
        ({"encode": random_body}, "other bytes for the same call|sent back otherwise"),
        ({"encode": with_key}, "gives a key"),
        ({"encode": never_streams}, "request.stream is False"),
        ({"encode": changing}, "changes the call"),
        ({"decode_error": deaf}, "not AuthenticationError"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_it_finds(methods: dict[str, Any], finding: str) -> None:
    with pytest.raises(AssertionError, match=finding):
        check_dialect(wrong(**methods), [SAMPLE])


def test_it_finds_splits_that_change_the_events() -> None:
    with pytest.raises((AssertionError, ValueError)):
        check_dialect(wrong(feed=naive), [SAMPLE])


def test_it_finds_a_stream_that_says_something_else() -> None:
    with pytest.raises(AssertionError, match="streamed, parts"):
        check_dialect(Plain(), [Sample("s", {"t": "Hallo"}, SAMPLE.stream)])
    with pytest.raises(AssertionError, match="the content is"):
        check_dialect(Plain(), [Sample("s", {"t": "Hallo"}, None, AIMessage("Salut"))])


def test_it_finds_an_error_that_passes_for_an_answer() -> None:
    stream = b'{"t": "a"}\n{"error": "busy", "end": true}\n'
    with pytest.raises(AssertionError, match="it ends with None"):
        check_dialect(Plain(), [SAMPLE], in_band=[ErrorSample(200, stream)])


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"docs": ""}, "docs="),
        ({"checked": "lately"}, "checked="),
        ({"name": "Two words"}, "a name is"),
        ({"key_env": ()}, "names no variable"),
        ({"base_url": "http://plain.example"}, "not https"),
        ({"auth": "header:x-other", "headers": {"x-other": "y"}, "needs_key": True, "auth_takes": ()}, None),
        ({"auth": "none"}, "is not sent"),
    ],
)
def test_it_finds_wrong_rows(changes: dict[str, Any], finding: str | None) -> None:
    fields: dict[str, Any] = {
        "name": "kit-row",
        "base_url": "https://kit.example/v1",
        "key_env": ("KIT_KEY",),
        "docs": "https://kit.example",
    }
    row = Provider(**{**fields, **changes})
    if finding is None:
        check_provider(row)
        assert "kit-row" not in providers()
        return
    with pytest.raises(AssertionError, match=finding):
        check_provider(row)


def test_nothing_to_check_is_said() -> None:
    class Nothing(DialectConformance):
        def samples(self) -> list[Sample]:
            return []

    with pytest.raises(AssertionError, match="empty"):
        Nothing().test_a_plain_answer_is_a_whole_message()
    with pytest.raises(NotImplementedError):
        DialectConformance().dialect()
    with pytest.raises(NotImplementedError):
        ProviderConformance().test_another_address()
    assert len(CALLS) > 5
