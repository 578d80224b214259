"""What tokens cost, in US dollars: by a table of your own, or by the data inside genai-prices (the extra `prices`).

The classes that are priced are disjoint, so that a cached token is never counted twice. An unknown price is None, never 0. Knows
usage and messages, no network: prices are those that the installed release of genai-prices holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from importlib import import_module
from typing import Any, cast

import msgspec

from ._errors import UsageError
from ._messages import AIMessage
from ._usage import Attempt, Usage

__all__ = ["Cost", "Price", "Prices", "cost_of", "price_of"]

_MILLION = 1_000_000
#: Names of our rows -> those of genai-prices, where they differ.
_PROVIDERS = {
    "openai-responses": "openai", "azure-responses": "azure", "bedrock": "aws", "bedrock-claude": "aws", "vertex": "google",
    "vertex-claude": "anthropic", "vertex-anthropic": "anthropic", "xai": "x-ai", "moonshot": "moonshotai", "github": "azure",
}  # fmt: skip
#: Where the model runs on the user's own machine.
_OWN = ("local",)


class Cost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True):
    """US dollars. `input` + `output` is `total`; of `input`, `cache_read` and `cache_write` are parts where the source tells them.

    All are None when no price is known, and `reason` says why. `source` names the table, `dated` the day whose prices hold.
    `estimated` says that the tokens are estimated.
    """

    total: float | None = None
    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    currency: str = "USD"
    source: str | None = None
    dated: date | None = None
    estimated: bool = False
    reason: str | None = None

    def __add__(self, other: Cost) -> Cost:
        """The sum; unknown when one of the two is."""
        if self.total is None or other.total is None:
            return Cost(reason=self.reason or other.reason)
        return Cost(
            total=self.total + other.total,
            input=_sum(self.input, other.input),
            output=_sum(self.output, other.output),
            cache_read=_sum(self.cache_read, other.cache_read),
            cache_write=_sum(self.cache_write, other.cache_write),
            source=self.source if self.source == other.source else None,
            dated=self.dated if self.dated == other.dated else None,
            estimated=self.estimated or other.estimated,
        )


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True):
    """US dollars for a million tokens. Without prices of their own, cached tokens cost what input costs, and tokens that are
    written for an hour what the others that are written cost. Of several prices of a model the newest `since` that has begun
    holds; of these, the one with the highest `above` that the call's input tokens exceed."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    since: date | None = None
    above: int = 0


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


def _listed(name: str, given: object) -> list[Price]:
    items = cast("list[object]", given) if isinstance(given, list) else [given]
    found = [p for p in items if isinstance(p, Price)]
    if not found or len(found) < len(items):
        raise UsageError(f"prices[{name!r}] is a Price, or a list of them; got {given!r}", argument="prices")
    return found


def price_of(
    usage: Usage | AIMessage | None,
    model: str | None = None,
    provider: str | None = None,
    *,
    at: date | datetime | None = None,
    prices: Prices | None = None,
) -> Cost:
    """What the tokens cost. `usage` may be an answer, which names its model and provider itself; `at` is the day (today in UTC,
    where not given).

    `total` is None, with a `reason`, when the tokens or the price are not known. The embedded model costs 0.

    >>> price_of(Usage(input_tokens=10, output_tokens=3), "no-such-model", "openai").total is None
    True
    """
    if isinstance(usage, AIMessage):
        model, provider, usage = model or usage.model, provider or usage.provider, usage.usage
    when = at if isinstance(at, datetime) else datetime.now(UTC) if at is None else datetime.combine(at, time(), UTC)
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    provider = provider or ""
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return Cost(reason="the provider did not say how many tokens it took")
    if usage.inconsistent:
        return Cost(reason="the provider's token counts contradict each other")
    if model is None:
        return Cost(reason="no model is named")
    own = prices.find(model, provider, when.date(), usage.input_tokens) if prices is not None else None
    if own is not None:
        return _by_price(usage, own, when.date())
    if provider in _OWN:
        return Cost(total=0.0, input=0.0, output=0.0, source="it runs on this machine", dated=when.date())
    return _by_genai(usage, model, provider, when)


def cost_of(message: AIMessage, *, at: date | datetime | None = None, prices: Prices | None = None) -> Cost:
    """What an answer cost: all of its tries that used tokens. Nothing for one from a cache."""
    if message.from_cache:
        return Cost(total=0.0, input=0.0, output=0.0, source="from the cache")
    tried = [a for a in message.attempts if a.usage is not None]
    if not tried:
        return price_of(message, at=at, prices=prices)
    costs = [price_of_try(a, a.usage, message.model, at=at, prices=prices) for a in tried]
    return sum(costs[1:], costs[0])


def price_of_try(
    attempt: Attempt,
    usage: Usage | None,
    answered: str | None,
    *,
    at: date | datetime | None = None,
    prices: Prices | None = None,
) -> Cost:
    """What one try cost: by the model that answered, where it did and its price is known, else by the one that was asked for
    (either may be the name of a deployment)."""
    found = Cost(reason="no model is named")
    for name in dict.fromkeys((answered if attempt.outcome == "ok" else None, attempt.model)):
        if name is not None:
            found = price_of(usage, name, attempt.provider, at=at, prices=prices)
            if found.total is not None:
                return found
    return found


def _by_price(usage: Usage, price: Price, day: date) -> Cost:
    read, write = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    hour = min(usage.cache_write_1h_tokens or 0, write)
    write_price = price.input if price.cache_write is None else price.cache_write
    hour_price = write_price if price.cache_write_1h is None else price.cache_write_1h
    reading = read * (price.input if price.cache_read is None else price.cache_read) / _MILLION
    writing = ((write - hour) * write_price + hour * hour_price) / _MILLION
    given = (usage.uncached_input_tokens or 0) * price.input / _MILLION + reading + writing
    made = (usage.output_tokens or 0) * price.output / _MILLION
    return Cost(
        total=given + made, input=given, output=made, cache_read=reading, cache_write=writing, source="prices=",
        dated=price.since or day, estimated=usage.estimated,
    )  # fmt: skip


#: Ours -> the names of genai-prices, whose totals contain their parts just as ours do.
_COUNTS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "input_audio_tokens": "input_audio_tokens",
    "output_audio_tokens": "output_audio_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
}


def _by_genai(usage: Usage, model: str, provider: str, when: datetime) -> Cost:
    try:
        genai: Any = import_module("genai_prices")
    except ImportError:
        return Cost(reason="no price is known: pip install 'chatmodels[prices]', or give prices=Prices({...})")
    counts = {theirs: n for ours, theirs in _COUNTS.items() if (n := getattr(usage, ours))}
    counts = {"input_tokens": 0, "output_tokens": 0, **counts}
    try:
        found = genai.calc_price(
            genai.Usage(**counts), model, provider_id=_PROVIDERS.get(provider, provider) or None,
            genai_request_timestamp=when,
        )  # fmt: skip
    except LookupError:
        return Cost(reason=f"genai-prices {genai.__version__} does not know {provider or 'any provider'}:{model}")
    except ValueError as error:
        return Cost(reason=f"genai-prices {genai.__version__} cannot price these counts: {error}")
    return Cost(
        total=float(found.total_price), input=float(found.input_price), output=float(found.output_price),
        source=f"genai-prices {genai.__version__}, {found.provider.id}:{found.model.id}", dated=when.date(),
        estimated=usage.estimated,
    )  # fmt: skip


def _sum(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b
