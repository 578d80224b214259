"""The report of a batch: one HTML page with everything in it, that needs no network and no script."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from ._record import BatchRecord
from ._tally import BatchSummary, Histogram, Tally

_STYLE = """
:root{color-scheme:light dark;--ink:#1d2433;--dim:#667;--line:#dde1e8;--good:#2a7de1;--bad:#d1453b;--paper:#fff;--card:#f6f8fb}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--dim:#99a;--line:#333a48;--paper:#12151c;--card:#1b202b}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}p.sub{color:var(--dim);margin:.2rem 0 1rem}
.cards{display:flex;flex-wrap:wrap;gap:.7rem}.card{background:var(--card);border-radius:.6rem;padding:.7rem 1rem;min-width:7rem}
.card b{display:block;font-size:1.35rem;font-variant-numeric:tabular-nums}.card span{color:var(--dim);font-size:.85rem}
.bad b{color:var(--bad)}.note{border-left:4px solid var(--bad);background:var(--card);padding:.6rem 1rem;margin:1rem 0}
svg{width:100%;height:auto;display:block}svg text{fill:var(--dim);font-size:11px}rect.bar{fill:var(--good)}
table{border-collapse:collapse;width:100%;font-size:.9rem}th{color:var(--dim);text-align:left;font-weight:500}
td,th{border-bottom:1px solid var(--line);padding:.35rem .6rem .35rem 0;vertical-align:top;overflow-wrap:anywhere}
td.n{font-variant-numeric:tabular-nums;white-space:nowrap}
"""


def page(model: str, summary: BatchSummary, tally: Tally) -> str:
    """The whole page."""
    parts = [
        f"<h1>Batch</h1><p class=sub>{escape(model)}, {summary.seconds:,.1f} s</p>",
        _cards(summary),
        _notes(summary),
        _picture("Time to answer", tally.seconds, _seconds),
        _picture("Tokens a call", tally.tokens, _whole),
        _picture("Cost a call", tally.costs, _dollars),
        _errors(summary),
        _table("Failed", tally.failures, summary.failed),
        _table("Slowest", [r for _, _, r in sorted(tally.slowest, reverse=True, key=lambda one: one[:2])], None),
    ]
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>Batch: {escape(model)}</title>"
    return (
        f"<!doctype html><html lang=en><head>{head}<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _cards(summary: BatchSummary) -> str:
    cards: list[tuple[str, str, bool]] = [
        (f"{summary.total:,}", "items", False),
        (f"{summary.done:,}", "done", False),
        (f"{summary.failed:,}", "failed", bool(summary.failed)),
        (f"{summary.called:,}", "called in this run", False),
        (f"{summary.reused:,}", "from earlier runs", False),
        (f"{summary.coalesced:,}", "coalesced", False),
        (f"{summary.input_tokens:,}", "tokens in", False),
        (f"{summary.output_tokens:,}", "tokens out", False),
    ]
    if summary.cost is not None:
        cards.append((f"${summary.cost:,.4f}", "cost", False))
    shown = [f"<div class='card{' bad' if bad else ''}'><b>{n}</b><span>{word}</span></div>" for n, word, bad in cards]
    return f"<div class=cards>{''.join(shown)}</div>"


def _notes(summary: BatchSummary) -> str:
    notes: list[str] = []
    if summary.stopped is not None:
        notes.append(
            f"Stopped before the end ({summary.stopped}): {summary.reason}. The same command goes on with the rest."
        )
    if summary.again:
        listed = ", ".join(str(i) for i in summary.again[:200]) + (", ..." if len(summary.again) > 200 else "")
        notes.append(
            f"{len(summary.again)} items were on their way when an earlier run was killed, and may have been paid twice: {listed}"
        )
    return "".join(f"<p class=note>{escape(note)}</p>" for note in notes)


def _errors(summary: BatchSummary) -> str:
    if not summary.errors:
        return ""
    ordered = sorted(summary.errors.items(), key=lambda one: -one[1])
    rows = "".join(f"<tr><td>{escape(kind)}</td><td class=n>{count:,}</td></tr>" for kind, count in ordered)
    return f"<h2>Errors</h2><table><tr><th>class</th><th>items</th></tr>{rows}</table>"


def _picture(title: str, histogram: Histogram, word: Callable[[float], str]) -> str:
    """A histogram as a picture; bins grow, so the scale is logarithmic."""
    if not histogram.count:
        return ""
    first, last = min(histogram.bins), max(histogram.bins)
    bins = range(first, last + 1)
    most = max(histogram.bins.values())
    width = 900 / max(8, len(bins))
    every = -(-len(bins) // 12)
    shapes: list[str] = []
    for at in bins:
        count, x = histogram.bins.get(at, 0), (at - first) * width
        height = 130 * count / most
        upto = word(histogram.edge(at))
        shapes.append(
            f"<rect class=bar x={x + 1:.1f} y={140 - height:.1f} width={width - 2:.1f} height={height:.1f}>"
            f"<title>up to {upto}: {count:,}</title></rect>"
        )
        if (at - first) % every == 0:
            shapes.append(f"<text x={x + width:.1f} y=156 text-anchor=end>{upto}</text>")
    told = f"median {word(histogram.quantile(0.5))}, 95% {word(histogram.quantile(0.95))}, 99% {word(histogram.quantile(0.99))}"
    return (
        f"<h2>{title}</h2><p class=sub>at most: {told}; mean {word(histogram.total / histogram.count)}</p>"
        f"<svg viewBox='0 0 900 162' role=img aria-label='{title}'>{''.join(shapes)}</svg>"
    )


def _table(title: str, records: list[BatchRecord], of: int | None) -> str:
    if not records:
        return ""
    rows = "".join(_row(record) for record in records)
    more = f"<p class=sub>the first {len(records)} of {of:,}</p>" if of is not None and of > len(records) else ""
    head = "<tr><th>item</th><th>id</th><th>time</th><th>what came</th></tr>"
    return f"<h2>{title}</h2>{more}<table>{head}{rows}</table>"


def _row(record: BatchRecord) -> str:
    error = record.error
    came = (record.text or "") if error is None else f"{error.type}: {error.message}"
    took = "" if record.seconds is None else _seconds(record.seconds)
    id = "" if record.id is None else str(record.id)
    return (
        f"<tr><td class=n>{record.index}</td><td>{escape(id[:80])}</td><td class=n>{took}</td>"
        f"<td>{escape(came[:300])}</td></tr>"
    )


def _seconds(value: float) -> str:
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _dollars(value: float) -> str:
    return f"${value:.2g}"
