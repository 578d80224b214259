"""Results as Markdown: what each client took, and the requirements with what was reached."""

from __future__ import annotations

import math
from typing import Any

from harness.peers import PEERS
from harness.requirements import MUSTS, Must, Verdict, judge
from harness.rows import Row

BUSY = 0.85


def number(value: float | None, unit: str) -> str:
    """A value as one reads it: three figures or so, with its unit."""
    if value is None:
        return "-"
    if math.isinf(value):
        return "not in 2 s"
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    text = f"{value:,.{digits}f}"
    return f"{text} {unit.replace('us', 'µs')}" if unit else text


def markdown_row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def values_table(rows: list[Row], subject: str) -> str:
    """Medians: a line for each quantity, a column for each client; in brackets ours divided by theirs."""
    present = {peer for row in rows for peer in (*row.values, *row.ratios)}
    columns = [subject, *(name for name in PEERS if name in present and name != subject)]
    lines = [
        markdown_row(["work", *(PEERS[name].label for name in columns)]),
        "|" + " --- |" * (len(columns) + 1),
    ]
    for row in rows:
        cells = [row.title]
        for name in columns:
            text = number(row.values.get(name), row.unit)
            ratio = row.ratios.get(name)
            cells.append(f"{text} ({ratio.median:.2g})" if ratio else text)
        lines.append(markdown_row(cells))
    return "\n".join(lines)


def verdict_cells(must: Must, row: Row, verdict: Verdict, subject: str) -> list[str]:
    sign = "≥" if must.least else "≤"
    ours = number(row.values.get(subject), row.unit)
    outcome = {True: "pass", False: "**miss**", None: "not measured"}[verdict.passed]
    if must.against is None:
        return [row.title, ours, "-", "-", f"{sign} {number(must.limit, row.unit)}", outcome]
    ratio = row.ratios.get(must.against)
    spread = f"{ratio.median:.3f} ({ratio.low:.3f}-{ratio.high:.3f})" if ratio else "-"
    theirs = f"{number(row.values.get(must.against), row.unit)} ({PEERS[must.against].label})"
    return [row.title, ours, theirs, spread, f"{sign} {must.limit:g}", outcome]


def requirements_table(rows: list[Row], subject: str) -> str:
    """The requirements on what was run, with ratio (least-greatest of the rounds), bound and verdict."""
    by_name = {row.name: row for row in rows}
    lines = [
        markdown_row(["work", PEERS[subject].label, "against", "ratio", "must be", ""]),
        "|" + " --- |" * 6,
    ]
    for must in MUSTS:
        row = by_name.get(must.row)
        if row is not None:
            lines.append(markdown_row(verdict_cells(must, row, judge(must, row, subject), subject)))
    return "\n".join(lines)


def missed(rows: list[Row], subject: str) -> list[Must]:
    by_name = {row.name: row for row in rows}
    return [must for must in MUSTS if judge(must, by_name.get(must.row), subject).passed is False]


def remarks(results: dict[str, Any]) -> str:
    """Who failed at what, and how busy the server was: near 100% it may have been what was measured."""
    lines = []
    shares = [(share, work, peer) for work, by in results["server_share"].items() for peer, share in by.items()]
    if shares:
        share, work, peer = max(shares)
        lines.append(f"- The server was busy for at most {share:.0%} of a slot ({work}, {PEERS[peer].label}).")
    for work, failures in results["failures"].items():
        lines += [f"- {work}: {PEERS[peer].label} failed: {reason}" for peer, reason in failures.items()]
    if strangers := results["strangers"]:
        shares_text = ", ".join(f"{work} {client:.0%} / {server:.0%}" for work, (client, server) in strangers.items())
        lines.append(
            f"- Other programs took of the clients' / the server's processor (medians of the slots): {shares_text}."
        )
    for work, by in results["server_share"].items():
        busy = [f"{PEERS[peer].label} {share:.0%}" for peer, share in by.items() if share > BUSY]
        if busy:
            lines.append(f"- {work}: the server was nearly always busy beside {', '.join(busy)}")
    return "\n".join(lines)


def render(results: dict[str, Any]) -> str:
    """The whole report of a run (what `results/latest.json` holds)."""
    rows = [Row.from_dict(row) for row in results["rows"]]
    subject = results["subject"]
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(results["versions"].items()))
    parts = [
        f"Measured {results['date']}, {machine['python']}, {machine['cpus']} processors "
        f"({machine['model']}), {results['rounds']} rounds{', quick mode' if results['quick'] else ''}; "
        f"load average at the start {machine['load']:.1f}. {versions}.",
        f"Medians; in brackets what {PEERS[subject].label} took, divided by it (median of the ratios of "
        "neighbouring slots).",
        values_table(rows, subject),
        "Requirements: the ratio with its least and greatest of all rounds.",
        requirements_table(rows, subject),
        remarks(results),
    ]
    return "\n\n".join(part for part in parts if part)
