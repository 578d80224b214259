"""What the two dialects of turns share: ids of calls, facts about Claude models, types of media."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmodels._call import Settings
from chatmodels.dialects import _claude
from chatmodels.dialects._call_ids import CallIds
from chatmodels.dialects._media_types import media_type

REFUSED = re.compile(r"[^a-zA-Z0-9_-]")


@given(st.lists(st.text(max_size=30), max_size=8))
def test_ids_are_valid_unique_and_the_same_on_call_and_result(given_ids: list[str]) -> None:
    ids = CallIds(REFUSED, 20)
    asked = [ids.call(i, "f") for i in given_ids]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,20}", wire) for wire in asked)
    assert len(set(asked)) == len(asked)
    assert [ids.result(i) for i in given_ids] == asked


def test_good_ids_stay_as_they_are() -> None:
    ids = CallIds(REFUSED, 40)
    assert ids.call("toolu_01A-b", "f") == "toolu_01A-b"
    assert ids.result("toolu_01A-b") == "toolu_01A-b"


def test_ids_that_repeat_from_turn_to_turn() -> None:
    ids = CallIds(REFUSED, 40)
    assert (ids.call("f:0", "f"), ids.result("f:0")) == ("f_0", "f_0")
    assert (ids.call("f:0", "f"), ids.result("f:0")) == ("f_0_2", "f_0_2")
    assert ids.result("f:0") == "f_0_2"


def test_results_without_an_id_go_by_name() -> None:
    ids = CallIds(REFUSED, 40)
    first, second = ids.call("", "f"), ids.call("", "g")
    assert ids.result("", "g") == second
    assert ids.result("") == first
    assert ids.open_call("g") is None
    third = ids.call("", "g")
    assert ids.open_call("g") == third
    assert ids.find("no such call") is None
    assert ids.result("no such call") == "no_such_call"


@pytest.mark.parametrize(
    ("model", "number"),
    [
        ("claude-3-haiku-20240307", (3, 0)),
        ("claude-3-7-sonnet-latest", (3, 7)),
        ("claude-sonnet-4-20250514", (4, 0)),
        ("claude-opus-4-1@20250805", (4, 1)),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", (4, 5)),
        ("anthropic/claude-opus-4.6", (4, 6)),
        ("claude-fable-5-1", (5, 1)),
        ("claude-opus-5", (5, 0)),
        ("anthropic.claude-v2:1", (2, 0)),
        ("claude-2.1", (2, 1)),
        ("anthropic.claude-instant-v1", (1, 0)),
        ("claude-mythos-preview", (99, 0)),
    ],
)
def test_versions(model: str, number: tuple[int, int]) -> None:
    assert _claude.version(model) == number


def test_models_of_other_makers_take_a_budget() -> None:
    assert _claude.thinking_form("kimi-k3") == "budget"
    assert _claude.takes_sampling("kimi-k3")
    assert not _claude.has_json_schema("kimi-k3")
    found = _claude.thinking("kimi-k3", Settings(reasoning_effort="low", reasoning_budget=5))
    assert found.config == {"type": "enabled", "budget_tokens": 5}
    assert found.notes == ("kimi-k3 takes a reasoning budget and no effort: reasoning_effort is not sent",)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF0000WEBP", "image/webp"),
        (b"RIFF0000WAVE", "audio/wav"),
        (b"RIFF0000AVI ", None),
        (b"%PDF-1.7", "application/pdf"),
        (b"0000ftypisom", "video/mp4"),
        (b"", None),
    ],
)
def test_media_types(data: bytes, kind: str | None) -> None:
    assert media_type(data, None) == kind
    assert media_type(data, "Text/CSV; charset=utf-8") == "text/csv"
