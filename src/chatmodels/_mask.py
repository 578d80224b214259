"""Keys out of errors: a provider, or a gateway before it, may show in its error the key that it was sent. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._errors import ChatModelError
from ._json import is_array, is_object
from ._secret import Hidden

#: What stands in the place of a key.
MASK = "..."
#: Shorter ones are placeholders for local servers ("k", "none"), which stand in every other word.
_SHORTEST = 8
#: What of an error is no word of a provider's.
_OURS = ("attempts", "partial", "results")


def mask(error: ChatModelError, headers: Mapping[str, str], authorise: Any = None) -> None:
    """Take the secrets among a request's headers, and those of its authorisation, out of all that an error says."""
    known = [_bare(v) for v in headers.values() if isinstance(v, Hidden)]
    known += getattr(authorise, "secrets", ())
    secrets = [s for s in known if len(s) >= _SHORTEST]
    if not secrets:
        return
    for name, value in list(vars(error).items()):
        if name not in _OURS:
            setattr(error, name, _without(value, secrets))
    error.args = tuple(_without(list(error.args), secrets))
    cause: BaseException | None = error.__cause__
    while cause is not None and not isinstance(cause, ChatModelError):
        _mask_foreign(cause, secrets)
        cause = cause.__cause__


def _mask_foreign(cause: BaseException, secrets: list[str]) -> None:
    """What another error keeps of the bytes that could not be read, as one of a JSON reader does: reports and pickles show it."""
    if isinstance(cause, UnicodeDecodeError):
        cause.object = _without(cause.object, secrets)
    for name, value in list(vars(cause).items()):
        if isinstance(value, str | bytes):
            setattr(cause, name, _without(value, secrets))
    cause.args = tuple(_without(one, secrets) if isinstance(one, str | bytes) else one for one in cause.args)


def _bare(header: str) -> str:
    """The key of "Bearer sk-..."; another part of the header's text is no secret."""
    return str(header).rpartition(" ")[2]


def _without(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            if secret in value:
                value = value.replace(secret, MASK)
        return value
    if isinstance(value, bytes):
        for secret in secrets:
            value = value.replace(secret.encode(), MASK.encode())
        return value
    if is_object(value):
        return {_without(k, secrets): _without(v, secrets) for k, v in value.items()}
    return [_without(v, secrets) for v in value] if is_array(value) else value
