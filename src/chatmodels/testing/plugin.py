"""The pytest plug-in: the fixture `chatmodels_cassette`, and `--chatmodels-record`. It imports nothing of ours until it is used."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ._cassette import Cassette

_MARK = "chatmodels_cassette"
_BEGAN = pytest.StashKey[float]()
#: Letters of a file's name that come from the test's.
_LONGEST = 100


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
    """The marker is known, and when the run began."""
    config.stash[_BEGAN] = time.time()
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
    if mode in ("once", "all") and _made_now(path, request.config):
        mode = "new"  # by another test of this run, which shares the file
    with cassette(path, mode, **options) as made:
        yield made


def _made_now(path: Path, config: pytest.Config) -> bool:
    """Was the file written since this run began? With pytest-xdist another worker may have done it."""
    began: float = config.stash[_BEGAN]
    return path.exists() and path.stat().st_mtime >= began


def _path(request: pytest.FixtureRequest, given: str | None) -> Path:
    beside = Path(request.path).parent
    if given is not None:
        return beside / given
    cls = f"{request.node.cls.__name__}." if getattr(request.node, "cls", None) else ""
    whole = cls + request.node.name
    name = re.sub(r"[^\w.=+-]+", "_", whole).strip("_")
    if len(name) > _LONGEST or re.search(r"[^\w.=+\-\[\] ]", whole):  # other tests may come to the same name
        from hashlib import sha256

        name = f"{name[:_LONGEST]}-{sha256(whole.encode()).hexdigest()[:8]}"
    return beside / "cassettes" / request.path.stem / f"{name}.json"
