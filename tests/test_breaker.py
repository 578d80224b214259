"""The breaker: its states, one probe at a time, and what counts as a failure; a model of it is played against it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chatmodels import (
    AuthenticationError,
    ContextTooLongError,
    DeadlineError,
    IncompleteStream,
    OutOfCreditError,
    OverloadedError,
    RateLimitError,
    UsageError,
)
from chatmodels._breaker import Circuit, is_failure
from chatmodels._errors import BadRequestError, ConnectError
from chatmodels.control import Breaker
from chatmodels.control._circuits import circuit

POLICY = Breaker(failures=3, seconds=10)


def made() -> Circuit:
    return Circuit(threading.Lock())


def fail(one: Circuit, now: float, times: int = 1) -> None:
    for _ in range(times):
        probe, wait = one.enter(POLICY, now)
        assert not wait
        one.failure(POLICY, now, probe)


def test_it_opens_after_failures_in_a_row_and_closes_after_a_good_probe() -> None:
    one = made()
    fail(one, 0, 2)
    one.success(False)
    fail(one, 0, 2)
    assert one.state(POLICY, 0) == "closed"
    fail(one, 1)
    assert one.state(POLICY, 1) == "open"
    assert one.enter(POLICY, 4) == (False, 7)
    assert one.state(POLICY, 11) == "half-open"
    assert one.enter(POLICY, 11) == (True, 0)
    assert one.enter(POLICY, 12) == (False, 9), "one probe at a time"
    one.success(True)
    assert one.state(POLICY, 12) == "closed"


def test_a_bad_probe_opens_it_for_as_long_again() -> None:
    one = made()
    fail(one, 0, 3)
    fail(one, 10)
    assert one.enter(POLICY, 19.5) == (False, 0.5)
    assert one.enter(POLICY, 20) == (True, 0)


def test_a_probe_that_is_given_up_or_never_ends_lets_another_one_probe() -> None:
    one = made()
    fail(one, 0, 3)
    assert one.enter(POLICY, 10) == (True, 0)
    one.leave(True)
    assert one.enter(POLICY, 11) == (True, 0)
    assert one.enter(POLICY, 20) == (False, 1)
    assert one.enter(POLICY, 21) == (True, 0)


def test_calls_from_before_it_opened_change_nothing() -> None:
    one = made()
    early = [one.enter(POLICY, 0)[0] for _ in range(2)]
    fail(one, 0, 3)
    one.success(early[0])
    one.failure(POLICY, 9, early[1])
    assert one.enter(POLICY, 9) == (False, 1)


def test_what_counts() -> None:
    for error in (
        OverloadedError("x"),
        RateLimitError("x"),
        ConnectError("x"),
        DeadlineError("x"),
        IncompleteStream("x"),
    ):
        assert is_failure(error), error
    for error in (BadRequestError("x"), ContextTooLongError("x"), AuthenticationError("x"), OutOfCreditError("x")):
        assert not is_failure(error), error


WRONG: list[dict[str, Any]] = [
    *({"failures": one} for one in (0, True, 1.5, "3", None)),
    *({"seconds": one} for one in (0, True, "3", None, float("nan"), float("inf"))),
]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_wrong_numbers(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Breaker(**wrong)


def test_circuits_are_shared_by_name_and_between_threads() -> None:
    key = ("p", "http://test_breaker", "m")
    seen: list[Circuit] = []
    threads = [threading.Thread(target=lambda: seen.append(circuit(key))) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(seen) == 8
    assert len({id(c) for c in seen}) == 1
    assert circuit(("p", "http://test_breaker", "other")) is not seen[0]


def test_only_one_of_many_threads_probes() -> None:
    one = made()
    fail(one, 0, 3)
    let_in: list[bool] = []
    gate = threading.Barrier(8)

    def go() -> None:
        gate.wait()
        let_in.append(one.enter(POLICY, 10)[0])

    threads = [threading.Thread(target=go) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(let_in) == [False] * 7 + [True]


class Played(RuleBasedStateMachine):
    """The rules in the plainest words, against the circuit."""

    def __init__(self) -> None:
        super().__init__()
        self.one = made()
        self.now = 0.0
        self.in_a_row = 0
        self.opened: float | None = None
        self.probing = False

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0, 10.0]))
    def time_passes(self, seconds: float) -> None:
        if not self.probing:
            self.now += seconds

    @rule(good=st.booleans())
    def call(self, good: bool) -> None:
        probe, wait = self.one.enter(POLICY, self.now)
        if self.opened is not None and (self.probing or self.now < self.opened + 10):
            assert wait > 0
            return
        assert (wait, probe) == (0, self.opened is not None)
        self.end(good, probe)

    @rule()
    def begin_a_probe(self) -> None:
        if self.opened is not None and not self.probing and self.now >= self.opened + 10:
            assert self.one.enter(POLICY, self.now) == (True, 0)
            self.probing = True

    @rule(good=st.booleans())
    def end_the_probe(self, good: bool) -> None:
        if self.probing:
            self.probing = False
            self.end(good, True)

    def end(self, good: bool, probe: bool) -> None:
        if good:
            self.one.success(probe)
            self.in_a_row, self.opened = 0, None
            return
        self.one.failure(POLICY, self.now, probe)
        self.in_a_row += 1
        if probe or self.in_a_row >= 3:
            self.opened = self.now

    @invariant()
    def the_states_agree(self) -> None:
        expected = "closed" if self.opened is None else "open" if self.now < self.opened + 10 else "half-open"
        assert self.one.state(POLICY, self.now) == expected


TestPlayed = Played.TestCase
TestPlayed.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
