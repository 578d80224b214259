"""The works in live processes over a socket: calls, bursts, many at once, batches, long streams.

Each work is a function from the bench (the server, who takes part, how often) to an `Outcome`, and names its
rows, which `requirements.py` refers to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server import ANSWER, text_of

from harness.bench import Bench, Shares, checked, without_failed, workers
from harness.processes import Worker
from harness.rows import Outcome, Row, Sample, alternate, fill


@dataclass(frozen=True)
class Burst:
    """A work that is repeated until its CPU time is long enough to be measured: calls, or whole streams."""

    name: str
    title: str
    path: str
    method: str
    expected: object
    per: int = 1
    at_once: int = 0

    def command(self, count: int) -> dict[str, Any]:
        if self.at_once:
            return {"do": "together", "method": self.method, "count": self.at_once}
        return {"do": "repeat", "method": self.method, "count": count}

    def run(self, bench: Bench) -> Outcome:
        row = Row(self.name, self.name, self.title, "us")
        outcome, shares, counts = Outcome([row]), Shares(bench.server), dict[str, int]()

        with workers(bench, self.path, (self.method,), outcome) as running:

            def once(name: str, count: int) -> float:
                """CPU seconds of `count` goes."""
                times = count if self.at_once else 1
                answers = [checked(running[name].ask(self.command(count)), self.expected) for _ in range(times)]
                return float(sum(answer["cpu"] for answer in answers))

            def warm(name: str) -> None:
                few = 2 if self.per > 1 else 1 if self.at_once else 20
                once(name, few)
                counts[name] = max(1, min(5000, round(bench.slot / (once(name, few) / few))))

            def slot(name: str, _: int) -> Sample:
                with shares.watch(running[name]):
                    cpu = once(name, counts[name])
                return {"each": cpu / counts[name] / self.per / max(self.at_once, 1) * 1e6}

            subject, others = without_failed(bench, running, outcome, warm)
            taken = alternate(outcome, subject, others, bench.rounds, slot)
        fill(row, "each", taken)
        shares.note(outcome)
        return outcome


def burst_of_chunks(world: str, method: str) -> Burst:
    title = f"a chunk of a 1,000-chunk burst, {world}"
    return Burst(f"chunk-{world}", title, "sse/1000/0", method, len(text_of(1000)), per=1000)


def streams(bench: Bench) -> Outcome:
    """Many streams at once in one event loop: the wall, and the most memory that the process ever held."""
    count, chunks = bench.scaled(1000, 200), 50
    name = f"{count:,} concurrent streams of {chunks} chunks"
    wall = Row("streams-wall", "streams", f"{name}, wall", "s")
    peak = Row("streams-peak", "streams", f"{name}, peak memory", "MB")
    cpu = Row("streams-cpu", "streams", f"{name}, CPU", "s")
    outcome, shares = Outcome([wall, peak, cpu]), Shares(bench.server)

    with workers(bench, f"sse/{chunks}/0", ("aread_stream",), outcome) as running:

        def go(peer: str, streams: int) -> dict[str, Any]:
            command = {"do": "together", "method": "aread_stream", "count": streams}
            return checked(running[peer].ask(command), len(text_of(chunks)))

        def slot(peer: str, _: int) -> Sample:
            with shares.watch(running[peer]):
                answer = go(peer, count)
            return {"wall": answer["wall"], "peak": answer["peak"] / 1e6, "cpu": answer["cpu"]}

        subject, others = without_failed(bench, running, outcome, lambda peer: go(peer, 20))
        taken = alternate(outcome, subject, others, min(bench.rounds, 3), slot)
    fill(wall, "wall", taken)
    fill(peak, "peak", taken)
    fill(cpu, "cpu", taken)
    shares.note(outcome)
    return outcome


def batch(bench: Bench) -> Outcome:
    """Many 50 ms calls from synchronous code, 100 in flight: how near the ideal rate, on how many threads."""
    count, concurrency, delay = bench.scaled(1000, 400), 100, 0.05
    ideal = concurrency / delay
    rate = Row(
        "batch-rate",
        "batch",
        f"batch of {count:,} calls of 50 ms, 100 in flight: share of {ideal:,.0f} calls/s",
        "",
    )
    threads = Row("batch-threads", "batch", "the same, threads of the process", "")
    cpu = Row("batch-cpu", "batch", "the same, CPU per call", "us")
    outcome, shares = Outcome([rate, threads, cpu]), Shares(bench.server)

    with workers(bench, "json/50", ("batch",), outcome) as running:

        def go(peer: str, calls: int) -> tuple[dict[str, Any], int]:
            command = {"do": "repeat", "method": "batch", "count": 1, "arguments": [calls, concurrency]}
            answer, most = running[peer].ask_and_count_threads(command)
            return checked(answer, calls), most

        def slot(peer: str, _: int) -> Sample:
            with shares.watch(running[peer]):
                answer, most = go(peer, count)
            return {
                "rate": count / answer["wall"] / ideal,
                "threads": most,
                "cpu": answer["cpu"] / count * 1e6,
            }

        subject, others = without_failed(bench, running, outcome, lambda peer: go(peer, 2 * concurrency))
        taken = alternate(outcome, subject, others, min(bench.rounds, 5), slot)
    fill(rate, "rate", taken)
    fill(threads, "threads", taken)
    fill(cpu, "cpu", taken)
    shares.note(outcome)
    return outcome


def long_stream(bench: Bench) -> Outcome:
    """A stream ten times as long as another: the CPU time of a chunk, and the memory of each more."""
    outcome = Outcome([])
    # The others keep each chunk too, and would take minutes to say so again.
    names = [name for name in bench.everyone if name in {bench.subject, "openai", "urllib3", "aiohttp", "raw"}]
    for world, methods in (
        ("sync", ("fold_stream", "read_stream")),
        ("async", ("afold_stream", "aread_stream")),
    ):
        long_stream_in(bench, world, methods, names, outcome)
    return outcome


def long_stream_in(bench: Bench, world: str, methods: tuple[str, ...], names: list[str], outcome: Outcome) -> None:
    long = bench.scaled(100_000, 20_000)
    short, path = long // 10, "sse/{}/0"
    title = f"a stream of {long:,} chunks, {world}"
    time_row = Row(f"long-{world}-time", "long", f"{title}: time of a chunk, over that of one of {short:,}", "")
    memory_row = Row(f"long-{world}-memory", "long", f"{title}: peak memory for each more chunk", "B")
    outcome.rows += [time_row, memory_row]
    with (
        workers(bench, path.format(short), methods, outcome, names) as shorts,
        workers(bench, path.format(long), methods, outcome, list(shorts)) as longs,
    ):

        def go(worker: Worker, chunks: int, count: int) -> dict[str, Any]:
            method = next(method for method in methods if method in worker.methods)
            command = {"do": "repeat", "method": method, "count": count}
            return checked(worker.ask(command), len(text_of(chunks)))

        def slot(peer: str, _: int) -> Sample:
            few, many = go(shorts[peer], short, 10), go(longs[peer], long, 1)
            growth = [answer["peak"] - answer["before"] for answer in (few, many)]
            return {
                "time": many["cpu"] / few["cpu"],
                "memory": max(0, growth[1] - growth[0]) / (long - short),
            }

        # The first slot is the one that counts for memory: what was grown once is not given back.
        first: dict[str, float] = {}

        def warm(peer: str) -> None:
            first[peer] = slot(peer, 0)["memory"]

        subject, others = without_failed(bench, longs, outcome, warm)
        taken = alternate(outcome, subject, others, min(bench.rounds, 3), slot)
    fill(time_row, "time", taken)
    for peer, samples in taken.samples.items():
        memory_row.values[peer] = max([first[peer], *(sample["memory"] for sample in samples)])


BURSTS = (
    Burst("call-sync", "one plain call, sync", "json/0", "call", ANSWER),
    Burst("call-async", "one plain call, async", "json/0", "acall", ANSWER),
    burst_of_chunks("sync", "read_stream"),
    burst_of_chunks("async", "aread_stream"),
    Burst("in-flight", "200 calls in flight, 50 ms server, each", "json/50", "acall", ANSWER, at_once=200),
)
