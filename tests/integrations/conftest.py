"""The server that the tests of adapters share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .brain import Brain, serve_brain


@pytest.fixture(scope="session")
def brain() -> Iterator[Brain]:
    with serve_brain() as server:
        yield server
