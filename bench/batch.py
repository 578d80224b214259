"""What a journalled batch costs: items a second, CPU an item, peak memory, with and without a journal, beside `model.batch`.

    python bench/batch.py                     # 1,000 to 100,000 items at once, 20,000 of 50 ms
    python bench/batch.py --items 2000 20000 --slow 5000

Each measurement is a process of its own; the server is another. Prints Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BODY = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "model": "bench",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "J'aime programmer."}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 28, "completion_tokens": 6, "total_tokens": 34},
    }
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)


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
    async def go() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Server(after), "127.0.0.1", 0, backlog=2048)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(go())


def items(count: int) -> Iterator[dict[str, Any]]:
    return ({"id": i, "prompt": f"Translate number {i} to French: I love programming."} for i in range(count))


def measured(how: str, port: int, count: int, concurrency: int) -> None:
    """In a process of its own: one run, its numbers as JSON on standard output."""
    from chatmodels import ChatOpenAI
    from chatmodels.batch import run_batch

    model = ChatOpenAI(model="bench", openai_api_key="k", base_url=f"http://127.0.0.1:{port}/v1")
    model.batch(["warm"] * 50, max_concurrency=concurrency)
    run_batch(model, ["warm"])
    with tempfile.TemporaryDirectory() as folder:
        out, cpu, began = Path(folder) / "out.jsonl", time.process_time(), time.perf_counter()
        if how == "model.batch":
            model.batch((item["prompt"] for item in items(count)), max_concurrency=concurrency)
        else:
            journal = None if how == "journal" else False
            summary = run_batch(model, items(count), out=out, journal=journal, max_concurrency=concurrency)
            assert summary.done == count, summary
            with out.open("rb") as file:
                assert sum(1 for _ in file) == count
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"wall": wall, "cpu": cpu, "peak": peak}))


def run(how: str, port: int, count: int, concurrency: int) -> dict[str, float]:
    words = [sys.executable, __file__, "--one", how, str(port), str(count), str(concurrency)]
    found = subprocess.run(words, check=True, capture_output=True, text=True, env={**os.environ, "no_proxy": "*"})
    return json.loads(found.stdout)  # type: ignore[no-any-return]


def table(after: float, counts: list[int], concurrency: int, rounds: int) -> None:
    port: Any = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(after, port), daemon=True)
    server.start()
    at = port.get()
    print(f"\nA server that takes {after * 1000:.0f} ms, {concurrency} in flight:\n")
    print("| items | how | items/s | CPU an item | peak memory | of the ideal | of unjournalled |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for count in counts:
        found: dict[str, dict[str, float]] = {}
        for _ in range(rounds):
            for how in ("no journal", "journal", "model.batch"):
                one = run(how, at, count, concurrency)
                if how not in found or one["wall"] < found[how]["wall"]:
                    found[how] = one
        for how, one in found.items():
            ideal = f"{count * after / concurrency / one['wall']:.2f}" if after else "-"
            share = f"{found['no journal']['wall'] / one['wall']:.2f}"
            print(
                f"| {count:,} | {how} | {count / one['wall']:,.0f} | {one['cpu'] / count * 1e6:.0f} µs | {one['peak']:.0f} MB "
                f"| {ideal} | {share} |",
                flush=True,
            )
    server.terminate()


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        measured(sys.argv[2], *map(int, sys.argv[3:]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--slow", type=int, nargs="*", default=[20_000])
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=1, help="the best of so many")
    given = parser.parse_args()
    if given.items:
        table(0.0, given.items, given.concurrency, given.rounds)
    if given.slow:
        table(0.05, given.slow, given.concurrency, given.rounds)


if __name__ == "__main__":
    main()
