"""The workers of a batch as Ray actors: started, asked, watched, stopped. Knows Ray, and nothing of shards' meaning."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import sleep
from typing import Any

from .._errors import ChatModelError, UsageError
from ._fit import Apart
from ._library import library
from ._shards import Shard
from ._worker import Caps, Now, ShardEnd, ShardWorker, Work

#: How many calls an actor takes beside the shard that it answers.
_BESIDE = 16


class Member:
    """One worker. `pending` is what it has been told to do: to begin, or to answer `shard`."""

    def __init__(self, actor: Any, pending: Any) -> None:
        self.actor, self.pending = actor, pending
        self.ready = False
        self.shard: Shard | None = None
        self.alone = False
        self.caps = Caps()
        self.asked: Any = None
        self.now = Now()


class Lost(Exception):
    """The worker is gone, or cannot be reached."""


class Pool:
    """At most `size` workers at a time; those which the cluster has no room for yet wait in Ray's own line."""

    def __init__(
        self, work: Work, beside: Apart | None, size: int, options: dict[str, Any], connect: Callable[[], object]
    ) -> None:
        self._ray = library()
        self._connect: Callable[[], object] | None = connect
        self._work, self._beside, self.size = work, beside, size
        self._class = actor_class(options)
        self.members: list[Member] = []

    def fill(self) -> None:
        """Start workers until there are enough. The first time, connect: a batch with nothing left to do needs no cluster."""
        if self._connect is not None:
            self._connect()
            self._connect = None
        while len(self.members) < self.size:
            actor = self._class.remote(self._work)
            self.members.append(Member(actor, actor.begin.remote(self._beside)))

    @property
    def busy(self) -> list[Member]:
        """Those who answer a shard."""
        return [m for m in self.members if m.shard is not None]

    def idle(self) -> Member | None:
        """One that can be given a shard."""
        return next((m for m in self.members if m.ready and m.shard is None), None)

    def give(self, member: Member, shard: Shard, caps: Caps, retry_failed: bool) -> None:
        """Have it answer the shard."""
        member.shard, member.caps, member.now = shard, caps, Now()
        member.pending = member.actor.answer.remote(shard, caps, retry_failed)

    def wait(self, seconds: float) -> list[Member]:
        """Those who have done what they were told, or are lost."""
        refs = {m.pending: m for m in self.members if m.pending is not None}
        if not refs:
            sleep(min(seconds, 0.1))
            return []
        ready, _ = self._ray.wait(list(refs), num_returns=1, timeout=seconds)
        more, _ = self._ray.wait(list(refs), num_returns=len(refs), timeout=0)
        return [refs[ref] for ref in {*ready, *more}]

    def result(self, member: Member) -> ShardEnd | None:
        """What came of it; None: it has begun. Raises `Lost`, and what is wrong with the work itself."""
        errors: Any = library("ray.exceptions")
        pending, member.pending = member.pending, None
        try:
            found = self._ray.get(pending)
        except errors.RayTaskError as error:
            raise _cause(error) from error
        except errors.RuntimeEnvSetupError as error:
            raise ChatModelError(f"a worker's environment could not be made: {error}") from error
        except errors.RayError as error:
            self.drop(member)
            raise Lost(f"{type(error).__name__}: {error}".partition("\n")[0]) from error
        member.ready = True
        return found if isinstance(found, ShardEnd) else None

    def drop(self, member: Member) -> None:
        """It is of no use any more; what is left of its process ends."""
        self.members.remove(member)
        with suppress(Exception):
            self._ray.kill(member.actor)

    def look(self) -> None:
        """Ask those who are busy how far they are; what they have said since the last time is in `now`."""
        for member in self.busy:
            if member.asked is None:
                member.asked = member.actor.state.remote()
        asked = [m for m in self.members if m.asked is not None]
        if not asked:
            return
        ready, _ = self._ray.wait([m.asked for m in asked], num_returns=len(asked), timeout=0)
        for member in asked:
            if member.asked in ready:
                with suppress(Exception):  # one that is lost will be seen to be so elsewhere
                    member.now = self._ray.get(member.asked)
                member.asked = None

    def stop(self, stopped: str, reason: str) -> None:
        """No more calls; shards end with what is in flight. Who has not begun yet is not needed."""
        for member in list(self.members):
            if member.shard is None:
                self.drop(member)
            else:
                member.actor.stop.remote(stopped, reason)

    def close(self) -> None:
        """All workers end."""
        for member in list(self.members):
            self.drop(member)

    def room(self) -> str:
        """What the cluster has, and what is free, in words."""
        have, free = self._ray.cluster_resources(), self._ray.available_resources()
        return (
            f"it has {have.get('CPU', 0):g} CPUs and {have.get('GPU', 0):g} GPUs, of which {free.get('CPU', 0):g} and "
            + (f"{free.get('GPU', 0):g} are free")
        )


def actor_class(options: dict[str, Any]) -> Any:
    """The worker as Ray's class, with its options. Options that Ray does not know are a UsageError."""
    asked = {"num_cpus": 1, **options}
    fixed = {"max_restarts": 0, "max_task_retries": 0, "max_concurrency": _BESIDE}
    wrong = sorted(set(asked) & set(fixed))
    if wrong:
        raise UsageError(f"{wrong[0]} is the batch's own: its workers' losses are mended by it", argument=wrong[0])
    try:
        return library().remote(ShardWorker).options(**asked, **fixed)
    except (ValueError, TypeError) as error:
        raise UsageError(f"Ray does not take these options of an actor: {error}", argument="engine") from error


def _cause(error: Any) -> Exception:
    cause: object = getattr(error, "cause", None)
    return cause if isinstance(cause, Exception) else ChatModelError(f"a worker failed: {error}")
