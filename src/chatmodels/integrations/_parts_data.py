"""Our own form of a part, as JSON data that goes along in another library's messages."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from chatmodels._errors import UsageError
from chatmodels._parts import Part

#: Under which name it goes along.
OURS = "chatmodels"


def data_of(part: Part) -> dict[str, Any]:
    """A part as JSON data."""
    return cast("dict[str, Any]", msgspec.to_builtins(part))


def part_of_data(data: Any) -> Part:
    """The part of `data_of`; a UsageError where it is none."""
    try:
        return cast(Part, msgspec.convert(data, cast(Any, Part)))
    except (msgspec.ValidationError, ValueError) as error:
        raise UsageError(f"the data of a part: {error}", argument="content") from error
