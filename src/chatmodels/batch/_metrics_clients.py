"""Metrics through other libraries: an OpenTelemetry meter (extra `otel`), or a registry of prometheus_client (extra
`prometheus`). Knows families of metrics, no records.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any
from weakref import WeakKeyDictionary

from .._errors import UsageError
from .._version import __version__
from ._metrics_names import COMMON, FAMILIES, SECONDS, Family


class Meter:
    """OpenTelemetry: `chatmodels.batch.items` and its kin. Gauges are up-down counters: several batches add up."""

    every = 3600.0

    def __init__(self, provider: Any) -> None:
        try:
            metrics: Any = import_module("opentelemetry.metrics")
        except ImportError as error:
            raise UsageError(
                "metrics= needs OpenTelemetry: pip install 'chatmodels[otel]'", argument="metrics"
            ) from error
        meter = metrics.get_meter("chatmodels", __version__, provider)
        self._made = {name: _instrument(meter, f"chatmodels.batch.{name}", f) for name, f in FAMILIES.items()}
        self._common: dict[str, str] = {}

    def start(self, labels: dict[str, str]) -> None:
        """The attributes that all have."""
        self._common = {COMMON[name]: value for name, value in labels.items()}

    def add(self, name: str, by: float, labels: dict[str, str]) -> None:
        """So much on top."""
        known = FAMILIES[name].labels
        self._made[name].add(by, {**self._common, **{known[k]: v for k, v in labels.items() if v}})

    def observe(self, seconds: list[float]) -> None:
        """Into the histogram."""
        histogram = self._made["call_duration"]
        for one in seconds:
            histogram.record(one, self._common)

    def flush(self) -> None:
        """The provider's readers have their own pace."""

    def end(self) -> None:
        """Nothing is open."""


def _instrument(meter: Any, name: str, family: Family) -> Any:
    if family.kind == "counter":
        return meter.create_counter(name, family.unit, family.told)
    if family.kind == "gauge":
        return meter.create_up_down_counter(name, family.unit, family.told)
    return meter.create_histogram(name, family.unit, family.told, explicit_bucket_boundaries_advisory=SECONDS)


#: Registry -> its metrics: a registry takes each name once, and many batches may go into it.
_REGISTRIES: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


class Registry:
    """prometheus_client: the user's own registry, which the user shows as always."""

    every = 3600.0

    def __init__(self, registry: Any) -> None:
        try:
            client: Any = import_module("prometheus_client")
        except ImportError as error:
            raise UsageError(
                "this registry needs prometheus_client: pip install 'chatmodels[prometheus]'", argument="metrics"
            ) from error
        if registry not in _REGISTRIES:
            _REGISTRIES[registry] = {name: _metric(client, registry, name, f) for name, f in FAMILIES.items()}
        self._made = _REGISTRIES[registry]
        self._common: dict[str, str] = {}

    def start(self, labels: dict[str, str]) -> None:
        """The labels that all have."""
        self._common = labels
        for outcome in ("done", "failed"):
            self.add("items", 0, {"outcome": outcome, "error_type": ""})

    def add(self, name: str, by: float, labels: dict[str, str]) -> None:
        """So much on top."""
        self._made[name].labels(**self._common, **labels).inc(by)

    def observe(self, seconds: list[float]) -> None:
        """Into the histogram."""
        histogram = self._made["call_duration"].labels(**self._common)
        for one in seconds:
            histogram.observe(one)

    def flush(self) -> None:
        """Whoever shows the registry asks it."""

    def end(self) -> None:
        """Nothing is open."""


def _metric(client: Any, registry: Any, name: str, family: Family) -> Any:
    known, labels = family.prometheus(name), [*COMMON, *family.labels]
    if family.kind == "counter":
        return client.Counter(known, family.told, labels, registry=registry)
    if family.kind == "gauge":
        return client.Gauge(known, family.told, labels, registry=registry)
    return client.Histogram(known, family.told, labels, registry=registry, buckets=SECONDS)
