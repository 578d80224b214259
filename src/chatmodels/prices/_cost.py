"""Costs and tables of prices. Values only: knows no usage, no provider's prices, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import cast

import msgspec

from .._errors import UsageError


class Cost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True):
    """US dollars. `total` is `input` + `output` + `tools` (what the provider's own tools cost); of `input`, `cache_read` and
    `cache_write` are parts where the source tells them. Where the provider tells only a total, `input` and `output` are None.

    `total` is None when no price is known, and `reason` says why. `source` names the table, `dated` the day whose prices hold.
    `estimated` says that the tokens are estimated. `omitted` lists what the total does not contain, because its price is not
    known ("2 web searches"): the total is then a lower bound.
    """

    total: float | None = None
    input: float | None = None
    output: float | None = None
    tools: float = 0.0
    cache_read: float | None = None
    cache_write: float | None = None
    currency: str = "USD"
    source: str | None = None
    dated: date | None = None
    estimated: bool = False
    omitted: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def lower_bound(self) -> bool:
        """Is something not in the total?"""
        return bool(self.omitted)

    def __add__(self, other: Cost) -> Cost:
        """The sum; unknown when one of the two is."""
        omitted = tuple(dict.fromkeys((*self.omitted, *other.omitted)))
        if self.total is None or other.total is None:
            return Cost(reason=self.reason or other.reason, omitted=omitted)
        return Cost(
            total=self.total + other.total,
            input=_sum(self.input, other.input),
            output=_sum(self.output, other.output),
            tools=self.tools + other.tools,
            cache_read=_sum(self.cache_read, other.cache_read),
            cache_write=_sum(self.cache_write, other.cache_write),
            source=self.source if self.source == other.source else None,
            dated=self.dated if self.dated == other.dated else None,
            estimated=self.estimated or other.estimated,
            omitted=omitted,
        )


def _sum(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True):
    """US dollars for a million tokens; `web_search` for a thousand searches. Without prices of their own, cached tokens cost what
    input costs, tokens that are written for an hour what the others that are written cost, and audio what text costs.

    Of several prices of a model the newest `since` that has begun holds; of these, the one with the highest `above` that the
    call's input tokens exceed. `factors` say what tokens cost when they are served otherwise, as a share of these prices:
    `{"batch": 0.5, "priority": 2.0}`.
    """

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    input_audio: float | None = None
    output_audio: float | None = None
    web_search: float | None = None
    factors: dict[str, float] = {}
    since: date | None = None
    above: int = 0

    def __post_init__(self) -> None:
        for name in _RATES:
            rate: object = getattr(self, name)
            if rate is not None and not _is_rate(rate):
                raise UsageError(f"{name} is US dollars, 0 or more; got {rate!r}", argument=name)
        if any(not _is_rate(factor) for factor in self.factors.values()):
            raise UsageError(f"factors are numbers, 0 or more; got {self.factors!r}", argument="factors")


_RATES = (
    "input", "output", "cache_read", "cache_write", "cache_write_1h", "input_audio", "output_audio", "web_search",
)  # fmt: skip


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


class Prices:
    """A table of your own: model -> price, or a list of dated or tiered ones. Asked before genai-prices.

    Keys are model names, or "provider:model".

    >>> table = Prices({"my-model": Price(input=1.0, output=4.0, cache_read=0.1)})
    >>> price_of(Usage(input_tokens=1_000_000, output_tokens=500_000), "my-model", prices=table).total
    3.0
    """

    def __init__(self, table: Mapping[str, Price | list[Price]]) -> None:
        self._table = {name: _listed(name, given) for name, given in table.items()}

    def __repr__(self) -> str:
        return f"Prices({list(self._table)})"

    def find(self, model: str, provider: str, at: date, input_tokens: int) -> Price | None:
        """The price that holds for a call, or None."""
        found = self._table.get(f"{provider}:{model}") or self._table.get(model) or ()
        fit = [p for p in found if (p.since is None or p.since <= at) and (not p.above or input_tokens > p.above)]
        return max(fit, key=lambda p: (p.since or date.min, p.above), default=None)


def checked_prices(prices: object) -> Prices | None:
    """A table of the caller's, or None. Asked before anything is sent: a wrong one would lose an answer that is paid for."""
    if prices is None or isinstance(prices, Prices):
        return prices
    raise UsageError(
        f"prices is a table, Prices({{'model': Price(...)}}), not {type(prices).__name__}", argument="prices"
    )


def _listed(name: str, given: object) -> list[Price]:
    items = cast("list[object]", given) if isinstance(given, list) else [given]
    found = [p for p in items if isinstance(p, Price)]
    if not found or len(found) < len(items):
        raise UsageError(f"prices[{name!r}] is a Price, or a list of them; got {given!r}", argument="prices")
    return found
