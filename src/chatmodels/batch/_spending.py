"""What a run may spend, and has spent: its caps on tokens and on dollars."""

from __future__ import annotations

from ._options import Options


class Spending:
    """`tokens` and `cost` (US dollars) are those of the whole batch, earlier runs included; `most` is what one call has taken."""

    def __init__(self, options: Options, spent: tuple[int, float]) -> None:
        self._options = options
        self.tokens, self.cost = spent
        self.most: tuple[int, float] = (0, 0.0)

    def add(self, tokens: int, cost: float | None) -> None:
        """A call has ended."""
        self.tokens += tokens
        self.cost += cost or 0.0
        self.most = max(self.most[0], tokens), max(self.most[1], cost or 0.0)

    def caps(self) -> list[tuple[str, float, float, float]]:
        """(name, cap, spent, the most that a call has taken) of each cap that is set."""
        options = self._options
        both = (
            ("max_tokens", options.max_tokens, self.tokens, self.most[0]),
            ("max_cost", options.max_cost, self.cost, self.most[1]),
        )
        return [(name, cap, spent, most) for name, cap, spent, most in both if cap is not None]

    def full(self, flying: int, answers: int) -> tuple[str, str] | None:
        """The cap under which there is no room for one more call, and the words for it, when all in flight cost as much as the
        dearest so far. The first goes alone, the last ones wait for those before: so what is spent goes over a cap by one
        call, if none is dearer than those before."""
        for name, cap, spent, most in self.caps():
            if spent >= cap or (flying and (flying > 2 * answers or spent + most * (flying + 1) > cap)):
                return name, over(name, cap, spent)
        return None


def over(name: str, cap: float, spent: float, besides: str = "") -> str:
    """Why a batch ends at a cap."""
    return f"{spent:,.6g} of {cap:,.6g} are spent{besides}; give a higher {name} to go on"
