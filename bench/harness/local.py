"""The works of the embedded model: ours against the engine called directly. No server, all processors."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from harness.bench import Bench
from harness.peers import OURS, OURS_LOCAL, XLLAMACPP, Peer
from harness.processes import ALL_CPUS, Worker, WorkerError, processor_seconds
from harness.rows import Outcome, Row, Sample, alternate, fill

TOGETHER = 8


def local(bench: Bench) -> Outcome:
    """Tokens per second of one answer and of eight at once; the time and the memory of loading the model."""
    rows = {
        "load": Row("local-load", "local", "embedded model: to the first token, in a running process", "s"),
        "memory": Row("local-memory", "local", "embedded model: memory of the process then", "MB"),
        "single": Row("local-single", "local", "embedded model, one answer", "tokens/s"),
        "eight": Row("local-eight", "local", f"embedded model, {TOGETHER} answers at once", "tokens/s"),
    }
    outcome = Outcome(list(rows.values()))
    # The row's column of ours is the subject's, so our adapter for the local model goes by that name here.
    contestants: dict[str, Peer] = {XLLAMACPP.name: XLLAMACPP}
    if bench.subject == OURS.name:
        contestants[OURS.name] = OURS_LOCAL
    running: dict[str, Worker] = {}
    try:
        for name, peer in contestants.items():
            try:
                loads = [first_token(bench, peer) for _ in range(bench.scaled(3, 1))]
                # The least: anything else that ran on the machine can only have added to it.
                rows["load"].values[name] = min(load["wall"] for load in loads)
                rows["memory"].values[name] = min(load["peak"] for load in loads) / 1e6
                running[name] = Worker(peer, "", ALL_CPUS, bench.errors)
                tokens(running[name], 1)
                ask_eight(running[name], 4)
            except WorkerError as error:
                outcome.failures[name] = error.last_line
        measure(bench, running, rows, outcome)
    finally:
        for worker in running.values():
            worker.close()
    return outcome


def first_token(bench: Bench, peer: Peer) -> dict[str, Any]:
    """Load the model in a fresh worker and ask for one token."""
    worker = Worker(peer, "", ALL_CPUS, bench.errors)
    try:
        return tokens(worker, 1)
    finally:
        worker.close()


def tokens(worker: Worker, most: int, number: int = 0) -> dict[str, Any]:
    return worker.ask({"do": "repeat", "method": "tokens", "count": 1, "arguments": [most, number]})


def ask_eight(worker: Worker, most: int) -> dict[str, Any]:
    return worker.ask({"do": "repeat", "method": "tokens_together", "count": 1, "arguments": [most, TOGETHER]})


def measure(bench: Bench, running: dict[str, Worker], rows: dict[str, Row], outcome: Outcome) -> None:
    single, eight = bench.scaled(256, 48), bench.scaled(64, 16)
    strangers: list[float] = []

    def rate(name: str, ask: Callable[[Worker], dict[str, Any]]) -> Sample:
        worker, start = running[name], time.monotonic()
        strange = strange_seconds(worker)
        answer = ask(worker)
        elapsed = time.monotonic() - start
        strangers.append(max(0.0, strange_seconds(worker) - strange) / elapsed / len(ALL_CPUS))
        return {"rate": answer["result"] / answer["wall"]}

    def one(name: str, number: int) -> Sample:
        # Both get the same new prompt in a round: nobody's prompt cache helps.
        return rate(name, lambda worker: tokens(worker, single, number + 100))

    def many(name: str, _: int) -> Sample:
        return rate(name, lambda worker: ask_eight(worker, eight))

    able = [name for name in running if name not in outcome.failures]
    subject = OURS.name if OURS.name in able else None
    others = [name for name in able if name != subject]
    fill(rows["single"], "rate", alternate(outcome, subject, others, bench.rounds, one))
    fill(rows["eight"], "rate", alternate(outcome, subject, others, bench.rounds, many))
    if strangers:
        outcome.strangers = [statistics.median(strangers)] * 2


def strange_seconds(worker: Worker) -> float:
    """What all processors have spent on anything but this worker."""
    return sum(processor_seconds(cpu) for cpu in ALL_CPUS) - worker.cpu()
