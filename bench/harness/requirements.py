"""What must be reached: the floors of the project's own table, as data, and the judgement of a row."""

from __future__ import annotations

from dataclasses import dataclass

from harness.rows import Row


@dataclass(frozen=True)
class Must:
    """`against` a peer it bounds the ratio, without one our own value; `least` turns the bound around."""

    row: str
    limit: float
    against: str | None = None
    least: bool = False


MUSTS = (
    Must("import", 0.12, "openai"),
    Must("import", 0.05, "langchain"),
    Must("import-loads", 0),
    Must("first-answer", 0.4, "openai"),
    Must("call-sync", 0.40, "openai"),
    Must("call-sync", 1.3, "urllib3"),
    Must("call-async", 0.22, "openai"),
    Must("call-async", 1.4, "aiohttp"),
    Must("chunk-sync", 0.05, "openai"),
    Must("chunk-sync", 2.2, "urllib3"),
    Must("chunk-async", 0.05, "openai"),
    Must("chunk-async", 2.2, "aiohttp"),
    Must("in-flight", 0.12, "openai"),
    Must("in-flight", 1.5, "aiohttp"),
    Must("streams-wall", 0.08, "openai"),
    Must("streams-peak", 0.8, "openai"),
    Must("batch-rate", 0.85, least=True),
    Must("batch-threads", 8),
    Must("long-sync-time", 1.2),
    Must("long-sync-memory", 200),
    Must("long-async-time", 1.2),
    Must("long-async-memory", 200),
    Must("reuse-read_stream", 1),
    Must("reuse-aread_stream", 1),
    Must("leave-leave_stream", 100),
    Must("leave-aleave_stream", 100),
    Must("leave-cancel", 100),
    Must("local-load", 2),
    Must("local-memory", 400),
    # Two runs of the very same engine differ by some percent: a tie counts as reached.
    Must("local-single", 0.97, "xllamacpp", least=True),
    Must("local-eight", 0.97, "xllamacpp", least=True),
)


@dataclass(frozen=True)
class Verdict:
    """A requirement beside what was measured; `passed` is None where one of the two sides is missing."""

    must: Must
    measured: float | None
    passed: bool | None


def judge(must: Must, row: Row | None, subject: str) -> Verdict:
    measured = None
    if row is not None:
        if must.against is None:
            measured = row.values.get(subject)
        elif must.against in row.ratios:
            measured = row.ratios[must.against].median
    if measured is None:
        return Verdict(must, None, None)
    return Verdict(must, measured, measured >= must.limit if must.least else measured <= must.limit)
