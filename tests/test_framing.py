"""Framing: any cut of a stream gives the frames of the whole, at once, in linear time and bounded memory."""

from __future__ import annotations

import copy
import json
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatmodels._errors import ProtocolError, UsageError
from chatmodels._framing import LIMIT, SSE, AWSEventStream, JSONArray, JSONLines

PARSERS = [SSE, JSONLines, JSONArray, AWSEventStream]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces; the places are taken modulo its length, and equal places give empty pieces."""
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(ends)]


def every_byte(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def pieces_of(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def parse(parser: Any, pieces: list[bytes]) -> list[Any]:
    frames = [frame for piece in pieces for frame in parser.feed(piece)]
    frames += parser.close()
    return frames


def until_error(parser: Any, pieces: list[bytes]) -> tuple[list[Any], str | None]:
    """The frames that came out, and the error that ended them."""
    frames: list[Any] = []
    try:
        for piece in pieces:
            frames += parser.feed(piece)
        frames += parser.close()
    except ProtocolError as error:
        return frames, error.text
    return frames, None


places = st.lists(st.integers(0, 1 << 16), max_size=12)


# The reference for server-sent events goes by the WHATWG text, section 9.2.6, one byte after another.


def lines_of(stream: bytes) -> Iterator[tuple[bytes, bool]]:
    """Each line and whether a line end ended it; a CR ends a line even when it is the last byte so far."""
    line = bytearray()
    i = 0
    while i < len(stream):
        if stream[i : i + 1] in (b"\r", b"\n"):
            yield bytes(line), True
            line.clear()
            i += 2 if stream[i : i + 2] == b"\r\n" else 1
        else:
            line.append(stream[i])
            i += 1
    yield bytes(line), False


def reference_sse(stream: bytes) -> tuple[list[tuple[bytes, bytes]], tuple[bytes, bytes] | None]:
    """The dispatched events, and the one that the end of input cut short."""
    if stream.startswith(b"\xef\xbb\xbf"):
        stream = stream[3:]
    dispatched = []
    data_buffer, event_type = b"", b""
    for line, ended in lines_of(stream):
        if line == b"" and ended:
            if data_buffer != b"":
                dispatched.append((event_type, data_buffer[:-1]))
            data_buffer, event_type = b"", b""
            continue
        if line.startswith(b":"):
            continue
        if b":" in line:
            colon = line.index(b":")
            field, value = line[:colon], line[colon + 1 :]
            if value[:1] == b" ":
                value = value[1:]
        else:
            field, value = line, b""
        if field == b"event":
            event_type = value
        elif field == b"data":
            data_buffer += value + b"\n"
    return dispatched, (event_type, data_buffer[:-1]) if data_buffer else None


line_ends = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])
fields = st.sampled_from([b"data", b"data", b"data", b"event", b"id", b"retry", b"", b"dat", b" data", b"data "])
colons = st.sampled_from([b": ", b": ", b":", b":  ", b"", b"::"])
values = st.one_of(
    st.sampled_from([b"", b"[DONE]", b'{"a":1}', b"data: x", "\u2028\u0085\x0b\x0c\x1c é😀".encode(), b"\x00", b" "]),
    st.text(max_size=8).map(lambda text: text.replace("\r", "").replace("\n", "").encode()),
)
sse_lines = st.one_of(st.just(b""), st.tuples(fields, colons, values).map(b"".join))
usual_events = st.sampled_from(
    [b'data: {"a":1}\n\n', b"event: ping\ndata: {}\n\n", b"data: [DONE]\r\n\r\n", b": hi\n\n"]
)
written_streams = st.lists(
    st.one_of(st.tuples(sse_lines, line_ends).map(b"".join), usual_events, line_ends), max_size=14
).map(b"".join)
wild_streams = st.lists(
    st.sampled_from(
        [b"data", b"data: ", b"event: ", b":", b" ", b"\r", b"\n", b"x", b"\xef\xbb\xbf", b"\xef", b"\xff"]
    ),
    max_size=30,
).map(b"".join)
sse_streams = st.tuples(st.sampled_from([b"", b"", b"\xef\xbb\xbf"]), st.one_of(written_streams, wild_streams)).map(
    b"".join
)


@given(sse_streams, places)
@settings(max_examples=150)
def test_sse_gives_the_events_of_the_standard_for_any_cut(stream: bytes, places: list[int]) -> None:
    dispatched, last = reference_sse(stream)
    for pieces in ([stream], cut(stream, places), every_byte(stream)):
        parser = SSE()
        assert [event for piece in pieces for event in parser.feed(piece)] == dispatched
        assert parser.close() == ([last] if last else [])
        assert parser.unterminated == (last is not None)


@given(sse_streams)
def test_sse_dispatches_an_event_with_the_byte_that_completes_its_blank_line(stream: bytes) -> None:
    parser = SSE()
    seen: list[tuple[bytes, bytes]] = []
    for end in range(1, len(stream) + 1):
        seen += parser.feed(stream[end - 1 : end])
        if not b"\xef\xbb\xbf".startswith(stream[:end]):
            assert seen == reference_sse(stream[:end])[0]


@pytest.mark.parametrize(
    ("stream", "events", "last"),
    [
        # The examples of section 9.2.6.
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [(b"", b"YHOO\n+2\n10")], []),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
            [(b"", b"first event"), (b"", b"second event")],
            [(b"", b" third event")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [(b"", b""), (b"", b"\n")], [(b"", b"")]),
        (b"data:test\n\ndata: test\n\n", [(b"", b"test"), (b"", b"test")], []),
        # An event name without data is forgotten; the last name counts.
        (b"event: lost\n\ndata: a\n\nevent: x\nevent: y\ndata: b\n\n", [(b"", b"a"), (b"y", b"b")], []),
        # A byte order mark counts at the start only.
        (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [(b"", b"a")], []),
        # What str.splitlines takes for line ends is data.
        (
            "data: a\u2028b\u0085c\x0bd\x0ce\x1cf\x00g\n\n".encode(),
            [(b"", "a\u2028b\u0085c\x0bd\x0ce\x1cf\x00g".encode())],
            [],
        ),
        # Two lone CRs are two line ends, also before an LF.
        (b"data: a\r\rdata: b\r\r\n", [(b"", b"a"), (b"", b"b")], []),
        (b"event: x\ndata: a\n\nevent: y\nid: 1\ndata: b\n\n", [(b"x", b"a"), (b"y", b"b")], []),
        (b"data: a\n\ndata: b\ndata: c\n\n", [(b"", b"a"), (b"", b"b\nc")], []),
        (b"", [], []),
        (b"\n\r\n\r", [], []),
        (b"data: cut\n", [], [(b"", b"cut")]),
        (b"event: only", [], []),
    ],
)
def test_sse_examples(stream: bytes, events: list[tuple[bytes, bytes]], last: list[tuple[bytes, bytes]]) -> None:
    halves = [[stream[:place], stream[place:]] for place in range(len(stream) + 1)]
    for pieces in (*halves, every_byte(stream)):
        parser = SSE()
        assert [event for piece in pieces for event in parser.feed(piece)] == events
        assert parser.close() == last
        assert parser.unterminated is bool(last)
        assert parser.close() == []
        assert parser.unterminated is False


def test_sse_does_not_wait_for_the_lf_of_a_blank_line() -> None:
    parser = SSE()
    assert parser.feed(b"data: a\r\n\r") == [(b"", b"a")]
    assert parser.feed(b"\ndata: b\r") == []
    assert parser.feed(b"\n") == []
    assert parser.feed(b"\r\n") == [(b"", b"b")]


json_lines = st.lists(
    st.sampled_from([b'{"a":1}', b'{"t":"\xc3\xa9\xe2\x80\xa8"}', b"", b"  ", b" 7 ", b"\n", b"\r\n", b"\r", b"\n\n"]),
    max_size=16,
).map(b"".join)


@given(json_lines, places, st.booleans())
def test_json_lines_for_any_cut(stream: bytes, places: list[int], marked: bool) -> None:
    *whole, last = [line.strip() for line in stream.split(b"\n")]
    whole = [line for line in whole if line]
    if marked:
        stream = b"\xef\xbb\xbf" + stream
    for pieces in ([stream], cut(stream, places), every_byte(stream)):
        parser = JSONLines()
        assert [line for piece in pieces for line in parser.feed(piece)] == whole
        assert parser.close() == ([last] if last else [])
        assert parser.unterminated is bool(last)


def test_json_lines_come_out_with_their_line_end() -> None:
    parser = JSONLines()
    assert parser.feed(b'{"a":1}\r') == []
    assert parser.feed(b"\n") == [b'{"a":1}']
    assert parser.feed(b'\n{"a":2}\n{"a"') == [b'{"a":2}']
    assert parser.close() == [b'{"a"']
    assert parser.unterminated


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.sampled_from('ab"\\/{}[],:\n\u2028é😀 '), max_size=8),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(st.sampled_from('k"\\]}'), max_size=3), inner, max_size=3),
    ),
    max_leaves=8,
)
spaces = st.sampled_from(["", "", "\n", " ", "\r\n", "\t \n"])


@st.composite
def json_arrays(draw: st.DrawFn) -> tuple[list[str], bytes]:
    """The texts of the elements, and the bytes of the array."""
    dumps = [
        lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
        lambda value: json.dumps(value, indent=2),
    ]
    texts = [draw(st.sampled_from(dumps))(value) for value in draw(st.lists(json_values, max_size=5))]
    text = draw(spaces) + "[" + ",".join(draw(spaces) + text + draw(spaces) for text in texts) + draw(spaces) + "]"
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return texts, mark + (text + draw(spaces)).encode()


@given(json_arrays(), places)
@settings(max_examples=100)
def test_json_array_gives_each_element_for_any_cut(array: tuple[list[str], bytes], places: list[int]) -> None:
    texts, stream = array
    for pieces in ([stream], cut(stream, places), every_byte(stream)):
        parser = JSONArray()
        assert parse(parser, pieces) == [text.encode() for text in texts]
        assert parser.closed


@pytest.mark.parametrize("size", [63, 64, 65, 66, 128, 129, 130, 1000])
def test_json_array_with_many_strings_and_escapes(size: int) -> None:
    elements = [["a]"] * size, '\\"]' * size, {"k": ['"' * size, "[" * size] * size, "}": "\\" * size}]
    texts = [json.dumps(element).encode() for element in elements[: 2 if size > 200 else 3]]
    stream = b"[" + b",".join(texts) + b"]"
    for pieces in ([stream], pieces_of(stream, 5), pieces_of(stream, 333)):
        assert parse(JSONArray(), pieces) == texts


@given(st.lists(json_values, min_size=1, max_size=4))
def test_json_array_gives_an_element_with_its_last_byte(elements: list[Any]) -> None:
    parser = JSONArray()
    assert parser.feed(b"[") == []
    for i, element in enumerate(elements):
        text = json.dumps(element).encode()
        before = [out for byte in every_byte((b"\n," if i else b"") + text[:-1]) for out in parser.feed(byte)]
        assert before == []
        self_ended = text[-1:] in b']}"'
        assert parser.feed(text[-1:]) == ([text] if self_ended else [])
        assert parser.feed(b" ") == ([] if self_ended else [text])
        assert not parser.closed
    assert parser.feed(b"]") == []
    assert parser.closed


@given(json_arrays(), st.integers(0, 1 << 16))
def test_json_array_that_is_cut_is_not_closed(array: tuple[list[str], bytes], place: int) -> None:
    texts, stream = array
    stream = stream.rstrip()[: place % len(stream.rstrip())]
    parser = JSONArray()
    frames = parse(parser, [stream])
    assert not parser.closed
    assert frames == [text.encode() for text in texts[: len(frames)]]


@pytest.mark.parametrize(
    ("stream", "frames", "due"),
    [
        (b'{"error":{"code":400}}', [], "[ was due, b'{'"),
        (b"<html>", [], "[ was due, b'<'"),
        (b"[,", [], "value or ] was due, b','"),
        (b"[1,]", [b"1"], "value was due, b']'"),
        (b"[1 2]", [b"1"], ", or ] was due, b'2'"),
        (b'[{"a":1}{"a":2}]', [b'{"a":1}'], ", or ] was due, b'{'"),
        (b'["a":1]', [b'"a"'], ", or ] was due, b':'"),
        (b"[}", [], "value or ] was due, b'}'"),
        (b"[] x", [], "end was due, b'x'"),
        (b"[[]]]", [b"[]"], "end was due, b']'"),
    ],
)
def test_json_array_refuses_what_is_none(stream: bytes, frames: list[bytes], due: str) -> None:
    for pieces in ([stream], every_byte(stream)):
        found, error = until_error(JSONArray(), pieces)
        assert found == frames
        assert error is not None
        assert due in error


Header = tuple[bytes, int, Any]
FIXED = {2: ">b", 3: ">h", 4: ">i", 5: ">q", 8: ">q"}


def encode_header(name: bytes, kind: int, value: Any) -> bytes:
    head = struct.pack(">B", len(name)) + name + struct.pack(">B", kind)
    if kind in (0, 1):
        return head
    if kind in FIXED:
        return head + struct.pack(FIXED[kind], value)
    raw: bytes = value.encode() if kind == 7 else value
    if kind == 9:
        return head + raw
    return head + struct.pack(">H", len(raw)) + raw


def seal(headers: bytes, payload: bytes) -> bytes:
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def encode_frame(headers: list[Header], payload: bytes) -> bytes:
    return seal(b"".join(encode_header(*header) for header in headers), payload)


def bits(size: int) -> st.SearchStrategy[int]:
    return st.integers(-(1 << (size - 1)), (1 << (size - 1)) - 1)


typed_values = st.one_of(
    st.just((0, True)),
    st.just((1, False)),
    st.tuples(st.just(2), bits(8)),
    st.tuples(st.just(3), bits(16)),
    st.tuples(st.just(4), bits(32)),
    st.tuples(st.just(5), bits(64)),
    st.tuples(st.just(6), st.binary(max_size=20)),
    st.tuples(st.just(7), st.text(max_size=10)),
    st.tuples(st.just(8), bits(64)),
    st.tuples(st.just(9), st.binary(min_size=16, max_size=16)),
)
header_names = st.one_of(st.sampled_from([":event-type", ":message-type"]), st.text(min_size=1, max_size=6))
header_lists = st.dictionaries(header_names, typed_values, max_size=4).map(
    lambda headers: [(name.encode(), kind, value) for name, (kind, value) in headers.items()]
)
frame_lists = st.lists(st.tuples(header_lists, st.binary(max_size=40)), max_size=5)


def expected(frames: list[tuple[list[Header], bytes]]) -> list[tuple[dict[str, Any], bytes]]:
    return [({name.decode(): value for name, _, value in headers}, payload) for headers, payload in frames]


@given(frame_lists, places)
def test_aws_frames_for_any_cut(frames: list[tuple[list[Header], bytes]], places: list[int]) -> None:
    stream = b"".join(encode_frame(*frame) for frame in frames)
    for pieces in ([stream], cut(stream, places), every_byte(stream)):
        parser = AWSEventStream()
        found = parse(parser, pieces)
        assert found == expected(frames)
        assert [[type(value) for value in headers.values()] for headers, _ in found] == [
            [type(value) for _, _, value in headers] for headers, _ in frames
        ]
        assert parser.pending == 0


@given(frame_lists, st.integers(1, 1 << 16))
def test_aws_frame_that_is_cut_is_pending(frames: list[tuple[list[Header], bytes]], place: int) -> None:
    frames = [*frames, ([], b"last")]
    stream = b"".join(encode_frame(*frame) for frame in frames)
    last = encode_frame(*frames[-1])
    missing = 1 + place % (len(last) - 1)
    parser = AWSEventStream()
    assert parse(parser, [stream[:-missing]]) == expected(frames[:-1])
    assert parser.pending == len(last) - missing


@given(frame_lists, st.integers(0, 1 << 16), st.integers(1, 255), places)
def test_aws_frame_with_a_wrong_byte_never_comes_out(
    frames: list[tuple[list[Header], bytes]], place: int, flip: int, places: list[int]
) -> None:
    good = b"".join(encode_frame(*frame) for frame in frames)
    bad = bytearray(encode_frame([(b":event-type", 7, "x")], b"payload"))
    bad[place % len(bad)] ^= flip
    stream = good + bad + encode_frame([], b"after")
    for pieces in ([stream], cut(stream, places), every_byte(stream)):
        found, error = until_error(AWSEventStream(), pieces)
        assert found == expected(frames)
        assert error is not None
        assert "checksum" in error


def test_aws_empty_message_of_the_published_vectors() -> None:
    empty = bytes.fromhex("00000010 00000000 05c248eb 7d98c8ff")
    assert AWSEventStream().feed(empty) == [({}, b"")]
    assert encode_frame([], b"") == empty


def test_aws_headers_belong_to_their_frame() -> None:
    frame = encode_frame([(b":event-type", 7, "delta")], b"{}")
    parser = AWSEventStream()
    (first, second) = parser.feed(frame + frame)
    first[0]["mine"] = "yes"
    assert second[0] == {":event-type": "delta"}
    assert parser.feed(frame) == [({":event-type": "delta"}, b"{}")]


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        (b"\x05na", "do not parse"),  # the name reaches beyond the block
        (b"\x01n", "do not parse"),  # no type
        (b"\x01n\x0a", "do not parse"),  # no such type
        (b"\x01n\x04\x00\x00", "do not parse"),  # half an int
        (b"\x01n\x07\x00", "do not parse"),  # half a length
        (b"\x01n\x07\x00\x05abc", "do not parse"),  # the string reaches beyond the block
        (b"\x01n\x06\x00\x05abc", "do not parse"),
        (b"\x01n\x07\x00\x01\xff", "do not parse"),  # not UTF-8
        (b"\x01\xff\x00", "do not parse"),
        (b"\x01n\x00\x01n\x01", "two headers 'n'"),
    ],
)
def test_aws_headers_that_do_not_parse(headers: bytes, text: str) -> None:
    with pytest.raises(ProtocolError, match=text):
        AWSEventStream().feed(seal(headers, b""))


@pytest.mark.parametrize(
    ("size", "headers_size", "text"),
    [
        (15, 0, "cannot be"),
        (0, 0, "cannot be"),
        (20, 5, "cannot be"),
        (LIMIT + 1, 0, "larger than the limit"),
    ],
)
def test_aws_lengths_are_judged_with_the_prelude(size: int, headers_size: int, text: str) -> None:
    prelude = struct.pack(">II", size, headers_size)
    with pytest.raises(ProtocolError, match=text):
        AWSEventStream().feed(prelude + struct.pack(">I", zlib.crc32(prelude)))


@given(frame_lists)
@settings(max_examples=25)
def test_aws_frames_are_those_of_botocore(frames: list[tuple[list[Header], bytes]]) -> None:
    eventstream = pytest.importorskip("botocore.eventstream")
    theirs = eventstream.EventStreamBuffer()
    stream = b"".join(encode_frame(*frame) for frame in frames)
    theirs.add_data(stream)
    assert AWSEventStream().feed(stream) == [(event.headers, event.payload) for event in theirs]


def sse_event(size: int) -> bytes:
    return b"data: ".ljust(size, b"x") + b"\n\n"


def json_line(size: int) -> bytes:
    return b"1" * size + b"\n"


def json_element(size: int) -> bytes:
    return b'["' + b"x" * (size - 2) + b'",'


def aws_frame(size: int) -> bytes:
    return encode_frame([], b"x" * (size - 16))


SIZED: list[tuple[type[Any], Callable[[int], bytes]]] = [
    (SSE, sse_event),
    (JSONLines, json_line),
    (JSONArray, json_element),
    (AWSEventStream, aws_frame),
]
sized = pytest.mark.parametrize(("cls", "frame"), SIZED, ids=[cls.__name__ for cls, _ in SIZED])


@sized
def test_limit_is_exact_for_any_cut(cls: type[Any], frame: Callable[[int], bytes]) -> None:
    for size in (40, 41, 100):
        for pieces in ([frame(size)], every_byte(frame(size)), pieces_of(frame(size), 7)):
            found, error = until_error(cls(limit=40), pieces)
            assert len(found) == (size == 40)
            assert (error is None) == (size == 40)


@pytest.mark.parametrize(
    ("cls", "before", "too_large", "after"),
    [
        (SSE, b"data: 1\n\ndata: 2\r\n\r\n", sse_event(41), b"data: 3\n\n"),
        (SSE, b"data: 1\n\n\ndata: 2\n\n\n", sse_event(41)[:-1], b""),
        (SSE, b"data: 1\n\n: c\n\n: c\n\ndata: 2\n\n", b":\n" * 30, b""),
        (JSONLines, b"1\n2\n", json_line(41), b"3\n"),
        (JSONLines, b"1\n2\n", b" " * 43, b"3\n"),
        (JSONArray, b"[1, 2,", json_element(41)[1:], b"3]"),
        (AWSEventStream, aws_frame(20) + aws_frame(20), aws_frame(41), aws_frame(20)),
    ],
)
def test_error_costs_no_frame_before_it_and_stays(
    cls: type[Any], before: bytes, too_large: bytes, after: bytes
) -> None:
    stream = before + too_large + after
    for pieces in ([stream], every_byte(stream), pieces_of(stream, 11)):
        parser = cls(limit=40)
        found, error = until_error(parser, pieces)
        assert len(found) == 2
        assert error is not None
        assert "limit of 40 bytes" in error
        for more in (b"data: 4\n\n", b""):
            with pytest.raises(ProtocolError, match="limit of 40 bytes"):
                parser.feed(more)
        with pytest.raises(ProtocolError, match="limit of 40 bytes"):
            parser.close()


def test_limit_is_of_one_frame_not_of_the_stream_or_of_a_piece() -> None:
    assert len(parse(SSE(limit=40), [sse_event(40) * 50])) == 50
    assert len(parse(SSE(limit=40), [b"\n" * 200 + sse_event(40).replace(b"\n", b"\r\n") * 50])) == 50
    assert len(parse(JSONLines(limit=40), [json_line(40) * 50])) == 50
    assert len(parse(JSONArray(limit=40), [b"[" + (json_element(40)[1:] + b" " * 50) * 50])) == 50
    assert len(parse(AWSEventStream(limit=40), [aws_frame(40) * 50])) == 50


@pytest.mark.parametrize("cls", [SSE, JSONLines])
def test_limit_does_not_wait_for_the_end_of_the_frame(cls: type[Any]) -> None:
    # Two bytes of grace: the line ends around a frame do not count.
    parser = cls(limit=40)
    assert parser.feed(b"x" * 42) == []
    with pytest.raises(ProtocolError, match="limit of 40 bytes"):
        parser.feed(b"x")


@pytest.mark.parametrize("cls", PARSERS)
def test_limit_below_one_byte_is_refused(cls: type[Any]) -> None:
    with pytest.raises(UsageError) as raised:
        cls(limit=0)
    assert raised.value.argument == "limit"


@pytest.mark.parametrize(
    ("cls", "start", "piece"),
    [(SSE, b"data: ", b"x" * 1000), (JSONLines, b"", b"x" * 1000), (JSONArray, b'[{"a":"', b"x" * 1000)],
)
def test_memory_is_bounded_by_the_limit(cls: type[Any], start: bytes, piece: bytes) -> None:
    limit = 100_000
    parser = cls(limit=limit)
    parser.feed(start)
    tracemalloc.start()
    try:
        for _ in range(limit // len(piece) - 1):
            parser.feed(piece)
        with pytest.raises(ProtocolError, match="limit of 100000 bytes") as raised:
            parse(parser, [piece] * 3)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * limit
    assert len(raised.value.data or b"") == 2000


def seconds(cls: type[Any], pieces: list[bytes]) -> float:
    """Processor time of one parse, the best of three."""

    def once() -> float:
        start = time.process_time()
        parse(cls(), pieces)
        return time.process_time() - start

    return min(once() for _ in range(3))


@pytest.mark.parametrize(
    ("cls", "make", "size", "piece"),
    [
        (SSE, sse_event, 10_000, 1),
        (SSE, sse_event, 500_000, 256),
        (SSE, lambda size: sse_event(size).replace(b"\n", b"\r\n"), 500_000, 256),
        (SSE, lambda size: b"data: x\n" * (size // 8) + b"\n", 10_000, 1),
        (JSONLines, json_line, 500_000, 256),
        (JSONArray, json_element, 500_000, 256),
        (JSONArray, lambda size: b"[" * (size // 2) + b"]" * (size // 2), 10_000, 1),
        (JSONArray, lambda size: b'["' + b'\\"' * (size // 2) + b'"]', 10_000, 1),
        (JSONArray, lambda size: b"[" + b'["' * (size // 2), 100_000, 1 << 30),
        (AWSEventStream, aws_frame, 500_000, 256),
    ],
)
def test_cost_is_linear_in_the_size_of_one_frame(
    cls: type[Any], make: Callable[[int], bytes], size: int, piece: int
) -> None:
    small = seconds(cls, pieces_of(make(size), piece))
    large = seconds(cls, pieces_of(make(8 * size), piece))
    # 8 when linear, 64 when quadratic; the constant is for the grain of the clock.
    assert large < 30 * small + 0.01


def test_parsers_do_not_share_state() -> None:
    one, other = SSE(), SSE()
    one.feed(b"data: a\n")
    assert other.feed(b"\ndata: b\n\n") == [(b"", b"b")]
    twin = copy.deepcopy(one)
    assert one.feed(b"\n") == twin.feed(b"\n") == [(b"", b"a")]
