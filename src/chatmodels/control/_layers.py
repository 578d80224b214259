"""The arguments of `with_fallback`, `with_hedge` and `with_limits`, checked, as layers. Imported where they are first used."""

from __future__ import annotations

from typing import Any, cast

from .._breaker import Breaker
from .._checks import number, whole, whole_or_none
from .._errors import UsageError
from .._fallback import DEFAULT, Fallback
from .._fallback_other import Other
from .._hedge import Hedge
from .._limits import Limits
from .._model import ChatModel
from .._retry import checked_on
from ._circuits import circuit
from ._limiter import Limiter
from ._race import RUNNERS


def fallback_layer(model: Any, others: tuple[Any, ...], on: Any, breaker: Any) -> Fallback:
    """The layer of `with_fallback`."""
    if not others:
        raise UsageError("with_fallback needs a model to fall back to: with_fallback(other)", argument="others")
    if breaker is ...:
        breaker = Breaker()
    elif breaker is not None and not isinstance(breaker, Breaker):
        raise UsageError(f"breaker is a Breaker(failures=, seconds=), or None; got {breaker!r}", argument="breaker")
    found = [Other(_model(one, "others"), model._config.settings) for one in others]
    return Fallback(found, DEFAULT if on is None else checked_on(on), breaker, circuit)


def hedge_layer(model: Any, after: Any, other: Any, most: Any) -> Hedge:
    """The layer of `with_hedge`."""
    silence, further = number("after", after), whole("most", most)
    found = None if other is None else Other(_model(other, "other"), model._config.settings)
    return Hedge(silence, found, further, RUNNERS)


def limits_layer(model: Any, requests: Any, tokens: Any, concurrency: Any, shared: Any) -> Limits:
    """The layer of `with_limits`."""
    numbers = {
        "requests_per_minute": whole_or_none("requests_per_minute", requests),
        "tokens_per_minute": whole_or_none("tokens_per_minute", tokens),
        "max_concurrency": whole_or_none("max_concurrency", concurrency),
    }
    if shared is None:
        return Limits(Limiter(**numbers))
    if not isinstance(shared, str):
        if any(v is not None for v in numbers.values()):
            raise UsageError("a Limiter has its own numbers: give them to it, not to with_limits", argument="shared")
        if not callable(getattr(cast(object, shared), "enter", None)):
            raise UsageError(
                f"shared is a Limiter, or the address of a Redis server; got {type(shared).__name__}", argument="shared"
            )
        return Limits(shared)
    from ._redis import RedisLimiter

    plan = model._own_plan()
    name = f"{plan.dialect.provider}:{plan.target.base_url}:{model.model}"
    return Limits(RedisLimiter(shared, name, **numbers))


def _model(given: Any, argument: str) -> ChatModel:
    made = ChatModel(given) if isinstance(given, str) else given
    if not isinstance(made, ChatModel):
        raise UsageError(
            f"{argument}: a chat model or its name ('provider:model'), not {type(given).__name__}; an output type or tools "
            "are for the model that falls back: model.with_fallback(other).with_output(...)",
            argument=argument,
        )
    return made
