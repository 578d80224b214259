"""Several answers were asked for (`n`), and fewer came: never a plain success."""

from __future__ import annotations

import asyncio
import json

import pytest

import chatmodels as cm
from chatmodels import ChatModel
from chatmodels.testing import practice_server

from .servers import Server, answer, plain, sse


def piece(index: int, text: str = "", finish: str | None = None) -> bytes:
    delta = {"content": text} if text else {}
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return b"data: %s\n\n" % json.dumps({"id": "1", "model": "m", "choices": [choice]}).encode()


DONE = b"data: [DONE]\n\n"
FIRST = [piece(0, "one"), piece(0, finish="stop")]


def chat(url: str, **options: object) -> ChatModel:
    return ChatModel("openai:m", base_url=url, api_key="k", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("ending", [[DONE], []])
def test_a_stream_whose_second_answer_never_begins(server: Server, ending: list[bytes]) -> None:
    model = chat(server.route(sse([*FIRST, *ending])).url)
    with pytest.raises(cm.IncompleteStream, match=r"2 answers were asked for \(n=2\), and 1 came") as caught:
        model.stream("Hi", n=2).until_done()
    assert (caught.value.message.text, caught.value.message.finish_reason) == ("one", None)
    assert [a.outcome for a in caught.value.attempts] == ["IncompleteStream"]

    async def read() -> None:
        await model.astream("Hi", n=2).until_done()

    with pytest.raises(cm.IncompleteStream, match="1 came"):
        asyncio.run(read())


def test_the_texts_that_came_are_given_first(server: Server) -> None:
    stream = chat(server.route(sse([*FIRST, DONE])).url).stream("Hi", n=3)
    assert next(stream).text == ""
    assert next(stream).text == "one"
    with pytest.raises(cm.IncompleteStream, match="3 answers were asked for"):
        next(stream)
    assert stream.message.finish_reason is None


def test_all_that_were_asked_for(server: Server) -> None:
    pieces = [piece(0, "one"), piece(1, "two"), piece(1, finish="stop"), piece(0, finish="length"), DONE]
    message = chat(server.route(sse(pieces)).url).stream("Hi", n=2).until_done()
    assert [(m.text, m.finish_reason) for m in (message, *message.alternatives)] == [("one", "length"), ("two", "stop")]
    assert message.warnings == ()


def test_a_plain_answer_with_fewer_says_so(server: Server) -> None:
    message = chat(server.route(plain(answer("one"))).url)("Hi", n=2)
    assert message.text == "one"
    assert message.warnings == (
        "openai: 2 answers were asked for (n=2), and 1 came; a host that ignores n is asked once for each",
    )


@pytest.mark.parametrize("options", [{}, {"n": 1}])
def test_one_is_whole_where_one_was_asked_for(server: Server, options: dict[str, int]) -> None:
    model = chat(server.route(sse([*FIRST, DONE])).url)
    assert model.stream("Hi", **options).until_done().text == "one"


def test_where_n_is_not_sent_one_is_whole() -> None:
    with practice_server() as practice:
        model = ChatModel("anthropic:claude-sonnet-4-5", base_url=practice.url, api_key="k")
        assert model.stream("Hi", n=2).until_done().finish_reason == "stop"


def test_the_practice_server_streams_as_many_as_are_asked_for() -> None:
    with practice_server() as practice:
        model = ChatModel("openai:m", base_url=practice.url + "/v1", api_key="k")
        message = model.stream("Hi", n=3).until_done()
    assert [a.text for a in message.alternatives] == [message.text] * 2
