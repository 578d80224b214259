"""What users write, with the types that they must get. Read by a type checker (test_types.py); never run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_type

from chatmodels import AIMessage, AIMessageChunk, ChatModel, ChatOpenAI, ChatPromptTemplate, LLMResult, Usage, tool
from chatmodels._typed import OutputModel


@dataclass
class Invoice:
    number: int
    total: float


@tool
def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


def plain(chat: ChatModel) -> None:
    assert_type(chat("hi"), AIMessage)
    assert_type(chat.invoke("hi").text, str)
    assert_type(chat("hi").usage, Usage | None)
    assert_type(chat.generate([["hi"]]), LLMResult)
    assert_type(chat.batch(["hi"]), list[AIMessage])
    assert_type(add(1, 2), int)
    for chunk in chat.stream("hi"):
        assert_type(chunk, AIMessageChunk)


def typed(chat: ChatModel) -> None:
    model = chat.with_output(Invoice)
    assert_type(model, OutputModel[Invoice])
    assert_type(model("hi"), Invoice)
    assert_type(model.invoke("hi").total, float)
    assert_type(model.batch(["hi"]), list[Invoice])
    assert_type(model.typed("hi").message, AIMessage)
    assert_type((ChatPromptTemplate.from_messages([("human", "{x}")]) | model).invoke("hi"), Invoice)


async def in_the_async_world(chat: ChatModel) -> None:
    assert_type(await chat.ainvoke("hi"), AIMessage)
    assert_type(await chat.with_output(Invoice).ainvoke("hi"), Invoice)
    async for chunk in chat.astream("hi"):
        assert_type(chunk.text, str)


def variations() -> None:
    chat = ChatOpenAI(temperature=0)
    assert_type(chat.with_retry(attempts=3).with_cache().with_settings(max_tokens=5), ChatOpenAI)
    chat.with_settings(temprature=0)  # type: ignore[call-arg]
