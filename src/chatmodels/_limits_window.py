"""How much a window of time still holds: a sliding log of what was taken, and what a provider's headers say is left. Pure."""

from __future__ import annotations

from collections import deque

#: Providers count by the minute.
MINUTE = 60.0
#: What is taken within this share of a window is kept as one entry, as of its newest moment: memory stays bounded.
GRAIN = 0.005


class Entry:
    """What was taken at one time."""

    __slots__ = ("amount", "began", "live", "time")

    def __init__(self, amount: int, now: float) -> None:
        self.amount = amount
        self.began = self.time = now
        self.live = True


class Window:
    """At most `limit` in any stretch of `seconds`, wherever it begins.

    A bucket that is filled all the time would let twice the limit pass in the minute after a pause; this does not.
    """

    __slots__ = ("_log", "limit", "seconds", "used")

    def __init__(self, limit: int, seconds: float = MINUTE) -> None:
        self.limit = limit
        self.seconds = seconds
        self.used = 0
        self._log: deque[Entry] = deque()

    def ready_in(self, amount: int, now: float) -> float:
        """Seconds until `amount` may be taken; of more than the limit, the soonest that it could be in pieces."""
        turns, amount = divmod(amount - 1, self.limit) if amount > self.limit else (0, amount - 1)
        self._forget(now)
        over = self.used + amount + 1 - self.limit
        wait = turns * self.seconds
        if over <= 0:
            return wait
        for entry in self._log:
            over -= entry.amount
            if over <= 0:
                return wait + max(0.0, entry.time + self.seconds - now)
        return wait

    def take(self, amount: int, now: float) -> Entry:
        """Take; `ready_in` has said that there is room."""
        self.used += amount
        last = self._log[-1] if self._log else None
        if last is not None and now - last.began < self.seconds * GRAIN:
            last.amount += amount
            last.time = max(last.time, now)
            return last
        entry = Entry(amount, now)
        self._log.append(entry)
        return entry

    def change(self, entry: Entry, by: int) -> None:
        """What was taken turns out to have been more or less."""
        if entry.live:
            entry.amount += by
            self.used += by

    def _forget(self, now: float) -> None:
        while self._log and now >= self._log[0].time + self.seconds:
            entry = self._log.popleft()
            entry.live = False
            self.used -= entry.amount


class Quota:
    """What the provider has said is left, and when it will be whole again; in between it is taken to fill evenly."""

    __slots__ = ("_rate", "at", "left", "limit", "whole_at")

    def __init__(self, left: float, limit: float | None, whole_at: float, now: float) -> None:
        self.left = left
        self.limit = limit
        self.whole_at = whole_at
        self.at = now
        fills = limit is not None and limit > left and whole_at > now
        self._rate = (limit - left) / (whole_at - now) if fills and limit is not None else 0.0

    def ready_in(self, amount: float, now: float) -> float:
        """Seconds until `amount` is there."""
        if now >= self.whole_at or amount <= self.left:
            return 0.0
        if self.limit is not None:
            amount = min(amount, self.limit)
        ready = self.at + (amount - self.left) / self._rate if self._rate else self.whole_at
        return max(0.0, min(ready, self.whole_at) - now)

    def take(self, amount: float, now: float) -> None:
        """A call goes out."""
        self.left -= amount
