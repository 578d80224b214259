"""Callback handlers: objects that are told what a call does. Any object with some of these methods will do.

An error in a handler is logged and the call goes on; set `raise_error = True` on the handler to have it raised instead.
"""

from __future__ import annotations

import sys
from typing import Any, TextIO

from ._messages import Message
from ._results import LLMResult
from ._tracking import get_openai_callback
from ._usage import Attempt

__all__ = [
    "AsyncCallbackHandler",
    "BaseCallbackHandler",
    "BaseCallbackManager",
    "CallbackManager",
    "StreamingStdOutCallbackHandler",
    "get_openai_callback",
]


class BaseCallbackHandler:
    """Override what you want to hear of. The methods may be coroutine functions: async calls await them, sync calls run them
    to their end in the event loop of a background thread."""

    raise_error = False

    def on_chat_model_start(self, serialized: dict[str, Any], messages: list[list[Message]], **kw: Any) -> Any:
        """A call begins. `serialized` names the model; `messages` holds one list."""

    def on_llm_new_token(self, token: str, **kw: Any) -> Any:
        """A piece of text has come (streams only). `kw["chunk"]` is the event."""

    def on_llm_end(self, response: LLMResult, **kw: Any) -> Any:
        """The answer is complete."""

    def on_llm_error(self, error: BaseException, **kw: Any) -> Any:
        """The call has failed, after all tries."""

    def on_retry(self, attempt: Attempt, **kw: Any) -> Any:
        """A try has failed and another follows. `kw["wait"]` is the pause in seconds, `kw["error"]` the error."""

    def on_fallback(self, error: BaseException, **kw: Any) -> Any:
        """A model has failed and another is asked: `kw["provider"]`, `kw["model"]`. Text that has come is void."""


class AsyncCallbackHandler(BaseCallbackHandler):
    """The same, for handlers whose methods are coroutine functions."""


class StreamingStdOutCallbackHandler(BaseCallbackHandler):
    """Prints the text as it comes: `ChatOpenAI(streaming=True, callbacks=[StreamingStdOutCallbackHandler()])`."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out

    def on_llm_new_token(self, token: str, **kw: Any) -> None:
        """Print the piece of text."""
        out = self._out or sys.stdout
        out.write(token)
        out.flush()


class CallbackManager:
    """A list of handlers, as in 2023."""

    def __init__(self, handlers: list[Any]) -> None:
        self.handlers = list(handlers)

    def add_handler(self, handler: Any) -> None:
        """One more. Models read the list when they are made, calls when they begin."""
        self.handlers.append(handler)


BaseCallbackManager = CallbackManager
