"""What other libraries call our providers, and whose models are named how: for the sentences of errors only.

A name is never guessed for a call: it goes to the provider that the user writes, or nowhere.
"""

from __future__ import annotations

from collections.abc import Container

#: The name at LangChain, LiteLLM, pydantic-ai or the AI SDK, in lower case and without "-", "_" and "." -> ours.
_SAME = {
    "amazonbedrock": "bedrock",
    "anthropicvertex": "vertex",
    "azureai": "azure-ai",
    "azureopenai": "azure",
    "bedrockconverse": "bedrock",
    "claude": "anthropic",
    "coherechat": "cohere",
    "fireworksai": "fireworks",
    "gemini": "google",
    "googleaistudio": "google",
    "googleanthropicvertex": "vertex",
    "googlegenai": "google",
    "googlegla": "google",
    "googlevertex": "vertex",
    "googlevertexai": "vertex",
    "grok": "xai",
    "hostedvllm": "vllm",
    "mistralai": "mistral",
    "moonshotai": "moonshot",
    "openairesponses": "openai-responses",
    "togetherai": "together",
    "vertexai": "vertex",
}

#: How a model's name begins -> who makes it.
_MAKERS = {
    "claude": "anthropic",
    "gemini": "google",
    "mistral": "mistral",
    "ministral": "mistral",
    "magistral": "mistral",
    "codestral": "mistral",
    "deepseek": "deepseek",
    "grok": "xai",
    "command": "cohere",
    "sonar": "perplexity",
    "llama": "ollama",
    "qwen": "ollama",
    "gemma": "ollama",
    "phi": "ollama",
}


def same_provider(name: str, known: Container[str]) -> str | None:
    """Our name of a provider that another library names so, or that is spelt a little otherwise; None for no such one.

    >>> same_provider("vertex_ai", {"vertex"})
    'vertex'
    """
    plain = name.strip().lower()
    bare = plain.replace("-", "").replace("_", "").replace(".", "")
    for one in (plain, plain.replace("_", "-"), bare, _SAME.get(bare, "")):
        if one and one in known:
            return one
    return None


def full_name(name: str, known: Container[str]) -> str:
    """What the user of "model" or "provider/model" most likely means, as "provider:model".

    >>> full_name("anthropic/claude-sonnet-4-6", {"anthropic"})
    'anthropic:claude-sonnet-4-6'
    """
    head, slash, rest = name.partition("/")
    if slash and rest and (provider := same_provider(head, known)):
        return f"{provider}:{rest}"
    maker = next((m for beginning, m in _MAKERS.items() if name.lower().startswith(beginning)), "openai")
    return f"{maker if maker in known else 'openai'}:{name}"
