"""Every number that a policy takes: what no number of that kind is, is refused where it is given, by its argument's name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from chatmodels import Budget, ChatModel, UsageError
from chatmodels.caches import InMemoryCache, SemanticCache
from chatmodels.control import Breaker, Limiter, deadline
from chatmodels.telemetry import log_to

REDIS = "redis://127.0.0.1:9"
chat = ChatModel("openai:gpt-4o-mini", api_key="k")

#: What is never a number of anything; and what is none where whole numbers are asked for.
NONE: list[Any] = [True, False, math.inf, -math.inf, math.nan, -1, "3", [], {}, 1 + 2j, object()]
NOT_WHOLE: list[Any] = [0.5, 2.0]
TOO_MUCH: list[Any] = [10**400, 1e300]

Make = Callable[[Any], Any]


def semantic(threshold: Any) -> Any:
    return SemanticCache(lambda text: [1.0], threshold=threshold)


WHOLE: dict[str, Make] = {
    "attempts": lambda v: chat.with_retry(attempts=v),
    "requests_per_minute": lambda v: chat.with_limits(requests_per_minute=v),
    "tokens_per_minute": lambda v: chat.with_limits(tokens_per_minute=v, shared=REDIS),
    "max_concurrency": lambda v: Limiter(max_concurrency=v),
    "most": lambda v: chat.with_hedge(1, most=v),
    "failures": lambda v: Breaker(failures=v),
    "max_entries": lambda v: InMemoryCache(max_entries=v),
    "max_bytes": lambda v: InMemoryCache(max_bytes=v),
    "attempts of an output": lambda v: chat.with_output(dict[str, str], attempts=v),
    "keep": lambda v: log_to("never-made.db", keep=v),
}
SECONDS: dict[str, Make] = {
    "base": lambda v: chat.with_retry(base=v),
    "cap": lambda v: chat.with_retry(cap=v),
    "patience": lambda v: chat.with_retry(patience=v),
    "after": lambda v: chat.with_hedge(v),
    "timeout: connect": lambda v: chat.with_timeouts(connect=v),
    "timeout: first_token": lambda v: chat.with_timeouts(first_token=v),
    "timeout: idle": lambda v: chat.with_timeouts(idle=v),
    "timeout: total": lambda v: chat.with_timeouts(total=v),
    "seconds": lambda v: Breaker(seconds=v),
    "ttl": lambda v: chat.with_cache(ttl=v),
    "ttl of a cache": lambda v: InMemoryCache(ttl=v),
    "seconds of deadline": lambda v: deadline(v).__enter__(),
    "deadline of a call": lambda v: chat("hi", deadline=v),
}
AMOUNTS: dict[str, Make] = {
    "max_cost": lambda v: chat.with_budget(max_cost=v),
    "max_tokens": lambda v: Budget(max_tokens=v),
    "max_calls": lambda v: Budget(max_calls=v),
}
CASES: list[tuple[str, Make, Any]] = [
    *((name, make, wrong) for name, make in WHOLE.items() for wrong in [*NONE, *NOT_WHOLE]),
    *((name, make, wrong) for name, make in SECONDS.items() for wrong in [*NONE, *TOO_MUCH]),
    *((name, make, wrong) for name, make in AMOUNTS.items() for wrong in [*NONE, *TOO_MUCH]),
    *((name, AMOUNTS[name], 0.5) for name in ("max_tokens", "max_calls")),
    *(("threshold", semantic, wrong) for wrong in [*NONE, 1.5, 0]),
]


def test_what_is_no_such_number_is_refused_by_name() -> None:
    for name, make, wrong in CASES:
        with pytest.raises(UsageError) as caught:
            make(wrong)
        argument = caught.value.argument or "?"
        assert argument in name
        assert argument.partition(":")[0] in str(caught.value) or "deadline" in str(caught.value)


@pytest.mark.parametrize("good", [1, 2])
def test_ordinary_numbers_are_taken(good: int) -> None:
    made: list[Make] = [
        make for name, make in (WHOLE | SECONDS | AMOUNTS).items() if name not in ("keep", "seconds of deadline")
    ]
    made.remove(SECONDS["deadline of a call"])
    for make in made:
        make(good)
    assert repr(chat.with_budget(max_cost=1e5)) == repr(chat)


def test_so_many_tries_that_no_float_holds_the_wait() -> None:
    from chatmodels._retry import Retry, backoff

    assert backoff(Retry(base=1, cap=20), 10**6, 0.5) == 10
