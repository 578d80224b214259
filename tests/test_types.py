"""The types that users get, as a type checker sees them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")


@pytest.mark.skipif("CHATMODELS_SUITES" not in os.environ, reason="set CHATMODELS_SUITES=1: it takes seconds")
def test_what_users_write_has_its_types() -> None:
    file = Path(__file__).with_name("typed_use.py")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(file)]
    out = subprocess.run(command, capture_output=True, text=True, check=False, cwd=file.parents[1])
    assert (out.stdout, out.returncode) == ("", 0)
