"""`python -m chatmodels` is the command `chatmodels`."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
