"""The cache around a call: what is the same call, what is kept, how it is given back, and one call for many askers."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

import chatmodels
from chatmodels import (
    AIMessage,
    ChatModelError,
    ChatOpenAI,
    DeadlineError,
    HumanMessage,
    OutputError,
    SystemMessage,
    UsageError,
)
from chatmodels._cache_key import question_of
from chatmodels._call import Call, Settings
from chatmodels._layers import Inner
from chatmodels._plan import Plan
from chatmodels.caches import Cache, InMemoryCache, SQLiteCache, get_llm_cache, set_llm_cache
from chatmodels.layers import Flow, Layer

from .conftest import World, chat
from .servers import Server, answer, either, error, event, events, plain, sse

pytestmark = pytest.mark.clock

BOTH = either("Bon", "jour")


@pytest.fixture(autouse=True)
def no_cache_for_all() -> Iterator[None]:
    yield
    set_llm_cache(None)


def cached(route: Any, cache: Any = None, **options: Any) -> ChatOpenAI:
    return chat(route, **options).with_cache(InMemoryCache() if cache is None else cache)


# ---- hits


def test_the_second_call_is_answered_from_the_cache(world: World, server: Server) -> None:
    route = server.route(BOTH)
    model = cached(route)
    first, second = world.calls(model, 2)
    assert len(route.requests) == 1
    assert not first.from_cache
    assert second.from_cache
    assert (second.text, second.usage, second.id, second.model) == (first.text, first.usage, first.id, first.model)
    assert [(a.outcome, a.usage) for a in second.attempts] == [("cache hit", None)]
    assert second.raw is None


def test_hits_add_no_usage(server: Server) -> None:
    model = cached(server.route(BOTH))
    spent = model.generate(["hi"]).llm_output
    again = model.generate(["hi", "hi"])
    assert spent == {"token_usage": {"prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 13}}
    assert (again.llm_output, again.usage) == ({"token_usage": {}}, None)


def test_what_a_hit_gives_is_the_callers_own(server: Server) -> None:
    model = cached(server.route(plain(answer(choices=[CALLS]))))
    model("hi")
    model("hi").tool_calls[0].args["city"] = "Rome"
    assert model("hi").tool_calls[0].args == {"city": "Paris"}


CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
CALLS = {
    "index": 0,
    "message": {"role": "assistant", "content": None, "tool_calls": [CALL]},
    "finish_reason": "tool_calls",
}


def test_a_stream_is_given_back_as_it_came(world: World, server: Server) -> None:
    route = server.route(sse(events("Bon", "jo", "ur")))
    model = cached(route)
    first, second, third = world.reads(model, 3)
    assert len(route.requests) == 1
    assert second.texts == third.texts == first.texts == ["Bon", "jo", "ur"]
    assert not first.stream.message.from_cache
    whole = second.stream.message
    assert whole.from_cache
    assert (whole.text, whole.usage, whole.request_id) == ("Bonjour", first.stream.message.usage, "req_1")
    assert [a.outcome for a in whole.attempts] == ["cache hit"]


def test_all_events_come_again(server: Server) -> None:
    model = cached(server.route(sse(events("Bon", "jour"))))
    first, second = ([c.event for c in model.stream("hi")] for _ in range(2))
    assert list(first) == list(second)


def test_a_plain_answer_is_given_as_a_stream_and_the_other_way_round(world: World, server: Server) -> None:
    route = server.route(BOTH)
    model = cached(route)
    plain_first = world.call(model, "a")
    streamed = world.read(model, "a")
    assert (streamed.texts, streamed.stream.message.from_cache) == (["Bonjour"], True)
    assert streamed.stream.message.usage == plain_first.usage
    world.read(model, "b")
    again = world.call(model, "b")
    assert (again.text, again.from_cache, again.finish_reason) == ("Bonjour", True, "stop")
    assert len(route.requests) == 2


def test_a_streaming_model_tells_its_handlers_of_hits_too(server: Server) -> None:
    told: list[str] = []

    class Handler:
        def on_llm_new_token(self, token: str, **kw: Any) -> None:
            told.append(token)

        def on_llm_end(self, result: Any, **kw: Any) -> None:
            told.append(f"end {result.generations[0][0].message.from_cache}")

    model = cached(server.route(BOTH), streaming=True, callbacks=[Handler()])
    model("hi")
    model("hi")
    assert told == ["Bon", "jour", "end False", "Bon", "jour", "end True"]


def test_a_character_in_two_chunks(server: Server) -> None:
    halves = [event({"role": "assistant", "content": ""}), HALF % b"83d", HALF % b"e00", *events()[1:]]
    route = server.route(sse(halves))
    model = cached(route)
    assert [model.stream("hi").until_done().text for _ in range(2)] == ["\U0001f600"] * 2
    assert len(route.requests) == 1


HALF = event({"content": "@"}).replace(b"@", b"\\ud%b")


def test_warnings_are_those_of_this_call(server: Server) -> None:
    """The body is the same with and without what this format cannot say; the warning belongs to who said it."""
    route = server.route(BOTH)
    model = cached(route)
    assert not model("hi").warnings
    warned = model("hi", top_k=3).warnings
    assert len(route.requests) == 1 + (not warned)
    streamed = model.stream("hi", top_k=3).until_done()
    assert streamed.from_cache
    assert streamed.warnings == warned
    assert not model("hi").warnings


# ---- what is kept


def finished(reason: str, **message: Any) -> Callable[..., Any]:
    said = {"role": "assistant", "content": "x", **message}
    return plain(answer(choices=[{"index": 0, "message": said, "finish_reason": reason}]))


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        (finished("stop"), True),
        (plain(answer(choices=[CALLS])), True),
        (finished("length"), False),
        (finished("content_filter"), False),
        (finished("stop", content=None, refusal="No."), False),
        (finished("stop", content=""), False),
        (finished("tool_calls", tool_calls=[{**CALL, "function": {"name": "w", "arguments": '{"city'}}]), False),
        (plain(answer(choices=[CALLS, {**CALLS, "index": 1, "finish_reason": "length"}])), False),
    ],
    ids=["stop", "calls", "length", "filter", "refusal", "empty", "bad arguments", "one of two cut"],
)
def test_only_whole_answers_are_kept(server: Server, script: Any, kept: bool) -> None:
    route = server.route(script)
    model = cached(route)
    assert [model("hi").from_cache for _ in range(2)] == [False, kept]
    assert len(route.requests) == 2 - kept


@pytest.mark.parametrize(
    "script", [error(400), plain(b"nonsense"), sse(events("Bon")[:2])], ids=["error", "nonsense", "cut"]
)
def test_errors_are_not_kept(server: Server, script: Any) -> None:
    route = server.route(script, BOTH)
    model = cached(route, streaming=True)
    with pytest.raises(ChatModelError):
        model("hi")
    assert not model("hi").from_cache
    assert model("hi").from_cache
    assert len(route.requests) == 2


def test_a_stream_that_is_left_is_not_kept(world: World, server: Server) -> None:
    route = server.route(sse([event({"content": "a"})] * 50, end=False), BOTH)
    model = cached(route)
    world.read(model, most=1)
    assert world.read(model).text == "Bonjour"
    assert world.read(model).stream.message.from_cache
    assert len(route.requests) == 2


def test_an_answer_of_another_type_is_not_kept(server: Server) -> None:
    route = server.route(plain(answer("what?")), plain(answer('{"value": 7}')))
    number = cached(route).with_output(int, attempts=1)
    with pytest.raises(OutputError):
        number("seven")
    assert [number.typed("seven").message.from_cache for _ in range(2)] == [False, True]
    assert number("seven") == 7


class StandIn(Layer):
    """Has the answer given by another model, as a fallback does."""

    def call(self, plan: Plan, call: Call, inner: Inner) -> Flow[AIMessage]:
        from msgspec.structs import replace

        return inner(plan, replace(call, model="other"))


def test_what_another_model_said_is_not_kept(world: World, server: Server) -> None:
    route = server.route(BOTH)
    model = cached(route).with_layer(StandIn())
    assert [m.from_cache for m in world.calls(model, 2)] == [False, False]
    down = cached(server.route(error(500))).with_fallback(chat(route).with_model("other"))
    assert [m.text for m in world.calls(down, 2)] == ["Bonjour"] * 2
    assert len(route.requests) == 4
    streamed = [r.stream.message for r in world.reads(down, 2)]
    assert [(m.text, m.from_cache) for m in streamed] == [("Bonjour", False)] * 2
    kept = cached(server.route(error(500))).with_fallback(cached(route))
    assert [m.from_cache for m in world.calls(kept, 2)] == [False, True]


def test_what_the_model_itself_said_is_kept_with_a_fallback_at_hand(world: World, server: Server) -> None:
    route, other = server.route(BOTH), server.route()
    model = cached(route).with_fallback(chat(other))
    assert [m.from_cache for m in world.calls(model, 2)] == [False, True]
    assert world.read(model).stream.message.from_cache
    assert not other.requests


# ---- the key


def key(model: ChatOpenAI, given: Any = "hi", stream: bool = False, **settings: Any) -> str:
    return question_of(model._own_plan(), model._call(given, None, settings, stream)).key


def weather(city: str) -> str:
    """The weather."""
    return city


def wind(city: str) -> str:
    """The weather."""
    return city


BASE = ChatOpenAI("m", openai_api_key="k", base_url="http://h/v1")
DIFFERENT = {
    "base": key(BASE),
    "model": key(BASE.with_model("m2")),
    "text": key(BASE, "hi "),
    "role": key(BASE, [SystemMessage("hi")]),
    "more messages": key(BASE, [HumanMessage("hi"), AIMessage("hi"), HumanMessage("hi")]),
    "temperature": key(BASE, temperature=0),
    "n": key(BASE, n=2),
    "stop": key(BASE.with_settings(stop="x")),
    "extra_body": key(BASE, extra_body={"x": 1}),
    "extra_headers": key(BASE, extra_headers={"x-beta": "1"}),
    "tools": key(BASE.with_tools(weather)),
    "another tool": key(BASE.with_tools(wind)),
    "tool_choice": key(BASE.with_tools(weather, tool_choice="required")),
    "url": key(ChatOpenAI("m", openai_api_key="k", base_url="http://h2/v1")),
    "headers": key(ChatOpenAI("m", openai_api_key="k", base_url="http://h/v1", headers={"x-route": "eu"})),
    "words like those of keys": key(
        ChatOpenAI(
            "m", openai_api_key="k", base_url="http://h/v1", headers={"x-max-tokens-mode": "1", "x-author": "me"}
        )
    ),
    "output": question_of(BASE._own_plan(), BASE.with_output(dict[str, int])._call("hi", {})).key,
}


def test_whatever_can_change_the_answer_changes_the_key() -> None:
    assert len(set(DIFFERENT.values())) == len(DIFFERENT)


def test_what_cannot_does_not() -> None:
    other_key = ChatOpenAI("m", openai_api_key="k2", base_url="http://h/v1", max_retries=9, timeout=1)
    secrets = ChatOpenAI("m", api_key="k", base_url="http://h/v1", headers={"X-Api-Key": "s", "traceparent": "1"})
    same = [key(BASE, stream=True), key(BASE, [HumanMessage("hi")]), key(other_key), key(secrets)]
    assert set(same) == {DIFFERENT["base"]}


#: A value for every setting there is.
SETTINGS_TRIED: dict[str, Any] = {
    "temperature": 0.3, "top_p": 0.5, "top_k": 3, "min_p": 0.1, "max_tokens": 7, "n": 2, "stop": ("x",), "seed": 1,
    "presence_penalty": 0.1, "frequency_penalty": 0.1, "logprobs": True, "top_logprobs": 2, "logit_bias": {"1": 2},
    "tool_choice": "required", "parallel_tool_calls": False, "reasoning_effort": "low", "reasoning_budget": 2000,
    "reasoning_summary": "auto", "response_format": {"type": "json_object"}, "modalities": ("text", "audio"),
    "audio": {"voice": "alloy", "format": "wav"}, "service_tier": "flex", "verbosity": "low", "user": "u",
    "metadata": {"a": "b"}, "store": True, "extra_body": {"x": 1}, "extra_headers": {"x-beta": "1"},
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["openai:gpt-5", "openai:gpt-4o", "anthropic:claude-sonnet-4-5", "google:gemini-2.5-flash", "bedrock:anthropic.claude-x",
     "cohere:command-a", "mistral:mistral-large", "ollama:llama3", "groq:llama3"],
)  # fmt: skip
def test_no_setting_is_left_out_of_the_key(name: str) -> None:
    """In any dialect: a setting changes the key, or the answer says that it could not be sent, or it is refused."""
    assert set(SETTINGS_TRIED) == set(Settings.__struct_fields__)
    model = chatmodels.ChatModel(name, api_key="k", base_url="http://h").with_tools(weather)
    plan, like = model._own_plan(), model._call("hi")
    without = question_of(plan, like)
    left_out = []
    for setting, value in SETTINGS_TRIED.items():
        call = msgspec.structs.replace(like, settings=Settings(**{setting: value}))
        try:
            question = question_of(plan, call)
        except UsageError:
            continue
        if question.key == without.key and len(question.warnings) <= len(without.warnings):
            left_out.append(setting)
    assert not left_out


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@tried(max_examples=25)
@given(
    st.lists(st.tuples(st.sampled_from(["system", "human", "ai"]), st.text(min_size=1)), min_size=1, max_size=4), JSON
)
def test_the_key_is_a_function_of_what_is_asked(messages: list[tuple[str, str]], extra: Any) -> None:
    one = key(BASE, messages, extra_body={"x": extra})
    assert one == key(BASE, list(messages), True, extra_body={"x": extra})
    assert one != key(BASE, [*messages, ("human", "more")], extra_body={"x": extra})


def test_the_key_is_the_same_in_every_process() -> None:
    code = (
        "from chatmodels import ChatOpenAI; from chatmodels._cache_key import question_of\n"
        "chat = ChatOpenAI('m', openai_api_key='k', base_url='http://h/v1')\n"
        "call = chat._call('hi', None, {'logit_bias': {'1': 2, '0': 1}, 'extra_body': {'b': 1, 'a': {'x': 1, 'c': 2}}})\n"
        "print(question_of(chat._own_plan(), call).key)"
    )
    mine = key(BASE, logit_bias={"1": 2, "0": 1}, extra_body={"b": 1, "a": {"x": 1, "c": 2}})
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert out.stdout.strip() == mine


# ---- which cache


def test_one_cache_for_all_and_who_may_differ(server: Server) -> None:
    route = server.route(BOTH)
    model = chat(route)
    everyones, own = InMemoryCache(), InMemoryCache()
    set_llm_cache(everyones)
    assert get_llm_cache() is everyones
    assert chatmodels.get_llm_cache() is everyones
    assert [model("hi").from_cache, model("hi").from_cache] == [False, True]
    assert not model.with_cache(False)("hi").from_cache
    assert chat(route, cache=True)("hi").from_cache
    assert not chat(route, cache=False)("hi").from_cache
    assert not model.with_cache(own)("hi").from_cache
    assert (len(everyones), len(own)) == (1, 1)
    set_llm_cache(None)
    assert get_llm_cache() is None
    assert not model("hi").from_cache
    assert model.with_cache(own)("hi").from_cache
    assert not model.with_cache(own).with_cache(False)("hi").from_cache


def test_the_cache_of_every_model_can_be_set_as_in_2023(server: Server, tmp_path: Any) -> None:
    from chatmodels.cache import InMemoryCache as InMemory2023
    from chatmodels.cache import SQLiteCache as SQLite2023

    assert chatmodels.llm_cache is None
    route = server.route(BOTH)
    model = chat(route)
    for mine in (InMemory2023(), SQLite2023(database_path=str(tmp_path / "answers.db"))):
        chatmodels.llm_cache = mine
        assert chatmodels.llm_cache is mine
        assert get_llm_cache() is mine
        assert [model("hi").from_cache for _ in range(2)] == [False, True]
        assert not model.with_cache(False)("hi").from_cache
    with pytest.raises(UsageError, match="parentheses"):
        chatmodels.llm_cache = InMemoryCache  # type: ignore[assignment]
    assert chatmodels.llm_cache is mine  # what is refused changes nothing
    chatmodels.llm_cache = None
    assert get_llm_cache() is None
    assert not model("hi").from_cache
    set_llm_cache(mine)
    del chatmodels.llm_cache
    assert chatmodels.llm_cache is None


def test_reading_the_cache_of_every_model_loads_no_client() -> None:
    code = (
        "import sys, chatmodels; assert 'chatmodels.caches' not in sys.modules; assert chatmodels.llm_cache is None; "
        "print([m for m in ('asyncio', 'ssl', 'sqlite3', 'urllib3', 'redis') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_with_cache_alone_is_the_process_s_memory(server: Server) -> None:
    route = server.route(BOTH)
    assert not chat(route).with_cache()("hi").from_cache
    again = pickle.loads(pickle.dumps(chat(route).with_cache()))
    assert again.with_settings()._config.layers[0].store is chat(route).with_cache()._config.layers[0].store


def test_a_time_to_live(server: Server) -> None:
    route = server.route(BOTH)
    model = chat(route).with_cache(InMemoryCache(), ttl=0.05)
    assert [model("hi").from_cache, model("hi").from_cache] == [False, True]
    time.sleep(0.06)
    assert not model("hi").from_cache


def test_wrong_arguments(server: Server) -> None:
    model = chat(server.route())
    for wrong in ("memory", InMemoryCache, 1):
        with pytest.raises(UsageError, match="InMemoryCache"):
            model.with_cache(wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="InMemoryCache"):
        set_llm_cache("memory")  # type: ignore[arg-type]
    for ttl in (0, -1, True, "60", float("nan")):
        with pytest.raises(UsageError, match="ttl"):
            model.with_cache(ttl=ttl)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="set_llm_cache"):
        chat(server.route(), cache=True)("hi")


class Broken(Cache):
    def get(self, key: str) -> bytes | None:
        raise OSError("no disk")

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        raise OSError("full")


class Garbage(Broken):
    def get(self, key: str) -> bytes | None:
        return b'{"v": 1, "message": 3}'


@pytest.mark.parametrize("cache", [Broken(), Garbage()], ids=["broken", "garbage"])
def test_a_broken_cache_costs_the_hit_and_not_the_answer(world: World, server: Server, cache: Cache) -> None:
    route = server.route(BOTH)
    plainly = world.call(cached(route, cache))
    streamed = world.read(cached(route, cache)).stream.message
    for message in (plainly, streamed):
        assert (message.text, message.from_cache) == ("Bonjour", False)
        assert len(message.warnings) == 2
        assert "could not be read" in message.warnings[0]
        assert "could not be written: OSError: full" in message.warnings[1]


def test_a_record_of_a_later_version_is_a_miss(server: Server) -> None:
    class Later(InMemoryCache):
        def get(self, key: str) -> bytes | None:
            found = super().get(key)
            return found and found.replace(b'"v":1', b'"v":2')

    message = [cached(server.route(BOTH), Later())("hi") for _ in range(2)][1]
    assert (message.from_cache, message.warnings) == (False, ())


# ---- one call for all who ask at the same time


def test_threads_tasks_and_batches_share_one_call(server: Server) -> None:
    route = server.route(plain(after=0.15))
    model = cached(route)

    async def tasks() -> list[AIMessage]:
        return await asyncio.gather(*(model.ainvoke("hi") for _ in range(10)))

    async def in_trio() -> list[AIMessage]:
        found: list[AIMessage] = []

        async def one() -> None:
            found.append(await model.ainvoke("hi"))

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(one)
        return found

    with ThreadPoolExecutor(24) as pool:
        jobs: list[Any] = [pool.submit(lambda: [model("hi")]) for _ in range(10)]
        jobs += [pool.submit(lambda: asyncio.run(tasks())) for _ in range(2)]
        jobs.append(pool.submit(lambda: trio.run(in_trio)))
        jobs.append(pool.submit(lambda: model.batch(["hi"] * 30)))
        answers = [message for job in jobs for message in job.result(10)]
    assert len(answers) == 70
    assert len(route.requests) == 1
    outcomes = [m.attempts[0].outcome for m in answers]
    assert outcomes.count("ok") == 1
    assert set(outcomes) <= {"ok", "shared call", "cache hit"}
    assert {m.text for m in answers} == {answers[0].text}


def test_two_caches_of_one_file_share_calls_too(server: Server, tmp_path: Any) -> None:
    route = server.route(plain(after=0.05))
    with ThreadPoolExecutor(4) as pool:
        models = [cached(route, SQLiteCache(tmp_path / "a.db")) for _ in range(4)]
        assert len({m.text for m in pool.map(lambda model: model("hi"), models)}) == 1
    assert len(route.requests) == 1


def test_a_cut_answer_is_shared_and_not_kept(server: Server) -> None:
    cut = plain(answer(choices=[{"index": 0, "message": {"content": "x"}, "finish_reason": "length"}]), after=0.05)
    route = server.route(cut)
    model = cached(route)
    assert sorted(m.from_cache for m in model.batch(["hi"] * 5)) == [False, True, True, True, True]
    assert not model("hi").from_cache


def test_streams_and_plain_calls_share_one_call(world: World, server: Server) -> None:
    route = server.route(sse(events("a", "b"), gap=0.02))
    model = cached(route)
    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(world.read, model) for _ in range(5)]
        route.wait_for_requests(1)
        jobs.append(pool.submit(world.read, model.with_settings(stop=None)))
        found = [job.result(10) for job in jobs]
        plainly = world.call(model)
    assert [(r.error, r.texts) for r in found] == [(None, ["a", "b"])] * 6
    assert len(route.requests) == 1
    outcomes = [r.stream.message.attempts[0].outcome for r in found]
    assert outcomes.count("ok") == 1
    assert plainly.text == "ab"


def test_a_stream_joins_a_plain_call(world: World, server: Server) -> None:
    route = server.route(plain(after=0.05))
    model = cached(route)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(model, "hi")
        route.wait_for_requests(1)
        joined = world.read(model).stream.message
        assert joined.text == first.result().text
    assert joined.attempts[0].outcome == "shared call"
    assert len(route.requests) == 1


def test_nobody_waits_long_for_a_reader_who_does_not_read(world: World, server: Server) -> None:
    """Not the reader itself either, who asks the same thing in the middle of its loop."""
    route = server.route(sse(events("a", "b")))
    model = cached(route)
    stream = model.stream("hi")
    assert next(stream).event
    assert world.read(model).texts == ["a", "b"]
    assert world.call(model).from_cache
    assert len(route.requests) == 2
    assert stream.until_done().text == "ab"


def test_a_handler_that_asks_in_the_middle_of_a_stream(server: Server) -> None:
    inside: list[AIMessage] = []

    class Handler:
        raise_error = True

        def on_llm_new_token(self, *args: Any, **kw: Any) -> None:
            if not inside:
                inside.append(model("hi"))

    model = cached(server.route(BOTH))
    assert model.stream("hi", callbacks=[Handler()]).until_done().text == inside[0].text == "Bonjour"


def test_when_a_reader_leaves_one_of_the_others_goes_next(server: Server) -> None:
    route = server.route(sse([event({"content": "a"})] * 9, end=False), BOTH)
    model = cached(route)
    stream = model.stream("hi")
    next(stream)
    with ThreadPoolExecutor(3) as pool:
        others = [pool.submit(model.stream("hi").until_done) for _ in range(3)]
        stream.close()
        assert {job.result(5).text for job in others} == {"Bonjour"}
    assert len(route.requests) == 2


def test_a_stream_that_waits_can_be_left(server: Server) -> None:
    route = server.route(plain(after=0.2))
    model = cached(route)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(model, "hi")
        route.wait_for_requests(1)
        stream = model.stream("hi")
        waiting = pool.submit(list, stream)
        time.sleep(0.02)
        stream.close()
        assert waiting.result(5) == []
        assert not first.done()
    assert len(route.requests) == 1


def test_when_the_leader_fails_one_of_the_others_goes_next(world: World, server: Server) -> None:
    route = server.route(slow_error, plain(after=0.02))
    model = cached(route)
    results = world.batch(model, ["hi"] * 8, errors="return")
    failed = [r for r in results if isinstance(r, Exception)]
    assert [type(e).__name__ for e in failed] == ["BadRequestError"]
    assert {r.text for r in results if isinstance(r, AIMessage)} == {"J'aime programmer."}
    assert len(route.requests) == 2


def slow_error(exchange: Any) -> None:
    exchange.wait(0.05)
    error(400)(exchange)


async def test_a_cancelled_leader_cancels_nobody_else(server: Server) -> None:
    route = server.route(plain(after=5), plain(after=0.05))
    model = cached(route)
    leader = asyncio.create_task(model.ainvoke("hi"))
    await asyncio.to_thread(route.wait_for_requests, 1)
    others = [asyncio.create_task(model.ainvoke("hi")) for _ in range(5)]
    await asyncio.sleep(0.02)
    others[0].cancel()
    leader.cancel()
    found = await asyncio.gather(leader, *others, return_exceptions=True)
    assert [type(f).__name__ for f in found] == ["CancelledError"] * 2 + ["AIMessage"] * 4
    assert len(route.requests) == 2


def test_who_asks_from_inside_a_call_waits_for_nobody(server: Server) -> None:
    """A handler that asks the same thing would wait for itself."""
    route = server.route(error(500), plain())
    model = cached(route).with_retry(attempts=2, base=0)
    inside: list[AIMessage] = []

    class Handler:
        raise_error = True

        def on_retry(self, *args: Any, **kw: Any) -> None:
            inside.append(model("hi"))

    outside = model("hi", callbacks=[Handler()])
    assert [m.text for m in (outside, *inside)] == ["J'aime programmer."] * 2
    assert len(route.requests) == 3


async def test_a_sync_call_in_the_loop_of_its_leader_does_not_wait(server: Server) -> None:
    """It holds up the very loop that would bring the answer."""
    route = server.route(plain(after=0.1), plain())
    model = cached(route)
    leader = asyncio.create_task(model.ainvoke("hi"))
    await asyncio.sleep(0.02)
    assert model("hi").attempts[0].outcome == "ok"
    await leader
    assert len(route.requests) == 2


async def test_sync_calls_may_fill_all_threads_of_the_loop(server: Server, tmp_path: Any) -> None:
    """The leader's look into its file does not need one of them."""
    route = server.route(plain(after=0.1))
    model = cached(route, SQLiteCache(tmp_path / "a.db"))
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    leader = asyncio.create_task(model.ainvoke("hi"))
    await asyncio.to_thread(route.wait_for_requests, 1)
    others = [asyncio.create_task(asyncio.to_thread(model, "hi")) for _ in range(4)]
    found = await asyncio.wait_for(asyncio.gather(leader, *others), 5)
    assert [m.text for m in found] == [found[0].text] * 5
    assert len(route.requests) == 1


def test_nobody_waits_longer_than_the_call_may_take(server: Server) -> None:
    route = server.route(plain(after=10), plain())
    model = cached(route)
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(model.with_timeouts(total=0.3), "hi")
        route.wait_for_requests(1)
        assert model.with_timeouts(total=0.05)("hi").attempts[0].outcome == "ok"
        assert not leader.done()
        assert isinstance(leader.exception(5), DeadlineError)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_in_the_child_of_a_fork_nobody_waits_for_the_parent_s_call(server: Server, tmp_path: Any) -> None:
    route = server.route(plain(after=0.3), plain())
    model = cached(route, SQLiteCache(tmp_path / "a.db"))
    leader = threading.Thread(target=model, args=("hi",))
    leader.start()
    route.wait_for_requests(1)
    out = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(target=lambda: out.put(model("hi").attempts[0].outcome))
    child.start()
    child.join(10)
    assert leader.is_alive()
    assert out.get() == "ok"
    leader.join()
    assert len(route.requests) == 2
