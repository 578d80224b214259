"""A stand-in for every provider on this machine: made-up answers in each provider's own wire format, over loopback.

For following the guides without a key, and for tests of whole programs. `chatmodels practice` is its command.
"""

from __future__ import annotations

from ._server import PracticeServer, practice_server

__all__ = ["PracticeServer", "practice_server"]
