"""The TLS context of a configuration. Knows no connection."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from ._errors import UsageError

if TYPE_CHECKING:
    from ._http import HTTPConfig


def tls_context(config: HTTPConfig) -> ssl.SSLContext:
    """TLS with the system's trust store, or as configured."""
    cafile = config.verify if isinstance(config.verify, str) else None
    try:
        context = ssl.create_default_context(cafile=cafile)
    except OSError as error:
        raise UsageError(f"verify={cafile!r} is no file of CA certificates: {error}", argument="verify") from error
    if config.verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.cert is not None:
        cert, key = (config.cert, None) if isinstance(config.cert, str) else config.cert
        try:
            context.load_cert_chain(cert, key)
        except OSError as error:
            raise UsageError(
                f"cert={cert!r} is no client certificate with its key: {error}", argument="cert"
            ) from error
    return context
