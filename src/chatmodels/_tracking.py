"""Usage of all that is called in a block: `track_usage()`, and `get_openai_callback()` of 2023. The layer and the sums.

Holds in the context, so also in the threads and tasks that the library starts from it. Knows attempts and prices, no HTTP.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

import msgspec

from ._call import Call
from ._errors import BudgetExceeded, ChatModelError
from ._estimate import answer_tokens
from ._flow import Flow
from ._layers import TRACKING, Inner, InnerStream, Layer, around
from ._messages import AIMessage
from ._plan import Plan, Streaming
from ._tracking_budget import Budget, BudgetHere, budget_layer
from ._usage import Attempt, Usage
from .prices import Cost, Prices
from .prices._cost import checked_prices
from .prices._reckon import price_of_try
from .prices._spent import counted, worked_for
from .tokens import count_call

__all__ = [
    "Budget",
    "ModelUsage",
    "OpenAICallback",
    "UsageTracker",
    "budget_layer",
    "get_openai_callback",
    "track_usage",
]

_FREE = Cost(total=0.0, input=0.0, output=0.0)


class ModelUsage(msgspec.Struct):
    """What one model took: `tries` that were sent, of them `failed`; `usage`, and `cost` (its total is None when unknown)."""

    tries: int = 0
    failed: int = 0
    usage: Usage = Usage()
    cost: Cost = _FREE

    def _add(self, attempt: Attempt, usage: Usage | None, cost: Cost) -> None:
        self.tries += 1
        self.failed += attempt.outcome not in ("ok", "left")
        if usage is not None:
            self.usage = self.usage + usage
            self.cost = cost if self.cost is _FREE else self.cost + cost


class UsageTracker:
    """What the calls of a block took so far.

    `calls` counts calls that have ended, of them `errors` failed and `cache_hits` were answered without asking a model; `tries`
    counts what was sent. `usage` sums all tries, failed ones too; `by_model` does so by (provider, model). `cost.total` is None
    when the price of one model is unknown: then `known_cost` has the rest. Tokens that no provider counted (a stream that was
    left or cut) are estimated, and `usage.estimated` is True. `budget` is what `max_...` made.
    """

    def __init__(self, prices: Prices | None = None, budget: Budget | None = None) -> None:
        self.calls = self.errors = self.cache_hits = 0
        self.by_model: dict[tuple[str, str], ModelUsage] = {}
        self.budget = budget
        self._prices = checked_prices(prices)
        self._lock = threading.Lock()
        self._layer = Tracked(self)

    def __getstate__(self) -> dict[str, Any]:
        """A copy in another process has what was counted; the calls made there are its own."""
        with self._lock:
            return {k: v for k, v in vars(self).items() if k not in ("_lock", "_layer")} | {
                "by_model": dict(self.by_model)
            }

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()
        self._layer = Tracked(self)

    @property
    def tries(self) -> int:
        """How many requests were sent."""
        return sum([m.tries for m in list(self.by_model.values())])

    @property
    def usage(self) -> Usage:
        """The tokens of all models together."""
        total = Usage()
        for one in list(self.by_model.values()):
            total = total + one.usage
        return total

    @property
    def total_tokens(self) -> int:
        """Input and output tokens of all models together."""
        return self.usage.total_tokens or 0

    @property
    def cost(self) -> Cost:
        """The cost of all models together; `total` is None when the price of one is not known, `reason` says which."""
        total = _FREE
        for one in [m.cost for m in list(self.by_model.values()) if m.cost is not _FREE]:
            total = one if total is _FREE else total + one
        return total

    @property
    def known_cost(self) -> float:
        """The cost in US dollars of those models whose price is known."""
        return sum([m.cost.total or 0.0 for m in list(self.by_model.values())])

    def __repr__(self) -> str:
        cost = self.cost.total
        shown = "unknown" if cost is None else f"${cost:.6f}"
        return f"UsageTracker(calls={self.calls}, errors={self.errors}, total_tokens={self.total_tokens}, cost={shown})"

    @contextmanager
    def here(self) -> Generator[UsageTracker]:
        """Track in this context too: for a thread that you start yourself."""
        with ExitStack() as stack:
            stack.enter_context(around(self._layer))
            if self.budget is not None:
                stack.enter_context(around(BudgetHere(self.budget)))
            yield self

    def book(self, call: Call, plan: Plan, message: AIMessage | None, error: ChatModelError | None, left: bool) -> None:
        """A call has ended: with an answer (perhaps a partial one), an error, or because it was left."""
        attempts = message.attempts if error is None and message is not None else getattr(error, "attempts", ())
        if left and not attempts:
            attempts = (Attempt(number=1, outcome="left", provider=plan.dialect.provider, model=call.model),)
        from_cache = message is not None and message.from_cache and error is None
        booked = [] if from_cache else [self._priced(a, call, message, error) for a in _sent(attempts)]
        with self._lock:
            self.calls += 1
            self.errors += error is not None
            self.cache_hits += from_cache
            for attempt, usage, cost in booked:
                key = (attempt.provider or plan.dialect.provider, attempt.model or call.model)
                self.by_model.setdefault(key, ModelUsage())._add(attempt, usage, cost)

    def _priced(
        self, attempt: Attempt, call: Call, message: AIMessage | None, error: ChatModelError | None
    ) -> tuple[Attempt, Usage | None, Cost]:
        usage = counted(attempt, message if _is_of(attempt, error) else None) or _estimated(
            attempt, call, message, error
        )
        if usage is None:
            return attempt, None, _FREE
        asked = call.settings.service_tier if attempt.usage is None else None  # an estimate: no provider told
        return attempt, usage, price_of_try(attempt, usage, message, prices=self._prices, tier=asked)


def _sent(attempts: Sequence[Attempt]) -> list[Attempt]:
    return [a for a in attempts if a.outcome != BudgetExceeded.__name__]


def _is_of(attempt: Attempt, error: ChatModelError | None) -> bool:
    """Is what came of the call of this try?"""
    if error is None:
        return attempt.outcome in ("ok", "left")
    return error.partial is not None and attempt is error.attempts[-1]


def _estimated(attempt: Attempt, call: Call, message: AIMessage | None, error: ChatModelError | None) -> Usage | None:
    """What a try took that the provider must have worked for, but did not count."""
    own = _is_of(attempt, error)
    if attempt.outcome != "ok" and not worked_for(attempt) and not own:
        return None
    given = count_call(call, attempt.provider or "").value
    made = answer_tokens(message) if own and message is not None else 0
    return Usage(input_tokens=given, output_tokens=made, estimated=True)


class Tracked(Layer):
    """Shows every call of a context to a tracker."""

    rank: ClassVar[int] = TRACKING

    def __init__(self, tracker: UsageTracker) -> None:
        self.tracker = tracker

    def call(self, plan: Plan, call: Call, inner: Inner) -> Flow[AIMessage]:
        """The answer, booked."""
        try:
            message = yield from inner(plan, call)
        except ChatModelError as error:
            self.tracker.book(call, plan, error.partial, error, left=False)
            raise
        except (GeneratorExit, Exception):  # cancelled, or a handler raised: what was sent is paid for
            self.tracker.book(call, plan, None, None, left=True)
            raise
        self.tracker.book(call, plan, message, None, left=False)
        return message

    def stream(self, plan: Plan, call: Call, state: Streaming, inner: InnerStream) -> Flow[None]:
        """The events; booked when the stream has ended."""
        try:
            yield from inner(plan, call, state)
        except ChatModelError as error:
            self.tracker.book(call, plan, state.message(), error, left=False)
            raise
        except (GeneratorExit, Exception):
            self.tracker.book(call, plan, state.message(), None, left=True)
            raise
        self.tracker.book(call, plan, state.message(), None, left=state.left)


@contextmanager
def track_usage(
    *,
    max_cost: float | None = None,
    max_tokens: int | None = None,
    max_calls: int | None = None,
    prices: Prices | None = None,
) -> Generator[UsageTracker]:
    """What all calls of this block take: every model, plain, streamed, in batches, with tools, sync and async; blocks nest.

    With `max_cost` (US dollars), `max_tokens` or `max_calls`, a try that could go beyond it raises `BudgetExceeded` and is not
    sent.

    >>> with track_usage(max_tokens=100_000) as usage:
    ...     pass  # chat("..."), chat.batch([...])
    >>> usage.calls, usage.total_tokens
    (0, 0)
    """
    budget = None
    if any(limit is not None for limit in (max_cost, max_tokens, max_calls)):
        budget = Budget(max_cost=max_cost, max_tokens=max_tokens, max_calls=max_calls, prices=prices)
    with UsageTracker(prices, budget).here() as tracker:
        yield tracker


class OpenAICallback:
    """The sums of `get_openai_callback`, under their names of 2023."""

    def __init__(self, tracker: UsageTracker) -> None:
        self.tracker = tracker

    @property
    def total_tokens(self) -> int:
        """Input and output tokens."""
        return self.tracker.total_tokens

    @property
    def prompt_tokens(self) -> int:
        """Input tokens."""
        return self.tracker.usage.input_tokens or 0

    @property
    def completion_tokens(self) -> int:
        """Output tokens."""
        return self.tracker.usage.output_tokens or 0

    @property
    def prompt_tokens_cached(self) -> int:
        """Input tokens that a prompt cache gave, part of `prompt_tokens`."""
        return self.tracker.usage.cache_read_tokens or 0

    @property
    def reasoning_tokens(self) -> int:
        """Output tokens that the model thought with, part of `completion_tokens`."""
        return self.tracker.usage.reasoning_tokens or 0

    @property
    def successful_requests(self) -> int:
        """Calls that the provider answered."""
        return self.tracker.calls - self.tracker.errors - self.tracker.cache_hits

    @property
    def total_cost(self) -> float:
        """US dollars, of the models whose price is known."""
        return self.tracker.known_cost

    def __repr__(self) -> str:
        return (
            f"Tokens Used: {self.total_tokens}\n\tPrompt Tokens: {self.prompt_tokens}\n"
            f"\tCompletion Tokens: {self.completion_tokens}\nSuccessful Requests: {self.successful_requests}\n"
            f"Total Cost (USD): ${self.total_cost}"
        )


@contextmanager
def get_openai_callback() -> Generator[OpenAICallback]:
    """`track_usage()` in its form of 2023; any provider counts, and streams too."""
    with track_usage() as tracker:
        yield OpenAICallback(tracker)
