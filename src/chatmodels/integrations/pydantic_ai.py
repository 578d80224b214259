"""A model of pydantic-ai over a ChatModel: `Agent(as_pydantic_ai(model))`.

pydantic-ai is imported when it is called: `pip install 'chatmodels[pydantic-ai]'`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatmodels._errors import UsageError
from chatmodels._model import ChatModel

from ._needs import needed

if TYPE_CHECKING:
    from ._pydantic_ai_model import PydanticAIModel

__all__ = ["as_pydantic_ai"]


def as_pydantic_ai(model: ChatModel | str, *, settings: Any = None, profile: Any = None) -> PydanticAIModel:
    """A `pydantic_ai.models.Model` that calls this model, with its settings and policies.

    `model` may be a name such as "anthropic:claude-...". `settings` are pydantic-ai's defaults for its calls; `profile` says
    what the model can do (by default: tools, typed answers, images, documents, sound). Errors are pydantic-ai's, with ours as
    their cause. Raises UsageError where pydantic-ai is not installed.

    >>> Agent(as_pydantic_ai("local")).run_sync("Hi").output  # doctest: +SKIP
    'Hello!'
    """
    needed("pydantic_ai", "pydantic-ai")
    chat = ChatModel(model) if isinstance(model, str) else model
    if not isinstance(chat, ChatModel):
        raise UsageError(f"model is a ChatModel or its name, not {type(chat).__name__}", argument="model")
    module = needed("chatmodels.integrations._pydantic_ai_model", "pydantic-ai")
    made: PydanticAIModel = module.PydanticAIModel(chat, settings=settings, profile=profile)
    return made
