"""Deadlines: each is kept, names itself, and closes the connection; None switches it off."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from chatmodels import BatchError, ChatModelError, ChatOpenAI, DeadlineError
from chatmodels._flow import Timeouts

from .conftest import KEY, World, chat
from .servers import (
    Server,
    answer,
    chunked,
    drip,
    error,
    event,
    events,
    plain,
    raw,
    response,
    silent,
    sse,
    unanswering_port,
)

pytestmark = pytest.mark.clock

#: What is waited for here goes on for five seconds and more: one who comes so late has kept the deadline, on a busy machine.
EARLY, LATE = 0.02, 2.0
BODY = json.dumps(answer()).encode()
PIECES = events("Bon", "jour")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def limits(**given: float | None) -> dict[str, Any]:
    return {"timeout": {"connect": None, "first_token": None, "idle": None, "total": None, **given}}


class Clock:
    """Measures a block, and holds it against a deadline."""

    def __enter__(self) -> Clock:
        self._began = time.monotonic()
        return self

    def __exit__(self, *exc: object) -> None:
        self.took = time.monotonic() - self._began

    def says(self, seconds: float) -> None:
        assert seconds - EARLY <= self.took <= seconds + LATE, f"took {self.took:.3f} s"


def failed(found: Any, phase: str, seconds: float) -> None:
    assert isinstance(found, DeadlineError), found
    assert isinstance(found, TimeoutError)
    assert (found.phase, found.seconds) == (phase, seconds)
    assert found.attempts[-1].outcome == "DeadlineError"
    assert (found.provider, found.model) == ("openai", "gpt-4o-mini")
    assert phase in str(found)


@pytest.fixture(scope="module")
def nobody() -> Iterator[int]:
    with unanswering_port() as port:
        yield port


@pytest.mark.parametrize(("given", "phase"), [({"connect": 0.12}, "connect"), ({"total": 0.12}, "total")])
@pytest.mark.parametrize("way", ["call", "stream", "batch"])
def test_no_connection(world: World, nobody: int, way: str, given: dict[str, float], phase: str) -> None:
    options = limits(**{"total": 9, **given})
    model = ChatOpenAI(openai_api_key=KEY, base_url=f"http://127.0.0.1:{nobody}/v1", max_retries=1, **options)
    with Clock() as clock:
        if way == "call":
            found = world.calls(model, 1)[0]
        elif way == "stream":
            found = world.read(model).error
        else:
            with pytest.raises(BatchError) as caught:
                world.batch(model, ["a", "b"])
            assert len(caught.value.errors) == 2
            found = caught.value.results[1]
    clock.says(0.12)
    failed(found, phase, 0.12)


SILENT = [
    # what the server does, the deadlines, which one passes
    ("no head", silent(), {"first_token": 0.12}, "first_token"),
    ("no head, total", silent(), {"total": 0.2, "first_token": 5}, "total"),
    ("dripping head", drip(response(BODY), 0.05), {"first_token": 0.12}, "first_token"),
    ("dripping head, total", drip(response(BODY), 0.05), {"total": 0.12}, "total"),
]
PLAIN = [
    *SILENT,
    ("dripping body", drip(response(BODY), 0.03, 30), {"total": 0.15}, "total"),
    ("stalled body", raw(response(BODY)[:-30], "keep", 30), {"total": 0.15}, "total"),
]
STREAMED = [
    *SILENT,
    ("no event", raw(HEAD, "keep", 30), {"first_token": 0.12}, "first_token"),
    ("keep-alives only", sse([b": hello\n\n"] * 99, gap=0.05), {"first_token": 0.12, "idle": 0.1}, "first_token"),
    ("role only", sse([PIECES[0]], end=False), {"first_token": 0.12, "idle": 0.1}, "first_token"),
    ("idle", sse(PIECES[:2], end=False), {"idle": 0.12}, "idle"),
    ("idle, then total", sse(PIECES[:2], end=False), {"idle": 0.5, "total": 0.12}, "total"),
    ("dripping", sse([event({"content": "x"})] * 99, gap=0.05), {"total": 0.3, "idle": 0.25}, "total"),
    ("dripping bytes", drip(chunked(PIECES), 0.02, 6), {"total": 0.3, "idle": 0.25}, "total"),
]


@pytest.mark.parametrize(("script", "given", "phase"), [c[1:] for c in PLAIN], ids=[c[0] for c in PLAIN])
def test_a_call(world: World, server: Server, script: Any, given: dict[str, float], phase: str) -> None:
    route = server.route(script)
    with Clock() as clock:
        found = world.calls(chat(route, **limits(**given)), 1)[0]
    clock.says(given[phase])
    failed(found, phase, given[phase])
    assert route.wait_left() - route.requests[0].time < given[phase] + LATE


@pytest.mark.parametrize(("script", "given", "phase"), [c[1:] for c in STREAMED], ids=[c[0] for c in STREAMED])
def test_a_stream(world: World, server: Server, script: Any, given: dict[str, float], phase: str) -> None:
    route = server.route(script)
    with Clock() as clock:
        found = world.read(chat(route, **limits(**given)))
    clock.says(given[phase])
    failed(found.error, phase, given[phase])
    assert route.wait_left() - route.requests[0].time < given[phase] + LATE
    if found.texts:
        assert found.error is not None
        assert found.error.partial.text == found.text == found.stream.message.text  # type: ignore[attr-defined]


def test_a_batch(world: World, server: Server) -> None:
    route = server.route(plain(), silent(), plain())
    with Clock() as clock:
        found = world.batch(chat(route, **limits(total=0.4)), ["a"] * 3, max_concurrency=1, errors="return")
    clock.says(0.4)
    assert [found[0].text, found[2].text] == ["J'aime programmer."] * 2
    failed(found[1], "total", 0.4)


def test_keep_alives_hold_an_answer_open_that_has_begun(world: World, server: Server) -> None:
    """A reasoning model may be silent for long; a host that says so with comments is not taken for dead."""
    waits = [b": working\n\n"] * 5
    route = server.route(sse([*PIECES[:2], *waits, *PIECES[2:]], gap=0.05))
    found = world.read(chat(route, **limits(idle=0.2)))
    assert (found.error, found.text) == (None, "Bonjour")


def test_the_total_holds_over_retries_and_waits(world: World, server: Server) -> None:
    """The next try would begin after the deadline: the last error comes at once."""
    route = server.route(error(503, "busy"))
    model = chat(route, max_retries=50, **limits(total=0.3)).with_retry(base=0.05, cap=0.05)
    with Clock() as clock:
        found = world.calls(model, 1)[0]
    assert clock.took < 0.3 + LATE
    assert isinstance(found, ChatModelError)
    assert 1 < len(found.attempts) == len(route.requests) < 50


def test_the_total_cuts_off_a_later_try(world: World, server: Server) -> None:
    route = server.route(error(503, "busy"), silent())
    model = chat(route, max_retries=3, **limits(total=0.3)).with_retry(base=0)
    with Clock() as clock:
        found = world.calls(model, 1)[0]
    clock.says(0.3)
    failed(found, "total", 0.3)
    assert [a.outcome for a in found.attempts] == ["OverloadedError", "DeadlineError"]


def test_a_silent_first_try_is_tried_again(world: World, server: Server) -> None:
    route = server.route(silent(), plain())
    model = chat(route, max_retries=2, **limits(first_token=0.3, total=9)).with_retry(base=0)
    found = world.calls(model, 1)[0]
    assert [a.outcome for a in found.attempts] == ["DeadlineError", "ok"]


def test_none_switches_all_off(world: World, server: Server) -> None:
    route = server.route(plain(after=0.2), sse(PIECES, gap=0.03))
    model = chat(route, **limits())
    assert model._config.timeouts == Timeouts(connect=None, first_token=None, idle=None, total=None)
    assert world.calls(model, 1)[0].text == "J'aime programmer."
    assert world.read(model).text == "Bonjour"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, Timeouts()),
        (30, Timeouts(first_token=None, total=30.0)),
        ((2, 20), Timeouts(connect=2.0, first_token=20.0, idle=20.0)),
        ({"idle": 5}, Timeouts(idle=5.0)),
        (Timeouts(total=1), Timeouts(total=1)),
    ],
)
def test_how_deadlines_are_given(given: Any, expected: Timeouts) -> None:
    for name in ("timeout", "request_timeout"):
        assert ChatOpenAI(openai_api_key=KEY, **{name: given})._config.timeouts == expected


def test_with_timeouts() -> None:
    model = ChatOpenAI(openai_api_key=KEY).with_timeouts(idle=5, total=None)
    assert model._config.timeouts == Timeouts(idle=5.0, total=None)
