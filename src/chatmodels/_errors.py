"""Every error that the library raises, and what each carries. Knows no other module of ours.

ChatModelError                  the root: provider, model, attempts, message (partial answer) on all
|- UsageError                   our caller's mistake: nothing was sent; `argument` names it; also a ValueError
|  `- MissingKeyError           no API key: names the variable and the parameter
|- TransportError               no (whole) response: `phase` is connect, send, first_token, idle, read or total
|  |- ConnectError              before the request was accepted: safe to send again
|  `- DeadlineError             one of the deadlines passed; also a TimeoutError
|- ProviderError                a response said no: status, code, request_id, retry_after (seconds), retryable, body
|  |- AuthenticationError, PermissionDeniedError, NotFoundError, BadRequestError
|  |- RateLimitError, OutOfCreditError, OverloadedError
|  `- ContextTooLongError, ContentFilterError
|- ProtocolError                bytes that are not what the documentation says: `path`, `data`
|  `- IncompleteStream          the stream ended before the answer did: `.message` is the partial answer
|- OutputError                  an answer that does not fit the asked type: `.message`, `text`
|- BudgetExceeded               a budget has no room for the call: nothing was sent; `limit` names which
`- BatchError                   some items of a batch failed: `results` has every item, in order
"""

from __future__ import annotations

import pickle
from typing import Any

__all__ = [
    "AuthenticationError",
    "BadRequestError",
    "BatchError",
    "BudgetExceeded",
    "ChatModelError",
    "ConnectError",
    "ContentFilterError",
    "ContextTooLongError",
    "DeadlineError",
    "IncompleteStream",
    "MissingKeyError",
    "NotFoundError",
    "OutOfCreditError",
    "OutputError",
    "OverloadedError",
    "PermissionDeniedError",
    "ProtocolError",
    "ProviderError",
    "RateLimitError",
    "TransportError",
    "UsageError",
]


class ChatModelError(Exception):
    """The root of every error of this library.

    `text` says what happened and what to do; `provider` and `model` say where; `attempts` lists each try
    with its outcome and wait; `partial` is the answer as far as it came, or None; `request_id` is the provider's id
    of the last try, where it gave one.
    """

    retryable = False
    request_id: str | None = None
    #: True when the provider may have begun to work (and to bill) before this error.
    accepted = False

    def __init__(
        self,
        text: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        attempts: tuple[Any, ...] = (),
        partial: Any = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.provider = provider
        self.model = model
        self.attempts = attempts
        self.partial = partial

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.text, dict(self.__dict__), _to_pickle(self.__cause__))


def _to_pickle(cause: BaseException | None) -> BaseException | None:
    """The cause, or its text where it cannot be pickled, as many errors of other libraries cannot."""
    try:
        pickle.loads(pickle.dumps(cause))  # noqa: S301
    except Exception:
        return ChatModelError(f"{type(cause).__name__}: {cause}")
    return cause


def _rebuild(cls: type[ChatModelError], text: str, state: dict[str, Any], cause: Any) -> ChatModelError:
    error = cls.__new__(cls)
    Exception.__init__(error, text)
    error.__dict__.update(state)
    error.__cause__ = cause
    return error


class UsageError(ChatModelError, ValueError):
    """The call itself is wrong; nothing was sent. `argument` names what to change."""

    def __init__(self, text: str, *, argument: str | None = None, **kw: Any) -> None:
        super().__init__(text, **kw)
        self.argument = argument


class MissingKeyError(UsageError):
    """No API key was given and none is in the environment."""


class TransportError(ChatModelError):
    """No whole response came. `phase`: "connect", "send", "first_token", "idle", "read" or "total"."""

    retryable = True
    accepted = True

    def __init__(self, text: str, *, phase: str = "read", **kw: Any) -> None:
        super().__init__(text, **kw)
        self.phase = phase


class ConnectError(TransportError):
    """The request never reached the provider: sending it again cannot bill twice."""

    accepted = False


class DeadlineError(TransportError, TimeoutError):
    """A deadline passed; `phase` says which and `seconds` its length."""

    def __init__(self, text: str, *, seconds: float | None = None, **kw: Any) -> None:
        super().__init__(text, **kw)
        self.seconds = seconds


class ProviderError(ChatModelError):
    """The provider answered with an error, by HTTP status or inside the answer.

    `status` is the HTTP status, or the one that the body names for an error inside a 200, or None. `code` is
    the provider's own word. `retry_after` is in seconds. `body` is the decoded error body. `message` is the
    provider's own text.
    """

    def __init__(
        self,
        text: str,
        *,
        message: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        retryable: bool | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
        **kw: Any,
    ) -> None:
        super().__init__(text, **kw)
        self.message = message if message is not None else text
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.body = body
        self.headers = headers or {}
        if retryable is not None:
            self.retryable = retryable

    @property
    def status_code(self) -> int | None:
        """The HTTP status, under the name that HTTP libraries use."""
        return self.status


class AuthenticationError(ProviderError):
    """The key was refused."""


class PermissionDeniedError(ProviderError):
    """The key is good but may not do this."""


class NotFoundError(ProviderError):
    """No such model or endpoint."""


class BadRequestError(ProviderError):
    """The provider did not take the request as it stands; sending it again will not help."""


class RateLimitError(ProviderError):
    """Too many requests or tokens; `retry_after` says when to come back, where the provider does."""

    retryable = True


class OutOfCreditError(ProviderError):
    """The account has no money or quota left; never retried."""


class OverloadedError(ProviderError):
    """The provider is too busy or broken at the moment (5xx, overloaded)."""

    retryable = True


class ContextTooLongError(BadRequestError):
    """The messages do not fit into the model's context window."""


class ContentFilterError(BadRequestError):
    """A filter of the provider refused the prompt or the answer."""


class ProtocolError(ChatModelError):
    """The provider's bytes are not what its documentation says. `path` is where, `data` the bytes (shortened)."""

    retryable = True
    accepted = True

    def __init__(self, text: str, *, path: str | None = None, data: bytes | str | None = None, **kw: Any) -> None:
        super().__init__(text, **kw)
        self.path = path
        self.data = data[:2000] if data is not None else None


class IncompleteStream(ProtocolError):
    """The stream ended, or the connection broke, before the answer was complete.

    `message` is the partial answer with the usage so far (also `partial`).
    """

    @property
    def message(self) -> Any:
        """The answer as far as it came: an `AIMessage` whose `finish_reason` is None."""
        return self.partial


class OutputError(ChatModelError):
    """The answer does not fit the type that was asked for. `message` is the whole answer.

    `truncated` is True when the answer was cut by a length limit: then asking again with more `max_tokens`
    helps, and parsing harder does not.
    """

    def __init__(self, text: str, *, truncated: bool = False, **kw: Any) -> None:
        super().__init__(text, **kw)
        self.truncated = truncated

    @property
    def message(self) -> Any:
        """The answer that did not fit."""
        return self.partial


class BudgetExceeded(ChatModelError):
    """A budget has no room for this call; it was not sent. `limit` is "max_cost", "max_tokens" or "max_calls"; `allowed`, `spent`
    (what is under way included) and `needed` are in its unit."""

    def __init__(
        self, text: str, *, limit: str = "", allowed: float = 0, spent: float = 0, needed: float = 0, **kw: Any
    ) -> None:
        super().__init__(text, **kw)
        self.limit = limit
        self.allowed = allowed
        self.spent = spent
        self.needed = needed


class BatchError(ChatModelError):
    """Some items failed, after all have ended. `results[i]` is the answer or the error of item i."""

    def __init__(self, text: str, *, results: list[Any], **kw: Any) -> None:
        super().__init__(text, **kw)
        self.results = results

    @property
    def errors(self) -> dict[int, BaseException]:
        """Index -> error, for the items that failed."""
        return {i: r for i, r in enumerate(self.results) if isinstance(r, BaseException)}
