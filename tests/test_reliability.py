"""What is around the retries: which errors they are for, a deadline for a block, and the ledger that tells of it all."""

from __future__ import annotations

import pickle
import time
from typing import Any

import pytest

from chatmodels import (
    BatchError,
    ChatModel,
    ContextTooLongError,
    DeadlineError,
    OverloadedError,
    ProviderError,
    RateLimitError,
    UsageError,
)
from chatmodels._errors import BadRequestError, ConnectError
from chatmodels._retry import Retry, wanted, wants_again
from chatmodels.control import deadline

from .conftest import World, chat
from .servers import Server, either, error, events, plain, silent, sse
from .test_retry import OK, Play, refused

pytestmark = pytest.mark.clock

# ---- which errors are tried again


def test_on_takes_the_place_of_the_rule() -> None:
    only = Retry(on=(RateLimitError,))
    assert (Play(refused(429), OK).call(only).attempts[-1].outcome) == "ok"
    play = Play(refused(500), OK)
    assert isinstance(play.call(only), OverloadedError)
    assert play.sent == 1
    assert Play(refused(401), OK).call(Retry(on=lambda e: getattr(e, "status", 0) == 401)).text
    assert not wants_again(Retry(on=(DeadlineError,)), DeadlineError("late", phase="total"))


def test_a_bad_request_only_where_it_is_named() -> None:
    assert not wanted((ProviderError,), BadRequestError("x"))
    assert wanted((BadRequestError,), ContextTooLongError("x"))
    assert not wanted((ContextTooLongError,), BadRequestError("x"))
    assert wanted((ProviderError, OSError), OverloadedError("x"))


def test_silence_is_tried_again_unless_a_fallback_is_at_hand() -> None:
    silence = DeadlineError("late", phase="first_token")
    assert wants_again(Retry(), silence)
    assert not wants_again(Retry(silent=False), silence)
    assert wants_again(Retry(silent=False), DeadlineError("late", phase="connect"))


def test_with_retry_on(server: Server) -> None:
    route = server.route(error(500), plain())
    model = chat(route).with_retry(attempts=2, base=0, on=RateLimitError)
    with pytest.raises(OverloadedError):
        model("hi")
    assert model.with_retry(on=[OverloadedError])("hi").text
    assert pickle.loads(pickle.dumps(ChatModel("local").with_retry(on=RateLimitError)))._config.retry.on == (
        RateLimitError,
    )
    for wrong in (7, "RateLimitError", [int], []):
        with pytest.raises(UsageError, match="on is an error class"):
            model.with_retry(on=wrong)


# ---- a deadline for a block


def test_all_calls_of_a_block_share_a_deadline(server: Server) -> None:
    world = World("asyncio")
    quick, slow = server.route(either("a")), server.route(silent(9))
    began = time.monotonic()
    with deadline(0.3):
        assert world.call(chat(quick)).text == "a"
        (failed,) = world.calls(chat(slow), 1)
        assert isinstance(failed, DeadlineError)
        assert (failed.phase, time.monotonic() - began < 3) == ("total", True)
        found = world.read(chat(quick))
        assert isinstance(found.error, DeadlineError)
        assert "had passed before it began" in str(found.error)
    assert len(quick.requests) == 1
    assert world.call(chat(quick)).text == "a"


def test_the_nearer_deadline_holds_and_a_fallback_is_within_it(server: Server) -> None:
    slow = server.route(silent(9))
    with deadline(60), pytest.raises(DeadlineError):
        chat(slow, timeout=0.05)("hi")
    up = server.route(silent(9))
    model = chat(server.route(error(500))).with_fallback(chat(up, timeout=60))
    began = time.monotonic()
    with deadline(0.1), pytest.raises(Exception, match="deadline"):
        model("hi")
    assert time.monotonic() - began < 3
    assert len(up.requests) == 1


def test_batches_are_within_it_too(server: Server) -> None:
    model = chat(server.route(silent(9)))
    with deadline(0.05), pytest.raises(BatchError) as caught:
        model.batch(["a", "b"])
    assert {type(e) for e in caught.value.results} == {DeadlineError}


@pytest.mark.parametrize("wrong", [0, -1, float("inf"), float("nan")])
def test_a_deadline_is_a_number_above_0(wrong: float) -> None:
    with pytest.raises(UsageError, match="above 0"), deadline(wrong):
        pass


# ---- the ledger


def test_one_ledger_tells_of_retries_waits_models_usage_and_ids(world: World, server: Server) -> None:
    first = server.route(error(429, headers={"retry-after-ms": "20", "x-request-id": "req_a"}), sse(events("a")[:2]))
    second = server.route(sse(events("b", "c")))
    model = chat(first, model_name="one", max_retries=3).with_limits(max_concurrency=1)
    found = world.read(model.with_fallback(chat(second, model_name="two").with_limits(requests_per_minute=9)))
    one, two, three = found.stream.message.attempts
    told: list[Any] = [(a.number, a.provider, a.model, a.outcome, a.status, a.request_id) for a in (one, two, three)]
    assert told == [
        (1, "openai", "one", "RateLimitError", 429, "req_a"),
        (2, "openai", "one", "IncompleteStream", None, "req_1"),
        (3, "openai", "two", "ok", None, "req_1"),
    ]
    assert (one.waited, two.waited >= 0.02, three.waited) == (0, True, 0)
    assert (one.usage, two.usage, three.usage.total_tokens) == (None, None, 13)
    assert all(a.seconds is not None and 0 < a.seconds < 5 for a in (one, two, three))
    assert one.error is not None
    assert "429" in one.error


def test_an_address_that_is_not_there(server: Server) -> None:
    nowhere = chat("http://127.0.0.1:9/v1").with_fallback(chat(server.route(either("b"))), breaker=None)
    message = nowhere("hi")
    assert [a.outcome for a in message.attempts] == [ConnectError.__name__, "ok"]
