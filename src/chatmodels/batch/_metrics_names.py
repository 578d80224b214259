"""The metrics of a batch: their names, kinds, units and labels, and what somebody who keeps them must be able to do. Data only."""

from __future__ import annotations

from typing import Protocol

import msgspec

#: Bounds of the histogram of seconds: those that the GenAI conventions give for durations, and two more for slow hosts.
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68)


class Family(msgspec.Struct, frozen=True):
    """One metric: its kind, its unit by OpenTelemetry, what it says, its labels (Prometheus' name -> OpenTelemetry's)."""

    kind: str
    unit: str
    told: str
    labels: dict[str, str] = {}
    suffix: str = ""

    def prometheus(self, name: str) -> str:
        """`chatmodels_batch_items_total`"""
        return f"chatmodels_batch_{name}{self.suffix}"


COMMON = {"provider": "gen_ai.provider.name", "model": "gen_ai.request.model"}
FAMILIES = {
    "items": Family(
        "counter", "{item}", "Items that have ended: done, failed (error_type says how), reused (from an earlier run).",
        {"outcome": "chatmodels.batch.outcome", "error_type": "error.type"}, "_total",
    ),
    "tokens": Family("counter", "{token}", "Tokens of this run's answers.", {"type": "gen_ai.token.type"}, "_total"),
    "cost": Family("counter", "USD", "US dollars of this run's answers, where a price is known.", {}, "_dollars_total"),
    "in_flight": Family("gauge", "{call}", "Calls on their way."),
    "concurrency_limit": Family("gauge", "{call}", "Calls that may be on their way now; less while the provider refuses."),
    "queued": Family("gauge", "{item}", "Items that are read and wait for their call."),
    "expected": Family("gauge", "{item}", "Items that the input has, where that is known.", {}, "_items"),
    "call_duration": Family("histogram", "s", "Seconds from sending an item to its end, tries and waits included.", {}, "_seconds"),
}  # fmt: skip


class Sink(Protocol):
    """Who keeps the numbers. `add` takes what came on top, of gauges too; it may be called from one thread while another reads."""

    #: Seconds between two of `flush`.
    every: float

    def start(self, labels: dict[str, str]) -> None: ...
    def add(self, name: str, by: float, labels: dict[str, str]) -> None: ...
    def observe(self, seconds: list[float]) -> None: ...
    def flush(self) -> None: ...
    def end(self) -> None: ...
