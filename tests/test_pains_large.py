"""Values out of all bounds: an error of ours and in good time, never another exception, and never all of the memory."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from chatmodels import ProtocolError
from chatmodels._parts import InvalidToolCall

from .conftest import World, chat
from .servers import DONE, Exchange, Server, answer, event, plain, raw, response, sse


def test_arguments_in_a_deep_nest_are_a_call_that_cannot_be_run(server: Server) -> None:
    """A model can be talked into writing them; the answer is there all the same."""
    deep = '{"a":' * 9_000
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": deep}}
    body = answer("")
    body["choices"][0] = {"index": 0, "message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}
    pieces = [event({"tool_calls": [{"index": 0, **call}]}), event({}, "tool_calls"), DONE]
    model = chat(server.route(plain(body), sse(pieces)))
    for message in (model("hi"), model.stream("hi").until_done()):
        [found] = message.tool_calls
        assert isinstance(found, InvalidToolCall)
        assert found.args == deep
        message.to_json()


NINES = "9" * 5000
ODD: dict[str, bytes] = {
    "a number of five thousand digits": b'{"created": %s, "choices": []}' % NINES.encode(),
    "a count without end": json.dumps({**answer(), "usage": {"prompt_tokens": 10**400}}).encode(),
    "a nest without end": b'{"choices": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_values_out_of_bounds(world: World, server: Server, body: bytes) -> None:
    whole, streamed = chat(server.route(plain(body))), chat(server.route(sse([b"data: " + body + b"\n\n", DONE])))
    with pytest.raises(ProtocolError):
        world.call(whole)
    found = world.read(streamed)
    assert isinstance(found.error, ProtocolError)


def _endless(exchange: Exchange) -> None:
    exchange.head(200, {"content-type": "application/json"})
    while True:
        exchange.send(b" " * 65536)


def test_a_body_without_end_is_given_up(world: World, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_http_sync", "_http_async"):
        monkeypatch.setattr(f"chatmodels.{name}.BODY_LIMIT", 1_000_000)
    bomb: Any = raw(response(gzip.compress(b" " * 5_000_000), content_encoding="gzip"))
    for script in (_endless, bomb):
        route = server.route(script)
        with pytest.raises(ProtocolError, match="larger than 1000000 bytes"):
            world.call(chat(route, max_retries=3))
        assert len(route.requests) == 1, "it would be no smaller the next time"


def test_one_event_may_hold_a_large_picture(server: Server) -> None:
    """The largest pictures of today are some 30 MB of base64, and stand in one event."""
    text = "x" * 17_000_000
    assert (
        chat(server.route(sse([event({"content": text}), event({}, "stop"), DONE]))).stream("hi").until_done().text
        == text
    )


def test_pieces_of_a_call_whose_name_comes_with_each_are_one_call(server: Server) -> None:
    piece = event({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "xx"}}]})
    first = event({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": '{"a": "'}}]})
    last = event({"tool_calls": [{"index": 0, "function": {"arguments": '"}'}}]})
    pieces = [first, piece * 300, last, event({}, "tool_calls"), DONE]
    [call] = chat(server.route(sse(pieces))).stream("hi").until_done().tool_calls
    assert call.args == {"a": "xx" * 300}
