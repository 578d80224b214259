"""The files of the work: a line of JSON an item, in and out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

KEY, MODEL = "sk-bench", "gpt-4o-mini"


def write_source(path: Path, count: int) -> None:
    with path.open("w") as file:
        for i in range(count):
            file.write(json.dumps({"id": i, "prompt": f"Translate number {i} to French: I love programming."}) + "\n")


def prompts(path: Path) -> Iterator[tuple[int, str]]:
    with path.open() as file:
        for line in file:
            item = json.loads(line)
            yield item["id"], item["prompt"]


def write_answers(path: Path, answers: Iterable[tuple[int, str]]) -> None:
    with path.open("w") as file:
        for number, text in answers:
            file.write(json.dumps({"id": number, "text": text}) + "\n")
