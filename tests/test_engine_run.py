"""How one try of a job ends: its chunks as literals, its pieces as delivered. No engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatmodels._engine_jobs import Job, Opening, Piece, Pool
from chatmodels._engine_run import _Run
from chatmodels._engine_wire import read_request

ROLE = b'{"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"id":"c"}'
HI = b'{"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hi"}}],"id":"c"}'
LAST = b'{"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"id":"c"}'
PROGRESS = b'{"choices":[],"id":"c","prompt_progress":{"total":37,"cache":0,"processed":0,"time_ms":0}}'
FULL = b'{"error":{"code":500,"message":"Context size has been exceeded.","type":"server_error"}}'
WRONG = b'{"error":{"code":400,"message":"no","type":"invalid_request_error"}}'
JSON, SSE = Opening(200, "application/json"), Opening(200, "text/event-stream")


class Try:
    """A job, what it delivered, and one run of it."""

    def __init__(self, **fields: Any) -> None:
        self.pieces: list[Piece] = []
        self.pool = Pool(lambda job, pool: False, slots=1, capacity=1000)
        self.job = Job(read_request(json.dumps(fields).encode()), self.pieces.append, self.pool)
        self.run = _Run(self.job, self.pool)

    def feed(self, *chunks: bytes) -> list[bool]:
        return [self.run.on_chunk(chunk) for chunk in chunks]


def event(chunk: bytes) -> bytes:
    return b"data: " + chunk + b"\n\n"


def test_a_stream() -> None:
    one = Try(stream=True)
    assert not any(one.feed(PROGRESS, ROLE, HI, LAST))
    assert one.pieces == [SSE, event(ROLE), event(HI), event(LAST)]
    assert not one.run.close(None)
    assert one.pieces[4:] == [b"data: [DONE]\n\n", None]
    assert one.job.prompt == 37
    assert one.job.tokens == 3


def test_progress_is_passed_on_when_asked_for() -> None:
    one = Try(stream=True, return_progress=True)
    one.feed(PROGRESS, ROLE)
    assert one.pieces == [SSE, event(PROGRESS), event(ROLE)]


def test_progress_of_a_second_answer_is_not_an_event() -> None:
    one = Try(stream=True, n=2)
    one.feed(PROGRESS, ROLE, PROGRESS, HI)
    assert one.pieces == [SSE, event(ROLE), event(HI)]


def test_nothing_is_delivered_before_a_plain_answer_is_whole() -> None:
    one = Try()
    one.feed(PROGRESS, ROLE, HI, LAST)
    assert one.pieces == []
    one.run.close(None)
    opening, body, end = one.pieces
    assert (opening, end) == (JSON, None)
    assert json.loads(body)["choices"][0]["message"]["content"] == "Hi"  # type: ignore[arg-type]


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_has_its_status(stream: bool) -> None:
    one = Try(stream=stream)
    assert one.feed(PROGRESS, WRONG) == [False, True]
    assert not one.run.close(None)
    assert one.pieces == [Opening(400, "application/json"), WRONG, None]


def test_an_error_within_a_stream_is_its_last_event() -> None:
    one = Try(stream=True)
    one.feed(ROLE, HI, WRONG)
    one.run.close(None)
    assert one.pieces[-2:] == [event(WRONG), None]


def test_a_full_context_before_the_first_piece_means_another_try_alone() -> None:
    one = Try()
    one.feed(ROLE, FULL)
    assert one.run.close(None)
    assert one.job.alone
    assert one.pieces == []
    again = _Run(one.job, one.pool)
    again.on_chunk(FULL)
    assert not again.close(None), "there is nobody left to make room"
    assert one.pieces == [Opening(500, "application/json"), FULL, None]


def test_a_full_context_after_the_first_piece_is_an_error() -> None:
    one = Try(stream=True)
    one.feed(ROLE, FULL)
    assert not one.run.close(None)
    assert one.pieces[-2:] == [event(FULL), None]


@pytest.mark.parametrize("error", [ValueError("bad"), RuntimeError("bad")])
def test_what_is_raised_about_the_request_is_a_400(error: Exception) -> None:
    one = Try(stream=True)
    assert not one.run.close(error)
    opening, body, end = one.pieces
    assert (opening, end) == (Opening(400, "application/json"), None)
    found = json.loads(body)["error"]  # type: ignore[arg-type]
    assert found == {"code": 400, "message": "bad", "type": "invalid_request_error"}


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_raised_later_is_a_500(stream: bool) -> None:
    one = Try(stream=stream)
    one.feed(ROLE)
    assert not one.run.close(RuntimeError("broke"))
    *_, body, end = one.pieces
    assert b'"code":500' in body  # type: ignore[operator]
    assert body.startswith(b"data: ") == stream  # type: ignore[union-attr]
    assert end is None


@pytest.mark.parametrize("error", [MemoryError(), TypeError("inside")])
def test_other_exceptions_are_delivered_as_they_are(error: Exception) -> None:
    one = Try()
    assert not one.run.close(error)
    assert one.pieces == [error]


def test_an_answer_that_never_came_is_an_exception() -> None:
    one = Try()
    one.feed(PROGRESS)
    assert not one.run.close(None)
    assert isinstance(one.pieces[0], RuntimeError)


def test_a_chunk_that_cannot_be_read_is_an_exception() -> None:
    one = Try()
    assert one.feed(ROLE, b"{broken") == [False, True]
    assert not one.run.close(None)
    assert isinstance(one.pieces[0], ValueError)


def test_a_cancelled_job_stops_at_the_next_chunk_and_is_not_run_again() -> None:
    one = Try(stream=True)
    one.feed(ROLE)
    one.job.cancel()
    count = len(one.pieces)
    assert one.feed(HI) == [True]
    assert not one.run.close(None)
    assert len(one.pieces) == count


def test_a_job_that_is_taken_back_is_run_again() -> None:
    one = Try()
    one.feed(ROLE)
    one.job.stop = "again"
    assert one.feed(HI) == [True]
    assert one.run.close(None)
    assert one.pieces == []


def test_a_job_that_was_to_be_taken_back_but_has_ended_is_complete() -> None:
    one = Try()
    one.feed(ROLE, HI, LAST)
    one.job.stop = "again"
    assert not one.run.close(None)
    assert one.pieces[0] == JSON


def test_a_stream_that_is_given_up_says_why() -> None:
    one = Try(stream=True)
    one.feed(ROLE)
    one.job.stop = "crowded"
    assert one.feed(HI) == [True]
    assert not one.run.close(None)
    body, end = one.pieces[-2:]
    assert json.loads(body[6:])["error"]["code"] == 503  # type: ignore[index]
    assert end is None
