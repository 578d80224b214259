"""`python -m chatmodels.testing.practice PAGE.md` runs a guide; `chatmodels practice PAGE.md` starts it."""

from __future__ import annotations

import sys

from ._pages import main

sys.exit(main())
