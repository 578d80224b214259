"""What Google's error bodies say beyond the status: the reason, the wait, the word for the kind of error.

Source: google.rpc `ErrorInfo` and `RetryInfo` (cloud.google.com/apis/design/errors, checked 2026-11).
"""

from __future__ import annotations

from typing import Any

from .._errors import AuthenticationError, OutOfCreditError, ProviderError
from .._schema_walk import is_array, is_object

#: `ErrorInfo.reason` where it says more than the status: a refused key is HTTP 400 at Google.
_BY_REASON: dict[str, type[ProviderError]] = {
    "API_KEY_INVALID": AuthenticationError,
    "API_KEY_EXPIRED": AuthenticationError,
    "ACCESS_TOKEN_EXPIRED": AuthenticationError,
    "BILLING_DISABLED": OutOfCreditError,
}


def refined(error: ProviderError) -> ProviderError:
    """The same error with Google's own word as its code, the wait from its details, and the right class."""
    inner = _inner(error.body)
    found = inner.get("details")
    details = [d for d in found if is_object(d)] if is_array(found) else []
    for detail in details:
        cls = _BY_REASON.get(str(detail.get("reason")))
        if cls is not None and not isinstance(error, cls):
            error = _as(cls, error)
        if error.retry_after is None:
            error.retry_after = _seconds(detail.get("retryDelay"))
    status = inner.get("status")
    if isinstance(status, str) and status:
        error.code = status
    return error


def _inner(body: Any) -> dict[str, Any]:
    if is_array(body) and body:
        body = body[0]
    inner = body.get("error") if is_object(body) else None
    return inner if is_object(inner) else {}


def _seconds(value: Any) -> float | None:
    """A protobuf duration in JSON, such as "48.9s"."""
    if not isinstance(value, str) or not value.endswith("s"):
        return None
    try:
        return float(value[:-1])
    except ValueError:
        return None


def _as(cls: type[ProviderError], error: ProviderError) -> ProviderError:
    return cls(
        error.text,
        message=error.message,
        status=error.status,
        code=error.code,
        request_id=error.request_id,
        retry_after=error.retry_after,
        body=error.body,
        headers=error.headers,
        provider=error.provider,
    )
