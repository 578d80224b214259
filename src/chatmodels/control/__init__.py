"""Reliability around a model's calls: what `with_fallback`, `with_limits` and `with_hedge` take, their errors, and `deadline`."""

from .._breaker import Breaker, BreakerOpen
from .._events import Restarted
from .._fallback import FallbackError
from .._limits import LimitError
from .._usage import Attempt
from ._deadline import deadline
from ._limiter import Limiter

__all__ = ["Attempt", "Breaker", "BreakerOpen", "FallbackError", "LimitError", "Limiter", "Restarted", "deadline"]
