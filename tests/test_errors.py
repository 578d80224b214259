"""What errors carry, from the wire to the user: class, status, request id, the provider's words; and that all pickle."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import chatmodels._errors as errors
from chatmodels import (
    AuthenticationError,
    BatchError,
    ChatModelError,
    ContextTooLongError,
    DeadlineError,
    IncompleteStream,
    OutOfCreditError,
    OverloadedError,
    ProviderError,
    RateLimitError,
    TransportError,
    UsageError,
)

from .conftest import World, chat
from .servers import Server, answer, error, event, events, plain, raw, silent, sse

pytestmark = pytest.mark.clock

STATUSES: list[tuple[int, dict[str, Any], type[ProviderError], bool]] = [
    (400, {}, errors.BadRequestError, False),
    (400, {"code": "context_length_exceeded"}, ContextTooLongError, False),
    (400, {"code": "content_filter"}, errors.ContentFilterError, False),
    (401, {"code": "invalid_api_key"}, AuthenticationError, False),
    (402, {}, OutOfCreditError, False),
    (403, {}, errors.PermissionDeniedError, False),
    (404, {"code": "model_not_found"}, errors.NotFoundError, False),
    (429, {"type": "rate_limit_error"}, RateLimitError, True),
    (429, {"code": "insufficient_quota"}, OutOfCreditError, False),
    (500, {}, OverloadedError, True),
    (503, {}, OverloadedError, True),
    (529, {}, OverloadedError, True),
]


@pytest.mark.parametrize(("status", "fields", "cls", "retryable"), STATUSES)
@pytest.mark.parametrize("way", ["call", "stream"])
def test_by_status_and_code(
    world: World, server: Server, way: str, status: int, fields: dict[str, Any], cls: type[Any], retryable: bool
) -> None:
    headers = {"x-request-id": "req_7", "retry-after": "3", "x-more": "1"}
    model = chat(server.route(error(status, "the provider's words", headers, **fields)), timeout={"total": 1})
    found = world.calls(model, 1)[0] if way == "call" else world.read(model).error
    assert type(found) is cls
    assert (found.status, found.status_code, found.request_id) == (status, status, "req_7")
    assert found.message == "the provider's words"
    assert "the provider's words" in str(found)
    assert str(status) in str(found)
    assert found.code == (fields.get("code") or fields.get("type"))
    assert found.retryable is retryable
    assert found.retry_after == 3
    assert found.headers["x-more"] == "1"
    assert found.body["error"]["message"] == "the provider's words"
    assert (found.provider, found.model) == ("openai", "gpt-4o-mini")
    assert [(a.outcome, a.status, a.request_id) for a in found.attempts] == [(cls.__name__, status, "req_7")]


def test_an_error_inside_a_good_status(world: World, server: Server) -> None:
    body = {"error": {"message": "upstream is busy", "code": 503}}
    model = chat(server.route(plain(body), sse([b'data: {"error": {"message": "no", "code": 401}}\n\n'])))
    first = world.calls(model, 1)[0]
    assert isinstance(first, OverloadedError)
    assert first.status == 503
    second = world.read(model).error
    assert isinstance(second, AuthenticationError)


def test_a_redirect_is_an_error_and_the_key_does_not_follow_it(world: World, server: Server) -> None:
    other = server.route(plain())
    model = chat(server.route(plain({}, 307, {"location": other.url})))
    found = world.calls(model, 1)[0]
    assert isinstance(found, ProviderError)
    assert found.status == 307
    assert not other.requests


def test_an_error_whose_body_breaks_off_is_still_that_error(world: World, server: Server) -> None:
    head = b"HTTP/1.1 401 No\r\ncontent-type: application/json\r\ncontent-length: 500\r\nx-request-id: r\r\n\r\n"
    found = world.read(chat(server.route(raw(head + b'{"error": {"mess')))).error
    assert isinstance(found, AuthenticationError)
    assert found.request_id == "r"


# ---- pickling


def _every() -> list[ChatModelError]:
    """One error of every class, with something in every field."""
    attempts = ({"number": 1},)
    more = {"provider": "openai", "model": "m", "attempts": attempts, "partial": "so far"}
    found: list[ChatModelError] = []
    for name in errors.__all__:
        cls = getattr(errors, name)
        own: dict[str, Any] = {}
        if issubclass(cls, UsageError):
            own = {"argument": "model"}
        elif issubclass(cls, DeadlineError):
            own = {"phase": "idle", "seconds": 3.0}
        elif issubclass(cls, TransportError):
            own = {"phase": "connect"}
        elif issubclass(cls, ProviderError):
            own = {"status": 429, "code": "c", "retry_after": 2.0, "body": {"a": [1]}, "headers": {"b": "c"}}
        elif issubclass(cls, errors.ProtocolError):
            own = {"path": "$.a", "data": b"x"}
        elif issubclass(cls, errors.OutputError):
            own = {"truncated": True}
        elif issubclass(cls, BatchError):
            own = {"results": [1, ValueError("no")]}
        found.append(cls("what happened", **more, **own))
    return found


@pytest.mark.parametrize("failed", _every(), ids=lambda e: type(e).__name__)
def test_every_class_pickles_and_copies(failed: ChatModelError) -> None:
    failed.request_id = "req_1"
    failed.__cause__ = OSError(5, "no")
    for again in (pickle.loads(pickle.dumps(failed)), copy.copy(failed)):
        assert type(again) is type(failed)
        assert str(again) == "what happened"
        have, want = dict(vars(again)), dict(vars(failed))
        assert repr(have) == repr(want)
        assert repr(again.__cause__) == repr(failed.__cause__)
        assert again.retryable == failed.retryable


class Unpicklable(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__("only one argument is kept")


@pytest.mark.parametrize("cause", [Unpicklable(1, 2), ValueError(lambda: None)])
def test_a_cause_that_cannot_be_pickled_becomes_its_text(cause: Exception) -> None:
    failed = TransportError("broke")
    failed.__cause__ = cause
    again = pickle.loads(pickle.dumps(failed))
    assert type(cause).__name__ in str(again.__cause__)


def test_what_calls_raise_pickles(world: World, server: Server) -> None:
    """With the causes that the libraries below give."""
    pieces = events("Bon")
    route = server.route(
        silent(), raw(b""), raw(b"nonsense\r\n\r\n\r\n"), error(429, headers={"retry-after": "9"}), plain(b"<html>")
    )
    found = world.calls(chat(route, timeout={"first_token": 0.1, "total": 5}), 5)
    nowhere = chat("http://127.0.0.1:9/v1")
    found += world.calls(nowhere, 1)
    found += [world.read(chat(server.route(sse(pieces[:2])))).error]
    found += world.batch(nowhere, ["a", "b"], errors="return")
    assert len(found) == 9
    for one in found:
        again = pickle.loads(pickle.dumps(one))
        assert type(again) is type(one)
        assert str(again) == str(one)
        assert again.attempts == one.attempts
        assert again.partial == one.partial
    assert isinstance(found[6], IncompleteStream)
    assert found[6].message.text == "Bon"


def test_results_pickle(world: World, server: Server) -> None:
    message = world.call(chat(server.route(error(500), plain()), max_retries=2).with_retry(base=0))
    again = pickle.loads(pickle.dumps(message))
    assert again == message
    assert again.attempts == message.attempts
    assert len(again.attempts) == 2
    result = chat(server.route()).generate(["a", "b"])
    assert pickle.loads(pickle.dumps(result)) == result


def test_a_batch_error_pickles(world: World, server: Server) -> None:
    route = server.route(plain(), error(400), plain())
    with pytest.raises(BatchError) as caught:
        world.batch(chat(route), ["a", "b", "c"], max_concurrency=1)
    again = pickle.loads(pickle.dumps(caught.value))
    assert [getattr(r, "content", type(r).__name__) for r in again.results] == [
        "J'aime programmer.", "BadRequestError", "J'aime programmer.",
    ]  # fmt: skip
    assert list(again.errors) == [1]


def test_usage_errors_are_value_errors_and_deadlines_are_timeouts() -> None:
    assert issubclass(UsageError, ValueError)
    assert issubclass(DeadlineError, TimeoutError)


def test_no_answer_is_made_of_something_else(world: World, server: Server) -> None:
    """A gateway's page, JSON that is no answer, an empty body."""
    bodies = [b"<html>hello</html>", b"[]", b"null", b"", b'"ok"', b'{"choices": 5}']
    found = world.calls(chat(server.route(*(plain(b) for b in bodies))), len(bodies))
    assert [isinstance(f, ChatModelError) for f in found] == [True] * len(bodies), found


def test_text_that_is_not_unicode(world: World, server: Server) -> None:
    """Half of a pair, escaped, is mended rather than passed on to break the next step."""
    body = answer("x").copy()
    body["choices"][0]["message"]["content"] = "a\ud83db"
    import json

    found = world.calls(chat(server.route(plain(json.dumps(body).encode()))), 1)[0]
    assert found.text.encode("utf-8")
    stream = world.read(chat(server.route(sse([event({"content": "a\ud83d"}), event({"content": "\ude00b"}, "stop")]))))
    assert stream.error is None
    assert stream.stream.message.text.encode("utf-8")
