"""The limiter of one process: the book of `_limits_book.py` with a real lock and real bells. Models share it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from typing import Any

from .._checks import whole_or_none
from .._flow import Flow
from .._limits_book import Book, Ticket
from .._limits_headers import Kind
from .._limits_window import Quota
from . import _circuits
from ._bell import ThreadBell


class Limiter:
    """Limits that several models share: `model.with_limits(shared=limiter)`.

    `requests_per_minute` and `tokens_per_minute` hold for any minute, wherever it begins; `max_concurrency` is how many calls
    may be under way. Threads, event loops and models may all use one. In a fork or a pickle it begins anew.

    >>> limiter = Limiter(requests_per_minute=500, max_concurrency=20)
    """

    def __init__(
        self,
        *,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        max_concurrency: int | None = None,
    ) -> None:
        self.requests_per_minute = whole_or_none("requests_per_minute", requests_per_minute)
        self.tokens_per_minute = whole_or_none("tokens_per_minute", tokens_per_minute)
        self.max_concurrency = whole_or_none("max_concurrency", max_concurrency)
        self.expected = 0.0
        self._book = self._new_book()
        _all.add(self)

    def _new_book(self) -> Book:
        numbers = (self.requests_per_minute, self.tokens_per_minute, self.max_concurrency)
        return Book(*numbers, threading.Lock(), ThreadBell)

    @property
    def running(self) -> int:
        """How many calls are under way."""
        return self._book.running

    @property
    def waiting(self) -> int:
        """How many wait in line."""
        return self._book.waiting

    def __repr__(self) -> str:
        return (
            f"Limiter(requests_per_minute={self.requests_per_minute}, tokens_per_minute={self.tokens_per_minute}, "
            f"max_concurrency={self.max_concurrency})"
        )

    def __reduce__(self) -> Any:
        return _made, (self.requests_per_minute, self.tokens_per_minute, self.max_concurrency)

    def enter(self, need: int, now: float, deadline: float | None) -> Flow[Ticket]:
        """Wait for a place, first come, first served."""
        return self._book.enter(need, now, deadline)

    def settle(self, ticket: Ticket, used: int | None, *, sent: bool) -> Flow[None]:
        """Give a place back."""
        self._book.settle(ticket, used, sent=sent)
        return
        yield

    def abandon(self, ticket: Ticket, used: int | None) -> None:
        """Give a place back where nothing can be waited for."""
        self._book.settle(ticket, used)

    def learn(self, found: Mapping[Kind, Quota], closed_until: float, now: float) -> Flow[None]:
        """Take in what the provider has said."""
        self._book.learn(found, closed_until)
        return
        yield

    def _forked(self) -> None:
        self._book = self._new_book()


def _made(requests: int | None, tokens: int | None, concurrency: int | None) -> Limiter:
    return Limiter(requests_per_minute=requests, tokens_per_minute=tokens, max_concurrency=concurrency)


_all: weakref.WeakSet[Limiter] = weakref.WeakSet()


def _forked() -> None:
    """In the child of a fork: the parent's locks may be held by threads that are not here."""
    _circuits.forget()
    for one in list(_all):
        one._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
