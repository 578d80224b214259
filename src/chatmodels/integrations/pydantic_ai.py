"""Models of pydantic-ai from ours, `Agent(as_pydantic_ai(model))`, and ours from pydantic-ai's, `from_pydantic_ai(model)`.

pydantic-ai is imported when one of them is called: `pip install 'chatmodels[pydantic-ai]'`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatmodels._errors import UsageError
from chatmodels._model import ChatModel

from ._needs import needed

if TYPE_CHECKING:
    from ._pydantic_ai_model import PydanticAIModel

__all__ = ["as_pydantic_ai", "from_pydantic_ai"]


def as_pydantic_ai(model: ChatModel | str, *, settings: Any = None, profile: Any = None) -> PydanticAIModel:
    """A `pydantic_ai.models.Model` that calls this model, with its settings and policies.

    `model` may be a name such as "anthropic:claude-...". `settings` are pydantic-ai's defaults for its calls; `profile` says
    what the model can do, on top of what is taken to be (tools, typed answers, images, documents, sound, and the native tools
    that the provider has). Errors are pydantic-ai's, with ours as
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


def from_pydantic_ai(model: Any) -> ChatModel:
    """A ChatModel whose answers come from a model of pydantic-ai, or from the one that a name means there.

    Every `with_*` works on it. All its requests go to one event loop in the background, so it may be used from sync code, from
    any loop and from trio. Its own retries add to ours: switch either off. Raises UsageError for anything that is no model.

    >>> from_pydantic_ai("anthropic:claude-...")("Hi")  # doctest: +SKIP
    AIMessage(content='Hello!', additional_kwargs={})
    """
    needed("pydantic_ai", "pydantic-ai")
    made: ChatModel = needed("chatmodels.integrations._pydantic_ai_provider", "pydantic-ai").model_over(model)
    return made
