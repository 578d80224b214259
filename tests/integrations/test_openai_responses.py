"""`responses.create` of the OpenAI SDK over any provider; what its users say beside the body: timeouts, headers."""

from __future__ import annotations

import asyncio
import time
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
from chatmodels.dialects._base import events_of
from chatmodels.dialects.openai_responses import OpenAIResponses
from chatmodels.integrations._openai_light import LightAsyncOpenAI, LightOpenAI
from chatmodels.integrations._openai_responses import ResponseWriter, response_of
from chatmodels.integrations.openai import as_async_openai, as_openai

from ..servers import error, events, plain, serving, silent, sse
from ..strategies import whole_answers
from .brain import TEXT, Brain

TOOL: Any = {
    "type": "function",
    "name": "look_up",
    "description": "Look a word up.",
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
    "strict": False,
}


class Answer(BaseModel):
    thing: str
    count: int


def chat(brain: Brain, provider: str = "openai", **options: Any) -> ChatModel:
    return ChatModel(f"{provider}:brain-1", base_url=brain.url, api_key="k", **options)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_plain_streamed_typed_and_with_tools(brain: Brain, provider: str) -> None:
    with as_openai(chat(brain, provider)) as client:
        made = client.responses.create(model="gpt-5", input="Hi", instructions="Be brief.", max_output_tokens=50)
        assert (type(made).__name__, made.output_text, made.status) == ("Response", TEXT, "completed")
        assert (made.model, made.instructions) == ("brain-1", "Be brief.")
        assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens > 0
        assert brain.seen[-1].get("max_completion_tokens", brain.seen[-1].get("max_tokens")) == 50
        parsed = client.responses.parse(model="m", input="Give 3 of 'it'", text_format=Answer)
        assert parsed.output_parsed == Answer(thing="it", count=3)
        kinds = [e.type for e in client.responses.create(model="m", input="Hi", stream=True)]
        assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added",
                             "response.content_part.added"]  # fmt: skip
        assert kinds[-4:] == ["response.output_text.done", "response.content_part.done", "response.output_item.done",
                              "response.completed"]  # fmt: skip
        with client.responses.stream(model="m", input="Hi") as stream:
            text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
            assert text == stream.get_final_response().output_text == TEXT
        raw = client.responses.with_raw_response.create(model="m", input="Hi")
        assert (raw.status_code, raw.parse().output_text) == (200, TEXT)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_loop_of_tools_as_the_documentation_writes_it(brain: Brain, provider: str) -> None:
    with as_openai(chat(brain, provider)) as client:
        said: list[Any] = [{"role": "user", "content": "look_up 'cat'"}]
        first = client.responses.create(model="m", input=said, tools=[TOOL])
        [call] = [item for item in first.output if item.type == "function_call"]
        assert (call.name, call.arguments.replace(" ", "")) == ("look_up", '{"word":"cat"}')
        said += first.output
        said.append({"type": "function_call_output", "call_id": call.call_id, "output": "found"})
        assert client.responses.create(model="m", input=said, tools=[TOOL]).output_text == TEXT
        sent = str(brain.seen[-1]["messages"])
        assert "found" in sent
        assert call.call_id in sent
        with client.responses.stream(model="m", input="look_up 'cat'", tools=[TOOL]) as stream:
            pieces = [e.delta for e in stream if e.type == "response.function_call_arguments.delta"]
            [whole] = stream.get_final_response().output
        assert "".join(pieces) == whole.arguments
        assert whole.call_id


async def test_the_async_twin(brain: Brain) -> None:
    async with as_async_openai(chat(brain)) as client:
        assert (await client.responses.create(model="m", input="Hi")).output_text == TEXT
        stream = await client.responses.create(model="m", input="Hi", stream=True)
        assert "".join([e.delta async for e in stream if e.type == "response.output_text.delta"]) == TEXT


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_without_the_sdk(brain: Brain, provider: str) -> None:
    for client in (LightOpenAI(chat(brain, provider), False), LightAsyncOpenAI(chat(brain, provider), False)):
        made = client.responses.create(input="Hi")
        made = await made if asyncio.iscoroutine(made) else made
        assert (made.output_text, made.status) == (TEXT, "completed")
    with LightOpenAI(chat(brain, provider), False).responses.create(input="Hi", stream=True) as stream:
        assert "".join(e.delta for e in stream if e.type == "response.output_text.delta") == TEXT


def test_errors_and_what_only_openai_could_answer(brain: Brain) -> None:
    with as_openai(chat(brain, max_retries=1).with_model("broken")) as client:
        for asked in ({}, {"stream": True}):
            with pytest.raises(openai.RateLimitError):
                client.responses.create(model="m", input="Hi", **asked)
        with pytest.raises(openai.BadRequestError, match="previous_response_id means what OpenAI has stored"):
            client.responses.create(model="m", input="Hi", previous_response_id="resp_1")
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve("resp_1")
    with as_openai(chat(brain)) as client, pytest.warns(UserWarning, match="truncation: not sent"):
        client.responses.create(model="m", input="Hi", truncation="auto")


def test_a_cut_answer_is_no_answer() -> None:
    with serving() as server:
        cut = server.route(sse(events("Bon", "jour")[:2]))
        model = ChatModel("openai:m", base_url=cut.url, api_key="k", max_retries=1)
        with as_openai(model) as client, pytest.raises(openai.APIError, match="before the answer was complete"):
            list(client.responses.create(model="m", input="Hi", stream=True))
        body = {"choices": [{"message": {"role": "assistant", "content": "Bon"}, "finish_reason": "length"}]}
        short = ChatModel("openai:m", base_url=server.route(plain(body)).url, api_key="k", max_retries=1)
        with as_openai(short) as client:
            made = client.responses.create(model="m", input="Hi")
        assert (made.status, made.incomplete_details.reason) == ("incomplete", "max_output_tokens")


# ---- beside the body


@pytest.mark.parametrize("asked", [{}, {"stream": True}], ids=["plain", "streamed"])
def test_the_sdks_timeouts_hold(asked: dict[str, Any]) -> None:
    with serving() as server:
        model = ChatModel("openai:m", base_url=server.route(silent()).url, api_key="k", max_retries=1)
        with as_openai(model) as client:
            for call in (
                lambda: client.chat.completions.create(model="m", messages=MESSAGES, timeout=0.05, **asked),
                lambda: client.with_options(timeout=0.05).responses.create(model="m", input="Hi", **asked),
            ):
                began = time.monotonic()
                with pytest.raises(openai.APITimeoutError):
                    list(call())  # type: ignore[no-untyped-call]
                assert time.monotonic() - began < 5


MESSAGES: Any = [{"role": "user", "content": "Hi"}]


def test_headers_of_a_request_reach_the_provider_and_the_sdks_own_do_not() -> None:
    with serving() as server:
        route = server.route(error(400, "that is all"))
        model = ChatModel("anthropic:m", base_url=route.url, api_key="k", max_retries=1)
        with (
            as_openai(model, default_headers={"x-team": "ours"}) as client,
            pytest.raises(openai.BadRequestError),
        ):
            client.chat.completions.create(model="m", messages=MESSAGES, extra_headers={"x-trace": "7"})
        headers = route.requests[-1].headers
        assert (headers["x-team"], headers["x-trace"], headers["x-api-key"]) == ("ours", "7", "k")
        assert not any(name.startswith("x-stainless") or name == "authorization" for name in headers)
        with as_openai(model) as client, pytest.raises(openai.BadRequestError, match="extra_query"):
            client.chat.completions.create(model="m", messages=MESSAGES, extra_query={"a": "1"})


def test_the_sdks_retries_are_the_models() -> None:
    with serving() as server:
        route = server.route(error(500, "down"))
        model = ChatModel("openai:m", base_url=route.url, api_key="k").with_retry(attempts=2, base=0)
        with as_openai(model, max_retries=2) as client, pytest.raises(openai.InternalServerError):
            client.responses.create(model="m", input="Hi")
        assert len(route.requests) == 3
        with as_openai(model) as client, pytest.raises(openai.InternalServerError):
            client.with_options(max_retries=5).responses.create(model="m", input="Hi")
        assert len(route.requests) == 5


def test_streamed_raw_responses_and_copies(brain: Brain) -> None:
    with as_openai(chat(brain)) as client:
        with client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES, stream=True) as raw:
            lines = list(raw.iter_lines())
        assert lines[-2] == "data: [DONE]"
        copied = client.copy(timeout=30)
        assert copied.chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content == TEXT
        assert [m.id for m in client.models.list()] == [client.models.retrieve("brain-1").id]


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_goes_back_with_its_signature(stream: bool) -> None:
    """A maker that signs its reasoning wants it back beside the calls: it goes along in the items that the SDK's users send."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "sig=="}
    call = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"word": "cat"}}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None,
               "usage": {"input_tokens": 3, "output_tokens": 4}}  # fmt: skip

    def events() -> list[bytes]:
        def said(kind: str, **fields: Any) -> bytes:
            return f"event: {kind}\n".encode() + b"data: " + encode({"type": kind, **fields}) + b"\n\n"

        return [
            said("message_start", message={**message, "content": [], "stop_reason": None}),
            said("content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""}),
            said("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"}),
            said("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "sig=="}),
            said("content_block_stop", index=0),
            said("content_block_start", index=1, content_block={**call, "input": {}}),
            said("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": '{"word": "cat"}'}),
            said("content_block_stop", index=1),
            said("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 4}),
            said("message_stop"),
        ]

    whole = {**message, "content": [thought, call], "stop_reason": "tool_use"}
    with serving() as server:
        route = server.route(lambda e: (sse(events()) if e.request.json.get("stream") else plain(whole))(e))
        model = ChatModel("anthropic:m", base_url=route.url.removesuffix("/v1"), api_key="k", reasoning_budget=1024)
        with as_openai(model) as client:
            said: list[Any] = [{"role": "user", "content": "look_up 'cat'"}]
            if stream:
                with client.responses.stream(model="m", input=said, tools=[TOOL]) as got:
                    done = [e.item for e in got if e.type == "response.output_item.done"]
                    first = got.get_final_response()
                assert done[0].encrypted_content == first.output[0].encrypted_content
            else:
                first = client.responses.create(model="m", input=said, tools=[TOOL])
            assert [i.type for i in first.output] == ["reasoning", "function_call"]
            said += [*first.output, {"type": "function_call_output", "call_id": "toolu_1", "output": "found"}]
            client.responses.create(model="m", input=said, tools=[TOOL])
        assert route.requests[-1].json["messages"][1]["content"] == [thought, call]


def test_two_clients_in_two_loops(brain: Brain) -> None:
    async def ask() -> str:
        async with as_async_openai(chat(brain)) as client:
            made: str = (await client.responses.create(model="m", input="Hi")).output_text
            return made

    assert [asyncio.run(ask()), asyncio.run(ask())] == [TEXT, TEXT]


# ---- the wire form of any answer

DIALECT = OpenAIResponses("openai")


def _said(message: Any) -> Any:
    """What Responses can say of an answer."""
    calls = [(c.name, c.args_text or "{}") for c in message.tool_calls]
    usage = message.usage and (message.usage.input_tokens, message.usage.output_tokens)
    return message.text, calls, message.refusal or None, usage


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(whole_answers(depth=0))
def test_any_answer_is_written_and_read_again(message: cm.AIMessage) -> None:
    wire = response_of(message, {}, model="m", created=1)
    back = DIALECT.decode(HTTPResponse(status=200, body=encode(wire)))
    assert _said(back)[:3] == _said(message)[:3]
    events, decoder = events_of(message), DIALECT.stream_decoder()
    whole, writer = fold(events), ResponseWriter({}, model="m", created=1)
    made = [w for e in events if type(e).__name__ != "End" for w in writer.events(e)] + writer.end(whole)
    assert [w["sequence_number"] for w in made] == list(range(len(made)))
    data = b"".join(b"data: " + encode(w) + b"\n\n" for w in made)
    assert _said(fold([*decoder.feed(data), *decoder.close()]))[:3] == _said(whole)[:3]
