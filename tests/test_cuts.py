"""A connection that breaks is never an answer: at any byte, by its end or by a break, in every world."""

from __future__ import annotations

import json

import pytest

from chatmodels import ChatModelError, IncompleteStream, ProtocolError, TransportError

from .conftest import World, chat
from .servers import DONE, Server, answer, chunked, event, events, gzipped, plain, raw, response, sse

PIECES = events("Bon", "jour", ".")
WHOLE = "Bonjour."


def _cuts(size: int, world: World) -> list[int]:
    """Every byte in the sync world, whose framing is ours; each eleventh in the others, which share the rest."""
    return list(range(size)) if world.name == "sync" else [*range(0, size, 11), size - 1]


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_stream_cut_at_any_byte(world: World, server: Server, how: str) -> None:
    data = chunked(PIECES)
    complete = data.index(b"[DONE]\n\n") + len(b"[DONE]\n\n")
    ends = [data.index(piece) + len(piece) for piece in PIECES[1:4]]
    cuts = [c for c in _cuts(len(data), world) if c < complete]
    if how == "rst":
        cuts = cuts[:: 9 if world.name == "sync" else 3]
    route = server.route(*(raw(data[:cut], how) for cut in cuts))
    found = world.reads(chat(route), len(cuts))
    for cut, one in zip(cuts, found, strict=True):
        assert isinstance(one.error, (IncompleteStream, TransportError)), (cut, one.error)
        assert WHOLE.startswith(one.text)
        if one.texts:
            assert isinstance(one.error, IncompleteStream), (cut, one.error)
            assert one.error.message.text == one.error.partial.text == one.stream.message.text == one.text
            assert one.error.message.finish_reason is None or data[:cut].count(b'"stop"')
        if how == "fin":
            assert one.text == "".join(t for t, end in zip(("Bon", "jour", "."), ends, strict=True) if end <= cut)


def test_a_stream_that_has_said_all_is_an_answer_though_its_last_chunk_is_missing(world: World, server: Server) -> None:
    route = server.route(raw(chunked(PIECES, end=b"")))
    found = world.read(chat(route))
    assert found.error is None
    assert found.stream.message.finish_reason == "stop"


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_plain_answer_cut_at_any_byte(world: World, server: Server, how: str) -> None:
    data = response(json.dumps(answer()).encode())
    cuts = _cuts(len(data), world)
    if how == "rst":
        cuts = cuts[:: 9 if world.name == "sync" else 3]
    route = server.route(*(raw(data[:cut], how) for cut in cuts))
    for cut, found in zip(cuts, world.calls(chat(route), len(cuts)), strict=True):
        assert isinstance(found, TransportError), (cut, found)


UNFRAMED = b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n"


def test_an_answer_that_ends_with_its_connection(world: World, server: Server) -> None:
    """Without a length only the JSON itself tells that it is whole."""
    body = json.dumps(answer()).encode()
    cuts = [1, len(body) // 2, len(body) - 1, len(body)]
    route = server.route(*(raw(UNFRAMED + body[:cut]) for cut in cuts))
    *broken, good = world.calls(chat(route), len(cuts))
    assert all(isinstance(e, ProtocolError) for e in broken)
    assert good.text == answer()["choices"][0]["message"]["content"]


def test_a_stream_that_ends_with_its_connection(world: World, server: Server) -> None:
    head = UNFRAMED.replace(b"application/json", b"text/event-stream")
    whole = b"".join(PIECES)
    cuts = [0, 1, whole.index(b"jour"), whole.index(b'"stop"') - 3, len(whole)]
    route = server.route(*(raw(head + whole[:cut]) for cut in cuts))
    *broken, good = world.reads(chat(route), len(cuts))
    assert [type(one.error) for one in broken] == [IncompleteStream] * 4
    assert [one.text for one in broken] == ["", "", "Bon", WHOLE]
    assert good.error is None
    assert good.text == WHOLE


def test_a_wrong_length(world: World, server: Server) -> None:
    body = json.dumps(answer()).encode()
    right = str(len(body)).encode()
    data = response(body)
    longer = data.replace(b"content-length: " + right, b"content-length: " + str(len(body) + 9).encode())
    shorter = data.replace(b"content-length: " + right, b"content-length: " + str(len(body) - 9).encode())
    route = server.route(raw(longer), raw(shorter), plain())
    found = world.calls(chat(route), 3)
    assert isinstance(found[0], TransportError)
    assert isinstance(found[1], ProtocolError)
    assert found[2].text, "what came after a body that was said to be shorter has spoilt the next answer"


def test_done_without_a_finish_reason_is_not_an_answer(world: World, server: Server) -> None:
    route = server.route(sse([event({"content": "Bon"}), DONE]))
    found = world.read(chat(route))
    assert isinstance(found.error, IncompleteStream)
    assert found.error.message.text == "Bon"


def test_an_error_in_the_middle_of_a_stream_keeps_what_came(world: World, server: Server) -> None:
    broken = b'data: {"error": {"message": "the engine is gone", "code": 500}}\n\n'
    found = world.read(chat(server.route(sse([PIECES[0], PIECES[1], broken]))))
    assert isinstance(found.error, ChatModelError)
    assert "the engine is gone" in str(found.error)
    assert found.error.partial.text == found.text == "Bon"


def test_an_event_that_cannot_be_read_keeps_what_came(world: World, server: Server) -> None:
    found = world.read(chat(server.route(sse([PIECES[0], PIECES[1], b"data: {nonsense}\n\n", *PIECES[2:]]))))
    assert isinstance(found.error, ProtocolError)
    assert found.error.partial.text == found.text == "Bon"


def test_a_compressed_answer(world: World, server: Server) -> None:
    """Nobody asks for one, and some gateways send it all the same."""
    body = json.dumps(answer()).encode()
    good = gzipped(body)
    route = server.route(raw(good), raw(good[:-20]))
    first, second = world.calls(chat(route), 2)
    assert first.text == answer()["choices"][0]["message"]["content"]
    assert isinstance(second, TransportError)


def test_interim_heads_and_huge_ones(world: World, server: Server) -> None:
    body = json.dumps(answer()).encode()
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    route = server.route(raw(interim + response(body), "keep"), raw(response(body, x_policy="p" * 30_000), "keep"))
    found = world.calls(chat(route), 2)
    assert [getattr(f, "text", f) for f in found] == ["J'aime programmer."] * 2


def test_what_is_no_http_says_so(world: World, server: Server) -> None:
    found = world.calls(chat(server.route(raw(b"SSH-2.0-OpenSSH_9.6 hello\r\n\r\n"))), 1)[0]
    assert isinstance(found, (ProtocolError, TransportError))
    assert "HTTP" in str(found)
