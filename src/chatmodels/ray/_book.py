"""What the driver of a batch knows of its shards: which have ended, and what came of them. One SQLite file, held by one driver.

Knows no cluster.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from .._errors import UsageError
from .._json import encode
from ..batch._journal import Ended, Journal
from ..batch._tally import KEPT, Tally
from ._worker import Now, ShardEnd, mark_of


class Counts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A shard that has ended, in numbers; `tokens` and `spent` are what all its calls took, failed tries among them."""

    items: int
    digest: str
    done: int = 0
    failed: int = 0
    cut: int = 0
    coalesced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    errors: dict[str, int] = {}
    tokens: int = 0
    spent: float = 0.0
    #: What the cost leaves out, because it has no price.
    omits: tuple[str, ...] = ()


class Settled(msgspec.Struct, frozen=True):
    """What must stay the same for a folder to go on. By `id` a worker knows that it sees the same folder as the driver."""

    shard_size: int
    version: int = 1
    id: str = ""


class Book:
    """Opened, and held until `close`. A second driver is refused."""

    def __init__(self, folder: Path, label: str, fingerprint: str) -> None:
        self.folder = folder
        _make(folder)
        self._journal = Journal(folder / "batch.sqlite", label, fingerprint)
        self.counts: dict[int, Counts] = {}
        try:
            for number in list(self._journal.ended()):
                found = self._journal.begin(number, _key(number))
                if found is not None:
                    self.counts[number] = msgspec.json.decode(found.line, type=Counts)
        except BaseException:
            self.close()
            raise

    def shard_size(self, asked: int | None, made: int) -> int:
        """What the folder was begun with, else `asked`, else `made`. Another one than it was begun with is a UsageError."""
        path = mark_of(self.folder)
        if path.exists():
            before = msgspec.json.decode(path.read_bytes(), type=Settled).shard_size
            if asked is not None and asked != before:
                raise UsageError(
                    f"{self.folder} was begun with shard_size={before}: give the same, or none, to go on with it",
                    argument="shard_size",
                )
            return before
        beside = path.with_suffix(".new")
        beside.write_bytes(encode(Settled(asked or made, id=os.urandom(8).hex())))
        beside.replace(path)
        return asked or made

    @property
    def mark(self) -> bytes:
        """What only this folder has in it, from `shard_size` on."""
        return mark_of(self.folder).read_bytes()

    def end(self, number: int, counts: Counts) -> None:
        """The shard has ended, and every item of it has its line."""
        with self._journal.transaction():
            if not self._journal.has(number):
                self._journal.begin(number, _key(number))
            self._journal.write([Ended(number, encode(counts), True)])
        self.counts[number] = counts

    def close(self) -> None:
        """Let another driver have it."""
        self._journal.close()


def counts_of(tally: Tally, items: int, digest: str, end: ShardEnd) -> Counts:
    """The numbers of a shard that has just ended."""
    return Counts(
        items=items, digest=digest, done=tally.done, failed=tally.failed, cut=tally.cut, coalesced=tally.coalesced,
        input_tokens=tally.input_tokens, output_tokens=tally.output_tokens, cost=tally.cost, errors=tally.errors,
        tokens=end.tokens, spent=end.cost, omits=end.omits,
    )  # fmt: skip


def _key(number: int) -> bytes:
    return b"shard %d" % number


def _make(folder: Path) -> None:
    if not folder.parent.is_dir():
        raise UsageError(f"{folder}: there is no folder {folder.parent}; make it first", argument="journal")
    if folder.is_file():
        raise UsageError(
            f"{folder} is a file: the journal of a batch on one machine, perhaps. On Ray a journal is a folder: go on without "
            "engine=, or give another journal (and output)",
            argument="journal",
        )
    if folder.is_dir() and not (folder / "batch.sqlite").exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} holds other files, and no journal: name another", argument="journal")
    folder.mkdir(exist_ok=True)


# ---- tallies


def add_counts(into: Tally, counts: Counts) -> None:
    """A shard of an earlier run."""
    into.done += counts.done
    into.failed += counts.failed
    into.cut += counts.cut
    into.coalesced += counts.coalesced
    into.reused += counts.done + counts.failed - counts.coalesced
    into.input_tokens += counts.input_tokens
    into.output_tokens += counts.output_tokens
    into.cost = _sum(into.cost, counts.cost)
    _add_errors(into, counts.errors)


def add_tally(into: Tally, other: Tally) -> None:
    """A shard of this run, with all that a report shows."""
    for name in (
        "done",
        "failed",
        "cut",
        "reused",
        "coalesced",
        "called",
        "input_tokens",
        "output_tokens",
        "new_tokens",
    ):
        setattr(into, name, getattr(into, name) + getattr(other, name))
    into.cost = _sum(into.cost, other.cost)
    _add_errors(into, other.errors)
    for mine, more in ((into.seconds, other.seconds), (into.tokens, other.tokens), (into.costs, other.costs)):
        mine.count += more.count
        mine.total += more.total
        mine.largest = max(mine.largest, more.largest)
        for at, count in more.bins.items():
            mine.bins[at] = mine.bins.get(at, 0) + count
    into.failures = [*into.failures, *other.failures][:KEPT]
    into.slowest = sorted([*into.slowest, *other.slowest], key=_slowness)[-KEPT:]


def add_so_far(into: Tally, some: Tally | Now) -> None:
    """For the progress alone: what a shard that has not ended has come to."""
    for name in ("done", "failed", "reused", "new_tokens", "in_flight"):
        setattr(into, name, getattr(into, name) + getattr(some, name))
    into.cost = _sum(into.cost, some.cost)


def _slowness(one: tuple[float, int, Any]) -> tuple[float, int]:
    return one[0], one[1]


def _sum(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else a + b


def _add_errors(into: Tally, errors: dict[str, int]) -> None:
    for kind, count in errors.items():
        into.errors[kind] = into.errors.get(kind, 0) + count
