"""What a provider's error says: its status, codes and words, read into one of our classes; and JSON that is none.

For every dialect. Source: the providers' error pages and the errors that were recorded (2026). Knows no request, no stream.
"""

from __future__ import annotations

import re
from typing import Any

from .._call import HTTPResponse
from .._errors import (
    AuthenticationError,
    BadRequestError,
    ChatModelError,
    ContentFilterError,
    ContextTooLongError,
    NotFoundError,
    OutOfCreditError,
    OverloadedError,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    RateLimitError,
)
from .._framing import SSE
from .._json import dumps_text, is_array, is_object, loads, shown

_BY_STATUS: dict[int, type[ProviderError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: OutOfCreditError,
    403: PermissionDeniedError,
    404: NotFoundError,
    413: BadRequestError,
    422: BadRequestError,
    429: RateLimitError,
    529: OverloadedError,
}

#: Structured codes and types -> class; they say more than the status. Lower case.
BY_CODE: dict[str, type[ProviderError]] = {
    "insufficient_quota": OutOfCreditError,
    "billing_error": OutOfCreditError,
    "billing_hard_limit_reached": OutOfCreditError,
    "insufficient_balance": OutOfCreditError,
    "credit_limit_exceeded": OutOfCreditError,
    "exceeded_current_quota_error": OutOfCreditError,
    "arrearage": OutOfCreditError,
    "context_length_exceeded": ContextTooLongError,
    "exceed_context_size_error": ContextTooLongError,
    "string_above_max_length": ContextTooLongError,
    "content_filter": ContentFilterError,
    "content_policy_violation": ContentFilterError,
    "responsibleaipolicyviolation": ContentFilterError,
    "invalid_api_key": AuthenticationError,
    "authentication_error": AuthenticationError,
    "permission_error": PermissionDeniedError,
    "permission_denied": PermissionDeniedError,
    "unrecognizedclientexception": AuthenticationError,
    "invalidsignatureexception": AuthenticationError,
    "incompletesignatureexception": AuthenticationError,
    "missingauthenticationtokenexception": AuthenticationError,
    "expiredtokenexception": AuthenticationError,
    "accessdeniedexception": PermissionDeniedError,
    "model_not_found": NotFoundError,
    "not_found_error": NotFoundError,
    "resourcenotfoundexception": NotFoundError,
    "rate_limit_error": RateLimitError,
    "rate_limit_exceeded": RateLimitError,
    "throttlingexception": RateLimitError,
    "toomanyrequestsexception": RateLimitError,
    "resource_exhausted": RateLimitError,
    "overloaded_error": OverloadedError,
    "timeout_error": OverloadedError,
    "modelnotreadyexception": OverloadedError,
    "engine_overloaded": OverloadedError,
    "server_error": OverloadedError,
    "api_error": OverloadedError,
    "internal_server_error": OverloadedError,
    "internalserverexception": OverloadedError,
    "serviceunavailableexception": OverloadedError,
    "modelstreamerrorexception": OverloadedError,
    "modeltimeoutexception": OverloadedError,
    "unavailable": OverloadedError,
    "invalid_request_error": BadRequestError,
    "validationexception": BadRequestError,
    "invalid_argument": BadRequestError,
    "too_many_tokens": ContextTooLongError,
    "invalid_prompt": BadRequestError,
    "bio_policy": ContentFilterError,
    "misalignment_policy_violation": ContentFilterError,
    "image_content_policy_violation": ContentFilterError,
    "vector_store_timeout": OverloadedError,
}

#: For providers that name a too long prompt only in words (Anthropic, Google, Bedrock, Mistral, Groq; seen 2026-11).
_TOO_LONG = re.compile(
    r"prompt is too long|context[ _]length|context window|maximum context|input is too long|exceeds the maximum number "
    r"of tokens|too many total text bytes|input token count|reduce the length of the messages",
    re.IGNORECASE,
)

#: For providers that name an empty account only in words: Anthropic with 400, xAI with 403 and 429 (seen 2026).
_NO_CREDIT = re.compile(
    r"credit balance is too low|used all available credits|run out of credits|doesn't have any credits|insufficient balance",
    re.IGNORECASE,
)

REQUEST_ID_HEADERS = (
    "x-request-id",
    "request-id",
    "x-amzn-requestid",
    "apim-request-id",
    "x-goog-request-id",
    "x-correlation-id",
    "cf-ray",
)


def request_id(headers: dict[str, str]) -> str | None:
    """The provider's id of the request, from its headers."""
    return next((headers[name] for name in REQUEST_ID_HEADERS if name in headers), None)


def http_error(provider: str, response: HTTPResponse) -> ProviderError:
    """The error that an HTTP response with status >= 400 means, whatever shape its body has."""
    body = error_body(response.body)
    message, code, kind = read_error(body)
    code = code or (response.headers.get("x-amzn-errortype") or "").split(":")[0] or None
    return make_error(
        provider,
        message or "no message",
        status=response.status,
        code=code,
        kind=kind,
        body=body,
        headers=response.headers,
    )


def error_body(data: bytes) -> Any:
    """The decoded error body: JSON, the JSON of the first SSE event, or text."""
    try:
        return loads(data)
    except ValueError:
        pass  # not JSON: an SSE event or plain text, read next
    framing = SSE()
    for _, payload in [*framing.feed(data + b"\n\n"), *framing.close()]:
        try:
            return loads(payload)
        except ValueError:
            continue
    return data.decode("utf-8", "replace")


def read_error(body: Any) -> tuple[str | None, str | None, str | None]:
    """(message, code, type) from any of the shapes in which providers put errors."""
    if is_array(body) and body:
        body = body[0]
    if isinstance(body, str):
        return body.strip() or None, None, None
    if not is_object(body):
        return None, None, None
    inner = body.get("error")
    if is_object(inner):
        return _read_inner(inner)
    if isinstance(inner, str):
        message = body.get("message")
        said = message if isinstance(message, str) and message else inner
        return said, _word(body.get("code")) or _word(inner), _word(body.get("type"))
    return _read_flat(body)


def _read_inner(inner: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    message = _text_of(inner.get("message")) or _text_of(inner.get("msg"))
    code = _word(inner.get("code")) or _word(inner.get("status"))
    kind = _word(inner.get("type")) or _word(inner.get("status"))
    return message or _text_of(inner), code, kind


def _read_flat(body: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    for key in _WORDS:
        if body.get(key) is not None:
            message = _text_of(body[key])
            break
    else:
        message = _text_of(body) if body else None
    code = next(
        (w for k in ("code", "error_type", "__type", "error_code", "status_code") if (w := _word(body.get(k)))), None
    )
    return message, code, _word(body.get("type"))


def _text_of(value: Any) -> str | None:
    if value is None:
        return None
    return value if isinstance(value, str) else dumps_text(value)


def _word(value: Any) -> str | None:
    if isinstance(value, bool) or value is None or value == "":
        return None
    if isinstance(value, (str, int)):
        return str(value)
    return None


#: Where the words of an error stand that is no object named "error".
_WORDS = ("message", "Message", "detail", "errors", "error_message", "error_msg", "msg", "status_msg")
_CODES = ("code", "status", "status_code", "error_code")


def is_error(body: Any) -> bool:
    """Does a JSON that is no answer and no event tell of an error? By its `error`, or by words beside no sign that all is well."""
    if is_array(body) and body:
        body = body[0]
    if not is_object(body):
        return False
    inner = body.get("base_resp")
    if is_object(inner):
        return is_error(inner)
    if body.get("error") or body.get("object") == "error" or body.get("type") == "error":
        return True
    if body.get("success") is True or any(str(body.get(key)) in ("0", "200") for key in _CODES):
        return False
    return any(isinstance(body.get(key), (str, list)) and body[key] for key in _WORDS)


def error_told(provider: str, data: bytes | Any, headers: dict[str, str] | None = None) -> ProviderError | None:
    """The error that a JSON (or its bytes) tells of with status 200; None when it is none."""
    body = error_body(data) if isinstance(data, bytes) else data
    if not is_error(body):
        return None
    told = body[0] if is_array(body) else body
    told = told["base_resp"] if is_object(told.get("base_resp")) else told
    message, code, kind = read_error(told)
    status = status_of(told.get("error")) or status_of(told)
    return make_error(provider, message or "an error", status=status, code=code, kind=kind, body=body, headers=headers)


def status_of(error: Any) -> int | None:
    """The HTTP status that an error inside an answer names."""
    if not is_object(error):
        return None
    for key in ("status_code", "code", "status"):
        value = error.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 100 <= value < 600:
            return value
    return None


def no_answer(provider: str, response: HTTPResponse, lacks: str) -> ChatModelError:
    """What a JSON with status 200 is that does not hold what every answer has: a told error, or no answer at all."""
    begins = response.body[:200].decode("utf-8", "replace")
    return error_told(provider, response.body, response.headers) or ProtocolError(
        f"{provider}: the answer has no {lacks}; it begins {begins!r}. Is this the right base_url and model?",
        data=response.body,
        provider=provider,
    )


def make_error(
    provider: str,
    message: str,
    *,
    status: int | None = None,
    code: str | None = None,
    kind: str | None = None,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> ProviderError:
    """The right class of ProviderError, by structured code first, then by status, which a number as the code is as well."""
    if status is None and code is not None and re.fullmatch("[45][0-9][0-9]", code):
        status = int(code)
    cls = error_class(status, code, kind, message)
    said = f"{provider}: {message}" + (f" (HTTP {status})" if status else "")
    return cls(
        said,
        message=message,
        status=status,
        code=code or kind,
        request_id=request_id(headers or {}),
        body=body,
        headers=headers,
        provider=provider,
    )


def error_class(status: int | None, code: str | None, kind: str | None, message: str) -> type[ProviderError]:
    """Which class an error belongs to."""
    by_status = _class_of_status(status)
    for word in (code, kind):
        found = BY_CODE.get(word.lower()) if word else None
        if found is None:
            continue
        if found is BadRequestError:
            by_status = by_status or found
            continue
        return found
    if (by_status is None or by_status in _REFUSALS) and _NO_CREDIT.search(message):
        return OutOfCreditError
    if (by_status is None or issubclass(by_status, BadRequestError)) and _TOO_LONG.search(message):
        return ContextTooLongError
    return by_status or ProviderError


_REFUSALS = (BadRequestError, PermissionDeniedError, RateLimitError)


def _class_of_status(status: int | None) -> type[ProviderError] | None:
    if status is None:
        return None
    found = _BY_STATUS.get(status)
    if found is None and status >= 500:
        return OverloadedError
    if found is None and status == 408:
        return OverloadedError
    return found


def json_value(provider: str, data: bytes) -> Any:
    """The body of an answer, which is JSON."""
    try:
        return loads(data)
    except ValueError as error:
        said = f"{provider}: the answer is not JSON: {error}; it begins {shown(data)}"
        raise ProtocolError(said, data=data, provider=provider) from error


def event_object(provider: str, data: bytes) -> dict[str, Any]:
    """An event of a stream, which is a JSON object."""
    try:
        event = loads(data)
    except ValueError as error:
        raise ProtocolError(
            f"{provider}: a stream event is not JSON: {error}; it begins {shown(data)}", data=data, provider=provider
        ) from error
    if not is_object(event):
        raise ProtocolError(f"{provider}: a stream event is not a JSON object", data=data, provider=provider)
    return event


def json_object(provider: str, data: bytes) -> dict[str, Any]:
    """The body of an answer, which is a JSON object."""
    body = json_value(provider, data)
    if not is_object(body):
        raise ProtocolError(f"{provider}: the answer is not a JSON object", data=data, provider=provider)
    return body
