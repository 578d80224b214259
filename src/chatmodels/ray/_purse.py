"""What a batch may spend, shared out among the workers: together they never hold more than is left. Pure."""

from __future__ import annotations

from ._worker import Caps


class Purse:
    """Caps of cost (US dollars) and tokens over all shards and runs."""

    def __init__(self, cost: float | None, tokens: int | None) -> None:
        self.cost, self.tokens = cost, tokens
        self._spent: dict[int, tuple[float, int]] = {}
        self._held: dict[int, tuple[float, int]] = {}
        self._sum = (0.0, 0)

    @property
    def capped(self) -> bool:
        """Is there any cap?"""
        return self.cost is not None or self.tokens is not None

    @property
    def spent(self) -> tuple[float, int]:
        """Dollars and tokens, as far as shards have told."""
        return self._sum

    def settle(self, shard: int, cost: float, tokens: int) -> None:
        """So much has gone into the shard, in all runs; what was held for it is free."""
        before = self._spent.get(shard, (0.0, 0))
        self._spent[shard] = (cost, tokens)
        self._sum = (self._sum[0] + cost - before[0], self._sum[1] + tokens - before[1])
        self._held.pop(shard, None)

    def hold(self, shard: int, workers: int, in_a_row: int) -> Caps | None:
        """What the shard may come to, when so many workers share what is left; None where nothing is. A shard whose worker was
        lost keeps what it had: nobody knows what was spent of it."""
        if not self.capped:
            return Caps(in_a_row=in_a_row)
        if shard not in self._held:
            held = [sum(one[i] for one in self._held.values()) for i in (0, 1)]
            cost = 0.0 if self.cost is None else (self.cost - self._sum[0] - held[0]) / workers
            tokens = 0 if self.tokens is None else int((self.tokens - self._sum[1] - held[1]) // workers)
            if (self.cost is not None and cost <= 0) or (self.tokens is not None and tokens <= 0):
                return None
            self._held[shard] = (cost, tokens)
        return self._caps(shard, in_a_row)

    def nothing(self, shard: int, in_a_row: int) -> Caps:
        """For a shard that needs no more than what others have paid for."""
        self._held.setdefault(shard, (0.0, 0))
        return self._caps(shard, in_a_row)

    def _caps(self, shard: int, in_a_row: int) -> Caps:
        cost, tokens = self._held[shard]
        before = self._spent.get(shard, (0.0, 0))
        return Caps(
            None if self.cost is None else before[0] + cost,
            None if self.tokens is None else before[1] + tokens,
            in_a_row,
        )

    def worded(self) -> tuple[str, str]:
        """Which cap is reached, and how to go on."""
        cost, tokens = self._sum
        if self.cost is not None and (
            self.tokens is None or cost / max(self.cost, 1e-12) >= tokens / max(self.tokens, 1)
        ):
            name, spent, cap = "max_cost", cost, self.cost
        else:
            name, spent, cap = "max_tokens", float(tokens), float(self.tokens or 0)
        return name, f"{spent:,.6g} of {cap:,.6g} are spent; give a higher {name} to go on"
