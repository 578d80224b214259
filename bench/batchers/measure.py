"""One run in this process: `python bench/batchers/measure.py NAME URL SOURCE OUT CONCURRENCY`; its figures as JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from batchers.files import write_source


def main() -> None:
    name, url, source, out, concurrency = sys.argv[1:]
    module = import_module(f"batchers.{name}")
    work, target = module.work, Path(out)
    if hasattr(module, "prepare"):
        module.prepare()
    if getattr(module, "WARM", True):  # what the first call imports is no part of the work
        warm = target.with_name("warm.jsonl")
        write_source(warm, 20)
        work(url, warm, target.with_name("warm.out"), int(concurrency))
    cpu, began = time.process_time(), time.perf_counter()
    work(url, Path(source), target, int(concurrency))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    with target.open("rb") as file, Path(source).open("rb") as asked:
        assert sum(1 for _ in file) == sum(1 for _ in asked), "not every item has an answer"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak}))


if __name__ == "__main__":
    main()
