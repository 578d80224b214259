"""Many machines: batches that survive lost workers, models inside Ray Data pipelines, one limiter for a whole cluster.

    from chatmodels.batch import run_batch
    from chatmodels.ray import RayEngine

    run_batch("openai:gpt-4o-mini", "in.jsonl", out="out.jsonl", engine=RayEngine(workers=8))

Extra: `ray`. Nothing here is loaded before it is used, and importing this module does not import Ray.
"""

from ._engine import RayEngine
from ._limiter import RayLimiter
from ._map import map_messages

__all__ = ["RayEngine", "RayLimiter", "map_messages"]
