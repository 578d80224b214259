"""A cassette: the recorded exchanges of one file, which answers requests and takes new ones. Knows files; no transport."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher, unified_diff
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Literal

import msgspec

from .._call import HTTPRequest
from .._errors import UsageError
from .._json import is_object
from ._cassette_data import Asked, Recorded, bytes_of, clean_form, clean_pieces, from_file, to_file
from ._paced import Paced, Piece
from ._scrub import Scrubber, secrets_of

#: none: replay only. once: replay where the file exists, else record. new: replay what is there, record the rest. all: record.
Mode = Literal["none", "once", "new", "all"]
MODES: tuple[Mode, ...] = ("none", "once", "new", "all")

#: How long nothing comes where nothing had come: until the caller gives up again, in seconds.
_SILENCE = 1e6

#: How long another process may take to write the file, in seconds.
_PATIENCE = 10.0

#: Lines of a comparison that an error shows.
_LINES = 60


class NotRecorded(UsageError):
    """The request is not among the recorded ones; the text shows how it differs from the nearest. Nothing was sent."""


class Note:
    """An exchange that is being recorded, and what keeps secrets out of it."""

    def __init__(self, asked: Asked, scrubber: Scrubber, stream: bool) -> None:
        self.recorded = Recorded(asked, stream=stream, pieces=[])
        self.scrubber = scrubber

    def clean(self) -> Recorded:
        """As it is written."""
        one, scrubber = self.recorded, self.scrubber
        pieces = one.pieces if one.stream else _plain(one.pieces, scrubber)
        if one.stream:
            pieces = clean_pieces(pieces, scrubber) if pieces else []
        failure = one.failure and msgspec.structs.replace(one.failure, text=scrubber.text(one.failure.text))
        return msgspec.structs.replace(one, headers=scrubber.headers(one.headers), pieces=pieces, failure=failure)


def _plain(pieces: list[tuple[float, bytes]], scrubber: Scrubber) -> list[tuple[float, bytes]]:
    return [(at, bytes_of(clean_form(data, scrubber))) for at, data in pieces]


class Cassette:
    """The exchanges of a file. Safe between threads."""

    def __init__(
        self, path: str | os.PathLike[str], mode: Mode, *, speed: float | None, ignore: tuple[str, ...], repeat: bool
    ) -> None:
        if mode not in MODES:
            raise UsageError(f"mode is one of {', '.join(MODES)}; got {mode!r}", argument="mode")
        if speed is not None and speed <= 0:
            raise UsageError(f"speed is a factor above 0, or None for at once; got {speed!r}", argument="speed")
        if isinstance(ignore, str):
            raise UsageError("ignore is a tuple of names of body fields", argument="ignore")
        self.path = Path(path)
        self._began = _state(self.path)
        exists = self._began is not None
        self.mode: Mode = ("none" if exists else "all") if mode == "once" else mode
        self.speed = speed
        self.recorded: list[Recorded] = list(_load(self.path)) if exists and self.mode != "all" else []
        self._ignore = frozenset(ignore)
        self._repeat = repeat
        self._used = [False] * len(self.recorded)
        self._notes: list[Note] = []
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Cassette({str(self.path)!r}, mode={self.mode!r}, {len(self.recorded)} recorded)"

    @property
    def records(self) -> bool:
        """May requests be sent?"""
        return self.mode != "none"

    @property
    def unused(self) -> list[Recorded]:
        """The recorded exchanges that nobody has asked for yet."""
        return [one for one, used in zip(self.recorded, self._used, strict=True) if not used]

    def asked(self, request: HTTPRequest, headers: dict[str, str]) -> tuple[Asked, Scrubber]:
        """The normal form of a request, and what takes its secrets out."""
        scrubber = Scrubber(secrets_of({**headers, **request.headers}))
        form = clean_form(request.body, scrubber)
        body: Any = form.get("json", form.get("text", form.get("base64")))
        return Asked(request.method, scrubber.path(request.path), body), scrubber

    def find(self, asked: Asked) -> Recorded | None:
        """The recorded exchange whose turn it is; None where the request may be sent. Raises `NotRecorded`."""
        with self._lock:
            same = [i for i, one in enumerate(self.recorded) if self._same(one.asked, asked)]
            free = next((i for i in same if not self._used[i]), None)
            if free is None and self._repeat and same:
                free = same[-1]
            if free is not None:
                self._used[free] = True
                return self.recorded[free]
        if self.records:
            return None
        raise NotRecorded(self._missing(asked, len(same)), argument="path")

    def has(self, asked: Asked) -> bool:
        """Would `find` give an exchange?"""
        with self._lock:
            return any(
                (self._repeat or not used) and self._same(one.asked, asked)
                for one, used in zip(self.recorded, self._used, strict=True)
            )

    def note(self, asked: Asked, scrubber: Scrubber, stream: bool) -> Note:
        """A place for an exchange that begins now."""
        made = Note(asked, scrubber, stream)
        with self._lock:
            self._notes.append(made)
        return made

    def save(self) -> None:
        """Write the file anew, where there is anything new; whole or not at all. What others have put into it meanwhile is kept."""
        with self._lock:
            new = [note.clean() for note in self._notes if note.recorded.answered]
        if not new:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(self.path):
            self._write([*self.recorded, *self._of_others(), *new])

    def _of_others(self) -> list[Recorded]:
        """What is in the file and was not when this one began: others put theirs behind."""
        if _state(self.path) in (None, self._began):
            return []
        there, mine = list(_load(self.path)), self.recorded
        return there[len(mine) :] if there[: len(mine)] == mine else there

    def _write(self, exchanges: list[Recorded]) -> None:
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(to_file(exchanges))
            os.chmod(name, 0o644)
            os.replace(name, self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _same(self, one: Asked, other: Asked) -> bool:
        return (one.method, one.path) == (other.method, other.path) and self._bare(one.body) == self._bare(other.body)

    def _bare(self, body: Any) -> Any:
        if not self._ignore or not is_object(body):
            return body
        return {k: v for k, v in body.items() if k not in self._ignore}

    def _missing(self, asked: Asked, times: int) -> str:
        what = f"{asked.method} {asked.path}"
        if times:
            return f"{self.path}: {what} is recorded {times}x with this body, and is asked once more (repeat=True allows it)"
        if not self.recorded:
            why = "the recording is empty" if self.path.exists() else "there is no such file"
            return f"{self.path}: {why}. Record it: `with record(path)`, or `pytest --chatmodels-record=once`"
        return (
            f"{self.path}: no recorded request is this {what}. The nearest differs so (- recorded, + asked); "
            f"record again with `pytest --chatmodels-record=new`, or leave fields out with ignore=:\n{self._difference(asked)}"
        )

    def _difference(self, asked: Asked) -> str:
        text = asked.shown()
        near = max((one.asked.shown() for one in self.recorded), key=lambda other: _likeness(other, text))
        lines = list(unified_diff(near.splitlines(), text.splitlines(), "recorded", "asked", lineterm="", n=2))
        more = len(lines) - _LINES
        return "\n".join(lines[:_LINES]) + (f"\n... {more} lines more" if more > 0 else "")


def _likeness(one: str, other: str) -> tuple[bool, float]:
    same_place = one.split("\n", 1)[0] == other.split("\n", 1)[0]
    return same_place, SequenceMatcher(None, one[:4000], other[:4000], autojunk=False).quick_ratio()


def _state(path: Path) -> tuple[int, int] | None:
    """What changes when the file is written anew; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino


@contextmanager
def _alone(path: Path) -> Generator[None]:
    """No other process writes the file meanwhile. A lock that nobody takes away (its process died) is passed over."""
    lock, until = path.with_name(path.name + ".lock"), monotonic() + _PATIENCE
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            if monotonic() > until:
                break
            sleep(0.01)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _load(path: Path) -> Iterator[Recorded]:
    try:
        yield from from_file(path.read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path} is no recording of this library: {error!r}", argument="path") from error


def played(one: Recorded, speed: float | None) -> Paced:
    """The exchange as an open answer. Raises at once where no answer came; where the caller gave up, nothing comes again."""
    if not one.status:
        if one.failure is not None:
            raise one.failure.raised()
        return Paced(iter([(_SILENCE, b"")]), silent=True)
    return Paced(_pieces(one, speed), status=one.status, headers=dict(one.headers))


def _pieces(one: Recorded, speed: float | None) -> Iterator[Piece]:
    before = 0.0
    for at, data in one.pieces:
        yield (0.0 if speed is None else max(0.0, at - before) / speed), data
        before = at
    if one.failure is not None:
        raise one.failure.raised()
    if one.left:
        raise NotRecorded("the reader left the stream here when it was recorded: record it again", argument="path")
