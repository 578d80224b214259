"""Callback handlers: what they are told, in which order, in every way of calling; and what their own errors do."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chatmodels import AIMessage, ChatModelError, ChatOpenAI, HumanMessage, IncompleteStream, LLMResult, RateLimitError
from chatmodels.callbacks import (
    AsyncCallbackHandler,
    BaseCallbackHandler,
    CallbackManager,
    StreamingStdOutCallbackHandler,
)
from chatmodels.testing import PracticeServer, practice_server
from chatmodels.testing.practice._words import OTHERWISE

from .conftest import World, chat
from .servers import Server, error, events, plain, raw, sse

ANSWER = "J'aime programmer."
Told = list[tuple[str, tuple[Any, ...], dict[str, Any]]]


class Notes(BaseCallbackHandler):
    """Writes down all that it is told, with its own name, into a list that others may share."""

    def __init__(self, name: str = "it", log: Told | None = None) -> None:
        self.name = name
        self.log: Told = [] if log is None else log

    def on_chat_model_start(self, *args: Any, **kw: Any) -> None:
        self.log.append((f"{self.name}:start", args, kw))

    def on_llm_new_token(self, *args: Any, **kw: Any) -> None:
        self.log.append((f"{self.name}:token", args, kw))

    def on_llm_end(self, *args: Any, **kw: Any) -> None:
        self.log.append((f"{self.name}:end", args, kw))

    def on_llm_error(self, *args: Any, **kw: Any) -> None:
        self.log.append((f"{self.name}:error", args, kw))

    def on_retry(self, *args: Any, **kw: Any) -> None:
        self.log.append((f"{self.name}:retry", args, kw))

    @property
    def events(self) -> list[str]:
        return [event for event, _, _ in self.log]


class AsyncNotes(AsyncCallbackHandler):
    """The same with coroutine functions, which let others run in between."""

    def __init__(self) -> None:
        self.log: Told = []
        self.threads: set[int] = set()

    async def _note(self, event: str, args: tuple[Any, ...], kw: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        self.threads.add(threading.get_ident())
        self.log.append((event, args, kw))

    async def on_chat_model_start(self, *args: Any, **kw: Any) -> None:
        await self._note("start", args, kw)

    async def on_llm_new_token(self, *args: Any, **kw: Any) -> None:
        await self._note("token", args, kw)

    async def on_llm_end(self, *args: Any, **kw: Any) -> None:
        await self._note("end", args, kw)

    async def on_llm_error(self, *args: Any, **kw: Any) -> None:
        await self._note("error", args, kw)

    @property
    def events(self) -> list[str]:
        return [event for event, _, _ in self.log]


@pytest.fixture(scope="module")
def page() -> Iterator[PracticeServer]:
    with practice_server() as made:
        yield made


def model(page: PracticeServer, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(openai_api_key="sk-x", base_url=page.base_url, **options)


# ---- what they are told


def test_a_plain_call(world: World, page: PracticeServer) -> None:
    notes = Notes()
    messages = [HumanMessage("I love programming.")]
    answer = world.call(model(page, callbacks=[notes], model="gpt-4o"), messages)
    assert notes.events == ["it:start", "it:end"]
    (_, (serialized, given), _), (_, (result,), _) = notes.log
    assert serialized == {"model": "gpt-4o"}
    assert given == [messages]
    assert isinstance(result, LLMResult)
    assert result.generations[0][0].message is answer
    assert result.generations[0][0].text == ANSWER
    assert result.llm_output == {"token_usage": {"prompt_tokens": 28, "completion_tokens": 6, "total_tokens": 34}}


@pytest.mark.parametrize("how", ["stream", "streaming=True"])
def test_a_streamed_answer(how: str, world: World, page: PracticeServer) -> None:
    notes = Notes()
    chosen = model(page, callbacks=[notes], streaming=how != "stream")
    if how == "stream":
        text = world.read(chosen, "I love programming.").text
    else:
        text = world.call(chosen, "I love programming.").text
    assert text == ANSWER
    tokens = [(args, kw) for event, args, kw in notes.log if event == "it:token"]
    assert notes.events == ["it:start", *["it:token"] * len(tokens), "it:end"]
    assert "".join(args[0] for args, _ in tokens) == ANSWER
    assert all(kw["chunk"].text == args[0] for args, kw in tokens)
    result = notes.log[-1][1][0]
    assert result.generations[0][0].text == ANSWER
    assert result.llm_output["token_usage"]["total_tokens"] == 34


def test_a_token_is_told_before_it_is_given_out(page: PracticeServer) -> None:
    notes = Notes()
    for chunk in model(page, callbacks=[notes]).stream("I love programming."):
        if chunk.text:
            assert notes.log[-1][1] == (chunk.text,)


def test_a_retry_and_an_error(world: World, server: Server) -> None:
    notes = Notes()
    route = server.route(error(429, "slow down"))
    with pytest.raises(RateLimitError) as raised:
        world.call(chat(route, max_retries=2, callbacks=[notes]).with_retry(base=0.001))
    assert notes.events == ["it:start", "it:retry", "it:error"]
    _, (attempt,), kw = notes.log[1]
    assert (attempt.number, attempt.outcome, attempt.status) == (1, "RateLimitError", 429)
    assert isinstance(kw["error"], RateLimitError)
    assert 0 <= kw["wait"] < 1
    assert notes.log[2][1] == (raised.value,)


def test_a_broken_stream(world: World, server: Server) -> None:
    notes = Notes()
    cut = b"".join(events("J'aime ")[:2])
    route = server.route(raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + cut))
    read = world.read(chat(route, callbacks=[notes]))
    assert isinstance(read.error, IncompleteStream)
    assert notes.events == ["it:start", "it:token", "it:error"]
    assert notes.log[-1][1] == (read.error,)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("how", ["generate", "agenerate", "batch", "abatch", "batch_as_completed"])
def test_many_calls(how: str, streaming: bool, page: PracticeServer) -> None:
    notes, per_call = Notes(), Notes()
    chosen = model(page, streaming=streaming, callbacks=[notes])
    inputs = ["I love programming.", "I love artificial intelligence.", "Hello"]
    if how == "generate":
        chosen.generate(inputs, callbacks=[per_call])
    elif how == "agenerate":
        asyncio.run(chosen.agenerate(inputs, callbacks=[per_call]))
    elif how == "batch":
        chosen.batch(inputs, callbacks=[per_call])
    elif how == "abatch":
        asyncio.run(chosen.abatch(inputs, {"callbacks": [per_call]}))
    else:
        assert len(list(chosen.batch_as_completed(inputs, {"callbacks": [per_call]}))) == 3
    for one in (notes, per_call):
        assert sorted(set(one.events)) == (["it:end", "it:start", "it:token"] if streaming else ["it:end", "it:start"])
        assert one.events.count("it:start") == one.events.count("it:end") == 3
        ends = sorted(args[0].generations[0][0].text for event, args, _ in one.log if event == "it:end")
        assert ends == ["Bonjour.", "J'aime l'intelligence artificielle.", ANSWER]


# ---- who is told


def test_those_of_the_model_come_first_and_of_others_none(page: PracticeServer) -> None:
    log: Told = []
    first, second, call = Notes("1", log), Notes("2", log), Notes("call", log)
    plain_model = model(page)
    one = plain_model.with_callbacks(first)
    two = one.with_callbacks(second)
    two("programming", callbacks=[call])
    assert [e for e, _, _ in log] == ["1:start", "2:start", "call:start", "1:end", "2:end", "call:end"]
    log.clear()
    one("programming")
    assert [e for e, _, _ in log] == ["1:start", "1:end"]
    log.clear()
    plain_model("programming")
    assert log == []


def test_each_form_of_giving_them(page: PracticeServer) -> None:
    ways: list[Callable[[Notes], AIMessage]] = [
        lambda n: model(page, callbacks=[n])("hi"),
        lambda n: model(page, callbacks=n)("hi"),
        lambda n: model(page, callbacks=CallbackManager([n]))("hi"),
        lambda n: model(page)("hi", callbacks=CallbackManager([n])),
        lambda n: model(page)("hi", None, [n]),
        lambda n: model(page).invoke("hi", {"callbacks": [n]}),
        lambda n: model(page).invoke("hi", callbacks=(n,)),
        lambda n: model(page).predict_messages([HumanMessage("hi")], callbacks=[n]),
        lambda n: model(page).stream("hi", callbacks=[n]).until_done(),
    ]
    for way in ways:
        notes = Notes()
        assert way(notes).text == OTHERWISE
        assert {"it:start", "it:end"} <= set(notes.events)


def test_any_object_with_some_of_the_methods_will_do(world: World, page: PracticeServer) -> None:
    class Ends:
        texts: list[str] = []

        def on_llm_end(self, response: LLMResult, **kw: Any) -> None:
            self.texts.append(response.generations[0][0].text)

    world.call(model(page, callbacks=[Ends(), object()]), "programming")
    assert Ends.texts == [ANSWER]


def test_to_standard_output(page: PracticeServer, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = model(page, streaming=True, callbacks=[StreamingStdOutCallbackHandler()])
    answer = chosen("I love programming.")
    assert capsys.readouterr().out == ANSWER == answer.text
    asyncio.run(chosen.agenerate(["I love programming."]))
    assert capsys.readouterr().out == ANSWER


# ---- coroutine functions


def test_coroutine_handlers_in_async_calls(page: PracticeServer) -> None:
    notes = AsyncNotes()

    async def go() -> None:
        await model(page, callbacks=[notes]).ainvoke("programming")
        async for _ in model(page, callbacks=[notes]).astream("programming"):
            pass

    asyncio.run(go())
    assert notes.events == ["start", "end", "start", "token", "token", "end"]
    assert notes.threads == {threading.get_ident()}


@pytest.mark.parametrize("inside_a_loop", [False, True])
def test_coroutine_handlers_in_sync_calls_are_run_to_their_end(inside_a_loop: bool, page: PracticeServer) -> None:
    notes = AsyncNotes()

    def go() -> None:
        model(page, callbacks=[notes])("programming")
        assert notes.events == ["start", "end"]
        model(page, callbacks=[notes]).stream("programming").until_done()
        assert notes.events[2:] == ["start", "token", "token", "end"]
        model(page, callbacks=[notes]).batch(["programming"] * 3)
        assert sorted(notes.events[6:]) == ["end"] * 3 + ["start"] * 3

    async def in_a_loop() -> None:
        go()

    asyncio.run(in_a_loop()) if inside_a_loop else go()
    assert threading.get_ident() not in notes.threads


def test_a_sync_call_inside_a_coroutine_handler_of_a_batch(page: PracticeServer) -> None:
    """Handlers that call models themselves, from within the loop that runs a batch, do not stand still."""
    inner = AsyncNotes()

    class Asks(AsyncCallbackHandler):
        async def on_llm_end(self, response: LLMResult, **kw: Any) -> None:
            model(page, callbacks=[inner])("programming")

    assert len(model(page, callbacks=[Asks()]).batch(["hi"] * 3)) == 3
    assert sorted(inner.events) == ["end"] * 3 + ["start"] * 3


# ---- their errors


class Fails(BaseCallbackHandler):
    def __init__(self, event: str, raise_error: bool = False) -> None:
        self.raise_error = raise_error

        def fail(*args: Any, **kw: Any) -> None:
            raise LookupError(f"mine, in {event}")

        setattr(self, event, fail)


@pytest.mark.parametrize("event", ["on_chat_model_start", "on_llm_new_token", "on_llm_end"])
def test_an_error_in_a_handler_is_logged_and_the_call_goes_on(
    event: str, world: World, page: PracticeServer, caplog: pytest.LogCaptureFixture
) -> None:
    notes = Notes()
    with caplog.at_level(logging.WARNING, "chatmodels"):
        answer = world.call(model(page, streaming=True, callbacks=[Fails(event), notes]), "I love programming.")
    assert answer.text == ANSWER
    assert notes.events == ["it:start", "it:token", "it:token", "it:end"]
    assert f"callback Fails.{event} failed" in caplog.text
    assert f"LookupError: mine, in {event}" in caplog.text


@pytest.mark.parametrize("event", ["on_chat_model_start", "on_llm_new_token", "on_llm_end"])
def test_a_handler_may_have_its_errors_raised(event: str, world: World, page: PracticeServer) -> None:
    with pytest.raises(LookupError, match=f"mine, in {event}"):
        world.call(model(page, streaming=True, callbacks=[Fails(event, raise_error=True)]), "I love programming.")


def test_an_error_raised_in_a_stream_closes_the_connection(server: Server) -> None:
    route = server.route(sse(events("J'aime ")[:2], end=False))
    with pytest.raises(LookupError):
        chat(route, callbacks=[Fails("on_llm_new_token", raise_error=True)]).stream("hi").until_done()
    route.wait_left()


def test_errors_of_coroutine_handlers_in_sync_calls(page: PracticeServer, caplog: pytest.LogCaptureFixture) -> None:
    class Late(AsyncCallbackHandler):
        async def on_llm_end(self, response: LLMResult, **kw: Any) -> None:
            await asyncio.sleep(0)
            raise LookupError("mine, later")

    with caplog.at_level(logging.WARNING, "chatmodels"):
        assert model(page, callbacks=[Late()])("programming").text == ANSWER
    assert "LookupError: mine, later" in caplog.text
    raising = Late()
    raising.raise_error = True
    with pytest.raises(LookupError, match="mine, later"):
        model(page, callbacks=[raising])("programming")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_model_error_that_a_handler_raises_is_no_failed_try(streaming: bool, world: World, server: Server) -> None:
    """A handler that calls another model and lets its error out: the call itself is not made twice for it."""

    class Nested(BaseCallbackHandler):
        raise_error = True

        def on_llm_new_token(self, token: str, **kw: Any) -> None:
            raise RateLimitError("of another model")

        def on_llm_end(self, response: LLMResult, **kw: Any) -> None:
            raise RateLimitError("of another model")

    route = server.route(sse(events("J'aime ")) if streaming else plain())
    with pytest.raises(ChatModelError, match="of another model"):
        world.call(chat(route, max_retries=3, streaming=streaming, callbacks=[Nested()]))
    assert len(route.requests) == 1
