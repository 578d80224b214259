"""Metrics as text in Prometheus' format: in a file, for the node exporter's textfile collector, or at a port of 127.0.0.1.

Format: prometheus.io/docs/instrumenting/exposition_formats (0.0.4). Knows families of metrics, no records.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_left
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .._errors import UsageError
from ._metrics_names import FAMILIES, SECONDS, Family

TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Series:
    """All series of one batch."""

    def __init__(self) -> None:
        self._labels: dict[str, str] = {}
        self._values: dict[str, dict[str, float]] = {name: {} for name, f in FAMILIES.items() if f.kind != "histogram"}
        self._buckets = [0] * (len(SECONDS) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def start(self, labels: dict[str, str]) -> None:
        """The labels that all have, and the series that are there from the beginning: rates need their zero."""
        self._labels = labels
        for outcome in ("done", "failed"):
            self.add("items", 0, {"outcome": outcome, "error_type": ""})

    def add(self, name: str, by: float, labels: dict[str, str]) -> None:
        """So much on top."""
        shown = _braces({**self._labels, **labels})
        with self._lock:
            series = self._values[name]
            series[shown] = series.get(shown, 0) + by

    def observe(self, seconds: list[float]) -> None:
        """Into the histogram."""
        with self._lock:
            for one in seconds:
                self._buckets[bisect_left(SECONDS, one)] += 1
                self._sum += one

    def text(self) -> str:
        """All of it."""
        lines: list[str] = []
        with self._lock:
            for name, family in FAMILIES.items():
                known = family.prometheus(name)
                shown = self._histogram(known) if family.kind == "histogram" else self._plain(known, name)
                if shown:
                    lines += _head(known, family) + shown
        return "\n".join(lines) + "\n"

    def _plain(self, known: str, name: str) -> list[str]:
        return [f"{known}{labels} {_number(value)}" for labels, value in self._values[name].items()]

    def _histogram(self, known: str) -> list[str]:
        lines: list[str] = []
        count = 0
        for bound, number in zip((*map(str, SECONDS), "+Inf"), self._buckets, strict=True):
            count += number
            lines.append(f"{known}_bucket{_braces({**self._labels, 'le': bound})} {count}")
        labels = _braces(self._labels)
        return [*lines, f"{known}_sum{labels} {_number(self._sum)}", f"{known}_count{labels} {count}"]


def _head(known: str, family: Family) -> list[str]:
    return [f"# HELP {known} {family.told}", f"# TYPE {known} {family.kind}"]


def _braces(labels: dict[str, str]) -> str:
    return "{" + ",".join([f'{name}="{_escaped(value)}"' for name, value in labels.items() if value]) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return f"{value:.12g}"


class TextFile(Series):
    """A file that is replaced as a whole, so that nobody reads half of it."""

    every = 5.0

    def __init__(self, path: Any) -> None:
        super().__init__()
        self._path = Path(path)
        if not self._path.parent.is_dir():
            raise UsageError(f"{self._path}: there is no folder {self._path.parent}; make it first", argument="metrics")

    def start(self, labels: dict[str, str]) -> None:
        """Raises UsageError where it cannot be written."""
        super().start(labels)
        try:
            self._write()
        except OSError as error:
            raise UsageError(f"{self._path} cannot be written: {error.strerror}", argument="metrics") from error

    def flush(self) -> None:
        """Write it."""
        with suppress(OSError):  # a full disk stops no batch for the sake of its metrics; the next time may go well
            self._write()

    def _write(self) -> None:
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            beside.write_text(self.text(), encoding="utf-8")
            beside.replace(self._path)
        except OSError:
            with suppress(OSError):
                beside.unlink()
            raise

    def end(self) -> None:
        """The file stays, with the last numbers."""


class Port(Series):
    """`http://127.0.0.1:PORT/metrics`, while the batch runs."""

    every = 3600.0

    def __init__(self, port: int) -> None:
        super().__init__()
        if not 0 < port < 65536:
            raise UsageError(f"metrics={port} is no port: 1 to 65535", argument="metrics")
        self._port = port
        self._server: ThreadingHTTPServer | None = None

    def start(self, labels: dict[str, str]) -> None:
        """Listen."""
        super().start(labels)
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        except OSError as error:
            raise UsageError(f"port {self._port} cannot be had for metrics: {error}", argument="metrics") from error
        self._server.daemon_threads = True
        threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True, name="chatmodels-metrics"
        ).start()

    def flush(self) -> None:
        """Whoever asks gets what there is."""

    def end(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def _handler(series: Series) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.partition("?")[0] == "/metrics"
            body = series.text().encode() if found else b"see /metrics\n"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):  # who asked has gone
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Not in the batch's log."""

    return Handler
