"""What a filled-in prompt is: a value that every model takes. Values only."""

from __future__ import annotations

import msgspec

from chatmodels._inputs import buffer_string
from chatmodels._messages import HumanMessage, Message


class ChatPromptValue(msgspec.Struct, frozen=True):
    """Messages, ready for a model."""

    messages: list[Message]

    def to_messages(self) -> list[Message]:
        """The messages."""
        return list(self.messages)

    def to_string(self) -> str:
        """The conversation as text: `System: ...\\nHuman: ...`."""
        return buffer_string(self.messages)

    def __str__(self) -> str:
        return self.to_string()


class StringPromptValue(msgspec.Struct, frozen=True):
    """A text, ready for a model."""

    text: str

    def to_messages(self) -> list[Message]:
        """The text as one human message."""
        return [HumanMessage(self.text)]

    def to_string(self) -> str:
        """The text."""
        return self.text

    def __str__(self) -> str:
        return self.text


PromptValue = ChatPromptValue | StringPromptValue
