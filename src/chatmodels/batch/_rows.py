"""Many rows in few statements. Knows SQLite, and nothing of what is in the rows.

Each step of a statement lets go of the interpreter's lock and has to get it back, which beside a busy event loop costs more than
the row itself; one statement for 64 rows does so once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

_SIZES = (64, 32, 16, 8, 4, 2, 1)


def insert(db: sqlite3.Connection, statement: str, width: int, values: list[Any]) -> None:
    """`statement` ("INSERT INTO t VALUES ") for rows of `width` values each, given as one flat list."""
    at, end = 0, len(values)
    for size in _SIZES:
        step = size * width
        while end - at >= step:
            db.execute(_for(statement, width, size), values[at : at + step])
            at += step


def select(db: sqlite3.Connection, question: str, values: Sequence[Any]) -> Iterator[Any]:
    """The rows that `question` ("SELECT a FROM t WHERE b IN") finds for all values. In few texts: each is compiled, and kept."""
    at = 0
    for size in _SIZES:
        while len(values) - at >= size:
            yield from db.execute(f"{question} {_for('', size, 1)}", values[at : at + size])
            at += size


@cache
def _for(statement: str, width: int, rows: int) -> str:
    return statement + ",".join([f"({','.join('?' * width)})"] * rows)
