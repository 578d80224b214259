"""The pytest plug-in: the fixture `chatmodels_cassette`, and `--chatmodels-record`. It imports nothing of ours until it is used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ._cassette import Cassette

_MARK = "chatmodels_cassette"


def pytest_addoption(parser: pytest.Parser) -> None:
    """--chatmodels-record, and the same in the configuration file."""
    group = parser.getgroup("chatmodels", "record and replay of chat models")
    group.addoption(
        "--chatmodels-record",
        choices=("none", "once", "new", "all"),
        default=None,
        help="none: replay only (the default). once: record where there is no file yet. new: record what is not there. "
        "all: record everything anew.",
    )
    parser.addini("chatmodels_record", "the default of --chatmodels-record", default="none")


def pytest_configure(config: pytest.Config) -> None:
    """The marker is known."""
    config.addinivalue_line(
        "markers",
        f"{_MARK}(path=None, speed=None, ignore=(), repeat=False): where and how the fixture of that name replays",
    )


@pytest.fixture
def chatmodels_cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """While the test runs, models are answered from `cassettes/<file>/<test>.json` beside it, or recorded into it.

    When it replays, no key is needed: variables for keys that are not set hold the word "replayed".
    """
    from ._record import cassette

    options: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers(_MARK))):
        options.update(mark.kwargs)
        options.update({"path": mark.args[0]} if mark.args else {})
    path = _path(request, options.pop("path", None))
    mode = request.config.getoption("--chatmodels-record") or request.config.getini("chatmodels_record")
    with cassette(path, mode, **options) as made:
        yield made


def _path(request: pytest.FixtureRequest, given: str | None) -> Path:
    beside = Path(request.path).parent
    if given is not None:
        return beside / given
    cls = f"{request.node.cls.__name__}." if getattr(request.node, "cls", None) else ""
    name = re.sub(r"[^\w.=+-]+", "_", cls + request.node.name).strip("_")
    return beside / "cassettes" / request.path.stem / f"{name}.json"
