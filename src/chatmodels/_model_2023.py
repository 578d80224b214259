"""The 2023 names of a call, as methods: `predict`, `predict_messages` and their kin. The model mixes them in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from ._errors import UsageError
from ._messages import AIMessage, Message

if TYPE_CHECKING:
    from ._model import ChatModel


class OldNames:
    """Thin aliases over calling the model."""

    __slots__ = ()

    def predict(self, text: str, *, stop: str | list[str] | None = None, **settings: Any) -> str:
        """The text of the answer to a text."""
        return _model(self)(_text_input(text), stop, settings.pop("callbacks", None), **settings).text

    def predict_messages(
        self, messages: Sequence[Message], *, stop: str | list[str] | None = None, **settings: Any
    ) -> AIMessage:
        """The answer to messages."""
        return _model(self)(messages, stop, settings.pop("callbacks", None), **settings)

    async def apredict(self, text: str, *, stop: str | list[str] | None = None, **settings: Any) -> str:
        """`predict` in the async world."""
        return (await _model(self).ainvoke(_text_input(text), stop=stop, **settings)).text

    async def apredict_messages(
        self, messages: Sequence[Message], *, stop: str | list[str] | None = None, **settings: Any
    ) -> AIMessage:
        """`predict_messages` in the async world."""
        return await _model(self).ainvoke(messages, stop=stop, **settings)

    def call_as_llm(self, message: str, stop: str | list[str] | None = None, **settings: Any) -> str:
        """`predict` under its other name."""
        return self.predict(message, stop=stop, **settings)


def _model(names: OldNames) -> ChatModel:
    """The model that these names belong to."""
    return cast("ChatModel", names)


def _text_input(text: Any) -> Any:
    if not isinstance(text, str):
        raise UsageError(f"predict takes a str, not {type(text).__name__}; use predict_messages", argument="text")
    return text
