"""What an error says: of this item, of all items, or that nothing was answered and nothing paid."""

from __future__ import annotations

from .._errors import (
    AuthenticationError,
    ConnectError,
    DeadlineError,
    MissingKeyError,
    NotFoundError,
    OutOfCreditError,
    OverloadedError,
    RateLimitError,
)

#: Every further item would fail the same way: the batch ends, and these items are not counted as failed.
FATAL = (AuthenticationError, MissingKeyError, OutOfCreditError, NotFoundError)
#: Not answered and not paid: the item can be sent again.
REFUSED = (RateLimitError, OverloadedError, ConnectError)


def unsent(error: Exception) -> bool:
    """Was the item neither answered nor paid? A connection that was not made in time is one that was not made."""
    return isinstance(error, REFUSED) or (isinstance(error, DeadlineError) and error.phase == "connect")


def is_of_the_model(error: NotFoundError, model: str) -> bool:
    """Was it the model that was not found, and not something that one item names, a file for instance?"""
    # A page that is no error of a provider: the address is wrong.
    named = bool(model and model in str(error.body))
    return error.code == "model_not_found" or not isinstance(error.body, dict) or named
