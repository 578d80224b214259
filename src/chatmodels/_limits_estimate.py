"""How many tokens a call may take, estimated before it is sent: from the length of its text and its `max_tokens`. Pure.

An estimate is for limits only; it is corrected by the answer's usage.
"""

from __future__ import annotations

from ._call import Call
from ._estimate import estimate_text, estimate_tokens, tool_tokens


class Need(int):
    """The tokens that a try may take, and how they are split: `given` goes in, `made` is what answers have had so far (providers
    that count output apart count what came, not `max_tokens`)."""

    given: int
    made: int

    @classmethod
    def of(cls, total: int, given: int, made: int) -> Need:
        """The whole and its two parts."""
        need = cls(total)
        need.given, need.made = given, made
        return need


def input_tokens(call: Call, provider: str = "") -> int:
    """The tokens of the messages and tools."""
    total = estimate_tokens(call.messages, provider)
    return total + sum([tool_tokens(t, estimate_text) for t in call.tools]) if call.tools else total


def output_tokens(call: Call, expected: float) -> int:
    """The tokens of the answer at most, where the call says so; else as many as answers have had so far."""
    most = call.settings.max_tokens
    each = int(expected) if most is None else most
    return each * (call.settings.n or 1)
