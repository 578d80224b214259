"""Dicts as steps: values computed side by side, the input as it is, and the same for many inputs, sync and async."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest

from chatmodels import AIMessage, BatchError, ChatPromptTemplate, HumanMessage, PromptTemplate, UsageError, track_usage
from chatmodels.chains import (
    Chain,
    LLMChain,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    StrOutputParser,
)
from chatmodels.testing import ChatFunction

ASK = ChatPromptTemplate.from_messages([("system", "Use {context}."), ("human", "{question}")])


def last(messages: list[Any]) -> str:
    return f"<{messages[-1].text}>"


def found(question: str) -> str:
    return f"what is known of {question}"


def texts(value: Any) -> list[str]:
    return [m.text for m in value.to_messages()]


def test_a_dict_before_a_prompt() -> None:
    chain = {"context": found, "question": RunnablePassthrough()} | ASK
    assert isinstance(chain, Chain)
    assert texts(chain.invoke("{bears}")) == ["Use what is known of {bears}.", "{bears}"]
    assert texts(({"context": "nothing", "question": RunnablePassthrough} | ASK)("x")) == ["Use nothing.", "x"]
    whole = chain | ChatFunction(last) | StrOutputParser()
    assert whole.invoke("bears") == "<bears>"
    assert "".join(whole.stream("two bears")) == "<two bears>"
    assert whole.batch(["a", "b"]) == ["<a>", "<b>"]
    assert repr(RunnableParallel(a=1, b=RunnablePassthrough())) == "{'a': 1, 'b': RunnablePassthrough()}"


async def test_the_same_in_the_async_world() -> None:
    async def look(question: str) -> str:
        return found(question)

    whole = {"context": look, "question": RunnablePassthrough()} | ASK | ChatFunction(last) | StrOutputParser()
    assert await whole.ainvoke("bears") == "<bears>"
    assert [piece async for piece in whole.astream("two bears")] == ["<two ", "bears>"]
    assert await whole.abatch(["a", "b"]) == ["<a>", "<b>"]
    with pytest.raises(UsageError, match="look is async"):
        whole.invoke("bears")
    assert await ({"x": {"y": RunnablePassthrough()}} | RunnableLambda(str)).ainvoke(1) == "{'x': {'y': 1}}"


def test_a_dict_behind_a_model_and_between() -> None:
    chain = ChatPromptTemplate.from_template("{a}") | ChatFunction(last) | {"text": StrOutputParser(), "all": len_of}
    assert chain.invoke("hi") == {"text": "<hi>", "all": 4}
    assert list(chain.stream("hi")) == [{"text": "<hi>", "all": 4}]
    assert (ChatFunction(last) | {"text": StrOutputParser()}).invoke("hi", temperature=0.5) == {"text": "<hi>"}
    assert (LLMChain(llm=ChatFunction(last), prompt=PromptTemplate.from_template("{a}")) | {"b": lambda d: d["text"]})(
        "q"
    ) == {"b": "<q>"}


def len_of(answer: AIMessage) -> int:
    return len(answer.text)


def test_assign_adds_to_what_is_given() -> None:
    chain = RunnablePassthrough.assign(context=lambda d: found(d["question"])) | ASK
    assert texts(chain.invoke({"question": "bears"})) == ["Use what is known of bears.", "bears"]
    with pytest.raises(UsageError, match="assign adds to a dict of values, not to str"):
        chain.invoke("bears")
    made = RunnablePassthrough.assign(b=1).batch([{"a": 0}, "x"], errors="return")
    assert made[0] == {"a": 0, "b": 1}
    assert isinstance(made[1], UsageError)
    again = pickle.loads(pickle.dumps(RunnablePassthrough.assign(b=1)))
    assert again.invoke({"a": 0}) == {"a": 0, "b": 1}


def meeting(parties: int) -> Any:
    """A model that answers when so many calls are there at once."""
    barrier = threading.Barrier(parties)

    def answer(messages: list[Any]) -> str:
        barrier.wait(30)
        return last(messages)

    return ChatFunction(answer) | StrOutputParser()


async def test_models_are_asked_at_the_same_time() -> None:
    side = RunnableParallel(a=meeting_pair(), b=MEETING, plain=str.upper)
    with track_usage() as used:
        assert side.invoke("hi") == {"a": "<hi>", "b": "<hi>", "plain": "HI"}
    assert used.calls == 2
    assert await RunnableParallel(a=MEETING, b=MEETING).ainvoke("hi") == {"a": "<hi>", "b": "<hi>"}


MEETING = meeting(2)


def meeting_pair() -> Any:
    return MEETING


async def test_an_error_of_one_value() -> None:
    def fails(text: str) -> str:
        if text == "bad":
            raise ValueError("no bears")
        return text

    side = RunnableParallel(a=fails, b=len)
    with pytest.raises(ValueError, match="no bears"):
        side.invoke("bad")
    with pytest.raises(ValueError, match="no bears"):
        await side.ainvoke("bad")
    made = side.batch(["good", "bad"], errors="return")
    assert made[0] == {"a": "good", "b": 4}
    assert isinstance(made[1], ValueError)
    with pytest.raises(BatchError, match="1 of 2"):
        await side.abatch(["good", "bad"])


def test_what_is_no_dict_of_steps() -> None:
    with pytest.raises(UsageError, match="has names"):
        RunnableParallel({})
    with pytest.raises(UsageError, match="has names"):
        {1: len} | ASK  # type: ignore[operator]
    with pytest.raises(UsageError, match="no model to take temperature"):
        ({"context": 1, "question": 2} | ASK).invoke("x", temperature=1)


def test_pipe_is_the_bar() -> None:
    chain = ASK.pipe(ChatFunction(last), StrOutputParser()).pipe(len)
    assert chain.invoke({"context": 1, "question": "hi"}) == 4
    assert ChatFunction(last).pipe(StrOutputParser()).invoke("hi") == "<hi>"
    assert HumanMessage("a") + "b" == ChatPromptTemplate([HumanMessage("a"), "b"])
