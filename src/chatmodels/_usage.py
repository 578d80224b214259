"""Token counts of an answer, and the ledger of tries behind it. Values only."""

from __future__ import annotations

from typing import Any

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True):
    """Tokens. `input_tokens` and `output_tokens` are totals; the other fields are parts of them.

    So the classes that are priced differently are disjoint: `uncached_input_tokens` (what is left of the input),
    `cache_read_tokens`, `cache_write_tokens` (of which `cache_write_1h_tokens` live for an hour). `reasoning_tokens`
    are part of the output. None means that the provider did not say. `estimated` marks counts that are ours.
    `inconsistent` marks a provider's counts in which a part is larger than its total: they are kept as they came, and
    `uncached_input_tokens` is then 0, never negative.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    estimated: bool = False
    inconsistent: bool = False
    raw: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.inconsistent:
            return
        cached = (self.cache_read_tokens or 0) + (self.cache_write_tokens or 0)
        if cached and self.input_tokens is not None and cached > self.input_tokens:
            raise ValueError(
                f"usage: cache_read_tokens + cache_write_tokens ({cached}) are part of input_tokens, "
                f"and so cannot be more than {self.input_tokens}"
            )
        if self.reasoning_tokens and self.output_tokens is not None and self.reasoning_tokens > self.output_tokens:
            raise ValueError(
                f"usage: reasoning_tokens ({self.reasoning_tokens}) are part of output_tokens, "
                f"and so cannot be more than {self.output_tokens}"
            )

    @property
    def total_tokens(self) -> int | None:
        """Input and output together; None when neither is known."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    @property
    def uncached_input_tokens(self) -> int | None:
        """Input tokens that were neither read from nor written to a prompt cache."""
        if self.input_tokens is None:
            return None
        return max(0, self.input_tokens - (self.cache_read_tokens or 0) - (self.cache_write_tokens or 0))

    def __add__(self, other: Usage) -> Usage:
        """The sum, class by class; a count that neither has stays None."""
        if not isinstance(other, Usage):  # pyright: ignore[reportUnnecessaryIsInstance]
            return NotImplemented
        sums: dict[str, Any] = {name: _add(getattr(self, name), getattr(other, name)) for name in COUNTS}
        return Usage(
            **sums,
            estimated=self.estimated or other.estimated,
            inconsistent=self.inconsistent or other.inconsistent,
        )


COUNTS = tuple(f for f in Usage.__struct_fields__ if f.endswith("_tokens"))


def _add(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return a if b is None else b
    return a + b


def make_usage(
    input_tokens: int | None, output_tokens: int | None, *, raw: dict[str, Any] | None = None, **parts: int | None
) -> Usage | None:
    """Usage from a provider's numbers, which need not add up: then they are kept and marked `inconsistent`.

    None when the provider gave neither total.
    """
    if input_tokens is None and output_tokens is None:
        return None
    cached = (parts.get("cache_read_tokens") or 0) + (parts.get("cache_write_tokens") or 0)
    odd = (input_tokens is not None and cached > input_tokens) or (
        output_tokens is not None and (parts.get("reasoning_tokens") or 0) > output_tokens
    )
    counts: dict[str, Any] = dict(parts)
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, raw=raw, inconsistent=odd, **counts)


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True):
    """One try. `outcome` is "ok" or the error's class name; `waited` and `seconds` are in seconds.

    `waited` is the pause before this try; `seconds` how long it took. `similarity` is of an answer that a semantic cache
    gave: how alike the two questions are, up to 1.
    """

    number: int
    outcome: str = "ok"
    provider: str | None = None
    model: str | None = None
    status: int | None = None
    waited: float = 0.0
    seconds: float | None = None
    request_id: str | None = None
    error: str | None = None
    usage: Usage | None = None
    similarity: float | None = None
