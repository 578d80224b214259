"""The report of a batch: one HTML page with everything in it, that needs no network and no script."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from ._record import BatchRecord
from ._report_pictures import histogram, seconds, share_bar, whole
from ._tally import BatchSummary, Tally
from ._words import counted, dollars

log = logging.getLogger("chatmodels")

#: A page of ours loads nothing, and runs nothing that somebody got into it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root{color-scheme:light dark;--ink:#1b2230;--dim:#5d6675;--line:#dfe3ea;--good:#2f6fd6;--part:#8fb4ee;--bad:#c93a31;
--warn:#b26a00;
--paper:#fff;--card:#f5f7fa}
@media(prefers-color-scheme:dark){:root{--ink:#e5e9f0;--dim:#9aa4b5;--line:#2f3644;--good:#5b97f0;--part:#33507f;
--bad:#f0746b;
--warn:#e0a243;--paper:#11141a;--card:#1a1f29}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:var(--ink);background:var(--paper);
max-width:64rem;
margin:0 auto;padding:2rem 1.25rem 4rem}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:.4rem .8rem}
h1{font-size:1.45rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.05rem;margin:2.4rem 0 .4rem}
p.sub{color:var(--dim);margin:.15rem 0 .8rem;font-size:.9rem}
.state{font-size:.8rem;font-weight:600;border:1px solid;border-radius:1rem;padding:.05rem .7rem;color:var(--good);
white-space:nowrap}
.state.bad{color:var(--bad)}.state.warn{color:var(--warn)}
.share{display:flex;height:.75rem;border-radius:.4rem;overflow:hidden;background:var(--line);margin:1.1rem 0 .4rem}
.share i{display:block;min-width:2px}.share .done{background:var(--good)}.share .cut{background:var(--warn)}
.share .failed{background:var(--bad)}
.key{color:var(--dim);font-size:.85rem;margin:0 0 1.2rem}.key b{font-weight:600;color:var(--ink)}
.key i{display:inline-block;width:.65rem;height:.65rem;border-radius:.2rem;margin:0 .35rem 0 0}
.key span{margin-right:1.1rem;white-space:nowrap}
.key .done{background:var(--good)}.key .cut{background:var(--warn)}.key .failed{background:var(--bad)}
.key .left{background:var(--line)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.2rem,1fr));gap:.7rem}
.card{background:var(--card);border-radius:.6rem;padding:.65rem .9rem}
.card b{display:block;font-size:1.25rem;font-weight:650;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.card span{color:var(--dim);font-size:.85rem}
.note{border-left:4px solid var(--warn);background:var(--card);border-radius:0 .4rem .4rem 0;padding:.6rem 1rem;
margin:1rem 0;overflow-wrap:anywhere}
.wide{overflow-x:auto}svg{display:block;width:100%;min-width:34rem;height:auto}
svg text{fill:var(--dim);font:11.5px system-ui,sans-serif}svg .bar{fill:var(--good)}svg .bar:hover{fill:var(--ink)}
svg .axis{stroke:var(--line)}svg .mark{stroke:var(--ink);stroke-dasharray:3 3;opacity:.65}svg .told{fill:var(--ink)}
table{border-collapse:collapse;width:100%;font-size:.9rem}th{color:var(--dim);text-align:left;font-weight:500;
white-space:nowrap}
td,th{border-bottom:1px solid var(--line);padding:.4rem .9rem .4rem 0;vertical-align:top}
.n{font-variant-numeric:tabular-nums;white-space:nowrap;text-align:right}td.id{min-width:5rem;max-width:14rem;
overflow-wrap:anywhere}
td.came{min-width:16rem;overflow-wrap:anywhere}td.came b{font-weight:600;color:var(--bad)}
td.came div{display:-webkit-box;-webkit-line-clamp:3;-webkit-box-orient:vertical;overflow:hidden}
@media print{body{max-width:none;padding:0}td.came div{-webkit-line-clamp:unset}}
"""


def write(path: Path, model: str, summary: BatchSummary, tally: Tally) -> None:
    """The page as a file. Where that fails the batch has not: it is said in the log."""
    try:
        path.write_text(page(model, summary, tally), encoding="utf-8")
    except OSError as error:
        log.warning("the report %s could not be written: %s", path, error)


def page(model: str, summary: BatchSummary, tally: Tally) -> str:
    """The whole page."""
    parts = [
        _head(model, summary),
        _cards(summary, tally),
        _notes(summary),
        histogram("Time to answer", tally.seconds, seconds),
        histogram("Cost of a call", tally.costs, dollars),
        histogram("Tokens of a call", tally.tokens, whole),
        _errors(summary, tally),
        _table("Failed items", tally.failures, summary.failed),
        _table("Slowest items", [r for _, _, r in sorted(tally.slowest, reverse=True, key=lambda one: one[:2])], None),
    ]
    head = (
        f'<meta charset=utf-8><meta http-equiv=Content-Security-Policy content="{_POLICY}">'
        f"<meta name=viewport content='width=device-width, initial-scale=1'><title>Batch: {_safe(model)}</title>"
    )
    return (
        f"<!doctype html><html lang=en><head>{head}<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _safe(text: str) -> str:
    """Text as HTML; what no page can show (controls, halves of characters) as a mark."""
    sound = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return escape(sound.encode("utf-8", "replace").decode())


def _head(model: str, summary: BatchSummary) -> str:
    if summary.stopped is not None:
        state = f"<span class='state warn'>stopped: {_safe(summary.stopped)}</span>"
    elif summary.failed:
        state = "<span class='state bad'>ended, with failures</span>"
    else:
        state = "<span class=state>complete</span>"
    ended = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return (
        f"<header><h1>{_safe(model)}</h1>{state}</header><p class=sub>Batch of {counted(summary.total, 'item')}; this run took "
        f"{seconds(summary.seconds)} and ended {ended}</p>{share_bar(summary)}"
    )


def _cards(summary: BatchSummary, tally: Tally) -> str:
    cards = [
        (f"{summary.called:,}", "called in this run"),
        (f"{summary.reused:,}" if summary.reused else "", "from earlier runs"),
        (f"{summary.coalesced:,}" if summary.coalesced else "", "coalesced with equal ones"),
        (f"{summary.called / summary.seconds:,.1f}" if summary.called and summary.seconds else "", "items a second"),
        (f"{summary.input_tokens:,}" if summary.input_tokens else "", "tokens in"),
        (f"{summary.output_tokens:,}" if summary.output_tokens else "", "tokens out"),
        (f"{tally.new_tokens / summary.seconds:,.0f}" if tally.new_tokens and summary.seconds else "", "tokens a second"),
        ("" if summary.cost is None else dollars(summary.cost), "cost, at least" if summary.cost_omits else "cost"),
    ]  # fmt: skip
    shown = [f"<div class=card><b>{n}</b><span>{word}</span></div>" for n, word in cards if n]
    none = "" if summary.cost is not None or not summary.done else "<p class=sub>No price is known for this model.</p>"
    return f"<div class=cards>{''.join(shown)}</div>{none}"


def _notes(summary: BatchSummary) -> str:
    notes: list[str] = []
    if summary.stopped is not None:
        notes.append(
            f"Stopped before the end ({summary.stopped}): {summary.reason}. The same command goes on with the rest."
        )
    if summary.cut:
        notes.append(f"{summary.cut:,} answers are not whole (a limit of tokens, a filter): see their finish_reason.")
    if summary.cost_omits:
        notes.append(f"The cost leaves out what has no price: {', '.join(summary.cost_omits)}.")
    if summary.again:
        listed = ", ".join(str(i) for i in summary.again[:200]) + (", ..." if len(summary.again) > 200 else "")
        notes.append(
            f"An earlier run was killed. At most {summary.again_most:,} of these {len(summary.again):,} items were in flight then, "
            f"and may have been paid twice; the others had only been noted, ahead of their calls: {listed}"
        )
    return "".join(f"<p class=note>{_safe(note)}</p>" for note in notes)


def _errors(summary: BatchSummary, tally: Tally) -> str:
    if not summary.errors:
        return ""
    example = {r.error.type: r.error.message for r in reversed(tally.failures) if r.error is not None}
    ordered = sorted(summary.errors.items(), key=lambda one: -one[1])
    rows = "".join(
        f"<tr><td>{_safe(kind)}</td><td class=n>{count:,}</td><td class=n>{count / max(1, summary.total):.1%}</td>"
        f"<td class=came><div>{_safe(example.get(kind, '')[:300])}</div></td></tr>"
        for kind, count in ordered
    )
    head = "<tr><th>class</th><th class=n>items</th><th class=n>of all</th><th>for example</th></tr>"
    return f"<h2>Errors</h2><div class=wide><table>{head}{rows}</table></div>"


def _table(title: str, records: list[BatchRecord], of: int | None) -> str:
    if not records:
        return ""
    named = any(record.id is not None for record in records)
    rows = "".join(_row(record, named) for record in records)
    more = f"<p class=sub>{len(records)} of {of:,}</p>" if of is not None and of > len(records) else ""
    head = f"<tr><th class=n>item</th>{'<th>id</th>' if named else ''}<th class=n>time</th><th>what came</th></tr>"
    return f"<h2>{title}</h2>{more}<div class=wide><table>{head}{rows}</table></div>"


def _row(record: BatchRecord, named: bool) -> str:
    error = record.error
    came = _safe((record.text or "")[:300])
    if error is not None:
        came = f"<b>{_safe(error.type)}</b> {_safe(error.message[:300])}"
    took = "" if record.seconds is None else seconds(record.seconds)
    id = f"<td class=id>{_safe(str(record.id if record.id is not None else '')[:80])}</td>" if named else ""
    return f"<tr><td class=n>{record.index:,}</td>{id}<td class=n>{took}</td><td class=came><div>{came}</div></td></tr>"
