"""`prompt | model | parser` over a socket: one input, streams, many inputs, sync and async."""

from __future__ import annotations

import gc
import json
import pickle
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from chatmodels import (
    AIMessage,
    AIMessageChunk,
    BatchError,
    BudgetExceeded,
    ChatOpenAI,
    ChatPromptTemplate,
    IncompleteStream,
    OverloadedError,
    UsageError,
)
from chatmodels.chains import Chain, StrOutputParser
from chatmodels.prompts import ChatPromptValue, FewShotChatMessagePromptTemplate, SemanticSimilarityExampleSelector
from chatmodels.testing import CUT, ChatScripted, PracticeServer, practice_server
from chatmodels.testing.practice._words import OTHERWISE

PROMPT = ChatPromptTemplate.from_messages([("system", "To {to}."), ("human", "I love {thing}.")])
CODE, MIND = {"to": "French", "thing": "programming"}, {"to": "French", "thing": "artificial intelligence"}
SAID = "J'aime programmer."
SAID_MIND = "J'aime l'intelligence artificielle."


@pytest.fixture(scope="module")
def page() -> Iterator[PracticeServer]:
    with practice_server() as server:
        yield server


@pytest.fixture(scope="module")
def chat(page: PracticeServer) -> ChatOpenAI:
    return ChatOpenAI(openai_api_key="sk-x", base_url=page.base_url)


async def shout(answer: AIMessage) -> str:
    return answer.text.upper()


def words(answer: AIMessage) -> list[str]:
    return answer.text.split()


async def test_one_input(chat: ChatOpenAI, page: PracticeServer) -> None:
    chain = PROMPT | chat
    answer = chain.invoke(CODE)
    assert isinstance(answer, AIMessage)
    assert answer.text == SAID
    sent = page.seen[-1]["body"]["messages"]
    assert sent == [{"role": "system", "content": "To French."}, {"role": "user", "content": "I love programming."}]
    assert (await chain.ainvoke(CODE)).text == chain(CODE).text == SAID
    assert (chain | words).invoke(CODE) == ["J'aime", "programmer."]
    assert (chain | words | len | str)(CODE) == "2"
    assert await (chain | shout).ainvoke(CODE) == SAID.upper()
    assert await (chain | words).ainvoke(CODE) == ["J'aime", "programmer."]


async def test_settings_go_to_the_model(chat: ChatOpenAI, page: PracticeServer) -> None:
    chain = PROMPT | chat | StrOutputParser()
    chain.invoke(CODE, temperature=0.5, stop=["x"])
    assert (page.seen[-1]["body"]["temperature"], page.seen[-1]["body"]["stop"]) == (0.5, ["x"])
    await chain.ainvoke(CODE, temperature=0.25)
    assert page.seen[-1]["body"]["temperature"] == 0.25
    chain.batch([CODE], temperature=0.75)
    assert page.seen[-1]["body"]["temperature"] == 0.75
    list(chain.stream(CODE, temperature=1))
    assert page.seen[-1]["body"]["temperature"] == 1
    with pytest.raises(UsageError, match="no model to take temperature"):
        (PROMPT | str).invoke(CODE, temperature=1)


async def test_the_values_are_checked_before_anything_is_sent(chat: ChatOpenAI, page: PracticeServer) -> None:
    chain, before = PROMPT | chat, len(page.seen)
    with pytest.raises(UsageError, match="missing: 'thing'; extra: 'ting'"):
        chain.invoke({"to": "French", "ting": "x"})
    with pytest.raises(UsageError, match="missing: 'thing'"):
        chain.stream({"to": "French"})
    with pytest.raises(UsageError, match="missing: 'thing'"):
        await chain.ainvoke({"to": "French"})
    with pytest.raises(UsageError, match="missing: 'thing'"):
        async for _ in chain.astream({"to": "French"}):
            pass
    assert len(page.seen) == before


async def test_streams_of_chunks(chat: ChatOpenAI) -> None:
    chain = PROMPT | chat
    with chain.stream(CODE) as stream:
        chunks = list(stream)
    assert all(isinstance(c, AIMessageChunk) for c in chunks)
    assert "".join(c.text for c in chunks) == SAID
    assert (stream.message.text, stream.message.finish_reason) == (SAID, "stop")
    assert chain.stream(CODE).until_done().text == SAID
    async with chain.astream(CODE) as later:
        with pytest.raises(UsageError, match="no answer yet"):
            _ = later.message
        assert "".join([c.text async for c in later]) == SAID
    assert later.message.usage is not None
    assert (await chain.astream(CODE).until_done()).text == SAID


async def test_streams_through_parsers(chat: ChatOpenAI) -> None:
    text = PROMPT | chat | StrOutputParser()
    assert list(text.stream(CODE)) == ["J'aime ", "programmer."]
    assert [p async for p in text.astream(CODE)] == ["J'aime ", "programmer."]
    assert text.invoke(CODE) == SAID
    # A function without `piece` gets the whole answer, once.
    stream = (PROMPT | chat | words).stream(CODE)
    assert list(stream) == [["J'aime", "programmer."]]
    assert stream.message.finish_reason == "stop"
    assert list((text | len).stream(CODE)) == [len(SAID)]
    assert [p async for p in (PROMPT | chat | shout).astream(CODE)] == [SAID.upper()]
    with pytest.raises(UsageError, match="shout is async: use ainvoke"):
        list((PROMPT | chat | shout).stream(CODE))


async def test_leaving_a_stream(chat: ChatOpenAI) -> None:
    with (PROMPT | chat | StrOutputParser()).stream(CODE) as stream:
        assert next(stream) == "J'aime "
    assert (stream.message.text, stream.message.finish_reason) == ("J'aime ", None)
    assert list(stream) == []
    async with (PROMPT | chat | StrOutputParser()).astream(CODE) as later:
        async for piece in later:
            assert piece == "J'aime "
            break
    assert (later.message.text, later.message.finish_reason) == ("J'aime ", None)


def test_a_stream_that_is_dropped_is_closed(chat: ChatOpenAI) -> None:
    stream = (PROMPT | chat | StrOutputParser()).stream(CODE)
    assert next(stream) == "J'aime "
    del stream
    gc.collect()  # a connection left open would be a ResourceWarning, which is an error here


async def test_many_inputs(chat: ChatOpenAI) -> None:
    chain = PROMPT | chat | StrOutputParser()
    inputs = [CODE, MIND] * 5
    assert chain.batch(inputs, max_concurrency=3) == [SAID, SAID_MIND] * 5
    assert await chain.abatch(iter(inputs), max_concurrency=3) == [SAID, SAID_MIND] * 5
    assert await (PROMPT | chat | shout).abatch([CODE]) == [SAID.upper()]
    assert chain.batch([]) == []


async def test_one_bad_item_spoils_no_other(chat: ChatOpenAI) -> None:
    def long(text: str) -> str:
        if "intelligence" in text:
            raise KeyError(text)
        return text

    chain = PROMPT | chat | StrOutputParser() | long
    inputs: list[Any] = [CODE, {"to": "x"}, MIND, CODE]
    with pytest.raises(BatchError) as caught:
        chain.batch(inputs)
    with pytest.raises(BatchError) as later:
        await chain.abatch(inputs)
    returned = chain.batch(inputs, errors="return")
    for results in (caught.value.results, later.value.results, returned, chain.batch(inputs, return_exceptions=True)):
        assert (results[0], results[3]) == (SAID, SAID)
        assert isinstance(results[1], UsageError)
        assert isinstance(results[2], KeyError)
    with pytest.raises(UsageError, match="max_concurrency"):
        chain.batch(inputs, max_concurrency=0)
    with pytest.raises(UsageError, match="inputs is a list"):
        chain.batch(CODE)


async def test_two_models_in_a_row(chat: ChatOpenAI, page: PracticeServer) -> None:
    again = ChatPromptTemplate.from_template("Again: {text}")
    chain = PROMPT | chat | StrOutputParser() | again | chat | StrOutputParser()
    assert chain.invoke(CODE) == OTHERWISE
    assert page.seen[-1]["body"]["messages"] == [{"role": "user", "content": f"Again: {SAID}"}]
    assert chain.batch([CODE, MIND]) == [OTHERWISE] * 2 == await chain.abatch([CODE, MIND])
    assert "".join(chain.stream(CODE)) == OTHERWISE
    assert "".join([p async for p in chain.astream(CODE)]) == OTHERWISE


async def test_functions_before_the_prompt_and_chains_within_chains(chat: ChatOpenAI) -> None:
    def french(thing: str) -> dict[str, str]:
        return {"to": "French", "thing": thing}

    chain = french | PROMPT | chat | StrOutputParser()
    assert chain.invoke("programming") == SAID
    assert chain.batch(["programming", "artificial intelligence"]) == [SAID, SAID_MIND]
    assert list(chain.stream("programming")) == ["J'aime ", "programmer."]
    ask = PROMPT | chat
    assert ((french | PROMPT) | (Chain([chat]) | StrOutputParser())).invoke("programming") == SAID
    assert (french | ask).invoke("programming").text == SAID
    assert (chat | StrOutputParser()).invoke("I love programming.") == SAID
    only = PROMPT | ChatPromptValue.to_string
    assert only.invoke(CODE) == "System: To French.\nHuman: I love programming."
    assert list(only.stream(CODE)) == [only.invoke(CODE)] == [p async for p in only.astream(CODE)]
    with pytest.raises(UsageError, match="a step is a prompt, a model, a function or a dict of them, not int"):
        PROMPT | 42  # type: ignore[operator]


@dataclass
class Answer:
    french: str


async def test_typed_answers() -> None:
    chain = PROMPT | ChatScripted(['{"french": "oui"}'] * 8).with_output(Answer)
    assert chain.invoke(CODE) == await chain.ainvoke(CODE) == Answer("oui")
    assert chain.batch([CODE]) == await chain.abatch([CODE]) == [Answer("oui")]
    french = chain | (lambda answer: answer.french)
    assert french.invoke(CODE) == "oui"
    assert list(chain.stream(CODE))[-1] == {"french": "oui"}  # partial values, as they come
    assert list(french.stream(CODE)) == ["oui"]
    assert [p async for p in french.astream(CODE)] == ["oui"]


def test_a_broken_stream_is_an_error_through_the_chain() -> None:
    chain = PROMPT | ChatScripted(["one two three"]).with_retry(attempts=1) | StrOutputParser()
    assert "".join(chain.stream(CODE)) == "one two three"
    cut = PROMPT | ChatScripted([["one ", CUT]]).with_retry(attempts=1) | StrOutputParser()
    with pytest.raises(IncompleteStream) as caught:
        list(cut.stream(CODE))
    assert caught.value.message.text.startswith("one")


async def test_examples_picked_by_an_async_embedding(chat: ChatOpenAI, page: PracticeServer) -> None:
    async def embed(texts: list[str]) -> list[list[float]]:
        return [[float("love" in t), 1.0] for t in texts]

    examples = [{"q": "I love tea", "a": "J'aime le thé"}, {"q": "Go", "a": "Va"}]
    pair = ChatPromptTemplate.from_messages([("human", "{q}"), ("ai", "{a}")])
    selector = SemanticSimilarityExampleSelector(examples, embed, k=1)
    few = FewShotChatMessagePromptTemplate(example_selector=selector, example_prompt=pair, input_variables=["text"])
    chain = ChatPromptTemplate.from_messages([few, ("human", "{text}")]) | chat | StrOutputParser()
    assert await chain.ainvoke("I love programming.") == SAID
    assert [m["content"] for m in page.seen[-1]["body"]["messages"]] == [
        "I love tea",
        "J'aime le thé",
        "I love programming.",
    ]
    assert await chain.abatch(["I love programming."] * 2) == [SAID] * 2
    assert [p async for p in chain.astream("I love programming.")] == ["J'aime ", "programmer."]


def test_what_it_shows_and_pickles(chat: ChatOpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    chain = ChatPromptTemplate.from_template("I love {thing}.") | chat | StrOutputParser()
    assert repr(chain).endswith(f" | {chat!r} | StrOutputParser()")
    assert "sk-x" not in repr(chain)
    assert pickle.loads(pickle.dumps(chain)).invoke("programming") == SAID
    assert json.dumps((chain | str.upper)("programming"))


def test_a_model_begins_a_chain(chat: ChatOpenAI) -> None:
    assert (chat | words).invoke("I love programming.") == ["J'aime", "programmer."]
    assert (chat.with_retry(attempts=1) | words | len)("I love programming.") == 2
    assert (str.strip | chat | words).batch([" I love programming. "]) == [["J'aime", "programmer."]]
    assert list((chat | (StrOutputParser() | (lambda text: text))).stream("I love programming.")) == [SAID]
    typed = ChatScripted(['{"french": "oui"}'], cycle=True).with_output(Answer)
    assert (typed | (lambda answer: answer.french)).invoke("yes?") == "oui"
    with pytest.raises(UsageError, match="a step is a prompt, a model, a function or a dict of them, not int"):
        chat | 42  # type: ignore[operator]


def test_typed_answers_have_the_policies_of_models() -> None:
    down = ChatScripted([OverloadedError("busy")], cycle=True).with_retry(attempts=1)
    typed = down.with_output(Answer).with_fallback(ChatScripted(['{"french": "oui"}'], cycle=True)).with_cache()
    assert (PROMPT | typed).invoke(CODE) == Answer("oui")
    assert typed.typed(PROMPT.invoke(MIND)).message.from_cache is False
    assert typed.typed(PROMPT.invoke(MIND)).message.from_cache is False  # the question was not for the fallback
    up = ChatScripted(['{"french": "oui"}'], cycle=True).with_output(Answer).with_cache()
    assert [up.typed(PROMPT.invoke(MIND)).message.from_cache for _ in range(2)] == [False, True]
    with pytest.raises(UsageError, match="without with_output"):
        typed.with_fallback(typed)
    with pytest.raises(BudgetExceeded):
        down.with_output(Answer).with_budget(max_calls=0)("Hi")


def test_a_dropped_stream_needs_no_garbage_collector(chat: ChatOpenAI) -> None:
    """In a cycle, the socket could be ended before what closes it: a ResourceWarning, now and then."""
    gc.disable()
    try:
        for steps in ((), (StrOutputParser(),), (words,)):
            stream = Chain((PROMPT, chat, *steps)).stream(CODE)
            next(stream)
            dropped = weakref.ref(stream)
            del stream
            assert dropped() is None
    finally:
        gc.enable()


def test_chains_under_trio(chat: ChatOpenAI) -> None:
    trio = pytest.importorskip("trio")
    text = PROMPT | chat | StrOutputParser()

    async def main() -> list[Any]:
        async with text.astream(CODE) as left:
            async for _ in left:
                break
        return [
            await text.ainvoke(CODE),
            await (PROMPT | chat | shout).abatch([CODE, MIND]),
            [p async for p in text.astream(CODE)],
            left.message.finish_reason,
        ]

    assert trio.run(main) == [SAID, [SAID.upper(), SAID_MIND.upper()], ["J'aime ", "programmer."], None]
    gc.collect()  # a connection that is left open would be a ResourceWarning, which is an error here
