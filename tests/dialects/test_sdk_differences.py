"""A sample of the recorded answers, read by the official SDKs and by us: every difference is one that is explained. The whole
comparison is `tests/compare_sdks.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from . import wire_records
from .sdk_compare import PROVIDERS, compared, title_of
from .sdk_differences import EXPLAINED

PAGE = Path(__file__).resolve().parents[2] / "docs" / "differences.md"
APIS = [api for api in PROVIDERS if api != "huggingface-chat"]


@pytest.mark.skipif(not wire_records.THERE, reason="the recorded traffic is not beside the repository")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("api", APIS)
def test_every_difference_is_explained(api: str) -> None:
    for name, found in compared([api], every=60):
        if isinstance(found, ImportError):
            pytest.skip(f"{name} is not installed")
        assert found
        assert [str(c) for differences in found for c in differences if title_of(c).startswith("UNEXPLAINED")] == []


def test_the_page_of_the_docs_has_every_class() -> None:
    told = PAGE.read_text()
    for one in EXPLAINED:
        assert f"| {one.name} | " in told, one.name
        assert f" | {one.theirs} | {one.ours} | {one.right} | {one.why} |" in told, one.name


def test_names_of_classes_are_unique() -> None:
    assert len({e.name for e in EXPLAINED}) == len(EXPLAINED)
    assert {e.right for e in EXPLAINED} <= {"ours", "theirs", "both"}
