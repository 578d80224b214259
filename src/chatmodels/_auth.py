"""Keys that do not stand in a fixed header: request signatures, and tokens that are fetched and renewed. Flows only.

Where credentials come from (environment, files, an identity service) is `_credentials.py`'s; here they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias, cast

import msgspec

from ._call import HTTPRequest, HTTPResponse
from ._errors import UsageError
from ._flow import WALL_CLOCK, Ask, Flow, Send, Target
from ._secret import Hidden
from .dialects._errors import http_error
from .dialects._sigv4 import sign

#: Gives a token and the time (seconds since 1970) at which it ends; None: it does not end.
TokenSource: TypeAlias = Callable[[], "tuple[str, float | None]"]

#: A token is renewed this many seconds before its end.
MARGIN = 120.0


class AWSCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """What signs a request. `expires` is in seconds since 1970; None: it does not end."""

    access_key: str
    secret_key: str
    session_token: str | None = None
    expires: float | None = None

    def __repr__(self) -> str:
        return "AWSCredentials(...)"


def authorised(target: Target, request: HTTPRequest) -> Flow[HTTPRequest]:
    """The request with the headers that the target's authorisation adds."""
    if target.authorise is None:
        return request
    headers = yield from target.authorise(request)
    return msgspec.structs.replace(request, headers={**request.headers, **headers})


class Token:
    """`Authorization: Bearer <token>`, where the token is fetched at the first call and renewed before it ends."""

    __slots__ = ("_expires", "_source", "_token")

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._token: str | None = None
        self._expires: float | None = None

    def __call__(self, request: HTTPRequest) -> Flow[dict[str, str]]:
        now: float = yield WALL_CLOCK
        if self._token is None or (self._expires is not None and self._expires - MARGIN < now):
            self._token, self._expires = yield Ask(self._source)
        return {"authorization": Hidden(f"Bearer {self._token}")}

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no error may show."""
        return (self._token,) if self._token else ()

    def __repr__(self) -> str:
        return "Token(...)"


class AskedKey:
    """The key in its usual header, where a function gives it: it is asked before each request, so a key may change any time.

    `auth` is the row's: "bearer" or "header:NAME". `asource` is the function for the async world, where there is one.
    """

    __slots__ = ("_argument", "_asource", "_auth", "_provider", "_seen", "_source")

    def __init__(
        self,
        provider: str,
        auth: str,
        source: Callable[[], object],
        asource: Callable[[], object] | None = None,
        argument: str = "api_key",
    ) -> None:
        self._provider, self._auth, self._argument = provider, auth, argument
        self._source, self._asource = source, asource
        self._seen: tuple[str, ...] = ()

    def __call__(self, request: HTTPRequest) -> Flow[dict[str, str]]:
        found: object = yield Ask(self._source, (), self._asource)
        if hasattr(found, "get_secret_value"):
            found = cast(Any, found).get_secret_value()
        key = found.strip() if isinstance(found, str) else ""
        if not key or not key.isascii() or not key.isprintable():
            said = (
                "a key that no header can carry"
                if key
                else "no key"
                if isinstance(found, str)
                else type(found).__name__
            )
            raise UsageError(
                f"{self._argument}: the function that gives the key of {self._provider} gave {said}; it gives a str",
                argument=self._argument,
            )
        if key not in self._seen:
            self._seen = (key, *self._seen[:3])
        if self._auth.startswith("header:"):
            return {self._auth[7:]: Hidden(key)}
        return {"authorization": Hidden(f"Bearer {key}")}

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no error may show: the newest keys."""
        return self._seen

    def __repr__(self) -> str:
        return "AskedKey(...)"


class Exchange:
    """`Authorization: Bearer <token>`, where the token is got for a key by a request to `target`, and renewed before it ends.

    `make` gives that request, and `read` the token of its answer and when it ends, from the body and the time of day (seconds).
    """

    __slots__ = ("_expires", "_key", "_make", "_provider", "_read", "_target", "_token")

    def __init__(
        self,
        provider: str,
        target: Target,
        make: Callable[[], HTTPRequest],
        read: Callable[[bytes, float], tuple[str, float]],
        key: str = "",
    ) -> None:
        self._provider, self._target, self._make, self._read, self._key = provider, target, make, read, Hidden(key)
        self._token: str | None = None
        self._expires = 0.0

    def __call__(self, request: HTTPRequest) -> Flow[dict[str, str]]:
        now: float = yield WALL_CLOCK
        if self._token is None or self._expires - MARGIN < now:
            response: HTTPResponse = yield Send(self._target, self._make(), None)
            if response.status >= 300:
                raise http_error(self._provider, response)
            self._token, self._expires = self._read(response.body, now)
        return {"authorization": Hidden(f"Bearer {self._token}")}

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no error may show: the key, and the token that was got for it."""
        return tuple(s for s in (str(self._key), self._token) if s)

    def __repr__(self) -> str:
        return "Exchange(...)"


class Signature:
    """AWS Signature V4 over each request."""

    __slots__ = ("_base_url", "_found", "_headers", "_region", "_service", "_source")

    def __init__(
        self,
        source: Callable[[], AWSCredentials],
        *,
        region: str,
        service: str,
        base_url: str,
        headers: dict[str, str],
    ) -> None:
        self._source = source
        self._found: AWSCredentials | None = None
        self._region, self._service, self._base_url = region, service, base_url
        self._headers = {k: v for k, v in headers.items() if k == "content-type"}

    def __call__(self, request: HTTPRequest) -> Flow[dict[str, str]]:
        now: float = yield WALL_CLOCK
        found = self._found
        if found is None or (found.expires is not None and found.expires - MARGIN < now):
            found = self._found = yield Ask(self._source)
        signed = msgspec.structs.replace(request, headers={**self._headers, **request.headers})
        return sign(
            signed,
            url=self._base_url + request.path,
            region=self._region,
            service=self._service,
            access_key=found.access_key,
            secret_key=found.secret_key,
            session_token=found.session_token,
            now=datetime.fromtimestamp(now, UTC),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no error may show."""
        found = self._found
        return () if found is None else tuple(s for s in (found.secret_key, found.session_token) if s)

    def __repr__(self) -> str:
        return "Signature(...)"
