"""Code written against the OpenAI SDK over any provider: `as_openai(model)` and `as_async_openai(model)`.

Where the SDK is installed they give its own clients, whose requests a ChatModel answers; else objects of the same shape.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from chatmodels._errors import UsageError
from chatmodels._model import ChatModel

__all__ = ["as_async_openai", "as_openai"]


def as_openai(model: ChatModel | str, *, pass_model: bool = False, **options: Any) -> Any:
    """An `openai.OpenAI` whose `chat.completions` (`create`, `parse`, `stream`) and `models` are answered by this model.

    The `model` of a request is not looked at, unless `pass_model` is True: then it names the model at this model's provider.
    `options` go to the SDK's client (`timeout`, `default_headers`). Errors are the SDK's. Without the SDK: an object of the same
    shape, whose errors are ours.

    >>> client = as_openai("anthropic:claude-...")  # doctest: +SKIP
    >>> client.chat.completions.create(model="any", messages=[{"role": "user", "content": "Hi"}])  # doctest: +SKIP
    """
    chat = _chat(model)
    if find_spec("openai") is None:
        from ._openai_light import LightOpenAI

        return LightOpenAI(chat, pass_model)
    from ._openai_client import client

    return client(chat, pass_model, options)


def as_async_openai(model: ChatModel | str, *, pass_model: bool = False, **options: Any) -> Any:
    """`as_openai` in the async world: an `openai.AsyncOpenAI`."""
    chat = _chat(model)
    if find_spec("openai") is None:
        from ._openai_light import LightAsyncOpenAI

        return LightAsyncOpenAI(chat, pass_model)
    from ._openai_client import async_client

    return async_client(chat, pass_model, options)


def _chat(model: ChatModel | str) -> ChatModel:
    chat = ChatModel(model) if isinstance(model, str) else model
    if not isinstance(chat, ChatModel):
        raise UsageError(f"model is a ChatModel or its name, not {type(chat).__name__}", argument="model")
    return chat
