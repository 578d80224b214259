"""Scripted and function models: the answers in order, streamed, broken and retried, in all worlds; what they saw."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from chatmodels import (
    AIMessage,
    ChatModelError,
    DeadlineError,
    HumanMessage,
    IncompleteStream,
    OverloadedError,
    RateLimitError,
    Reasoning,
    ToolCall,
    TransportError,
    Usage,
    UsageError,
)
from chatmodels._call import Settings
from chatmodels._errors import ConnectError
from chatmodels._events import End, TextDelta
from chatmodels.testing import CUT, ChatFunction, ChatScripted, FakeListChatModel

from ..conftest import World

pytestmark = pytest.mark.clock


def test_in_order_and_then_an_error_that_says_so(world: World) -> None:
    chat = ChatScripted(["one", AIMessage("two", finish_reason="length", usage=Usage(input_tokens=1, output_tokens=2))])
    first, second = world.calls(chat, 2)
    assert (first.text, first.finish_reason, first.model, first.provider) == ("one", "stop", "scripted", "scripted")
    assert first.usage == Usage(input_tokens=1, output_tokens=1, estimated=True)
    assert (second.text, second.finish_reason, second.usage) == (
        "two",
        "length",
        Usage(input_tokens=1, output_tokens=2),
    )
    with pytest.raises(UsageError, match="it has 2, and this is call 3") as caught:
        world.call(chat)
    assert caught.value.argument == "responses"


def test_cycle_begins_anew() -> None:
    chat = ChatScripted(["a", "b"], cycle=True)
    assert [chat("x").text for _ in range(5)] == ["a", "b", "a", "b", "a"]


def test_the_calls_are_kept_with_what_was_asked() -> None:
    def weather(city: str) -> str:
        """The weather."""
        return city

    chat = ChatScripted(["a", "b"])
    chat.with_tools(weather).with_settings(temperature=0.5)([("system", "S"), ("human", "H")], stop="x")
    list(chat.stream("again"))
    first, second = chat.calls
    assert [m.text for m in first.messages] == ["S", "H"]
    assert first.settings == Settings(temperature=0.5, stop=("x",))
    assert [t.name for t in first.tools] == ["weather"]
    assert (second.messages, second.stream) == ((HumanMessage("again"),), True)


@pytest.mark.parametrize(
    ("size", "pieces"),
    [
        (None, ["J'aime ", "programmer  ", "bien."]),
        (8, ["J'aime p", "rogramme", "r  bien."]),
        (100, ["J'aime programmer  bien."]),
    ],
)
def test_streams_in_pieces_that_add_up(world: World, size: int | None, pieces: list[str]) -> None:
    chat = ChatScripted(["J'aime programmer  bien."] * 2, chunk_size=size)
    read = world.read(chat)
    assert read.error is None
    assert read.texts == pieces
    assert read.stream.message.to_dict() == {
        **world.call(chat).to_dict(),
        "attempts": read.stream.message.to_dict()["attempts"],
    }


def test_reasoning_and_tool_calls_stream_too() -> None:
    answer = AIMessage([Reasoning("Let me see."), ToolCall("1", "f", {"a": [1, 2]}), ToolCall("2", "g", {})])
    stream = ChatScripted([answer], chunk_size=3).stream("x")
    chunks = list(stream)
    assert stream.message.content == answer.content
    assert stream.message.finish_reason == "tool_calls"
    assert "".join(c.reasoning for c in chunks) == "Let me see."
    assert len([c for c in chunks if c.tool_call_chunks]) > 3


def test_an_error_is_tried_again_as_a_real_one_would_be(world: World) -> None:
    chat = ChatScripted([RateLimitError("slow down"), OverloadedError("busy"), "at last"]).with_retry(
        attempts=3, base=0
    )
    answer = world.call(chat)
    assert [a.outcome for a in answer.attempts] == ["RateLimitError", "OverloadedError", "ok"]
    assert len(chat.calls) == 3


def test_an_error_of_ones_own_passes_unchanged_and_an_error_can_come_again(world: World) -> None:
    own, failure = KeyError("mine"), TransportError("no")
    chat = ChatScripted([own, failure, failure]).with_retry(attempts=1)
    mine, first, second = world.calls(chat, 3)
    assert mine is own
    assert first is not second
    assert (str(first), len(first.attempts), failure.attempts) == ("no", 1, ())


@pytest.mark.parametrize("breaks", [CUT, TransportError("rst"), ConnectionResetError("rst")], ids=["cut", "ours", "os"])
def test_a_stream_that_breaks_carries_what_came(world: World, breaks: Any) -> None:
    read = world.read(ChatScripted([["J'aime ", "prog", breaks, "never"]]).with_retry(attempts=1))
    assert read.texts == ["J'aime ", "prog"]
    assert isinstance(read.error, IncompleteStream)
    assert read.error.message.text == "J'aime prog"
    assert read.error.message.finish_reason is None


@pytest.mark.parametrize(
    ("breaks", "kind"),
    [(CUT, TransportError), (ConnectionRefusedError("no"), ConnectError), (TimeoutError("late"), DeadlineError)],
    ids=["cut", "refused", "late"],
)
def test_a_plain_call_that_breaks(world: World, breaks: Any, kind: type[ChatModelError]) -> None:
    chat = ChatScripted([["some", breaks], breaks, "whole"]).with_retry(attempts=3, base=0)
    answer = world.call(chat)
    assert answer.text == "whole"
    assert [a.outcome for a in answer.attempts] == [kind.__name__, kind.__name__, "ok"]


def test_pieces_may_be_events_chunks_and_parts() -> None:
    chunks = list(ChatScripted(["He said"]).stream("x"))[:-1]
    chat = ChatScripted(
        [
            [Reasoning("hm"), "so ", "it is", ToolCall("1", "f", {})],
            [TextDelta("a"), End(finish_reason="length")],
            chunks,
        ]
    )
    first = chat("x")
    assert first.content == [Reasoning("hm"), *AIMessage("so it is").parts, ToolCall("1", "f", {})]
    assert first.finish_reason == "tool_calls"
    assert chat.stream("x").until_done().finish_reason == "length"
    assert chat.stream("x").until_done().text == "He said"


def test_deadlines_hold_for_the_delays(world: World) -> None:
    chat = ChatScripted(["a b c"], cycle=True, delay=0.015).with_retry(attempts=1)
    late = world.read(chat.with_timeouts(idle=0.003))
    assert late.texts == ["a "]
    assert isinstance(late.error, DeadlineError)
    assert late.error.phase == "idle"
    with pytest.raises(DeadlineError) as caught:
        world.call(chat.with_timeouts(first_token=0.003))
    assert (caught.value.phase, caught.value.seconds) == ("first_token", 0.003)
    began = time.monotonic()
    assert world.read(chat).text == "a b c"
    assert time.monotonic() - began >= 0.015 * 5


async def test_leaving_ends_a_wait() -> None:
    stream = ChatScripted(["a b"], delay=20).astream("x")
    waiting = asyncio.ensure_future(anext(stream, None))
    await asyncio.sleep(0.01)
    began = time.monotonic()
    await stream.aclose()
    assert await waiting is None
    assert time.monotonic() - began < 5
    assert stream.message.text == ""


def test_callbacks_and_batches_see_it_as_any_model() -> None:
    class Handler:
        def __init__(self) -> None:
            self.seen: list[str] = []

        def on_chat_model_start(self, *args: Any, **kw: Any) -> None:
            self.seen.append("start")

        def on_llm_new_token(self, token: str, **kw: Any) -> None:
            self.seen.append(token)

        def on_llm_end(self, result: Any, **kw: Any) -> None:
            self.seen.append("end " + result.generations[0][0].text)

    handler = Handler()
    ChatScripted(["a b"], streaming=True, callbacks=[handler])("x")
    assert handler.seen == ["start", "a ", "b", "end a b"]
    assert [m.text for m in ChatFunction(lambda m: m[0].text * 2).batch(["a", "b", "c"])] == ["aa", "bb", "cc"]


def test_typed_answers_and_tools() -> None:
    chat = ChatScripted(['{"n": 3}', AIMessage([ToolCall("1", "double", {"n": 4})]), "8"])
    assert chat.with_output({"title": "N", "type": "object", "properties": {"n": {"type": "integer"}}})("x") == {"n": 3}

    def double(n: int) -> int:
        """Twice."""
        return 2 * n

    assert chat.with_tools(double).run_tools("twice four?").text == "8"
    assert chat.calls[-1].messages[-1].text == "8"


def plain_function(messages: list[Any], temperature: float | None) -> str:
    return f"{messages[-1].text} at {temperature}"


async def coroutine(messages: list[Any], **settings: Any) -> AIMessage:
    await asyncio.sleep(0)
    return AIMessage(f"{messages[-1].text} at {settings['temperature']}")


def generator(messages: list[Any], settings: Settings) -> Iterator[str]:
    yield messages[-1].text
    yield f" at {settings.temperature}"


async def async_generator(messages: list[Any], call: Any) -> AsyncIterator[str]:
    yield messages[-1].text
    yield f" at {call.settings.temperature}"


@pytest.mark.parametrize("function", [plain_function, generator], ids=lambda f: f.__name__)
def test_functions(world: World, function: Any) -> None:
    chat = ChatFunction(function, temperature=0.5)
    assert world.call(chat, "hi").text == "hi at 0.5"
    assert world.read(chat, "hi").text == "hi at 0.5"
    assert world.call(chat, "hi").model == "function"


@pytest.mark.parametrize("function", [coroutine, async_generator], ids=lambda f: f.__name__)
@pytest.mark.parametrize("world", [World("sync"), World("asyncio")], ids=lambda w: w.name)
def test_async_functions(world: World, function: Any) -> None:
    chat = ChatFunction(function, temperature=0.5)
    assert world.call(chat, "hi").text == "hi at 0.5"
    assert world.read(chat, "hi").text == "hi at 0.5"


def test_a_function_may_raise_and_be_asked_again(world: World) -> None:
    seen: list[int] = []

    def fails_first(messages: list[Any]) -> str:
        seen.append(1)
        if len(seen) == 1:
            raise ConnectionResetError("rst")
        return "better"

    answer = world.call(ChatFunction(fails_first).with_retry(attempts=2, base=0))
    assert [a.outcome for a in answer.attempts] == ["TransportError", "ok"]


def test_functions_among_the_responses() -> None:
    chat = ChatScripted(["a", lambda messages: messages[0].text.upper(), lambda messages: RateLimitError("no")])
    assert [chat("x").text, chat("y").text] == ["a", "Y"]
    with pytest.raises(RateLimitError):
        chat.with_retry(attempts=1)("z")


def test_the_requests_are_deterministic_and_hold_everything() -> None:
    chat = ChatScripted([])
    plan = chat._plan()
    call = chat.with_settings(temperature=0, seed=3)._call([("system", "S"), ("human", "H")])
    assert plan.dialect.encode(call) == plan.dialect.encode(call)
    assert plan.dialect.encode(call).body != plan.dialect.encode(chat._call("H")).body


def test_the_name_of_2023() -> None:
    chat = FakeListChatModel(responses=["ab", "c"])
    assert [c.text for c in chat.stream("x") if c.text] == ["a", "b"]
    assert [chat("x").text, chat("x").text] == ["c", "ab"]


def test_it_pickles_with_its_place() -> None:
    chat = ChatScripted(["a", ["b", CUT], "c"])
    chat("x")
    again = pickle.loads(pickle.dumps(chat.with_settings(temperature=1)))
    with pytest.raises(IncompleteStream):
        list(again.with_retry(attempts=1).stream("x"))
    assert (again("x").text, again.temperature, len(chat.calls)) == ("c", 1, 1)


@pytest.mark.parametrize(
    ("responses", "options", "argument"),
    [
        ("text", {}, "responses"),
        ([], {"cycle": True}, "responses"),
        ([ValueError], {}, "responses"),
        ([iter("ab")], {}, "responses"),
        (["a"], {"delay": -1}, "delay"),
        (["a"], {"chunk_size": 0}, "chunk_size"),
        (["a"], {"temperature": "hot"}, "temperature"),
    ],
)
def test_mistakes_are_named(responses: Any, options: dict[str, Any], argument: str) -> None:
    with pytest.raises(UsageError) as caught:
        ChatScripted(responses, **options)
    assert caught.value.argument == argument


@pytest.mark.parametrize("wrong", [3, b"bytes", {"a": 1}, [object()]])
def test_answers_that_are_none(wrong: Any) -> None:
    with pytest.raises(UsageError, match="scripted answer"):
        ChatScripted([wrong])("x")
    with pytest.raises(UsageError, match="scripted answer"):
        list(ChatScripted([wrong]).stream("x"))
