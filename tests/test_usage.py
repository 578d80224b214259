"""Token counts: classes that are disjoint, sums that count nothing twice, and the odd counts of providers."""

from __future__ import annotations

import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmodels._usage import COUNTS, Attempt, Usage, make_usage

from . import strategies as made


def test_totals_and_what_is_left() -> None:
    usage = Usage(input_tokens=10, output_tokens=5, cache_read_tokens=4, cache_write_tokens=1, reasoning_tokens=3)
    assert (usage.total_tokens, usage.uncached_input_tokens) == (15, 5)
    assert Usage().total_tokens is None
    assert Usage(output_tokens=5).total_tokens == 5
    assert Usage(output_tokens=5).uncached_input_tokens is None
    assert repr(Usage(input_tokens=1)) == "Usage(input_tokens=1)"


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"input_tokens": 5, "cache_read_tokens": 6}, "cannot be more than 5"),
        (
            {"input_tokens": 5, "cache_read_tokens": 3, "cache_write_tokens": 3},
            "cache_read_tokens + cache_write_tokens (6)",
        ),
        ({"output_tokens": 2, "reasoning_tokens": 3}, "reasoning_tokens (3) are part of output_tokens"),
    ],
)
def test_a_part_is_no_more_than_its_total(counts: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(").replace(")", r"\)").replace("+", r"\+")):
        Usage(**counts)
    kept = make_usage(
        counts.get("input_tokens"),
        counts.get("output_tokens"),
        **{k: v for k, v in counts.items() if k not in ("input_tokens", "output_tokens")},
    )
    assert kept is not None
    assert kept.inconsistent
    assert (kept.uncached_input_tokens or 0) == 0


def test_no_usage() -> None:
    assert make_usage(None, None, reasoning_tokens=3) is None
    assert make_usage(0, None) == Usage(input_tokens=0)


@given(made.usages)
def test_classes_are_disjoint(usage: Usage) -> None:
    parts = (usage.uncached_input_tokens or 0) + (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    assert parts == usage.input_tokens
    assert usage.total_tokens == (usage.input_tokens or 0) + (usage.output_tokens or 0)


@given(made.usages, made.usages)
def test_sums(one: Usage, other: Usage) -> None:
    both = one + other
    for name in COUNTS:
        a, b = getattr(one, name), getattr(other, name)
        assert getattr(both, name) == (None if a is None and b is None else (a or 0) + (b or 0))
    assert both == other + one
    assert both.raw is None
    assert (both.uncached_input_tokens or 0) == (one.uncached_input_tokens or 0) + (other.uncached_input_tokens or 0)


def test_sums_keep_what_is_uncertain() -> None:
    both = Usage(input_tokens=1, estimated=True) + Usage(input_tokens=1, cache_read_tokens=5, inconsistent=True)
    assert (both.estimated, both.inconsistent, both.input_tokens, both.output_tokens) == (True, True, 2, None)
    assert Usage(input_tokens=1).__add__(5) is NotImplemented  # type: ignore[arg-type]


@given(made.usages, st.integers(0, 9))
def test_they_survive(usage: Usage, number: int) -> None:
    attempt = Attempt(number=number, usage=usage, error="x")
    assert pickle.loads(pickle.dumps(attempt)) == attempt
    assert msgspec.json.decode(msgspec.json.encode(attempt), type=Attempt) == attempt
