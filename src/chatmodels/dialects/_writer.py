"""What the request writers of all dialects share: the warnings about what the wire has no place for, and the usual refusals."""

from __future__ import annotations

from typing import Any

from .._errors import UsageError
from .._json import is_object
from .._parts import Opaque, Part


class Writer:
    """Writes for one provider; `warnings` collects, each text once, what could not be said."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def cannot(self, where: str, what: str, remedy: str) -> UsageError:
        return UsageError(f"{where}: {self.provider} does not take {what} here; {remedy}", argument=where)

    def no_video(self, where: str) -> UsageError:
        return self.cannot(where, "video", "send images of it, or use a provider that takes video (google)")

    def opaque(self, part: Opaque, where: str) -> dict[str, Any] | None:
        """An opaque part of this provider as it came; None for another's."""
        if part.provider == self.provider and is_object(part.data):
            return part.data
        self.foreign(part, where)
        return None

    def foreign(self, part: Opaque, where: str) -> None:
        """An opaque part of another provider."""
        self.warn(f"{where}: a {part.kind or 'part'} of {part.provider} means nothing to {self.provider}: not sent")

    def dropped(self, part: Part, where: str) -> None:
        """A part that the message has no place for."""
        self.warn(f"{where}: {type(part).__name__} has no place in this message: not sent")
