"""Recorded provider traffic, read by us and by the official SDKs over the same loopback socket, beside each other.

    python tests/compare_sdks.py [--api ...] [--show CLASS] [--markdown]

Plain and streamed, sync and async. For each SDK: how many answers were compared, how many are read alike, and each class of
difference with its count and records. Exits 1 when a difference is not one of those that `dialects/sdk_differences.py` explains.
Without the recordings, or for an SDK that is not installed, it says so.
"""

from __future__ import annotations

import sys

from dialects.sdk_compare import main

if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main())
