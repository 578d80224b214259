"""Messages, streams, calls and errors between LangChain and chatmodels."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("langchain_core")

import msgspec
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import ModelRateLimitError, OutputParserException
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.prompts import ChatPromptTemplate
from pydantic import BaseModel, create_model

import chatmodels as cm
from chatmodels import ChatModel
from chatmodels._fold import fold
from chatmodels._inputs import plain
from chatmodels._parts import File, Image, Reasoning, Text, ToolCall, ToolResult
from chatmodels.dialects._base import events_of
from chatmodels.integrations.langchain import (
    as_langchain,
    from_langchain,
    messages_from_langchain,
    messages_to_langchain,
)

from ..servers import serving
from ..strategies import conversations, tool_messages, whole_answers
from .brain import TEXT, Brain

quick = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def chat(brain: Brain, **options: Any) -> ChatModel:
    return ChatModel("openai:brain-1", base_url=brain.url, api_key="k", **options)


# ---- messages


@quick
@given(st.one_of(conversations().map(list), st.lists(whole_answers() | tool_messages, min_size=1, max_size=2)))
def test_messages_go_there_and_back_whole(messages: list[Any]) -> None:
    back = messages_from_langchain(messages_to_langchain(messages))
    assert [_same(m) for m in back] == [_same(m) for m in messages]


def _same(message: Any) -> Any:
    """A message without the forms of content that mean the same, and without the ledger of a call that went well at once."""
    message = msgspec.structs.replace(message, content=plain(message.parts))
    if len(getattr(message, "attempts", ())) == 1:
        return msgspec.structs.replace(message, attempts=())
    return message


@quick
@given(whole_answers())
def test_a_stream_of_chunks_adds_up_to_the_answer(message: Any) -> None:
    from chatmodels.integrations._langchain_stream import ChunkWriter

    events, writer, whole = events_of(message), ChunkWriter(), None
    for event in events:
        made = writer.chunk(event, lambda: fold(events))
        if made is not None:
            whole = made if whole is None else whole + made
    [back] = messages_from_langchain([whole])
    want = fold(events)
    assert _same(back).content == _same(want).content
    assert (back.usage, back.finish_reason, back.id) == (want.usage, want.finish_reason, want.id)
    assert back.provider_data == want.provider_data


def test_what_langchains_users_write_is_read() -> None:
    png = "iVBORw0KGgo="
    [system, human, answer, result] = messages_from_langchain(
        [
            SystemMessage([{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]),
            HumanMessage(
                [
                    "What is this?",
                    {"type": "image", "base64": png, "mime_type": "image/png"},
                    {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png}},
                    {"type": "image", "source_type": "url", "url": "https://x.test/b.png"},
                    {"type": "file", "base64": "JVBERi0=", "mime_type": "application/pdf", "filename": "a.pdf"},
                    {"type": "text-plain", "text": "notes", "mime_type": "text/plain"},
                    {"type": "tool_result", "tool_use_id": "t1", "content": "ok", "is_error": True},
                ]
            ),
            AIMessage(
                [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "Let me see."},
                    {"type": "tool_use", "id": "c1", "name": "look", "input": {"a": 1}},
                ],
                tool_calls=[{"id": "c1", "name": "look", "args": {"a": 2}}],
            ),
            ToolMessage("no", tool_call_id="c1", status="error"),
        ]
    )
    assert system.content == [Text("Be brief.", cache=True)]
    assert human.content == [
        Text("What is this?"),
        Image(data=b"\x89PNG\r\n\x1a\n", media_type="image/png"),
        Image(url="https://x.test/a.png", detail="low"),
        Image(data=b"\x89PNG\r\n\x1a\n", media_type="image/png"),
        Image(url="https://x.test/b.png"),
        File(data=b"%PDF-", media_type="application/pdf", name="a.pdf"),
        File(data=b"notes", media_type="text/plain"),
        ToolResult("t1", "ok", True),
    ]
    assert answer.content == [Reasoning("hm", signature="s"), Text("Let me see."), ToolCall("c1", "look", {"a": 2})]
    assert (result.is_error, result.tool_call_id) == (True, "c1")


def test_an_edited_answer_says_what_the_editor_wrote() -> None:
    [theirs] = messages_to_langchain([cm.AIMessage([Reasoning("hm", signature="s"), Text("old"), ToolCall("1", "f")])])
    theirs.content[1]["text"] = "new"
    theirs.tool_calls[0]["args"] = {"a": 1}
    [back] = messages_from_langchain([theirs])
    assert back.text == "new"
    assert back.tool_calls[0].args == {"a": 1}


@pytest.mark.parametrize("kind", [cm.Image, cm.Audio, cm.Video, cm.File])
@pytest.mark.parametrize("data", [b"abc", b""])
def test_media_without_a_type_come_back_as_what_they_were(kind: Any, data: bytes) -> None:
    messages = [cm.AIMessage([Text("see"), kind(data=data)]), cm.HumanMessage([kind(data=data)])]
    assert messages_from_langchain(messages_to_langchain(messages)) == messages


def test_what_is_no_message_to_a_model_is_refused() -> None:
    with pytest.raises(cm.UsageError, match="RemoveMessage"):
        messages_from_langchain([RemoveMessage(id="1")])


# ---- ours in LangChain


def test_a_langchain_model_in_a_chain(brain: Brain) -> None:
    model = as_langchain(chat(brain, temperature=0))
    assert isinstance(model, BaseChatModel)
    chain = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{question}")]) | model
    answer = chain.invoke({"question": "Who?"})
    assert answer.content == TEXT
    assert brain.seen[-1]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who?"},
    ]
    assert answer.usage_metadata["input_token_details"]["cache_read"] == brain_usage(answer)["cached_tokens"]
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.response_metadata["request_id"] == "req_brain"


def brain_usage(answer: Any) -> Any:
    return answer.response_metadata["token_usage"]["prompt_tokens_details"]


def test_settings_of_one_call(brain: Brain) -> None:
    model = as_langchain(chat(brain, temperature=0, stop=["zzz"]))
    answer = model.invoke("Hi", stop=["glad"], temperature=1, model="other")
    asked = brain.seen[-1]
    assert (asked["stop"], asked["temperature"], asked["model"]) == (["glad"], 1, "other")
    assert answer.content == TEXT.partition("glad")[0]


@pytest.mark.parametrize(
    ("given", "wire"),
    [
        ("any", "required"),
        ("auto", "auto"),
        ("none", "none"),
        (True, {"type": "function", "function": {"name": "look_up"}}),
        (False, "none"),
        ("look_up", {"type": "function", "function": {"name": "look_up"}}),
        ({"type": "tool", "name": "look_up"}, {"type": "function", "function": {"name": "look_up"}}),
        (
            {"type": "function", "function": {"name": "look_up"}},
            {"type": "function", "function": {"name": "look_up"}},
        ),
    ],
)
def test_tool_choice(brain: Brain, given: Any, wire: Any) -> None:
    def look_up(word: str) -> str:
        """Look a word up."""
        return word

    as_langchain(chat(brain)).bind_tools([look_up], tool_choice=given).invoke("Hi")
    assert brain.seen[-1]["tool_choice"] == wire


class Answer(BaseModel):
    thing: str
    count: int = 5


def test_typed_answers_stream_and_are_checked(brain: Brain) -> None:
    model = as_langchain(chat(brain))
    assert model.with_structured_output(Answer).invoke("Give 3") == Answer(thing="a thing", count=3)
    partial = list(model.with_structured_output(Answer.model_json_schema()).stream("Give 3"))
    assert len(partial) > 2
    assert partial[-1] == {"thing": "a thing", "count": 3}
    both = model.with_structured_output(Answer, include_raw=True, method="json_mode").invoke("Give 3")
    assert both["parsed"] is None
    assert isinstance(both["parsing_error"], OutputParserException)
    assert isinstance(both["raw"], AIMessage)


def test_a_changed_schema_is_another_question_to_langchains_cache(brain: Brain) -> None:
    model = as_langchain(chat(brain), cache=InMemoryCache())

    def typed(**fields: Any) -> Any:
        return create_model("Same", **fields)

    first = model.with_structured_output(typed(thing=str)).invoke("Give 3")
    again = model.with_structured_output(typed(thing=str)).invoke("Give 3")
    other = model.with_structured_output(typed(count=int)).invoke("Give 3")
    assert (first.thing, again.thing, other.count) == ("a thing", "a thing", 3)


def test_langchains_cache_and_callbacks(brain: Brain) -> None:
    class Heard(BaseCallbackHandler):
        def __init__(self) -> None:
            self.tokens: list[str] = []
            self.usage: Any = None

        def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
            self.tokens.append(token)

        def on_llm_end(self, response: Any, **kwargs: Any) -> None:
            self.usage = response.llm_output or response.generations[0][0].message.usage_metadata

    cache, heard = InMemoryCache(), Heard()
    model = as_langchain(chat(brain), cache=cache)
    first = model.invoke("Hi", config={"callbacks": [heard]})
    before = len(brain.seen)
    assert model.invoke("Hi").content == first.content
    assert len(brain.seen) == before
    assert heard.usage["token_usage"]["total_tokens"] > 0
    as_langchain(chat(brain, temperature=1), cache=cache).invoke("Hi")
    assert len(brain.seen) == before + 1  # other settings, other answer
    list(as_langchain(chat(brain)).stream("Hi", config={"callbacks": [heard]}))
    assert "".join(heard.tokens) == TEXT


def test_errors_are_of_both_worlds(brain: Brain) -> None:
    model = as_langchain(chat(brain, max_retries=1).with_model("broken"))
    for call in (
        lambda: model.invoke("Hi"),
        lambda: list(model.stream("Hi")),
        lambda: asyncio.run(model.ainvoke("Hi")),
    ):
        with pytest.raises(ModelRateLimitError) as caught:
            call()
        error = caught.value
        assert isinstance(error, cm.RateLimitError)
        assert error.is_retryable
        assert (error.status, error.code, len(error.attempts)) == (429, "rate_limit_exceeded", 1)
        assert type(pickle.loads(pickle.dumps(error))) is type(error)
    fallback = model.with_fallbacks([as_langchain(chat(brain))])
    assert fallback.invoke("Hi").content == TEXT


def _one_word_then_silence(exchange: Any) -> None:
    exchange.head(headers={"content-type": "text/event-stream", "transfer-encoding": "chunked"})
    exchange.chunk(b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"J\'aime"}}]}\n\n')
    exchange.wait(20)


@pytest.mark.parametrize("back", [False, True], ids=["as_langchain", "and from_langchain"])
def test_leaving_a_stream_closes_its_connection(back: bool) -> None:
    with serving() as server:
        route = server.route(_one_word_then_silence)
        model: Any = as_langchain(ChatModel("openai:m", base_url=route.url, api_key="k"))
        stream = (from_langchain(model) if back else model).stream("Hi")
        assert next(c.text for c in stream if c.text) == "J'aime"
        stream.close()
        route.wait_left()


async def test_leaving_an_async_stream_closes_its_connection() -> None:
    with serving() as server:
        route = server.route(_one_word_then_silence)
        model = as_langchain(ChatModel("openai:m", base_url=route.url, api_key="k"))
        stream: Any = model.astream("Hi")
        assert (await anext(stream)).text == "J'aime"
        await stream.aclose()
        await asyncio.to_thread(route.wait_left)
        ours = from_langchain(model).astream("Hi")
        while not (await anext(ours)).text:
            pass
        await ours.aclose()
        await asyncio.to_thread(route.wait_left, 2)


def test_several_answers_and_batches(brain: Brain) -> None:
    model = as_langchain(chat(brain))
    made = model.generate([[HumanMessage("Hi")]], n=3)
    assert len(made.generations[0]) == 3
    assert [a.content for a in model.batch(["a", "b"])] == [TEXT, TEXT]


# ---- LangChain's in ours


def test_a_model_of_langchain_as_ours(brain: Brain) -> None:
    model = from_langchain(as_langchain(chat(brain)))
    answer = model("Hi", temperature=0.5, stop=["glad"])
    assert brain.seen[-1]["temperature"] == 0.5
    assert answer.text == TEXT.partition("glad")[0]
    assert (answer.finish_reason, answer.model, answer.provider) == ("stop", "brain-1", "langchain")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.raw["total_tokens"]
    with model.stream("Hi") as stream:
        texts = [c.text for c in stream]
    assert "".join(texts) == TEXT
    assert len([t for t in texts if t]) > 3
    assert stream.message.finish_reason == "stop"
    assert stream.message.usage.total_tokens


def test_the_models_own_tools_stay(brain: Brain) -> None:
    def mine(a: int) -> int:
        """Mine."""
        return a

    def theirs(b: int) -> int:
        """Theirs."""
        return b

    as_langchain(chat(brain).with_tools(mine)).bind_tools([theirs]).invoke("Hi")
    assert [t["function"]["name"] for t in brain.seen[-1]["tools"]] == ["mine", "theirs"]


class _Thinks(GenericFakeChatModel):
    """Streams as the models of Anthropic do there: reasoning, its signature apart, then text."""

    def _stream(self, messages: Any, *args: Any, **options: Any) -> Any:
        from langchain_core.outputs import ChatGenerationChunk

        blocks: list[Any] = [
            {"type": "thinking", "thinking": "h", "index": 0},
            {"type": "thinking", "thinking": "m", "index": 0},
            {"type": "thinking", "signature": "sig", "index": 0},
            {"type": "text", "text": "a", "index": 1},
            {"type": "text", "text": "b", "index": 1},
        ]
        for block in blocks:
            yield ChatGenerationChunk(message=AIMessageChunk([block]))
        last = AIMessageChunk("", response_metadata={"stop_reason": "end_turn"})
        yield ChatGenerationChunk(message=last)


def test_reasoning_keeps_its_signature_in_streams() -> None:
    with from_langchain(_Thinks(messages=iter(()))).stream("Hi") as stream:
        message = stream.until_done()
    assert message.content == [Reasoning("hm", signature="sig"), Text("ab")]
    assert (message.finish_reason, message.raw_finish_reason) == ("stop", "end_turn")


@quick
@given(whole_answers(depth=0))
def test_streams_over_both_adapters_say_all(message: Any) -> None:
    from chatmodels.integrations._langchain_provider import LangChainDialect
    from chatmodels.integrations._langchain_stream import ChunkWriter
    from chatmodels.integrations._langchain_transport import _END, _line

    events, writer = events_of(message), ChunkWriter()
    chunks = [c for e in events if (c := writer.chunk(e, lambda: fold(events))) is not None]
    decoder = LangChainDialect().stream_decoder()
    back = fold(decoder.feed(b"".join(_line(c) for c in chunks) + _END))
    want = fold(events)
    assert (back.text, back.reasoning, back.usage) == (want.text, want.reasoning, want.usage)
    assert [(c.name, c.args) for c in back.tool_calls] == [(c.name, c.args) for c in want.tool_calls]


def test_its_tools_and_typed_answers(brain: Brain) -> None:
    def look_up(word: str, times: int) -> str:
        """Look a word up."""
        return word

    model = from_langchain(as_langchain(chat(brain)))
    with_tools = model.with_tools(look_up, tool_choice="required")
    [call] = with_tools("look up 'cat' 3 times").tool_calls
    assert (call.name, call.args) == ("look_up", {"word": "cat", "times": 3})
    with with_tools.stream("look up 'cat' 3 times") as stream:
        [streamed] = stream.until_done().tool_calls
    assert (streamed.id, streamed.args) == (call.id, call.args)
    assert model.with_output(Answer)("Give 3") == Answer(thing="a thing", count=3)


async def test_it_is_async_too(brain: Brain) -> None:
    model = from_langchain(as_langchain(chat(brain)))
    assert (await model.ainvoke("Hi")).text == TEXT
    assert "".join([c.text async for c in model.astream("Hi")]) == TEXT
    async with model.astream("Hi") as stream:
        await anext(stream)  # left early
    assert stream.message.finish_reason is None


def test_our_policies_hold_over_it(brain: Brain) -> None:
    model = from_langchain(as_langchain(chat(brain, max_retries=1)))
    broken = model.with_model("broken").with_retry(attempts=2, base=0)
    before = len(brain.seen)
    with pytest.raises(cm.RateLimitError) as caught:
        broken("Hi")
    assert len(brain.seen) == before + 2
    assert len(caught.value.attempts) == 2
    assert [a.text for a in model.batch(["a", "b"])] == [TEXT, TEXT]


def test_models_without_names_or_usage() -> None:
    model = from_langchain(GenericFakeChatModel(messages=iter([AIMessage("one two"), AIMessage("one two")])))
    answer = model("Hi")
    assert (answer.text, answer.usage, answer.finish_reason) == ("one two", None, "unknown")
    assert "".join(c.text for c in model.stream("Hi")) == "one two"


class _Fails(GenericFakeChatModel):
    status: int | None = None

    def _stream(self, messages: Any, *args: Any, **options: Any) -> Any:
        from langchain_core.outputs import ChatGenerationChunk

        yield ChatGenerationChunk(message=AIMessageChunk("one"))
        raise ValueError("no more")

    def _generate(self, messages: Any, *args: Any, **options: Any) -> Any:
        error = ValueError("no")
        error.status_code = self.status  # type: ignore[attr-defined]
        raise error


def test_errors_of_langchains_models() -> None:
    bad = from_langchain(_Fails(messages=iter(()), status=401))
    with pytest.raises(cm.AuthenticationError, match="no"):
        bad.invoke("Hi")
    odd = from_langchain(_Fails(messages=iter(())))
    with pytest.raises(cm.ProviderError, match="ValueError") as caught:
        list(odd.stream("Hi"))
    assert caught.value.partial.text == "one"
    with pytest.raises(cm.UsageError, match="takes no tools"):
        odd.with_tools({"name": "f", "description": "", "parameters": {"type": "object", "properties": {}}})("Hi")


class _Slow(GenericFakeChatModel):
    async def _agenerate(self, messages: Any, *args: Any, **options: Any) -> Any:
        await asyncio.sleep(30)

    async def _astream(self, messages: Any, *args: Any, **options: Any) -> Any:
        from langchain_core.outputs import ChatGenerationChunk

        yield ChatGenerationChunk(message=AIMessageChunk("one"))
        await asyncio.sleep(30)


async def test_deadlines_hold_over_it() -> None:
    model = from_langchain(_Slow(messages=iter(()))).with_timeouts(total=0.05)
    with pytest.raises(cm.DeadlineError) as caught:
        await model.ainvoke("Hi")
    assert (caught.value.phase, caught.value.seconds) == ("total", 0.05)
    with pytest.raises(cm.DeadlineError) as caught:
        await model.astream("Hi").until_done()
    assert caught.value.partial.text == "one"


def test_it_runs_under_trio(brain: Brain) -> None:
    model = from_langchain(as_langchain(chat(brain)))

    async def both() -> tuple[str, str]:
        return (await model.ainvoke("Hi")).text, (await model.astream("Hi").until_done()).text

    assert trio.run(both) == (TEXT, TEXT)


def test_it_pickles(brain: Brain) -> None:
    inner = as_langchain(ChatModel("local"))
    model = pickle.loads(pickle.dumps(from_langchain(inner)))
    assert model.model == inner.model


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(cm.UsageError, match="BaseChatModel"):
        from_langchain("gpt-4o")
    with pytest.raises(cm.UsageError, match="ChatModel"):
        as_langchain(object())  # type: ignore[arg-type]


def test_without_langchain_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['langchain_core'] = None\n"
        "import chatmodels\n"
        "from chatmodels.integrations.langchain import as_langchain\n"
        "try: as_langchain(chatmodels.ChatModel('local'))\n"
        "except chatmodels.UsageError as error: print(error)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'chatmodels[langchain]'" in out.stdout


# ---- around a model of LangChain


def test_tokens_are_counted_without_another_package(brain: Brain) -> None:
    ours = ChatModel("openai:gpt-4o-mini", base_url=brain.url, api_key="k")
    model = as_langchain(ours)
    before = len(brain.seen)
    assert model.get_num_tokens("Hello world") == ours.get_num_tokens("Hello world")
    messages = [SystemMessage("Be brief."), HumanMessage("Hello")]
    bare = model.get_num_tokens_from_messages(messages)
    assert bare == ours.count_tokens([("system", "Be brief."), ("human", "Hello")]).value
    assert model.get_num_tokens_from_messages(messages, tools=[Answer]) > bare
    assert as_langchain(ours, custom_get_token_ids=lambda text: [1, 2]).get_num_tokens("any") == 2
    assert len(brain.seen) == before


def test_the_profile_has_the_context_window(brain: Brain) -> None:
    pytest.importorskip("genai_prices")
    known = as_langchain(ChatModel("openai:gpt-4o-mini", base_url=brain.url, api_key="k"))
    assert known.profile == {"max_input_tokens": 128000}
    assert as_langchain(chat(brain)).profile is None
    assert as_langchain(chat(brain), profile={"max_input_tokens": 9}).profile == {"max_input_tokens": 9}


def test_a_repr_names_the_model_and_no_key(brain: Brain) -> None:
    ours = ChatModel("openai:brain-1", base_url=brain.url, api_key="sk-canary-0123456789", temperature=0)
    shown = repr(as_langchain(ours))
    assert shown == f"LangChainChatModel({ours!r})"
    assert "canary" not in shown


async def test_events_tell_of_every_token(brain: Brain) -> None:
    chain = ChatPromptTemplate.from_messages([("human", "{x}")]) | as_langchain(chat(brain))
    events = [e async for e in chain.astream_events({"x": "Hi"}, version="v2")]
    streamed = [e["data"]["chunk"].content for e in events if e["event"] == "on_chat_model_stream"]
    assert "".join(streamed) == TEXT
    [end] = [e for e in events if e["event"] == "on_chat_model_end"]
    assert end["data"]["output"].usage_metadata["total_tokens"] > 0


class _Cut(GenericFakeChatModel):
    """Its stream breaks off below, and its SDK says nothing: the models of LangChain then just end."""

    def _stream(self, messages: Any, *args: Any, **options: Any) -> Any:
        from langchain_core.outputs import ChatGenerationChunk

        for text in ("J'aime", " pro"):
            message = AIMessageChunk(text, response_metadata={"model_provider": "openai"})
            yield ChatGenerationChunk(message=message)


def test_a_cut_stream_of_a_langchain_model_is_no_success() -> None:
    with pytest.raises(cm.IncompleteStream, match="without a finish reason") as caught:
        list(from_langchain(_Cut(messages=iter(()))).with_retry(attempts=1).stream("Hi"))
    assert caught.value.message.text == "J'aime pro"


def test_an_agent_of_langchain(brain: Brain) -> None:
    agents: Any = pytest.importorskip("langchain.agents")
    calls: list[str] = []

    def look_up(word: str) -> str:
        """Look a word up."""
        calls.append(word)
        return "found"

    agent = agents.create_agent(as_langchain(chat(brain)), tools=[look_up], system_prompt="Be brief.")
    messages = agent.invoke({"messages": [("human", "look_up 'cat'")]})["messages"]
    assert (calls, messages[-1].content) == (["cat"], TEXT)
    assert [m.type for m in messages] == ["human", "ai", "tool", "ai"]
    streamed = [
        piece[0].content
        for piece in agent.stream({"messages": [("human", "look_up 'cat'")]}, stream_mode="messages")
        if piece[0].type == "AIMessageChunk"
    ]
    assert "".join(streamed) == TEXT
    typed = agents.create_agent(as_langchain(chat(brain)), tools=[], response_format=Answer)
    assert typed.invoke({"messages": [("human", "Give 3")]})["structured_response"].count == 3
