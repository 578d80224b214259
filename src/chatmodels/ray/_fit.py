"""A model as it goes to a worker: what its pickle leaves out, which is handed over apart, and threads that fit the worker's share.

Knows nothing of batches.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .._config import key_of
from .._limits import Limits
from .._model import ChatModel
from .._providers import provider
from .._secret import Secret, hidden
from ..control._limiter import Limiter
from ._library import library
from ._limiter import RayLimiter


class Apart(msgspec.Struct, frozen=True):
    """What a model's pickle leaves out. It goes to a worker in a call of its own, and shows in no repr."""

    key: str | None
    headers: dict[str, str]
    proxy: str | None

    def __repr__(self) -> str:
        return "Apart(...)"


def apart(model: ChatModel) -> Apart:
    """What must go beside the model's pickle: the key that it has here, given in code or by the environment."""
    config = model._config
    key = key_of(config, provider(config.provider))
    headers = {name: str(value) for name, value in config.headers.items()}
    return Apart(None if key is None else key.reveal(), headers, config.http.proxy)


def whole(model: ChatModel, beside: Apart) -> ChatModel:
    """The model with what its pickle left out."""
    http = model._config.http
    if beside.proxy is not None:
        http = msgspec.structs.replace(http, proxy=beside.proxy)
    key = model._config.key if beside.key is None else Secret(beside.key)
    return model._changed(key=key, headers={**model._config.headers, **hidden(beside.headers)}, http=http)


def fitted(model: ChatModel) -> ChatModel:
    """In a worker: an embedded engine uses as many processors as Ray has given to the worker, unless its options say otherwise."""
    engine = model._config.engine
    cpus = int(library().get_runtime_context().get_assigned_resources().get("CPU", 0))
    if model.provider != "local" or "n_threads" in engine or cpus < 1:
        return model
    return model._changed(engine={**engine, "n_threads": cpus})


def limited(model: ChatModel, name: str, limiter: RayLimiter | None) -> ChatModel:
    """Limits of one process hold for the whole cluster: those of `with_limits` (in Redis they do already), and `limiter`."""
    layers: list[Any] = []
    for layer in model._config.layers:
        book = layer.limiter if isinstance(layer, Limits) else None
        if isinstance(book, Limiter):
            numbers = {
                "requests_per_minute": book.requests_per_minute,
                "tokens_per_minute": book.tokens_per_minute,
                "max_concurrency": book.max_concurrency,
            }
            layers.append(RayLimiter(f"{name}-{len(layers)}", **numbers).layer())
        else:
            layers.append(layer)
    found = model._changed(layers=tuple(layers))
    return found if limiter is None else found.with_layer(limiter.layer())


def limiters(model: ChatModel) -> list[RayLimiter]:
    """Those around the model's tries."""
    found = [layer.limiter for layer in model._config.layers if isinstance(layer, Limits)]
    return [limiter for limiter in found if isinstance(limiter, RayLimiter)]
