"""What a model is made of: its configuration, from the arguments it was given, the environment and the provider's row."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, cast

from ._config import Config, base_url_of, key_of
from ._errors import UsageError
from ._http_common import HTTPConfig
from ._options import POLICIES, handlers_of, policies_of, retry_of, settings_of, timeouts_of
from ._providers import Provider, keywords, provider, providers
from ._providers_elsewhere import full_name
from ._secret import Hidden, Secret, hidden


def config_of(name: str, model: str | None, given: dict[str, Any], own: frozenset[str] = frozenset()) -> Config:
    """The configuration of a model of the provider `name`; `own`: keyword arguments of its class. Takes `given` apart."""
    row = provider(name)
    policy = policies_of({k: given.pop(k) for k in list(given) if k in POLICIES})
    mine = own.union(keywords(row))
    extra = {k: given.pop(k) for k in list(given) if k in mine}
    config = Config(
        provider=name,
        model=model or row.default_model or _need_model(name),
        named=bool(model),
        settings=settings_of(given),
        key=_key(policy.get("api_key")),
        key_source=_key_source(policy.get("api_key"), row),
        base_url=_base_url(policy.get("base_url")),
        organization=policy.get("organization") or _organization(name),
        headers=hidden(policy.get("headers") or {}),
        timeouts=timeouts_of(policy.get("timeout")),
        retry=retry_of(policy.get("max_retries")),
        handlers=handlers_of(policy.get("callbacks")),
        streaming=bool(policy.get("streaming")),
        http=_http(policy, name),
        http_client=policy.get("http_client"),
        layers=_cache_layers(policy.get("cache")),
        engine=extra.get("engine_options") or {},
        provider_options={k: v for k, v in extra.items() if k != "engine_options" and v is not None},
    )
    key_of(config, row)
    base_url_of(config, row)
    return config


def names_of(model: str | None, own: str | None = None) -> tuple[str, str | None]:
    """Provider and model of "provider:model"; the model may be missing. `own`: the provider that a class stands for."""
    if model is not None and not isinstance(model, str):
        raise UsageError(f"model is a str such as 'openai:gpt-4o', not {type(model).__name__}", argument="model")
    if own is None:
        return _split(model or os.environ.get("CHATMODELS_MODEL") or "local")
    if model is None:
        return own, None
    head, found, rest = model.partition(":")
    return (own, rest or None) if found and head == own else (own, None if model == own else model)


def _split(name: str) -> tuple[str, str | None]:
    head, found, rest = name.partition(":")
    if not found and not _is_provider(name):
        likely = full_name(name, providers())
        raise UsageError(
            f"{name!r} does not say which provider: write 'provider:model', e.g. {likely!r}", argument="model"
        )
    return head, rest or None


def _is_provider(name: str) -> bool:
    try:
        provider(name)
    except UsageError:
        return False
    return True


def _need_model(name: str) -> str:
    raise UsageError(f"{name} has no default model: give model=, e.g. ChatModel('{name}:...')", argument="model")


def _key(given: Any) -> Secret | None:
    if given is None or _is_function(given):
        return None
    if hasattr(given, "get_secret_value"):
        given = given.get_secret_value()
    if isinstance(given, Secret):
        return given
    if not isinstance(given, str):
        raise UsageError(
            f"api_key is a str, or a function that gives one, not {type(given).__name__}", argument="api_key"
        )
    return Secret(given.strip()) if given.strip() else None


def _is_function(given: object) -> bool:
    return callable(given)


def _key_source(given: Any, row: Provider) -> Callable[[], object] | None:
    """The function that gives the key, where api_key is one."""
    if not callable(given):
        return None
    if row.exchange or row.auth == "none" or row.transport != "http":
        raise UsageError(
            f"{row.name} takes no function as api_key: "
            + ("its key is exchanged for a token, so give a str" if row.exchange else "it has no key in a header"),
            argument="api_key",
        )
    return cast("Callable[[], object]", given)


def _base_url(given: Any) -> str | None:
    if given is None or isinstance(given, str):
        return given.rstrip("/") if given else None
    return str(given).rstrip("/")


def _organization(name: str) -> str | None:
    if name != "openai":
        return None
    return os.environ.get("OPENAI_ORGANIZATION") or os.environ.get("OPENAI_ORG_ID") or None


def _http(policy: dict[str, Any], name: str) -> HTTPConfig:
    proxy = policy.get("proxy")
    if proxy is None and name == "openai":
        proxy = os.environ.get("OPENAI_PROXY") or None
    if proxy:
        proxy = Hidden(proxy)
    verify = policy.get("verify")
    return HTTPConfig(proxy=proxy, verify=True if verify is None else verify, cert=policy.get("cert"))


def _cache_layers(cache: Any) -> tuple[Any, ...]:
    """What `cache=` asks for: True the process's cache, False none, a cache that one; None leaves it open."""
    if cache is None:
        return ()
    from .caches import layer_of

    return (layer_of(cache),)
