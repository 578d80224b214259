"""What was measured, as data: one row per quantity, medians by peer, and ratios taken side by side."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.processes import WorkerError

Sample = dict[str, float]


@dataclass
class Ratio:
    """The median of the ratios of single rounds, with the least and the greatest of them."""

    median: float
    low: float
    high: float


@dataclass
class Row:
    """One quantity. `values` are medians by peer; `ratios` are subject / peer of neighbouring slots."""

    name: str
    work: str
    title: str
    unit: str
    values: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, Ratio] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Row:
        ratios = {peer: Ratio(**ratio) for peer, ratio in data["ratios"].items()}
        return cls(**{**data, "ratios": ratios})


@dataclass
class Outcome:
    """What a work gave: its rows, who could not do it and why, how busy the server was with each.

    `strangers` are the shares of the clients' and of the server's processor that other programs took (medians).
    """

    rows: list[Row]
    failures: dict[str, str] = field(default_factory=dict)
    server_share: dict[str, float] = field(default_factory=dict)
    strangers: list[float] = field(default_factory=list)


@dataclass
class Taken:
    """What a work took: all samples by peer, and the neighbouring (subject, other) pairs by the other."""

    samples: dict[str, list[Sample]]
    pairs: dict[str, list[tuple[Sample, Sample]]]


Slot = Callable[[str, int], Sample]


def alternate(outcome: Outcome, subject: str | None, others: list[str], rounds: int, slot: Slot) -> Taken:
    """Run slots in turn, A B A B, the subject beside each of the others.

    Who is first of two changes from round to round. `slot` is given the peer and the number of the round.
    Who fails in the middle is left out from then on, and the failure noted in the outcome.
    """
    taken = Taken({name: [] for name in others}, {name: [] for name in others})
    if subject is not None:
        taken.samples[subject] = []

    def run(names: list[str], number: int) -> list[Sample]:
        """The samples of a pair, or of one; fewer if somebody failed."""
        got = []
        for name in names:
            if name in outcome.failures:
                return []
            try:
                got.append(slot(name, number))
            except WorkerError as error:
                outcome.failures[name] = error.last_line
                return []
            taken.samples[name].append(got[-1])
        return got

    for number in range(rounds):
        if subject is not None and not others:
            run([subject], number)
        for other in others:
            if subject is None or subject in outcome.failures:
                run([other], number)
            elif number % 2 == 0:
                if len(pair := run([subject, other], number)) == 2:
                    taken.pairs[other].append((pair[0], pair[1]))
            elif len(pair := run([other, subject], number)) == 2:
                taken.pairs[other].append((pair[1], pair[0]))
    return taken


def fill(row: Row, metric: str, taken: Taken) -> None:
    """Put the medians and ratios of one of the metrics in the samples into the row."""
    for peer, samples in taken.samples.items():
        if samples:
            row.values[peer] = statistics.median(sample[metric] for sample in samples)
    for peer, pairs in taken.pairs.items():
        ratios = [ours[metric] / theirs[metric] for ours, theirs in pairs if theirs[metric] > 0]
        if ratios:
            row.ratios[peer] = Ratio(statistics.median(ratios), min(ratios), max(ratios))
