"""Models of pydantic-ai as ours: calls, streams, tools, typed answers, errors, and the loop in which they live."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("pydantic_ai")

import openai as sdk
import trio
from pydantic import BaseModel
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.providers.openai import OpenAIProvider

import chatmodels as cm
from chatmodels import ChatModel
from chatmodels._call import Call, HTTPResponse
from chatmodels._inputs import from_dict
from chatmodels._json import encode
from chatmodels._parts import File, Image, Opaque, Reasoning, ServerTool, Text, ToolCall
from chatmodels.caches import InMemoryCache
from chatmodels.integrations._pydantic_ai_provider import PydanticAIDialect, answer_of, data_of_part
from chatmodels.integrations._pydantic_ai_requests import requests_of
from chatmodels.integrations.pydantic_ai import as_pydantic_ai, from_pydantic_ai

from ..servers import USAGE, serving
from .brain import TEXT, Brain

pa: Any = pytest.importorskip("pydantic_ai.messages")


class Answer(BaseModel):
    thing: str
    count: int


def at(url: str) -> OpenAIProvider:
    """Without tries of the SDK's own, and without connections that stay open: they are left to the garbage collector, whose
    warnings are errors here."""
    cls: Any = sdk.DefaultAsyncHttpxClient
    library = importlib.import_module(next(c.__module__.partition(".")[0] for c in cls.__mro__[1:]))
    http = cls(limits=library.Limits(max_keepalive_connections=0))
    return OpenAIProvider(openai_client=sdk.AsyncOpenAI(base_url=url, api_key="k", http_client=http, max_retries=0))


def openai(url: str, name: str = "brain-1", **options: Any) -> OpenAIChatModel:
    return OpenAIChatModel(name, provider=at(url), **options)


def test_calls_streams_and_settings(brain: Brain) -> None:
    model = from_pydantic_ai(openai(brain.url))
    answer = model([("system", "Be brief."), ("human", "Hi")], temperature=0.5, stop=["glad"], max_tokens=30)
    asked = brain.seen[-1]
    assert (asked["temperature"], asked["stop"], asked["max_completion_tokens"]) == (0.5, ["glad"], 30)
    assert [m["role"] for m in asked["messages"]] == ["system", "user"]
    assert answer.text == TEXT.partition("glad")[0]
    assert (answer.finish_reason, answer.model, answer.provider) == ("stop", "brain-1", "pydantic-ai")
    assert answer.usage is not None
    assert answer.usage.cache_read_tokens
    assert answer.usage.reasoning_tokens == 1
    with model.stream("Hi") as stream:
        texts = [c.text for c in stream if c.text]
    assert "".join(texts) == TEXT
    assert len(texts) > 3
    assert (stream.message.finish_reason, stream.message.id) == ("stop", "chatcmpl-brain")
    assert stream.message.usage is not None
    assert model("Hi", n=2).warnings == ("n is not sent: pydantic-ai has no such setting",)


def test_tools_and_typed_answers(brain: Brain) -> None:
    def look_up(word: str, times: int = 1) -> str:
        """Look a word up."""
        return f"found {word} {times}"

    model = from_pydantic_ai(openai(brain.url))
    run = model.with_tools(look_up).run_tools("look_up 'cat' 3 times")
    assert [m.text for m in run.messages if isinstance(m, cm.ToolMessage)] == ["found cat 3"]
    assert run.message.text == TEXT
    assert [m["role"] for m in brain.seen[-1]["messages"]] == ["user", "assistant", "tool"]
    with model.with_tools(look_up, tool_choice="look_up").stream("'cat' 3 times") as stream:
        [call] = stream.until_done().tool_calls
    assert (call.name, call.args) == ("look_up", {"word": "cat", "times": 3})
    assert stream.message.finish_reason == "tool_calls"
    assert brain.seen[-1]["tool_choice"] in ("required", {"type": "function", "function": {"name": "look_up"}})
    assert model.with_output(Answer)("Give 3 of 'it'") == Answer(thing="it", count=3)
    assert brain.seen[-1]["response_format"]["type"] == "json_schema"
    other = from_pydantic_ai(openai(brain.url, profile={"supports_json_schema_output": False}))
    assert other.with_output(Answer)("Give 3 of 'it'") == Answer(thing="it", count=3)
    assert [t["function"]["name"] for t in brain.seen[-1]["tools"]] == ["Answer"]


def test_one_model_in_every_world(brain: Brain) -> None:
    """Its connections belong to one loop: used again from another one, they would break."""
    model = from_pydantic_ai(openai(brain.url))

    async def both() -> tuple[str, str]:
        return (await model.ainvoke("Hi")).text, (await model.astream("Hi").until_done()).text

    assert model("Hi").text == TEXT
    assert asyncio.run(both()) == (TEXT, TEXT)
    assert asyncio.run(both()) == (TEXT, TEXT)
    assert trio.run(both) == (TEXT, TEXT)
    assert [a.text for a in model.batch(["a", "b"])] == [TEXT, TEXT]
    assert "".join(c.text for c in model.stream("Hi")) == TEXT


def test_our_policies_hold_over_it(brain: Brain) -> None:
    broken = from_pydantic_ai(openai(brain.url, "broken")).with_retry(attempts=2, base=0)
    for call in (lambda: broken("Hi"), lambda: list(broken.stream("Hi"))):
        with pytest.raises(cm.RateLimitError) as caught:
            call()
        assert (caught.value.status, len(caught.value.attempts)) == (429, 2)
    good = ChatModel("openai:brain-1", base_url=brain.url, api_key="k")
    assert broken.with_fallback(good)("Hi").text == TEXT
    kept = from_pydantic_ai(openai(brain.url)).with_cache(InMemoryCache())
    assert [kept("Hi").from_cache, kept("Hi").from_cache] == [False, True]


def test_errors() -> None:
    nobody = from_pydantic_ai(openai("http://127.0.0.1:1/v1")).with_retry(attempts=1)
    with pytest.raises(cm.TransportError):
        nobody("Hi")
    model = from_pydantic_ai(TestModel())
    with pytest.raises(cm.UsageError, match="under no other name"):
        model.with_model("gpt-4o")("Hi")
    with pytest.raises(cm.UsageError, match="native tool of type 'nonsense'"):
        model.with_tools({"type": "nonsense"})("Hi")
    with pytest.raises(cm.UsageError, match="CodeExecutionTool"):  # one that pydantic-ai's model does not have
        from_pydantic_ai(openai("http://127.0.0.1:1/v1")).with_tools({"type": "code_execution"})("Hi")
    with pytest.raises(cm.UsageError, match="names no tool"):
        model([("human", "Hi"), cm.ToolMessage("4", tool_call_id="nobody")])
    for given in (object(), "no-such-thing"):
        with pytest.raises(cm.UsageError, match="pydantic-ai"):
            from_pydantic_ai(given)


CHUNKS = (
    b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"role":"assistant","content":"J\'aime"},"finish_reason":null}]}\n\n'
)


def test_a_cut_stream_is_an_error_though_the_sdk_raises_nothing() -> None:
    """The SDK below ends its loop as if all were well where no finish reason came, even at `[DONE]`."""

    def cut(exchange: Any) -> None:
        exchange.head(headers={"content-type": "text/event-stream", "content-length": str(len(CHUNKS) + 14)})
        exchange.send(CHUNKS + b"data: [DONE]\n\n")

    with serving() as server:
        model = from_pydantic_ai(openai(server.route(cut).url)).with_retry(attempts=1)
        with pytest.raises(cm.IncompleteStream, match="without a finish reason") as caught:
            list(model.stream("Hi"))
        assert caught.value.message.text == "J'aime"


def test_leaving_a_stream_closes_its_connection() -> None:
    def one_word(exchange: Any) -> None:
        exchange.head(headers={"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        exchange.chunk(CHUNKS)
        exchange.wait(20)

    with serving() as server:
        route = server.route(one_word)
        model = from_pydantic_ai(openai(route.url))
        with model.stream("Hi") as stream:
            assert next(c.text for c in stream if c.text) == "J'aime"
        route.wait_left()

        async def leave() -> None:
            async with model.astream("Hi") as stream:
                while not (await anext(stream)).text:
                    pass

        asyncio.run(leave())
        route.wait_left(2)
        with pytest.raises(cm.DeadlineError):
            list(model.with_timeouts(total=0.2).stream("Hi"))
        route.wait_left(3)


def test_functions_that_play_a_model() -> None:
    def answers(messages: list[Any], info: AgentInfo) -> Any:
        return pa.ModelResponse([pa.ThinkingPart("hm"), pa.TextPart(f"{len(messages)} {info.instructions}")])

    async def streams(messages: list[Any], info: AgentInfo) -> Any:
        yield "one "
        yield "two"

    model = from_pydantic_ai(FunctionModel(answers, stream_function=streams))
    answer = model("Hi")
    assert (answer.reasoning, answer.text, answer.finish_reason) == ("hm", "1 None", "unknown")
    assert [c.text for c in model.stream("Hi") if c.text] == ["one ", "two"]


def test_there_and_back_over_both_adapters(brain: Brain) -> None:
    ours = ChatModel("anthropic:brain-1", base_url=brain.url, api_key="k")
    model = from_pydantic_ai(as_pydantic_ai(ours))
    model(
        [
            cm.HumanMessage(
                [
                    Text("See", cache=True),
                    Image(data=b"\x89PNG", media_type="image/png"),
                    Image(url="https://x.test/a.png"),
                    File(data=b"%PDF-1.4", media_type="application/pdf"),
                ]
            ),
            cm.AIMessage([ToolCall("1", "f", {"a": 1})]),
            cm.ToolMessage("bad", tool_call_id="1", is_error=True),
        ]
    )
    sent = brain.seen[-1]["messages"]
    assert [p["type"] for p in sent[0]["content"]] == ["text", "image", "image", "document"]
    assert sent[0]["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "5m"}
    assert sent[1]["content"][0]["name"] == "f"
    assert sent[2]["content"][0]["is_error"] is True
    refused = from_pydantic_ai(as_pydantic_ai(ours.with_model("broken").with_retry(attempts=1))).with_retry(attempts=1)
    with pytest.raises(cm.RateLimitError) as caught:
        refused("Hi")
    assert caught.value.code == "rate_limit_exceeded"


# ---- what pydantic-ai's parts say goes back to it

PARTS = [
    pa.ThinkingPart("hm", id="rs_1", signature="sig", provider_name="openai", provider_details={"raw": ["x"]}),
    pa.TextPart("Bonjour", id="msg_1", provider_name="openai"),
    pa.ToolCallPart("f", {"a": 1}, tool_call_id="c1", id="fc_1", provider_name="openai"),
    pa.NativeToolCallPart("web_search", {"query": "x"}, tool_call_id="ws_1", provider_name="openai"),
    pa.NativeToolReturnPart("web_search", {"status": "completed"}, tool_call_id="ws_1", provider_name="openai"),
    pa.CompactionPart("short", provider_name="openai"),
]


def test_an_answer_goes_back_with_ids_and_signatures() -> None:
    response = pa.ModelResponse(PARTS, provider_name="openai", provider_response_id="r1", model_name="m")
    message = answer_of(response)
    assert [type(p) for p in message.parts] == [Reasoning, Text, ToolCall, ServerTool, ServerTool, Opaque]
    [back] = requests_of([from_dict(message.to_dict())], "openai")
    assert [data_of_part(p) for p in back.parts] == [data_of_part(p) for p in PARTS]
    assert (back.provider_name, back.provider_response_id) == ("openai", "r1")
    # somebody edits the text: the edit counts, and the id of the old text is gone
    edited = cm.AIMessage([*message.parts[:1], Text("Salut", provider_data=message.parts[1].provider_data)])
    [back] = requests_of([edited], "openai")
    assert (back.parts[1].content, back.parts[1].id) == ("Salut", None)


def test_requests_are_the_same_bytes_each_time() -> None:
    dialect = PydanticAIDialect()
    response = pa.ModelResponse(PARTS, provider_name="openai")
    body = encode(pa.ModelMessagesTypeAdapter.dump_python([response], mode="json")[0])
    message = dialect.decode(HTTPResponse(status=200, body=body))
    calls = [Call(model="m", messages=(cm.HumanMessage("Hi"), m)) for m in (message, message)]
    assert dialect.encode(calls[0]).body == dialect.encode(calls[1]).body


def test_tools_that_a_provider_runs() -> None:
    def searched(exchange: Any) -> None:
        items = [
            {"type": "web_search_call", "id": "ws_1", "status": "completed",
             "action": {"type": "search", "query": "x"}},
            {"type": "message", "id": "m1", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "Found.", "annotations": []}]},
        ]  # fmt: skip
        usage = {"input_tokens": USAGE["prompt_tokens"], "output_tokens": 5, "total_tokens": 13,
                 "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}  # fmt: skip
        body = {"id": "r1", "object": "response", "created_at": 1, "model": "m", "status": "completed",
                "output": items, "usage": usage, "tools": [], "tool_choice": "auto", "parallel_tool_calls": True}  # fmt: skip
        data = encode(body)
        exchange.head(headers={"content-type": "application/json", "content-length": str(len(data))})
        exchange.send(data)

    with serving() as server:
        route = server.route(searched)
        inner = OpenAIResponsesModel("m", provider=at(route.url), settings={"openai_send_reasoning_ids": True})
        model = from_pydantic_ai(inner).with_tools({"type": "web_search", "search_context_size": "low"})
        answer = model("Search x")
        assert route.requests[-1].json["tools"] == [{"type": "web_search", "search_context_size": "low"}]
        call, result, said = answer.parts
        assert (call.kind, call.phase, result.phase, said.text) == ("web_search", "call", "result", "Found.")
        model([cm.HumanMessage("Search x"), answer, cm.HumanMessage("More")])
        kinds = [i.get("type", "message") for i in route.requests[-1].json["input"]]
        assert kinds == ["message", "web_search_call", "message", "message"]


def test_without_pydantic_ai_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['pydantic_ai'] = None\n"
        "import chatmodels\n"
        "from chatmodels.integrations.pydantic_ai import from_pydantic_ai\n"
        "try: from_pydantic_ai('openai:gpt-4o')\n"
        "except chatmodels.UsageError as error: print(error)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'chatmodels[pydantic-ai]'" in out.stdout
