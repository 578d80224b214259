"""Batches of any length: every item ends as a record, spending is journalled, and after a crash the same call goes on.

`run_batch(model, items, out="out.jsonl")` is the whole of it; see the guide, docs/batch.md.
"""

from __future__ import annotations

from ._estimate import Estimate, Range, estimate_batch
from ._items import Item
from ._record import BatchRecord, ItemError
from ._run import aiter_batch, arun_batch, iter_batch, run_batch
from ._tally import BatchSummary

__all__ = [
    "BatchRecord",
    "BatchSummary",
    "Estimate",
    "Item",
    "ItemError",
    "Range",
    "aiter_batch",
    "arun_batch",
    "estimate_batch",
    "iter_batch",
    "run_batch",
]
