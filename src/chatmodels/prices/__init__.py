"""What tokens cost, in US dollars: by a table of your own, by what the provider says, or by the data inside genai-prices.

The classes that are priced are disjoint, so that a cached token is never counted twice. How a call was served (a provider's batch
API, a service tier) is part of its price. An unknown price is None, never 0.
"""

from __future__ import annotations

from ._cost import Cost, Price, Prices
from ._reckon import cost_of, price_of

__all__ = ["Cost", "Price", "Prices", "cost_of", "price_of"]
