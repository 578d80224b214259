"""What becomes of the connections: whether they are used again, and how soon a left stream is closed."""

from __future__ import annotations

import functools
import statistics
import time
from typing import Any

from server import ANSWER, text_of

from harness.bench import Bench, checked, note, workers
from harness.processes import Worker
from harness.rows import Outcome, Row

NEVER = float("inf")


def reuse(bench: Bench) -> Outcome:
    """How many connections the server saw for twenty goes, one after the other."""
    goes = 20
    kinds = {
        "read_stream": ("sse/10/0", "streams, sync", len(text_of(10))),
        "aread_stream": ("sse/10/0", "streams, async", len(text_of(10))),
        "call": ("json/0", "calls, sync", ANSWER),
        "acall": ("json/0", "calls, async", ANSWER),
    }
    rows = {
        method: Row(f"reuse-{method}", "reuse", f"connections for {goes} {title}", "")
        for method, (_, title, _) in kinds.items()
    }
    outcome = Outcome(list(rows.values()))

    def count(worker: Worker, method: str) -> float:
        path, _, expected = kinds[method]
        worker.open(bench.server.url(path))
        before = bench.server.stats()["accepted"]
        checked(worker.ask({"do": "repeat", "method": method, "count": goes}), expected)
        return float(bench.server.stats()["accepted"] - before)

    with workers(bench, "json/0", tuple(kinds), outcome) as running:
        for name, worker in running.items():
            for method in [method for method in kinds if method in worker.methods]:
                note(outcome, rows[method], name, functools.partial(count, worker, method))
    return outcome


def leaving(bench: Bench) -> Outcome:
    """How long the server waits for the end of a stream that was left, or whose task was cancelled."""
    kinds: dict[str, tuple[str, str, dict[str, Any]]] = {
        "leave_stream": ("leave_stream", "left with `break`, sync", {"do": "leave", "chunks": 5}),
        "aleave_stream": ("aleave_stream", "left with `break`, async", {"do": "leave", "chunks": 5}),
        "cancel": ("aread_stream", "whose task is cancelled", {"do": "cancel", "seconds": 0.3}),
    }
    rows = {
        kind: Row(f"leave-{kind}", "leaving", f"a stream {title}: closed after", "ms")
        for kind, (_, title, _) in kinds.items()
    }
    outcome = Outcome(list(rows.values()))

    def median_closing(worker: Worker, kind: str) -> float:
        method, _, command = kinds[kind]
        worker.open(bench.server.url("hang/20"))
        goes = bench.scaled(5, 2)
        closing(bench, worker, {**command, "method": method}, patience=0.1)  # what is loaded late is loaded now
        times = [closing(bench, worker, {**command, "method": method}) for _ in range(goes)]
        return statistics.median(times) * 1e3

    with workers(bench, "hang/20", tuple(method for method, _, _ in kinds.values()), outcome) as running:
        for name, worker in running.items():
            for kind in [kind for kind, (method, _, _) in kinds.items() if method in worker.methods]:
                note(outcome, rows[kind], name, functools.partial(median_closing, worker, kind))
    return outcome


def closing(bench: Bench, worker: Worker, command: dict[str, Any], patience: float = 2) -> float:
    """Seconds from the leaving to the server's seeing it (`NEVER` if it does not)."""
    left = float(worker.ask(command, timeout=30)["when"])
    end = time.monotonic() + patience
    while time.monotonic() < end:
        stats = bench.server.stats()
        for number, closed in stats["closings"]:
            if number == stats["hangs"]:  # an earlier one may well be closed late
                return max(0.0, float(closed) - left)
        time.sleep(0.02)
    return NEVER
