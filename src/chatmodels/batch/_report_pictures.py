"""The pictures of a report, as SVG in the page: histograms over a logarithmic axis, and the share of what went well."""

from __future__ import annotations

import math
from collections.abc import Callable

from ._tally import BatchSummary, Histogram

#: Size of a picture, and where its axis lies.
WIDTH, HEIGHT, BASE, TOP = 900, 196, 168, 24
#: A picture has at least so many bins: a single value is no wall.
LEAST = 24


def histogram(title: str, of: Histogram, word: Callable[[float], str]) -> str:
    """Bars, round values on the axis, the median and the 95th percentile."""
    if not of.count or not of.largest:
        return ""
    first, last = min(of.bins), max(of.bins)
    spare = max(0, LEAST - (last - first + 1))
    first, bins = first - spare // 2, last - first + 1 + spare
    width = WIDTH / bins
    most = max(of.bins.values())
    shapes = [_bar((at - first) * width, width, of.bins[at] / most, _told(of, at, word)) for at in sorted(of.bins)]
    shapes += _axis(of, first, bins, word)
    shapes += [
        _mark((of.place(of.quantile(share)) - first + 1) * width, name, row)
        for row, (share, name) in enumerate(((0.5, "median"), (0.95, "95%")))
    ]
    shares = [f"{name} {word(of.quantile(share))}" for share, name in ((0.5, "median"), (0.95, "95%"), (0.99, "99%"))]
    told = f"{', '.join(shares)}, tallest bar {most:,} of {of.count:,}; mean {word(of.total / of.count)}, most {word(of.largest)}"
    return (
        f"<h2>{title}</h2><p class=sub>{told}</p><div class=wide><svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img "
        f"aria-label='{title}: {told}'>{''.join(shapes)}</svg></div>"
    )


def _told(of: Histogram, at: int, word: Callable[[float], str]) -> str:
    below = f"{word(of.edge(at - 1))} to " if at else "up to "
    return f"{below}{word(of.edge(at))}: {of.bins[at]:,}"


def _bar(x: float, width: float, share: float, told: str) -> str:
    height = max(1.5, (BASE - TOP) * share)
    return (
        f"<rect class=bar x={x + 0.5:.1f} y={BASE - height:.1f} width={max(1.0, width - 1):.1f} height={height:.1f} rx=1.5>"
        f"<title>{told}</title></rect>"
    )


def _axis(of: Histogram, first: int, bins: int, word: Callable[[float], str]) -> list[str]:
    """A line, and a mark at each 1, 2 and 5 times a power of ten that has room for its word."""
    low, high = of.edge(first - 1), of.edge(first - 1 + bins)
    lines = [f"<line class=axis x1=0 x2={WIDTH} y1={BASE} y2={BASE} />"]
    free = 0.0
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for step in (1, 2, 5):
            value = step * 10.0**power
            x = (math.log(value / of.least, of.GROWTH) - first + 1) * WIDTH / bins
            text = word(value)
            half = 3.4 * len(text)
            if max(free, 0) <= x - half and x + half <= WIDTH:
                lines.append(f"<line class=axis x1={x:.1f} x2={x:.1f} y1={BASE} y2={BASE + 5} />")
                lines.append(f"<text x={x:.1f} y={BASE + 20} text-anchor=middle>{text}</text>")
                free = x + half + 10
    return lines


def _mark(x: float, name: str, row: int) -> str:
    """A dashed line at a share, its name on the side that has room."""
    side, anchor = (x - 4, "end") if (row == 0 and x > 60) or x > WIDTH - 60 else (x + 4, "start")
    return (
        f"<line class=mark x1={x:.1f} x2={x:.1f} y1=4 y2={BASE} /><text class=told x={side:.1f} y=13 text-anchor={anchor}>"
        f"{name}</text>"
    )


def share_bar(summary: BatchSummary) -> str:
    """Done, not whole, failed and left, as one bar with its key."""
    left = max(0, summary.total - summary.done - summary.failed)
    parts = [
        ("done", "done", summary.done - summary.cut), ("cut", "done, but not whole", summary.cut),
        ("failed", "failed", summary.failed),
    ]  # fmt: skip
    total = max(1, summary.total)
    bars = "".join(f"<i class={kind} style='width:{100 * n / total:.3f}%'></i>" for kind, _, n in parts if n)
    keys = [*parts, ("left", "without an end yet", left)]
    key = "".join(f"<span><i class={k}></i><b>{n:,}</b> {word}</span>" for k, word, n in keys if n or k == "done")
    return f"<div class=share>{bars}</div><p class=key>{key}</p>"


# ---- words


def seconds(value: float) -> str:
    """`57 ms`, `3.2 s`, `12 min`, `3 h 20 min`"""
    if value < 0.9995:
        return f"{_short(value * 1000)} ms"
    if value < 120:
        return f"{_short(value)} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def whole(value: float) -> str:
    """`1,219`; of numbers below 10 a tenth too."""
    return f"{value:,.0f}" if value >= 10 else _short(value)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 99.5 else f"{value:.3g}"
