"""A stream that was closed is not a whole answer, whoever asks for one afterwards; what a block took can go to another process."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from chatmodels import ChatModel, ChatPromptTemplate, IncompleteStream, UsageError, track_usage

from .conftest import World, chat
from .servers import Server, either

NUMBER = {"title": "N", "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def _after(closed: Any) -> Any:
    """The first piece is read, then the stream is closed."""
    next(iter(closed))
    closed.close()
    return closed


def look_up(word: str) -> str:
    """Look a word up."""
    return word


AFTERWARDS: dict[str, Callable[[ChatModel], Any]] = {
    "stream": lambda m: _after(m.stream("hi")).until_done(),
    "with_output": lambda m: _after(m.with_output(NUMBER).stream("hi")).value,
    "prompt | model": lambda m: _after(
        (ChatPromptTemplate.from_messages([("human", "{x}")]) | m).stream("hi")
    ).until_done(),
    "stream_tools": lambda m: _after(m.with_tools(look_up).stream_tools("hi")).until_done(),
}


@pytest.mark.parametrize("way", AFTERWARDS.values(), ids=AFTERWARDS)
def test_what_is_left_of_a_closed_stream_is_not_taken_for_the_answer(
    server: Server, way: Callable[[ChatModel], Any]
) -> None:
    """`{"n": 1}` was on its way to `{"n": 1}, ...` or to 12: nobody knows."""
    with pytest.raises((IncompleteStream, UsageError)) as raised:
        way(chat(server.route(either('{"n": 1', "2}"))))
    if isinstance(raised.value, IncompleteStream):
        assert raised.value.message.finish_reason is None
        assert raised.value.provider == "openai"


@pytest.mark.parametrize("name", ["asyncio", "trio"])
def test_nor_in_the_async_world(server: Server, name: str) -> None:
    model = chat(server.route(either("Bon", "jour")))

    async def go() -> str:
        stream = model.astream("hi")
        async for chunk in stream:
            if chunk.text:
                break
        await stream.aclose()
        with pytest.raises(IncompleteStream) as raised:
            await stream.until_done()
        return str(raised.value.message.text)

    assert World(name).run(go) == "Bon"


def test_a_stream_that_was_read_to_its_end_is_whole_though_it_is_closed(server: Server) -> None:
    with chat(server.route(either("Bon", "jour"))).stream("hi") as stream:
        for _ in stream:
            pass
    assert stream.until_done().text == "Bonjour"


def test_what_a_block_took_goes_to_another_process(server: Server) -> None:
    """A worker gives it back with its results."""
    with track_usage(max_calls=5) as used:
        chat(server.route(), model="unpriced")("hi")
    there = pickle.loads(pickle.dumps(used))
    assert (there.calls, there.usage, there.budget is not None) == (1, used.usage, True)
    with there.here():
        chat(server.route(), model="unpriced")("hi")
    assert (there.calls, used.calls) == (2, 1)
