"""A 200 is no promise: bodies that hold no answer, errors in the middle of a stream in any shape, calls without a name.

Each is what some provider or gateway has been seen to do. None may pass for an answer, and what was said must reach the user.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatmodels import ChatModel, ChatModelError, OutOfCreditError, OverloadedError, ProtocolError, ProviderError

from .conftest import World, chat
from .servers import DONE, USAGE, Exchange, Server, error, event, plain, raw, response, sse

PROVIDERS = ("openai", "openai-responses", "anthropic", "google", "mistral", "cohere", "ollama", "huggingface")


def at(provider: str, url: str) -> ChatModel:
    return ChatModel(f"{provider}:m", api_key="a-key-of-no-use", base_url=url, max_retries=1)


#: JSON with status 200 that is no answer of any provider, and what of it the error has to say.
NO_ANSWERS: list[tuple[bytes, str]] = [
    (b"{}", "{}"),
    (b'{"status": "ok"}', "status"),
    (b'{"message": "the upstream is gone"}', "the upstream is gone"),
    (b'{"detail": "not allowed here"}', "not allowed here"),
    (b'{"object": "error", "message": "no such lora"}', "no such lora"),
    (b'{"success": false, "errors": [{"message": "worker died"}]}', "worker died"),
    (b'{"code": 1301, "msg": "unsafe content"}', "unsafe content"),
    (b'{"base_resp": {"status_code": 1004, "status_msg": "login fail"}, "choices": null}', "login fail"),
    (b"<html>Please log in</html>", "Please log in"),
]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_body_without_an_answer_is_an_error_that_says_what_came(server: Server, provider: str) -> None:
    route = server.route(*(plain(body) for body, _ in NO_ANSWERS))
    model = at(provider, route.url)
    for body, said in NO_ANSWERS:
        with pytest.raises(ChatModelError) as raised:
            model("hi")
        assert isinstance(raised.value, (ProviderError, ProtocolError)), body
        assert said in str(raised.value), body
    assert len(route.requests) == len(NO_ANSWERS)


@pytest.mark.parametrize("provider", ["openai", "openai-responses", "anthropic", "google", "mistral", "cohere"])
def test_nor_is_it_one_where_a_stream_was_asked_for(server: Server, provider: str) -> None:
    route = server.route(*(plain(body) for body, _ in NO_ANSWERS))
    model = at(provider, route.url)
    for body, said in NO_ANSWERS:
        with pytest.raises(ChatModelError) as raised:
            model.stream("hi").until_done()
        assert said in str(raised.value) or body.startswith(b"<"), body


def test_choices_that_are_none_are_tried_again(server: Server) -> None:
    """What a router gives when the host behind it failed; the next try goes to another one."""
    route = server.route(plain({"choices": [], "usage": {"prompt_tokens": 3}}), plain())
    answer = chat(route, max_retries=2).with_retry(attempts=2, base=0)("hi")
    assert (answer.text, [a.outcome for a in answer.attempts]) == ("J'aime programmer.", ["ProtocolError", "ok"])


#: How an answer of a few words begins, in each format.
BEGINNINGS: dict[str, list[bytes]] = {
    "openai": [event({"role": "assistant", "content": ""}), event({"content": "Bon"})],
    "mistral": [event({"role": "assistant", "content": ""}), event({"content": "Bon"})],
    "openai-responses": [
        b'data: {"type": "response.created", "response": {"id": "r", "output": []}}\n\n',
        b'data: {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Bon"}\n\n',
    ],
    "anthropic": [
        b'event: message_start\ndata: {"type": "message_start", "message": {"id": "m", "model": "c", "content": []}}\n\n',
        b'data: {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}\n\n',
        b'data: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Bon"}}\n\n',
    ],
    "google": [b'data: {"candidates": [{"content": {"parts": [{"text": "Bon"}], "role": "model"}}]}\r\n\r\n'],
    "cohere": [
        b'data: {"type": "message-start", "id": "m", "delta": {"message": {"role": "assistant"}}}\n\n',
        b'data: {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}\n\n',
        b'data: {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Bon"}}}}\n\n',
    ],
}

#: Errors as they stand in the middle of streams: as an event in the provider's own form or another's, or bare.
IN_THE_MIDDLE: list[bytes] = [
    b'data: {"error": {"message": "the engine died", "code": 503}}\n\n',
    b'event: error\ndata: {"error": {"message": "the engine died"}}\n\n',
    b'data: {"message": "the engine died"}\n\n',
    b'data: {"detail": "the engine died"}\n\n',
    b'data: {"object": "error", "message": "the engine died", "code": 503}\n\n',
    b'{"error": {"message": "the engine died", "code": 503}}\n\n',
    b'{\n  "error": {\n    "code": 503,\n    "message": "the engine died"\n  }\n}\n',
    b'{"error": {"message": "the engine died"}}',
    b'[{"error": {"message": "the engine died", "code": 503}}]',
    b"Internal Server Error: the engine died",
    b"data: the engine died\n\n",
    b"event: error\ndata: the engine died\n\n",
]


@pytest.mark.parametrize("provider", BEGINNINGS)
def test_an_error_in_the_middle_is_told_in_whatever_form_it_stands(server: Server, provider: str) -> None:
    begin = BEGINNINGS[provider]
    after = [DONE] if provider in ("openai", "mistral") else []
    tails = [(e, a) for e in IN_THE_MIDDLE for a in ([], after)[: 1 + bool(after)] if not a or e.endswith(b"\n\n")]
    route = server.route(*(sse([*begin, e, *a]) for e, a in tails))
    model = at(provider, route.url)
    for found, _ in tails:
        stream = model.stream("hi")
        with pytest.raises(ChatModelError) as raised:
            stream.until_done()
        assert "the engine died" in str(raised.value), found
        assert raised.value.partial.text == "Bon", found
        if b"503" in found:
            assert isinstance(raised.value, OverloadedError), found


def test_a_bare_error_is_told_in_every_world(world: World, server: Server) -> None:
    said = b'{"error": {"message": "You have no credit left", "code": "insufficient_quota"}}'
    found = world.read(chat(server.route(sse([*BEGINNINGS["openai"], said]))))
    assert isinstance(found.error, OutOfCreditError)
    assert found.error.partial.text == found.text == "Bon"


def test_lines_that_are_no_fields_do_no_harm(server: Server) -> None:
    """The standard says to skip them; only where the answer is missing are they looked at."""
    pieces = [
        *BEGINNINGS["openai"],
        b"foo: bar\nbaz\n" + event({"content": "jour"}),
        b"x: y\n\n",
        event({}, "stop"),
        DONE,
    ]
    assert chat(server.route(sse(pieces))).stream("hi").until_done().text == "Bonjour"


def look_up(word: str = "") -> str:
    """Look a word up."""
    raise AssertionError("nobody has called this tool by its name")


def _nameless(exchange: Exchange) -> None:
    """A call whose first piece, with its name, was lost."""
    body = exchange.request.json
    if body["messages"][-1]["role"] == "tool":
        sse([event({"content": "done"}), event({}, "stop"), DONE])(exchange)
    else:
        call = {"index": 0, "function": {"arguments": json.dumps({"word": "x"})}}
        sse([event({"tool_calls": [call]}), event({}, "tool_calls"), DONE])(exchange)


def test_a_call_without_a_name_is_no_call(server: Server) -> None:
    route = server.route(_nameless)
    run = chat(route, streaming=True).with_tools(look_up).run_tools("hi")
    asked: Any = run.messages[1]
    [call] = asked.tool_calls
    assert (type(call).__name__, call.args, call.error) == ("InvalidToolCall", '{"word": "x"}', "the call has no name")
    assert run.message.text == "done"


def test_a_gateways_page_is_shown_in_the_error(server: Server) -> None:
    page: Any = raw(response(b"<html><title>Sign in to the network</title>", kind="text/html"))
    with pytest.raises(ProtocolError, match="Sign in to the network"):
        chat(server.route(page))("hi")


def test_parallel_calls_that_all_have_the_index_0_and_no_id(server: Server) -> None:
    """As a host's layer for this format sends them; a name that is only said again begins nothing."""

    def deltas(*pieces: tuple[str | None, str]) -> list[bytes]:
        calls = [{"index": 0, "id": "", "function": {"name": name, "arguments": args}} for name, args in pieces]
        return [*(event({"tool_calls": [c]}) for c in calls), event({}, "tool_calls"), DONE]

    two = deltas(("look_up", '{"word": "a"}'), ("look_up", ""), ("look_up", '{"word":'), (None, ' "b"}'))
    one = deltas(("look_up", '{"word":'), ("look_up", ' "a"}'))
    model = chat(server.route(sse(two), sse(one)))
    assert [c.args for c in model.stream("hi").until_done().tool_calls] == [{"word": "a"}, {"word": "b"}]
    assert [c.args for c in model.stream("hi").until_done().tool_calls] == [{"word": "a"}]


def test_usage_that_stands_in_the_choice_is_read(server: Server) -> None:
    """Where one host counts the tokens of a stream, in its last chunk."""
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]}
    pieces = [event({"content": "Bon"}), b"data: " + json.dumps(last).encode() + b"\n\n", DONE]
    answer = chat(server.route(sse(pieces))).stream("hi").until_done()
    assert answer.usage is not None
    assert answer.usage.total_tokens == USAGE["total_tokens"]


#: What providers say of an empty account, and with what status.
NO_CREDIT: list[tuple[str, int, dict[str, Any]]] = [
    ("Your credit balance is too low to access the Anthropic API.", 400, {"type": "invalid_request_error"}),
    ("Your team has either used all available credits or reached its monthly spending limit.", 429, {}),
    ("You have run out of credits or need a subscription.", 403, {}),
    (
        "Your account is not active, please check your plan and billing details",
        403,
        {"type": "exceeded_current_quota_error"},
    ),
    (
        "Access denied, please make sure your account is in good standing.",
        400,
        {"code": "Arrearage", "type": "Arrearage"},
    ),
    ("You exceeded your current quota", 429, {"type": "insufficient_quota"}),
]


@pytest.mark.parametrize(("message", "status", "fields"), NO_CREDIT)
def test_an_empty_account_is_told_apart_and_not_asked_again(
    server: Server, message: str, status: int, fields: dict[str, Any]
) -> None:
    route = server.route(error(status, message, **fields), plain())
    with pytest.raises(OutOfCreditError):
        chat(route, max_retries=3)("hi")
    assert len(route.requests) == 1


def test_a_new_kind_of_delta_is_told_and_not_sent_back(server: Server) -> None:
    """A part that is known grows in a way that is not."""
    said = {"type": "content_block_delta", "index": 0, "delta": {"type": "mood_delta", "mood": "glad"}}
    ends = [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]
    pieces = [*BEGINNINGS["anthropic"], *(b"data: " + json.dumps(e).encode() + b"\n\n" for e in (said, *ends))]
    route = server.route(sse(pieces))
    answer = at("anthropic", route.url).stream("hi").until_done()
    assert answer.text == "Bon"
    assert "glad" in answer.to_json()
    at("anthropic", route.url).stream(["hi", answer, "go on"]).until_done()
    assert b"glad" not in route.requests[1].body


@pytest.mark.parametrize(
    ("raw_reason", "reason"),
    [
        ("network_error", "error"),
        ("insufficient_system_resource", "error"),
        ("abort", "error"),
        ("sensitive", "content_filter"),
    ],
)
def test_a_host_that_gives_up_says_so_and_no_tool_is_run(server: Server, raw_reason: str, reason: str) -> None:
    call = {"index": 0, "id": "c", "function": {"name": "look_up", "arguments": "{}"}}
    route = server.route(sse([event({"tool_calls": [call]}), event({}, raw_reason), DONE]))
    run = chat(route, streaming=True).with_tools(look_up).run_tools("hi")
    assert (run.stopped, run.message.finish_reason, run.message.raw_finish_reason) == (True, reason, raw_reason)
    assert len(route.requests) == 1
