"""Counting and budgets as methods of a model. The model mixes them in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._messages import Message
    from ._model import ChatModel
    from ._tracking import Budget
    from .prices import Prices
    from .tokens import TokenCount


class Counting:
    """What a call would take, and what calls may take."""

    __slots__ = ()

    def count_tokens(self, input: Any, *, exact: bool = False) -> TokenCount:
        """The input tokens that this input takes with this model, its tools included. Nothing is sent unless `exact=True`, which
        may ask the provider; see `chatmodels.tokens.count_tokens`.

        >>> ChatModel("openai:gpt-4o").count_tokens("Hi").value  # doctest: +SKIP
        8
        """
        from .tokens import count_tokens

        return count_tokens(input, _model(self), exact=exact)

    async def acount_tokens(self, input: Any, *, exact: bool = False) -> TokenCount:
        """`count_tokens` in the async world."""
        from .tokens import acount_tokens

        return await acount_tokens(input, _model(self), exact=exact)

    def get_num_tokens(self, text: str) -> int:
        """The tokens of a text alone, as in 2023: by the model's vocabulary where it is at hand, else estimated."""
        from .tokens import encoding_name, estimate_text, text_tokens

        name = encoding_name(_model(self).model, _model(self).provider)
        found = None if name is None else text_tokens(text, name)
        return estimate_text(text) if found is None else found

    def get_num_tokens_from_messages(self, messages: Sequence[Message]) -> int:
        """`count_tokens(messages).value` under its name of 2023."""
        return self.count_tokens(messages).value

    def with_budget(
        self,
        budget: Budget | None = None,
        *,
        max_cost: float | None = None,
        max_tokens: int | None = None,
        max_calls: int | None = None,
        prices: Prices | None = None,
    ) -> Self:
        """A model that stops with `BudgetExceeded` before a try that could go beyond the budget: a `Budget` that others
        share, or limits of its own: US dollars, tokens (input and output), tries. Models made from this one share it.

        >>> chat = ChatModel("openai:gpt-4o").with_budget(max_cost=0.50)  # doctest: +SKIP
        """
        from ._tracking import budget_layer

        return cast(Self, _model(self).with_layer(budget_layer(budget, max_cost, max_tokens, max_calls, prices)))


def _model(mixed: Counting) -> ChatModel:
    return cast("ChatModel", mixed)
