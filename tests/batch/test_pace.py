"""A batch slows down for what rate-limit headers say, before it is refused."""

from __future__ import annotations

import threading
import time

import pytest

from chatmodels._limits_window import Quota
from chatmodels.batch import run_batch
from chatmodels.batch._gate import FIRST, START, Gate
from chatmodels.batch._pace import LONGEST, Pace

from ..conftest import chat
from ..servers import Exchange, Server, answer, error, plain

pytestmark = pytest.mark.clock


class Limited:
    """So many calls (or tokens, 13 for each call) in `seconds`: as a bucket that fills evenly, or in windows of fixed times."""

    def __init__(self, limit: int, seconds: float, *, fixed: bool, kind: str = "requests", each: int = 1) -> None:
        self._limit, self._seconds, self._fixed, self._kind, self._each = limit, seconds, fixed, kind, each
        self._left, self._at = float(limit), time.monotonic()
        self._lock = threading.Lock()
        self.taken = self.refused = 0

    def _take(self) -> tuple[bool, float]:
        with self._lock:
            now = time.monotonic()
            if not self._fixed:
                self._left = min(self._limit, self._left + (now - self._at) * self._limit / self._seconds)
                self._at = now
            elif now >= self._at + self._seconds:
                self._left, self._at = self._limit, now - (now - self._at) % self._seconds
            good = self._left >= self._each
            self._left -= self._each * good
            self.taken += good
            self.refused += not good
            if self._fixed:
                return good, self._at + self._seconds - now
            return good, (self._limit - self._left) / self._limit * self._seconds

    def __call__(self, exchange: Exchange) -> None:
        good, reset = self._take()
        headers = {f"x-ratelimit-limit-{self._kind}": str(self._limit),
                   f"x-ratelimit-remaining-{self._kind}": str(int(self._left)),
                   f"x-ratelimit-reset-{self._kind}": f"{1000 * reset:.0f}ms"}  # fmt: skip
        if good:
            time.sleep(0.005)
        (plain(answer("ok"), headers=headers) if good else error(429, "slow down", headers))(exchange)


@pytest.mark.parametrize(("fixed", "kind", "each"), [(False, "requests", 1), (True, "tokens", 13)])
def test_it_slows_down_before_it_is_refused(server: Server, fixed: bool, kind: str, each: int) -> None:
    """The limit lets 30 through at once and 60 more in 0.3 seconds."""
    limited = Limited(30 * each, 0.15, fixed=fixed, kind=kind, each=each)
    began = time.monotonic()
    summary = run_batch(chat(server.route(limited)), [f"item {i}" for i in range(90)], max_concurrency=12)
    took = time.monotonic() - began
    assert (summary.done, summary.failed, limited.taken) == (90, 0, 90)
    assert limited.refused <= (
        4 if fixed else 1
    )  # without headers: 4 to 9, and 2 seconds; windows have to be found out
    assert took < 15


def test_not_adaptive_does_not_listen(server: Server) -> None:
    headers = {
        "x-ratelimit-limit-requests": "5",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "60s",
    }
    script = plain(answer("ok"), headers=headers)
    began = time.monotonic()
    assert run_batch(chat(server.route(script)), ["a", "b", "c"], max_concurrency=1, adaptive=False).done == 3
    assert time.monotonic() - began < 5


def test_what_is_left_is_for_those_in_flight_first() -> None:
    pace = Pace()
    pace.sent(0.0)
    assert pace.wait(0.0) == 0
    pace.learn({"requests": Quota(10, 100, 9.0, 0.0)}, 0.0, 0.0, 8, refused=False)
    for _ in range(2):
        assert pace.wait(0.0) == 0
        pace.sent(0.0)
    assert pace.wait(0.0) == pytest.approx(0.1)  # 90 come back in 9 seconds
    pace.back()  # one was answered from a cache
    assert pace.wait(0.0) == 0


def test_headers_that_are_older_do_not_count() -> None:
    pace = Pace()
    pace.learn({"requests": Quota(5, 100, 60.0, 1.0)}, 1.0, 2.0, 0, refused=False)
    pace.learn({"requests": Quota(90, 100, 60.0, 1.0)}, 0.5, 2.0, 0, refused=False)
    for _ in range(5):
        pace.sent(2.0)
    assert pace.wait(2.0) > 0.5


def test_a_limit_that_does_not_fill_evenly_is_waited_for_and_one_goes_first() -> None:
    pace = Pace()
    pace.learn({"requests": Quota(0, 100, 10.0, 0.0)}, 0.0, 0.0, 0, refused=False)
    assert pace.wait(0.2) == 0  # if it fills evenly, there is room for one
    pace.sent(0.2)
    pace.learn({"requests": Quota(0, 100, 10.0, 0.2)}, 0.2, 0.3, 0, refused=True)
    assert pace.wait(5.0) == pytest.approx(5.0)
    assert pace.wait(10.0) == 0
    pace.sent(10.0)
    assert pace.wait(10.0) == pytest.approx(LONGEST)  # unless that one comes back
    pace.learn({"requests": Quota(99, 100, 20.0, 10.0)}, 10.0, 10.1, 0, refused=False)
    assert pace.wait(10.1) == 0


def test_the_first_calls_go_out_slowly_until_one_has_told() -> None:
    gate = Gate(100)
    for _ in range(FIRST):
        assert gate.wait(5.0) == 0
        gate.sent(5.0)
    assert 0 < gate.wait(5.0) < START
    assert gate.allowed(5.0 + START / 2) == FIRST + (100 - FIRST) // 2
    assert gate.allowed(5.0 + START) == 100
    gate.answered(5.1, 0.1)
    assert gate.allowed(5.1) == 100
