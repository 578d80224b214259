"""The embedded engine's HTTP server speaks three of our wire formats: the same conversation through all of them, over a real
socket, must give the same answer.
"""

from __future__ import annotations

from typing import Any

import pytest

from chatmodels import AIMessage, ChatModel, HumanMessage, Message, SystemMessage
from chatmodels._engine import Engine, engine
from chatmodels._errors import UsageError

pytest.importorskip("xllamacpp")

#: Provider name -> what follows the server's address in its base URL.
APIS = {"openai": "/v1", "openai-responses": "/v1", "anthropic": ""}
TALK: list[Message] = [
    SystemMessage("Answer in one word."),
    HumanMessage("What is the capital of France?"),
    AIMessage("Paris."),
    HumanMessage("And of Italy?"),
]
LONG = [HumanMessage("Tell me a story.")]


@pytest.fixture(scope="module")
def running() -> Engine:
    try:
        return engine(None)
    except UsageError as error:
        pytest.skip(str(error))


def model(running: Engine, api: str, **settings: Any) -> ChatModel:
    given = {"temperature": 0, "max_tokens": 12, **settings}
    return ChatModel(
        f"{api}:{running.name}", base_url=running.url + APIS[api], api_key=running.api_key or "none", **given
    )


def fields(message: AIMessage) -> dict[str, Any]:
    """What must not depend on the way the answer came: all but ids, the cache's hits and the wire's own words."""
    usage = message.usage
    return {
        "text": message.text,
        "content": [type(p).__name__ for p in message.parts],
        "finish": message.finish_reason,
        "raw_finish": message.raw_finish_reason,
        "model": message.model,
        "provider": message.provider,
        "usage": usage and (usage.input_tokens, usage.output_tokens),
        "warnings": message.warnings,
    }


@pytest.mark.parametrize("api", APIS)
async def test_plain_and_streamed_sync_and_async_agree(running: Engine, api: str) -> None:
    chat = model(running, api)
    plain = chat(TALK)
    with chat.stream(TALK) as stream:
        pieces = "".join(chunk.text for chunk in stream)
    again = await chat.ainvoke(TALK)
    async with chat.astream(TALK) as astream:
        apieces = "".join([chunk.text async for chunk in astream])
    assert plain.text
    assert pieces == apieces == plain.text
    assert fields(plain) == fields(stream.message) == fields(again) == fields(astream.message)
    assert plain.warnings == ()
    assert plain.id
    assert [a.outcome for a in plain.attempts] == ["ok"]


def test_the_three_formats_give_the_same_answer(running: Engine) -> None:
    found = {api: model(running, api)(TALK) for api in APIS}
    assert len({m.text for m in found.values()}) == 1
    assert {m.finish_reason for m in found.values()} == {"stop"}
    assert {m.raw_finish_reason for m in found.values()} == {"stop", "completed", "end_turn"}
    counts = {(m.usage.input_tokens, m.usage.output_tokens) for m in found.values() if m.usage}
    assert len(counts) == 1
    assert min(min(counts)) > 0
    assert all(m.usage is not None for m in found.values())


@pytest.mark.parametrize("api", APIS)
async def test_an_answer_that_is_cut_off_says_so(running: Engine, api: str) -> None:
    chat = model(running, api, max_tokens=4)
    plain = chat(LONG)
    async with chat.astream(LONG) as stream:
        _ = [chunk async for chunk in stream]
    for message in (plain, stream.message):
        assert message.text
        assert message.usage is not None
        assert message.usage.output_tokens == 4
        assert message.finish_reason == CUT[api], message.raw_finish_reason


#: llama.cpp's Responses say "completed" of an answer that was cut off, and nothing else in them tells it.
CUT = {"openai": "length", "openai-responses": "stop", "anthropic": "length"}


def test_a_conversation_that_moves_between_the_formats(running: Engine) -> None:
    """Each answer is followed up through the next format; all see the same conversation, so the prompt is as long."""
    messages: list[Message] = list(TALK)
    seen: list[AIMessage] = []
    for api in APIS:
        answer = model(running, api)(messages)
        assert answer.warnings == ()
        seen.append(answer)
        messages += [answer, HumanMessage("And of Spain?")]
    lengths = [model(running, api)(messages).usage for api in APIS]
    assert len({u.input_tokens for u in lengths if u}) == 1
    assert all(a.provider == api for a, api in zip(seen, APIS, strict=True))
    sizes = [a.usage.input_tokens for a in seen if a.usage]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("api", APIS)
def test_stop_words(running: Engine, api: str) -> None:
    chat = model(running, api).with_settings(stop=["."])
    answer = chat(TALK)
    if api == "openai-responses":
        assert any("stop" in w for w in answer.warnings)  # Responses has no stop words, and the answer says so
    else:
        assert "." not in answer.text
        assert answer.finish_reason == "stop"
