"""chatmodels: messages in, a message out. One interface over every provider, and a real model built in.

Names are imported at their first use, so that importing the package costs next to nothing and loads no HTTP library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from ._errors import (
        AuthenticationError as AuthenticationError,
    )
    from ._errors import (
        BatchError as BatchError,
    )
    from ._errors import (
        ChatModelError as ChatModelError,
    )
    from ._errors import (
        ContentFilterError as ContentFilterError,
    )
    from ._errors import (
        ContextTooLongError as ContextTooLongError,
    )
    from ._errors import (
        DeadlineError as DeadlineError,
    )
    from ._errors import (
        IncompleteStream as IncompleteStream,
    )
    from ._errors import (
        OutOfCreditError as OutOfCreditError,
    )
    from ._errors import (
        OutputError as OutputError,
    )
    from ._errors import (
        OverloadedError as OverloadedError,
    )
    from ._errors import (
        ProtocolError as ProtocolError,
    )
    from ._errors import (
        ProviderError as ProviderError,
    )
    from ._errors import (
        RateLimitError as RateLimitError,
    )
    from ._errors import (
        TransportError as TransportError,
    )
    from ._errors import (
        UsageError as UsageError,
    )
    from ._flow import Timeouts as Timeouts
    from ._messages import (
        AIMessage as AIMessage,
    )
    from ._messages import (
        ChatMessage as ChatMessage,
    )
    from ._messages import (
        HumanMessage as HumanMessage,
    )
    from ._messages import (
        Message as Message,
    )
    from ._messages import (
        SystemMessage as SystemMessage,
    )
    from ._messages import (
        ToolMessage as ToolMessage,
    )
    from ._model import ChatModel as ChatModel
    from ._parts import (
        Audio as Audio,
    )
    from ._parts import (
        File as File,
    )
    from ._parts import (
        Image as Image,
    )
    from ._parts import (
        Reasoning as Reasoning,
    )
    from ._parts import (
        Text as Text,
    )
    from ._parts import (
        ToolCall as ToolCall,
    )
    from ._parts import (
        Video as Video,
    )
    from ._results import ChatGeneration as ChatGeneration
    from ._results import LLMResult as LLMResult
    from ._stream import AIMessageChunk as AIMessageChunk
    from ._tools import tool as tool
    from ._usage import Usage as Usage
    from .chat_models import ChatLocal as ChatLocal
    from .chat_models import ChatOpenAI as ChatOpenAI

_HOMES = {
    "_errors": (
        "AuthenticationError BatchError ChatModelError ContentFilterError ContextTooLongError DeadlineError "
        "IncompleteStream OutOfCreditError OutputError OverloadedError ProtocolError ProviderError RateLimitError "
        "TransportError UsageError"
    ),
    "_flow": "Timeouts",
    "_messages": "AIMessage ChatMessage HumanMessage Message SystemMessage ToolMessage",
    "_model": "ChatModel",
    "_parts": "Audio File Image Reasoning Text ToolCall Video",
    "_results": "ChatGeneration LLMResult",
    "_stream": "AIMessageChunk",
    "_tools": "tool",
    "_usage": "Usage",
    "chat_models": "ChatLocal ChatOpenAI",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = sorted([*_HOME_OF, "__version__"])


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'chatmodels' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
