"""Our errors as LangChain's too: whoever catches either finds the other's attributes on it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from chatmodels import _errors as ours

_lc: Any = import_module("langchain_core.exceptions")

#: Ours -> LangChain's, the nearest first.
_PAIRS: tuple[tuple[type[ours.ChatModelError], str], ...] = (
    (ours.ContextTooLongError, "ContextOverflowError"),
    (ours.ContentFilterError, "ModelInvalidRequestError"),
    (ours.BadRequestError, "ModelInvalidRequestError"),
    (ours.AuthenticationError, "ModelAuthenticationError"),
    (ours.PermissionDeniedError, "ModelPermissionDeniedError"),
    (ours.NotFoundError, "ModelNotFoundError"),
    (ours.RateLimitError, "ModelRateLimitError"),
    (ours.OverloadedError, "ModelAPIError"),
    (ours.DeadlineError, "ModelTimeoutError"),
    (ours.ConnectError, "ModelConnectionError"),
    (ours.IncompleteStream, "ModelConnectionError"),
    (ours.TransportError, "ModelConnectionError"),
)


def _both(mine: type[ours.ChatModelError], name: str) -> type[ours.ChatModelError] | None:
    theirs = getattr(_lc, name, None)  # the older releases of langchain-core 1 have few of them
    if theirs is None:
        return None
    about = {"__module__": __name__, "__doc__": mine.__doc__, "__qualname__": f"LangChain{mine.__name__}"}
    made = type(f"LangChain{mine.__name__}", (mine, theirs), about)
    globals()[made.__name__] = made  # so that pickle finds it
    return made


_MADE: dict[type[ours.ChatModelError], type[ours.ChatModelError]] = {
    mine: made for mine, name in _PAIRS if (made := _both(mine, name)) is not None
}


def as_langchain_error(error: ours.ChatModelError) -> ours.ChatModelError:
    """The same error, of a class that is LangChain's too where it has one."""
    cls = _MADE.get(type(error))
    if cls is None:
        return error
    made = cls.__new__(cls)
    Exception.__init__(made, error.text)
    made.__dict__.update(error.__dict__)
    made.__cause__ = error.__cause__
    return made.with_traceback(error.__traceback__)


def class_of(error: BaseException) -> type[ours.ChatModelError] | None:
    """Our class for an error of LangChain's; None for one that is none of its model errors."""
    for mine, name in _PAIRS:
        theirs = getattr(_lc, name, None)
        if theirs is not None and isinstance(error, theirs):
            return mine
    return None
