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
    _chat("huggingface", "https://router.huggingface.co/v1", "HF_TOKEN HUGGINGFACEHUB_API_TOKEN",
          "https://huggingface.co/docs/inference-providers", sampling=_OPEN),
)  # fmt: skip
