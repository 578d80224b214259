"""A process's line to the actor of a `RayLimiter`: what is to be said goes in one message, when the one before is answered.

So a worker never has more than one message on its way, and the busier the actor is, the more each message carries.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

from .._errors import ChatModelError
from ._library import library

#: Seconds after which a thread with nothing to do ends; between two tries to reach an actor that is being started anew; how often.
IDLE, AGAIN, TRIES = 5.0, 0.5, 40


class Wish(NamedTuple):
    """A place that is wanted: for so many tokens, within so many seconds (None: whenever)."""

    name: str
    need: int
    left: float | None


class Client:
    """Safe to use from threads and event loops."""

    def __init__(self, actor: Any, dead: Callable[[], None]) -> None:
        self._actor, self._dead = actor, dead
        self._name = uuid.uuid4().hex
        self._news = threading.Condition()
        self._wishes: list[Wish] = []
        self._ends: list[tuple[str, int | None, bool]] = []
        self._waiting: dict[str, tuple[Wish, Future[Any]]] = {}
        self._telling = self._hearing = False

    def enter(self, wish: Wish) -> Future[float | ChatModelError]:
        """Seconds that it waited, or why there is no place."""
        found: Future[float | ChatModelError] = Future()
        with self._news:
            self._waiting[wish.name] = (wish, found)
            self._wishes.append(wish)
            self._wake()
        return found

    def leave(self, name: str, used: int | None, sent: bool) -> None:
        """The place is free again, or not wanted any more. Nobody waits for this to arrive."""
        with self._news:
            self._waiting.pop(name, None)
            self._ends.append((name, used, sent))
            self._wake()

    def _wake(self) -> None:
        if self._telling:
            self._news.notify()
        else:
            self._telling = True
            threading.Thread(target=self._tell, name="chatmodels-ray-limits", daemon=True).start()

    # -- threads

    def _tell(self) -> None:
        while (news := self._take()) is not None:
            wishes, ends = news
            found = self._asked(partial(self._actor.tell.remote, self._name, wishes, ends))
            if found is None:
                return
            self._settle(found)
            self._listen()

    def _take(self) -> tuple[list[Wish], list[tuple[str, int | None, bool]]] | None:
        with self._news:
            if not self._news.wait_for(lambda: self._wishes or self._ends, IDLE):
                self._telling = False
                return None
            news = self._wishes, self._ends
            self._wishes, self._ends = [], []
            return news

    def _asked(self, ask: Callable[[], Any]) -> list[Any] | None:
        """What the actor answers. It may be gone with its machine, and come up elsewhere with an empty book."""
        ray, errors = library(), library("ray.exceptions")
        last: Exception = ChatModelError("it was never asked")
        for _ in range(TRIES):
            try:
                answer: list[Any] = ray.get(ask())
            except errors.RayTaskError as error:
                self._fail(error)
                return None
            except errors.RayError as error:
                last = error
                time.sleep(AGAIN)
                with self._news:
                    lost = [wish for wish, _ in self._waiting.values()]
                ask = partial(self._actor.tell.remote, self._name, lost, [])
            except Exception as error:  # Ray itself has been shut down
                self._fail(error)
                return None
            else:
                return answer
        self._fail(last)
        return None

    def _listen(self) -> None:
        with self._news:
            if self._hearing or not self._waiting:
                return
            self._hearing = True
        threading.Thread(target=self._hear, name="chatmodels-ray-places", daemon=True).start()

    def _hear(self) -> None:
        while True:
            found = self._asked(partial(self._actor.hear.remote, self._name))
            if found is None:
                return
            self._settle(found)
            with self._news:
                if not self._waiting:
                    self._hearing = False
                    return

    def _settle(self, found: list[tuple[str, float | ChatModelError]]) -> None:
        for name, got in found:
            with self._news:
                wish, future = self._waiting.pop(name, (None, None))
            if wish is not None and future is not None and future.set_running_or_notify_cancel():
                future.set_result(got)

    def _fail(self, error: Exception) -> None:
        self._dead()
        with self._news:
            waiting, self._waiting = self._waiting, {}
            self._telling = self._hearing = False
        text = f"the limiter of the cluster cannot be reached: {type(error).__name__}: {error}"
        self._settled(waiting, ChatModelError(text))

    def _settled(self, waiting: dict[str, tuple[Wish, Future[Any]]], error: ChatModelError) -> None:
        for _, future in waiting.values():
            if future.set_running_or_notify_cancel():
                future.set_result(error)
