"""Code written against the OpenAI SDK: the same over the real client and over ours, field by field."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("openai")

import openai
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel

import chatmodels as cm
from chatmodels import ChatModel
from chatmodels._call import HTTPResponse
from chatmodels._fold import fold
from chatmodels._json import encode
from chatmodels._parts import Audio, Image, Opaque, ServerTool
from chatmodels.dialects._base import events_of
from chatmodels.dialects.openai_chat import OpenAIChat
from chatmodels.integrations._openai_answers import ChunkWriter, answer_of
from chatmodels.integrations._openai_light import LightAsyncOpenAI, LightOpenAI
from chatmodels.integrations.openai import as_async_openai, as_openai

from ..servers import serving
from ..strategies import whole_answers
from .brain import TEXT, Brain

ASK = {"model": "brain-1", "messages": [{"role": "user", "content": "Give 3 of 'them'"}]}
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a word up.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}, "times": {"type": "integer"}}},
    },
}


class Answer(BaseModel):
    thing: str
    count: int


def chat(brain: Brain, provider: str = "openai", **options: Any) -> ChatModel:
    return ChatModel(f"{provider}:brain-1", base_url=brain.url, api_key="k", **options)


def plain(client: Any) -> Any:
    return client.chat.completions.create(**ASK, temperature=0, max_tokens=50).model_dump()


def several(client: Any) -> Any:
    return client.chat.completions.create(**ASK, n=2, stop=["small"]).model_dump()


def tools(client: Any) -> Any:
    return client.chat.completions.create(**ASK, tools=[TOOL], tool_choice="required").model_dump()


def conversation(client: Any) -> Any:
    call = client.chat.completions.create(**ASK, tools=[TOOL], tool_choice="required").choices[0].message
    result = {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "found"}
    messages = [{"role": "developer", "content": "Be brief."}, *ASK["messages"], call, result]
    return client.chat.completions.create(model="brain-1", messages=messages, tools=[TOOL]).model_dump()


def streamed(client: Any) -> Any:
    return [_usual(c) for c in client.chat.completions.create(**ASK, stream=True)]


def streamed_with_usage(client: Any) -> Any:
    asked = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
    return [_usual(c) for c in client.chat.completions.create(**asked)]


def parsed(client: Any) -> Any:
    made = client.chat.completions.parse(**ASK, response_format=Answer)
    assert isinstance(made.choices[0].message.parsed, Answer)
    return made.model_dump(warnings=False)


def events(client: Any) -> Any:
    with client.chat.completions.stream(**ASK, tools=[TOOL], tool_choice="required") as stream:
        kinds = [e.type for e in stream]
        return sorted(set(kinds)), _usual(stream.get_final_completion())


def raw(client: Any) -> Any:
    response = client.chat.completions.with_raw_response.create(**ASK)
    return response.status_code, response.headers["x-request-id"], response.parse().model_dump()


def _usual(answer: Any) -> Any:
    """The data of an answer, without the time at which it was made and without empty texts, which say nothing."""
    data = answer.model_dump(exclude_none=True)
    data["created"] = 0
    for choice in data["choices"]:
        for name in [k for k, v in choice.get("delta", {}).items() if v == ""]:
            del choice["delta"][name]
    return data


@pytest.mark.parametrize(
    "code",
    [plain, several, tools, conversation, streamed, streamed_with_usage, parsed, events, raw],
    ids=lambda f: f.__name__,
)
def test_the_same_over_the_sdk_and_over_ours(brain: Brain, code: Callable[[Any], Any]) -> None:
    with openai.OpenAI(api_key="k", base_url=brain.url) as real, as_openai(chat(brain)) as ours:
        assert isinstance(ours, openai.OpenAI)
        want = code(real)
        sent = len(brain.seen)
        assert code(ours) == want
        assert len(brain.seen) > sent


async def test_the_async_twin(brain: Brain) -> None:
    async with openai.AsyncOpenAI(api_key="k", base_url=brain.url) as real, as_async_openai(chat(brain)) as ours:
        assert isinstance(ours, openai.AsyncOpenAI)
        for client in (real, ours):
            answer = await client.chat.completions.create(**ASK)
            assert answer.choices[0].message.content == TEXT
            made = await client.chat.completions.parse(**ASK, response_format=Answer)
            assert made.choices[0].message.parsed == Answer(thing="them", count=3)
            stream = await client.chat.completions.create(**ASK, stream=True)
            assert "".join([c.choices[0].delta.content or "" async for c in stream]) == TEXT
            assert [m.id async for m in await _models(client)] == ["brain-1"]


async def _models(client: Any) -> Any:
    return client.models.list()


def test_other_providers_answer_in_the_same_form(brain: Brain) -> None:
    with as_openai(chat(brain, "anthropic")) as client:
        answer = client.chat.completions.create(**{**ASK, "model": "gpt-4o"}, tools=[TOOL], tool_choice="required")
        [call] = answer.choices[0].message.tool_calls
        assert (call.function.name, call.function.arguments) == ("look_up", '{"word":"them","times":3}')
        assert (answer.model, answer.choices[0].finish_reason) == ("brain-1", "tool_calls")
        assert answer.usage.prompt_tokens_details.cached_tokens == 3
        made = client.chat.completions.parse(**ASK, response_format=Answer)
        assert made.choices[0].message.parsed == Answer(thing="them", count=3)
        assert made.choices[0].finish_reason == "stop"
        with client.chat.completions.stream(**ASK, response_format=Answer) as stream:
            kinds = {e.type for e in stream}
            final = stream.get_final_completion()
        assert kinds == {"chunk", "content.delta", "content.done"}
        assert final.choices[0].message.parsed == Answer(thing="them", count=3)


def test_the_embedded_engine_behind_the_sdk() -> None:
    with as_openai(ChatModel("local", temperature=0, max_tokens=4)) as client:
        answer = client.chat.completions.create(model="any", messages=[{"role": "user", "content": "Say hello."}])
        assert answer.choices[0].message.content
        assert answer.usage.completion_tokens == 4


def test_the_models_settings_hold_and_requests_outweigh_them(brain: Brain) -> None:
    with as_openai(chat(brain, temperature=0.25, max_tokens=9)) as client:
        client.chat.completions.create(**{**ASK, "model": "gpt-4o"}, max_tokens=7)
    asked = brain.seen[-1]
    assert (asked["temperature"], asked["max_tokens"], asked["model"]) == (0.25, 7, "brain-1")
    with as_openai(chat(brain), pass_model=True) as client:
        assert client.chat.completions.create(**{**ASK, "model": "brain-2"}).model == "brain-2"


def test_fields_that_another_provider_does_not_have_are_told(brain: Brain) -> None:
    with as_openai(chat(brain, "anthropic")) as client, pytest.warns(UserWarning, match="prompt_cache_key"):
        client.chat.completions.create(**ASK, prompt_cache_key="k")


def test_errors_are_the_sdks(brain: Brain) -> None:
    with as_openai(chat(brain, max_retries=1).with_model("broken")) as client:
        for asked in (ASK, {**ASK, "stream": True}):
            with pytest.raises(openai.RateLimitError) as caught:
                client.chat.completions.create(**asked)
            assert (caught.value.status_code, caught.value.code) == (429, "rate_limit_exceeded")
            assert caught.value.request_id == "req_brain"
        with pytest.raises(openai.NotFoundError, match="models only"):
            client.embeddings.create(model="m", input="text", encoding_format="float")
        with pytest.raises(openai.BadRequestError, match="messages"):
            client.chat.completions.create(model="m", messages=[{"content": "Hi"}])
    nobody = as_openai(ChatModel("openai:m", base_url="http://127.0.0.1:1/v1", api_key="k", max_retries=1))
    with nobody as client, pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(**ASK)


def test_a_stream_that_breaks_is_an_error() -> None:
    def cut(exchange: Any) -> None:
        exchange.head(headers={"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        exchange.chunk(b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"J\'aime"}}]}\n\n')
        exchange.rst()

    with serving() as server:
        model = ChatModel("openai:m", base_url=server.route(cut).url, api_key="k", max_retries=1)
        with as_openai(model) as client:
            chunks = iter(client.chat.completions.create(**ASK, stream=True))
            assert [next(chunks).choices[0].delta.content for _ in range(2)] == ["", "J'aime"]
            with pytest.raises(openai.APIError, match="before the answer was complete"):
                next(chunks)


def _one_word_then_silence(exchange: Any) -> None:
    exchange.head(headers={"content-type": "text/event-stream", "transfer-encoding": "chunked"})
    exchange.chunk(b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"J\'aime"}}]}\n\n')
    exchange.wait(20)


async def test_leaving_a_stream_closes_its_connection() -> None:
    with serving() as server:
        route = server.route(_one_word_then_silence)
        model = ChatModel("openai:m", base_url=route.url, api_key="k")
        with as_openai(model) as client, client.chat.completions.create(**ASK, stream=True) as stream:
            next(iter(stream))
        await asyncio.to_thread(route.wait_left)
        async with as_async_openai(model) as twin:
            async with await twin.chat.completions.create(**ASK, stream=True) as stream:
                await anext(aiter(stream))
            await asyncio.to_thread(route.wait_left, 2)


# ---- without the SDK


def test_light_objects_have_the_same_shape(brain: Brain) -> None:
    with openai.OpenAI(api_key="k", base_url=brain.url) as real:
        ours = LightOpenAI(chat(brain), False)
        for code in (plain, tools, several):
            want = code(real)
            assert _filled(code(ours)) == _filled(want)
        answer = ours.chat.completions.create(**ASK)
        assert answer.choices[0].message.content == TEXT
        assert answer.choices[0].message.audio is None
        texts = [c.choices[0].delta.content for c in ours.chat.completions.create(**ASK, stream=True)]
        assert "".join(t or "" for t in texts) == TEXT
        with ours.chat.completions.create(**ASK, stream=True) as stream:
            next(iter(stream))
        made = ours.chat.completions.parse(**ASK, response_format=Answer)
        assert made.choices[0].message.parsed == Answer(thing="them", count=3)
        assert [m.id for m in ours.models.list().data] == ["brain-1"]
        with pytest.raises(cm.UsageError, match=r"chatmodels\[openai\]"):
            ours.chat.completions.stream(**ASK)


async def test_light_objects_are_async_too(brain: Brain) -> None:
    ours = LightAsyncOpenAI(chat(brain), False)
    assert (await ours.chat.completions.create(**ASK)).choices[0].message.content == TEXT
    async with await ours.chat.completions.create(**ASK, stream=True) as stream:
        assert "".join([c.choices[0].delta.content or "" async for c in stream]) == TEXT
    made = await ours.chat.completions.parse(**ASK, response_format=Answer)
    assert made.choices[0].message.parsed == Answer(thing="them", count=3)


def _filled(data: Any) -> Any:
    """Without fields that are None: the SDK's classes list all they know."""
    if isinstance(data, dict):
        return {k: _filled(v) for k, v in data.items() if v is not None}
    return [_filled(v) for v in data] if isinstance(data, list) else data


def test_without_the_sdk_light_objects_come() -> None:
    code = (
        "import sys, importlib.util as u\n"
        "find = u.find_spec; u.find_spec = lambda n, *a: None if n == 'openai' else find(n, *a)\n"
        "from chatmodels import ChatModel; from chatmodels.integrations.openai import as_openai\n"
        "print(type(as_openai(ChatModel('local'))).__name__, 'openai' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["LightOpenAI", "False"]


# ---- the wire form of any answer

DIALECT = OpenAIChat("openai")
quick = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
NO_PLACE = (Image, Opaque, ServerTool, Audio)


def _said(message: Any) -> Any:
    """What Chat Completions can say of an answer."""
    calls = [(c.id, c.name, c.args_text or "{}") for c in message.tool_calls]
    usage = message.usage and (message.usage.input_tokens, message.usage.output_tokens)
    return message.text, calls, message.refusal or None, usage


@quick
@given(whole_answers())
def test_any_answer_is_written_and_read_again(message: Any) -> None:
    wire = answer_of(message, model="m", created=1)
    back = DIALECT.decode(HTTPResponse(status=200, body=encode(wire)))
    assert _said(back)[:3] == _said(message)[:3]
    decoder = DIALECT.stream_decoder()
    writer = ChunkWriter(model="m", created=1, with_usage=True)
    chunks = [c for e in events_of(message) for c in writer.chunks(e)]
    data = b"".join(b"data: " + encode(c) + b"\n\n" for c in chunks) + b"data: [DONE]\n\n"
    assert _said(fold([*decoder.feed(data), *decoder.close()]))[:3] == _said(message)[:3]
