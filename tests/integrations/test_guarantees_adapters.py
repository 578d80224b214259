"""What cannot happen, through each adapter: half an answer, two answers glued together, tries that multiply, endless silence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

from chatmodels import ChatModel

from ..conftest import KEY, chat
from ..servers import DONE, Server, either, error, event, plain, sse
from .brain import Brain

Ask = Callable[[ChatModel, bool], str]
USER: Any = [{"role": "user", "content": "hi"}]


def langchain(model: ChatModel, stream: bool) -> str:
    from chatmodels.integrations.langchain import as_langchain

    made = as_langchain(model)
    return "".join(c.text for c in made.stream("hi")) if stream else str(made.invoke("hi").content)


def langchain_and_back(model: ChatModel, stream: bool) -> str:
    from chatmodels.integrations.langchain import as_langchain, from_langchain

    made = from_langchain(as_langchain(model)).with_retry(attempts=1)
    return "".join(c.text for c in made.stream("hi")) if stream else made("hi").text


def pydantic_ai(model: ChatModel, stream: bool) -> str:
    from pydantic_ai import Agent

    from chatmodels.integrations.pydantic_ai import as_pydantic_ai

    agent = Agent(as_pydantic_ai(model))

    async def ask() -> str:
        if not stream:
            return (await agent.run("hi")).output
        async with agent.run_stream("hi") as found:
            return "".join([p async for p in found.stream_text(delta=True, debounce_by=None)])

    return asyncio.run(ask())


def pydantic_ai_and_back(model: ChatModel, stream: bool) -> str:
    from chatmodels.integrations.pydantic_ai import as_pydantic_ai, from_pydantic_ai

    made = from_pydantic_ai(as_pydantic_ai(model)).with_retry(attempts=1)
    return "".join(c.text for c in made.stream("hi")) if stream else made("hi").text


def openai_chat(model: ChatModel, stream: bool) -> str:
    from chatmodels.integrations.openai import as_openai

    with as_openai(model) as client:
        if not stream:
            return str(client.chat.completions.create(model="m", messages=USER).choices[0].message.content)
        chunks = client.chat.completions.create(model="m", messages=USER, stream=True)
        return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def openai_responses(model: ChatModel, stream: bool) -> str:
    from chatmodels.integrations.openai import as_openai

    with as_openai(model) as client:
        if not stream:
            return str(client.responses.create(model="m", input="hi").output_text)
        events = client.responses.create(model="m", input="hi", stream=True)
        return "".join(e.delta for e in events if e.type == "response.output_text.delta")


def without_the_sdk(model: ChatModel, stream: bool) -> str:
    from chatmodels.integrations._openai_light import LightOpenAI

    made = LightOpenAI(model, False).chat.completions.create(messages=USER, stream=stream)
    return "".join(c.choices[0].delta.content or "" for c in made) if stream else made.choices[0].message.content


def _if(library: str, ask: Ask) -> Any:
    marks = pytest.mark.skipif(find_spec(library) is None, reason=f"{library} is not installed")
    return pytest.param(ask, id=ask.__name__, marks=marks)


every_adapter = pytest.mark.parametrize(
    "ask",
    [
        _if("langchain_core", langchain),
        _if("langchain_core", langchain_and_back),
        _if("pydantic_ai", pydantic_ai),
        _if("pydantic_ai", pydantic_ai_and_back),
        _if("openai", openai_chat),
        _if("openai", openai_responses),
        _if("chatmodels", without_the_sdk),
    ],
)
plain_and_streamed = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pydantic_ai")


@every_adapter
@plain_and_streamed
def test_a_whole_answer_passes(server: Server, ask: Ask, stream: bool) -> None:
    assert ask(chat(server.route(either("Bon", "jour"))), stream) == "Bonjour"


@every_adapter
@plain_and_streamed
def test_half_an_answer_does_not(server: Server, ask: Ask, stream: bool) -> None:
    pieces = sse([event({"role": "assistant", "content": ""}), event({"content": "Bon"}), DONE])
    half = plain(b'{"choices": [{"message": {"content": "Bon"')
    route = server.route(lambda e: (pieces if e.request.json.get("stream") else half)(e))
    with pytest.raises(Exception, match=r"before the answer was complete|not JSON|JSON") as caught:
        ask(chat(route), stream)
    assert not isinstance(caught.value, (TypeError, AttributeError))
    assert len(route.requests) == 1


@every_adapter
def test_a_fallback_in_the_middle_is_told_and_no_splice(server: Server, ask: Ask) -> None:
    first = chat(server.route(sse([event({"content": "Guten "}), DONE])))
    second = chat(server.route(either("Bonjour")))
    with pytest.raises(Exception, match="began anew") as caught:
        ask(first.with_fallback(second), True)
    assert "Guten Bonjour" not in str(caught.value)


@every_adapter
@plain_and_streamed
def test_tries_do_not_multiply(server: Server, ask: Ask, stream: bool) -> None:
    route = server.route(error(500, f"down, says {KEY}"))
    with pytest.raises(Exception, match="down") as caught:
        ask(chat(route).with_retry(attempts=3, base=0), stream)
    assert len(route.requests) == 3
    seen: BaseException | None = caught.value
    while seen is not None:
        assert KEY not in f"{seen} {seen!r}"
        seen = seen.__cause__ or seen.__context__


@every_adapter
@plain_and_streamed
def test_silence_ends(server: Server, ask: Ask, stream: bool) -> None:
    route = server.route(lambda exchange: exchange.wait(20))
    began = time.monotonic()
    with pytest.raises(Exception, match=r"(?i)deadline|timed out|timeout"):
        ask(chat(route, timeout={"first_token": 0.02, "total": 0.02}), stream)
    assert time.monotonic() - began < 5
    route.wait_left()


def _seeded(model: ChatModel, ask: Ask, stream: bool) -> str:
    """What was told of a setting that the provider does not take."""
    model = model.with_settings(seed=7)
    if ask in (openai_chat, openai_responses, without_the_sdk):
        with pytest.warns(UserWarning, match="seed") as told:
            ask(model, stream)
        return str(told[0].message)
    if ask in (langchain, langchain_and_back):
        from chatmodels.integrations.langchain import as_langchain

        return str(as_langchain(model).invoke("hi").response_metadata["warnings"])
    from pydantic_ai.direct import model_request
    from pydantic_ai.messages import ModelRequest

    from chatmodels.integrations.pydantic_ai import as_pydantic_ai

    response = asyncio.run(model_request(as_pydantic_ai(model), [ModelRequest.user_text_prompt("hi")]))
    return str((response.provider_details or {})["warnings"])


@every_adapter
def test_a_setting_that_is_not_sent_is_told(brain: Brain, ask: Ask) -> None:
    model = ChatModel("anthropic:brain-1", base_url=brain.url, api_key="k")
    assert "seed" in _seeded(model, ask, False)
    assert "seed" not in brain.seen[-1]
    if ask in (openai_chat, openai_responses, without_the_sdk):
        assert "seed" in _seeded(model, ask, True)


async def test_leaving_a_stream_of_an_agent_closes_its_connection(server: Server) -> None:
    agents: Any = pytest.importorskip("pydantic_ai")
    from chatmodels.integrations.pydantic_ai import as_pydantic_ai

    pieces = [event({"role": "assistant", "content": ""}), event({"content": "Bon"}), event({"content": "jour"})]
    route = server.route(sse(pieces, end=False))
    async with agents.Agent(as_pydantic_ai(chat(route))).run_stream("hi") as found:
        async for _ in found.stream_text(delta=True, debounce_by=None):
            break
    await asyncio.to_thread(route.wait_left)
