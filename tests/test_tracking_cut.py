"""What streams took that broke off, or were left: a provider's count in the middle is not the end's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatmodels import AIMessage, Budget, ChatModel, IncompleteStream, Usage, track_usage
from chatmodels._errors import ConnectError, DeadlineError
from chatmodels._usage import Attempt
from chatmodels.callbacks import get_openai_callback
from chatmodels.prices import Price, Prices, cost_of

from .conftest import chat
from .servers import Route, Server, answer, events, plain, silent, sse

TABLE = Prices({"claude-x": Price(input=1.0, output=10.0)})


def event(kind: str, **data: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


START = event(
    "message_start",
    message={
        "id": "m", "type": "message", "role": "assistant", "model": "claude-x", "content": [], "stop_reason": None,
        "usage": {"input_tokens": 25, "output_tokens": 1},
    },
)  # fmt: skip
PAGE = [event("content_block_start", index=0, content_block={"type": "text", "text": ""})] + [
    event("content_block_delta", index=0, delta={"type": "text_delta", "text": "sixteen letters, " * 10})
    for _ in range(10)
]
#: 1,700 characters.
SEEN = 425


def model_of(route: Route) -> ChatModel:
    return ChatModel(
        "anthropic:claude-x", api_key="k", base_url=route.url.removesuffix("/v1"), max_retries=0, max_tokens=1000
    )


def test_a_cut_stream_took_at_least_what_came(server: Server) -> None:
    """Anthropic's only count before the end is 1."""
    budget = Budget(max_cost=1, prices=TABLE)
    model = model_of(server.route(sse([START, *PAGE]))).with_budget(budget)
    with track_usage(prices=TABLE) as usage, pytest.raises(IncompleteStream):
        list(model.stream("hi"))
    assert usage.usage.estimated
    assert usage.usage.input_tokens == 25
    assert usage.usage.output_tokens == pytest.approx(SEEN, rel=0.2)
    assert usage.cost.total == pytest.approx((25 + 10 * SEEN) / 1e6, rel=0.2)
    assert usage.cost.estimated
    assert budget.tokens == 1025  # the provider may have gone on writing: what was set aside stays booked


def test_a_stream_that_was_left_too(server: Server) -> None:
    with track_usage(prices=TABLE) as usage:
        stream = model_of(server.route(sse([START, *PAGE], end=False))).stream("hi")
        said = ""
        for chunk in stream:
            said += chunk.text
            if len(said) > 800:
                break
        stream.close()
    assert usage.usage.estimated
    assert usage.usage.output_tokens == pytest.approx(len(said) / 4, rel=0.3)
    cost = cost_of(stream.message, prices=TABLE)
    assert cost.estimated
    assert cost.total == pytest.approx(usage.cost.total)


def test_a_whole_stream_is_as_the_provider_says(server: Server) -> None:
    end = event("content_block_stop", index=0) + event(
        "message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3}
    )
    with track_usage(prices=TABLE) as usage:
        list(model_of(server.route(sse([START, *PAGE, end + event("message_stop")]))).stream("hi"))
    assert (usage.usage.input_tokens, usage.usage.output_tokens, usage.usage.estimated) == (25, 3, False)


def test_tries_that_nobody_counted_make_a_lower_bound() -> None:
    used = Usage(input_tokens=10, output_tokens=1)
    lost = Attempt(number=1, outcome="cancelled", provider="anthropic", model="claude-x")
    cut = Attempt(number=2, outcome="IncompleteStream", provider="anthropic", model="claude-x", usage=used)
    good = Attempt(number=3, provider="anthropic", model="claude-x", usage=used)
    tries = (lost, cut, good)
    message = AIMessage("hi", provider="anthropic", model="claude-x", finish_reason="stop", usage=used, attempts=tries)
    cost = cost_of(message, prices=TABLE)
    assert cost.total == pytest.approx(40 / 1e6)
    assert cost.estimated
    assert cost.omitted == ("1 try that nobody counted",)
    refused = Attempt(number=1, outcome="RateLimitError", provider="anthropic", model="claude-x")
    fine = AIMessage("hi", provider="anthropic", model="claude-x", usage=used, attempts=(refused, good))
    assert not cost_of(fine, prices=TABLE).lower_bound


def test_a_call_that_timed_out_was_worked_for_but_one_without_a_connection_was_not(server: Server) -> None:
    model = ChatModel("openai:claude-x", api_key="k", base_url=server.route(silent()).url, max_retries=0, timeout=0.1)
    with track_usage(prices=TABLE) as usage, pytest.raises(DeadlineError):
        model("hi")
    assert usage.usage.estimated
    assert (usage.usage.input_tokens or 0) > 0
    assert usage.cost.estimated
    with track_usage(prices=TABLE) as usage, pytest.raises(ConnectError):
        ChatModel("openai:claude-x", api_key="k", base_url="http://127.0.0.1:9/v1", max_retries=0)("hi")
    assert usage.total_tokens == 0
    late = Attempt(
        number=1, outcome="DeadlineError", provider="x", model="claude-x", error="x: the total deadline passed"
    )
    never = Attempt(number=2, outcome="DeadlineError", provider="x", model="claude-x", error="no connection to x: ...")
    good = Attempt(number=3, provider="x", model="claude-x", usage=Usage(input_tokens=1, output_tokens=1))
    message = AIMessage("hi", provider="x", model="claude-x", usage=good.usage, attempts=(late, never, good))
    assert cost_of(message, prices=TABLE).omitted == ("1 try that nobody counted",)


def test_cached_and_reasoning_tokens_under_the_names_of_the_callback(server: Server) -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 80}, "completion_tokens_details": {"reasoning_tokens": 30}}
    route = server.route(
        plain(answer(usage={"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, **details}))
    )
    with get_openai_callback() as cb:
        chat(route)("hi")
    assert (cb.prompt_tokens, cb.completion_tokens, cb.prompt_tokens_cached, cb.reasoning_tokens) == (100, 50, 80, 30)
    assert cb.total_cost == pytest.approx((20 * 0.15 + 80 * 0.075 + 50 * 0.60) / 1e6)


def test_a_stream_that_a_handler_ends_is_booked(server: Server) -> None:
    """What was sent is paid for, whoever raises then."""

    class Handler:
        raise_error = True

        def on_llm_new_token(self, token: str, **kw: Any) -> None:
            raise LookupError("enough")

    model = chat(server.route(sse(events("one two three", "four"))), callbacks=[Handler()])
    with track_usage() as used, pytest.raises(LookupError):
        list(model.stream("hi"))
    assert (used.calls, used.tries, used.usage.estimated) == (1, 1, True)
    assert (used.usage.input_tokens or 0) > 0
