"""Many machines: models inside Ray Data pipelines, one limiter for a whole cluster, and batches that survive lost workers.

    import ray
    from chatmodels.ray import map_messages

    answered = map_messages(ray.data.read_json("questions.jsonl", lines=True), "openai:gpt-4o-mini", column="prompt")

Extra: `ray`. Nothing here is loaded before it is used, and importing this module does not import Ray.
"""

from ._limiter import RayLimiter
from ._map import map_messages
from ._run import RayRun, run_ray

__all__ = ["RayLimiter", "RayRun", "map_messages", "run_ray"]
