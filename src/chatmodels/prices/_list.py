"""Prices by the list of genai-prices (the extra `prices`): dates, tiers of length, batch APIs, service tiers, searches.

Where the list has no price for the terms of a call it would answer with the standard price: then the provider's general factor
holds, or the price is unknown. Imports genai-prices only when it is asked.
"""

from __future__ import annotations

from datetime import datetime
from importlib import import_module
from typing import Any

from msgspec.structs import replace

from .._usage import Usage
from ._cost import Cost
from ._terms import CHECKED, FACTORS, PLACES, Terms

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


def by_list(usage: Usage, model: str, provider: str, when: datetime, terms: Terms) -> Cost:
    """The cost by the list. `provider` is the list's name of it."""
    try:
        genai: Any = import_module("genai_prices")
    except ImportError:
        return Cost(reason="no price is known: pip install 'chatmodels[prices]', or give prices=Prices({...})")
    context = _context(terms, provider)
    try:
        found = genai.calc_price(
            genai.Usage(**_counts(usage, terms)), model, provider_id=provider or None, genai_request_timestamp=when,
            **({"price_context": context} if context else {}),
        )  # fmt: skip
    except LookupError:
        return Cost(reason=f"genai-prices {genai.__version__} does not know {provider or 'any provider'}:{model}")
    except ValueError as error:
        return Cost(reason=f"genai-prices {genai.__version__} cannot price these counts: {error}")
    factor = 1.0 if not context or _has(found, context, when) else _factor(usage, provider, terms)
    if factor is None:
        return Cost(reason=_unknown(genai.__version__, found, terms))
    cost = _cost(found, terms, factor, f"genai-prices {genai.__version__}, {found.provider.id}:{found.model.id}")
    return replace(cost, dated=when.date(), estimated=usage.estimated)


def _context(terms: Terms, provider: str) -> dict[str, str]:
    if terms.name is None:
        return {}
    if terms.batch:
        return {"processing": "batch"}
    return {"speed" if provider == "anthropic" and terms.tier == "fast" else "service_tier": terms.name}


def _counts(usage: Usage, terms: Terms) -> dict[str, int]:
    counts = {theirs: n for ours, theirs in _COUNTS.items() if (n := getattr(usage, ours))}
    if terms.web_searches:
        counts["web_searches"] = terms.web_searches
    if terms.file_searches:
        counts["storage_searches"] = terms.file_searches
    if terms.image_tokens:
        counts["output_image_tokens"] = terms.image_tokens
    return {"input_tokens": 0, "output_tokens": 0, **counts}


def _has(found: Any, context: dict[str, str], when: datetime) -> bool:
    """Has the list a price of this model for these terms on this day?"""
    if not any(found.model is model for model in found.provider.models):
        return False  # a model that the provider only passes on
    return any(
        all(context.get(key) == value for key, value in variant.when.items())
        for variant in found.model.price_variants or ()
        if variant.constraint is None or variant.constraint.active(when)
    )


def _factor(usage: Usage, provider: str, terms: Terms) -> float | None:
    """The share of the standard price that the provider takes from everybody."""
    if usage.cache_read_tokens and provider in ("google", "groq"):
        return None  # there a cache's discount and this one do not add up
    return FACTORS.get((provider, terms.name or ""))


def _unknown(version: str, found: Any, terms: Terms) -> str:
    return (
        f"genai-prices {version} does not know what {found.provider.id}:{found.model.id} costs with {terms.name!r}; give "
        f"prices=Prices({{{found.model.id!r}: Price(..., factors={{{terms.name!r}: ...}})}})"
    )


def _cost(found: Any, terms: Terms, factor: float, source: str) -> Cost:
    share = factor * PLACES.get((found.provider.id, terms.place or ""), 1.0)
    given, made = float(found.input_price) * share, float(found.output_price) * share
    fees = float(found.total_price - found.input_price - found.output_price)
    total = float(found.total_price) if share == 1 else given + made + fees
    if terms.name is not None:
        source += f", {terms.name}"
    if factor != 1.0:
        source += f", {factor:g} of the standard price ({CHECKED:%Y-%m})"
    return Cost(total=total, input=given, output=made, tools=fees, source=source, omitted=_not_in(found, terms))


def _not_in(found: Any, terms: Terms) -> tuple[str, ...]:
    """What the list has no price for."""
    left = list(terms.others)
    for count, key, word in (
        (terms.web_searches, "web_searches_kcount", "web search(es)"),
        (terms.file_searches, "storage_searches_kcount", "file search(es)"),
    ):
        if count and getattr(found.model_price, key, None) is None:
            left.append(f"{count} {word}")
    return tuple(left)
