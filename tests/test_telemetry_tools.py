"""Spans around the tools that a tool loop runs, in every world; and the types of attributes, as the conventions have them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from chatmodels import BadRequestError, ChatModel, ToolMessage, telemetry
from chatmodels.batch import run_batch

from .conftest import World, chat
from .servers import DONE, Server, answer, error, event, plain, sse
from .servers import events as wire
from .test_telemetry import Exported

pytest.importorskip("opentelemetry.sdk")


@pytest.fixture
def exported() -> Iterator[Exported]:
    made = Exported()
    yield made
    telemetry.uninstrument()
    for one in (made.meters, made.loggers, made.tracers):
        one.shutdown()


def asks(name: str, args: str = '{"city": "Rome"}', number: int = 1) -> Any:
    """An answer that calls a tool."""
    calls = [{"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": args}} for n in range(number)]
    said = {"role": "assistant", "content": None, "tool_calls": calls}
    return plain(answer(choices=[{"index": 0, "message": said, "finish_reason": "tool_calls"}]))


def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


async def aweather(city: str) -> str:
    """The weather of a city, soon."""
    return f"sunny in {city}"


def ran(exported: Exported) -> list[Any]:
    return [s for s in exported.spans if s.name.startswith("execute_tool")]


@pytest.mark.parametrize("function", [weather, aweather])
@pytest.mark.parametrize("number", [1, 3])
def test_each_tool_has_a_span(server: Server, exported: Exported, world: World, number: int, function: Any) -> None:
    exported.on()
    model = chat(server.route(asks(function.__name__, number=number), plain()))
    tracer = exported.tracers.get_tracer("test")
    with tracer.start_as_current_span("mine") as mine:
        if world.name == "sync":
            model.with_tools(function).run_tools("go")
        else:
            world.run(model.with_tools(function).arun_tools, "go")
        with tracer.start_as_current_span("after") as after:  # what was current before is so again
            pass
    spans, (agent,) = ran(exported), [s for s in exported.spans if s.name == "invoke_agent"]
    assert agent.parent.span_id == mine.get_span_context().span_id
    assert (agent.kind.name, agent.attributes["gen_ai.operation.name"]) == ("INTERNAL", "invoke_agent")
    assert {s.parent.span_id for s in exported.spans if s.name.startswith("chat")} == {agent.context.span_id}
    assert sorted(s.attributes["gen_ai.tool.call.id"] for s in spans) == [f"c{n}" for n in range(number)]
    for span in spans:
        assert span.name == f"execute_tool {function.__name__}"
        assert span.kind.name == "INTERNAL"
        assert span.parent.span_id == agent.context.span_id
        assert span.attributes["gen_ai.operation.name"] == "execute_tool"
        assert span.attributes["gen_ai.tool.name"] == function.__name__
        assert span.attributes["gen_ai.tool.type"] == "function"
        assert span.attributes["gen_ai.tool.description"].startswith("The weather")
        assert "Rome" not in str(dict(span.attributes))
        assert span.status.status_code.name == "UNSET"
    assert after.parent.span_id == mine.get_span_context().span_id  # type: ignore[attr-defined]


def test_a_streamed_loop_has_them_too(server: Server, exported: Exported) -> None:
    exported.on()
    with chat(server.route(asks("weather"), plain())).with_tools(weather).stream_tools("go") as stream:
        for _ in stream:
            pass
    assert [s.name for s in ran(exported)] == ["execute_tool weather"]


@pytest.mark.parametrize("how", ["read", "left", "broken"])
def test_the_span_of_a_streamed_loop(server: Server, exported: Exported, world: World, how: str) -> None:
    """All of the loop is inside, whoever reads it is not, and it ends however the stream ends."""
    from opentelemetry.trace import get_current_span

    exported.on(content="event")
    first = sse(wire_calls("weather"))
    route = server.route(first, error(400) if how == "broken" else sse(wire("sun", "ny")))
    model = chat(route).with_tools(weather)

    async def read() -> None:
        async with model.astream_tools("secret words") as stream:
            async for item in stream:
                assert not get_current_span().get_span_context().is_valid
                if how == "left" and item.text == "sun":
                    break

    with pytest.raises(BadRequestError) if how == "broken" else nullcontext():
        if world.name != "sync":
            world.run(read)
        else:
            with model.stream_tools("secret words") as stream:
                for item in stream:
                    assert not get_current_span().get_span_context().is_valid
                    if how == "left" and item.text == "sun":
                        break
    (agent,) = [s for s in exported.spans if s.name == "invoke_agent"]
    assert sorted(s.name.partition(" ")[0] for s in exported.spans) == ["chat", "chat", "execute_tool", "invoke_agent"]
    assert {s.parent.span_id for s in exported.spans if s is not agent} == {agent.context.span_id}
    found = dict(agent.attributes)
    assert found.get("error.type") == ("BadRequestError" if how == "broken" else None)
    assert found.get("gen_ai.response.finish_reasons") == (("stop",) if how == "read" else None)
    assert "secret words" not in str(found)


def test_a_tool_that_fails(server: Server, exported: Exported) -> None:
    exported.on(content="span")

    def breaks(city: str) -> str:
        raise LookupError(f"no {city}; token: sk-canary-0123456789abcdef")

    chat(server.route(asks("breaks"), plain())).with_tools(breaks).run_tools("go")
    (span,) = ran(exported)
    assert span.attributes["error.type"] == "LookupError"
    assert (span.status.status_code.name, span.status.description) == ("ERROR", "no Rome; token: [hidden]")
    assert "gen_ai.tool.call.result" not in span.attributes


def test_content_of_tools_is_asked_for(server: Server, exported: Exported) -> None:
    exported.on(content="span")

    def table(city: str) -> list[dict[str, Any]]:
        return [{"city": city}]

    def said(city: str) -> ToolMessage:
        return ToolMessage("fine", tool_call_id="")

    for function in (weather, table, said):
        chat(server.route(asks(function.__name__), plain())).with_tools(function).run_tools("go")
    spans = ran(exported)
    assert {s.attributes["gen_ai.tool.call.arguments"] for s in spans} == {'{"city":"Rome"}'}
    assert [s.attributes["gen_ai.tool.call.result"] for s in spans] == ["sunny in Rome", '[{"city":"Rome"}]', "fine"]


async def test_a_tool_that_is_cancelled(server: Server, exported: Exported) -> None:
    exported.on(content="span")
    began = asyncio.Event()

    async def slow(city: str) -> str:
        began.set()
        await asyncio.sleep(30)
        return city

    loop = chat(server.route(asks("slow"), plain())).with_tools(slow).arun_tools("go")
    task = asyncio.create_task(loop)
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (span,) = ran(exported)
    assert "gen_ai.tool.call.result" not in span.attributes


def test_the_calls_of_a_durable_batch_belong_to_the_span_around_it(server: Server, exported: Exported) -> None:
    exported.on()
    with exported.tracers.get_tracer("test").start_as_current_span("mine") as mine:
        run_batch(chat(server.route(plain())), ["a", "b", "c"], max_concurrency=2)
    parents = [s.parent and s.parent.span_id for s in exported.spans if s.name.startswith("chat ")]
    assert parents == [mine.get_span_context().span_id] * 3


def test_an_observer_that_fails_at_tools_breaks_nothing(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    class Fails:
        def begin(self, seen: Any) -> None:
            pass

        end = begin

        def begin_tool(self, seen: Any) -> None:
            raise RuntimeError("no")

        end_tool = begin_tool

    fails = Fails()
    telemetry.watch(fails)
    try:
        with caplog.at_level(logging.WARNING, "chatmodels"):
            run = chat(server.route(asks("weather"), plain())).with_tools(weather).run_tools("go")
    finally:
        telemetry.watch(fails, on=False)
    assert [m.text for m in run.messages if isinstance(m, ToolMessage)] == ["sunny in Rome"]
    assert [r.getMessage() for r in caplog.records] == ["Fails.begin_tool failed", "Fails.end_tool failed"]


def test_numbers_are_of_the_conventions_types(server: Server, exported: Exported) -> None:
    """Backends keep one type for a name: a 0 that is an int beside a 0.5 is refused, or lost."""
    exported.on()
    settings = {"temperature": 0, "top_p": 1, "presence_penalty": 1, "frequency_penalty": 0}
    chat(server.route(plain()), **settings)("hi")
    (span,) = exported.spans
    for name in settings:
        assert type(span.attributes[f"gen_ai.request.{name}"]) is float
    assert span.instrumentation_scope.schema_url == "https://opentelemetry.io/schemas/1.41.0"


@pytest.mark.parametrize(
    ("settings", "kind"),
    [({}, None), ({"response_format": {"type": "json_object"}}, "json"), ({"response_format": {"type": "text"}}, "text"),
     ({"modalities": ["text", "audio"]}, "speech")],
)  # fmt: skip
def test_the_type_of_output(server: Server, exported: Exported, settings: dict[str, Any], kind: str | None) -> None:
    exported.on()
    chat(server.route(plain()), **settings)("hi")
    assert exported.spans[0].attributes.get("gen_ai.output.type") == kind


def test_a_fallback_is_counted_as_what_it_is(server: Server, exported: Exported) -> None:
    """Its tokens are not the first model's, which would have another price."""
    exported.on()
    other = ChatModel("groq:llama", api_key="k", base_url=server.route(plain()).url)
    model = chat(server.route(error(500)), model="first", max_retries=0).with_fallback(other)
    assert model("hi").attempts[-1].provider == "groq"
    (span,) = exported.spans
    found = [span, exported.events[0], *exported.metrics["gen_ai.client.token.usage"]]
    assert {(f.attributes["gen_ai.provider.name"], f.attributes["gen_ai.request.model"]) for f in found} == {
        ("groq", "llama")
    }
    assert span.name == "chat first"
    assert "server.address" not in exported.metrics["gen_ai.client.operation.duration"][0].attributes


def wire_calls(name: str) -> list[bytes]:
    """The events of an answer that calls a tool."""
    call = {"index": 0, "id": "c0", "type": "function", "function": {"name": name, "arguments": '{"city": "Rome"}'}}
    return [event({"role": "assistant", "tool_calls": [call]}), event({}, "tool_calls"), DONE]


@pytest.mark.parametrize("content", [False, "event", "span"])
def test_an_error_that_repeats_the_question_is_content(server: Server, exported: Exported, content: Any) -> None:
    exported.on(content=content)
    question = "My name is Ada Lovelace and my account is 4711."
    for said in (f"Invalid message: {question}", f"Invalid: '...{question[11:33]}...'", "The model is overloaded"):
        with pytest.raises(BadRequestError):
            chat(server.route(error(400, said)))(question)

    def breaks(city: str) -> str:
        raise LookupError(f"no {city}")

    chat(server.route(asks("breaks", '{"city": "Rome"}'), plain())).with_tools(breaks).run_tools("go")
    told = [s.status.description for s in exported.spans if s.status.status_code.name == "ERROR"]
    assert len(told) == 4
    if content == "span":
        assert all(told)
    else:
        assert [bool(one) for one in told] == [False, False, True, False]
        assert "Lovelace" not in "".join(s.to_json() for s in exported.spans)
        assert "Rome" not in "".join(s.to_json() for s in exported.spans)


class Spans:
    """A handler that notes the span that is current when it is told something."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Any]] = []

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self._note("start")

    def on_llm_new_token(self, *args: Any, **kwargs: Any) -> None:
        self._note("token")

    def on_retry(self, *args: Any, **kwargs: Any) -> None:
        self._note("retry")

    def _note(self, what: str) -> None:
        from opentelemetry.trace import get_current_span

        self.found.append((what, get_current_span().get_span_context().span_id))


def test_what_a_call_does_is_inside_its_span(server: Server, exported: Exported, world: World) -> None:
    from opentelemetry.trace import get_current_span

    exported.on()
    notes = Spans()
    model = chat(server.route(error(500), plain()), callbacks=[notes]).with_retry(base=0, attempts=2)
    world.call(model)
    pieces = chat(server.route(error(500), sse(wire("a", "b"))), callbacks=[notes]).with_retry(base=0, attempts=2)
    assert world.read(pieces).texts == ["a", "b"]
    plain_span, stream_span = (s.context.span_id for s in exported.spans)
    inside = [(what, span) for what, span in notes.found if what != "start"]
    assert inside == [("retry", plain_span), ("retry", stream_span), ("token", stream_span), ("token", stream_span)]
    assert not get_current_span().get_span_context().is_valid


def test_who_reads_a_stream_is_outside_its_span(server: Server, exported: Exported, caplog: Any) -> None:
    from opentelemetry.trace import get_current_span

    exported.on()
    model = chat(server.route(sse(wire("a", "b", "c"))))
    tracer = exported.tracers.get_tracer("test")
    with tracer.start_as_current_span("mine") as mine:
        for _ in model.stream("hi"):
            assert get_current_span() is mine

    async def elsewhere() -> None:
        stream = model.astream("hi")
        with tracer.start_as_current_span("first") as first:
            await anext(stream)
            assert get_current_span() is first
        await asyncio.create_task(anext(stream))  # another context
        assert not get_current_span().get_span_context().is_valid
        await asyncio.create_task(stream.aclose())

    asyncio.run(elsewhere())
    left = model.stream("hi")
    next(left)
    thread = threading.Thread(target=left.close)
    thread.start()
    thread.join()
    assert not get_current_span().get_span_context().is_valid
    assert [s.name for s in exported.spans].count(f"chat {model.model}") == 3
    assert caplog.records == []
