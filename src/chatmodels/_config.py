"""A model's frozen configuration, and what follows from it: the key, the address, the headers, the plan of a call."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from ._auth import AskedKey
from ._call import Settings
from ._errors import MissingKeyError, UsageError
from ._flow import Target, Timeouts
from ._http import transport
from ._http_common import HTTPConfig
from ._layers import Layer, TryLayer, sorted_layers
from ._plan import Plan
from ._providers import Provider, base_url_names, load, provider, url_fields
from ._quirks import QUIRKS
from ._retry import Budget, Retry
from ._secret import Hidden, Secret
from ._version import __version__

if TYPE_CHECKING:
    from ._output import Output
    from ._tools import Tool


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All that makes up a model. `key` is None where it is read from the environment (or not needed), or where `key_source` is
    a function that gives it before each request."""

    provider: str
    model: str
    named: bool = True  # False: the model is the row's default
    settings: Settings = Settings()
    tools: tuple[Tool, ...] = ()
    output: Output[Any] | None = None
    key: Secret | None = None
    key_source: Callable[[], object] | None = None
    base_url: str | None = None
    organization: str | None = None
    headers: dict[str, str] = {}
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    handlers: tuple[Any, ...] = ()
    streaming: bool = False
    http: HTTPConfig = HTTPConfig()
    http_client: Any = None
    layers: tuple[Layer | TryLayer, ...] = ()
    engine: dict[str, Any] = {}
    provider_options: dict[str, Any] = {}


def base_url_of(config: Config, row: Provider) -> str:
    """The address: given, from the environment, or the row's; its `{name}` fields filled in."""
    url = config.base_url or next((v for n in base_url_names(row) if (v := os.environ.get(n))), None) or row.base_url
    url = url.rstrip("/") if row.transport == "http" else url
    for name in url_fields(row) if "{" in url else ():
        value = config.provider_options.get(name) or os.environ.get(row.env.get(name, ""))
        if not value:
            where = f", or set {row.env[name]}" if name in row.env else ""
            raise UsageError(f"{row.name} needs {name}=: give it to the model{where}", argument=name)
        plain = str(value).startswith("http://")  # a gateway on one's own network
        url = url.replace(("https://" if plain else "") + "{" + name + "}", _host(str(value)))
    if row.transport == "http":
        _check_url(url, row.name)
    return url


def _host(value: str) -> str:
    """A field's value as a part of a URL: people copy whole addresses."""
    return value.removeprefix("https://").rstrip("/")


def _check_url(url: str, name: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UsageError(f"{name}: base_url {_hidden(url)!r} is no address: {error}", argument="base_url") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"{name}: base_url is an http:// or https:// address such as 'https://host/v1'; got {_hidden(url)!r}",
            argument="base_url",
        )
    if "@" in parts.netloc:
        raise UsageError(
            f"{name}: base_url holds a name or password, {_hidden(url)!r}: give it as headers={{'authorization': ...}}",
            argument="base_url",
        )
    ends = next((end for end in _PATHS if parts.path.endswith(end)), None)
    if ends is not None:
        raise UsageError(
            f"{name}: base_url goes up to what stands before {ends!r}, which is added to it: give {url.removesuffix(ends)!r}",
            argument="base_url",
        )
    if parts.query or parts.fragment:
        raise UsageError(
            f"{name}: base_url goes up to '/v1' or the like and has no '?' or '#': what stands behind would not be sent; "
            "an API version of Azure is api_version= of 'azure:...'",
            argument="base_url",
        )


#: What people copy along with an address.
_PATHS = ("/chat/completions", "/v1/messages", "/responses", "/v1/completions")


def _hidden(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//...@", url)


#: Keyword arguments that say how to go without a key; given, they outweigh a key in the environment.
_INSTEAD_OF_A_KEY = ("azure_ad_token_provider", "profile")


def key_of(config: Config, row: Provider) -> Secret | None:
    """The key, or None for a host that needs none; a MissingKeyError names the parameter and the variable."""
    if config.key:
        return config.key
    if config.key_source is not None:
        return None
    if row.keyless and any(config.provider_options.get(name) for name in _INSTEAD_OF_A_KEY):
        return None
    for name in row.key_env:
        value = os.environ.get(name, "").strip()
        if value:
            return Secret(value)
    if not row.needs_key or row.keyless:
        return None
    variable = row.key_env[0] if row.key_env else None
    parameter = f"{row.name}_api_key" if row.name in _NAMED_KEYS else "api_key"
    where = f"set the environment variable {variable}, or pass {parameter}=" if variable else f"pass {parameter}="
    also = "" if parameter == "api_key" else " (or api_key=)"
    keyless = "A server that wants no key takes any: api_key='none'. " if config.base_url else ""
    raise MissingKeyError(
        f"no API key for {row.name}: {where}{also}. {keyless}Without any key, ChatModel('local') runs here, and "
        "`chatmodels practice` stands in for providers.",
        argument=parameter,
        provider=row.name,
    )


_NAMED_KEYS = ("openai", "anthropic", "google", "cohere", "mistral")


def headers_of(config: Config, row: Provider, key: Secret | None) -> dict[str, str]:
    """The headers of every request, the key among them."""
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream, */*",
        "accept-encoding": "identity",
        "user-agent": f"chatmodels/{__version__}",
        **row.headers,
    }
    if config.organization:
        headers["openai-organization"] = config.organization
    if key is not None:
        if row.auth == "bearer":
            headers["authorization"] = Hidden(f"Bearer {key.reveal()}")
        elif row.auth.startswith("header:"):
            headers[row.auth[7:]] = Hidden(key.reveal())
    headers.update({name.lower(): value for name, value in config.headers.items()})
    for name, value in headers.items():
        if not value.isascii() or "\n" in value or "\r" in value:
            secret = name in ("authorization", row.auth[7:])
            said = "the key holds" if secret else f"the header {name} holds"
            raise UsageError(
                f"{said} a line break or a character that is not ASCII, which a header cannot carry",
                argument="api_key" if secret else "headers",
            )
    return headers


def dialect_of(config: Config, row: Provider) -> Any:
    """The row's dialect, with its options and quirks."""
    options: dict[str, Any] = dict(row.options)
    options.update({k: v for k in row.takes if (v := os.environ.get(row.env.get(k, "")))})
    options.update({k: v for k, v in config.provider_options.items() if k in row.takes})
    if row.quirks:
        options["quirks"] = tuple(QUIRKS[name] for name in row.quirks)
    return load(row.dialect)(row.name, **options)


def transport_of(config: Config, row: Provider) -> Any:
    """What performs the sending."""
    if row.transport == "local":
        from ._local import local_transport

        return local_transport(config.model, config.engine)
    if ":" in row.transport:
        return load(row.transport)(config)
    if config.http_client is not None:
        from ._http_client import client_transport

        return client_transport(config.http_client)
    return transport(config.http)


def _authorise(config: Config, row: Provider, key: Secret | None, base_url: str, headers: dict[str, str]) -> Any:
    """How requests without a fixed key are authorised, by the row's `keyless` or `exchange`; None: the key is in the headers."""
    if config.key_source is not None:
        return _asked_key(config.key_source, row.name, row.auth)
    if not (row.exchange if key is not None else row.keyless):
        return None
    from . import _credentials

    if key is not None:
        return _credentials.exchange(
            row.exchange, key, config.provider_options, config.timeouts, transport_of(config, row)
        )
    if row.keyless == "aws":
        return _credentials.signature(config.provider_options, base_url, headers)
    if row.keyless == "google":
        return _credentials.google_token()
    provider = config.provider_options.get("azure_ad_token_provider")
    if provider is not None:
        return _asked_key(provider, row.name, "bearer", "azure_ad_token_provider")
    return _credentials.azure_token()


def _asked_key(source: Callable[[], Any], name: str, auth: str, argument: str = "api_key") -> AskedKey:
    from inspect import iscoroutinefunction

    if not (iscoroutinefunction(source) or iscoroutinefunction(getattr(source, "__call__", None))):  # noqa: B004
        return AskedKey(name, auth, source, argument=argument)

    def waited() -> object:
        from ._portal import portal

        return portal().run(source())

    return AskedKey(name, auth, waited, source, argument)


def plan_of(config: Config, budget: Budget) -> Plan:
    """Everything that a call needs, made once per model."""
    row = provider(config.provider)
    key = key_of(config, row)
    headers = headers_of(config, row, key)
    base_url = base_url_of(config, row)
    target = Target(
        base_url,
        headers,
        config.timeouts,
        transport_of(config, row),
        _authorise(config, row, key, base_url, headers),
    )
    layers, tries = sorted_layers(config.layers) if config.layers else ((), ())
    return Plan(
        dialect_of(config, row),
        target,
        config.retry,
        budget,
        config.handlers,
        config.streaming,
        layers,
        tries,
        _not_found(config, row, base_url),
    )


def _not_found(config: Config, row: Provider, base_url: str) -> str:
    """What a 404 most likely means for this model. (Models end: who named none should know which one is not there.)"""
    if not config.named:
        return (
            f" (no model was named: {config.model!r} is the default of chatmodels for {row.name}, which may have ended it "
            f"since; name another: ChatModel('{row.name}:...') or model=...)"
        )
    if row.transport == "http" and not urlsplit(base_url).path and urlsplit(row.base_url).path == "/v1":
        return f" (base_url {base_url!r} has no path: most servers of this format want one that ends in '/v1')"
    return ""
