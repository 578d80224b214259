"""What an item may hold, and a prompt whose variables are filled with an item's fields. Knows no files and no model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import msgspec

from .._errors import UsageError
from .._json import is_object

INPUTS = ("messages", "prompt", "input")
#: Fields of an item.
FIELDS = frozenset({*INPUTS, "id", "custom_id", "settings", "metadata"})
_KEPT = ("id", "custom_id", "settings")


class Broken(msgspec.Struct, frozen=True):
    """A line that holds no item, and why."""

    raw: bytes
    why: str


class Prompt:
    """`prompt=` as it is given: a text with {names}, or a `ChatPromptTemplate`."""

    def __init__(self, given: Any) -> None:
        from ..prompts import ChatPromptTemplate, PromptTemplate

        if isinstance(given, str):
            given = PromptTemplate.from_template(given)
        if not isinstance(given, (ChatPromptTemplate, PromptTemplate)):
            raise UsageError(
                f"prompt is a text such as 'Classify: {{text}}', or a ChatPromptTemplate; got {type(given).__name__}",
                argument="prompt",
            )
        self.names = tuple(given.input_variables)
        if not self.names:
            raise UsageError(
                "the prompt has no variable, so every item would ask the same: name a field in braces, as in "
                "'Classify: {text}'",
                argument="prompt",
            )
        self._chat = given if isinstance(given, ChatPromptTemplate) else None
        self._text = given if isinstance(given, PromptTemplate) else None

    def of(self, given: Any) -> Any:
        """The item that a row makes. All its fields come back as metadata; `id` and `settings` are what they are."""
        if isinstance(given, Broken):
            return given
        if isinstance(given, str) and len(self.names) == 1:
            given = {self.names[0]: given}
            return self._item(given, {})
        if not is_object(given):
            wanted = ", ".join(self.names)
            return Broken(repr(given).encode(), f"the prompt is filled with fields ({wanted}); the item has none")
        others = {name: value for name, value in given.items() if name not in _KEPT}
        if set(others) == {"metadata"}:
            others = given["metadata"]
        made = {name: given[name] for name in _KEPT if given.get(name) not in (None, "")}
        return self._item(given, {**made, "metadata": others})

    def _item(self, given: dict[str, Any], made: dict[str, Any]) -> Any:
        values = {name: given[name] for name in self.names if given.get(name) is not None}
        try:
            if self._chat is not None:
                return {**made, "messages": self._chat.format_messages(**values)}
            return {**made, "prompt": "" if self._text is None else self._text.format(**values)}
        except UsageError as error:
            return Broken(repr(given).encode("utf-8", "replace"), f"the prompt cannot be filled: {error}")

    def check(self, columns: Iterable[str]) -> None:
        """A UsageError where a table lacks a column that is named."""
        have = list(columns)
        lacking = [name for name in self.names if name not in have]
        if lacking:
            raise UsageError(
                f"the prompt names {{{lacking[0]}}}, and the columns are {', '.join(have) or 'none'}", argument="prompt"
            )

    def all(self, items: Any) -> Any:
        """Every item of an iterable, or of an async one, filled in."""
        return self._each_async(items) if hasattr(items, "__aiter__") else self._each(items)

    def _each(self, items: Iterable[Any]) -> Iterator[Any]:
        return map(self.of, items)

    async def _each_async(self, items: Any) -> AsyncIterator[Any]:
        async for item in items:
            yield self.of(item)


def prompt_of(given: Any) -> Prompt | None:
    """`prompt=`; None where there is none."""
    return None if given is None else Prompt(given)
