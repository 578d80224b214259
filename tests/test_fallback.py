"""Fallback: another model gives the whole answer, in every world; what is joined, what is carried, what is never done."""

from __future__ import annotations

import pickle
from typing import Any

import msgspec
import pytest

from chatmodels import (
    ChatModel,
    ChatModelError,
    ChatOpenAI,
    ContentFilterError,
    DeadlineError,
    OverloadedError,
    ProviderError,
    RateLimitError,
    UsageError,
)
from chatmodels._calls import call_flow, stream_flow
from chatmodels._errors import BadRequestError
from chatmodels._events import Restarted
from chatmodels._flow import Deliver
from chatmodels._plan import Streaming
from chatmodels.control import Breaker, BreakerOpen, FallbackError
from chatmodels.layers import Layer

from .conftest import World, chat
from .servers import Route, Server, either, error, event, events, plain, silent, sse
from .servers import answer as body
from .test_retry import OK, PIECES, Play, refused

pytestmark = pytest.mark.clock

CUT = sse(events("Bon", "jour")[:2])


def other(route: Route, **options: Any) -> ChatOpenAI:
    return chat(route, model_name="other", **options)


def outcomes(message: Any) -> list[tuple[int, str, str | None]]:
    return [(a.number, a.outcome, a.model) for a in message.attempts]


# ---- the answer


def test_another_model_answers_in_every_world(world: World, server: Server) -> None:
    down, up = server.route(error(503)), server.route(either("Bon", "jour"))
    model = chat(down, max_retries=2).with_retry(base=0).with_fallback(other(up))
    message = world.call(model)
    assert message.text == "Bonjour"
    first = chat(down).model
    tries = [(1, "OverloadedError", first), (2, "OverloadedError", first), (3, "ok", "other")]
    assert outcomes(message) == tries
    assert up.requests[0].json["model"] == "other"
    found = world.read(model)
    assert (found.error, found.texts) == (None, ["Bon", "jour"])
    assert outcomes(found.stream.message) == tries
    assert [m.text for m in world.batch(model, ["a", "b"])] == ["Bonjour"] * 2


def test_the_answer_names_the_model_that_gave_it(server: Server) -> None:
    up = server.route(plain(body("hi", model="gpt-other")), plain({**body("hi"), "model": None}))
    model = chat(server.route(error(503))).with_fallback(ChatModel("groq:other", base_url=up.url, api_key="k"))
    one, two = model("hi"), model("hi")
    assert [(m.provider, m.model) for m in (one, two)] == [("groq", "gpt-other"), ("groq", "other")]


def test_before_the_first_token_it_is_invisible(world: World, server: Server) -> None:
    first = server.route(sse([event({"role": "assistant", "content": ""}), b"data: {nonsense}\n\n"]))
    found = world.read(chat(first).with_fallback(other(server.route(sse(events("a", "b"))))))
    assert (found.error, found.text, found.stream.message.text) == (None, "ab", "ab")


def test_after_the_first_token_the_stream_restarts_and_says_so(world: World, server: Server) -> None:
    model = chat(server.route(CUT)).with_fallback(other(server.route(sse(events("Salut", "!")))))
    found = world.read(model)
    assert found.error is None
    assert found.texts == ["Bon", "Salut", "!"]
    message = found.stream.message
    assert (message.text, message.finish_reason) == ("Salut!", "stop")
    assert [a.outcome for a in message.attempts] == ["IncompleteStream", "ok"]
    assert message.attempts[0].error


def test_the_restart_stands_between_the_answers(server: Server) -> None:
    model = chat(server.route(CUT)).with_fallback(other(server.route(sse(events("Salut")))))
    seen = [c.event for c in model.stream("hi")]
    at = next(i for i, e in enumerate(seen) if isinstance(e, Restarted))
    restarted = seen[at]
    assert isinstance(restarted, Restarted)
    assert (restarted.provider, restarted.model) == ("openai", "other")
    assert restarted.reason.startswith("IncompleteStream: ")
    assert sum(isinstance(e, Restarted) for e in seen) == 1


def test_chunks_that_are_added_up_are_the_new_answer(server: Server) -> None:
    model = chat(server.route(CUT)).with_fallback(other(server.route(sse(events("Sal", "ut")))))
    first, *rest = model.stream("hi")
    whole = sum(rest, first)
    assert whole.text == whole.to_message().text == "Salut"


def test_three_models_one_broken_in_the_middle_one_before(server: Server) -> None:
    model = chat(server.route(CUT)).with_fallback(
        other(server.route(error(500))), chat(server.route(sse(events("Salut"))), model_name="third")
    )
    stream = model.stream("hi")
    seen = [c.event for c in stream]
    assert sum(isinstance(e, Restarted) for e in seen) == 1
    assert stream.message.text == "Salut"
    assert [o for _, o, _ in outcomes(stream.message)] == ["IncompleteStream", "OverloadedError", "ok"]


# ---- which errors


@pytest.mark.parametrize(
    "first",
    [
        *(error(429), error(500), error(529), error(400, code="context_length_exceeded"), plain(b"<html>")),
        *(error(402), error(429, code="insufficient_quota")),
    ],
    ids=["rate", "broken", "overloaded", "context", "nonsense", "credit", "quota"],
)
def test_asked_after(first: Any, server: Server) -> None:
    assert chat(server.route(first)).with_fallback(other(server.route(either("b"))))("hi").text == "b"


@pytest.mark.parametrize(
    "first",
    [error(400), error(400, code="content_filter"), error(401), error(404)],
    ids=["bad", "filter", "key", "missing"],
)
def test_not_asked_after(first: Any, server: Server) -> None:
    up = server.route(either("b"))
    with pytest.raises(ProviderError) as caught:
        chat(server.route(first)).with_fallback(other(up))("hi")
    assert not up.requests
    assert not isinstance(caught.value, FallbackError)
    assert len(caught.value.attempts) == 1


def test_classes_and_functions_choose(server: Server) -> None:
    down, up = server.route(error(401)), server.route(either("b"))
    assert chat(down).with_fallback(other(up), on=ProviderError)("hi").text == "b"
    assert chat(down).with_fallback(other(up), on=lambda e: "401" in str(e))("hi").text == "b"
    with pytest.raises(ProviderError):
        chat(server.route(error(500))).with_fallback(other(up), on=[RateLimitError])("hi")


def test_a_filter_or_a_bad_request_only_where_it_is_named(server: Server) -> None:
    filtered, up = server.route(error(400, code="content_filter")), server.route(either("b"))
    with pytest.raises(ContentFilterError):
        chat(filtered).with_fallback(other(up), on=ChatModelError)("hi")
    assert not up.requests
    assert chat(filtered).with_fallback(other(up), on=ContentFilterError)("hi").text == "b"


def test_a_silent_provider_is_not_tried_a_second_time(world: World, server: Server) -> None:
    first = server.route(silent(5))
    limits = {"connect": 5, "first_token": 0.05, "idle": 5, "total": 10}
    model = chat(first, max_retries=3, timeout=limits).with_fallback(other(server.route(either("b"))))
    assert world.call(model).text == "b"
    assert world.read(model).text == "b"
    assert len(first.requests) == 2


# ---- errors


def test_when_all_fail_the_error_says_what_each_said(world: World, server: Server) -> None:
    model = chat(server.route(error(503, "on fire"))).with_fallback(other(server.route(error(429, "slow down"))))
    found: list[Any] = [*world.calls(model, 1), world.read(model).error]
    for failed in found:
        assert isinstance(failed, FallbackError)
        assert "on fire" in str(failed)
        assert "slow down" in str(failed)
        assert [type(e) for e in failed.errors] == [OverloadedError, RateLimitError]
        assert failed.__cause__ is failed.errors[0]
        assert [a.number for a in failed.attempts] == [1, 2]
        again = pickle.loads(pickle.dumps(failed))
        assert (str(again), len(again.errors)) == (str(failed), 2)


def test_a_stream_that_breaks_on_all_keeps_the_newest_part(server: Server) -> None:
    model = chat(server.route(CUT)).with_fallback(other(server.route(sse(events("Salut")[:2]))))
    stream = model.stream("hi")
    with pytest.raises(FallbackError) as caught:
        list(stream)
    assert caught.value.partial.text == "Salut"
    assert caught.value.errors[0].partial.text == "Bon"
    assert [a.outcome for a in stream.message.attempts] == ["IncompleteStream"] * 2


def test_an_error_that_ends_the_walk_has_the_first_one(server: Server) -> None:
    model = chat(server.route(error(503))).with_fallback(other(server.route(error(400, "too odd"))))
    with pytest.raises(BadRequestError, match="too odd") as caught:
        model("hi")
    assert isinstance(caught.value.__cause__, OverloadedError)
    assert [a.outcome for a in caught.value.attempts] == ["OverloadedError", "BadRequestError"]


def test_an_error_that_ends_a_stream_s_walk_has_the_part_before_it(server: Server) -> None:
    model = chat(server.route(CUT)).with_fallback(other(server.route(error(400, "too odd"))))
    with pytest.raises(BadRequestError, match="too odd") as caught:
        model.stream("hi").until_done()
    assert caught.value.partial.text == "Bon"


def test_a_model_that_cannot_take_the_call_is_passed_over(server: Server) -> None:
    down, up = server.route(error(503)), server.route(either("b"))
    odd = chat(server.route()).with_layer(Refuses())
    assert chat(down).with_fallback(odd, other(up))("hi").text == "b"
    with pytest.raises(UsageError):
        odd.with_fallback(other(up))("hi")


class Refuses(Layer):
    """Cannot take any call."""

    def call(self, plan: Any, call: Any, inner: Any) -> Any:
        raise UsageError("not with me", argument="n")


# ---- what goes along


def test_the_call_s_settings_go_along_and_the_model_s_own_stay(server: Server) -> None:
    up = server.route(either("b"))
    first = chat(server.route(error(503)), temperature=0.1, top_p=0.5, stop=["X"], model_kwargs={"a": 1})
    second = other(up, temperature=0.9, max_tokens=7, model_kwargs={"b": 2})
    model = first.with_fallback(second).with_settings(seed=4)
    model("hi", presence_penalty=0.25)
    model("hi", temperature=0.3, extra_body={"c": 3})
    one, two = (r.json for r in up.requests)
    assert {k: one.get(k) for k in ("temperature", "top_p", "max_tokens", "seed", "presence_penalty", "a", "b")} == {
        "temperature": 0.9, "top_p": None, "max_tokens": 7, "seed": 4, "presence_penalty": 0.25, "a": None, "b": 2,
    }  # fmt: skip
    assert one["stop"] in ("X", ["X"])
    assert (two["temperature"], two.get("a"), two["b"], two["c"]) == (0.3, None, 2, 3)


def test_tools_run_on_the_other_model(world: World, server: Server) -> None:
    def double(number: int) -> int:
        """Twice the number."""
        return 2 * number

    called = {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "double", "arguments": '{"number": 4}'}}
    ]}  # fmt: skip
    asks = {**body(), "choices": [{"index": 0, "message": called, "finish_reason": "tool_calls"}]}
    up = server.route(plain(asks), plain(body("8")))
    model = chat(server.route(error(503))).with_fallback(other(up)).with_tools(double)
    if world.name == "sync":
        run = model.run_tools("twice four?")
    else:

        async def go() -> Any:
            return await model.arun_tools("twice four?")

        run = world.run(go)
    assert run.text == "8"
    assert up.requests[1].json["messages"][-1]["content"] == "8"


def test_typed_answers_and_their_partial_values(server: Server) -> None:
    text = '{"a": 1, "b": "two"}'
    cut = sse(events('{"a": 7, "b": "wr')[:2])
    model = chat(server.route(cut)).with_fallback(other(server.route(sse(events(text[:9], text[9:])))))

    class Both(msgspec.Struct):
        a: int
        b: str

    with model.with_output(Both).stream("hi") as stream:
        values = [dict(v) for v in stream]
        assert stream.value == Both(1, "two")
    assert values[0]["a"] == 7
    assert values[-1] == {"a": 1, "b": "two"}
    plain_one = chat(server.route(error(500))).with_fallback(other(server.route(either(text))))
    assert plain_one.with_output(Both)("hi") == Both(1, "two")


def test_handlers_are_those_of_the_call(server: Server) -> None:
    class Tells:
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def on_llm_new_token(self, token: str, **kw: Any) -> None:
            self.seen.append(token)

        def on_fallback(self, error: Exception, **kw: Any) -> None:
            self.seen.append((type(error).__name__, kw["model"]))

    mine, theirs = Tells(), Tells()
    second = other(server.route(sse(events("b"))), callbacks=[theirs])
    list(chat(server.route(error(503)), callbacks=[mine]).with_fallback(second).stream("hi"))
    assert mine.seen[-1] == "b"
    assert ("OverloadedError", "other") in mine.seen
    assert not theirs.seen


def test_fallbacks_nest(server: Server) -> None:
    inner = other(server.route(CUT)).with_fallback(chat(server.route(sse(events("last"))), model_name="third"))
    stream = chat(server.route(error(503))).with_fallback(inner).stream("hi")
    stream.until_done()
    assert stream.message.text == "last"
    assert [(n, o) for n, o, _ in outcomes(stream.message)] == [
        (1, "OverloadedError"),
        (2, "IncompleteStream"),
        (3, "ok"),
    ]


def test_leaving_and_pickling(server: Server) -> None:
    up = server.route(sse(events("a", "b", "c"), gap=0.05))
    model = pickle.loads(pickle.dumps(ChatModel("local").with_fallback(ChatModel("local"))))
    assert "Fallback" in type(model._config.layers[0]).__name__
    model = chat(server.route(error(503))).with_fallback(other(up))
    with model.stream("hi") as stream:
        next(stream)
    assert [a.outcome for a in stream.message.attempts] == ["OverloadedError", "left"]
    up.wait_left()


# ---- time


def played(play: Play, model: ChatModel) -> Any:
    try:
        return play.run(call_flow(model._plan(), model._call("hi")))
    except ChatModelError as failed:
        return failed


def pair(name: str, **options: Any) -> tuple[ChatModel, ChatModel]:
    """Two models at addresses of their own, so that no circuit is shared with another test."""
    first = ChatModel("openai:a", base_url=f"http://{name}-a", api_key="k", **options)
    return first, ChatModel("openai:b", base_url=f"http://{name}-b", api_key="k")


def test_the_total_deadline_is_shared() -> None:
    seen: list[float] = []

    class Clocked(Play):
        def perform(self, effect: Any) -> Any:
            if hasattr(effect, "deadline"):
                seen.append(effect.deadline - self.now)
            return super().perform(effect)

    first, second = pair("shared", timeout=10, max_retries=1)
    assert played(Clocked(refused(500), OK, takes=4), first.with_fallback(second)).text
    assert seen == [10, 6]
    late = Clocked(DeadlineError("late", phase="total"), OK, takes=10)
    failed = played(late, first.with_fallback(second))
    assert isinstance(failed, DeadlineError)
    assert (late.sent, len(failed.attempts)) == (1, 1)


def test_a_model_that_keeps_failing_is_left_alone_for_a_while() -> None:
    first, second = pair("breaker", max_retries=1)
    model = first.with_fallback(second, breaker=Breaker(failures=2, seconds=30))
    play = Play(refused(500), OK, refused(500), OK, OK, refused(500), OK, OK, OK)
    assert [len(played(play, model).attempts) for _ in range(3)] == [2, 2, 1]
    play.now += 30
    assert len(played(play, model).attempts) == 2, "the probe fails"
    assert len(played(play, model).attempts) == 1
    play.now += 30
    assert [a.model for a in played(play, model).attempts] == ["a"], "the probe is good"
    assert not play.answers


def test_a_probe_that_is_left_lets_the_next_call_probe() -> None:
    first, second = pair("left", max_retries=1)
    model = first.with_fallback(second, breaker=Breaker(failures=1, seconds=30))
    play = Play(refused(500), OK, PIECES, OK)
    played(play, model)
    play.now += 30
    state = Streaming()
    flow = stream_flow(model._plan(), msgspec.structs.replace(model._call("hi"), stream=True), state)
    effect = next(flow)
    while not isinstance(effect, Deliver):
        effect = flow.send(play.perform(effect))
    flow.close()
    assert play.aborted == 1
    assert [a.model for a in played(play, model).attempts] == ["a"]


def test_all_circuits_open() -> None:
    first, second = pair("all-open", max_retries=1)
    model = first.with_fallback(second.with_retry(attempts=1), breaker=Breaker(failures=1, seconds=30))
    play = Play(refused(500), refused(500))
    assert isinstance(played(play, model), FallbackError)
    failed = played(play, model)
    assert isinstance(failed, FallbackError)
    assert [type(e) for e in failed.errors] == [BreakerOpen, BreakerOpen]
    assert failed.errors[0].retry_after == pytest.approx(28, abs=2)
    assert failed.attempts == ()


def test_without_a_breaker_and_with_good_errors_nothing_opens() -> None:
    first, second = pair("none", max_retries=1)
    play = Play(*[refused(500), OK] * 9)
    assert {len(played(play, first.with_fallback(second, breaker=None)).attempts) for _ in range(9)} == {2}
    first, second = pair("context", max_retries=1)
    play = Play(*[refused(400, "context_length_exceeded"), OK] * 9)
    assert {len(played(play, first.with_fallback(second)).attempts) for _ in range(9)} == {2}


def test_a_limit_of_ours_says_nothing_about_the_provider() -> None:
    first, second = pair("limit", max_retries=1, timeout=10)
    model = first.with_limits(requests_per_minute=1).with_fallback(second, breaker=Breaker(failures=1, seconds=999))
    play = Play(OK, OK, OK, takes=0)
    assert [[a.outcome for a in played(play, model).attempts] for _ in range(3)] == [
        ["ok"], ["LimitError", "ok"], ["LimitError", "ok"],
    ]  # fmt: skip


# ---- wrong arguments


def test_wrong_arguments() -> None:
    model = ChatModel("local")
    for wrong in (
        lambda: model.with_fallback(),
        lambda: model.with_fallback(7),
        lambda: model.with_fallback(model.with_output(int)),
        lambda: model.with_fallback(model, on=7),
        lambda: model.with_fallback(model, on=[]),
        lambda: model.with_fallback(model, on=[int]),
        lambda: model.with_fallback(model, breaker=3),
    ):
        with pytest.raises(UsageError):
            wrong()
    assert model.with_fallback("local").model == model.model
