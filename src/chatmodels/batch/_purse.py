"""The budgets of a model and of its context (`with_budget`, `track_usage(max_...)`), for items that go into jobs.

Money is set aside when a job is cut, at a batch's price, and settled when the item's answer comes. Calls nobody.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from .._errors import BudgetExceeded
from .._messages import AIMessage
from .._plan import Plan
from .._tracking_budget import Budget, BudgetHere, BudgetTry, Ticket
from .._usage import Usage
from ._ledger import Entry

_NONE = Usage(input_tokens=0, output_tokens=0)


class Purse:
    """All budgets that hold. Without any it does nothing."""

    def __init__(self, plan: Plan) -> None:
        tries = [*plan.tries, *(layer.one for layer in plan.layers if isinstance(layer, BudgetHere))]
        self._budgets = list({id(t.budget): t.budget for t in tries if isinstance(t, BudgetTry)}.values())
        self._provider = plan.dialect.provider
        self._tickets: dict[int, list[tuple[Budget, Ticket]]] = {}

    def fits(self, entries: Iterable[Entry]) -> tuple[int | None, BudgetExceeded | None]:
        """How many of these, from the first on, there is money for, which is set aside; None for all. And why not the next one."""
        if not self._budgets:
            return None, None
        for count, entry in enumerate(entries):
            try:
                self._reserve(entry)
            except BudgetExceeded as error:
                return count, error
        return None, None

    def _reserve(self, entry: Entry) -> None:
        call = entry.call
        call = msgspec.structs.replace(call, settings=msgspec.structs.replace(call.settings, service_tier="batch"))
        self._tickets[entry.position] = []
        for budget in self._budgets:
            try:
                ticket = budget.reserve(call, self._provider)
            except BudgetExceeded:
                self.give_back(entry.position)
                raise
            self._tickets[entry.position].append((budget, ticket))

    def give_back(self, position: int) -> None:
        """The item was not asked, or not answered: nothing was paid."""
        for budget, ticket in self._tickets.pop(position, ()):
            budget.settle(ticket, None, free=True)

    def settle(self, entry: Entry, message: AIMessage) -> None:
        """The answer has come: what it took is spent. An item of an earlier run's job had nothing set aside."""
        tickets = self._tickets.pop(entry.position, None)
        if tickets is None:
            none = Ticket(self._provider, entry.call.model, _NONE, 0.0, "batch")
            tickets = [(budget, none) for budget in self._budgets]
        for budget, ticket in tickets:
            budget.settle(ticket, message.usage, free=False)
