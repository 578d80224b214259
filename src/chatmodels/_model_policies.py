"""The policies of a model as methods: `with_retry`, `with_timeouts` and their kin. The model mixes them in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec

from ._options import retry_of, timeouts_of

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
    ) -> Self:
        """A model with another retry policy. `attempts` counts all tries; `base`, `cap` and `patience` are in seconds:
        the first wait, the longest wait, and the longest Retry-After that is waited for."""
        fields = {k: v for k, v in {"base": base, "cap": cap, "patience": patience}.items() if v is not None}
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
