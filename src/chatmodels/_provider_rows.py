"""The rows themselves. Data only; what a field means stands in `_providers.py`.

Each was written from the host's own page (`docs`) in the month `checked`.
"""

from __future__ import annotations

from typing import Any

from ._providers import Provider

_CHAT = "chatmodels.dialects.openai_chat:OpenAIChat"


def _chat(name: str, base_url: str, key_env: str, docs: str, *, keyed: bool = True, **options: Any) -> Provider:
    """A host that speaks Chat Completions."""
    row: dict[str, Any] = {k: options.pop(k) for k in ("default_model", "model_class", "auth", "headers", "base_url_env") if k in options}
    return Provider(
        name=name,
        dialect=_CHAT,
        base_url=base_url,
        key_env=tuple(key_env.split()) if key_env else (),
        needs_key=keyed,
        options=options,
        docs=docs,
        **row,
    )


_OPEN = frozenset({"top_k", "min_p"})
_MODELS = "chatmodels.chat_models:"

ROWS: tuple[Provider, ...] = (
    Provider(
        name="openai",
        base_url="https://api.openai.com/v1",
        key_env=("OPENAI_API_KEY",),
        base_url_env=("OPENAI_API_BASE", "OPENAI_BASE_URL"),
        default_model="gpt-4o-mini",
        quirks=("openai_models",),
        model_class=_MODELS + "ChatOpenAI",
        docs="https://platform.openai.com/docs/api-reference/chat",
    ),
    Provider(
        name="local",
        needs_key=False,
        auth="none",
        base_url="local://",
        default_model="SmolLM2-135M-Instruct",
        transport="local",
        model_class=_MODELS + "ChatLocal",
        options={"sampling": _OPEN},
        docs="https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
    ),
    Provider(
        name="openai-responses",
        dialect="chatmodels.dialects.openai_responses:OpenAIResponses",
        base_url="https://api.openai.com/v1",
        key_env=("OPENAI_API_KEY",),
        base_url_env=("OPENAI_API_BASE", "OPENAI_BASE_URL"),
        default_model="gpt-4o-mini",
        docs="https://platform.openai.com/docs/api-reference/responses",
    ),
    Provider(
        name="anthropic",
        dialect="chatmodels.dialects.anthropic:Anthropic",
        base_url="https://api.anthropic.com",
        key_env=("ANTHROPIC_API_KEY",),
        base_url_env=("ANTHROPIC_BASE_URL",),
        auth="header:x-api-key",
        default_model="claude-sonnet-4-5",
        model_class=_MODELS + "ChatAnthropic",
        docs="https://docs.anthropic.com/en/api/messages",
    ),
    Provider(
        name="google",
        dialect="chatmodels.dialects.google:Google",
        base_url="https://generativelanguage.googleapis.com",
        key_env=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        auth="header:x-goog-api-key",
        default_model="gemini-2.5-flash",
        model_class=_MODELS + "ChatGoogle",
        docs="https://ai.google.dev/api/generate-content",
    ),
    Provider(
        name="vertex",
        dialect="chatmodels.dialects.google:Google",
        base_url="https://{host}",
        key_env=("VERTEX_ACCESS_TOKEN",),
        keyless="google",
        options={"vertex": True},
        takes=("project", "location", "publisher"),
        default_model="gemini-2.5-flash",
        model_class=_MODELS + "ChatVertexAI",
        docs="https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference",
    ),
    Provider(
        name="bedrock",
        dialect="chatmodels.dialects.bedrock:BedrockConverse",
        base_url="https://bedrock-runtime.{region}.amazonaws.com",
        key_env=("AWS_BEARER_TOKEN_BEDROCK",),
        keyless="aws",
        model_class=_MODELS + "ChatBedrock",
        docs="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
    ),
    Provider(
        name="cohere",
        dialect="chatmodels.dialects.cohere:Cohere",
        base_url="https://api.cohere.com",
        key_env=("COHERE_API_KEY", "CO_API_KEY"),
        default_model="command-a-03-2025",
        model_class=_MODELS + "ChatCohere",
        docs="https://docs.cohere.com/reference/chat",
    ),
    Provider(
        name="mistral",
        dialect="chatmodels.dialects.mistral:Mistral",
        base_url="https://api.mistral.ai/v1",
        key_env=("MISTRAL_API_KEY",),
        default_model="mistral-small-latest",
        model_class=_MODELS + "ChatMistralAI",
        docs="https://docs.mistral.ai/api/",
    ),
    Provider(
        name="ollama",
        dialect="chatmodels.dialects.ollama:Ollama",
        base_url="http://localhost:11434",
        key_env=("OLLAMA_API_KEY",),
        base_url_env=("OLLAMA_HOST",),
        needs_key=False,
        model_class=_MODELS + "ChatOllama",
        docs="https://docs.ollama.com/api/chat",
    ),
    _chat("huggingface", "https://router.huggingface.co/v1", "HF_TOKEN HUGGINGFACEHUB_API_TOKEN",
          "https://huggingface.co/docs/inference-providers", sampling=_OPEN),
)  # fmt: skip
