"""From a sample to the whole: totals with their ranges, also where lengths are skewed, and how long calls side by side take. Pure.

A range of the mean is that of Student and that of Hall (J. R. Statist. Soc. B 54, 1992), which knows of skewness, together: alone,
the first holds too seldom where a few items are much longer than the others.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence

import msgspec

#: A size tells something where it explains this share of the variance.
TELLS = 0.7
#: Of fewer values a line through them is an accident.
ENOUGH = 10
#: No line tells more than to this share: what it did not see may lie beside it.
LEAST = 0.01
#: How often a run is played through, with at most so many calls, to see how its end frays.
PLAYS, CALLS = 20, 2000


class Range(msgspec.Struct, frozen=True):
    """A number that is not known: the best guess, and from where to where it lies in 95 of 100 cases."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_shown(self.mean)} ({_shown(self.low)} to {_shown(self.high)})"


def _shown(value: float) -> str:
    """Four digits that mean something, without an exponent."""
    if not math.isfinite(value) or 1e-4 <= value < 1000:
        return f"{value:.4g}"
    if value < 1e-4:
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return f"{round(value, 3 - math.floor(math.log10(value))):,.0f}"


def total(values: Sequence[float], count: int, sizes: Sequence[float], mean_size: float) -> Range:
    """The total of `count` values of which these are a sample. `sizes` are something that is known of each, and `mean_size` of all:
    where values go with it, that narrows the range."""
    n = len(values)
    if not n:
        return Range(0.0, 0.0, math.inf)
    mean = sum(values) / n
    if n >= count:
        return Range(mean * count, mean * count, mean * count)
    if n == 1:
        return Range(mean * count, 0.0, math.inf)
    fitted = _fitted(values, sizes, mean_size) if n >= ENOUGH else None
    guess, rests, freedom = fitted or (mean, [v - mean for v in values], n - 1)
    low, high = _spread(rests, freedom)
    if fitted is not None:
        low, high = min(low, -LEAST * guess), max(high, LEAST * guess)
    known = math.sqrt(1 - n / count)  # of a finite number of items some are known already
    return Range(guess * count, max(0.0, guess + low * known) * count, (guess + high * known) * count)


def _fitted(values: Sequence[float], sizes: Sequence[float], mean_size: float) -> tuple[float, list[float], int] | None:
    """By a line through values and sizes: the mean of all, what each value adds to its error, and the degrees of freedom. None
    where the size tells little. An error counts the more the further out its size is (White's estimate, HC3)."""
    n = len(values)
    mean, middle = sum(values) / n, sum(sizes) / n
    spread = sum([(s - middle) ** 2 for s in sizes])
    around = sum([(v - mean) ** 2 for v in values])
    both = sum([(v - mean) * (s - middle) for v, s in zip(values, sizes, strict=True)])
    if not spread or not around or both * both < TELLS * spread * around:
        return None
    slope, off = both / spread, mean_size - middle
    rests: list[float] = []
    for value, size in zip(values, sizes, strict=True):
        out = size - middle
        rest = value - mean - slope * out
        leverage = min(0.99, 1 / n + out * out / spread)
        rests.append((1 + n * off * out / spread) * rest / (1 - leverage))
    return max(0.0, mean + slope * off), rests, n - 2


def _spread(rests: Sequence[float], freedom: int) -> tuple[float, float]:
    """From where to where the mean of all may lie around that of the sample, which is 0."""
    n = len(rests)
    variance = sum([r * r for r in rests])
    if variance <= 1e-18:
        return 0.0, 0.0
    t = student(freedom)
    half = t * math.sqrt(variance / freedom / n)
    deviation = math.sqrt(variance / n)
    skew = sum([r**3 for r in rests]) / n / deviation**3
    low, high = -_hall(t, skew, n) * deviation, -_hall(-t, skew, n) * deviation
    return min(-half, low), max(half, high)


def _hall(t: float, skew: float, n: int) -> float:
    """Hall's cubic transformation, backwards."""
    a, b = skew / 3, skew / 6
    if abs(a) < 1e-9:
        return t / math.sqrt(n)
    inside = 1 + 3 * a * (t / math.sqrt(n) - b / n)
    return (math.copysign(abs(inside) ** (1 / 3), inside) - 1) / a


def student(freedom: int) -> float:
    """The 97.5% quantile of Student's t, by the expansion of Cornish and Fisher (for 1 to 3 from the table)."""
    exact = {1: 12.706, 2: 4.303, 3: 3.182}
    if freedom in exact:
        return exact[freedom]
    z = 1.959964
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def wall(seconds: Sequence[float], work: Range, count: int, lanes: int) -> Range:
    """How long `count` calls take in `lanes` side by side; `work` is the sum of their times, of which `seconds` are a sample."""
    if not seconds:
        return Range(0.0, 0.0, math.inf)
    luck = random.Random(0)
    calls = min(count, CALLS)
    played = sorted(_play(luck.choices(seconds, k=calls), lanes) for _ in range(PLAYS))
    even = calls * (sum(seconds) / len(seconds)) / lanes
    # The last calls end one by one: what that adds to an even share of the work.
    fray = [max(0.0, one - even) for one in played]
    mean, low, high = work.mean / lanes + sum(fray) / PLAYS, work.low / lanes, work.high / lanes
    if count <= lanes:  # all at once: as long as the longest
        mean, low, high = sum(played) / PLAYS, played[0], 0.0
    return Range(mean, min(mean, low), max(mean, high + _longest(seconds, count)))


def _longest(seconds: Sequence[float], count: int) -> float:
    """How long the longest of so many calls may take, if times are spread as a log-normal distribution is."""
    logs = [math.log(max(s, 1e-6)) for s in seconds]
    mean = sum(logs) / len(logs)
    deviation = math.sqrt(sum([(one - mean) ** 2 for one in logs]) / max(1, len(logs) - 1))
    return max(*seconds, math.exp(mean + deviation * math.sqrt(2 * math.log(max(2, count)))))


def _play(times: Sequence[float], lanes: int) -> float:
    busy = [0.0] * min(lanes, len(times))
    for one in times:
        heapq.heapreplace(busy, busy[0] + one)
    return max(busy)
