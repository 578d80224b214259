"""chatmodels: messages in, a message out. One interface over every provider, and a real model built in.

Names are imported at their first use, so that importing the package costs next to nothing and loads no HTTP library.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from ._errors import (
        AuthenticationError,
        BadRequestError,
        BatchError,
        BudgetExceeded,
        ChatModelError,
        ConnectError,
        ContentFilterError,
        ContextTooLongError,
        DeadlineError,
        IncompleteStream,
        MissingKeyError,
        NotFoundError,
        OutOfCreditError,
        OutputError,
        OverloadedError,
        PermissionDeniedError,
        ProtocolError,
        ProviderError,
        RateLimitError,
        TransportError,
        UsageError,
    )
    from ._flow import Timeouts
    from ._messages import AIMessage, ChatMessage, HumanMessage, Message, SystemMessage, ToolMessage
    from ._model import ChatModel
    from ._parts import Audio, File, Image, Reasoning, Text, ToolCall, Video
    from ._results import ChatGeneration, LLMResult
    from ._stream import AIMessageChunk
    from ._tools import tool
    from ._tracking import track_usage
    from ._tracking_budget import Budget
    from ._usage import Usage
    from .caches import Cache, get_llm_cache, set_llm_cache
    from .chat_models import ChatLocal, ChatOpenAI
    from .prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate

    llm_cache: Cache | None

_HOMES = {
    "_errors": (
        "AuthenticationError BadRequestError BatchError BudgetExceeded ChatModelError ConnectError "
        "ContentFilterError ContextTooLongError DeadlineError IncompleteStream MissingKeyError NotFoundError "
        "OutOfCreditError OutputError OverloadedError PermissionDeniedError ProtocolError ProviderError "
        "RateLimitError TransportError UsageError"
    ),
    "_flow": "Timeouts",
    "_messages": "AIMessage ChatMessage HumanMessage Message SystemMessage ToolMessage",
    "_model": "ChatModel",
    "_parts": "Audio File Image Reasoning Text ToolCall Video",
    "_results": "ChatGeneration LLMResult",
    "_stream": "AIMessageChunk",
    "_tools": "tool",
    "_tracking": "track_usage",
    "_tracking_budget": "Budget",
    "_usage": "Usage",
    "caches": "get_llm_cache set_llm_cache",
    "chat_models": "ChatLocal ChatOpenAI",
    "prompts": "ChatPromptTemplate MessagesPlaceholder PromptTemplate",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "AIMessage",
    "AIMessageChunk",
    "Audio",
    "AuthenticationError",
    "BadRequestError",
    "BatchError",
    "Budget",
    "BudgetExceeded",
    "ChatGeneration",
    "ChatLocal",
    "ChatMessage",
    "ChatModel",
    "ChatModelError",
    "ChatOpenAI",
    "ChatPromptTemplate",
    "ConnectError",
    "ContentFilterError",
    "ContextTooLongError",
    "DeadlineError",
    "File",
    "HumanMessage",
    "Image",
    "IncompleteStream",
    "LLMResult",
    "Message",
    "MessagesPlaceholder",
    "MissingKeyError",
    "NotFoundError",
    "OutOfCreditError",
    "OutputError",
    "OverloadedError",
    "PermissionDeniedError",
    "PromptTemplate",
    "ProtocolError",
    "ProviderError",
    "RateLimitError",
    "Reasoning",
    "SystemMessage",
    "Text",
    "Timeouts",
    "ToolCall",
    "ToolMessage",
    "TransportError",
    "Usage",
    "UsageError",
    "Video",
    "__version__",
    "get_llm_cache",
    "set_llm_cache",
    "tool",
    "track_usage",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'chatmodels' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "llm_cache"})


class _Package(ModuleType):
    """The package itself, with the one attribute of it that can be set: `chatmodels.llm_cache = InMemoryCache()`."""

    @property
    def llm_cache(self) -> Any:
        """The cache of every model of this process; None when there is none. The same as `set_llm_cache` and `get_llm_cache`."""
        from .caches import get_llm_cache

        return get_llm_cache()

    @llm_cache.setter
    def llm_cache(self, cache: Any) -> None:
        from .caches import set_llm_cache

        set_llm_cache(cache)

    @llm_cache.deleter
    def llm_cache(self) -> None:
        self.llm_cache = None


sys.modules[__name__].__class__ = _Package
