"""Budgets: a try that could go beyond what may be spent is not sent. Estimated before, corrected by the answer's usage.

A budget is one object that models, threads and tasks share. Knows prices and estimates, no HTTP.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import msgspec

from ._call import Call
from ._checks import number
from ._errors import BudgetExceeded, ChatModelError, ProviderError, UsageError
from ._flow import Flow
from ._layers import BUDGET, Inner, InnerStream, Layer, TryLayer
from ._messages import AIMessage
from ._plan import Ledger, Plan, Streaming
from ._usage import Usage
from .prices import Prices, price_of
from .prices._cost import checked_prices
from .tokens import count_call

T = TypeVar("T")

#: Tokens that an answer is taken to have where the call has no `max_tokens` and none has come yet.
FIRST_GUESS = 256


class Ticket(msgspec.Struct):
    """What was set aside for one try."""

    provider: str
    model: str
    usage: Usage
    cost: float
    tier: str | None


class Budget:
    """What may be spent: `max_cost` in US dollars, `max_tokens` (input and output together), `max_calls` (tries, retries too).

    Share one among models (`model.with_budget(budget)`) or give its limits to `track_usage`. `cost`, `tokens` and `calls` are
    what is spent. Before each try its input is counted, and `max_tokens` of the call (else the mean of the answers so far)
    added; where that does not fit, `BudgetExceeded` is raised and nothing is sent. So the real cost can go over only by as much
    as an estimate was too low. A money budget needs the price of every model that it meets: `prices=`, or the extra `prices`;
    else `UsageError`.

    >>> Budget(max_cost=2.5, max_calls=100)
    Budget(cost 0.0 of 2.5, calls 0 of 100)
    """

    def __init__(
        self,
        *,
        max_cost: float | None = None,
        max_tokens: int | None = None,
        max_calls: int | None = None,
        prices: Prices | None = None,
    ) -> None:
        self.limits: dict[str, float] = {}
        for name, value in (("max_cost", max_cost), ("max_tokens", max_tokens), ("max_calls", max_calls)):
            if value is None:
                continue
            number(name, value, "number", most=1e15)
            if name != "max_cost" and value != int(value):
                raise UsageError(f"{name} is a whole number; got {value!r}", argument=name)
            self.limits[name] = value
        if not self.limits:
            raise UsageError("a budget needs max_cost, max_tokens or max_calls", argument="max_cost")
        self.prices = checked_prices(prices)
        self._start(0.0, 0, 0, 0, 0)

    def _start(self, cost: float, tokens: int, calls: int, made: int, answers: int) -> None:
        self.cost, self.tokens, self.calls = cost, tokens, calls
        self._made, self._answers = made, answers  # output tokens so far, and the tries that gave them
        self._open = [0.0, 0.0]  # cost and tokens that are set aside
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        state = {"limits": self.limits, "prices": self.prices}
        return {**state, "spent": (self.cost, self.tokens, self.calls, self._made, self._answers)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.limits, self.prices = state["limits"], state["prices"]
        self._start(*state["spent"])

    def __repr__(self) -> str:
        spent = {"max_cost": self.cost, "max_tokens": self.tokens, "max_calls": self.calls}
        return f"Budget({', '.join(f'{n[4:]} {spent[n]} of {most}' for n, most in self.limits.items())})"

    def reserve(self, call: Call, provider: str) -> Ticket:
        """Set aside what a try may take; `BudgetExceeded` when it does not fit."""
        given = count_call(call, provider).value
        with self._lock:
            # Of those that have ended: tries under way have no output yet, and a refused one never has any.
            mean = -(-self._made // self._answers) if self._answers else FIRST_GUESS
        made = (call.settings.max_tokens or mean) * (call.settings.n or 1)
        usage = Usage(input_tokens=given, output_tokens=made, estimated=True)
        tier = call.settings.service_tier
        ticket = Ticket(provider, call.model, usage, self._price(usage, call.model, provider, tier), tier)
        with self._lock:
            self._check(ticket)
            self.calls += 1
            self._open[0] += ticket.cost
            self._open[1] += given + made
        return ticket

    def settle(self, ticket: Ticket, usage: Usage | None, *, free: bool) -> None:
        """The try has ended: what it took goes in place of what was set aside. `free`: it took nothing."""
        taken = Usage(input_tokens=0, output_tokens=0) if free else (usage or ticket.usage)
        cost = 0.0 if free else self._taken(taken, ticket)
        with self._lock:
            self._open[0] -= ticket.cost
            self._open[1] -= ticket.usage.total_tokens or 0
            self.cost += cost
            self.tokens += taken.total_tokens or 0
            self._made += taken.output_tokens or 0
            self._answers += not free

    def _price(self, usage: Usage, model: str, provider: str, tier: str | None) -> float:
        if "max_cost" not in self.limits:
            return 0.0
        cost = price_of(usage, model, provider, prices=self.prices, tier=tier)
        if cost.total is None:
            raise UsageError(
                f"a budget in money needs the price of {provider}:{model}: {cost.reason}", argument="max_cost"
            )
        return cost.total

    def _taken(self, usage: Usage, ticket: Ticket) -> float:
        """What an answer cost; where that is not to be told (odd counts, a tier without a price), what was set aside. Its money is
        spent: an error would only lose it."""
        if "max_cost" not in self.limits:
            return 0.0
        cost = price_of(usage, ticket.model, ticket.provider, prices=self.prices, tier=ticket.tier)
        return ticket.cost if cost.total is None else cost.total

    def _check(self, ticket: Ticket) -> None:
        needed = {"max_cost": ticket.cost, "max_tokens": ticket.usage.total_tokens or 0, "max_calls": 1}
        spent = {
            "max_cost": self.cost + self._open[0],
            "max_tokens": self.tokens + self._open[1],
            "max_calls": self.calls,
        }
        for name, most in self.limits.items():
            if spent[name] + needed[name] > most:
                raise BudgetExceeded(
                    f"{name}={most:g} would be exceeded: {spent[name]:.6g} is spent or under way, and this call may take "
                    f"{needed[name]:.6g} more; nothing was sent",
                    limit=name, allowed=most, spent=spent[name], needed=needed[name],
                    provider=ticket.provider, model=ticket.model,
                )  # fmt: skip


class BudgetTry(TryLayer):
    """Asks the budget before each try, and tells it what the try took."""

    goes_along: ClassVar[bool] = True

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def attempt(self, plan: Plan, call: Call, ledger: Ledger, inner: Callable[[], Flow[T]]) -> Flow[T]:
        """One try, if the budget has room."""
        if plan.tries.index(self) < _last(plan.tries, self):
            return (yield from inner())  # the same budget is there twice: the inner one counts
        ticket, before, free = self.budget.reserve(call, plan.dialect.provider), ledger.usage, False
        whole = False
        try:
            result = yield from inner()
            whole = True
            return result
        except ChatModelError as error:
            unsent = not error.accepted or getattr(error, "phase", "") == "connect"
            free = unsent or isinstance(error, ProviderError)
            raise
        finally:
            usage = None if ledger.usage is before else ledger.usage
            self.budget.settle(ticket, usage if whole or usage is None else _at_least(usage, ticket), free=free)


def _at_least(usage: Usage, ticket: Ticket) -> Usage:
    """A try that broke off: its output was counted only up to there, so what was set aside for it stays booked."""
    made = max(usage.output_tokens or 0, ticket.usage.output_tokens or 0)
    return msgspec.structs.replace(
        usage, input_tokens=usage.input_tokens or ticket.usage.input_tokens, output_tokens=made
    )


def _last(tries: tuple[TryLayer, ...], one: BudgetTry) -> int:
    return max(n for n, t in enumerate(tries) if isinstance(t, BudgetTry) and t.budget is one.budget)


class BudgetHere(Layer):
    """Puts a budget around every try of what is called in a context."""

    rank: ClassVar[int] = BUDGET

    def __init__(self, budget: Budget) -> None:
        self.one = BudgetTry(budget)

    def call(self, plan: Plan, call: Call, inner: Inner) -> Flow[AIMessage]:
        """The answer, if the budget has room."""
        return inner(self._within(plan), call)

    def stream(self, plan: Plan, call: Call, state: Streaming, inner: InnerStream) -> Flow[None]:
        """The events, if the budget has room."""
        return inner(self._within(plan), call, state)

    def _within(self, plan: Plan) -> Plan:
        if any(isinstance(t, BudgetTry) and t.budget is self.one.budget for t in plan.tries):
            return plan
        return msgspec.structs.replace(plan, tries=(self.one, *plan.tries))


def budget_layer(
    budget: Any, max_cost: float | None, max_tokens: int | None, max_calls: int | None, prices: Prices | None
) -> BudgetTry:
    """The layer of `with_budget`."""
    limits = (max_cost, max_tokens, max_calls, prices)
    if budget is None:
        return BudgetTry(Budget(max_cost=max_cost, max_tokens=max_tokens, max_calls=max_calls, prices=prices))
    if not isinstance(budget, Budget):
        raise UsageError(f"budget is a Budget(...), not {type(budget).__name__}", argument="budget")
    if any(limit is not None for limit in limits):
        raise UsageError("a Budget has its own limits: give them to it, not to with_budget", argument="budget")
    return BudgetTry(budget)
