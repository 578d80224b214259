"""Against llmock, a server that speaks several providers' HTTP and breaks it on demand: healthy, then with each of its faults,
plain and streamed, sync and async. No fault may end as a success with wrong or partial content, and its own verdict on the
client must be clean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chatmodels import AIMessage, ChatModel, HumanMessage, ToolMessage
from chatmodels._errors import (
    AuthenticationError,
    BadRequestError,
    ChatModelError,
    ContextTooLongError,
    DeadlineError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
)
from chatmodels._parts import InvalidToolCall, ToolCall
from chatmodels._providers import providers

pytest.importorskip("llmock")

#: Name of ours -> (name of theirs, where its API stands).
HOSTS = {
    "openai": ("openai", "/v1"),
    "openai-responses": ("openai", "/v1"),
    "anthropic": ("anthropic", "/anthropic"),
    "google": ("gemini", "/gemini"),
    "cohere": ("cohere", "/cohere"),
    "mistral": ("mistral", "/mistral/v1"),
    "groq": ("groq", "/groq/openai/v1"),
    "together": ("together", "/together/v1"),
    "perplexity": ("perplexity", "/perplexity/v1"),
    "ai21": ("ai21", "/ai21/v1"),
    "xai": ("xai", "/xai/v1"),
}
FORMATS = ["openai", "openai-responses", "anthropic", "google", "cohere", "mistral"]
WAYS = ["plain", "stream", "aplain", "astream"]
STREAMS = ["stream", "astream"]
SAID = "Hello there, this is a scripted answer."
#: llmock sends Mistral's streams without usage unless OpenAI's `stream_options` ask for it; Mistral sends it unasked.
NO_USAGE = {("mistral", "stream"), ("mistral", "astream")}


def model(llmock: Any, host: str, **options: Any) -> ChatModel:
    name = host if host in providers() else "openai"
    chat = ChatModel(f"{name}:some-model", base_url=llmock.url + HOSTS[host][1], api_key="k", **options)
    return chat.with_retry(attempts=3, base=0.2)


async def ask(chat: ChatModel, way: str, asked: Any = "hi") -> AIMessage:
    """The whole answer, in one of the four ways; what a stream gave out is what it says in the end."""
    if way == "plain":
        return chat(asked)
    if way == "aplain":
        return await chat.ainvoke(asked)
    if way == "stream":
        with chat.stream(asked) as stream:
            pieces = "".join([chunk.text for chunk in stream])
    else:
        async with chat.astream(asked) as stream:
            pieces = "".join([chunk.text async for chunk in stream])
    assert pieces == stream.message.text
    return stream.message


def weather(city: str, days: int) -> str:
    """The weather in a city."""
    return f"rain in {city} for {days} days"


# ---- healthy


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", HOSTS)
async def test_text(llmock: Any, host: str, way: str) -> None:
    llmock.reply(SAID)
    answer = await ask(model(llmock, host), way)
    assert (answer.text, answer.finish_reason, answer.warnings) == (SAID, "stop", ())
    assert (answer.usage is None) == ((host, way) in NO_USAGE)
    if answer.usage is not None:
        assert (answer.usage.output_tokens or 0) > 0
    llmock.assert_resilient(strict=True)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", HOSTS)
async def test_a_tool_call_and_its_result(llmock: Any, host: str, way: str) -> None:
    chat = model(llmock, host).with_tools(weather)
    asked = HumanMessage("weather in Paris?")
    answer = await ask(chat, way, [asked])
    assert answer.finish_reason == "tool_calls"
    (made,) = answer.tool_calls
    assert (made.name, made.args) == ("weather", {"city": "mock-city", "days": 1})
    last = await ask(chat, way, [asked, answer, ToolMessage("rain", tool_call_id=made.id, name=made.name)])
    assert last.text
    assert last.tool_calls == []
    llmock.assert_resilient(strict=True)


@pytest.mark.parametrize("host", FORMATS)
async def test_the_tool_loop(llmock: Any, host: str) -> None:
    chat = model(llmock, host).with_tools(weather)
    for done in (chat.run_tools("weather in Paris?"), await chat.arun_tools("weather in Paris?")):
        assert (done.steps, done.stopped) == (2, False)
        assert done.text
        assert [m.text for m in done.messages if isinstance(m, ToolMessage)] == ["rain in mock-city for 1 days"]
    assert len(llmock.requests) == 4
    assert "rain in mock-city for 1 days" in str(llmock.last_request.body)
    llmock.assert_resilient(strict=True)


# ---- errors over HTTP

NEVER_AGAIN = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    422: BadRequestError,
}
AGAIN = {429: RateLimitError, 500: OverloadedError, 503: OverloadedError, 529: OverloadedError}


@pytest.mark.parametrize("host", HOSTS)
async def test_errors_of_the_caller_are_raised_at_once(llmock: Any, host: str) -> None:
    for status, kind in NEVER_AGAIN.items():
        for way in WAYS if host in FORMATS else ["plain"]:
            llmock.reset().fail(status)
            with pytest.raises(kind) as raised:
                await ask(model(llmock, host), way)
            assert raised.value.status == status
            assert raised.value.message
            assert len(llmock.requests) == 1
            llmock.assert_resilient(strict=True)


@pytest.mark.parametrize("host", HOSTS)
async def test_errors_that_pass_are_tried_again(llmock: Any, host: str) -> None:
    for status, way in zip(AGAIN, WAYS, strict=True):
        llmock.reset().reply(SAID).fail(status, times=1, retry_after=0.1)
        answer = await ask(model(llmock, host), way)
        assert answer.text == SAID
        assert len(answer.attempts) == len(llmock.requests) == 2
        llmock.assert_resilient(strict=True)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", FORMATS)
async def test_an_outage_is_raised_after_the_last_try(llmock: Any, host: str, way: str) -> None:
    llmock.fail(503, times=None, retry_after=0.05)
    with pytest.raises(OverloadedError) as raised:
        await ask(model(llmock, host).with_retry(base=0.01), way)
    assert len(raised.value.attempts) == len(llmock.requests) == 3
    llmock.assert_resilient()


@pytest.mark.parametrize("host", HOSTS)
async def test_retry_after_is_waited_for(llmock: Any, host: str) -> None:
    for way in ("plain", "astream"):
        llmock.reset().reply(SAID).rate_limit(times=1, retry_after=0.2)
        answer = await ask(model(llmock, host).with_retry(base=0.001), way)
        assert answer.text == SAID
        llmock.assert_resilient(strict=True)


@pytest.mark.parametrize("host", HOSTS)
async def test_a_prompt_that_is_too_long(llmock: Any, host: str) -> None:
    llmock.context_overflow()
    with pytest.raises(ContextTooLongError):
        await ask(model(llmock, host), "plain")
    llmock.reset().limits(context_window=5)
    with pytest.raises(ProviderError):
        await ask(model(llmock, host), "astream", "word " * 100)
    assert len(llmock.requests) == 1
    llmock.assert_resilient(strict=True)


# ---- slowness


@pytest.mark.parametrize("way", WAYS)
async def test_deadlines(llmock: Any, way: str) -> None:
    llmock.reply(SAID, times=None).delay(1.5)
    with pytest.raises(DeadlineError):
        await ask(model(llmock, "openai").with_retry(attempts=1).with_timeouts(first_token=0.2), way)
    assert (await ask(model(llmock, "openai"), way)).text == SAID


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("host", FORMATS)
async def test_streams_that_hang(llmock: Any, host: str, way: str) -> None:
    llmock.reply(SAID, times=None).stall(after_chunks=4, seconds=1.5)
    with pytest.raises(ChatModelError) as raised:
        await ask(model(llmock, host).with_retry(attempts=1).with_timeouts(idle=0.2, first_token=0.3), way)
    partial = getattr(raised.value, "message", None)
    assert not isinstance(partial, AIMessage) or SAID.startswith(partial.text)
    assert (await ask(model(llmock, host), way)).text == SAID
    llmock.assert_resilient()


async def test_a_slow_first_token_is_waited_for(llmock: Any) -> None:
    for way in STREAMS:
        llmock.reply(SAID).slow_first_token(0.3)
        assert (await ask(model(llmock, "anthropic"), way)).text == SAID
    llmock.assert_resilient(strict=True)


# ---- streams that break

BREAKS: dict[str, Callable[[Any, int], Any]] = {
    "truncate": lambda llmock, after: llmock.truncate(after_chunks=after),
    "disconnect": lambda llmock, after: llmock.disconnect(after_chunks=after),
    "corrupt": lambda llmock, after: llmock.corrupt(after_chunks=after),
}


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("fault", BREAKS)
@pytest.mark.parametrize("host", HOSTS)
async def test_a_broken_stream_is_never_an_answer(llmock: Any, host: str, fault: str, way: str) -> None:
    """Wherever it breaks: an error (with a true beginning of the text, if any), or the whole text."""
    broken = 0
    everywhere = (0, 2, 5, 8) if fault == "corrupt" else (0, 1, 2, 5, 8, 11, 14)
    for after in everywhere if host in FORMATS else (1, 5):
        llmock.reset().reply(SAID, times=None)
        BREAKS[fault](llmock, after)
        if fault == "corrupt":
            llmock.pace(10)  # else the whole stream is sent before anybody could stop reading
        chat = model(llmock, host).with_retry(attempts=1)
        try:
            answer = await ask(chat, way)
        except ChatModelError as error:
            broken += 1
            partial = getattr(error, "message", None)
            assert not isinstance(partial, AIMessage) or SAID.startswith(partial.text)
            # Waits until the server has seen that we have left: a retry before that is another call to it.
            assert len(await asyncio.to_thread(lambda: llmock.requests)) == 1
            answer = await ask(chat, way)  # what a caller does who was told
        assert answer.text == SAID
        assert answer.finish_reason == "stop"
        llmock.assert_resilient(strict=after < 5 or fault != "corrupt")
    assert broken >= 2


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("fault", BREAKS)
@pytest.mark.parametrize("host", FORMATS)
async def test_before_the_first_token_it_is_tried_again_unseen(llmock: Any, host: str, fault: str, way: str) -> None:
    llmock.reply(SAID, times=None)
    BREAKS[fault](llmock, 0)
    answer = await ask(model(llmock, host), way)
    assert answer.text == SAID
    assert [a.outcome == "ok" for a in answer.attempts] == [False, True]
    # The rest of a corrupt stream may be on its way before we can leave, which llmock takes for reading on (a warning).
    llmock.assert_resilient(strict=fault != "corrupt")


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("host", FORMATS)
async def test_a_call_that_breaks_off_is_never_run(llmock: Any, host: str, way: str) -> None:
    for broken in BREAKS.values():
        llmock.reset().call_tool("weather", {"city": "a long name of a city", "days": 3}, times=None)
        broken(llmock, {"google": 0, "mistral": 1}.get(host, 3))  # these two give a call whole, in one chunk
        chat = model(llmock, host).with_retry(attempts=1).with_tools(weather)
        with pytest.raises(ChatModelError) as raised:
            await ask(chat, way, "weather?")
        partial = getattr(raised.value, "message", None)
        if isinstance(partial, AIMessage):
            assert partial.finish_reason is None
            assert not [c for c in partial.tool_calls if isinstance(c, ToolCall) and c.args_text]


# ---- calls that are wrong


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", FORMATS)
async def test_arguments_that_are_not_json(llmock: Any, host: str, way: str) -> None:
    llmock.break_tool_call("malformed_arguments")
    answer = await ask(model(llmock, host).with_tools(weather), way, "weather in Paris?")
    (made,) = answer.tool_calls
    if host == "google" or (host == "anthropic" and "plain" in way):
        # There arguments are an object, for which llmock puts an empty one: the wire does not tell.
        assert made.args == {}
    else:
        assert isinstance(made, InvalidToolCall)
        assert made.args.startswith('{"city"')


@pytest.mark.parametrize("host", FORMATS)
async def test_a_tool_that_nobody_offered(llmock: Any, host: str) -> None:
    """The loop tells the model so, and it goes on."""
    for run in ("sync", "async"):
        llmock.reset().break_tool_call("unknown_tool")
        chat = model(llmock, host).with_tools(weather)
        done = chat.run_tools("weather in Paris?") if run == "sync" else await chat.arun_tools("weather in Paris?")
        assert done.text
        (told,) = [m for m in done.messages if isinstance(m, ToolMessage)]
        assert told.is_error
        assert "llmock_unknown_tool" in told.text
        llmock.assert_resilient(strict=True)
