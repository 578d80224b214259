"""What all works share: how a run is made, live workers, and watching how busy the server is."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from harness.peers import PEERS
from harness.processes import CLIENT_CPU, SERVER_CPU, Server, Worker, WorkerError, processor_seconds
from harness.rows import Outcome, Row, Slot, Taken, alternate


@dataclass
class Bench:
    """How a run is made. `slot` is the CPU time, in seconds, that one measurement aims at."""

    server: Server
    subject: str | None
    peers: list[str]
    rounds: int = 7
    quick: bool = False
    slot: float = 0.25
    errors: IO[bytes] | None = None

    @property
    def everyone(self) -> list[str]:
        return [
            *([self.subject] if self.subject else []),
            *(name for name in self.peers if name != self.subject),
        ]

    def scaled(self, many: int, few: int) -> int:
        return few if self.quick else many


class Shares:
    """How busy the server was, at most, beside each client (near 1 it is what is measured), and how much of the two
    processors went, in each slot, to programs that are no part of the benchmark."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.most: dict[str, float] = {}
        self.strangers: list[tuple[float, float]] = []

    def strange_seconds(self, worker: Worker) -> tuple[float, float]:
        here = self.server.cpu() + time.process_time()
        return processor_seconds(CLIENT_CPU) - worker.cpu(), processor_seconds(SERVER_CPU) - here

    @contextlib.contextmanager
    def watch(self, worker: Worker) -> Iterator[None]:
        before, strange = self.server.stats(), self.strange_seconds(worker)
        yield
        after, strange_then = self.server.stats(), self.strange_seconds(worker)
        elapsed = after["now"] - before["now"]
        name = worker.peer.name
        self.most[name] = max(self.most.get(name, 0), (after["cpu"] - before["cpu"]) / elapsed)
        by_client, by_server = (max(0.0, b - a) / elapsed for a, b in zip(strange, strange_then, strict=True))
        self.strangers.append((by_client, by_server))

    def note(self, outcome: Outcome) -> None:
        outcome.server_share = self.most
        if self.strangers:
            outcome.strangers = [statistics.median(shares) for shares in zip(*self.strangers, strict=True)]


@contextlib.contextmanager
def workers(
    bench: Bench, path: str, methods: tuple[str, ...], outcome: Outcome, names: list[str] | None = None
) -> Iterator[dict[str, Worker]]:
    """A live worker for each client that has one of the methods; who fails is noted and left out."""
    running: dict[str, Worker] = {}
    try:
        for name in names if names is not None else bench.everyone:
            try:
                worker = Worker(PEERS[name], bench.server.url(path), [CLIENT_CPU], bench.errors)
            except WorkerError as error:
                outcome.failures[name] = error.last_line
                continue
            if any(method in worker.methods for method in methods):
                running[name] = worker
            else:
                worker.close()
        yield running
    finally:
        for worker in running.values():
            worker.close()


def without_failed(
    bench: Bench, running: dict[str, Worker], outcome: Outcome, warm: Callable[[str], object]
) -> tuple[str | None, list[str]]:
    """Warm each client up; returns the subject (None if it is not able) and the others that are."""
    able: list[str] = []
    for name in running:
        try:
            warm(name)
            able.append(name)
        except WorkerError as error:
            outcome.failures[name] = error.last_line
    subject = bench.subject if bench.subject in able else None
    return subject, [name for name in able if name != subject]


def checked(answer: dict[str, Any], expected: object) -> dict[str, Any]:
    if answer["result"] != expected:
        raise WorkerError(f"wrong result: {answer['result']!r} instead of {expected!r}")
    return answer


def alternate_able(bench: Bench, outcome: Outcome, able: list[str], slot: Slot) -> Taken:
    subject = bench.subject if bench.subject in able else None
    return alternate(outcome, subject, [name for name in able if name != subject], bench.rounds, slot)


def note(outcome: Outcome, row: Row, peer: str, measure: Callable[[], float]) -> None:
    """Put what is measured once into the row, or the reason why it was not among the failures."""
    try:
        row.values[peer] = measure()
    except WorkerError as error:
        outcome.failures[peer] = f"{row.title}: {error.last_line}"
