"""The optional libraries of this package: imported where they are used, with the install command where they are missing; and
their errors as causes of ours."""

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


def caused(error: Exception, by: Exception) -> Exception:
    """The error with its cause, to be raised outside of the `except` that caught it.

    Our own error, which only came back through the other library, stays as it is: it must not be its own cause.
    """
    if error is not by and error is not by.__cause__:
        error.__cause__ = by
    return error
