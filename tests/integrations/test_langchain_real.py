"""LangChain's own models of OpenAI and Anthropic as ours, over a loopback server: what their SDKs leave to their users."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("langchain_openai")
pytest.importorskip("langchain_anthropic")

import trio
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

import chatmodels as cm
from chatmodels.integrations.langchain import from_langchain

from ..servers import DONE, event, serving, silent, sse
from .brain import TEXT, Brain

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # their clients are left to the garbage collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Answer(BaseModel):
    thing: str
    count: int


def openai(url: str, **options: Any) -> Any:
    return ChatOpenAI(model="brain-1", base_url=url, api_key="k", max_retries=0, **options)  # type: ignore[arg-type]


@pytest.fixture(params=["openai", "anthropic"])
def theirs(request: pytest.FixtureRequest, brain: Brain) -> Any:
    if request.param == "openai":
        return openai(brain.url)
    return ChatAnthropic(model="brain-1", base_url=brain.root, api_key="k", max_retries=0)  # type: ignore[call-arg, arg-type]


def look_up(word: str, times: int = 1) -> str:
    """Look a word up."""
    return f"found {word}"


def test_all_that_a_model_does(theirs: Any) -> None:
    model = from_langchain(theirs)
    answer = model("Hi", temperature=0.5, max_tokens=20)
    assert (answer.text, answer.finish_reason, answer.model) == (TEXT, "stop", "brain-1")
    assert answer.usage is not None
    assert answer.usage.input_tokens
    streamed = model.stream("Hi").until_done()
    assert (streamed.text, streamed.finish_reason) == (TEXT, "stop")
    assert streamed.usage is not None  # asked for, also at another host than OpenAI's
    assert streamed.usage.output_tokens == answer.usage.output_tokens
    run = model.with_tools(look_up).run_tools("look_up 'cat' 3 times")
    assert [m.text for m in run.messages if isinstance(m, cm.ToolMessage)] == ["found cat"]
    assert model.with_output(Answer)("Give 3 of 'it'") == Answer(thing="it", count=3)
    with pytest.raises(cm.UsageError, match="takes no no_such_setting"):
        model("Hi", extra_body={"no_such_setting": 1})


def test_loop_after_loop(theirs: Any) -> None:
    """Their connections belong to the loop of their first use: in a second one they fail with "Event loop is closed"."""
    model = from_langchain(theirs)

    async def both() -> tuple[str, str]:
        return (await model.ainvoke("Hi")).text, (await model.astream("Hi").until_done()).text

    assert [asyncio.run(both()), asyncio.run(both())] == [(TEXT, TEXT)] * 2
    assert [a.text for a in model.batch(["a", "b"])] == [TEXT, TEXT]


def test_cut_streams_errors_and_silence(brain: Brain) -> None:
    with serving() as server:
        cut = server.route(sse([event({"role": "assistant", "content": "J'aime"}), DONE]))
        model = from_langchain(openai(cut.url)).with_retry(attempts=1)
        with pytest.raises(cm.IncompleteStream) as broken:
            list(model.stream("Hi"))
        assert broken.value.message.text == "J'aime"
        with pytest.raises(cm.RateLimitError) as refused:
            from_langchain(openai(brain.url)).with_model("broken").with_retry(attempts=1)("Hi")
        assert refused.value.status == 429
        quiet = from_langchain(openai(server.route(silent()).url)).with_timeouts(total=0.1)
        with pytest.raises(cm.DeadlineError):
            asyncio.run(quiet.ainvoke("Hi"))


def test_a_call_that_is_cancelled_leaves() -> None:
    with serving() as server:
        route = server.route(silent())
        model = from_langchain(openai(route.url))

        async def ask() -> None:
            task = asyncio.create_task(model.ainvoke("Hi"))
            await asyncio.to_thread(route.wait_for_requests, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(ask())
        route.wait_left()

        async def ask_in_trio(call: Any) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call)
                await trio.to_thread.run_sync(route.wait_for_requests, len(route.left) + 1)
                nursery.cancel_scope.cancel()

        trio.run(ask_in_trio, lambda: model.ainvoke("Hi"))
        route.wait_left(2)
        trio.run(ask_in_trio, lambda: model.astream("Hi").until_done())
        route.wait_left(3)
