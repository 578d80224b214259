"""Ray itself, loaded where it is used; a clear error where it is not installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .._errors import UsageError


def library(name: str = "ray") -> Any:
    """The module `ray`, or one in it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError("this needs Ray: pip install 'chatmodels[ray]'", argument="ray") from error
