"""Chat models of LangChain from ours, and ours from LangChain's: `as_langchain(model)`, `from_langchain(lc_model)`.

langchain-core is imported when one of them is called: `pip install 'chatmodels[langchain]'`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from chatmodels._errors import UsageError
from chatmodels._inputs import Input, messages_of
from chatmodels._messages import Message
from chatmodels._model import ChatModel

from ._needs import needed

if TYPE_CHECKING:
    from ._langchain_model import LangChainChatModel

__all__ = ["LangChainChatModel", "as_langchain", "from_langchain", "messages_from_langchain", "messages_to_langchain"]


def _module(name: str) -> Any:
    needed("langchain_core", "langchain")
    return needed(f"chatmodels.integrations._langchain_{name}", "langchain")


def as_langchain(model: ChatModel | str, **options: Any) -> LangChainChatModel:
    """A `BaseChatModel` of langchain-core that calls this model, with its settings, tools and policies.

    `model` may be a name such as "openai:gpt-4o". `options` are fields of LangChain's class: `cache`, `callbacks`, `tags`,
    `metadata`, `rate_limiter`, `disable_streaming`, `output_version`. Raises UsageError where langchain-core is not installed.

    >>> as_langchain(ChatModel("local")).invoke("Hi")  # doctest: +SKIP
    AIMessage(content='Hello!', ...)
    """
    chat = ChatModel(model) if isinstance(model, str) else model
    if not isinstance(chat, ChatModel):
        raise UsageError(f"model is a ChatModel or its name, not {type(chat).__name__}", argument="model")
    made: LangChainChatModel = _module("model").LangChainChatModel(chat=chat, **options)
    return made


def from_langchain(model: Any) -> ChatModel:
    """A ChatModel whose answers come from a chat model of LangChain; every `with_*` works on it.

    Settings of a call go to LangChain's model as keyword arguments. Raises UsageError for anything that is no
    `BaseChatModel`.

    >>> from_langchain(ChatAnthropic(model="claude-..."))("Hi")  # doctest: +SKIP
    AIMessage(content='Hello!', additional_kwargs={})
    """
    made: ChatModel = _module("provider").model_over(model)
    return made


def messages_to_langchain(messages: Input) -> list[Any]:
    """Messages, in any form that a model takes, as LangChain's.

    >>> messages_to_langchain([("system", "Be brief."), ("human", "Hi")])  # doctest: +SKIP
    [SystemMessage(content='Be brief.', ...), HumanMessage(content='Hi', ...)]
    """
    write = _module("messages").to_langchain
    return [write(m) for m in messages_of(messages)]


def messages_from_langchain(messages: Iterable[Any]) -> list[Message]:
    """LangChain's messages as ours; UsageError for what no model takes (`RemoveMessage`)."""
    found: list[Message] = _module("messages").messages_from_langchain(list(messages))
    return found


def __getattr__(name: str) -> Any:
    if name == "LangChainChatModel":
        return _module("model").LangChainChatModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
