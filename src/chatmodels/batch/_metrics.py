"""What a batch tells to those that watch it from outside: counters, gauges and a histogram, and to whom they go.

Knows records and the metrics (`_metrics_names`); not how a sink keeps or shows them (`_metrics_text`, `_metrics_clients`).
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from time import monotonic
from typing import Any, cast

from .._errors import UsageError
from ._metrics_names import Sink
from ._record import BatchRecord


class Metrics:
    """Counts records as they end, and hands the sums on from time to time: an item costs a few additions."""

    def __init__(self, sinks: list[Sink], provider: str, model: str) -> None:
        self._sinks = sinks
        self._labels = {"provider": provider, "model": model}
        self._fresh: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self._seconds: list[float] = []
        self._gauges: dict[str, float] = {}
        self._next = [0.0] * len(sinks)

    def start(self) -> None:
        """Open what the sinks need. Raises `UsageError` where a port is taken or a folder is missing."""
        for sink in self._sinks:
            sink.start(self._labels)
            for name in ("in_flight", "concurrency_limit", "queued"):
                sink.add(name, 0, {})

    def add(self, record: BatchRecord, reused: bool) -> None:
        """One item has ended."""
        if reused:
            self._count("items", 1, outcome="reused", error_type="")
            return
        failed = record.error.type if record.error is not None else ""
        self._count("items", 1, outcome="failed" if failed else "done", error_type=failed)
        usage = record.usage
        if usage is not None and record.message is not None and not record.message.from_cache:
            self._count("tokens", usage.input_tokens or 0, type="input")
            self._count("tokens", usage.output_tokens or 0, type="output")
        if record.cost:
            self._count("cost", record.cost)
        if record.seconds is not None:
            self._seconds.append(record.seconds)

    def _count(self, name: str, by: float, **labels: str) -> None:
        key = (name, tuple(labels.items()))
        self._fresh[key] = self._fresh.get(key, 0) + by

    def show(self, **gauges: float) -> None:
        """Hand on what is new, and how things stand."""
        for name, value in gauges.items():
            moved = value - self._gauges.get(name, 0)
            if moved:
                self._count(name, moved)
            self._gauges[name] = value
        fresh, self._fresh = self._fresh, {}
        seconds, self._seconds = self._seconds, []
        for sink in self._sinks:
            for (name, labels), by in fresh.items():
                sink.add(name, by, dict(labels))
            if seconds:
                sink.observe(seconds)
        self._flush(monotonic())

    def _flush(self, now: float) -> None:
        for number, sink in enumerate(self._sinks):
            if now >= self._next[number]:
                self._next[number] = now + sink.every
                sink.flush()

    def end(self) -> None:
        """The last sums; nothing is on its way any more. Closes what `start` opened."""
        self.show(in_flight=0, queued=0, concurrency_limit=0)
        for sink in self._sinks:
            sink.flush()
            sink.end()


def metrics_of(given: Any, provider: str, model: str) -> Metrics | None:
    """`metrics=` as it is given."""
    if given is None or given is False:
        return None
    many: list[Any] = list(cast("list[Any]", given)) if isinstance(given, list | tuple) else [given]
    return Metrics([_sink(one) for one in many], provider, model)


def _sink(given: Any) -> Sink:
    for fits, make in _KINDS:
        if fits(given):
            return make(given)
    raise UsageError(
        "metrics is a path (a file in Prometheus' text format), a port of 127.0.0.1, an OpenTelemetry MeterProvider (True: "
        f"the global one), a prometheus_client registry, or a list of these; got {given!r}",
        argument="metrics",
    )


def _file(given: Any) -> Sink:
    from ._metrics_text import TextFile

    return TextFile(given)


def _port(given: Any) -> Sink:
    from ._metrics_text import Port

    return Port(given)


def _otel(given: Any) -> Sink:
    from ._metrics_clients import Meter

    return Meter(None if given is True else given)


def _prometheus(given: Any) -> Sink:
    from ._metrics_clients import Registry

    return Registry(given)


_KINDS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Sink]], ...] = (
    (lambda given: given is True or hasattr(given, "get_meter"), _otel),
    (lambda given: isinstance(given, int), _port),
    (lambda given: isinstance(given, str | PathLike), _file),
    (lambda given: hasattr(given, "restricted_registry"), _prometheus),
)
