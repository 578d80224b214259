"""The policies of a model as methods: `with_retry`, `with_timeouts` and their kin. The model mixes them in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec

from ._options import retry_of, timeouts_of
from ._retry import checked_on

if TYPE_CHECKING:
    from ._config import Config
    from ._layers import Layer, TryLayer
    from .caches import Cache

#: The default of an argument for which None means something.
_AS_IT_IS: Any = ...


class Policies:
    """What a model needs for this are its frozen configuration and `_changed`."""

    __slots__ = ()

    _config: Config

    def _changed(self, **changes: Any) -> Self:
        raise NotImplementedError

    def with_retry(
        self,
        *,
        attempts: int | None = None,
        base: float | None = None,
        cap: float | None = None,
        patience: float | None = None,
        on: Any = None,
    ) -> Self:
        """A model with another retry policy. `attempts` counts all tries; `base`, `cap` and `patience` are in seconds:
        the first wait, the longest wait, and the longest Retry-After that is waited for. `on`: the error classes that are tried
        again in place of the usual ones, or a function from an error to True or False."""
        fields: dict[str, Any] = {
            k: v for k, v in {"base": base, "cap": cap, "patience": patience}.items() if v is not None
        }
        if on is not None:
            fields["on"] = checked_on(on)
        return self._changed(retry=retry_of(attempts, self._config.retry, "attempts", **fields))

    def with_timeouts(
        self,
        *,
        connect: float | None = _AS_IT_IS,
        first_token: float | None = _AS_IT_IS,
        idle: float | None = _AS_IT_IS,
        total: float | None = _AS_IT_IS,
    ) -> Self:
        """A model with other deadlines, in seconds; None switches one off, what is not given stays."""
        given = {"connect": connect, "first_token": first_token, "idle": idle, "total": total}
        have = msgspec.structs.asdict(self._config.timeouts)
        return self._changed(timeouts=timeouts_of({**have, **{k: v for k, v in given.items() if v is not _AS_IT_IS}}))

    def with_fallback(self, *others: Any, on: Any = None, breaker: Any = ...) -> Self:
        """A model that asks `others` (models, or names such as "openai:gpt-4o-mini"), in their order, when it fails.

        `on`: the error classes that another model is asked after, or a function from an error to True or False; by default
        overload, rate limits after their retries, an account without credit, connections, deadlines, broken streams, and a
        context too long.
        `breaker`: a `control.Breaker(failures=, seconds=)`, or None for none. Raises `control.FallbackError` when all fail.

        >>> chat = ChatModel("openai:gpt-4o").with_fallback("anthropic:claude-sonnet-4-5")  # doctest: +SKIP
        """
        from .control._layers import fallback_layer

        return self.with_layer(fallback_layer(self, others, on, breaker))

    def with_limits(
        self,
        *,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        max_concurrency: int | None = None,
        shared: Any = None,
    ) -> Self:
        """A model whose tries wait in line so that these limits hold, and what the provider's rate-limit headers say.

        Tokens are estimated before and corrected after. The models made from this one share its limits; `shared` is a
        `control.Limiter` that others use too, or the address of a Redis server ("redis://...") for several processes. Raises
        `control.LimitError` at once where there is no room before the deadline.

        >>> chat = ChatModel("local").with_limits(requests_per_minute=60, max_concurrency=4)
        """
        from .control._layers import limits_layer

        return self.with_layer(limits_layer(self, requests_per_minute, tokens_per_minute, max_concurrency, shared))

    def with_hedge(self, after: float, *, other: Any = None, most: int = 1) -> Self:
        """A model that tries a second time, beside the first, when nothing has come after so many seconds; the first to
        answer wins, the other's connection is closed, and both are in `attempts`. `other` is the model to try, if not the same;
        `most` is how many further tries may be begun, each after as long a silence.

        >>> chat = ChatModel("local").with_hedge(after=2.0)
        """
        from .control._layers import hedge_layer

        return self.with_layer(hedge_layer(self, after, other, most))

    def with_layer(self, layer: Layer | TryLayer) -> Self:
        """A model with one more policy around its calls; see `chatmodels.layers`."""
        return self._changed(layers=(*self._config.layers, layer))

    def with_cache(self, cache: Cache | bool | None = None, *, ttl: float | None = None) -> Self:
        """A model whose answers come from a cache where it has them: `with_cache()` keeps them in this process's memory,
        `with_cache(cache)` where you say, for `ttl` seconds; `with_cache(False)` asks no cache, also not `set_llm_cache`'s.

        >>> chat = ChatModel().with_cache(ttl=3600)  # doctest: +SKIP
        """
        from .caches import with_cache

        return self._changed(layers=with_cache(self._config.layers, cache, ttl))

    def with_callbacks(self, *handlers: Any) -> Self:
        """A model that tells these handlers too."""
        return self._changed(handlers=(*self._config.handlers, *handlers))
