"""What a batch costs, beside the same work through other libraries: a file of prompts in, a file of answers out.

    python bench/setup_envs.py                # once: the environments of the peers (with `ray`)
    python bench/batch.py --quick             # two minutes: is everything there?
    python bench/batch.py                     # thirteen minutes; writes bench/results/batch.json and prints Markdown
    python bench/batch.py --items 100000 --instant --rounds 1 --only ours openai_gather   # as many for all; five minutes
    python bench/batch.py --million           # ours alone, 10^3 to 10^6 items: is memory flat? Five minutes

Each run is a process of its own in its own environment, pinned to one processor; the server has the other one (Ray has both).
Rounds take turns; medians. A peer is given fewer items where 100,000 would take it minutes: rates do not depend on it, memory does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from batchers.files import write_source
from setup_envs import env_python, make

BENCH = Path(__file__).resolve().parent
RESULTS = BENCH / "results" / "batch.json"
BODY = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "J'aime programmer."}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 28, "completion_tokens": 6, "total_tokens": 34},
    }
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Who(NamedTuple):
    """A way to do the work: its module, its environment, and how many items it is given of an instant and of a slow server."""

    module: str
    env: str
    told: str
    instant: int
    slow: int


ALL = (
    Who("raw", "ours", "raw sockets, nothing read (the ceiling)", 100_000, 20_000),
    Who("ours", "ours", "chatmodels `run_batch`, journalled", 100_000, 20_000),
    Who("ours_no_journal", "ours", "chatmodels `run_batch`, no journal", 100_000, 20_000),
    Who("openai_gather", "openai", "`asyncio.gather` over the openai SDK", 5_000, 3_000),
    Who("openai_plain_gather", "openai", "the same without a semaphore", 5_000, 3_000),
    Who("langchain_batch", "langchain", "LangChain `batch` (threads)", 3_000, 3_000),
    Who("langchain_abatch", "langchain", "LangChain `abatch`", 2_000, 2_000),
    Who("litellm_batch", "litellm", "LiteLLM `batch_completion` (threads)", 1_500, 1_500),
    Who("litellm_gather", "litellm", "LiteLLM `acompletion`, gathered", 1_500, 1_500),
    Who("ray_data", "ray", "Ray Data `map_batches` over the openai SDK", 5_000, 3_000),
)


class Server(asyncio.Protocol):
    """Answers each request with the same bytes, at once or after a while."""

    def __init__(self, after: float) -> None:
        self.after, self.data = after, b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, found, body = self.data.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().index(b"content-length:") + 15
        if len(body) < int(head[at:].split(b"\r\n")[0]):
            return
        self.data = b""
        if self.after:
            asyncio.get_running_loop().call_later(self.after, self.transport.write, ANSWER)
        else:
            self.transport.write(ANSWER)


def serve(after: float, port: Any) -> None:
    pinned(-1)

    async def go() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Server(after), "127.0.0.1", 0, backlog=2048)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(go())


def pinned(which: int) -> None:
    """This process on one processor: the first (0) or the last (-1) of those it may use."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[which]})


def started(after: float) -> tuple[Any, str]:
    port: Any = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(after, port), daemon=True)
    server.start()
    return server, f"http://127.0.0.1:{port.get()}/v1"


def run(who: Who, url: str, count: int, concurrency: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.jsonl", Path(folder) / "out.jsonl"
        write_source(source, count)
        words = [str(env_python(who.env)), str(BENCH / "batchers" / "measure.py"), who.module, url]
        done = subprocess.run(
            [*words, str(source), str(out), str(concurrency)], capture_output=True, text=True, check=False,
            preexec_fn=None if who.module == "ray_data" else lambda: pinned(0), cwd=folder,
            env={**os.environ, "no_proxy": "*", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONPATH": str(BENCH)},
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
        return found | {"items": count, "rate": count / found["seconds"]}


def part(
    after: float, ways: tuple[Who, ...], concurrency: int, rounds: int, share: float, items: int | None
) -> dict[str, dict[str, float]]:
    """Every way, in turns; medians."""
    server, url = started(after)
    found: dict[str, list[dict[str, float]]] = {who.module: [] for who in ways}
    for number in range(rounds):
        for who in ways if number % 2 == 0 else ways[::-1]:
            began = time.monotonic()
            try:
                count = items or max(200, int((who.slow if after else who.instant) * share))
                one = run(who, url, count, concurrency)
            except RuntimeError as error:
                print(f"round {number + 1}: {who.told} failed: {error}", file=sys.stderr, flush=True)
                continue
            found[who.module].append(one)
            told = f"{one['rate']:,.0f} items/s, {time.monotonic() - began:.0f} s"
            print(f"round {number + 1}, {after * 1000:.0f} ms: {who.told}: {told}", file=sys.stderr, flush=True)
    server.terminate()
    return {name: {k: statistics.median(r[k] for r in runs) for k in runs[0]} for name, runs in found.items() if runs}


def table(found: dict[str, dict[str, float]], after: float, concurrency: int) -> str:
    """The figures as Markdown."""
    kind = f"takes {after * 1000:.0f} ms" if after else "answers at once"
    lines = [f"A server that {kind}; {concurrency} in flight:", ""]
    lines += [
        "| | items | items/s | CPU an item | peak memory | of the ideal |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for who in ALL:
        if who.module not in found:
            continue
        one = found[who.module]
        ideal = f"{one['items'] * after / concurrency / one['seconds']:.2f}" if after else "-"
        ray = who.module == "ray_data"  # its own processes are many
        cpu, peak = ("-", "-") if ray else (f"{one['cpu'] / one['items'] * 1e6:.0f} µs", f"{one['peak']:.0f} MB")
        lines.append(f"| {who.told} | {one['items']:,.0f} | {one['rate']:,.0f} | {cpu} | {peak} | {ideal} |")
    if not after and {"ours", "ours_no_journal"} <= set(found):
        share = found["ours"]["rate"] / found["ours_no_journal"]["rate"]
        lines += ["", f"With the journal, {share:.2f} of the rate without."]
    return "\n".join(lines)


def million(concurrency: int, most: int) -> dict[str, dict[str, float]]:
    """Ours, journalled, with ten times as many items each time."""
    server, url = started(0.0)
    who = next(w for w in ALL if w.module == "ours")
    found: dict[str, dict[str, float]] = {}
    for power in range(3, 7):
        if 10**power <= most:
            found[f"{10**power:,}"] = run(who, url, 10**power, concurrency)
            print(f"{10**power:,}: {found[f'{10**power:,}']}", file=sys.stderr, flush=True)
    server.terminate()
    return found


def grown(found: dict[str, dict[str, float]]) -> str:
    lines = ["| items, journalled | items/s | CPU an item | peak memory |", "| --- | --- | --- | --- |"]
    for name, one in found.items():
        cpu = one["cpu"] / one["items"] * 1e6
        lines.append(f"| {name} | {one['rate']:,.0f} | {cpu:.0f} µs | {one['peak']:.0f} MB |")
    return "\n".join(lines)


def report(kept: dict[str, Any]) -> str:
    """All that was measured, as Markdown."""
    parts = [f"Measured {kept['measured']}, CPython {kept['python']}, rounds: {kept['rounds']}, medians."]
    parts += [
        table(kept[name], after, kept["concurrency"])
        for name, after in (("instant", 0.0), ("slow", 0.05))
        if kept[name]
    ]
    if kept.get("million"):
        parts.append(grown(kept["million"]))
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--quick", action="store_true", help="one round of a twentieth of the items; nothing is written"
    )
    parser.add_argument("--million", action="store_true", help="ours alone, 10^3 to 10^6 items; added to the results")
    parser.add_argument("--most", type=int, default=10**6, help="with --million: up to so many")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--only", nargs="*", metavar="MODULE", help="these ways only; nothing is written")
    parser.add_argument("--items", type=int, help="so many for all; nothing is written")
    parser.add_argument("--instant", action="store_true", help="without the slow server; nothing is written")
    given = parser.parse_args()
    make("ours")
    if given.million:
        found = million(given.concurrency, given.most)
        print(grown(found))
        if RESULTS.exists():
            RESULTS.write_text(json.dumps(json.loads(RESULTS.read_text()) | {"million": found}, indent=1) + "\n")
        return
    ways = tuple(who for who in ALL if not given.only or who.module in given.only)
    rounds, share = (1, 0.05) if given.quick else (given.rounds, 1.0)
    kept: dict[str, Any] = {
        "measured": time.strftime("%Y-%m-%d"), "python": platform.python_version(), "rounds": rounds,
        "concurrency": given.concurrency,
        "instant": part(0.0, ways, given.concurrency, rounds, share, given.items),
        "slow": {} if given.instant else part(0.05, ways, given.concurrency, rounds, share, given.items),
    }  # fmt: skip
    if not (given.quick or given.only or given.items or given.instant):
        before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps({**before, **kept}, indent=1) + "\n")
    print(report(kept))


if __name__ == "__main__":
    main()
