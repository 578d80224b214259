"""HTTP/1.1 as bytes: each response in every split, held against the standard library's reader; broken ones refused."""

from __future__ import annotations

import gzip
import http.client
import io
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatmodels import ProtocolError, TransportError, UsageError
from chatmodels._http_wire import HEAD_LIMIT, Body, Chunked, request_head, response_head


def read(data: bytes, sizes: list[int] | None = None, *, end: bool = True) -> tuple[int, dict[str, str], bytes, Body]:
    """Feed the bytes in pieces of these sizes (the last one repeats), then the end of the connection."""
    pieces, at, number = [], 0, 0
    while at < len(data):
        size = (sizes or [len(data)])[min(number, len(sizes or [0]) - 1)]
        pieces.append(data[at : at + size])
        at, number = at + size, number + 1
    buffer, head, body, out = b"", None, None, b""
    for piece in pieces:
        if body is None or head is None:
            buffer += piece
            found = response_head(buffer)
            if found is None:
                continue
            head, rest = found
            body = Body(head)
            if rest and not body.done:
                out += body.feed(rest)
        elif not body.done:
            out += body.feed(piece)
    assert head is not None
    assert body is not None
    if end and not body.done:
        body.end()
    return head.status, head.headers, out, body


GOOD = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    "no reason": (b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", b"ok", True),
    "empty": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"", True),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "length twice": (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok", b"ok", True),
    "close": (b"HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 2\r\n\r\nok", b"ok", False),
    "to the end": (b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello", False),
    "1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", b"ok", False),
    "1.0 keep-alive": (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", b"ok", True),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"ok",
        True,
    ),
    "line feeds": (b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok", b"ok", True),
    "chunked": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nt: u\r\n\r\n",
        b"hello!",
        True,
    ),
    "chunked, upper case": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
        b"0123456789",
        True,
    ),
    "chunked and length": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 99\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"ok",
        False,
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_response_in_every_split(name: str) -> None:
    data, payload, reusable = GOOD[name]
    for sizes in ([len(data)], [1], [2], [7], *([cut, len(data)] for cut in range(1, len(data)))):
        _, _, out, body = read(data, sizes)
        assert (out, body.done, body.reusable) == (payload, True, reusable)


@pytest.mark.parametrize("name", [n for n in GOOD if n not in ("to the end", "no content", "empty")])
def test_a_response_cut_anywhere_in_its_body(name: str) -> None:
    data, payload, _ = GOOD[name]
    start = data.rindex(b"\n\n" if name == "line feeds" else b"\r\n\r\n", 0, -4 if "chunked" in name else None) + 4
    if "chunked" in name:
        start = data.index(b"\r\n\r\n") + 4
    for cut in range(start, len(data)):
        with pytest.raises(TransportError, match="middle of the answer"):
            read(data[:cut])
    assert payload


def test_headers() -> None:
    data = b"HTTP/1.1 429 Slow\r\nX-A: 1\r\nx-a:2\r\nFolded: a\r\n  b\r\nEmpty:\r\nAccent: \xe9\r\ncontent-length: 0\r\n\r\n"
    status, headers, _, _ = read(data)
    assert status == 429
    assert headers == {"x-a": "1, 2", "folded": "a b", "empty": "", "accent": "é", "content-length": "0"}


def test_a_huge_head_is_read_and_a_monstrous_one_is_refused() -> None:
    _, headers, out, _ = read(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\ncontent-length: 2\r\n\r\nok", [9000])
    assert len(headers["x"]) == 100_000
    assert out == b"ok"
    with pytest.raises(ProtocolError):
        response_head(b"HTTP/1.1 200 OK\r\nx: " + b"y" * HEAD_LIMIT)


BROKEN = {
    "another protocol": b"SSH-2.0-OpenSSH_9.6 some more\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x16 and what a server says then",
    "HTTP/2": b"HTTP/2 200 OK\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "no header": b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
    "space before the colon": b"HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok",
    "length in words": b"HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nok",
    "negative length": b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
    "another coding": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
    "br": b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 2\r\n\r\nok",
    "chunk size": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nhello\r\n",
    "negative chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n",
    "chunk too long": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
    "endless chunk line": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1" * 20_000,
    "not gzip": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("size", [1, 10**6])
def test_a_broken_response(name: str, size: int) -> None:
    with pytest.raises(ProtocolError):
        read(BROKEN[name], [size])


def test_what_comes_after_the_end_spoils_the_connection() -> None:
    for data in (GOOD["length"][0], GOOD["chunked"][0]):
        _, _, out, body = read(data + b"HTTP/1.1 200 OK")
        assert out in (b"hello", b"hello!")
        assert not body.reusable


@pytest.mark.parametrize("size", [1, 3, 10**6])
@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(b"bonjour " * 99)),
        ("x-gzip", gzip.compress(b"bonjour " * 50) + gzip.compress(b"bonjour " * 49)),
        ("deflate", zlib.compress(b"bonjour " * 99)),
        ("deflate", zlib.compress(b"bonjour " * 99)[2:-4]),
    ],
    ids=["gzip", "gzip in members", "deflate", "raw deflate"],
)
def test_compressed(coding: str, packed: bytes, size: int) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\n"
    whole = f"{head}content-length: {len(packed)}\r\n\r\n".encode() + packed
    assert read(whole, [size])[2] == b"bonjour " * 99
    assert read(f"{head}\r\n".encode() + packed, [size])[2] == b"bonjour " * 99
    with pytest.raises(TransportError, match="not whole"):
        read(f"{head}\r\n".encode() + packed[:-9], [size])


def test_a_request() -> None:
    head = request_head("POST", "/v1/x?y=%20", "host:1", {"a": "b", "c": "é"}, 3)
    assert head == b"POST /v1/x?y=%20 HTTP/1.1\r\nhost: host:1\r\ncontent-length: 3\r\na: b\r\nc: \xe9\r\n\r\n"


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/a b", {}),
        ("/a\r\nx: y", {}),
        ("/é", {}),
        ("/", {"a": "b\r\nc: d"}),
        ("/", {"a": "b\nc: d"}),
        ("/", {"a": "b\0"}),
        ("/", {"a\r\n": "b"}),
        ("/", {"a": "→"}),
    ],
)
def test_a_request_that_cannot_be_written(target: str, headers: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        request_head("POST", target, "host", headers, 0)


class _Socket:
    """As much of a socket as http.client reads from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *a: Any, **k: Any) -> io.BytesIO:
        return io.BytesIO(self._data)


def _standard(data: bytes) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(_Socket(data), method="POST")  # type: ignore[arg-type]
    response.begin()
    return response.status, response.read()


HEADERS = st.lists(
    st.tuples(
        st.from_regex(r"x-[a-z0-9]{1,8}", fullmatch=True),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
    ),
    max_size=5,
)


@settings(max_examples=75, deadline=None)
@given(
    pieces=st.lists(st.binary(min_size=1, max_size=300), max_size=8),
    headers=HEADERS,
    framing=st.sampled_from(["chunked", "length", "end"]),
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=6),
    extension=st.sampled_from([b"", b";a=b", b" ", b';q="x"']),
    status=st.integers(200, 599).filter(lambda s: s not in (204, 304)),
)
def test_agrees_with_the_standard_library(
    pieces: list[bytes], headers: list[tuple[str, str]], framing: str, sizes: list[int], extension: bytes, status: int
) -> None:
    body = b"".join(pieces)
    lines = [*(f"{k}: {v}" for k, v in headers)]
    if framing == "chunked":
        lines.append("transfer-encoding: chunked")
        body = b"".join(b"%X%b\r\n%b\r\n" % (len(p), extension, p) for p in pieces) + b"0\r\n\r\n"
    elif framing == "length":
        lines.append(f"content-length: {len(body)}")
    data = "\r\n".join([f"HTTP/1.1 {status} X", *lines, "", ""]).encode() + body
    found_status, found_headers, out, _ = read(data, sizes)
    assert (found_status, out) == _standard(data)
    for name, value in headers:
        assert value.strip() in found_headers[name]


@settings(max_examples=50, deadline=None)
@given(data=st.binary(max_size=300), sizes=st.lists(st.integers(1, 50), min_size=1, max_size=4))
def test_any_bytes_at_all_are_an_answer_or_an_error_of_ours(data: bytes, sizes: list[int]) -> None:
    framing = Chunked()
    whole = Chunked()

    def run(chunks: Chunked, pieces: list[bytes]) -> bytes | None:
        try:
            return b"".join(chunks.feed(p) for p in pieces if not chunks.done)
        except ProtocolError:
            return None

    cut = [data[i : i + sizes[0]] for i in range(0, len(data), sizes[0])]
    assert (run(framing, cut) is None) == (run(whole, [data]) is None) or framing.done
