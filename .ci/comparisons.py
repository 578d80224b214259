"""Writes the measured table of docs/comparisons.md from bench/results/latest.json: `python .ci/comparisons.py`.

With --check it writes nothing, and exits 1 where the page is older than the results. Results stay where they were measured: without
any there is nothing to check.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results" / "latest.json"
PAGE = ROOT / "docs" / "comparisons.md"
START, END = "<!-- measured: written by .ci/comparisons.py -->\n", "<!-- end of measured -->\n"


def measured() -> str:
    """The report of the last run without its second table, which holds the requirements of our own."""
    sys.path.insert(0, str(ROOT / "bench"))
    from harness.table import render

    parts = render(json.loads(RESULTS.read_text())).split("\n\n")
    return "\n\n".join(part for i, part in enumerate(parts) if i not in (3, 4))


def page() -> str:
    """The page as it has to be."""
    before, _, rest = PAGE.read_text().partition(START)
    return f"{before}{START}\n{measured()}\n\n{END}{rest.partition(END)[2]}"


def main() -> int:
    if "--check" in sys.argv and not RESULTS.exists():
        return 0
    made = page()
    if made == PAGE.read_text():
        return 0
    if "--check" in sys.argv:
        print(
            "docs/comparisons.md is older than bench/results/latest.json: run python .ci/comparisons.py",
            file=sys.stderr,
        )
        return 1
    PAGE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
