"""Writes the measured tables of docs/comparisons.md from bench/results/: `python .ci/comparisons.py`.

With --check it writes nothing, and exits 1 where the page is older than the results. Results stay where they were measured: without
any there is nothing to check.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "comparisons.md"


def calls() -> str:
    """The report of `bench/run.py` without its second table, which holds the requirements of our own."""
    from harness.table import render

    parts = render(json.loads((RESULTS / "latest.json").read_text())).split("\n\n")
    return "\n\n".join(part for i, part in enumerate(parts) if i not in (3, 4))


def batches() -> str:
    """The report of `bench/batch.py`."""
    from batch import report

    return report(json.loads((RESULTS / "batch.json").read_text()))


#: File of results -> (its marks on the page, who writes what stands between).
PARTS = {
    "latest.json": ("measured", calls),
    "batch.json": ("measured batches", batches),
}


def page() -> str:
    """The page as it has to be."""
    text = PAGE.read_text()
    for name, (mark, made) in PARTS.items():
        if (RESULTS / name).exists():
            start, end = f"<!-- {mark}: written by .ci/comparisons.py -->\n", f"<!-- end of {mark} -->\n"
            before, _, rest = text.partition(start)
            text = f"{before}{start}\n{made()}\n\n{end}{rest.partition(end)[2]}"
    return text


def main() -> int:
    sys.path.insert(0, str(ROOT / "bench"))
    made = page()
    if made == PAGE.read_text():
        return 0
    if "--check" in sys.argv:
        print(
            "docs/comparisons.md is older than bench/results: run python .ci/comparisons.py",
            file=sys.stderr,
        )
        return 1
    PAGE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
