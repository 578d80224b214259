"""Which proxy a request takes: the configured one, else the environment's, as urllib reads it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from ._secret import Hidden

if TYPE_CHECKING:
    from ._http_common import HTTPConfig


def proxy_for(url: str, config: HTTPConfig) -> str:
    """The proxy's URL; empty for none."""
    if config.proxy is not None:
        return _with_scheme(config.proxy)
    parts = urlsplit(url)
    found = getproxies()
    proxy = found.get(parts.scheme) or found.get("all") or ""
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return ""
    return _with_scheme(proxy)


def _with_scheme(proxy: str) -> str:
    return Hidden(proxy if not proxy or "://" in proxy else f"http://{proxy}")


def basic_auth(url: str) -> str | None:
    """The header value for the name and password in a URL; None where there are none."""
    user = urlsplit(url).netloc.rpartition("@")[0]
    if not user:
        return None
    name, _, password = user.partition(":")
    pair = f"{unquote(name)}:{unquote(password)}".encode()
    return Hidden(f"Basic {base64.b64encode(pair).decode()}")
