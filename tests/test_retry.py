"""Retries: a third driver plays a script against the flows, with a clock and dice of its own, so every wait is exact."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmodels import (
    AIMessage,
    AuthenticationError,
    ChatModelError,
    ContextTooLongError,
    DeadlineError,
    IncompleteStream,
    OutOfCreditError,
    OverloadedError,
    ProtocolError,
    RateLimitError,
    TransportError,
)
from chatmodels._call import Call, HTTPResponse
from chatmodels._calls import call_flow, stream_flow
from chatmodels._errors import BadRequestError, ConnectError, NotFoundError, PermissionDeniedError, ProviderError
from chatmodels._flow import (
    Deliver,
    Emit,
    Finish,
    Flow,
    Now,
    Open,
    Random,
    Read,
    Send,
    Sleep,
    Target,
    Timeouts,
    WallClock,
)
from chatmodels._messages import HumanMessage
from chatmodels._plan import Plan, Streaming
from chatmodels._retry import Budget, Retry, backoff, is_retryable, retry_after
from chatmodels.dialects.openai_chat import OpenAIChat

from .conftest import World, chat
from .servers import DONE, Server, answer, error, event, events, plain, raw, sse

NOON = 1_763_812_800.0  # on 22 November 2025
CALL = Call(model="m", messages=(HumanMessage("hi"),))
OK = HTTPResponse(status=200, headers={"x-request-id": "req_ok"}, body=json.dumps(answer()).encode())


def refused(status: int, code: str | None = None, message: str = "no", **headers: str) -> HTTPResponse:
    body = json.dumps({"error": {"message": message, "code": code}}).encode()
    return HTTPResponse(status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}, body=body)


class Play:
    """A driver with its own clock and dice. Each answer is a response, an error to raise, or the pieces of a stream."""

    def __init__(self, *answers: Any, dice: float = 1.0, takes: float = 1.0) -> None:
        self.answers = list(answers)
        self.dice = dice
        self.takes = takes
        self.now = 100.0
        self.slept: list[float] = []
        self.told: list[tuple[str, Any]] = []
        self.delivered: list[Any] = []
        self.sent = 0
        self.aborted = 0
        self.status = 200
        self.headers: dict[str, str] = {"x-request-id": "req_stream"}

    def abort(self) -> None:
        self.aborted += 1

    def perform(self, effect: Any) -> Any:
        match effect:
            case Now():
                return self.now
            case WallClock():
                return NOON
            case Random():
                return self.dice
            case Sleep():
                self.slept.append(effect.seconds)
                self.now += effect.seconds
            case Emit():
                self.told.append((effect.event, (effect.args, effect.kwargs)))
            case Deliver():
                self.delivered += effect.events
            case Send() | Open():
                self.sent += 1
                self.now += self.takes
                return self._given(self.answers.pop(0))
            case Read():
                return self._given(self.pieces.pop(0)) if self.pieces else b""
            case Finish():
                pass
            case _:
                raise AssertionError(effect)
        return None

    def _given(self, given: Any) -> Any:
        if isinstance(given, Exception):
            raise given
        if isinstance(given, list):
            self.pieces = list(given)
            return self
        return given

    def run(self, flow: Flow[Any]) -> Any:
        try:
            effect = next(flow)
            while True:
                try:
                    value = self.perform(effect)
                except ChatModelError as failed:
                    effect = flow.throw(failed)
                else:
                    effect = flow.send(value)
        except StopIteration as stop:
            return stop.value

    def plan(self, retry: Retry, budget: Budget | None = None, handlers: tuple[Any, ...] = (), **limits: Any) -> Plan:
        target = Target("http://x", {}, Timeouts(**limits), None)
        return Plan(OpenAIChat(), target, retry, budget or Budget(), handlers)

    def call(self, retry: Retry = Retry(), **more: Any) -> Any:  # noqa: B008
        try:
            return self.run(call_flow(self.plan(retry, **more), CALL))
        except ChatModelError as failed:
            return failed

    def stream(self, retry: Retry = Retry(), **more: Any) -> tuple[Any, Streaming]:  # noqa: B008
        state = Streaming()
        add = state.fold.add
        flow = stream_flow(self.plan(retry, **more), CALL, state)

        def folded(effect: Any) -> Any:
            if isinstance(effect, Deliver):
                for one in effect.events:
                    add(one)
            return Play.perform(self, effect)

        self.perform = folded  # type: ignore[method-assign]
        try:
            self.run(flow)
        except ChatModelError as failed:
            return failed, state
        return None, state


# ---- whether


RETRIED = [
    refused(408), refused(429), refused(500), refused(502), refused(503), refused(504), refused(529),
    ConnectError("no connection", phase="connect"),
    TransportError("broke", phase="send"),
    TransportError("broke", phase="read"),
    DeadlineError("late", phase="connect"),
    DeadlineError("late", phase="first_token"),
    HTTPResponse(status=200, body=b"<html>a gateway's page</html>"),
    HTTPResponse(status=200, body=b'{"error": {"message": "busy", "code": 503}}'),
]  # fmt: skip


@pytest.mark.parametrize("first", RETRIED, ids=str)
def test_tried_again(first: Any) -> None:
    play = Play(first, OK)
    message = play.call()
    assert isinstance(message, AIMessage)
    assert play.sent == 2
    assert [a.outcome == "ok" for a in message.attempts] == [False, True]


NOT_RETRIED = [
    (refused(400), BadRequestError),
    (refused(401), AuthenticationError),
    (refused(402), OutOfCreditError),
    (refused(403), PermissionDeniedError),
    (refused(404), NotFoundError),
    (refused(422), BadRequestError),
    (refused(301), ProviderError),
    (refused(429, "insufficient_quota"), OutOfCreditError),
    (refused(400, "context_length_exceeded"), ContextTooLongError),
    (refused(503, "insufficient_quota", retry_after="1"), OutOfCreditError),
    (DeadlineError("late", phase="total"), DeadlineError),
]


@pytest.mark.parametrize(("first", "cls"), NOT_RETRIED, ids=str)
def test_not_tried_again(first: Any, cls: type[ChatModelError]) -> None:
    play = Play(first)
    found = play.call()
    assert isinstance(found, cls)
    assert (play.sent, play.slept) == (1, [])
    assert len(found.attempts) == 1


def test_a_certificate_that_is_not_trusted_is_not_tried_again() -> None:
    failed = ConnectError("certificate verify failed", phase="connect")
    failed.retryable = False
    assert not is_retryable(failed)


# ---- how often, how long


def test_the_waits_double_up_to_the_cap() -> None:
    play = Play(*[refused(500)] * 6)
    found = play.call(Retry(attempts=6, base=1, cap=5))
    assert isinstance(found, OverloadedError)
    assert play.slept == [1, 2, 4, 5, 5]
    assert [a.waited for a in found.attempts] == [0, 1, 2, 4, 5, 5]
    assert [a.seconds for a in found.attempts] == [1.0] * 6
    assert [a.number for a in found.attempts] == [1, 2, 3, 4, 5, 6]
    assert {(a.outcome, a.status, a.provider, a.model) for a in found.attempts} == {
        ("OverloadedError", 500, "openai", "m")
    }


@given(tried=st.integers(1, 50), dice=st.floats(0, 0.999), base=st.floats(0, 10), cap=st.floats(0, 100))
def test_full_jitter(tried: int, dice: float, base: float, cap: float) -> None:
    wait = backoff(Retry(base=base, cap=cap), tried, dice)
    assert 0 <= wait <= min(cap, base * 2 ** (tried - 1))
    assert backoff(Retry(base=base, cap=cap), tried, 0) == 0


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_the_number_of_tries(attempts: int) -> None:
    play = Play(*[refused(500)] * 9)
    found = play.call(Retry(attempts=attempts))
    assert play.sent == len(found.attempts) == attempts


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "0"}, 0),
        ({"retry_after": "-3"}, 0),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after_ms": "1500", "retry_after": "2"}, 1.5),
        ({"retry_after": formatdate(NOON + 9, usegmt=True)}, 9),
        ({"retry_after": formatdate(NOON - 9, usegmt=True)}, 0),
    ],
)
def test_the_provider_says_how_long(headers: dict[str, str], wait: float) -> None:
    play = Play(refused(429, **headers), OK, dice=0)
    message = play.call()
    assert play.slept == ([wait] if wait else [])
    assert message.attempts[1].waited == wait
    play = Play(refused(429, **headers), dice=0)
    found = play.call(Retry(attempts=1))
    assert isinstance(found, RateLimitError)
    assert found.retry_after == wait


@pytest.mark.parametrize("ms", ["0", "-5"])
def test_a_wait_of_nothing_is_no_leave_to_hammer(ms: str) -> None:
    for headers in ({"retry_after_ms": ms}, {"retry_after": ms}, {"retry_after": formatdate(NOON - 9, usegmt=True)}):
        play = Play(refused(429, **headers), refused(429, **headers), OK)
        play.call(Retry(base=2))
        assert play.slept == [2, 4]


#: What a hostile or broken server may send: numbers that no date can hold.
HUGE = ["Wed, 21 Oct 2015 07:28:00 +" + "9" * 20, f"Wed, {'9' * 20} Oct 2015 07:28:00 GMT",
        f"Sun, 06 Nov 1994 99:{'9' * 17}:37 GMT", "9" * 5000]  # fmt: skip


def test_a_date_without_a_zone_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    said = formatdate(NOON + 9, usegmt=True).replace("GMT", "-0000")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert retry_after({"retry-after": said}, NOON) == 9
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("said", ["soon", "", "nan", "inf", "Wed, 99 Foo 2026", *HUGE])
def test_a_wait_that_cannot_be_read_is_none(said: str) -> None:
    assert retry_after({"retry-after": said}, NOON) is None
    play = Play(refused(429, retry_after=said), OK)
    play.call(Retry(base=2))
    assert play.slept == [2]


def test_some_jitter_is_put_on_a_told_wait() -> None:
    """So that a crowd that was told the same does not come back at once; never less than told."""
    play = Play(refused(429, retry_after="10"), OK, dice=0.99)
    play.call()
    assert 10 < play.slept[0] <= 10.25


def test_patience() -> None:
    play = Play(refused(429, retry_after="61"))
    found = play.call()
    assert isinstance(found, RateLimitError)
    assert (found.retry_after, play.slept) == (61, [])
    assert "asks to wait 61 s, and 60 s is the most" in str(found)
    assert Play(refused(429, retry_after="61"), OK).call(Retry(patience=100)).text


def test_no_wait_goes_past_the_total_deadline() -> None:
    play = Play(refused(429, retry_after="10"))
    found = play.call(total=5)
    assert isinstance(found, RateLimitError)
    assert play.slept == []
    assert "asks to wait 10 s, and 4 s of the deadline are left" in str(found)
    found = Play(refused(500), takes=4.9).call(Retry(base=2), total=5)
    assert "not tried again: 0.1 s of the deadline are left" in str(found)


def test_a_deadline_that_passes_while_waiting_raises_the_last_error() -> None:
    class Slow(Play):
        def perform(self, effect: Any) -> Any:
            if isinstance(effect, Sleep):
                self.now += 60  # a laptop that was closed
            return super().perform(effect)

    play = Slow(refused(500), OK)
    found = play.call(total=30)
    assert isinstance(found, OverloadedError)
    assert play.sent == 1


# ---- the budget


def test_the_budget_ends_retries_in_an_outage_and_comes_back_with_successes() -> None:
    budget = Budget(capacity=20)
    tries = [Play(*[refused(500)] * 9) for _ in range(4)]
    for play in tries:
        play.call(Retry(attempts=3), budget=budget)
    assert [p.sent for p in tries] == [3, 3, 1, 1]
    for _ in range(5):
        Play(OK).call(budget=budget)
    play = Play(*[refused(500)] * 9)
    play.call(Retry(attempts=3), budget=budget)
    assert play.sent == 2


# ---- what is told and kept


class Handler:
    """Any object will do: only that it is there matters to the flow."""


def test_callbacks() -> None:
    play = Play(refused(500), refused(429, retry_after="2"), OK, dice=0.5)
    play.call(Retry(base=1), handlers=(Handler(),))
    names = [name for name, _ in play.told]
    assert names == ["on_chat_model_start", "on_retry", "on_retry", "on_llm_end"]
    (attempt,), told = play.told[1][1]
    assert (attempt.number, attempt.outcome, told["wait"]) == (1, "OverloadedError", 0.5)
    assert isinstance(told["error"], OverloadedError)
    assert play.told[2][1][1]["wait"] == pytest.approx(2.1)


def test_each_try_has_its_own_request_id() -> None:
    play = Play(refused(500, x_request_id="req_1"), TransportError("broke"), OK)
    message = play.call()
    assert [a.request_id for a in message.attempts] == ["req_1", None, "req_ok"]
    assert message.request_id == "req_ok"


def test_errors_say_where() -> None:
    for failed in (TransportError("broke"), ConnectError("no"), refused(500, x_request_id="req_1")):
        found = Play(failed).call(Retry(attempts=1))
        assert (found.provider, found.model, len(found.attempts)) == ("openai", "m", 1)
    assert found.request_id == "req_1"


# ---- streams

PIECES = events("Bon", "jour")


def test_a_stream_that_breaks_before_it_says_anything_is_tried_again() -> None:
    """The id, the role and the usage say nothing yet."""
    usage = event(None, usage={"prompt_tokens": 8, "completion_tokens": 0, "total_tokens": 8})
    for first in (
        [PIECES[0]],
        [PIECES[0], usage, TransportError("broke")],
        [b": hello\n\n", DeadlineError("late", phase="first_token")],
        [PIECES[0], b'data: {"error": {"message": "busy", "code": 503}}\n\n'],
        [PIECES[0], b"data: {nonsense}\n\n"],
    ):
        play = Play(first, PIECES)
        failed, state = play.stream()
        assert failed is None
        assert state.message().text == "Bonjour"
        assert play.aborted == 1
        assert [e.text for e in play.delivered if hasattr(e, "text")] == ["Bon", "jour"]
        assert [a.outcome == "ok" for a in state.message().attempts] == [False, True]


def test_a_stream_that_has_said_something_is_not_tried_again() -> None:
    breaks: list[tuple[Any, type[ChatModelError]]] = [
        (TransportError("broke"), IncompleteStream),
        (DeadlineError("late", phase="idle"), DeadlineError),
        (b'data: {"error": {"message": "busy", "code": 503}}\n\n', OverloadedError),
        (b"data: {nonsense}\n\n", ProtocolError),
        (b"", IncompleteStream),
        (DONE, IncompleteStream),
    ]
    for last, cls in breaks:
        play = Play([PIECES[0], PIECES[1], last], PIECES)
        failed, state = play.stream()
        assert isinstance(failed, cls)
        assert (play.sent, play.slept, play.aborted) == (1, [], 1)
        assert failed.partial.text == state.message().text == "Bon"
        assert failed.request_id == "req_stream"
        assert [a.outcome for a in failed.attempts] == [type(failed if last != breaks[0][0] else last).__name__]


def test_usage_of_each_try_is_kept() -> None:
    usage = event(None, usage={"prompt_tokens": 8, "completion_tokens": 0, "total_tokens": 8})
    play = Play([PIECES[0], usage, TransportError("broke")], PIECES)
    _, state = play.stream()
    assert [a.usage.input_tokens for a in state.message().attempts if a.usage] == [8, 8]


def test_the_last_error_of_a_stream_that_never_began_has_an_empty_answer() -> None:
    found = Play([PIECES[0]], [PIECES[0]]).stream(Retry(attempts=2))[0]
    assert isinstance(found, IncompleteStream)
    assert found.message.text == ""
    assert found.message.id == "chatcmpl-1"


# ---- over a socket


def test_in_every_world(world: World, server: Server) -> None:
    ms = {"retry-after-ms": "30"}
    route = server.route(error(429, headers=ms), raw(b""), error(500, headers=ms), plain())
    model = chat(route, max_retries=4).with_retry(base=0.01)
    began = time.monotonic()
    message = world.call(model)
    assert time.monotonic() - began >= 0.06
    assert [a.outcome for a in message.attempts] == ["RateLimitError", "TransportError", "OverloadedError", "ok"]
    assert [a.status for a in message.attempts] == [429, None, 500, None]
    assert len(route.requests) == 4
    assert len({r.body for r in route.requests}) == 1


def test_streams_in_every_world(world: World, server: Server) -> None:
    route = server.route(error(429, headers={"retry-after-ms": "1"}), raw(b""), sse([PIECES[0]]), sse(PIECES))
    found = world.read(chat(route, max_retries=4).with_retry(base=0.01))
    assert (found.error, found.text) == (None, "Bonjour")
    outcomes = [a.outcome for a in found.stream.message.attempts]
    assert outcomes == ["RateLimitError", "TransportError", "IncompleteStream", "ok"]


def test_max_retries_counts_tries(server: Server) -> None:
    for asked, expected in ((None, 3), (0, 1), (1, 1), (4, 4)):
        route = server.route(error(500))
        with pytest.raises(OverloadedError):
            chat(route, max_retries=asked).with_retry(base=0)("hi")
        assert len(route.requests) == expected
