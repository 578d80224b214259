"""The table of providers: one row each, data only. A row names its dialect, base URL, key variables and how the key goes.

Outside packages add rows through the entry point group `chatmodels.providers` (an object that is a `Provider`, or a callable
that gives one or several), or with `register()`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import Any, cast

import msgspec

from ._errors import UsageError


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One host. `dialect` is "module:Class" and `options` what its constructor takes beside the provider's name.

    `auth`: "bearer", "none" or "header:NAME". `key_env` lists the variables that may hold the key, first one
    first; `needs_key` is False for local servers. `base_url_env` lists variables that may hold the base URL (where there are
    none, `NAME_BASE_URL` may). `base_url` may hold `{name}` fields, filled from keyword arguments or from the variables that
    `env` names. `takes` lists further keyword arguments of the model class that go to the dialect (`env` may name variables
    for them too).
    `keyless` says how requests go without a key: "aws" (Signature V4), "google" or "azure" (their tokens). `exchange` says
    that the key is exchanged for a token first, and how ("ibm", "gigachat", "sap"); `auth_takes` lists the keyword arguments
    that this needs. `transport` is "http", "local", or "module:function", which makes the transport from a model's configuration.
    `docs` is the page the row was written from, and `checked` the month.
    """

    name: str
    dialect: str = "chatmodels.dialects.openai_chat:OpenAIChat"
    base_url: str = ""
    key_env: tuple[str, ...] = ()
    base_url_env: tuple[str, ...] = ()
    auth: str = "bearer"
    needs_key: bool = True
    headers: dict[str, str] = {}
    options: dict[str, Any] = {}
    quirks: tuple[str, ...] = ()
    default_model: str | None = None
    model_class: str | None = None
    transport: str = "http"
    takes: tuple[str, ...] = ()
    env: dict[str, str] = {}
    keyless: str = ""
    exchange: str = ""
    auth_takes: tuple[str, ...] = ()
    docs: str = ""
    checked: str = "2026-11"


_FIELD = re.compile(r"\{(\w+)\}")


def url_fields(row: Provider) -> list[str]:
    """The names of the fields in a row's base URL."""
    return _FIELD.findall(row.base_url)


def base_url_names(row: Provider) -> tuple[str, ...]:
    """The variables that may hold a row's base URL: those of its own, else NAME_BASE_URL (no fields to fill in, and HTTP)."""
    if row.base_url_env or row.transport != "http" or "{" in row.base_url:
        return row.base_url_env
    return (row.name.replace("-", "_").upper() + "_BASE_URL",)


def keywords(row: Provider) -> frozenset[str]:
    """The keyword arguments of a model that this row has beside those of every model."""
    return frozenset((*row.takes, *row.auth_takes, *url_fields(row)))


def load(path: str) -> Any:
    """The object that "module:name" names (our own rows and installed entry points only, never data)."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


#: The entry point group in which other packages register rows.
GROUP = "chatmodels.providers"

_ROWS: dict[str, Provider] = {}


def register(row: Provider) -> None:
    """Add a row, or replace the one of that name."""
    if not isinstance(row, Provider):
        raise UsageError(f"row is a Provider(name=..., base_url=...), not {type(row).__name__}", argument="row")
    _rows()[row.name] = row


def provider(name: str) -> Provider:
    """The row of that name; a UsageError lists near names."""
    found = _rows().get(name)
    if found is None:
        _read_entry_points()
        found = _ROWS.get(name)
    if found is None:
        from difflib import get_close_matches

        from ._providers_elsewhere import same_provider

        same = same_provider(name, _ROWS)
        near = [same] if same else get_close_matches(name, _ROWS, n=3, cutoff=0.5)
        hint = (
            f"did you mean {' or '.join(near)}?" if near else "docs/providers.md and `chatmodels models` list the names"
        )
        raise UsageError(f"no provider {name!r}; {hint}", argument="model")
    return found


def providers() -> dict[str, Provider]:
    """All rows by name, those of installed plug-ins included."""
    _rows()
    _read_entry_points()
    return dict(sorted(_ROWS.items()))


def _rows() -> dict[str, Provider]:
    if not _ROWS:
        from ._provider_rows import ROWS

        for row in ROWS:
            _ROWS.setdefault(row.name, row)
    return _ROWS


@cache
def _read_entry_points() -> None:
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP):
        for row in _rows_of(point):
            _ROWS.setdefault(row.name, row)


def _rows_of(point: Any) -> Iterable[Provider]:
    """The rows of one plug-in; what is wrong with it is told with its name."""
    try:
        found = point.load()
        given = found() if callable(found) else found
    except Exception as error:
        raise UsageError(f"the plug-in {point.name!r} ({point.value}) fails: {error!r}", argument="model") from error
    rows = tuple(cast("Iterable[object]", given)) if isinstance(given, Iterable) else (given,)
    for row in rows:
        if not isinstance(row, Provider):
            raise UsageError(
                f"the plug-in {point.name!r} ({point.value}) gives no Provider but {type(row).__name__}",
                argument="model",
            )
    return cast("tuple[Provider, ...]", rows)
