"""What an official SDK makes of an answer, in one neutral form: how it is called over a loopback server and how what it
gives is read, as its users would. Repairs nothing, and knows nothing of our own reading.

A reading is a dict; a field that an SDK has no place for is absent from its readings, and so is not compared.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

ASKED = [{"role": "user", "content": "hi"}]


def arguments(value: Any) -> Any:
    """Arguments of a call as JSON; text that is no JSON stays text; nothing is an empty object."""
    if isinstance(value, (bytes, str)):
        try:
            value = json.loads(value) if value else {}
        except ValueError:
            return value
    return {} if value is None else value


def counts(given: Any, *numbers: Any) -> tuple[int, ...] | None:
    """(input, output, cache read, cache write, reasoning): totals first; None where there is no usage."""
    return tuple(int(n or 0) for n in numbers) if given is not None else None


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """All texts in what an SDK gives, with their places: `.choices[].message.content`. Short ones say too little."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json", warnings=False)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(inner, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from texts(inner, f"{path}[]")
    elif isinstance(value, (bytes, bytearray)):
        yield path, base64.b64encode(value).decode()
    elif isinstance(value, str) and len(value) > 5:
        yield path, value


def of(value: Any, name: str, default: Any = None) -> Any:
    found = getattr(value, name, None)
    return default if found is None else found


class SDK:
    """How one SDK is driven. `ask` gives an answer, an awaitable of one, or a stream of chunks."""

    name = ""
    apis: tuple[str, ...] = ()
    has_async = True

    clients: tuple[Any, ...] = ()

    def __init__(self, origin: str) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        """Close the connections, where the SDK has a way to."""
        for client in self.clients:
            closing = client.close() if hasattr(client, "close") else None
            if closing is not None:
                await closing

    def ask(self, record: dict[str, Any], awaited: bool) -> Any:
        raise NotImplementedError

    def plain(self, answer: Any) -> dict[str, Any]:
        raise NotImplementedError

    def streamed(self, chunks: list[Any]) -> dict[str, Any]:
        raise NotImplementedError

    def takes(self, record: dict[str, Any]) -> bool:
        """Could the SDK have asked for this answer at all?"""
        return True
