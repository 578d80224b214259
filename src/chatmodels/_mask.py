"""Keys out of errors: a provider, or a gateway before it, may show in its error the key that it was sent. Values only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ._errors import ChatModelError
from ._json import is_array, is_object
from ._secret import Hidden

#: What stands in the place of a key.
MASK = "..."
#: Shorter ones are placeholders for local servers ("k", "none"), which stand in every other word.
_SHORTEST = 8
#: Headers that hold no secret, whoever gave them: an error that names a wrong version must show it.
_OPEN = re.compile(r"(?i)(^|-)(accept|agent|beta|encoding|language|referer|title|type|version)$")
#: What of an error is no word of a provider's.
_OURS = ("attempts", "partial", "results")


def mask(error: ChatModelError, headers: Mapping[str, str], authorise: Any = None) -> None:
    """Take the secrets among a request's headers, and those of its authorisation, out of all that an error says."""
    known = [s for n, v in headers.items() if isinstance(v, Hidden) and not _OPEN.search(n) for s in _secret_words(v)]
    known += getattr(authorise, "secrets", ())
    secrets = sorted({s for s in known if len(s) >= _SHORTEST}, key=len, reverse=True)
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


def _secret_words(header: str) -> list[str]:
    """The header's text; the key of "Bearer sk-..."; the values of a cookie."""
    text = str(header)
    return [text, text.rpartition(" ")[2], *(pair.partition("=")[2].strip() for pair in text.split(";"))]


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
