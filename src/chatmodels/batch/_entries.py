"""From an item to the call it means, with the key by which a journal knows it again. Knows no file and sends nothing."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from .._cache_key import question_of
from .._call import Call
from .._errors import UsageError
from .._messages import SystemMessage
from ._items import Item, item_of
from ._ledger import Entry


class Entries:
    """Makes them for one model and one system message."""

    def __init__(self, model: Any, system: str | None) -> None:
        self._model, self._plan = model, model._plan()
        self._before = (SystemMessage(system),) if system else ()

    def of(self, position: int, given: Any) -> Entry:
        """The entry of the item there. Where it cannot be asked, `call` is why: the item's own error, which its line tells."""
        item = item_of(given)
        try:
            call = self._call(item)
            entry = Entry(position, item.id, item.metadata, bytes.fromhex(question_of(self._plan, call).key)[:16])
            entry.call = call
        except Exception as error:
            seed = repr((item.input, item.settings)).encode("utf-8", "replace")
            entry = Entry(position, item.id, item.metadata, hashlib.sha256(seed).digest()[:16])
            entry.call = error
        return entry

    def _call(self, item: Item) -> Call:
        if item.error is not None:
            raise item.error
        call: Call = self._model._call(item.input, None, item.settings)
        if item.model not in (None, call.model):
            raise UsageError(
                f"the line asks for the model {item.model!r}, and this batch for {call.model!r}: give that model to the batch, or "
                "take it out of the line",
                argument="items",
            )
        if not self._before:
            return call
        return msgspec.structs.replace(call, messages=(*self._before, *call.messages))
