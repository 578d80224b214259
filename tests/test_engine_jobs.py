"""The queue of the embedded engine: order, limits, room, cancelling. The work itself is a function of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest

from chatmodels._engine_jobs import HEADROOM, Job, Opening, Piece, Pool
from chatmodels._engine_wire import Request, read_request
from chatmodels._errors import TransportError

WAIT = 10.0


def request(*, prompt: int = 10, limit: int | None = 10, n: int = 1, whole: bool = False) -> Request:
    return Request(body=b"{}", stream=False, whole=whole, n=n, limit=limit, usage=False, progress=False, prompt=prompt)


class Work:
    """Runs jobs as long as the test says: each waits for its gate, and for the word to stop."""

    def __init__(self) -> None:
        self.started: SimpleQueue[Job] = SimpleQueue()
        self.gate = threading.Semaphore(0)

    def run(self, job: Job, pool: Pool) -> bool:
        self.started.put(job)
        while not self.gate.acquire(timeout=0.005):
            if job.stop is not None:
                return job.stop == "again"
        job.put(b"piece")
        job.end()
        return False

    def next(self) -> Job:
        return self.started.get(timeout=WAIT)

    def none_starts(self) -> bool:
        time.sleep(0.05)
        return self.started.empty()


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def make(work: Work) -> Iterator[Callable[..., Pool]]:
    pools: list[Pool] = []

    def make(**options: Any) -> Pool:
        pools.append(Pool(work.run, **{"slots": 2, "capacity": 1000, **options}))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()
    assert not any(thread.is_alive() for pool in pools for thread in pool._threads)


def put(pool: Pool, wanted: Request | None = None, deliver: Callable[[Piece], None] | None = None) -> Job:
    pieces: SimpleQueue[Piece] = SimpleQueue()
    job = Job(wanted or request(), deliver or pieces.put, pool)
    assert pool.submit(job)
    return job


def test_first_come_first_served_and_no_more_than_there_are_slots(make: Callable[..., Pool], work: Work) -> None:
    pool = make(slots=2)
    jobs = [put(pool) for _ in range(5)]
    assert [work.next(), work.next()] == jobs[:2]
    assert work.none_starts()
    assert pool.load == (2, 3)
    for job in jobs[2:]:
        work.gate.release()
        assert work.next() is job
    assert len(pool._threads) == 2


def test_threads_start_when_there_is_work(make: Callable[..., Pool], work: Work) -> None:
    pool = make(slots=4)
    assert pool._threads == []
    for _ in range(3):
        put(pool)
        work.next()
        work.gate.release()
        while pool.load != (0, 0):
            pass
    assert len(pool._threads) <= 2
    assert all(thread.daemon for thread in pool._threads)


def test_a_cancelled_job_in_the_queue_leaves_at_once(make: Callable[..., Pool], work: Work) -> None:
    pool = make(slots=1)
    first, pieces = put(pool), SimpleQueue[Piece]()
    second = put(pool, deliver=pieces.put)
    third = put(pool)
    assert work.next() is first
    second.cancel()
    assert isinstance(pieces.get(timeout=0), TransportError)
    assert second.done
    assert pool.load == (1, 1)
    second.cancel()
    assert pieces.empty()
    work.gate.release()
    assert work.next() is third


def test_a_running_job_is_told_to_stop_and_sends_nothing_more(make: Callable[..., Pool], work: Work) -> None:
    pool, pieces = make(), SimpleQueue[Piece]()
    job = put(pool, deliver=pieces.put)
    work.next()
    job.cancel()
    assert isinstance(pieces.get(timeout=WAIT), TransportError)
    assert job.stop == "over"
    assert not job.put(b"late")
    assert pieces.empty()


def test_a_job_can_be_cancelled_from_its_own_delivery(make: Callable[..., Pool], work: Work) -> None:
    pool, seen, jobs = make(), [], SimpleQueue[Job]()

    def deliver(piece: Piece) -> None:
        seen.append(piece)
        if piece == b"piece":
            jobs.get(timeout=WAIT).cancel()

    jobs.put(put(pool, deliver=deliver))
    job = work.next()
    work.gate.release()
    while not job.done:
        pass
    assert [type(piece) for piece in seen] == [bytes, TransportError]


def test_a_reader_that_raises_is_gone(make: Callable[..., Pool], work: Work) -> None:
    gone = RuntimeError("Event loop is closed")

    def deliver(piece: Piece) -> None:
        raise gone

    pool = make(slots=1)
    job, after = put(pool, deliver=deliver), put(pool)
    work.next()
    work.gate.release()
    assert work.next() is after
    assert job.error is gone
    assert job.done


def test_a_failure_of_the_work_is_the_end_of_the_answer() -> None:
    def broken(job: Job, pool: Pool) -> bool:
        raise ZeroDivisionError("inside")

    pool, pieces = Pool(broken, slots=1, capacity=100), SimpleQueue[Piece]()
    put(pool, deliver=pieces.put)
    assert isinstance(pieces.get(timeout=WAIT), ZeroDivisionError)
    put(pool, deliver=pieces.put)
    assert isinstance(pieces.get(timeout=WAIT), ZeroDivisionError)
    pool.close()


def test_closing_ends_what_runs_and_what_waits(make: Callable[..., Pool], work: Work) -> None:
    pool, pieces = make(slots=1), SimpleQueue[Piece]()
    jobs = [put(pool, deliver=pieces.put) for _ in range(3)]
    work.next()
    pool.close()
    assert all(isinstance(pieces.get(timeout=0), TransportError) for _ in jobs)
    assert all(job.done for job in jobs)
    assert not any(thread.is_alive() for thread in pool._threads)
    assert pool.closed
    assert not pool.submit(Job(request(), pieces.put, pool))


# ---- the room in the context


def test_jobs_wait_for_room(make: Callable[..., Pool], work: Work) -> None:
    pool = make(slots=8, capacity=100)
    first, second, third = (put(pool, request(prompt=30, limit=10)) for _ in range(3))
    assert [work.next(), work.next()] == [first, second]
    assert work.none_starts()
    work.gate.release()
    assert work.next() is third


def test_nobody_overtakes_a_large_job(make: Callable[..., Pool], work: Work) -> None:
    pool = make(slots=8, capacity=100)
    put(pool, request(prompt=30))
    large = put(pool, request(prompt=80))
    small = put(pool, request(prompt=10))
    work.next()
    assert work.none_starts()
    work.gate.release()
    assert work.next() is large
    work.gate.release()
    assert work.next() is small


def test_what_is_larger_than_the_context_runs_alone(make: Callable[..., Pool], work: Work) -> None:
    # llama.cpp then says how large it is.
    pool = make(slots=8, capacity=100)
    large, small = put(pool, request(prompt=5000)), put(pool, request(prompt=5))
    assert work.next() is large
    assert work.none_starts()
    work.gate.release()
    assert work.next() is small


def test_a_prompt_smaller_than_guessed_makes_room(make: Callable[..., Pool], work: Work) -> None:
    pool = make(slots=8, capacity=200)
    first = put(pool, request(prompt=150))
    others = [put(pool, request(prompt=50)) for _ in range(2)]
    work.next()
    assert work.none_starts()
    pool.learned(first, 40)
    assert [work.next(), work.next()] == others


def test_answers_count_as_slots(make: Callable[..., Pool], work: Work) -> None:
    pool = make(slots=4, capacity=10_000)
    put(pool, request(n=3))
    second = put(pool, request(n=2))
    work.next()
    assert work.none_starts()
    work.gate.release()
    assert work.next() is second


def test_a_job_to_run_alone_does(make: Callable[..., Pool], work: Work) -> None:
    pool = make(slots=4)
    first, second, third = (put(pool) for _ in range(3))
    for _ in range(3):
        work.next()
    second.alone = True
    second.stop = "again"
    assert work.none_starts()
    work.gate.release()
    work.gate.release()
    assert work.next() is second
    fourth = put(pool)
    assert work.none_starts()
    work.gate.release()
    assert work.next() is fourth
    assert first.done
    assert third.done


def need(tokens: int, **fields: Any) -> int:
    pool = Pool(lambda job, pool: False, slots=4, capacity=1000)
    job = Job(request(**fields), lambda piece: None, pool)
    job.tokens = tokens
    return job.need(250)


def test_the_need_of_a_job() -> None:
    assert need(0, prompt=10, limit=20) == 30
    assert need(15, prompt=10, limit=20) == 30
    assert need(0, prompt=10, limit=None) == 10 + HEADROOM
    assert need(40, prompt=10, limit=None) == 50 + HEADROOM
    assert need(0, prompt=10, limit=5000) == 10 + HEADROOM
    assert need(0, prompt=10, limit=20, n=3) == 70
    assert need(0, prompt=10, limit=20, whole=True) == 30
    assert need(0, prompt=10, limit=None, whole=True) == 260


def crowd(pool: Pool, work: Work, *, opened: int) -> list[Job]:
    jobs = [put(pool, request(prompt=10, limit=10)) for _ in range(3)]
    for job in jobs:
        assert work.next() is job
    for job in jobs[:opened]:
        job.put(Opening(200, "text/event-stream"))
    for job in jobs:
        job.tokens = 400
    return jobs


@pytest.mark.parametrize("opened", [0, 1, 2])
def test_when_it_gets_tight_the_youngest_unseen_job_goes_back(
    make: Callable[..., Pool], work: Work, opened: int
) -> None:
    pool = make(slots=3, capacity=1200)
    jobs = crowd(pool, work, opened=opened)
    pool.relieve()
    assert work.none_starts(), "there is no room for it yet"
    assert pool.load == (2, 1)
    work.gate.release()
    assert work.next() is jobs[2]
    assert (jobs[2].floor, jobs[2].tokens, jobs[2].stop) == (400, 0, None)


def test_when_all_have_been_seen_the_youngest_is_given_up(make: Callable[..., Pool], work: Work) -> None:
    pool = make(slots=3, capacity=1200)
    jobs = crowd(pool, work, opened=3)
    pool.relieve()
    assert [job.stop for job in jobs] == [None, None, "crowded"]


def test_there_is_nobody_to_give_way_to_when_alone_or_with_room(make: Callable[..., Pool], work: Work) -> None:
    pool = make(slots=3, capacity=4000)
    jobs = crowd(pool, work, opened=0)
    pool.relieve()
    assert [job.stop for job in jobs] == [None, None, None]
    lonely = make(slots=3, capacity=100)
    job = put(lonely)
    work.next()
    job.tokens = 500
    lonely.relieve()
    assert job.stop is None


def test_a_taken_back_job_that_was_cancelled_meanwhile_is_not_run(make: Callable[..., Pool], work: Work) -> None:
    pool = make(slots=1)
    job = put(pool)
    work.next()
    job.cancel()
    job.stop = "again"
    while pool.load != (0, 0):
        pass
    assert work.none_starts()


# ---- fork


def test_an_abandoned_pool_touches_nothing(make: Callable[..., Pool], work: Work) -> None:
    pool, pieces = make(slots=1), SimpleQueue[Piece]()
    running, waiting = put(pool, deliver=pieces.put), put(pool, deliver=pieces.put)
    work.next()
    with pool._changed:
        # As after a fork while a worker held the lock: nothing may wait for it.
        pool.abandon()
        assert pool.closed
        running.cancel()
        waiting.cancel()
        assert not pool.submit(Job(read_request(b"{}"), pieces.put, pool))
    assert pieces.empty()
    running.end()
