"""A tool call's arguments as JSON text, where the wire gives an object. Pure."""

from __future__ import annotations

import json
from typing import Any

from chatmodels._json import dumps_text, mend


def args_text(args: Any) -> str:
    """Compact JSON text; nothing is `{}`. Halves of characters that a model wrote are mended."""
    if isinstance(args, str):
        return args
    try:
        return dumps_text({} if args is None else args)
    except UnicodeEncodeError:
        return mend(json.dumps(args, ensure_ascii=False, separators=(",", ":")))
