"""What LangChain calls a model's profile: of it, what is known without asking anybody."""

from __future__ import annotations

from typing import Any

from chatmodels._errors import UsageError
from chatmodels._model import ChatModel

from ._needs import needed


def profile_of(chat: ChatModel) -> dict[str, Any] | None:
    """`{"max_input_tokens": ...}` from the list of genai-prices; None where that is not installed, or does not know the model."""
    try:
        snapshot = needed("genai_prices.data_snapshot", "prices").get_snapshot()
        _, model = snapshot.find_provider_model(chat.model, None, chat.provider, None)
    except (UsageError, LookupError):
        return None
    window: int | None = model.context_window
    return None if window is None else {"max_input_tokens": window}
