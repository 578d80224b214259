"""What usage costs: by the caller's table, else the provider's own bill, else the price list. Knows no network: prices are those
that the installed release of genai-prices holds.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from msgspec.structs import replace

from .._errors import UsageError
from .._messages import AIMessage
from .._usage import Attempt, Usage
from ._cost import Cost, Price, Prices, checked_prices
from ._list import by_list
from ._spent import counted, uncounted
from ._terms import CHECKED, FACTORS, PLACES, PROVIDERS, Terms, terms_of

_MILLION = 1_000_000
#: Where the model runs on the user's own machine.
_OWN = ("local",)


def price_of(
    usage: Usage | AIMessage | Attempt | None,
    model: str | None = None,
    provider: str | None = None,
    *,
    at: date | datetime | None = None,
    prices: Prices | None = None,
    batch: bool = False,
    tier: str | None = None,
) -> Cost:
    """What the tokens cost. `usage` may be an answer, which names its model, provider and service tier itself, or one try of the
    ledger (`answer.attempts`), whose sum is `cost_of(answer)`; `at` is the day
    (today in UTC, where not given). `batch`: it came through the provider's batch API; `tier`: the service tier ("flex",
    "priority", ...), instead of the one that usage or answer tell.

    `total` is None, with a `reason`, when the tokens or the price are not known. The embedded model costs 0.

    >>> price_of(Usage(input_tokens=10, output_tokens=3), "no-such-model", "openai").total is None
    True
    """
    _check(usage, model, provider, at, prices)
    if isinstance(usage, Attempt):
        tried = replace(usage, model=model or usage.model, provider=provider or usage.provider)
        return price_of_try(tried, counted(tried, None), None, at=at, prices=prices, batch=batch, tier=tier)
    message = usage if isinstance(usage, AIMessage) else None
    names: tuple[str | None, ...] = (model,)
    if isinstance(usage, AIMessage):
        names, provider, usage = names_of(usage, model), provider or usage.provider, usage.usage
    terms = terms_of(usage, provider or "", message, batch=batch, tier=tier)
    return price_on(usage, names, provider, terms, at=at, prices=prices)


def _check(usage: object, model: object, provider: object, at: object, prices: object) -> None:
    checked_prices(prices)
    if usage is not None and not isinstance(usage, Usage | AIMessage | Attempt):
        raise UsageError(
            f"usage is a Usage, an answer, or one of its attempts; got {type(usage).__name__}", argument="usage"
        )
    for name, given in (("model", model), ("provider", provider)):
        if given is not None and not isinstance(given, str):
            raise UsageError(f"{name} is a name; got {given!r}", argument=name)
    if at is not None and not isinstance(at, date):
        raise UsageError(f"at is a datetime.date; got {at!r}", argument="at")


def names_of(message: AIMessage, model: str | None = None) -> tuple[str | None, ...]:
    """What an answer's model may be called in a table: as it was answered ("gpt-4o-mini-2024-07-18"), and as it was asked for."""
    asked = message.attempts[-1].model if message.attempts else None
    return (model,) if model is not None else (message.model, asked)


def price_on(
    usage: Usage | None,
    names: tuple[str | None, ...],
    provider: str | None,
    terms: Terms,
    *,
    at: date | datetime | None = None,
    prices: Prices | None = None,
) -> Cost:
    """`price_of`, on terms that are known. Of the model's names, the first that a table knows; the caller's table goes first."""
    when = at if isinstance(at, datetime) else datetime.now(UTC) if at is None else datetime.combine(at, time(), UTC)
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    provider = provider or ""
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return Cost(reason="the provider did not say how many tokens it took")
    if usage.inconsistent:
        return Cost(reason="the provider's token counts contradict each other")
    named = [name for name in dict.fromkeys(names) if name is not None]
    if not named:
        return Cost(reason="no model is named")
    for name in named if prices is not None else ():
        own = _found(prices, name, provider, when.date(), usage.input_tokens)
        if own is not None:
            return _by_price(usage, own, when.date(), terms, provider)
    if provider in _OWN:
        return Cost(total=0.0, input=0.0, output=0.0, source="it runs on this machine", dated=when.date())
    if terms.told is not None and at is None:
        return Cost(total=terms.told, source=f"told by {provider}", dated=when.date())
    tried = [by_list(usage, name, PROVIDERS.get(provider, provider), when, terms) for name in named[:1]]
    if tried[0].total is None:
        tried += [by_list(usage, name, PROVIDERS.get(provider, provider), when, terms) for name in named[1:]]
    return next((cost for cost in tried if cost.total is not None), tried[-1])


def _found(prices: Prices | None, name: str, provider: str, day: date, given: int) -> Price | None:
    """The caller's price; a table for "openai" holds for its Responses API as well."""
    if prices is None:
        return None
    return prices.find(name, provider, day, given) or prices.find(name, PROVIDERS.get(provider, provider), day, given)


def cost_of(
    message: AIMessage,
    *,
    at: date | datetime | None = None,
    prices: Prices | None = None,
    batch: bool = False,
    tier: str | None = None,
) -> Cost:
    """What an answer cost: all of its tries that used tokens. Nothing for one from a cache. `batch`: it came through the
    provider's batch API; `tier`: as in `price_of`.

    >>> answer = AIMessage("Hi", model="gpt-4o-mini", provider="openai", usage=Usage(input_tokens=10**6, output_tokens=0))
    >>> table = Prices({"gpt-4o-mini": Price(input=0.15, output=0.60)})
    >>> cost_of(answer, prices=table).total, cost_of(answer, prices=table, batch=True).total
    (0.15, 0.075)
    """
    if not isinstance(message, AIMessage):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"cost_of takes an answer; got {type(message).__name__}", argument="message")
    _check(None, None, None, at, prices)
    if message.from_cache:
        return Cost(total=0.0, input=0.0, output=0.0, source="from the cache")
    tried = [a for a in message.attempts if a.usage is not None]
    if not tried:
        cost = price_of(message, at=at, prices=prices, batch=batch, tier=tier)
    else:
        last = tried[-1]
        costs = [
            price_of_try(
                a, counted(a, message if a is last else None), message, at=at, prices=prices, batch=batch, tier=tier
            )
            for a in tried
        ]
        cost = sum(costs[1:], costs[0])
    left = uncounted(message.attempts)
    return replace(cost, omitted=(*cost.omitted, *left)) if left else cost


def price_of_try(
    attempt: Attempt,
    usage: Usage | None,
    message: AIMessage | None,
    *,
    at: date | datetime | None = None,
    prices: Prices | None = None,
    batch: bool = False,
    tier: str | None = None,
) -> Cost:
    """What one try cost: by the name of the model that answered, where it did and its price is known, else by the one that was
    asked for (either may be the name of a deployment). `message` is the call's answer, or the part of it that came."""
    ok = message is not None and attempt.outcome == "ok" and attempt.provider in (None, message.provider)
    told = message if ok else None
    provider = attempt.provider or ("" if told is None else told.provider) or ""
    terms = terms_of(usage, provider, told, batch=batch, tier=tier)
    answered = message.model if message is not None and attempt.outcome == "ok" else None
    return price_on(usage, (answered, attempt.model), provider, terms, at=at, prices=prices)


def _by_price(usage: Usage, price: Price, day: date, terms: Terms, provider: str) -> Cost:
    known = PROVIDERS.get(provider, provider)
    factor = 1.0 if terms.name is None else price.factors.get(terms.name, FACTORS.get((known, terms.name)))
    if factor is None:
        return Cost(
            reason=f"prices= does not say what {terms.name!r} costs: Price(..., factors={{{terms.name!r}: ...}})"
        )
    factor *= PLACES.get((known, terms.place or ""), 1.0)
    # Google gives no second discount on what its cache has read, unless the table says so (ai.google.dev/gemini-api/docs/pricing).
    once = known == "google" and terms.batch and "batch" not in price.factors
    given, reading, writing = _input(usage, price)
    reading, writing = reading if once else reading * factor, writing * factor
    given = given * factor + reading + writing
    made = _output(usage, price) * factor
    fees = terms.web_searches * (price.web_search or 0.0) / 1000
    return Cost(
        total=given + made + fees, input=given, output=made, tools=fees, cache_read=reading, cache_write=writing,
        source="prices=" if terms.name is None else f"prices=, {terms.name}", dated=price.since or day,
        estimated=usage.estimated, omitted=_not_in(price, usage, terms),
    )  # fmt: skip


def _input(usage: Usage, price: Price) -> tuple[float, float, float]:
    """What the input costs: the plain tokens, those read from a cache, those written to one."""
    read, write = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    hour = min(usage.cache_write_1h_tokens or 0, write)
    write_price = price.input if price.cache_write is None else price.cache_write
    hour_price = write_price if price.cache_write_1h is None else price.cache_write_1h
    reading = read * (price.input if price.cache_read is None else price.cache_read)
    writing = (write - hour) * write_price + hour * hour_price
    plain = usage.uncached_input_tokens or 0
    audio = min(plain, usage.input_audio_tokens or 0)
    audio_price = price.input if price.input_audio is None else price.input_audio
    given = (plain - audio) * price.input + audio * audio_price
    return given / _MILLION, reading / _MILLION, writing / _MILLION


def _output(usage: Usage, price: Price) -> float:
    made = usage.output_tokens or 0
    audio = min(made, usage.output_audio_tokens or 0)
    audio_price = price.output if price.output_audio is None else price.output_audio
    return ((made - audio) * price.output + audio * audio_price) / _MILLION


def _not_in(price: Price, usage: Usage, terms: Terms) -> tuple[str, ...]:
    """What a total by this price leaves out."""
    found = list(terms.others)
    if terms.web_searches and price.web_search is None:
        found.append(f"{terms.web_searches} web search(es)")
    if terms.file_searches:
        found.append(f"{terms.file_searches} file search(es)")
    if terms.image_tokens:
        found.append(f"what {terms.image_tokens} tokens of pictures cost more than text")
    for name, count in (("input_audio", usage.input_audio_tokens), ("output_audio", usage.output_audio_tokens)):
        if count and getattr(price, name) is None:
            found.append(f"what {count} tokens of {name.replace('_', ' ')} cost more than text")
    return tuple(found)


__all__ = ["CHECKED", "cost_of", "names_of", "price_of", "price_of_try", "price_on"]
