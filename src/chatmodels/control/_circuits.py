"""The circuits of this process: one for each provider, address and model, shared by all models that ask it."""

from __future__ import annotations

import threading

from .._breaker import Circuit

Key = tuple[str, str, str]

_circuits: dict[Key, Circuit] = {}


def circuit(key: Key) -> Circuit:
    """The circuit of (provider, base URL, model)."""
    found = _circuits.get(key)
    if found is None:
        found = _circuits.setdefault(key, Circuit(threading.Lock()))
    return found


def forget() -> None:
    """Close all circuits: as after a fork, where the locks belong to the parent, and between tests."""
    _circuits.clear()
