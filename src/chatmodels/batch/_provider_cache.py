"""The model's cache, before and after jobs: what it has goes into none, and answers out of jobs go into it.

What it has not goes into the piles that jobs are cut of. Knows no provider's API.
"""

from __future__ import annotations

import logging
from typing import Any

from .._drive import arun
from .._errors import ChatModelError, OutputError
from .._jobs import cached, caches, kept, seen
from .._messages import AIMessage
from .._outputs import value_of
from ._ledger import Entry
from ._provider_items import JobItems

log = logging.getLogger("chatmodels")

#: A cache is asked about so many items at once.
AT_ONCE = 8


class CachedItems(JobItems):
    """Items on their way to a pile, and answers on their way out."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._caching, self._asking = caches(self._plan), 0

    def _sort(self, entry: Entry) -> None:
        """To the cache, where there is one, or to a pile."""
        if self._caching:
            self._unseen.append(entry)
        else:
            self._weigh(entry)

    def _weigh(self, entry: Entry) -> None:
        try:
            self._piles.add(entry)
        except ChatModelError as error:
            self._settle_error(entry, error)

    @property
    def _cache_is_asked(self) -> bool:
        return bool(self._unseen or self._asking)

    def _ask_cache(self) -> None:
        for _ in range(min(AT_ONCE - self._asking, len(self._unseen)) if self.stopped is None else 0):
            self._asking += 1
            self._aside(self._look)

    async def _look(self) -> None:
        try:
            while self._unseen:
                await self._looked_up(self._unseen.popleft())
        finally:
            self._asking -= 1
        self._pump()
        self._maybe_over()

    async def _looked_up(self, entry: Entry) -> None:
        found: AIMessage | ChatModelError | None = None
        try:
            found = await arun(cached(self._plan, entry.call))
            if isinstance(found, AIMessage):
                await arun(seen(self._plan, entry.call, found))
        except ChatModelError as error:  # what it names is no cache
            found = error
        except Exception as error:  # ours
            self.stop("error", f"item {entry.position}: {error}", error)
        if self.stopped is not None or self._in_real_time:
            self._again(entry)
        elif isinstance(found, AIMessage):
            self._unsafe += 1
            self._fitting(entry, found)
        elif found is not None:
            self._settle_error(entry, found)
        else:
            self._weigh(entry)

    async def _keep(self, entry: Entry, found: AIMessage | ChatModelError) -> None:
        """Put an answer into the cache; it is not lost where that fails."""
        if self._caching and isinstance(found, AIMessage):
            try:
                await arun(kept(self._plan, entry.call, found))
            except ChatModelError as error:
                log.warning("an answer could not be put into the cache: %s", error)

    def _fitting(self, entry: Entry, message: AIMessage) -> None:
        """An answer, or that it does not fit the output type."""
        try:
            if entry.call.output is not None:
                value_of(entry.call.output, message)
        except OutputError as error:
            error.partial, error.attempts = message, message.attempts
            self._failed(entry, error, None)
        else:
            self._answered(entry, message, None)
