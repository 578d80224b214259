"""The model classes of hosts that speak Chat Completions, with the settings that each has of its own.

They differ from `ChatModel` in their provider, their keyword arguments and their docs; `chat_models` is where users find them.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Unpack, cast

from ._errors import UsageError
from ._model import ChatModel
from ._options import ModelOptions


class _Hosted(ChatModel):
    """A host whose requests have fields of its own: they go into the body as they are."""

    __slots__ = ()
    #: Names of those fields.
    body_options: ClassVar[frozenset[str]] = frozenset()

    def _start(self, model: str | None, options: dict[str, Any], provider_name: str | None = None) -> None:
        own = {k: options.pop(k) for k in sorted(self.body_options & options.keys())}
        own = {k: v for k, v in own.items() if v is not None}
        if own:
            given = cast("dict[str, Any]", options.get("extra_body") or {})
            twice = next((k for k in own if k in given), None)
            if twice:
                raise UsageError(f"{twice} is given twice: as {twice}= and in extra_body", argument=twice)
            options["extra_body"] = {**given, **own}
        super()._start(model, options, provider_name)


def _own(options: type) -> frozenset[str]:
    """The fields that a TypedDict of options has beside those of every model."""
    return frozenset(options.__annotations__) - frozenset(ModelOptions.__annotations__)


class GroqOptions(ModelOptions, total=False):
    """What `ChatGroq` takes beside `ModelOptions` (Groq's API reference)."""

    reasoning_format: Literal["hidden", "parsed", "raw"] | None
    include_reasoning: bool | None
    search_settings: dict[str, Any] | None


class ChatGroq(_Hosted):
    """Groq, by its Chat Completions. The key: `api_key`, else GROQ_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "groq"
    body_options: ClassVar[frozenset[str]] = _own(GroqOptions)

    def __init__(self, model: str | None = None, **options: Unpack[GroqOptions]) -> None:
        self._start(model, dict(options))


class DeepSeekOptions(ModelOptions, total=False):
    """What `ChatDeepSeek` takes beside `ModelOptions`: `thinking={"type": "enabled"}` or "disabled"."""

    thinking: dict[str, Any] | None


class ChatDeepSeek(_Hosted):
    """DeepSeek, by its Chat Completions. The key: `api_key`, else DEEPSEEK_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "deepseek"
    body_options: ClassVar[frozenset[str]] = _own(DeepSeekOptions)

    def __init__(self, model: str | None = None, **options: Unpack[DeepSeekOptions]) -> None:
        self._start(model, dict(options))


class ChatXAI(ChatModel):
    """xAI, by its Chat Completions. The key: `api_key`, else XAI_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "xai"


class OpenRouterOptions(ModelOptions, total=False):
    """What `ChatOpenRouter` takes beside `ModelOptions`: `provider` chooses among the hosts of a model, `models` are those to
    fall back on, `plugins` are web search and file parsing (OpenRouter's API reference)."""

    provider: dict[str, Any] | None
    models: list[str] | None
    plugins: list[dict[str, Any]] | None
    preset: str | None
    transforms: list[str] | None


class ChatOpenRouter(_Hosted):
    """OpenRouter, by its Chat Completions. The key: `api_key`, else OPENROUTER_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "openrouter"
    body_options: ClassVar[frozenset[str]] = _own(OpenRouterOptions)

    def __init__(self, model: str | None = None, **options: Unpack[OpenRouterOptions]) -> None:
        self._start(model, dict(options))


class PerplexityOptions(ModelOptions, total=False):
    """What `ChatPerplexity` takes beside `ModelOptions` (Perplexity's API reference)."""

    search_mode: str | None
    search_domain_filter: list[str] | None
    search_recency_filter: str | None
    search_after_date_filter: str | None
    search_before_date_filter: str | None
    web_search_options: dict[str, Any] | None
    return_images: bool | None
    return_related_questions: bool | None


class ChatPerplexity(_Hosted):
    """Perplexity, by its Chat Completions. The key: `api_key`, else PERPLEXITY_API_KEY or PPLX_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "perplexity"
    body_options: ClassVar[frozenset[str]] = _own(PerplexityOptions)

    def __init__(self, model: str | None = None, **options: Unpack[PerplexityOptions]) -> None:
        self._start(model, dict(options))


class ThinkingOptions(ModelOptions, total=False):
    """What `ChatZAI` and `ChatMoonshot` take beside `ModelOptions`: `thinking={"type": "enabled"}` or "disabled"."""

    thinking: dict[str, Any] | None


class ChatZAI(_Hosted):
    """Z.ai (GLM), by its Chat Completions. The key: `api_key`, else ZAI_API_KEY or ZHIPU_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "zai"
    body_options: ClassVar[frozenset[str]] = _own(ThinkingOptions)

    def __init__(self, model: str | None = None, **options: Unpack[ThinkingOptions]) -> None:
        self._start(model, dict(options))


class ChatMoonshot(_Hosted):
    """Moonshot (Kimi), by its Chat Completions. The key: `api_key`, else MOONSHOT_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "moonshot"
    body_options: ClassVar[frozenset[str]] = _own(ThinkingOptions)

    def __init__(self, model: str | None = None, **options: Unpack[ThinkingOptions]) -> None:
        self._start(model, dict(options))


class QwenOptions(ModelOptions, total=False):
    """What `ChatQwen` takes beside `ModelOptions` (Model Studio's page on compatibility with OpenAI)."""

    enable_thinking: bool | None
    thinking_budget: int | None
    enable_search: bool | None


class ChatQwen(_Hosted):
    """Alibaba's Model Studio (Qwen), by its Chat Completions. The key: `api_key`, else DASHSCOPE_API_KEY.

    The address is Singapore's; for Beijing give `base_url="https://dashscope.aliyuncs.com/compatible-mode/v1"`.
    """

    __slots__ = ()
    provider_name: ClassVar[str | None] = "dashscope"
    body_options: ClassVar[frozenset[str]] = _own(QwenOptions)

    def __init__(self, model: str | None = None, **options: Unpack[QwenOptions]) -> None:
        self._start(model, dict(options))


class DatabricksOptions(ModelOptions, total=False):
    """What `ChatDatabricks` takes beside `ModelOptions`: the workspace's address."""

    workspace: str | None


class ChatDatabricks(ChatModel):
    """Databricks model serving. `workspace`, else DATABRICKS_HOST; the key: `api_key`, else DATABRICKS_TOKEN."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "databricks"

    def __init__(self, model: str | None = None, **options: Unpack[DatabricksOptions]) -> None:
        self._start(model, dict(options))


class SnowflakeOptions(ModelOptions, total=False):
    """What `ChatSnowflake` takes beside `ModelOptions`: the account's identifier."""

    account: str | None


class ChatSnowflake(ChatModel):
    """Snowflake Cortex. `account`, else SNOWFLAKE_ACCOUNT; the key, an access token: `api_key`, else SNOWFLAKE_PAT."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "snowflake"

    def __init__(self, model: str | None = None, **options: Unpack[SnowflakeOptions]) -> None:
        self._start(model, dict(options))


class CloudflareOptions(ModelOptions, total=False):
    """What `ChatCloudflare` takes beside `ModelOptions`: the account's id."""

    account_id: str | None


class ChatCloudflare(ChatModel):
    """Cloudflare Workers AI. `account_id`, else CLOUDFLARE_ACCOUNT_ID; the key: `api_key`, else CLOUDFLARE_API_TOKEN."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "cloudflare"

    def __init__(self, model: str | None = None, **options: Unpack[CloudflareOptions]) -> None:
        self._start(model, dict(options))


class WatsonxOptions(ModelOptions, total=False):
    """What `ChatWatsonx` takes beside `ModelOptions`. One of `project_id` and `space_id` is needed."""

    region: str | None
    project_id: str | None
    space_id: str | None
    version: str | None
    auth_url: str | None


class ChatWatsonx(ChatModel):
    """IBM watsonx.ai. The key, an IBM Cloud API key (`api_key`, else WATSONX_API_KEY), is exchanged for a token and that renewed.

    `region` (else WATSONX_REGION, e.g. "us-south") or `base_url` (else WATSONX_URL); `project_id` (else WATSONX_PROJECT_ID) or
    `space_id`; `version` is the date of the API.
    """

    __slots__ = ()
    provider_name: ClassVar[str | None] = "watsonx"

    def __init__(self, model: str | None = None, **options: Unpack[WatsonxOptions]) -> None:
        self._start(model, dict(options))


class SAPOptions(ModelOptions, total=False):
    """What `ChatSAP` takes beside `ModelOptions`."""

    deployment_url: str | None
    client_id: str | None
    auth_url: str | None


class ChatSAP(ChatModel):
    """A deployment of an OpenAI model in SAP AI Core. `deployment_url` (else AICORE_DEPLOYMENT_URL) is its address; `client_id`,
    `api_key` (the client's secret) and `auth_url` are those of the service key, else AICORE_CLIENT_ID, AICORE_CLIENT_SECRET and
    AICORE_AUTH_URL. The resource group goes as `headers={"AI-Resource-Group": ...}`; it is "default" otherwise.
    """

    __slots__ = ()
    provider_name: ClassVar[str | None] = "sap"

    def __init__(self, model: str | None = None, **options: Unpack[SAPOptions]) -> None:
        self._start(model, dict(options))


class GigaChatOptions(ModelOptions, total=False):
    """What `GigaChat` takes beside `ModelOptions`."""

    credentials: str | None
    scope: str | None
    auth_url: str | None
    profanity_check: bool | None
    repetition_penalty: float | None


class GigaChat(_Hosted):
    """GigaChat. The key is the authorisation key of its console (`credentials` or `api_key`, else GIGACHAT_CREDENTIALS), exchanged
    for a token of 30 minutes; `scope` (else GIGACHAT_SCOPE) is "GIGACHAT_API_PERS", "..._B2B" or "..._CORP".

    Its certificates are of the Russian Ministry of Digital Development: give `verify="path/to/its/root.pem"`.
    """

    __slots__ = ()
    provider_name: ClassVar[str | None] = "gigachat"
    body_options: ClassVar[frozenset[str]] = frozenset({"profanity_check", "repetition_penalty"})

    def __init__(self, model: str | None = None, **options: Unpack[GigaChatOptions]) -> None:
        given: dict[str, Any] = dict(options)
        credentials = given.pop("credentials", None)
        if credentials and given.get("api_key"):
            raise UsageError("credentials and api_key are the same setting: give one of them", argument="credentials")
        if credentials:
            given["api_key"] = credentials
        self._start(model, given)


class ChatHuggingFace(ChatModel):
    """Hugging Face's router, by its Chat Completions. The key: `api_key`, else HF_TOKEN or HUGGINGFACEHUB_API_TOKEN."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "huggingface"


class ChatTogether(ChatModel):
    """Together AI, by its Chat Completions. The key: `api_key`, else TOGETHER_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "together"


class ChatFireworks(ChatModel):
    """Fireworks AI, by its Chat Completions. The key: `api_key`, else FIREWORKS_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "fireworks"


class ChatCerebras(ChatModel):
    """Cerebras, by its Chat Completions. The key: `api_key`, else CEREBRAS_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "cerebras"


class ChatSambaNova(ChatModel):
    """SambaNova, by its Chat Completions. The key: `api_key`, else SAMBANOVA_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "sambanova"


class ChatNVIDIA(ChatModel):
    """NVIDIA, by its Chat Completions. The key: `api_key`, else NVIDIA_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "nvidia"


class ChatDeepInfra(ChatModel):
    """DeepInfra, by its Chat Completions. The key: `api_key`, else DEEPINFRA_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "deepinfra"


class ChatUpstage(ChatModel):
    """Upstage, by its Chat Completions. The key: `api_key`, else UPSTAGE_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "upstage"


class ChatWriter(ChatModel):
    """Writer, by its Chat Completions. The key: `api_key`, else WRITER_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "writer"


class MiniMaxChat(ChatModel):
    """MiniMax, by its Chat Completions. The key: `api_key`, else MINIMAX_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "minimax"


class QianfanChatEndpoint(ChatModel):
    """Baidu Qianfan (ERNIE), by its Chat Completions. The key: `api_key`, else QIANFAN_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "qianfan"


class ChatPortkey(ChatModel):
    """The Portkey gateway, by its Chat Completions. The key: `api_key`, else PORTKEY_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "portkey"


class ChatLiteLLM(ChatModel):
    """A LiteLLM proxy, at `base_url`, by its Chat Completions. The key: `api_key`, else LITELLM_API_KEY, if it wants one."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "litellm"


class JinaChat(ChatModel):
    """Jina DeepSearch, by its Chat Completions. The key: `api_key`, else JINA_API_KEY."""

    __slots__ = ()
    provider_name: ClassVar[str | None] = "jina"
