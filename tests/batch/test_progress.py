"""The progress bar on a real (pseudo) terminal, as a screen shows it, and the lines elsewhere."""

from __future__ import annotations

import fcntl
import io
import logging
import os
import pty
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatmodels.batch import run_batch
from chatmodels.batch._progress import Progress
from chatmodels.batch._progress_lines import Rates, bar, fitted, parts_of
from chatmodels.batch._tally import Tally

from ..conftest import chat
from ..servers import Server


class Window:
    """A pseudo terminal and what stands on its screen."""

    def __init__(self, columns: int) -> None:
        self.reader, writer = pty.openpty()
        self.stream = os.fdopen(writer, "w", encoding="utf-8")
        self.resize(columns)

    def resize(self, columns: int) -> None:
        self.columns = columns
        fcntl.ioctl(self.stream.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def text(self) -> str:
        """What came since the last look."""
        self.stream.flush()
        data = b""  # the system passes it on in pieces
        while select.select([self.reader], [], [], 0.05)[0]:
            data += os.read(self.reader, 1_000_000)
        return data.decode()

    def lines(self) -> list[str]:
        """The same as a screen shows it: knows \\r, \\n, erasing to the end, and wrapping."""
        text = self.text().replace("\x1b[K", "\x00")
        rows, at = [""], 0
        for char in text:
            if char == "\r":
                at = 0
            elif char == "\n":
                rows.append("")
                at = 0
            elif char == "\x00":
                rows[-1] = rows[-1][:at]
            else:
                assert char.isprintable(), repr(char)
                if at == self.columns:
                    rows.append("")
                    at = 0
                rows[-1] = rows[-1][:at].ljust(at) + char + rows[-1][at + 1 :]
                at += 1
        return rows


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Iterator[Window]:
    monkeypatch.setenv("TERM", "xterm")
    made = Window(80)
    yield made
    made.stream.close()
    os.close(made.reader)


def tally_of(done: int = 48, expected: int | None = 200) -> Tally:
    tally = Tally(expected)
    tally.done, tally.failed, tally.in_flight, tally.new_tokens, tally.cost = done, 2, 7, 500_000, 1.5
    return tally


def test_narrow_windows_lose_the_least() -> None:
    parts = parts_of(tally_of(), Rates(12.3, 15_432))
    assert fitted(parts, 200) == "50/200 done, 2 failed, 7 in flight, 12.3/s, 15k tokens/s, $1.50, 12 s left"
    assert fitted(parts, 70) == "50/200 done, 2 failed, 7 in flight, 15k tokens/s, $1.50, 12 s left"
    assert fitted(parts, 40) == "50/200 done, 2 failed, $1.50, 12 s left"
    assert fitted(parts, 25) == "50/200 done, 2 failed"
    assert fitted(parts, 6) == "50/200"
    assert [bar(tally_of(), room) for room in (8, 13, 200)] == ["", "[##........] ", f"[{'#' * 10}{'.' * 30}] "]
    assert bar(tally_of(expected=None), 40) == ""


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_the_bar_is_one_line_at_any_width_and_ends_with_one(window: Window, columns: int) -> None:
    window.resize(columns)
    progress = Progress(True, window.stream)
    for done in range(0, 199, 40):
        progress.show(tally_of(done))
    progress.end(tally_of(198))
    progress.end(tally_of(198))
    rows = window.lines()
    assert len(rows) == 2
    assert rows[1] == ""
    assert "200/200 done" in rows[0]
    assert len(rows[0]) < min(columns, 120)
    assert ("tokens/s" in rows[0]) == (columns >= 80)
    assert rows[0].startswith("[#") or columns < 80


def test_what_others_write_stands_above_the_bar(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", window.stream)
    monkeypatch.setattr(sys, "stderr", window.stream)
    handler = logging.StreamHandler()
    record = logging.LogRecord("x", logging.WARNING, "x", 1, "a log line", None, None)
    progress = Progress(True)
    progress.show(tally_of(10))
    handler.emit(record)
    progress.show(tally_of(20))
    print("printed, and ", end="")
    progress.show(tally_of(30))  # waits for the end of the line
    print("gone on with")
    progress.show(tally_of(40))
    rows = window.lines()
    assert rows[:2] == ["a log line", "printed, and gone on with"]
    assert len(rows) == 3
    assert "42/200 done" in rows[2]
    progress.leave()
    print("afterwards")
    assert window.lines() == ["afterwards", ""]
    assert "write" not in vars(window.stream)


def test_a_window_that_shrinks(window: Window) -> None:
    progress = Progress(True, window.stream)
    progress.show(tally_of(10))
    assert len(window.lines()[0]) > 60
    window.resize(40)
    progress.show(tally_of(20))
    assert len(window.lines()[-1]) < 40


class Gone(io.StringIO):
    """A terminal whose window is closed after the first line."""

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        if self.getvalue().count("\r") > 1:
            raise OSError(5, "Input/output error")


def test_a_window_that_is_closed_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    gone = Gone()
    progress = Progress(True, gone)
    for _ in range(3):
        progress.show(tally_of())
    progress.end(tally_of())
    assert "write" not in vars(gone)
    assert gone.getvalue().count("done") == 2


@pytest.mark.parametrize("how", ["dumb", "pipe", "plain"])
def test_elsewhere_there_are_lines(window: Window, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    pipe = io.StringIO()
    window.resize(200)
    if how == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    progress = Progress(True, pipe if how == "pipe" else window.stream, bar=how != "plain")
    progress.soon(tally_of(10))
    progress.show(tally_of(20))
    progress.end(tally_of(198))
    rows = pipe.getvalue().split("\n") if how == "pipe" else window.lines()
    assert len(rows) == 3
    assert rows[0].startswith("22/200 done, 2 failed, 7 in flight, ")
    assert rows[1].startswith("200/200 done")
    assert progress.every == 10


def test_off_and_closed() -> None:
    nothing = io.StringIO()
    Progress(False, nothing).end(tally_of())
    assert not nothing.getvalue()


def test_a_run_that_fails_leaves_the_terminal_as_it_was(
    server: Server, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", window.stream)

    def items() -> Iterator[Any]:
        yield from ("a", "b")
        time.sleep(0.3)  # until the bar is there
        raise ValueError("the source broke")

    with pytest.raises(ValueError, match="the source broke"):
        run_batch(chat(server.route()), items(), progress=True)
    assert "write" not in vars(window.stream)
    assert "2 done" in (written := window.text())
    assert written.endswith("\r\x1b[K")


def test_a_whole_run(server: Server, window: Window, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stderr", window.stream)
    (tmp_path / "in.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    run_batch(chat(server.route()), tmp_path / "in.jsonl", progress=True)
    rows = window.lines()
    assert rows[-1] == ""
    assert "2/2 done" in rows[-2]
    assert "left" not in rows[-2]
