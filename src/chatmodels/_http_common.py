"""What the halves of the HTTP transport share: how connections are made, the head's deadline, and the words of its errors.

Knows no socket and no pool.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from ._flow import Open, Send

#: How long a body that has said all may take to end before its connection is given up.
DRAIN_SECONDS = 0.25


class HTTPConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How connections are made. `proxy`: a URL, "" for none; None: from the environment. `verify`: True (the system's
    trust store), False (no check; for tests only) or a path to CA certificates. `cert`: a client certificate, or
    (certificate, key)."""

    proxy: str | None = None
    verify: bool | str = True
    cert: str | tuple[str, str] | None = None


def without_user(url: str) -> str:
    """The URL without the name and password in it."""
    parts = urlsplit(url if "://" in url else f"//{url}")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def headers_of(effect: Send | Open) -> dict[str, str]:
    """The headers of a request: the target's, with the call's own over them."""
    own = effect.request.headers
    if not own:
        return effect.target.headers
    return {**effect.target.headers, **{name.lower(): value for name, value in own.items()}}


def head_limit(effect: Send | Open, now: float) -> tuple[float | None, str, float | None]:
    """Until when the head of the response must be there, by which deadline, and the length of that."""
    limits, deadline = effect.target.timeouts, effect.deadline
    if limits.first_token is not None and (deadline is None or now + limits.first_token < deadline):
        return now + limits.first_token, "first_token", limits.first_token
    return deadline, "total", limits.total


def passed(phase: str) -> str:
    """What a DeadlineError says."""
    return {
        "connect": "it did not stand in time (the connect deadline)",
        "idle": "nothing came for too long (the idle deadline)",
        "first_token": "no answer began in time (the first_token deadline)",
    }.get(phase, f"the {phase} deadline passed")


def brief(error: BaseException) -> str:
    """An error of a library below, in a few words."""
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
