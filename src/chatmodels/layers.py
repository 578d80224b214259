"""For writing policies of one's own: a layer around calls, or around each try; `model.with_layer(...)` puts it there."""

from ._flow import Ask, Deliver, Emit, Flow, Now, Random, Sleep, WallClock
from ._layers import (
    ANSWER,
    BUDGET,
    CACHE,
    FALLBACK,
    HEDGE,
    RECORD,
    TELEMETRY,
    TRACKING,
    Layer,
    TryLayer,
    around,
    everywhere,
    relayed,
)

__all__ = [
    "ANSWER",
    "BUDGET",
    "CACHE",
    "FALLBACK",
    "HEDGE",
    "RECORD",
    "TELEMETRY",
    "TRACKING",
    "Ask",
    "Deliver",
    "Emit",
    "Flow",
    "Layer",
    "Now",
    "Random",
    "Sleep",
    "TryLayer",
    "WallClock",
    "around",
    "everywhere",
    "relayed",
]
