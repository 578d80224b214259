"""Agents of pydantic-ai over our models."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("pydantic_ai")

from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel
from pydantic_ai import (
    Agent,
    BinaryContent,
    CachePoint,
    DocumentUrl,
    ImageUrl,
    ModelRetry,
    NativeOutput,
)
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError, ModelRateLimitError, UserError
from pydantic_ai.messages import ModelMessagesTypeAdapter, ThinkingPart
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel

import chatmodels as cm
from chatmodels import ChatModel
from chatmodels._inputs import plain
from chatmodels._parts import Refusal, Text
from chatmodels.integrations._pydantic_ai_messages import message_of_response, response_of
from chatmodels.integrations.pydantic_ai import as_pydantic_ai

from ..servers import serving
from ..strategies import whole_answers
from .brain import TEXT, Brain

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pydantic_ai")


class Answer(BaseModel):
    thing: str
    count: int


@pytest.fixture(autouse=True)
def a_loop_that_is_closed() -> Iterator[None]:
    """`run_sync` takes the thread's event loop, and leaves one of its own making open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)
    loop.close()


def chat(brain: Brain, provider: str = "openai", **options: Any) -> ChatModel:
    return ChatModel(f"{provider}:brain-1", base_url=brain.url, api_key="k", **options)


def test_an_agent(brain: Brain) -> None:
    model = as_pydantic_ai(chat(brain, max_tokens=40))
    assert isinstance(model, Model)
    assert (model.model_name, model.system, model.base_url) == ("brain-1", "openai", brain.url)
    agent = Agent(model, instructions="Be brief.", model_settings={"temperature": 0.5, "stop_sequences": ["small"]})
    result = agent.run_sync("Hi")
    assert result.output == TEXT.partition("small")[0]
    asked = brain.seen[-1]
    assert (asked["temperature"], asked["stop"], asked["max_tokens"]) == (0.5, ["small"], 40)
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    answer = result.all_messages()[-1]
    assert (answer.finish_reason, answer.provider_response_id, answer.provider_name) == (
        "stop",
        "chatcmpl-brain",
        "openai",
    )
    assert result.usage.input_tokens > 0
    assert result.usage.cache_read_tokens > 0
    assert result.usage.details == {"reasoning_tokens": 1}


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_tools_and_a_history_that_goes_on(brain: Brain, provider: str) -> None:
    agent = Agent(as_pydantic_ai(chat(brain, provider)))
    calls = []

    @agent.tool_plain
    def look_up(word: str) -> str:
        """Look a word up."""
        calls.append(word)
        if len(calls) == 1:
            raise ModelRetry("again")
        return f"found {word}"

    result = agent.run_sync("please look_up 'cat'")
    assert result.output == TEXT
    assert calls == ["cat"]  # told that it failed, this model does not call again
    history = ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json(result.all_messages()))
    agent.run_sync("and 'dog'", message_history=history)
    sent = str(brain.seen[-1]["messages"])
    assert all(word in sent for word in ("please look_up", "'cat'", "again", TEXT, "and 'dog'"))
    assert ("is_error" in sent) == (provider == "anthropic")


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("output", [Answer, NativeOutput(Answer)], ids=["tool", "native"])
async def test_typed_outputs_plain_and_streamed(brain: Brain, provider: str, output: Any) -> None:
    agent: Agent[None, Answer] = Agent(as_pydantic_ai(chat(brain, provider)), output_type=output)
    want = Answer(thing="them", count=3)
    assert (await agent.run("Give 3 of 'them'")).output == want
    async with agent.run_stream("Give 3 of 'them'") as stream:
        seen = [part async for part in stream.stream_output(debounce_by=None)]
    assert seen[-1] == want


def test_thinking_and_feedback_of_validators(brain: Brain) -> None:
    agent = Agent(as_pydantic_ai(chat(brain, "anthropic")), retries=1, model_settings={"thinking": "low"})
    answers: list[str] = []

    @agent.output_validator
    def first_is_wrong(answer: str) -> str:
        answers.append(answer)
        if len(answers) == 1:
            raise ModelRetry("shorter please")
        return answer

    assert agent.run_sync("Hi").output == TEXT
    asked = brain.seen[-1]
    assert asked["thinking"]["type"] == "enabled"
    assert [m["role"] for m in asked["messages"]] == ["user", "assistant", "user"]
    assert "shorter please" in asked["messages"][-1]["content"]


async def test_text_streams(brain: Brain) -> None:
    agent = Agent(as_pydantic_ai(chat(brain)))
    async with agent.run_stream("Hi") as stream:
        pieces = [p async for p in stream.stream_text(delta=True, debounce_by=None)]
        assert stream.usage.output_tokens > 0
    assert "".join(pieces) == TEXT
    assert len(pieces) > 3
    answer = stream.all_messages()[-1]
    assert (answer.finish_reason, answer.model_name, answer.provider_response_id) == (
        "stop",
        "brain-1",
        "chatcmpl-brain",
    )
    async with agent.run_stream("Hi") as stream:
        async for _ in stream.stream_text(delta=True, debounce_by=None):
            break  # left early: warnings of open sockets are errors here


def test_images_documents_and_cache_points(brain: Brain) -> None:
    agent = Agent(as_pydantic_ai(chat(brain, "anthropic")))
    agent.run_sync(
        [
            "What is this?",
            ImageUrl("https://x.test/a.png"),
            BinaryContent(b"\x89PNG", media_type="image/png"),
            DocumentUrl("https://x.test/a.pdf"),
            BinaryContent(b"%PDF-1.4", media_type="application/pdf"),
            CachePoint(),
        ]
    )
    content = brain.seen[-1]["messages"][0]["content"]
    assert [p["type"] for p in content] == ["text", "image", "image", "document", "document"]
    assert [p["source"]["type"] for p in content[1:]] == ["url", "base64", "url", "base64"]
    assert content[-1]["cache_control"]["type"] == "ephemeral"


def test_errors_are_pydantic_ais(brain: Brain) -> None:
    broken = as_pydantic_ai(chat(brain, max_retries=1).with_model("broken"))
    with pytest.raises(ModelRateLimitError) as caught:
        Agent(broken).run_sync("Hi")
    error = caught.value
    assert isinstance(error, ModelHTTPError)
    assert (error.status_code, error.provider_error_code) == (429, "rate_limit_exceeded")
    assert isinstance(error.__cause__, cm.RateLimitError)
    assert type(pickle.loads(pickle.dumps(error))) is type(error)
    assert Agent(FallbackModel(broken, as_pydantic_ai(chat(brain)))).run_sync("Hi").output == TEXT
    nobody = as_pydantic_ai(ChatModel("openai:m", base_url="http://127.0.0.1:1/v1", api_key="k", max_retries=1))
    with pytest.raises(ModelConnectionError):
        Agent(nobody).run_sync("Hi")
    with pytest.raises(UserError, match="temperature"):
        Agent(as_pydantic_ai(chat(brain))).run_sync("Hi", model_settings={"temperature": "hot"})  # type: ignore[typeddict-item]


async def test_a_stream_that_breaks_is_an_error() -> None:
    def cut(exchange: Any) -> None:
        exchange.head(headers={"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        exchange.chunk(b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"J\'aime"}}]}\n\n')
        exchange.rst()

    with serving() as server:
        model = ChatModel("openai:m", base_url=server.route(cut).url, api_key="k", max_retries=1)
        agent = Agent(as_pydantic_ai(model))

        async def read() -> list[str]:
            async with agent.run_stream("Hi") as stream:
                return [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]

        with pytest.raises(ModelConnectionError, match="before the answer was complete"):
            await read()


def test_the_embedded_engine() -> None:
    agent = Agent(as_pydantic_ai(ChatModel("local", temperature=0, max_tokens=4)))
    result = agent.run_sync("Say hello.")
    assert result.output
    assert result.usage.output_tokens == 4


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(whole_answers())
def test_an_answer_goes_back_as_it_came(message: Any) -> None:
    response = response_of(message, message.parts)
    [again] = ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json([response]))
    back = message_of_response(again)
    assert back.parts == cm.AIMessage(plain(message.parts)).parts
    assert (back.id, back.model, back.provider_data) == (message.id, message.model, message.provider_data)


@pytest.mark.parametrize("kind", [cm.Image, cm.Audio, cm.Video, cm.File])
@pytest.mark.parametrize("data", [b"abc", b"\x89PNG\r\n\x1a\nx", b""])
def test_media_without_a_type_come_back_as_what_they_were(kind: Any, data: bytes) -> None:
    message = cm.AIMessage([Text("see"), kind(data=data)], provider="openai")
    response = response_of(message, message.parts)
    [again] = ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json([response]))
    assert message_of_response(again).parts == message.parts


def test_a_picture_that_was_exchanged_is_not_put_back() -> None:
    message = cm.AIMessage([cm.Image(data=b"abc")], provider="openai")
    [part] = response_of(message, message.parts).parts
    part.content.data = b"other"
    assert [p.data for p in message_of_response(response_of(message, [])).parts] == []
    response = response_of(message, message.parts)
    response.parts = [part]
    assert [p.data for p in message_of_response(response).parts] == [b"other"]


def test_a_refusal_is_a_filter() -> None:
    response = response_of(cm.AIMessage([Refusal("no")], finish_reason="stop", provider="openai"), [Refusal("no")])
    assert (response.finish_reason, response.provider_details["refusal"], list(response.parts)) == (
        "content_filter",
        "no",
        [],
    )


def test_thinking_goes_back_with_its_signature() -> None:
    made = response_of(cm.AIMessage([cm.Reasoning("hm", signature="s"), Text("x")], provider="anthropic"), [])
    made.parts = [ThinkingPart("hm", signature="s")]
    assert plain(message_of_response(made).parts) == [cm.Reasoning("hm", signature="s")]


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(cm.UsageError, match="ChatModel"):
        as_pydantic_ai(object())  # type: ignore[arg-type]
