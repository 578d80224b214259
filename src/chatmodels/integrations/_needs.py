"""The optional libraries of this package: imported where they are used, with the install command where they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from chatmodels._errors import UsageError


def needed(module: str, extra: str, argument: str = "model") -> Any:
    """The module; a UsageError with the install command where its library is not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        library = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != library:
            raise
        raise UsageError(f"{library} is not installed: pip install 'chatmodels[{extra}]'", argument=argument) from error
