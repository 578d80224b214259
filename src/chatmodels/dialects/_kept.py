"""What one provider keeps on our parts and messages, under its own name in `provider_data`. Forgiving
readers of JSON.

Nothing kept by one provider is read for another: that is what keeps signatures and ids from leaking.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from .._call import Settings
from .._errors import UsageError
from .._schema_walk import is_array, is_object


class _Keeps(Protocol):
    @property
    def provider_data(self) -> dict[str, Any] | None: ...


def kept(value: _Keeps, provider: str, key: str) -> Any:
    """What `provider` keeps on a part, message or tool under `key`; None when there is nothing."""
    data = (value.provider_data or {}).get(provider)
    return data.get(key) if is_object(data) else None


def kept_dict(value: _Keeps, provider: str, key: str) -> dict[str, Any]:
    """The same, where a mapping is wanted: empty when there is none."""
    found = kept(value, provider, key)
    return found if is_object(found) else {}


def keep(provider: str, key: str, value: Any) -> dict[str, Any] | None:
    """`provider_data` that holds one thing; None for nothing."""
    return {provider: {key: value}} if value else None


def beside(item: dict[str, Any], *said: str) -> dict[str, Any]:
    """The fields of an item that the neutral part does not say; nulls say nothing."""
    return {k: v for k, v in item.items() if k not in said and v is not None}


def text(value: Any) -> str:
    """A str as it is; anything else (missing, null, a number) as the empty string."""
    return value if isinstance(value, str) else ""


def text_or_none(value: Any) -> str | None:
    """A str that is not empty, or None."""
    return value if isinstance(value, str) and value else None


def mapping(value: Any) -> dict[str, Any]:
    """A dict as it is; anything else as an empty one."""
    return value if is_object(value) else {}


def items(value: Any) -> list[Any]:
    """A list as it is; anything else as an empty one."""
    return value if is_array(value) else []


def count(value: Any) -> int | None:
    """A number of tokens; None for anything that is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value)


def settings_of(read: dict[str, Any]) -> Settings:
    """Settings from the fields of a request; a UsageError names the one whose value has the wrong type."""
    try:
        msgspec.convert(read, Settings)
    except msgspec.ValidationError as error:
        raise UsageError(f"the request has a setting of the wrong type: {error}", argument="body") from error
    return Settings(**read)
