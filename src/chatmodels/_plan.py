"""What the flows of one call share: its plan, the ledger of its tries, and the state of its stream. Data and no policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import force_setattr

from ._call import Call
from ._errors import ChatModelError
from ._events import Event
from ._flow import Abortable, Target
from ._fold import Fold
from ._messages import AIMessage
from ._retry import Budget, Retry
from ._usage import Attempt, Usage
from .dialects._base import Dialect

if TYPE_CHECKING:
    from ._layers import Layer, TryLayer


class Plan(msgspec.Struct, frozen=True):
    """All that a call needs besides what is asked: where, in which dialect, under which policies."""

    dialect: Dialect
    target: Target
    retry: Retry
    budget: Budget
    handlers: tuple[Any, ...] = ()
    stream_calls: bool = False
    layers: tuple[Layer, ...] = ()
    tries: tuple[TryLayer, ...] = ()
    not_found: str = ""  # what may be the reason, where the provider knows no such model or address


class Ledger:
    """The tries of one call so far, and what a good answer is stamped with.

    `headers` and `usage` are those of the newest try, as far as they are known; `own_headers` are those that the call gave;
    `asked` is the number of answers that it asks for.
    """

    __slots__ = ("asked", "attempts", "began", "deadline", "headers", "model", "own_headers", "provider", "request_id",
                 "usage", "waited", "warnings")  # fmt: skip

    def __init__(self, plan: Plan, call: Call, warnings: tuple[str, ...]) -> None:
        self.provider = plan.dialect.provider
        self.model = call.model
        self.asked = 1
        self.own_headers = call.settings.extra_headers
        self.warnings = warnings
        self.attempts: list[Attempt] = []
        self.request_id: str | None = None
        self.headers: dict[str, str] = {}
        self.usage: Usage | None = None
        self.waited = 0.0
        self.began = 0.0
        self.deadline: float | None = None

    def note(self, now: float | None, error: ChatModelError | None, usage: Usage | None, outcome: str = "ok") -> None:
        """Write the try that has just ended into the ledger."""
        self.attempts.append(
            Attempt(
                number=len(self.attempts) + 1,
                outcome=outcome if error is None else type(error).__name__,
                provider=self.provider,
                model=self.model,
                status=getattr(error, "status", None),
                waited=self.waited,
                seconds=None if now is None else now - self.began,
                request_id=getattr(error, "request_id", None) or self.request_id,
                error=None if error is None else str(error),
                usage=usage,
            )
        )

    def stamp(self, message: AIMessage) -> AIMessage:
        """Put on the answer what only the call knows."""
        for one in (message, *message.alternatives):
            force_setattr(one, "provider", self.provider)
        force_setattr(message, "attempts", tuple(self.attempts))
        force_setattr(message, "request_id", self.request_id)
        if self.warnings:
            force_setattr(message, "warnings", (*self.warnings, *message.warnings))
        return message

    def blame(self, error: ChatModelError) -> ChatModelError:
        """Put on the error what only the call knows."""
        error.provider = error.provider or self.provider
        error.model = error.model or self.model
        error.request_id = error.request_id or self.request_id
        error.attempts = tuple(self.attempts)
        return error


class Streaming:
    """The state that a stream and its flow share: the fold, and the ledger once the flow has begun.

    `heads` are events that say nothing yet (id, model, usage) and are held back until the first that does: while
    only they have come, the call can still be tried again unseen. `hold` has the response while it is open or being
    opened, and `left` says that the user wants no more. `stamp` is what a layer puts on the answer that it gave itself.
    """

    __slots__ = ("fold", "heads", "hold", "ledger", "left", "stamp")

    def __init__(self) -> None:
        self.fold = Fold()
        self.heads: list[Event] = []
        self.ledger: Ledger | None = None
        self.hold: list[Abortable] = []
        self.left = False
        self.stamp: Callable[[AIMessage], AIMessage] | None = None

    def leave(self) -> None:
        """End the stream from outside, while it waits: its connection is closed, and it ends as if no more came."""
        self.left = True
        for opened in self.hold[-1:]:
            opened.abort()

    def message(self) -> AIMessage:
        """The answer so far."""
        message = self.fold.message()
        if self.ledger is not None:
            self.ledger.stamp(message)
        return message if self.stamp is None else self.stamp(message)
