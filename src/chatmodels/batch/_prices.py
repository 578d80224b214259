"""What an answer costs: by the caller's table or function, else by the library's price list."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

from msgspec.structs import replace

from .._errors import UsageError
from .._messages import AIMessage
from .._usage import Usage
from ..prices import Cost, Prices, cost_of
from ..prices import price_of as listed
from ..prices._reckon import names_of, price_on
from ..prices._terms import BILLED, Terms, terms_of
from ._options import Price


def price_of(model: Any, prices: Any, *, needed: bool, batch: bool = False) -> Price | None:
    """The function that prices answers; None where the model has no price. A spend cap without prices is a `UsageError`. `batch`:
    the answers come through the provider's batch API."""
    if prices is not None and not isinstance(prices, Prices):
        if not callable(prices):
            raise UsageError(
                "prices is a Prices table, or a function from an answer to US dollars (or None)", argument="prices"
            )
        return cast(Price, prices)
    # What a lookup of nothing says of the model: so that no call has to be looked up in vain.
    tried = listed(Usage(input_tokens=1, output_tokens=1), model.model, model.provider, prices=prices, batch=batch)
    if tried.total is None and model.provider not in BILLED:
        if needed:
            raise UsageError(
                f"max_cost needs a price for {model.model}: {tried.reason}; or cap tokens with max_tokens=",
                argument="max_cost",
            )
        return None
    return Pricer(prices, batch)


class Pricer:
    """Prices answers. `omitted` is what has no price: then the costs are lower bounds."""

    def __init__(self, prices: Prices | None, batch: bool) -> None:
        self.omitted: dict[str, None] = {}
        self._prices, self._batch = prices, batch
        # A look into the list takes longer than a call to a quick server: answers of the same size are looked up once.
        self._once = lru_cache(maxsize=8192)(self._look)

    def __call__(self, message: AIMessage) -> float | None:
        if len(message.attempts) > 1 or message.usage is None:
            return self._noted(cost_of(message, prices=self._prices, batch=self._batch))
        terms = terms_of(message.usage, message.provider or "", message, batch=self._batch)
        return self._once(replace(message.usage, raw=None), names_of(message), message.provider, terms)

    def _look(self, usage: Usage, names: tuple[str | None, ...], provider: str | None, terms: Terms) -> float | None:
        return self._noted(price_on(usage, names, provider, terms, prices=self._prices))

    def _noted(self, cost: Cost) -> float | None:
        for what in cost.omitted:
            self.omitted[what.lstrip("0123456789 ")] = None
        return cost.total
